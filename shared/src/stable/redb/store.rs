//! An open file and its newest snapshot, shared by those who read and the one who writes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use ::redb::{Database, WriteTransaction};
use parking_lot::{Condvar, Mutex, MutexGuard, RwLock};

use super::disk::{CommitWatch, DiskFile};
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
    newest: Mutex<Newest>,
    /// A commit was told durable, and redb does not show it yet. Set without the lock of `newest`: that happens within
    /// redb, which a reader that has the lock may be waiting for.
    hidden: AtomicBool,
    /// It is shown.
    shown: Condvar,
}

/// The newest snapshot anybody asked for, and how many commits it has seen. All lookups between two commits
/// share it; the writer drops it after each commit, so that redb can use the pages of the old state again.
type Newest = Option<(u64, Arc<Snapshot>)>;

/// As long as this is held, readers may be held back; they go on when it is dropped.
pub(super) struct Showing<'a>(&'a Store);

impl Drop for Showing<'_> {
    fn drop(&mut self) {
        if self.0.hidden.load(Ordering::Acquire) {
            let newest = self.0.newest.lock();
            self.0.hidden.store(false, Ordering::Release);
            drop(newest);
            self.0.shown.notify_all();
        }
    }
}

impl Store {
    pub(super) fn new(file: Arc<str>, disk: Arc<DiskFile>, db: Database) -> Self {
        Self {
            file,
            disk,
            db: RwLock::new(Some(db)),
            commits: AtomicU64::new(0),
            newest: Mutex::default(),
            hidden: AtomicBool::new(false),
            shown: Condvar::new(),
        }
    }

    pub(super) fn file(&self) -> &Arc<str> {
        &self.file
    }

    /// How long the file is.
    pub(super) fn bytes(&self) -> u64 {
        self.disk.bytes()
    }

    /// How many commits there were. Whoever was told of one finds it counted.
    pub(super) fn commits(&self) -> u64 {
        let _newest = self.newest();
        self.commits.load(Ordering::Acquire)
    }

    fn newest(&self) -> MutexGuard<'_, Newest> {
        let mut newest = self.newest.lock();
        while self.hidden.load(Ordering::Acquire) {
            self.shown.wait(&mut newest);
        }
        newest
    }

    /// From now on this one is told when a commit has become durable.
    pub(super) fn watch_commits(&self, watch: Weak<dyn CommitWatch>) {
        self.disk.set_watch(watch);
    }

    /// A commit begins. Readers may be held back until what this gives is dropped.
    pub(super) fn commit_begins(&self) -> Showing<'_> {
        self.disk.commit_begins();
        Showing(self)
    }

    /// What is committed now is about to be told: nobody reads before redb shows it, for some microseconds.
    pub(super) fn hold_readers(&self) {
        self.hidden.store(true, Ordering::Release);
    }

    /// Reads the area as of the last commit or a later one.
    pub(super) fn read<T>(
        &self,
        look: impl FnOnce(&Snapshot) -> Result<T, AreaError>,
    ) -> Result<T, AreaError> {
        guarded(&self.file, || look(&*self.snapshot()?))
    }

    fn snapshot(&self) -> Result<Arc<Snapshot>, AreaError> {
        let mut newest = self.newest();
        // Counted before the snapshot is taken: a commit in between makes it look older than it is, which costs
        // one more snapshot and is never wrong.
        let commits = self.commits.load(Ordering::Acquire);
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
