//! Counters in the stable area: the value and the outcome of a call become durable in one transaction.
//!
//! `inc KEY N` answers the value after it, `add KEY N` adds and answers `added`, `read KEY` answers the value.

use std::time::Duration;

use palib::control::TicketAlias;
use palib::{Area, AreaTxn, Call, Error, Reply, Result, Service};
use parking_lot::RwLock;

use crate::NodeError;
use crate::options::Options;

/// How many requests were executed, operators' own apart; durable with each of them.
const EFFECTS: &str = "effects";
/// How many of them were operators' own.
const EFFECTS_OF_OPERATORS: &str = "effects of operators";

/// The service.
pub(crate) struct Counter {
    pub(crate) effects: Effects,
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

/// How many requests an alias has executed: told with each heartbeat, read from what is durable.
#[derive(Default)]
pub(crate) struct Effects(RwLock<Option<Area>>);

impl Effects {
    pub(crate) fn promoted(&self, area: &Area) {
        *self.0.write() = Some(area.clone());
    }

    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let area = self.0.read().clone();
        let Some(area) = area else { return Vec::new() };
        let count = |key| area.get::<u64>(key).ok().flatten();
        let mut counters = vec![(EFFECTS, count(EFFECTS).unwrap_or(0))];
        counters.extend(count(EFFECTS_OF_OPERATORS).map(|count| (EFFECTS_OF_OPERATORS, count)));
        counters
    }
}

/// The count that a call belongs to: what operators call by hand is no part of a load, and the verdict compares the
/// load with its effects.
pub(crate) fn effects_key(call: &Call) -> &'static str {
    effects_key_of(&call.source())
}

/// The same, from the alias that calls.
pub(crate) fn effects_key_of(source: &str) -> &'static str {
    if source == crate::OPERATOR { EFFECTS_OF_OPERATORS } else { EFFECTS }
}

/// Counts an effect in the transaction it happens in.
pub(crate) fn add_effect(area: &mut AreaTxn<'_>, key: &str) -> Result<()> {
    let effects = area.get::<u64>(key)?.unwrap_or(0);
    area.put(key, &(effects + 1))
}

/// Takes time, where a cluster file wants a service that does.
pub(crate) async fn work(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
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
