//! What a relay counts, durably, for the verdict: what it did itself, and what came of the calls that it made.
//!
//! | counter | is |
//! |---|---|
//! | `effects`, `undone` | calls that it answered with a reply, and those of them that were cancelled afterwards |
//! | `each:TARGET` | how many calls there may have an effect, at most, on behalf of one call |
//! | `acked:TARGET` | calls there that were answered on behalf of calls it has completed |
//! | `undone:TARGET` | how many of these were undone with the call they were made for |
//! | `operators` | calls of operators that it began |
//!
//! Calls on behalf of a call that failed, or was rolled back, are in none of these: they were undone where they had an
//! effect. Where one of several aliases may have been called (claim 26), `TARGET` is all of them, as `main|spare`.

use std::sync::atomic::{AtomicU64, Ordering};

use palib::{Area, AreaTxn, Call, Result, Undo};

use crate::effects::{self, Effects, add, add_effect, add_undone, effects_key};

/// The counts of a relay.
pub(crate) struct Relayed {
    effects: Effects,
    targets: Vec<Target>,
    /// Their calls are in no caller's count, so the verdict must know how many there may have been.
    operators: AtomicU64,
}

/// The calls that a relay makes somewhere on behalf of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    /// So many may have an effect, if it is answered with a reply.
    pub(crate) most: u64,
    /// So many were answered then.
    pub(crate) answered: u64,
}

impl Calls {
    /// Each call made is one answered.
    pub(crate) fn all(calls: u64) -> Self {
        Self { most: calls, answered: calls }
    }
}

/// An alias that is called, or several of which one is.
#[derive(Clone, Copy)]
struct Target {
    calls: Calls,
    /// The names live as long as the process, like the aliases they are about.
    each: &'static str,
    acked: &'static str,
    undone: &'static str,
}

impl Relayed {
    /// Counts for a relay that makes so many calls to each of these on behalf of one call.
    pub(crate) fn of(targets: &[(&str, Calls)]) -> Self {
        let name = |count: &str, target: &str| -> &'static str {
            Box::leak(format!("{count}:{target}").into_boxed_str())
        };
        let target = |&(target, calls): &(&str, Calls)| Target {
            calls,
            each: name("each", target),
            acked: name("acked", target),
            undone: name("undone", target),
        };
        Self {
            effects: Effects::default(),
            targets: targets.iter().map(target).collect(),
            operators: AtomicU64::new(0),
        }
    }

    /// A call comes in; to be told before the first call on.
    pub(crate) fn begins(&self, call: &Call) {
        if call.source() == crate::OPERATOR {
            self.operators.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts a call that is completed with a reply, in the transaction that registers that.
    pub(crate) fn completed(
        &self,
        call: &Call,
    ) -> impl FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static {
        let (effects, targets) = (effects_key(call), self.targets.clone());
        move |area| {
            add_effect(area, effects)?;
            targets.iter().try_for_each(|target| add(area, target.acked, target.calls.answered))
        }
    }

    /// Undoes a call that was completed. What was called on its behalf is undone already.
    pub(crate) async fn undo(&self, undo: Undo) -> Result<()> {
        let targets = self.targets.clone();
        undo.commit(move |area| {
            add_undone(area)?;
            targets.iter().try_for_each(|target| add(area, target.undone, target.calls.answered))
        })
        .await
    }

    pub(crate) fn promoted(&self, area: &Area) -> Result<()> {
        // Those that are half done are begun again.
        self.operators.store(Effects::of_operators(area)?, Ordering::Relaxed);
        self.effects.promoted(area);
        Ok(())
    }

    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let Some(area) = self.effects.area() else { return Vec::new() };
        self.counters(|key| area.get(key)).unwrap_or_default()
    }

    /// The counters, or nothing if one can't be read.
    fn counters(&self, count: impl Fn(&str) -> Result<Option<u64>>) -> Result<Vec<(&'static str, u64)>> {
        let mut counters = effects::counters(&count)?;
        counters.push(("operators", self.operators.load(Ordering::Relaxed)));
        for target in &self.targets {
            counters.push((target.each, target.calls.most));
            for key in [target.acked, target.undone] {
                counters.push((key, count(key)?.unwrap_or(0)));
            }
        }
        Ok(counters)
    }
}

#[cfg(test)]
mod tests {
    use palib::Error;

    use super::*;

    #[test]
    fn a_relay_that_can_not_read_one_count_tells_none() {
        let relayed = Relayed::of(&[("stock", Calls::all(1)), ("payments", Calls::all(2))]);
        let keys = ["effects", "acked:stock", "undone:stock", "acked:payments", "undone:payments"];
        let told = relayed.counters(|_| Ok(None)).unwrap();
        assert!(keys.iter().all(|key| told.contains(&(key, 0))), "{told:?}");
        for closed in keys {
            let count = |key: &str| if key == closed { Err(Error::Ended) } else { Ok(Some(7)) };
            assert!(relayed.counters(count).is_err(), "{closed}");
        }
    }
}
