//! Which execution of a call counts.
//!
//! A call is executed by one run at a time, with one exception: a relay's transaction may be decided about from outside
//! while its handler is still busy with something else than calling on. Then the next run begins, and what the former one
//! still says is not heard.

use std::collections::HashMap;

use palib_core::ids::CallId;

use crate::branch::Run;

/// The executions of this process.
#[derive(Default)]
pub(super) struct Runs {
    last: u64,
    /// Calls that have called on, or are run again over a journal: the others have one run only, and cost nothing here.
    relays: HashMap<CallId, Ongoing>,
}

struct Ongoing {
    /// The run that counts.
    current: u64,
    /// How many have not ended.
    alive: u32,
}

impl Runs {
    /// A call is given to the service, with a transaction that is open if it has one. What former runs of it say is not
    /// heard from now on.
    pub(super) fn begin(&mut self, id: CallId, transaction: bool) -> Run {
        self.last += 1;
        if transaction {
            self.relays.entry(id).or_insert(Ongoing { current: self.last, alive: 0 });
        }
        if let Some(ongoing) = self.relays.get_mut(&id) {
            ongoing.current = self.last;
            ongoing.alive += 1;
        }
        Run { id, number: self.last }
    }

    /// A run calls on. False if it does not count any more.
    pub(super) fn relays(&mut self, run: Run) -> bool {
        let first = Ongoing { current: run.number, alive: 1 };
        self.relays.entry(run.id).or_insert(first).current == run.number
    }

    /// Whether a run counts.
    pub(super) fn counts(&self, run: Run) -> bool {
        self.relays.get(&run.id).is_none_or(|ongoing| ongoing.current == run.number)
    }

    /// A run has ended. False if it did not count any more.
    pub(super) fn end(&mut self, run: Run) -> bool {
        let counts = self.counts(run);
        if let Some(ongoing) = self.relays.get_mut(&run.id) {
            ongoing.alive -= 1;
            if ongoing.alive == 0 {
                self.relays.remove(&run.id);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use palib_core::ids::{AliasId, Incarnation, Origin, TransId};

    use super::*;

    const ID: CallId =
        CallId { source: AliasId(1), origin: Origin::Incarnation(Incarnation(1)), trans: TransId(7) };

    #[test]
    fn a_run_that_was_overtaken_is_not_heard_any_more() {
        let mut runs = Runs::default();
        let first = runs.begin(ID, false);
        assert!(runs.relays(first) && runs.counts(first));
        let second = runs.begin(ID, true);
        assert!(!runs.relays(first) && !runs.counts(first));
        assert!(runs.counts(second));
        assert!(runs.end(second), "the run that counts may end before the one that does not");
        assert!(!runs.end(first));
        assert!(runs.relays.is_empty());
    }

    #[test]
    fn a_run_over_a_journal_is_overtaken_also_before_it_has_called_on() {
        let mut runs = Runs::default();
        let adopted = runs.begin(ID, true);
        // It was rolled back, and the call performed from the beginning.
        let again = runs.begin(ID, false);
        assert!(!runs.counts(adopted) && runs.counts(again));
        assert!(!runs.relays(adopted), "its first call on comes too late");
        assert!(!runs.end(adopted) && runs.end(again));
        assert!(runs.relays.is_empty());
    }
}
