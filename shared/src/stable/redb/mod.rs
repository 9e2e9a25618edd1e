//! Stable areas in files of redb: `<alias>.redb`, one per alias, held open by the member in service.

mod batch;
mod changes;
mod disk;
mod file;
pub(super) mod inspect;
mod overlay;
mod record;
mod show;
mod snapshot;
mod store;
mod teller;
mod writer;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread::JoinHandle;

use bytes::Bytes;
use palib_core::ids::{AliasId, Incarnation, Mark, SlotKey};
use palib_core::redundancy::Row;
use palib_core::relay::Journaled;
use palib_core::resend::Pending;
use parking_lot::Mutex;

pub use disk::DiskSeam;
pub use file::SCHEMA_VERSION;
#[doc(hidden)]
pub use record::reread_record;

use self::batch::Memory;
use self::disk::CommitWatch;
use self::file::Meta;
use self::snapshot::Snapshot;
use self::store::Store;
use self::teller::Teller;
use self::writer::{Durations, Queue, Writer};
use super::fence::Fence;
use super::{AppRead, AreaError, CommitStats, Job, Names, Sink, StableArea};
use crate::control::{AreaSummary, BrowseRow, Page, TableRow};

/// What an area is opened with.
#[derive(Clone)]
pub struct RedbOptions {
    /// The folder of the stable areas; the alias's fence lies in it too.
    pub folder: PathBuf,
    /// The name of the alias.
    pub alias: String,
    /// Its number.
    pub alias_id: AliasId,
    /// The incarnation in which the opener was promoted.
    pub incarnation: Incarnation,
    /// Who is told what became durable.
    pub sink: Arc<dyn Sink>,
    /// Where disk faults come in, if they are wanted.
    pub seam: Option<Arc<dyn DiskSeam>>,
}

impl fmt::Debug for RedbOptions {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("RedbOptions")
            .field("folder", &self.folder)
            .field("alias", &self.alias)
            .field("incarnation", &self.incarnation)
            .finish_non_exhaustive()
    }
}

/// Where the area of an alias lies.
#[must_use]
pub fn area_path(areas: &Path, alias: &str) -> PathBuf {
    areas.join(format!("{alias}.redb"))
}

/// A stable area in a file.
pub struct RedbArea {
    store: Arc<Store>,
    queue: Arc<Queue>,
    durations: Arc<Durations>,
    meta: Meta,
    incarnation: Incarnation,
    writer: Mutex<Option<JoinHandle<Result<(), AreaError>>>>,
}

impl RedbArea {
    /// Opens the area of an alias, and makes it if there is none. A file that is refused is not changed.
    ///
    /// # Errors
    /// If a higher incarnation has begun, if another process holds the area open (it waits 250 ms for a lock that
    /// is just vanishing), if it is damaged, or of another alias or version.
    pub fn open(options: RedbOptions) -> Result<Arc<Self>, AreaError> {
        let RedbOptions { folder, alias, alias_id, incarnation, sink, seam } = options;
        let path = area_path(&folder, &alias);
        let file = file::name(&path);
        let fence = open_fence(&file, &folder, &alias, incarnation)?;
        if !path.exists() {
            let created_unix_ms = file::unix_ms();
            let alias = alias.clone();
            let meta = Meta { schema: SCHEMA_VERSION, alias, alias_id, incarnation, created_unix_ms };
            file::create(&path, &meta, seam.clone())?;
        }
        let opened = file::open(&path, seam)?;
        let meta = opened.meta;
        if meta.alias != alias || meta.alias_id != alias_id {
            return Err(AreaError::OtherAlias {
                file: file.to_string(),
                found: format!("{} (number {})", meta.alias, meta.alias_id),
                wanted: format!("{alias} (number {alias_id})"),
            });
        }
        if meta.incarnation > incarnation {
            return Err(AreaError::Fenced { mine: incarnation.0, current: meta.incarnation.0 });
        }
        if file::guarded(&file, || opened.snapshot.is_new())? {
            // Who made it may have been killed between giving it its name and making that durable.
            file::keep_name(&path)?;
        }
        let memory = file::guarded(&file, || Memory::of(&opened.snapshot, meta.incarnation == incarnation))?;
        drop(opened.snapshot);
        // It is ours: redb may change it now.
        opened.disk.release().map_err(|error| file::redb_error(&file, error.into()))?;
        let store = Arc::new(Store::new(file, opened.disk, opened.db));
        let queue = Arc::new(Queue::default());
        let durations = Arc::new(Durations::default());
        let teller = Arc::new(Teller {
            store: Arc::clone(&store),
            durations: Arc::clone(&durations),
            fence,
            incarnation,
            sink,
            stage: Mutex::default(),
        });
        store.watch_commits(Arc::downgrade(&teller) as Weak<dyn CommitWatch>);
        let writer = Writer { store: Arc::clone(&store), queue: Arc::clone(&queue), memory, teller };
        let writer = std::thread::Builder::new()
            .name(format!("area {alias}"))
            .spawn(move || writer.run())
            .map_err(|error| AreaError::Io { file: store.file().to_string(), reason: error.to_string() })?;
        Ok(Arc::new(Self { store, queue, durations, meta, incarnation, writer: Mutex::new(Some(writer)) }))
    }
}

