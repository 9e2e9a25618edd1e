//! The file under redb. It does three things redb's own backend does not: while an area is being opened it holds all
//! writes back, so that a file that is refused was not changed; it has a seam at which disk faults come in; and it tells
//! of the sync that makes a commit durable.

use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use ::redb::backends::FileBackend;
use ::redb::{BackendError, StorageBackend};
use parking_lot::Mutex;

/// A file of redb says with one bit which of two states is its newest: the lowest of this byte. A commit writes the pages
/// of the state that is to come, turns the bit over, and syncs. Of a commit in two phases that is the second sync.
const STATE_BYTE: usize = 9;
const STATE_BIT: u8 = 1;

/// Where disk faults come in: asked before each change of the file. An error it returns is the disk's error, and
/// the change is not made. Without a seam nothing is asked.
pub trait DiskSeam: fmt::Debug + Send + Sync + 'static {
    /// Bytes are about to be written.
    ///
    /// # Errors
    /// To make the write fail.
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// The length is about to be set.
    ///
    /// # Errors
    /// To make that fail, as a full disk would.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// What was written is about to be synced.
    ///
    /// # Errors
    /// To make the sync fail.
    fn sync(&self) -> io::Result<()>;
}

/// Who waits for a commit to become durable.
pub(super) trait CommitWatch: fmt::Debug + Send + Sync {
    /// The commit is durable. Called by the thread that commits, within redb, which does not show the commit yet.
    fn commit_is_durable(&self);
}

/// The file as redb sees it.
#[derive(Debug)]
pub(super) struct Disk(pub(super) Arc<DiskFile>);

/// The file as the area sees it.
#[derive(Debug)]
pub(super) struct DiskFile {
    file: FileBackend,
    seam: Option<Arc<dyn DiskSeam>>,
    /// True while writes are held back. Only the thread that opens the area is there then.
    holding: AtomicBool,
    held: Mutex<Vec<Change>>,
    /// The length of the file, for decisions that must not ask the operating system each time.
    len: AtomicU64,
    /// The state that was the newest when the commit under way began, and the one that was written last.
    state_before: AtomicU8,
    state_written: AtomicU8,
    watch: OnceLock<Weak<dyn CommitWatch>>,
}

/// A change of the file that is held back.
#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
}

