//! Counters in the stable area: the value and the outcome of a call become durable in one transaction.
//!
//! `inc KEY N` answers the value after it, `add KEY N` adds and answers `added`, `read KEY` answers the value. What was
//! added is taken away again where the caller, a relay, cancels its call.

use std::time::Duration;

use palib::control::TicketAlias;
use palib::{Area, Call, Error, Reply, Result, Service, Undo};

use crate::NodeError;
use crate::effects::{Effects, add_effect, add_undone, effects_key, work};
use crate::options::Options;

/// The service.
pub(crate) struct Counter {
    effects: Effects,
    work: Duration,
}

/// What was asked.
#[derive(Debug, PartialEq, Eq)]
enum Request<'a> {
    Inc { key: &'a str, amount: u64 },
    Add { key: &'a str, amount: u64 },
    Read { key: &'a str },
}

impl Counter {
    pub(crate) fn new(alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&["work"])?;
        Ok(Self { effects: Effects::default(), work: options.time("work")?.unwrap_or_default() })
    }
}

impl Service for Counter {
    async fn handle(&self, call: Call) -> Result<Reply> {
        let (key, amount, answer) = match parse(call.text()?)? {
            Request::Inc { key, amount } => (counter_key(key), amount, None),
            Request::Add { key, amount } => (counter_key(key), amount, Some("added")),
            Request::Read { key } => (counter_key(key), 0, None),
        };
        work(self.work).await;
        let effects = effects_key(&call);
        call.commit(move |area| {
            let before = area.get::<u64>(&key)?.unwrap_or(0);
            let after = before.checked_add(amount).ok_or_else(|| Error::failed("the counter is full"))?;
            if amount > 0 {
                area.put(&key, &after)?;
            }
            add_effect(area, effects)?;
            Ok(answer.map_or_else(|| Reply::from(after.to_string()), Reply::from))
        })
        .await
    }

    async fn undo(&self, undo: Undo) -> Result<()> {
        let (key, amount) = match parse(undo.text()?)? {
            Request::Inc { key, amount } | Request::Add { key, amount } => (counter_key(key), amount),
            Request::Read { key } => (counter_key(key), 0),
        };
        undo.commit(move |area| {
            if amount > 0 {
                let rest = area.get::<u64>(&key)?.unwrap_or(0).checked_sub(amount);
                area.put(&key, &rest.ok_or_else(|| Error::failed("less is there than was added"))?)?;
            }
            add_undone(area)
        })
        .await
    }

    fn promoted(&self, area: &Area) -> Result<()> {
        self.effects.promoted(area);
        Ok(())
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.effects.read()
    }
}

fn counter_key(key: &str) -> String {
    format!("counter/{key}")
}

fn parse(text: &str) -> Result<Request<'_>> {
    let mut words = text.split_ascii_whitespace();
    let request = match (words.next(), words.next(), words.next()) {
        (Some("inc"), Some(key), Some(amount)) => {
            amount.parse().ok().map(|amount| Request::Inc { key, amount })
        }
        (Some("add"), Some(key), Some(amount)) => {
            amount.parse().ok().map(|amount| Request::Add { key, amount })
        }
        (Some("read"), Some(key), None) => Some(Request::Read { key }),
        _ => None,
    };
    request.filter(|_| words.next().is_none()).ok_or_else(|| {
        Error::failed(format!(
            "{text:?} is no request to a counter; ask `inc KEY N`, `add KEY N` or `read KEY`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_from_words() {
        assert_eq!(parse("inc k1 5").unwrap(), Request::Inc { key: "k1", amount: 5 });
        assert_eq!(parse("add k1 5").unwrap(), Request::Add { key: "k1", amount: 5 });
        assert_eq!(parse("read k1").unwrap(), Request::Read { key: "k1" });
        for wrong in ["", "inc k1", "inc k1 -5", "inc k1 5 6", "read", "read a b", "dec k 1"] {
            assert!(parse(wrong).is_err(), "{wrong:?} is taken for a request");
        }
    }
}
