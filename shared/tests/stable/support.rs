//! What the tests of stable areas share.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use palib::core::ids::{AliasId, CallId, Incarnation, Mark, Nanos, Origin, Session, SlotKey, TransId};
use palib::core::message::Outcome;
use palib::core::redundancy::{RedProcess, Row, RowState, WINDOW};
use palib::core::relay::{Course, Journaled, Policy, Position, Served};
use palib::core::resend::Pending;
use palib::stable::redb::{DiskSeam, RedbArea, RedbOptions, area_path};
use palib::stable::{
    AppWrite, AreaError, AreaWrite, AtomicClosure, Committed, Job, Names, Sink, StableArea, Token,
    raise_fence,
};
use parking_lot::{Condvar, Mutex};

pub(crate) const ALIAS: &str = "counter";
pub(crate) const ALIAS_ID: AliasId = AliasId(7);

/// Keeps what the writer told.
#[derive(Default)]
pub(crate) struct Recorder {
    told: Mutex<Told>,
    more: Condvar,
}

#[derive(Default)]
pub(crate) struct Told {
    pub(crate) committed: Vec<(Token, Option<Outcome<Bytes>>)>,
    pub(crate) batches: Vec<usize>,
    pub(crate) fatal: Option<AreaError>,
}

impl Sink for Recorder {
    fn committed(&self, jobs: Vec<Committed>) {
        let mut told = self.told.lock();
        told.batches.push(jobs.len());
        told.committed.extend(jobs.into_iter().map(|job| (job.token, job.outcome)));
        self.more.notify_all();
    }

    fn fatal(&self, error: AreaError) {
        let mut told = self.told.lock();
        assert!(told.fatal.is_none(), "an area breaks once");
        told.fatal = Some(error);
        self.more.notify_all();
    }
}

impl Recorder {
    /// Waits until the condition holds, and returns what it found.
    pub(crate) fn until<T>(&self, mut found: impl FnMut(&Told) -> Option<T>) -> T {
        let mut told = self.told.lock();
        loop {
            if let Some(found) = found(&told) {
                return found;
            }
            let waited = self.more.wait_for(&mut told, Duration::from_secs(20));
            assert!(!waited.timed_out(), "the writer said nothing more");
        }
    }

    pub(crate) fn fatal(&self) -> AreaError {
        self.until(|told| told.fatal.clone())
    }

    pub(crate) fn committed(&self) -> Vec<Token> {
        self.told.lock().committed.iter().map(|(token, _)| *token).collect()
    }
}

/// An area in a folder of its own.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    next: AtomicU64,
}

pub(crate) struct Opened {
    pub(crate) area: Arc<RedbArea>,
    pub(crate) sink: Arc<Recorder>,
    pub(crate) incarnation: Incarnation,
    next: AtomicU64,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), next: AtomicU64::new(0) }
    }

    pub(crate) fn path(&self) -> PathBuf {
        area_path(self.folder.path(), ALIAS)
    }

    /// Opens the area in the next incarnation, as a member that takes over.
    pub(crate) fn open(&self) -> Opened {
        self.try_open().unwrap()
    }

    pub(crate) fn try_open(&self) -> Result<Opened, AreaError> {
        self.try_open_with(None)
    }

    pub(crate) fn try_open_with(&self, seam: Option<Arc<dyn DiskSeam>>) -> Result<Opened, AreaError> {
        let incarnation = Incarnation(self.next.fetch_add(1, Ordering::Relaxed) + 1);
        raise_fence(self.folder.path(), ALIAS, incarnation).unwrap();
        open_in(self.folder.path(), incarnation, seam)
    }

    /// The area as it is in the file now, without its owner's leave: as after its death.
    pub(crate) fn copy_as_after_a_kill(&self) -> Place {
        let copy = Place::new();
        std::fs::copy(self.path(), copy.path()).unwrap();
        // Or the first sync of its next owner would wait for the whole copy.
        File::open(copy.path()).unwrap().sync_all().unwrap();
        copy.next.store(self.next.load(Ordering::Relaxed), Ordering::Relaxed);
        copy
    }
}

pub(crate) fn open_in(
    folder: &Path,
    incarnation: Incarnation,
    seam: Option<Arc<dyn DiskSeam>>,
) -> Result<Opened, AreaError> {
    let sink = Arc::new(Recorder::default());
    let area = RedbArea::open(RedbOptions {
        folder: folder.to_owned(),
        alias: ALIAS.to_owned(),
        alias_id: ALIAS_ID,
        incarnation,
        sink: Arc::clone(&sink) as Arc<dyn Sink>,
        seam,
    })?;
    Ok(Opened { area, sink, incarnation, next: AtomicU64::new(0) })
}

impl Opened {
    /// Submits writes as one job.
    pub(crate) fn submit(&self, writes: Vec<AreaWrite>) -> Token {
        let token = Token::Other(self.next.fetch_add(1, Ordering::Relaxed));
        self.area.submit(Job { incarnation: self.incarnation, writes, token });
        token
    }

