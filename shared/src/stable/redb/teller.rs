//! Tells what became durable at the instant at which it did.
//!
//! redb comes back from a commit some 17 µs after the sync that made it durable; it frees pages first. A caller need not
//! wait for that, so the disk tells of the sync, and this tells what was waiting for it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use palib_core::ids::Incarnation;
use parking_lot::Mutex;

use super::disk::CommitWatch;
use super::store::Store;
use super::writer::Durations;
use crate::stable::fence::Fence;
use crate::stable::{AreaError, Committed, Sink};

/// Tells the sink what became durable, as long as the incarnation is in service.
pub(super) struct Teller {
    pub(super) store: Arc<Store>,
    pub(super) durations: Arc<Durations>,
    pub(super) fence: Fence,
    pub(super) incarnation: Incarnation,
    pub(super) sink: Arc<dyn Sink>,
    /// How far the commit under way is. Only the writer's thread asks.
    pub(super) stage: Mutex<Stage>,
}

/// How far a commit is.
#[derive(Default)]
pub(super) enum Stage {
    /// There is none.
    #[default]
    None,
    /// These jobs will be told when it is durable.
    Waits(Telling),
    /// It is durable, and this came of telling so.
    Told(Result<(), AreaError>),
}

/// Jobs that are told when they are durable.
pub(super) struct Telling {
    /// When their commit was begun.
    pub(super) began: Instant,
    pub(super) jobs: Vec<Committed>,
}

impl Teller {
    /// The incarnation must still be the alias's.
    pub(super) fn check_fence(&self) -> Result<(), AreaError> {
        let current = self.fence.current().map_err(|error| self.failed(error.to_string()))?;
        if current > self.incarnation {
            return Err(AreaError::Fenced { mine: self.incarnation.0, current: current.0 });
        }
        Ok(())
    }

    pub(super) fn failed(&self, reason: String) -> AreaError {
        AreaError::CommitFailed { file: self.store.file().to_string(), reason }
    }

    /// A disk that fails while a commit is prepared is a failed commit like any other.
    pub(super) fn as_commit_failed(&self, error: AreaError) -> AreaError {
        match error {
            AreaError::Io { reason, .. } => self.failed(reason),
            other => other,
        }
    }

    /// Makes a commit, and tells these jobs once it is durable. If redb fails after that, they were told all the same,
    /// rightly: they are in the file, and this process, which ends now, is not asked for them any more.
    pub(super) fn commit(
        &self,
        telling: Telling,
        commit: impl FnOnce() -> Result<(), AreaError>,
    ) -> Result<(), AreaError> {
        *self.stage.lock() = Stage::Waits(telling);
        // Held until redb shows what was committed, or has failed or panicked.
        let showing = self.store.commit_begins();
        commit()?;
        self.store.committed();
        drop(showing);
        let stage = std::mem::take(&mut *self.stage.lock());
        match stage {
            Stage::Told(result) => result,
            // The disk has not recognised the commit.
            Stage::Waits(telling) => self.tell_commit(telling),
            Stage::None => Ok(()),
        }
    }

    /// Tells that nothing will be durable any more.
    pub(super) fn fatal(&self, error: AreaError) {
        self.sink.fatal(error);
    }

    /// Tells jobs that are durable.
    pub(super) fn tell(&self, jobs: Vec<Committed>) -> Result<(), AreaError> {
        // An answer that leaves here says: still in service. A commit takes its time, so look again.
        self.check_fence()?;
        self.sink.committed(jobs);
        Ok(())
    }

    fn tell_commit(&self, Telling { began, jobs }: Telling) -> Result<(), AreaError> {
        self.durations.note(began.elapsed().as_micros().min(u128::from(u32::MAX)) as u32);
        self.tell(jobs)
    }
}

impl CommitWatch for Teller {
    fn commit_is_durable(&self) {
        let mut stage = self.stage.lock();
        *stage = match std::mem::take(&mut *stage) {
            Stage::Waits(telling) => {
                // Whoever hears of it and reads must find it.
                self.store.hold_readers();
                Stage::Told(self.tell_commit(telling))
            }
            other => other,
        };
    }
}

impl fmt::Debug for Teller {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Teller").field("incarnation", &self.incarnation).finish_non_exhaustive()
    }
}
