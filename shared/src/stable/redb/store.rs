//! An open file and its newest snapshot, shared by those who read and the one who writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::redb::{Database, WriteTransaction};
use parking_lot::{Mutex, RwLock};

use super::disk::DiskFile;
use super::file::{guarded, redb_error};
use super::snapshot::Snapshot;
use crate::stable::AreaError;

/// An open file.
pub(super) struct Store {
    file: Arc<str>,
    disk: Arc<DiskFile>,
    /// None once it is closed. Held for an instant only: transactions live on without it.
    db: RwLock<Option<Database>>,
    /// Commits so far.
    commits: AtomicU64,
    /// The newest snapshot anybody asked for, and how many commits it has seen. All lookups between two commits
    /// share it; the writer drops it after each commit, so that redb can use the pages of the old state again.
    newest: Mutex<Option<(u64, Arc<Snapshot>)>>,
}

impl Store {
    pub(super) fn new(file: Arc<str>, disk: Arc<DiskFile>, db: Database) -> Self {
        Self { file, disk, db: RwLock::new(Some(db)), commits: AtomicU64::new(0), newest: Mutex::new(None) }
    }

    pub(super) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// How long the file is.
    pub(super) fn bytes(&self) -> u64 {
        self.disk.bytes()
    }

    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    /// Reads the area as of the last commit or a later one.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Snapshot) -> Result<T, AreaError>,
    ) -> Result<T, AreaError> {
        guarded(&self.file, || look(&*self.snapshot()?))
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, AreaError> {
        let mut newest = self.newest.lock();
        // Counted before the snapshot is taken: a commit in between makes it look older than it is, which costs
        // one more snapshot and is never wrong.
        let commits = self.commits();
        if let Some((seen, snapshot)) = &*newest
            && *seen == commits
        {
            return Ok(Arc::clone(snapshot));
        }
        let db = self.db.read();
        let snapshot = Arc::new(Snapshot::of(db.as_ref().ok_or(AreaError::Closed)?, &self.file)?);
        *newest = Some((commits, Arc::clone(&snapshot)));
        Ok(snapshot)
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, AreaError> {
        let db = self.db.read();
        db.as_ref()
            .ok_or(AreaError::Closed)?
            .begin_write()
            .map_err(|error| redb_error(&self.file, error.into()))
    }

    /// A commit is durable: from now on it is what is read.
    pub(super) fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Release);
        drop(self.newest.lock().take());
    }

    /// Lets redb check the sums of all its pages. Nobody else reads or writes meanwhile.
    pub(super) fn check_pages(&self) -> Result<bool, AreaError> {
        drop(self.newest.lock().take());
        let mut db = self.db.write();
        let db = db.as_mut().ok_or(AreaError::Closed)?;
        guarded(&self.file, || db.check_integrity().map_err(|error| redb_error(&self.file, error.into())))
    }

    /// Closes the file. Nobody writes any more.
    pub(super) fn close(&self) -> Result<(), AreaError> {
        drop(self.newest.lock().take());
        let Some(db) = self.db.write().take() else { return Ok(()) };
        // Dropping it would swallow the error.
        guarded(&self.file, || db.close().map_err(|error| redb_error(&self.file, error.into())))
    }
}
