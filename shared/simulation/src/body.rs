//! What is asked and answered, as numbers that tell whose they are.
//!
//! A client asks for operation `n`. What a handler asks for on behalf of a message at its place `p` is the message with
//! `p` behind it: `7` calls `7.1` and `7.2`, and `7.2` calls `7.2.1`. So each effect tells on whose behalf it was made.

/// A message or a reply.
pub(crate) type Body = u64;

/// The mark of a reply.
const REPLY: Body = 1 << 63;
/// Where the count of effects lies in a reply.
const COUNT: u32 = 40;
/// The bits of the places below the number of an operation: three of four bits each.
const PLACES: u32 = 12;
/// What a place of a substitute has more than that of the message it takes the place of.
const SUBSTITUTE: Body = 8;

/// What a client asks for.
pub(crate) fn of_operation(number: u32) -> Body {
    Body::from(number) << PLACES
}

/// On behalf of which operation this is.
pub(crate) fn operation(body: Body) -> u32 {
    ((body & !REPLY & ((1 << COUNT) - 1)) >> PLACES) as u32
}

/// Where the last place of a message lies, counted in bits; as many as all places have if it has none.
fn depth(body: Body) -> u32 {
    let places = body & ((1 << PLACES) - 1);
    if places == 0 { PLACES } else { places.trailing_zeros() / 4 * 4 }
}

/// What a handler asks for on behalf of a message, at its place `nth` from 1 on.
pub(crate) fn on(body: Body, nth: usize) -> Body {
    body | (nth as Body) << (depth(body) - 4)
}

/// What takes the place of a message.
pub(crate) fn substitute(body: Body) -> Body {
    body | SUBSTITUTE << depth(body)
}

/// Whether a message takes the place of another one.
pub(crate) fn is_substitute(body: Body) -> bool {
    depth(body) < PLACES && body >> depth(body) & SUBSTITUTE != 0
}

/// Whether something is asked for on behalf of a message, or is that message.
pub(crate) fn is_part(of: Body, body: Body) -> bool {
    let below = (1 << depth(body)) - 1;
    of & !below == body
}

/// The reply to a message: it tells how often that had its effect, so one performed twice replies twice.
pub(crate) fn reply(body: Body, effects: u32) -> Body {
    body | Body::from(effects) << COUNT | REPLY
}

/// A message or a reply in words.
pub(crate) fn text(body: Body) -> String {
    let mut text = operation(body).to_string();
    for shift in [8, 4, 0] {
        let place = body >> shift & 0xF;
        if place != 0 {
            text += &format!(".{}", place & !SUBSTITUTE);
        }
        if place & SUBSTITUTE != 0 {
            text.push('\'');
        }
    }
    if body & REPLY != 0 {
        text += &format!("={}", (body & !REPLY) >> COUNT);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_tells_on_whose_behalf_it_is_asked_for() {
        let seven = of_operation(7);
        let deep = on(on(seven, 2), 1);
        assert_eq!((text(deep).as_str(), operation(deep)), ("7.2.1", 7));
        assert!(is_part(deep, seven) && is_part(deep, on(seven, 2)) && is_part(deep, deep));
        assert!(!is_part(deep, on(seven, 1)) && !is_part(seven, deep));
        assert!(!is_part(of_operation(8), seven));
        let other = substitute(on(seven, 2));
        assert!(is_substitute(other) && !is_substitute(deep) && !is_part(on(other, 1), on(seven, 2)));
        assert_eq!(text(reply(other, 1)), "7.2'=1");
        assert_eq!(operation(reply(deep, 3)), 7);
    }
}
