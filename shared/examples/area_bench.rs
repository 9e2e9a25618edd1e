//! Measures a stable area against a bare loop over redb: `cargo run --release -p palib --example area_bench`.
//!
//! Run it before and after anything between the queue and redb changes, and when redb is bumped. The bare loop
//! does the same puts in commits of as many records as are in flight, with nothing between: no queue, no thread to
//! wake, no checksum, no fence. On a busy machine the processor time per record tells more than the rate.

use std::collections::VecDeque;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use palib::core::ids::{AliasId, CallId, Incarnation, Origin, Session, SlotKey, TransId};
use palib::core::message::Outcome;
use palib::core::redundancy::{RedProcess, Row, RowState, WINDOW};
use palib::core::server::OnFailure;
use palib::stable::redb::{RedbArea, RedbOptions};
use palib::stable::{AppWrite, AreaError, AreaWrite, Committed, Job, Sink, StableArea, Token, raise_fence};
use parking_lot::{Condvar, Mutex};
use rustix::time::{ClockId, clock_gettime};

const RUN: Duration = Duration::from_secs(2);
const CALLER: Session = Session { source: AliasId(2), born: Incarnation(1) };
const TABLE: redb::TableDefinition<'static, &[u8], &[u8]> = redb::TableDefinition::new("rows");

fn main() {
    for in_flight in [1, 64, 256] {
        let folder = tempfile::tempdir().expect("a folder");
        let bare_1pc = bare(&folder.path().join("bare1"), in_flight, false);
        let bare_quick = bare(&folder.path().join("bare2"), in_flight, true);
        let rows = area(&folder.path().join("rows"), in_flight, row);
        let atomic = area(&folder.path().join("atomic"), in_flight, atomic);
        println!(
            "{in_flight:4} in flight: bare redb {bare_1pc}, quick repair {bare_quick} | area: rows {rows}, counter \
             and row {atomic}"
        );
    }
    lookups();
}

/// What a run reached.
struct Rate {
    per_second: f64,
    cpu_us: f64,
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:6.0}/s ({:5.1} us cpu)", self.per_second, self.cpu_us)
    }
}

/// Takes the time.
struct Clock {
    began: Instant,
    cpu: Duration,
}

impl Clock {
    fn start() -> Self {
        Self { began: Instant::now(), cpu: cpu_time() }
    }

    fn runs(&self) -> bool {
        self.began.elapsed() < RUN
    }

    fn rate(&self, done: u64) -> Rate {
        let cpu = cpu_time().saturating_sub(self.cpu);
        Rate {
            per_second: done as f64 / self.began.elapsed().as_secs_f64(),
            cpu_us: cpu.as_secs_f64() * 1e6 / done as f64,
        }
    }
}

/// Processor time of all threads so far.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// A bare loop over redb.
fn bare(path: &Path, in_flight: u64, quick_repair: bool) -> Rate {
    let db = redb::Database::create(path).expect("a database");
    let clock = Clock::start();
    let mut done = 0;
    while clock.runs() {
        let mut txn = db.begin_write().expect("a transaction");
        txn.set_quick_repair(quick_repair);
        {
            let mut table = txn.open_table(TABLE).expect("a table");
            for trans in done..done + in_flight {
                let mut key = [0; 16];
                key[12..].copy_from_slice(&((trans % u64::from(WINDOW)) as u32).to_be_bytes());
                table.insert(&key[..], &[7; 60][..]).expect("a put");
            }
        }
        txn.commit().expect("a commit");
        done += in_flight;
    }
    clock.rate(done)
}

/// Hands what became durable to the thread that submits.
#[derive(Default)]
struct Back {
    durable: Mutex<VecDeque<usize>>,
    more: Condvar,
}

impl Sink for Back {
    fn committed(&self, jobs: Vec<Committed>) {
        self.durable.lock().push_back(jobs.len());
        self.more.notify_one();
    }

    fn fatal(&self, error: AreaError) {
        panic!("{error}");
    }
}

