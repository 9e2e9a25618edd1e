//! Points that are armed or disarmed together: for whoever looks at a chart that is one step.

use palib::control::{Event, What};

use super::build::Seen;

/// So many at once are one step.
const BURST: usize = 4;
/// Orders that follow each other within so long were given at once.
const AT_ONCE_NS: u64 = 50_000_000;

/// Makes one step of each burst: the first, with the ids of the first and the last.
pub(super) fn fold(seen: &mut Vec<Seen<'_>>) {
    let mut rest = std::mem::take(seen).into_iter().peekable();
    while let Some(first) = rest.next() {
        let (from, mut last, mut burst) = (order(first.event), order(first.event), vec![first]);
        while let Some(next) = rest.next_if(|next| follows(last, order(next.event))) {
            last = order(next.event);
            burst.push(next);
        }
        if let Some((from, to)) = from.zip(last)
            && burst.len() >= BURST
        {
            let label = format!("{} to {}: {} points {}", from.id, to.id, burst.len(), from.word);
            burst.truncate(1);
            burst[0].draft.label = label;
        }
        seen.append(&mut burst);
    }
}

/// An order about a point.
#[derive(Clone, Copy)]
struct Order<'a> {
    word: &'static str,
    id: &'a str,
    at_ns: u64,
}

fn order(event: &Event) -> Option<Order<'_>> {
    let (word, id) = match &event.what {
        What::Armed { id, .. } => ("armed", id),
        What::Disarmed { id } => ("disarmed", id),
        _ => return None,
    };
    Some(Order { word, id, at_ns: event.at_ns })
}

/// Whether a step is an order like the one before it, given at once with that.
fn follows(before: Option<Order<'_>>, next: Option<Order<'_>>) -> bool {
    before.zip(next).is_some_and(|(before, next)| {
        before.word == next.word && next.at_ns.saturating_sub(before.at_ns) < AT_ONCE_NS
    })
}