fn open_fence(file: &str, folder: &Path, alias: &str, incarnation: Incarnation) -> Result<Fence, AreaError> {
    let refused = |reason: String| AreaError::Io { file: file.to_owned(), reason };
    let fence = Fence::open(folder, alias).map_err(|error| refused(error.to_string()))?;
    let current = fence.current().map_err(|error| refused(error.to_string()))?;
    if current > incarnation {
        return Err(AreaError::Fenced { mine: incarnation.0, current: current.0 });
    }
    // A lower one is no mistake: where nobody is left to be fenced, the FTM does not let a takeover wait for this file.
    Ok(fence)
}

impl StableArea for RedbArea {
    fn submit(&self, job: Job) {
        self.queue.push(job);
    }

    fn submit_all(&self, jobs: &mut Vec<Job>, more: bool) {
        self.queue.push_all(jobs, more);
    }

    fn load(&self, key: SlotKey) -> Result<(Option<Row<Bytes>>, Option<Mark>), AreaError> {
        self.store.read(|snapshot| snapshot.load(key))
    }

    fn outbox(&self) -> Result<Vec<Pending<Bytes>>, AreaError> {
        self.store.read(|snapshot| snapshot.outbox())
    }

    fn journal(&self) -> Result<Vec<Journaled<Bytes>>, AreaError> {
        self.store.read(Snapshot::journal)
    }

    fn blocked(&self) -> Result<Vec<(SlotKey, Row<Bytes>)>, AreaError> {
        self.store.read(|snapshot| snapshot.blocked())
    }

    fn read(&self, look: &mut dyn FnMut(&dyn AppRead)) -> Result<(), AreaError> {
        self.store.read(|snapshot| {
            look(snapshot);
            Ok(())
        })
    }

    fn rows(
        &self,
        names: &dyn Names,
        filter: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<TableRow>, AreaError> {
        self.store.read(|snapshot| show::rows(snapshot, names, filter, after, limit))
    }

    fn summary(&self) -> AreaSummary {
        let (commit_us_p50, commit_us_p99) = self.durations.percentiles();
        AreaSummary {
            alias: self.meta.alias.clone(),
            file: self.store.file().to_string(),
            bytes: self.store.bytes(),
            schema: self.meta.schema,
            incarnation: self.incarnation.0,
            tables: self.store.read(show::tables).unwrap_or_default(),
            commits: self.store.commits(),
            commit_us_p50,
            commit_us_p99,
        }
    }

    fn commit_stats(&self) -> CommitStats {
        let (us_p50, us_p99) = self.durations.percentiles();
        CommitStats { commits: self.store.commits(), us_p50, us_p99 }
    }

    fn browse(
        &self,
        names: &dyn Names,
        table: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<BrowseRow>, AreaError> {
        self.store.read(|snapshot| show::browse(snapshot, names, table, after, limit))
    }

    fn close(&self) -> Result<(), AreaError> {
        self.queue.close();
        let Some(writer) = self.writer.lock().take() else { return Ok(()) };
        if writer.thread().id() == std::thread::current().id() {
            // The sink gave up the last hold on the area: the writer ends by itself, and the file with it.
            return Ok(());
        }
        let file = self.store.file().to_string();
        let written = writer
            .join()
            .unwrap_or_else(|panic| Err(AreaError::CommitFailed { file, reason: file::panic_text(&*panic) }));
        written.and(self.store.close())
    }
}

impl Drop for RedbArea {
    fn drop(&mut self) {
        if let Err(error) = self.close() {
            tracing::warn!(%error, "a stable area was dropped and could not be closed");
        }
    }
}
