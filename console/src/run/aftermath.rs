//! When a run is over that lasts until its defects have happened.

use std::time::{Duration, Instant};

/// So many calls after the last defect show that calls go on.
pub const CALLS_AFTER: u64 = 20;

/// A defect point that was not passed for so many calls, and not for so long, will not be.
const CALLS_IN_VAIN: u64 = 300;
const TIME_IN_VAIN: Duration = Duration::from_millis(2_500);
/// Nor will one that was not passed for so long, however slow the calls are.
const IN_VAIN_AT_LAST: Duration = Duration::from_secs(12);
/// Somebody who was told to end stays away, and a link that is cut stays cut: then this is long enough.
const AFTERMATH_MAX: Duration = Duration::from_secs(6);

/// What is seen of a run at a moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) now: Instant,
    /// Calls acknowledged so far.
    pub(super) acked: u64,
    /// Defects that have happened.
    pub(super) happened: usize,
    /// Whether everybody is in place, and no defect goes on.
    pub(super) whole: bool,
}

/// How far the defects of a run have come.
#[derive(Debug)]
pub(super) struct Aftermath {
    wanted: usize,
    /// When the last defect was ordered, and how many calls were acknowledged then.
    ordered: (Instant, u64),
    /// When all of them had happened.
    happened: Option<Instant>,
    /// Since then everybody is in place, and how many calls were acknowledged at that moment.
    whole: Option<u64>,
}

impl Aftermath {
    /// Of so many defects, none of which was ordered yet.
    pub(super) fn new(wanted: usize, now: Instant) -> Self {
        Self { wanted, ordered: (now, 0), happened: None, whole: None }
    }

    /// A defect was ordered.
    pub(super) fn struck(&mut self, now: Instant, acked: u64) {
        self.ordered = (now, acked);
    }

    /// Whether there is nothing left to wait for.
    pub(super) fn is_over(&mut self, seen: Seen, calls: u64) -> bool {
        let Seen { now, acked, happened, whole } = seen;
        if happened < self.wanted {
            let (since, before) = self.ordered;
            let (waited, more) = (now.saturating_duration_since(since), acked.saturating_sub(before));
            return waited >= IN_VAIN_AT_LAST || (waited >= TIME_IN_VAIN && more >= CALLS_IN_VAIN);
        }
        let since = *self.happened.get_or_insert(now);
        self.whole = whole.then(|| self.whole.unwrap_or(acked));
        let goes_on = self.whole.is_some_and(|before| acked >= before + calls);
        goes_on || now.saturating_duration_since(since) >= AFTERMATH_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn over(
        aftermath: &mut Aftermath,
        began: Instant,
        ms: u64,
        acked: u64,
        happened: usize,
        whole: bool,
    ) -> bool {
        let now = began + Duration::from_millis(ms);
        aftermath.is_over(Seen { now, acked, happened, whole }, 20)
    }

    #[test]
    fn a_run_goes_on_until_calls_go_on_after_the_last_defect() {
        let began = Instant::now();
        let mut aftermath = Aftermath::new(2, began);
        aftermath.struck(began, 0);
        assert!(!over(&mut aftermath, began, 1_000, 1_000, 1, true), "one has not happened");
        assert!(!over(&mut aftermath, began, 1_100, 1_000, 2, true), "no call since");
        assert!(!over(&mut aftermath, began, 1_200, 1_020, 2, false), "somebody is missing");
        assert!(!over(&mut aftermath, began, 1_300, 1_030, 2, true), "no call since it is whole");
        assert!(over(&mut aftermath, began, 1_400, 1_050, 2, true));
        assert!(over(&mut aftermath, began, 7_200, 1_000, 2, false), "who was told to end stays away");
    }

    #[test]
    fn nobody_waits_for_ever_for_a_point_that_is_not_passed() {
        let began = Instant::now();
        let mut aftermath = Aftermath::new(1, began);
        aftermath.struck(began + Duration::from_secs(1), 100);
        assert!(!over(&mut aftermath, began, 3_000, 9_000, 0, true));
        assert!(over(&mut aftermath, began, 3_500, 400, 0, true), "300 calls in vain");
        assert!(!over(&mut aftermath, began, 12_000, 399, 0, true));
        assert!(over(&mut aftermath, began, 13_000, 100, 0, true), "however slow");
    }
}
