//! What servers count, durably, for the verdict: how many requests had their effect, and how many of these were undone.

use std::time::Duration;

use palib::{Area, AreaTxn, Call, Result};
use parking_lot::RwLock;

/// How many requests were executed, operators' own apart; durable with each of them.
const EFFECTS: &str = "effects";
/// How many of them were operators' own.
const EFFECTS_OF_OPERATORS: &str = "effects of operators";
/// How many of those in [`EFFECTS`] were undone again, because their caller cancelled them. Operators can't cancel.
const UNDONE: &str = "undone";

/// How many requests an alias has executed: told with each heartbeat, read from what is durable.
#[derive(Default)]
pub(crate) struct Effects(RwLock<Option<Area>>);

impl Effects {
    pub(crate) fn promoted(&self, area: &Area) {
        *self.0.write() = Some(area.clone());
    }

    /// The area of the alias; none before the promotion.
    pub(crate) fn area(&self) -> Option<Area> {
        self.0.read().clone()
    }

    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let Some(area) = self.area() else { return Vec::new() };
        counters(|key| area.get(key)).unwrap_or_default()
    }

    /// How many calls of operators had their effect.
    pub(crate) fn of_operators(area: &Area) -> Result<u64> {
        Ok(area.get(EFFECTS_OF_OPERATORS)?.unwrap_or(0))
    }
}

/// The counters, or nothing if one can't be read, as from an area that its process has closed because it ends: a count
/// of 0 would say that everything is lost.
pub(crate) fn counters(count: impl Fn(&str) -> Result<Option<u64>>) -> Result<Vec<(&'static str, u64)>> {
    // What was undone is read after what was done: so the difference is never more than was there at a time.
    let mut counters = vec![(EFFECTS, count(EFFECTS)?.unwrap_or(0))];
    for key in [EFFECTS_OF_OPERATORS, UNDONE] {
        counters.extend(count(key)?.map(|count| (key, count)));
    }
    Ok(counters)
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

/// Whether a key of [`effects_key`] is that of operators.
pub(crate) fn is_of_operators(key: &str) -> bool {
    key == EFFECTS_OF_OPERATORS
}

/// Counts an effect in the transaction it happens in, and says how many there are with it.
pub(crate) fn add_effect(area: &mut AreaTxn<'_>, key: &str) -> Result<u64> {
    add_up(area, key, 1)
}

/// Counts in the transaction in which an effect is undone.
pub(crate) fn add_undone(area: &mut AreaTxn<'_>) -> Result<()> {
    add(area, UNDONE, 1)
}

/// Adds to a count within a transaction.
pub(crate) fn add(area: &mut AreaTxn<'_>, key: &str, more: u64) -> Result<()> {
    add_up(area, key, more).map(drop)
}

/// The same, and says what the count is then.
fn add_up(area: &mut AreaTxn<'_>, key: &str, more: u64) -> Result<u64> {
    let count = area.get::<u64>(key)?.unwrap_or(0) + more;
    area.put(key, &count)?;
    Ok(count)
}

/// Takes time, where a cluster file wants a service that does.
pub(crate) async fn work(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

#[cfg(test)]
mod tests {
    use palib::Error;

    use super::*;

    #[test]
    fn an_area_that_can_not_be_read_tells_no_count_and_not_that_there_is_none() {
        assert_eq!(counters(|_| Ok(None)).unwrap(), [(EFFECTS, 0)]);
        assert_eq!(counters(|_| Ok(Some(7))).unwrap().len(), 3);
        let closed =
            |at: &'static str| move |key: &str| if key == at { Err(Error::Ended) } else { Ok(Some(7)) };
        for key in [EFFECTS, EFFECTS_OF_OPERATORS, UNDONE] {
            assert!(counters(closed(key)).is_err(), "{key}");
        }
    }
}
