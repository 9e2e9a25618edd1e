//! What must be seen: a small language over rows of facts.
//!
//! ```text
//! call name=A answer=5                          a row of the source `call` with these fields
//! row files id=$A.id process_type='HANDLER 0'   of the redundancy table of `files`; `$A` was bound before
//! event kind=relayed call=$X downstream=?Y      binds `$Y`
//! no file name=x                                no such row
//! acked client grows                            anything that a tour may expect
//! ```
//!
//! Fields are those of `--json`. `=` and `!=` compare, `~` asks whether the text contains it, `>=`, `<=`, `>` and `<`
//! compare numbers. A value with blanks stands in single quotes.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde_json::Value;

use crate::cluster::Expectation;

/// Where rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// The calls that the script makes itself.
    Call,
    /// The events since the scene began.
    Event,
    /// The port alias table of an alias.
    Member,
    /// What the members of an alias measured last.
    Stats,
    /// The redundancy table of an alias.
    Row,
    /// The outbox of an alias.
    Outbox,
    /// The open transactions of a relay.
    Relay,
    /// The ids of the calls that callers have made: how many, and how many transIds were used twice.
    Ids,
    /// The files of the service `files`.
    File,
}

impl Source {
    const ALL: [(Self, &'static str); 9] = [
        (Self::Call, "call"),
        (Self::Event, "event"),
        (Self::Member, "member"),
        (Self::Stats, "stats"),
        (Self::Row, "row"),
        (Self::Outbox, "outbox"),
        (Self::Relay, "relay"),
        (Self::Ids, "ids"),
        (Self::File, "file"),
    ];

    /// Whether a name must follow: of an alias, or several with commas.
    fn is_of_somebody(self) -> bool {
        !matches!(self, Self::Call | Self::Event)
    }
}

/// Something that must be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// Rows.
    Rows {
        /// Where they come from.
        source: Source,
        /// Whose.
        of: String,
        /// Whether there must be none.
        none: bool,
        /// What must be true of one row.
        conditions: Vec<Condition>,
    },
    /// What a tour may expect.
    Expected(Expectation),
}

/// What must be true of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Condition {
    field: String,
    test: Test,
    value: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Test {
    Binds,
    Is(&'static str),
}

/// Longer ones first: `>=` begins with `>`.
const TESTS: [&str; 7] = ["!=", ">=", "<=", "=", "~", ">", "<"];

/// What was bound so far.
pub(super) type Bound = BTreeMap<String, String>;

impl FromStr for Sight {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words = words(text)?;
        let mut rest = &words[..];
        let none = rest.first().is_some_and(|word| word == "no");
        if none {
            rest = &rest[1..];
        }
        let source = rest.first().and_then(|first| Source::ALL.iter().find(|(_, word)| word == first));
        let Some((source, _)) = source else {
            return text.parse().map(Self::Expected);
        };
        rest = &rest[1..];
        let mut of = String::new();
        if source.is_of_somebody() {
            let (name, others) =
                rest.split_first().ok_or_else(|| format!("`{text}` does not say of whom"))?;
            of.clone_from(name);
            rest = others;
        }
        let conditions = rest.iter().map(|word| word.parse()).collect::<Result<Vec<_>, String>>()?;
        Ok(Self::Rows { source: *source, of, none, conditions })
    }
}

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(['=', '!', '~', '<', '>']).ok_or_else(|| format!("`{text}` is no condition"))?;
        let test = TESTS.into_iter().find(|test| text[at..].starts_with(test));
        let test = test.ok_or_else(|| format!("`{text}` compares with nothing known"))?;
        let value = &text[at + test.len()..];
        let field = text[..at].to_owned();
        Ok(match value.strip_prefix('?') {
            Some(name) if test == "=" => Self { field, test: Test::Binds, value: name.to_owned() },
            _ => Self { field, test: Test::Is(test), value: value.to_owned() },
        })
    }
}

/// Splits at blanks, but not within single quotes.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words: Vec<String> = Vec::new();
    let mut quoted = false;
    let mut begun = false;
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => begun = false,
            c => {
                if !begun {
                    words.push(String::new());
                    begun = true;
                }
                words.last_mut().into_iter().for_each(|word| word.push(c));
            }
        }
    }
    if quoted { Err(format!("`{text}`: a quote is not closed")) } else { Ok(words) }
}

