//! The points that are armed in this process.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use palib_core::ids::AliasId;
use parking_lot::Mutex;
use signal_hook::consts::{SIGKILL, SIGSTOP};

use super::{Fired, Point};
use crate::clock::monotonic_ns;

/// A point that is armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Armed {
    /// Its id in the ledger.
    pub id: String,
    /// For which alias.
    pub alias: AliasId,
    /// Where.
    pub point: Point,
    /// At which time of passing it from now on, from 1.
    pub nth: u32,
    /// Whether the process stops there and waits, instead of dying.
    pub pause: bool,
}

/// The points that are armed in this process.
#[derive(Debug, Default)]
pub struct Points {
    /// How many are armed: all that is looked at where nothing is.
    count: AtomicUsize,
    armed: Mutex<Vec<Armed>>,
    file: PathBuf,
}

impl Points {
    /// Points that tell in this file what fired.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self { file, ..Self::default() }
    }

    /// Whether any point is armed.
    #[inline]
    #[must_use]
    pub fn any(&self) -> bool {
        self.count.load(Ordering::Relaxed) > 0
    }

    /// This process passes a point for an alias. If it is armed and this is the time, the process ends here, or stops
    /// here until it is told to go on.
    #[inline]
    pub fn pass(&self, alias: AliasId, point: Point) {
        if self.any()
            && let Some(armed) = self.count_down(alias, point)
        {
            self.fire(&armed);
        }
    }

    /// Arms a point. Nothing happens if it is armed already: the FTM says it again over each new link, and what was
    /// counted down stays so.
    pub fn arm(&self, armed: Armed) {
        let mut all = self.armed.lock();
        if all.iter().all(|other| other.id != armed.id) {
            all.push(armed);
        }
        self.count.store(all.len(), Ordering::Relaxed);
    }

    /// Disarms a point; one that has fired or was never armed is no error.
    pub fn disarm(&self, id: &str) {
        let mut all = self.armed.lock();
        all.retain(|armed| armed.id != id);
        self.count.store(all.len(), Ordering::Relaxed);
    }

    /// Counts down what is armed at a point; gives the one whose time it is, which is armed no more.
    #[cold]
    fn count_down(&self, alias: AliasId, point: Point) -> Option<Armed> {
        let mut all = self.armed.lock();
        let mut due = None;
        for (place, armed) in all.iter_mut().enumerate() {
            if armed.alias == alias && armed.point == point {
                // One that would fire together with another fires at the next time.
                armed.nth = armed.nth.saturating_sub(1);
                if armed.nth == 0 && due.is_none() {
                    due = Some(place);
                }
            }
        }
        let fired = due.map(|place| all.remove(place));
        self.count.store(all.len(), Ordering::Relaxed);
        fired
    }

    fn fire(&self, armed: &Armed) {
        let fired =
            Fired { id: armed.id.clone(), point: armed.point.name().to_owned(), at_ns: monotonic_ns() };
        if let Err(error) = fired.write(&self.file) {
            // A death that nobody can explain would look like a mistake of the library.
            tracing::error!(%error, file = %self.file.display(), id = armed.id, "a defect point can't fire");
            return;
        }
        // Raised in this thread: it gets no further, whatever the others do until the whole process has stopped.
        let signal = if armed.pause { SIGSTOP } else { SIGKILL };
        if let Err(error) = signal_hook::low_level::raise(signal) {
            tracing::error!(%error, id = armed.id, "a defect point could not raise its signal");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTER: AliasId = AliasId(1);

    fn armed(id: &str, point: Point, nth: u32) -> Armed {
        Armed { id: id.to_owned(), alias: COUNTER, point, nth, pause: false }
    }

    #[test]
    fn a_point_fires_at_its_time_for_its_alias_and_only_once() {
        let points = Points::default();
        assert!(!points.any());
        points.arm(armed("P1", Point::AfterBlock, 2));
        points.arm(armed("P1", Point::AfterBlock, 9));
        let passed = |alias, point| points.count_down(alias, point).map(|armed| armed.id);
        assert_eq!(passed(AliasId(2), Point::AfterBlock), None);
        assert_eq!(passed(COUNTER, Point::BeforeBlock), None);
        assert_eq!(passed(COUNTER, Point::AfterBlock), None, "the first time");
        assert_eq!(passed(COUNTER, Point::AfterBlock).as_deref(), Some("P1"));
        assert!(!points.any());
        assert_eq!(passed(COUNTER, Point::AfterBlock), None);
    }

    #[test]
    fn two_that_are_due_at_once_fire_one_after_the_other() {
        let points = Points::default();
        points.arm(armed("P1", Point::AfterCommit, 1));
        points.arm(armed("P2", Point::AfterCommit, 1));
        let passed = || points.count_down(COUNTER, Point::AfterCommit).map(|armed| armed.id);
        assert_eq!(passed().as_deref(), Some("P1"));
        assert_eq!(passed().as_deref(), Some("P2"));
        assert_eq!(passed(), None);
    }

    #[test]
    fn what_is_disarmed_does_not_fire() {
        let points = Points::default();
        points.arm(armed("P1", Point::AfterSend, 1));
        points.disarm("P1");
        points.disarm("P2");
        assert_eq!(points.count_down(COUNTER, Point::AfterSend), None);
    }
}
