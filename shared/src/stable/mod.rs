//! Stable areas: what outlives a process (patent: SA). One area per alias; the member in service holds it open.
//!
//! Nothing outside this module knows what an area is stored in. Everything is written through one queue per area;
//! what gathers while a commit runs goes into the next one together.

mod fence;
pub mod redb;

use std::sync::Arc;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId, Incarnation, Mark, SlotKey};
use palib_core::message::Outcome;
use palib_core::redundancy::Row;
use palib_core::relay::{Journaled, Served};
use palib_core::resend::Pending;
use palib_core::server::OnFailure;

pub use fence::{FENCE_BYTES, Fence, decode_fence, encode_fence, fence_path, raise_fence};
pub use redb::DiskSeam;
pub(crate) use redb::area_path;
pub use redb::inspect::{AreaCheck, AreaDamage, Inspection, inspect_file};

use crate::control::{AreaSummary, BrowseRow, Page, TableRow};

/// A store of one alias that outlives the processes that use it.
pub trait StableArea: Send + Sync + 'static {
    /// Hands a job to the writer. Its writes become durable in one commit, together with those of other jobs;
    /// then [`Sink::committed`] is told. The order of jobs is kept. A job without writes causes no commit of its
    /// own: it only passes through the writer, which is how a heartbeat shows that the writer lives.
    fn submit(&self, job: Job);

    /// Hands several jobs to the writer, in this order, and takes them out of `jobs`. With `more` it says that it
    /// has others in its hands and will hand them over without waiting for anything, at the latest with a call
    /// that says so: until then the writer applies what it has and does not commit it. For one submitter only.
    fn submit_all(&self, jobs: &mut Vec<Job>, more: bool);

    /// Reads a row and the mark of its source.
    ///
    /// # Errors
    /// If the area can't be read or the record is damaged.
    fn load(&self, key: SlotKey) -> Result<(Option<Row<Bytes>>, Option<Mark>), AreaError>;

    /// All calls in the outbox, in the order of their ids.
    ///
    /// # Errors
    /// If the area can't be read or a record is damaged.
    fn outbox(&self) -> Result<Vec<Pending<Bytes>>, AreaError>;

    /// The journal of relays: the calls on of all transactions that are open or retained, in the order of the calls
    /// they are made for and of their positions.
    ///
    /// # Errors
    /// If the area can't be read or a record is damaged.
    fn journal(&self) -> Result<Vec<Journaled<Bytes>>, AreaError>;

    /// All rows in state blocked or relaying, found through their index: this does not grow with the table.
    ///
    /// # Errors
    /// If the area can't be read or a record is damaged.
    fn blocked(&self) -> Result<Vec<(SlotKey, Row<Bytes>)>, AreaError>;

    /// Runs a closure over the service's own state as of the last commit, read-only.
    ///
    /// # Errors
    /// If the area can't be read.
    fn read(&self, look: &mut dyn FnMut(&dyn AppRead)) -> Result<(), AreaError>;

    /// Rows of the redundancy table, in the order of their keys, whose id contains `filter`.
    ///
    /// # Errors
    /// If the area can't be read, or `after` is none of this area's.
    fn rows(
        &self,
        names: &dyn Names,
        filter: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<TableRow>, AreaError>;

    /// The area at a glance.
    fn summary(&self) -> AreaSummary;

    /// What was measured of its commits; cheaper than the summary, as it goes with each heartbeat.
    fn commit_stats(&self) -> CommitStats;

    /// Rows of one of its tables, decoded.
    ///
    /// # Errors
    /// If there is no such table, or it can't be read.
    fn browse(
        &self,
        names: &dyn Names,
        table: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<BrowseRow>, AreaError>;

    /// Commits what is queued and closes the area; later jobs are dropped.
    ///
    /// # Errors
    /// If the last commit or the closing failed.
    fn close(&self) -> Result<(), AreaError>;
}

/// What was measured of the commits of an area since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitStats {
    /// How many there were.
    pub commits: u64,
    /// The median duration of the last ones, in microseconds.
    pub us_p50: u64,
    /// Their 99th percentile, in microseconds.
    pub us_p99: u64,
}