/// An area, with so many jobs waiting at any time.
fn area(folder: &Path, in_flight: u64, write: fn(u64) -> AreaWrite) -> Rate {
    let (area, back) = open(folder);
    let submit = |trans| {
        area.submit(Job {
            incarnation: Incarnation(1),
            writes: vec![write(trans)],
            token: Token::Other(trans),
        });
    };
    (0..in_flight).for_each(submit);
    let (mut submitted, mut done) = (in_flight, 0);
    let clock = Clock::start();
    while clock.runs() {
        let mut durable = back.durable.lock();
        while durable.is_empty() {
            back.more.wait(&mut durable);
        }
        let count: usize = durable.drain(..).sum();
        drop(durable);
        done += count as u64;
        (submitted..submitted + count as u64).for_each(submit);
        submitted += count as u64;
    }
    let rate = clock.rate(done);
    let summary = area.summary();
    eprintln!(
        "     {} commits, p50 {} us, p99 {} us, {} KiB",
        summary.commits,
        summary.commit_us_p50,
        summary.commit_us_p99,
        summary.bytes / 1024
    );
    area.close().expect("closed");
    rate
}

/// The lookup before each request, over 500,000 rows.
fn lookups() {
    let folder = tempfile::tempdir().expect("a folder");
    let (area, back) = open(&folder.path().join("lookups"));
    let rows = 500_000;
    for trans in 0..rows {
        let (source, trans) = (AliasId((trans / 1000) as u32), trans % 1000);
        let (key, row) = row_of(Session { source, born: Incarnation(1) }, trans);
        let writes = vec![AreaWrite::Row { key, row }];
        area.submit(Job { incarnation: Incarnation(1), writes, token: Token::Other(trans) });
    }
    let mut durable = back.durable.lock();
    let mut done = 0;
    while done < rows {
        done += durable.drain(..).sum::<usize>() as u64;
        if done < rows {
            back.more.wait(&mut durable);
        }
    }
    drop(durable);
    let began = Instant::now();
    let lookups = 200_000;
    for lookup in 0..lookups {
        let place = lookup * 7919 % rows;
        let session = Session { source: AliasId((place / 1000) as u32), born: Incarnation(1) };
        let found = area.load(SlotKey::of(session, TransId(place % 1000), WINDOW)).expect("readable");
        assert!(found.0.is_some());
    }
    println!("a lookup over {rows} rows: {:.2} us", began.elapsed().as_secs_f64() * 1e6 / lookups as f64);
}

fn open(folder: &Path) -> (Arc<RedbArea>, Arc<Back>) {
    std::fs::create_dir(folder).expect("a folder");
    raise_fence(folder, "bench", Incarnation(1)).expect("a fence");
    let back = Arc::new(Back::default());
    let area = RedbArea::open(RedbOptions {
        folder: folder.to_owned(),
        alias: "bench".to_owned(),
        alias_id: AliasId(1),
        incarnation: Incarnation(1),
        sink: Arc::clone(&back) as Arc<dyn Sink>,
        seam: None,
    });
    (area.expect("an area"), back)
}

fn row(trans: u64) -> AreaWrite {
    let (key, row) = row_of(CALLER, trans);
    AreaWrite::Row { key, row }
}

fn row_of(session: Session, trans: u64) -> (SlotKey, Row<Bytes>) {
    let id =
        CallId { source: session.source, origin: Origin::Incarnation(session.born), trans: TransId(trans) };
    let outcome = Outcome::Reply(Bytes::from_static(b"12345678"));
    let state = RowState::Registered(RedProcess::AutoReply(outcome));
    (SlotKey::of(session, id.trans, WINDOW), Row { id, digest: 1, state })
}

fn atomic(trans: u64) -> AreaWrite {
    let (key, row) = row_of(CALLER, trans);
    AreaWrite::Atomic {
        key,
        id: row.id,
        digest: 1,
        failure: OnFailure::Register,
        run: Box::new(|app: &mut dyn AppWrite| {
            let number = app
                .get(b"n")
                .expect("readable")
                .map_or(0, |value| u64::from_le_bytes(value[..].try_into().expect("eight bytes")));
            app.put(b"n", Bytes::copy_from_slice(&(number + 1).to_le_bytes()));
            Outcome::Reply(Bytes::copy_from_slice(&number.to_le_bytes()))
        }),
    }
}
