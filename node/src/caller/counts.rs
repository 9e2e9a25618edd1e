//! What a caller counts, durably: calls issued, acknowledged and failed, by the alias called.

use palib::{Area, AreaTxn, Result};

use crate::effects;

/// A count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    /// Calls put into the outbox.
    Issued,
    /// Calls that were answered.
    Acked,
    /// Calls that the service itself failed, or that were refused for good.
    Failed,
}

/// All counts, as last committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) issued: u64,
    pub(super) acked: u64,
    pub(super) failed: u64,
}

/// The names under which heartbeats tell the counts.
pub(super) struct Names {
    targets: Vec<(String, [&'static str; 3])>,
}

impl Count {
    const ALL: [Self; 3] = [Self::Issued, Self::Acked, Self::Failed];

    fn word(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Acked => "acked",
            Self::Failed => "failed",
        }
    }

    fn key(self, target: &str) -> String {
        format!("{}:{target}", self.word())
    }

    /// Counts one call within a transaction.
    pub(super) fn add(self, target: &str) -> impl FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static {
        let key = self.key(target);
        move |area| effects::add(area, &key, 1)
    }
}

impl Counts {
    /// Reads the counts of all aliases called so far.
    pub(super) fn read(area: &Area) -> Result<Self> {
        let sum = |count: Count| -> Result<u64> {
            let mut sum = 0;
            area.scan::<u64>(&count.key(""), |_, value| {
                sum += value;
                true
            })?;
            Ok(sum)
        };
        // In this order no call can seem acknowledged before it was issued: each read sees a later state.
        let (acked, failed) = (sum(Count::Acked)?, sum(Count::Failed)?);
        Ok(Self { issued: sum(Count::Issued)?, acked, failed })
    }
}

impl Names {
    /// The names live as long as the process, like the aliases they are about.
    pub(super) fn of<'a>(targets: impl Iterator<Item = &'a str>) -> Self {
        let name =
            |count: Count, target: &str| -> &'static str { Box::leak(count.key(target).into_boxed_str()) };
        let names = |target: &str| (target.to_owned(), Count::ALL.map(|count| name(count, target)));
        Self { targets: targets.map(names).collect() }
    }

    /// All counts as they go with a heartbeat: the sums, and those of each alias called. Nothing if one can't be read, as
    /// from an area that its process has closed because it ends: a count of 0 would say that nothing was ever asked.
    pub(super) fn read(&self, area: &Area) -> Vec<(&'static str, u64)> {
        self.counters(|name| area.get(name)).unwrap_or_default()
    }

    fn counters(&self, count: impl Fn(&str) -> Result<Option<u64>>) -> Result<Vec<(&'static str, u64)>> {
        let mut counters = Vec::new();
        let mut sums = Count::ALL.map(|count| (count.word(), 0));
        for (_, names) in &self.targets {
            // Acknowledged before issued: see `Counts::read`.
            for (place, name) in names.iter().enumerate().rev() {
                let value = count(name)?.unwrap_or(0);
                sums[place].1 += value;
                counters.push((*name, value));
            }
        }
        counters.extend(sums);
        Ok(counters)
    }
}

#[cfg(test)]
mod tests {
    use palib::Error;

    use super::*;

    #[test]
    fn a_caller_that_can_not_read_one_count_tells_none() {
        let names = Names::of(["counter", "ledger"].into_iter());
        let told = names.counters(|_| Ok(Some(7))).unwrap();
        assert!(told.contains(&("issued", 14)) && told.contains(&("acked:ledger", 7)), "{told:?}");
        for closed in ["issued:counter", "acked:counter", "failed:ledger"] {
            let count = |key: &str| if key == closed { Err(Error::Ended) } else { Ok(Some(7)) };
            assert!(names.counters(count).is_err(), "{closed}");
        }
    }
}