    /// Submits writes as one job and waits until they are durable.
    pub(crate) fn write(&self, writes: Vec<AreaWrite>) -> Option<Outcome<Bytes>> {
        let token = self.submit(writes);
        self.sink.until(|told| {
            assert!(told.fatal.is_none(), "{:?}", told.fatal);
            told.committed.iter().find(|(done, _)| *done == token).map(|(_, outcome)| outcome.clone())
        })
    }

    /// Adds to a number in the service's own state.
    pub(crate) fn add(&self, key: &'static str, number: u64) -> Option<Outcome<Bytes>> {
        self.write(vec![AreaWrite::App(adding(key, number))])
    }

    pub(crate) fn number(&self, key: &str) -> u64 {
        let mut number = 0;
        self.area.read(&mut |app| number = number_in(app.get(key.as_bytes()).unwrap())).unwrap();
        number
    }
}

pub(crate) fn number_in(value: Option<Bytes>) -> u64 {
    value.map_or(0, |value| String::from_utf8(value.to_vec()).unwrap().parse().unwrap())
}

/// A closure that adds to a number and answers with what it then is.
pub(crate) fn adding(key: &'static str, number: u64) -> AtomicClosure {
    Box::new(move |app: &mut dyn AppWrite| {
        let sum = number_in(app.get(key.as_bytes()).unwrap()) + number;
        app.put(key.as_bytes(), Bytes::from(sum.to_string()));
        Outcome::Reply(Bytes::from(sum.to_string()))
    })
}

/// A closure that adds to a number and then fails.
pub(crate) fn adding_in_vain(key: &'static str, number: u64, why: &'static str) -> AtomicClosure {
    let mut add = adding(key, number);
    Box::new(move |app: &mut dyn AppWrite| {
        add(app);
        Outcome::Failed(Bytes::from(why))
    })
}

pub(crate) fn call(source: u32, born: u64, trans: u64) -> CallId {
    CallId { source: AliasId(source), origin: Origin::Incarnation(Incarnation(born)), trans: TransId(trans) }
}

pub(crate) fn key_of(source: u32, born: u64, trans: u64) -> SlotKey {
    let session = Session { source: AliasId(source), born: Incarnation(born) };
    SlotKey::of(session, TransId(trans), WINDOW)
}

pub(crate) fn reply_row(source: u32, born: u64, trans: u64, reply: &str) -> Row<Bytes> {
    let reply = Outcome::Reply(Bytes::from(reply.to_owned()));
    let state = RowState::Registered(RedProcess::AutoReply(reply));
    Row { id: call(source, born, trans), digest: u128::from(trans), state }
}

pub(crate) fn blocked_row(source: u32, born: u64, trans: u64) -> Row<Bytes> {
    let state = RowState::Blocked { request: Bytes::from(format!("create {trans}")) };
    Row { id: call(source, born, trans), digest: u128::from(trans), state }
}

pub(crate) fn relaying_row(source: u32, born: u64, trans: u64, course: Course<Bytes>) -> Row<Bytes> {
    let request = Bytes::from(format!("order {trans}"));
    let state = RowState::Relaying { request, policy: Policy::RollBack, course, cancellable: true };
    Row { id: call(source, born, trans), digest: u128::from(trans), state }
}

/// Puts a row where it belongs.
pub(crate) fn put(row: Row<Bytes>) -> AreaWrite {
    let Origin::Incarnation(born) = row.id.origin else { panic!("tests use the incarnation form") };
    AreaWrite::Row { key: key_of(row.id.source.0, born.0, row.id.trans.0), row }
}

pub(crate) fn mark(source: u32, born: u64, trans: u64) -> AreaWrite {
    let mark = Mark { born: Incarnation(born), trans: TransId(trans) };
    AreaWrite::Mark { source: AliasId(source), mark }
}

pub(crate) fn pending(trans: u64, body: &str) -> Pending<Bytes> {
    Pending {
        id: call(ALIAS_ID.0, 1, trans),
        born: Incarnation(1),
        target: AliasId(9),
        invoked: Nanos(1000 + trans),
        body: Bytes::from(body.to_owned()),
    }
}

pub(crate) fn served(source: u32, born: u64, trans: u64) -> Served {
    Served { id: call(source, born, trans), born: Incarnation(born) }
}

/// A call made on behalf of another; one that was answered has the answer.
pub(crate) fn journaled(
    served: Served,
    position: &[u16],
    trans: u64,
    answer: Option<Outcome<Bytes>>,
) -> Journaled<Bytes> {
    let call = pending(trans, &format!("reserve {trans}"));
    Journaled {
        served,
        position: Position(position.to_vec()),
        call,
        digest: u128::from(trans),
        answer,
        designated: None,
    }
}

/// Only one alias has a name.
pub(crate) struct OneName;

impl Names for OneName {
    fn alias(&self, id: AliasId) -> Option<String> {
        (id == ALIAS_ID).then(|| ALIAS.to_owned())
    }
}
