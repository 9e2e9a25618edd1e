//! Making a schedule smaller that breaks an invariant, so that a person can follow what is left.

use crate::guard::Guard;
use crate::invariant::Invariant;
use crate::run;
use crate::schedule::{Noise, Plan, Schedule, What};

/// How many runs a schedule is worth.
const RUNS_MAX: usize = 3000;

/// The smallest schedule that was found to break the same invariant: with fewer defects, fewer calls, less noise.
/// Itself, if it breaks none.
#[must_use]
pub fn shrink(schedule: &Schedule, without: Option<Guard>) -> Schedule {
    let Some(violation) = run(schedule, without).violation else { return schedule.clone() };
    let mut shrinking =
        Shrinking { best: schedule.clone(), without, invariant: violation.invariant, left: RUNS_MAX };
    while shrinking.round() {}
    shrinking.best
}

struct Shrinking {
    best: Schedule,
    without: Option<Guard>,
    invariant: Invariant,
    /// How many runs are left.
    left: usize,
}

impl Shrinking {
    /// Takes a smaller schedule if it breaks the invariant, too.
    fn take(&mut self, smaller: Schedule) -> bool {
        if self.left == 0 || smaller == self.best {
            return false;
        }
        self.left -= 1;
        let violation = run(&smaller, self.without).violation;
        let breaks = violation.is_some_and(|violation| violation.invariant == self.invariant);
        if breaks {
            self.best = smaller;
        }
        breaks
    }

    /// Tries everything once; whether anything was taken.
    fn round(&mut self) -> bool {
        let defects = self.fewer(|schedule| &mut schedule.defects);
        let calls = self.fewer(|schedule| &mut schedule.calls);
        let simpler = self.simpler();
        let shorter = self.shorter();
        defects || calls || simpler || shorter
    }

    /// Takes away parts of a list: halves first, then smaller ones (delta debugging).
    fn fewer<T>(&mut self, list: impl Fn(&mut Schedule) -> &mut Vec<T>) -> bool {
        let mut taken = false;
        let mut part = list(&mut self.best.clone()).len().div_ceil(2);
        while part > 0 {
            let mut at = 0;
            while at < list(&mut self.best.clone()).len() {
                let mut smaller = self.best.clone();
                let items = list(&mut smaller);
                items.drain(at..(at + part).min(items.len()));
                if self.take(smaller) {
                    taken = true;
                } else {
                    at += part;
                }
            }
            part /= 2;
        }
        taken
    }

    /// Makes the cluster plainer.
    fn simpler(&mut self) -> bool {
        let changes: [fn(&mut Plan); 10] = [
            |plan| plan.noise = Noise::default(),
            |plan| plan.noise.lost = 0,
            |plan| plan.noise.doubled = 0,
            |plan| plan.noise.late = 0,
            |plan| plan.slow_reads = false,
            |plan| plan.roaming = false,
            |plan| plan.site_ids = false,
            |plan| plan.members = 2,
            |plan| plan.callers.iter_mut().for_each(|caller| caller.by_port = false),
            |plan| plan.callers.iter_mut().for_each(|caller| caller.outbox = true),
        ];
        let mut taken = false;
        for change in changes {
            let mut smaller = self.best.clone();
            change(&mut smaller.plan);
            taken |= self.take(smaller);
        }
        let mut smaller = self.best.clone();
        smaller.calls.iter_mut().for_each(|call| call.deadline = None);
        taken |= self.take(smaller);
        self.without_last_caller() || taken
    }

    /// The last caller goes, if it calls nobody any more.
    fn without_last_caller(&mut self) -> bool {
        let last = self.best.plan.callers.len() - 1;
        let used = self.best.calls.iter().any(|call| call.caller == last);
        // The aliases after it would change their numbers, and with them whom the defects hit.
        if last == 0 || used || !self.best.defects.is_empty() {
            return false;
        }
        let mut smaller = self.best.clone();
        smaller.plan.callers.pop();
        self.take(smaller)
    }

    /// Lets defects last shorter.
    fn shorter(&mut self) -> bool {
        let mut taken = false;
        for nth in 0..self.best.defects.len() {
            let mut smaller = self.best.clone();
            match &mut smaller.defects[nth].what {
                What::Hang(_, us) | What::Spare(_, us) | What::Link(_, _, _, us) | What::Disk(_, _, us)
                    if *us > 2000 =>
                {
                    *us /= 2;
                }
                _ => continue,
            }
            taken |= self.take(smaller);
        }
        taken
    }
}