impl DiskFile {
    /// Takes over an open file. Nothing is changed in it before [`DiskFile::release`].
    pub(super) fn holding(file: File, seam: Option<Arc<dyn DiskSeam>>) -> io::Result<Self> {
        let len = file.metadata()?.len();
        let mut state = [0];
        if len > STATE_BYTE as u64 {
            file.read_exact_at(&mut state, STATE_BYTE as u64)?;
        }
        let state = state[0] & STATE_BIT;
        let file = FileBackend::new(file).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self {
            file,
            seam,
            holding: AtomicBool::new(true),
            held: Mutex::new(Vec::new()),
            len: AtomicU64::new(len),
            state_before: AtomicU8::new(state),
            state_written: AtomicU8::new(state),
            watch: OnceLock::new(),
        })
    }

    /// From now on this one is told of commits.
    pub(super) fn set_watch(&self, watch: Weak<dyn CommitWatch>) {
        // Only who opens the file does this, once.
        let _ = self.watch.set(watch);
    }

    /// A commit begins: the next sync after the state was turned over makes it durable.
    pub(super) fn commit_begins(&self) {
        self.state_before.store(self.state_written.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Makes the changes that were held back, in their order and with their syncs, and holds no more back.
    pub(super) fn release(&self) -> io::Result<()> {
        self.holding.store(false, Ordering::Release);
        for change in std::mem::take(&mut *self.held.lock()) {
            match change {
                Change::Write(offset, data) => self.write(offset, &data)?,
                Change::SetLen(len) => self.set_len(len)?,
                Change::Sync => self.sync()?,
            }
        }
        Ok(())
    }

    /// How long the file is.
    pub(super) fn bytes(&self) -> u64 {
        self.len.load(Ordering::Relaxed)
    }

    fn is_holding(&self) -> bool {
        self.holding.load(Ordering::Acquire)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if let Some(seam) = &self.seam {
            seam.write(offset, data)?;
        }
        self.file.write(offset, data)?;
        if offset == 0
            && let Some(byte) = data.get(STATE_BYTE)
        {
            self.state_written.store(byte & STATE_BIT, Ordering::Relaxed);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if let Some(seam) = &self.seam {
            seam.set_len(len)?;
        }
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        if let Some(seam) = &self.seam {
            seam.sync()?;
        }
        self.file.sync_data()?;
        let written = self.state_written.load(Ordering::Relaxed);
        if self.state_before.swap(written, Ordering::Relaxed) != written
            && let Some(watch) = self.watch.get().and_then(Weak::upgrade)
        {
            watch.commit_is_durable();
        }
        Ok(())
    }

    /// True if the change was held back.
    fn hold(&self, change: impl FnOnce() -> Change) -> bool {
        let holding = self.is_holding();
        if holding {
            self.held.lock().push(change());
        }
        holding
    }

    /// Reads the file as it would be if the changes held back had been made.
    fn read_held(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let end = offset + out.len() as u64;
        if end > self.bytes() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file ends too early"));
        }
        let in_file = StorageBackend::len(&self.file)?.clamp(offset, end);
        let (old, new) = out.split_at_mut((in_file - offset) as usize);
        self.file.read(offset, old)?;
        new.fill(0);
        for change in &*self.held.lock() {
            match change {
                Change::Write(at, data) => lay_over(out, offset, *at, data),
                // What lies behind the new end reads as zeros, should the file grow again.
                Change::SetLen(len) => {
                    out[(*len).clamp(offset, end).saturating_sub(offset) as usize..].fill(0)
                }
                Change::Sync => {}
            }
        }
        Ok(())
    }
}

/// Copies the part of `data`, which lies at `at`, that falls into `out`, which lies at `offset`.
fn lay_over(out: &mut [u8], offset: u64, at: u64, data: &[u8]) {
    let from = at.max(offset);
    let to = (at + data.len() as u64).min(offset + out.len() as u64);
    if from < to {
        out[(from - offset) as usize..(to - offset) as usize]
            .copy_from_slice(&data[(from - at) as usize..(to - at) as usize]);
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        if self.0.is_holding() { Ok(self.0.bytes()) } else { self.0.file.len() }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.0.is_holding() { self.0.read_held(offset, out) } else { self.0.file.read(offset, out) }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if !self.0.hold(|| Change::SetLen(len)) {
            self.0.set_len(len)?;
        }
        self.0.len.store(len, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        if self.0.hold(|| Change::Sync) { Ok(()) } else { self.0.sync() }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if self.0.hold(|| Change::Write(offset, data.to_vec())) { Ok(()) } else { self.0.write(offset, data) }
    }

    fn close(&self) -> io::Result<()> {
        self.0.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.0.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.0.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use ::redb::{Builder, Database, TableDefinition};

    use super::*;

    /// What happens at the disk, in its order.
    #[derive(Debug, PartialEq, Eq, Clone, Copy)]
    enum Event {
        Write,
        SetLen,
        Sync,
        Durable,
    }

    #[derive(Debug, Default)]
    struct Events(Mutex<Vec<Event>>);

    impl DiskSeam for Events {
        fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
            self.0.lock().push(Event::Write);
            Ok(())
        }

        fn set_len(&self, _: u64) -> io::Result<()> {
            self.0.lock().push(Event::SetLen);
            Ok(())
        }

        fn sync(&self) -> io::Result<()> {
            self.0.lock().push(Event::Sync);
            Ok(())
        }
    }

    impl CommitWatch for Events {
        fn commit_is_durable(&self) {
            self.0.lock().push(Event::Durable);
        }
    }

    const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("table");

    fn commit(disk: &DiskFile, db: &Database, quick_repair: bool, key: u64, bytes: usize) {
        let mut txn = db.begin_write().unwrap();
        txn.open_table(TABLE).unwrap().insert(key, vec![7; bytes].as_slice()).unwrap();
        txn.set_quick_repair(quick_repair);
        disk.commit_begins();
        txn.commit().unwrap();
    }

    #[test]
    fn a_commit_is_told_durable_once_and_after_it_nothing_is_written() {
        let events = Arc::new(Events::default());
        let disk = DiskFile::holding(tempfile::tempfile().unwrap(), Some(events.clone())).unwrap();
        disk.release().unwrap();
        let disk = Arc::new(disk);
        let db = Builder::new().create_with_backend(Disk(Arc::clone(&disk))).unwrap();
        disk.set_watch(Arc::downgrade(&events) as Weak<dyn CommitWatch>);
        // Small ones, ones by which the file grows, and of both kinds.
        for (key, (quick_repair, bytes)) in [
            (false, 10),
            (false, 10),
            (true, 10),
            (false, 3_000_000),
            (true, 5_000_000),
            (true, 10),
            (false, 10),
        ]
        .into_iter()
        .enumerate()
        {
            events.0.lock().clear();
            commit(&disk, &db, quick_repair, key as u64, bytes);
            let mut events = std::mem::take(&mut *events.0.lock());
            // What redb cuts off at the end of its file is no part of the commit.
            events.retain(|event| *event != Event::SetLen);
            assert!(events.ends_with(&[Event::Write, Event::Sync, Event::Durable]), "{key}: {events:?}");
            assert_eq!(
                events.iter().filter(|event| **event == Event::Durable).count(),
                1,
                "{key}: {events:?}"
            );
        }
    }
}