/// Looks for a row; returns what was seen in words, and binds what it says. The error is what is there instead.
pub(super) fn look(
    conditions: &[Condition],
    none: bool,
    rows: &[Value],
    bound: &mut Bound,
) -> Result<String, String> {
    for row in rows {
        let mut tried = bound.clone();
        if conditions.iter().all(|condition| condition.holds(row, &mut tried)) {
            let seen = shown(conditions, row);
            if none {
                return Err(seen);
            }
            *bound = tried;
            return Ok(seen);
        }
    }
    match (none, rows.last()) {
        (true, _) => Ok(format!("none, of {}", rows.len())),
        (false, None) => Err("nothing at all".to_owned()),
        (false, Some(last)) => {
            Err(format!("none, of {}; the last one: {}", rows.len(), shown(conditions, last)))
        }
    }
}

impl Condition {
    fn holds(&self, row: &Value, bound: &mut Bound) -> bool {
        let Some(found) = field(row, &self.field).map(text_of) else { return false };
        let test = match self.test {
            Test::Binds => {
                bound.insert(self.value.clone(), found);
                return true;
            }
            Test::Is(test) => test,
        };
        let wanted = filled_in(&self.value, bound);
        let numbers = || Some((found.parse::<f64>().ok()?, wanted.parse::<f64>().ok()?));
        match test {
            "=" => found == wanted,
            "!=" => found != wanted,
            "~" => found.contains(&wanted),
            ">=" => numbers().is_some_and(|(found, wanted)| found >= wanted),
            "<=" => numbers().is_some_and(|(found, wanted)| found <= wanted),
            ">" => numbers().is_some_and(|(found, wanted)| found > wanted),
            _ => numbers().is_some_and(|(found, wanted)| found < wanted),
        }
    }
}

/// Replaces each `$NAME` by what it was bound to; a name that is not bound stays, and equals nothing.
fn filled_in(text: &str, bound: &Bound) -> String {
    // The longest name first, so that `$A2` is not taken for `$A`.
    let mut names: Vec<_> = bound.iter().collect();
    names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    names.into_iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${name}"), value))
}

/// A field of a row; `calls.0.id` looks into it.
fn field<'a>(row: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(row, |value, part| match part.parse::<usize>() {
        Ok(index) => value.get(index),
        Err(_) => value.get(part),
    })
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The fields that were asked for, as they are.
fn shown(conditions: &[Condition], row: &Value) -> String {
    let mut words: Vec<String> = Vec::new();
    for condition in conditions {
        let found = field(row, &condition.field).map_or("nothing".to_owned(), text_of);
        let word = format!("{} {}", condition.field, found.trim().replace('\n', ", "));
        if !words.contains(&word) {
            words.push(word);
        }
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conditions(text: &str) -> (bool, Vec<Condition>) {
        match text.parse().expect("a sight") {
            Sight::Rows { none, conditions, .. } => (none, conditions),
            other => panic!("{other:?}"),
        }
    }

    fn seen(text: &str, rows: &[Value], bound: &mut Bound) -> Result<String, String> {
        let (none, conditions) = conditions(text);
        look(&conditions, none, rows, bound)
    }

    #[test]
    fn a_row_is_found_by_its_fields_and_binds_what_is_asked_for() {
        let rows = [json!({ "kind": "relayed", "call": "a/i1/1", "n": 2 }), json!({ "kind": "stale" })];
        let mut bound = Bound::new();
        assert!(seen("event kind=relayed call=?X n>=2", &rows, &mut bound).is_ok());
        assert_eq!(bound["X"], "a/i1/1");
        assert!(seen("event kind=relayed call=$X", &rows, &mut bound).is_ok());
        assert!(seen("event kind=relayed call~'i1/'", &rows, &mut bound).is_ok());
        assert!(seen("event kind=relayed call!=$X", &rows, &mut bound).is_err());
        assert!(seen("no event kind=relayed n>2", &rows, &mut bound).is_ok());
        assert!(seen("no event kind=stale", &rows, &mut bound).is_err());
    }

    #[test]
    fn a_row_that_does_not_hold_binds_nothing() {
        let mut bound = Bound::new();
        assert!(
            seen("event call=?X kind=other", &[json!({ "kind": "a", "call": "b" })], &mut bound).is_err()
        );
        assert!(bound.is_empty());
    }

    #[test]
    fn what_tours_expect_may_be_expected_here_too_and_nonsense_is_refused() {
        assert!(matches!("lost = 0".parse(), Ok(Sight::Expected(_))));
        for wrong in ["row", "event kind", "row files id='x", "lots of luck"] {
            assert!(wrong.parse::<Sight>().is_err(), "{wrong}");
        }
    }
}