/// The names of aliases, for showing ids.
pub trait Names: Send + Sync {
    /// The name of an alias, if it is known.
    fn alias(&self, id: AliasId) -> Option<String>;
}

/// Writes that become durable together.
pub struct Job {
    /// The incarnation that must still be the alias's when the commit is made.
    pub incarnation: Incarnation,
    /// What is written.
    pub writes: Vec<AreaWrite>,
    /// Given back to [`Sink::committed`].
    pub token: Token,
}

/// One write.
pub enum AreaWrite {
    /// Put a row of the redundancy table; the index of blocked rows follows its state.
    Row {
        /// Where.
        key: SlotKey,
        /// What.
        row: Row<Bytes>,
    },
    /// Run a closure over the service's own state and put a row with the outcome it returns. If it fails, what
    /// it changed is dropped and the row gets the failure.
    Atomic {
        /// Where the row goes.
        key: SlotKey,
        /// Whose row.
        id: CallId,
        /// The digest of its request.
        digest: u128,
        /// What becomes of a failure of the closure. [`OnFailure::Nothing`] leaves out all later writes of the job, too,
        /// but marks: these tell of the source alias, and whoever submits the job takes them for stored.
        failure: OnFailure,
        /// The closure. It may be run again if the store has to repeat the transaction.
        run: AtomicClosure,
    },
    /// Run a closure over the service's own state and put a row that says the call is cancelled and was undone. If it
    /// fails, nothing of it is changed, no row is put, and all later writes of the job but marks are left out.
    AtomicUndo {
        /// Where the row lies.
        key: SlotKey,
        /// Whose row.
        id: CallId,
        /// The digest of its request.
        digest: u128,
        /// The closure.
        run: AtomicClosure,
    },
    /// Forget the row that lies here, and its entry in the index of blocked rows.
    DropRow {
        /// Where.
        key: SlotKey,
    },
    /// Put a row of the journal of relays, over what it has for the same call at the same position.
    Journal(Box<Journaled<Bytes>>),
    /// Drop all rows of the journal for a call that is served.
    CloseJournal(Served),
    /// Remember the mark of a source alias and drop its sessions and rows below it.
    Mark {
        /// Whose.
        source: AliasId,
        /// The mark.
        mark: Mark,
    },
    /// Put a call into the outbox.
    OutboxPut(Pending<Bytes>),
    /// Take a call out of the outbox.
    OutboxDrop(CallId),
    /// Change the service's own state, apart from any call. If it fails nothing of it is changed, and the
    /// failure comes back in [`Committed::outcome`].
    App(AtomicClosure),
    /// Change the service's own state along with the other writes of the job. If the closure fails, nothing of it is
    /// changed and the other writes stand; its outcome is told to nobody.
    Also(AtomicClosure),
}

/// A closure of atomic mode.
pub type AtomicClosure = Box<dyn FnMut(&mut dyn AppWrite) -> Outcome<Bytes> + Send>;

/// What a job was for; palib's own bookkeeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Token {
    /// A row with an outcome, or with a handler registered.
    Row(CallId),
    /// A row in state blocked.
    Block(CallId),
    /// A call put into the outbox.
    Outbox(CallId),
    /// A call on put into the journal of relays.
    CallOn(CallId),
    /// A transaction of a relay turned back.
    Course(CallId),
    /// A row in state undoing.
    Undoing(CallId),
    /// A row in state cancelled.
    Cancelled(CallId),
    /// The journal of a transaction closed.
    Closed {
        /// The call that was served.
        id: CallId,
        /// Whether its row was forgotten, too.
        rolled_back: bool,
    },
    /// Anything else, under a number of the submitter's.
    Other(u64),
}

/// A job that is durable.
pub struct Committed {
    /// The job's token.
    pub token: Token,
    /// The outcome of its `Atomic`, `AtomicUndo` or `App` write, or of the `AutoReply` row it put.
    pub outcome: Option<Outcome<Bytes>>,
}

/// Who is told what became durable. Called on the writer's thread, once per commit, with all its jobs in order.
pub trait Sink: Send + Sync + 'static {
    /// These jobs are durable. Told at the instant of it: the area shows them to readers when this has returned and a
    /// few microseconds have passed, and lets readers wait until then; so this must not read the area.
    fn committed(&self, jobs: Vec<Committed>);

    /// The incarnation has risen, or a commit failed: nothing more is committed. The process must end.
    fn fatal(&self, error: AreaError);
}

/// The service's own state, read-only.
pub trait AppRead {
    /// The value of a key.
    ///
    /// # Errors
    /// If the area can't be read or the record is damaged.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, AreaError>;

    /// Calls `each` for every key with this prefix, in order, until it returns false.
    ///
    /// # Errors
    /// If the area can't be read or a record is damaged.
    fn scan(&self, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), AreaError>;
}

/// The service's own state inside a transaction.
pub trait AppWrite: AppRead {
    /// Sets a key.
    fn put(&mut self, key: &[u8], value: Bytes);

    /// Removes a key.
    fn remove(&mut self, key: &[u8]);
}

/// What can be wrong with a stable area.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AreaError {
    /// Another process holds it open.
    #[error("{file}: another process holds this stable area open; it must end first")]
    InUse {
        /// The file.
        file: String,
    },
    /// Its owner lives, so its file must not be read behind its back.
    #[error(
        "{file}: its owner is alive and holds it open; look into it through its owner, with `palib table`, or end \
         the cluster first"
    )]
    OwnerAlive {
        /// The file.
        file: String,
    },
    /// It was written by another version of palib.
    #[error("{file}: schema version {found}, this palib reads version {known}; use the palib that wrote it")]
    OtherVersion {
        /// The file.
        file: String,
        /// Its version.
        found: u32,
        /// The version this library reads.
        known: u32,
    },
    /// It belongs to another alias.
    #[error("{file}: this stable area belongs to alias {found}, not to {wanted}")]
    OtherAlias {
        /// The file.
        file: String,
        /// Whose it is.
        found: String,
        /// Whose it should be.
        wanted: String,
    },
    /// The file is truncated or is no stable area at all.
    #[error("{file}: not a readable stable area: {reason}. Nothing was changed; restore it from a copy")]
    Damaged {
        /// The file.
        file: String,
        /// What was found.
        reason: String,
    },
    /// A record's checksum is wrong.
    #[error("{file}: record {key} in table {table} is damaged: {reason}. Nothing was changed")]
    DamagedRecord {
        /// The file.
        file: String,
        /// The table.
        table: String,
        /// The key.
        key: String,
        /// What was found.
        reason: String,
    },
    /// The incarnation has risen: another member is in service.
    #[error("fenced: incarnation {current} has begun, this process had {mine}")]
    Fenced {
        /// The incarnation of this process.
        mine: u64,
        /// The incarnation now.
        current: u64,
    },
    /// Writing or syncing failed. What was in that commit may or may not be durable; the next owner reads it.
    #[error("{file}: a commit failed ({reason}); the process ends so that its backup reads what is durable")]
    CommitFailed {
        /// The file.
        file: String,
        /// The operating system's words.
        reason: String,
    },
    /// The area was closed.
    #[error("the stable area is closed")]
    Closed,
    /// Anything else the operating system refused.
    #[error("{file}: {reason}")]
    Io {
        /// The file.
        file: String,
        /// The operating system's words.
        reason: String,
    },
    /// The asker's mistake: no such table, or a cursor of another area.
    #[error("{0}")]
    BadQuestion(String),
}

/// A shared area.
pub type SharedArea = Arc<dyn StableArea>;

/// Opens the area of an alias in the store this cluster uses: redb, on one machine. What else a store may need is
/// decided here, so that nothing above knows which one it is. Faults of the disk come in at `seam`, if they are wanted.
///
/// # Errors
/// If a higher incarnation has begun, another process holds the area, or it can't be read.
pub fn open_area(
    folder: &std::path::Path,
    alias: &str,
    alias_id: AliasId,
    incarnation: Incarnation,
    sink: Arc<dyn Sink>,
    seam: Option<Arc<dyn DiskSeam>>,
) -> Result<SharedArea, AreaError> {
    let (folder, alias) = (folder.to_owned(), alias.to_owned());
    let options = redb::RedbOptions { folder, alias, alias_id, incarnation, sink, seam };
    let area: SharedArea = redb::RedbArea::open(options)?;
    Ok(area)
}
