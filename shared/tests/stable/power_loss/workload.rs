//! Jobs by seed: all that is ever written into an area, in few places, so that much is written over and dropped.

use std::ops::RangeInclusive;

use bytes::Bytes;
use palib::core::ids::{AliasId, CallId, Incarnation, Mark, SlotKey, TransId};
use palib::core::message::Outcome;
use palib::core::redundancy::{RedProcess, Row, RowState, WINDOW};
use palib::core::relay::{Course, Journaled, Policy, Substitute};
use palib::core::server::OnFailure;
use palib::stable::{AppWrite, AreaWrite, AtomicClosure};
use rand::Rng;
use rand::rngs::SmallRng;

use super::contents::Contents;
use crate::support::{adding, call, journaled, key_of, pending, served};

/// Whose calls there are.
pub(crate) const SOURCES: [AliasId; 3] = [AliasId(3), AliasId(4), AliasId(5)];
/// The last incarnation a source was in.
pub(crate) const BORN_MAX: u64 = 3;
/// The slots used of each ring.
pub(crate) const SLOTS: u32 = 8;

/// One write, in a form that can be made again: of an area, and of the reference.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Row(SlotKey, Row<Bytes>),
    /// A call in atomic mode: a number rises, and the row has what it then is.
    Atomic(SlotKey, Row<Bytes>, Add),
    /// An executed call is undone, and its row says so.
    Undo(SlotKey, Row<Bytes>, Add),
    DropRow(SlotKey),
    Journal(Journaled<Bytes>),
    CloseJournal(u32, u64, u64),
    Mark(AliasId, Mark),
    OutboxPut(u64, Bytes),
    OutboxDrop(u64),
    Add(Add),
    /// A large value of the service's own.
    Put(&'static str, Bytes),
}

/// A closure that adds to a number, and may fail after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Add {
    key: &'static str,
    number: u64,
    fails: bool,
}

impl Add {
    fn closure(self) -> AtomicClosure {
        if self.fails {
            crate::support::adding_in_vain(self.key, self.number, "not today")
        } else {
            adding(self.key, self.number)
        }
    }

    /// The outcome of the closure over the reference.
    fn apply(self, contents: &mut Contents) -> Outcome<Bytes> {
        if self.fails {
            return Outcome::Failed(Bytes::from_static(b"not today"));
        }
        Outcome::Reply(Bytes::from(contents.add(self.key, self.number).to_string()))
    }
}

impl Op {
    pub(crate) fn to_write(&self) -> AreaWrite {
        match self.clone() {
            Self::Row(key, row) => AreaWrite::Row { key, row },
            Self::Atomic(key, row, add) => AreaWrite::Atomic {
                key,
                id: row.id,
                digest: row.digest,
                failure: OnFailure::Register,
                run: add.closure(),
            },
            Self::Undo(key, row, add) => {
                AreaWrite::AtomicUndo { key, id: row.id, digest: row.digest, run: add.closure() }
            }
            Self::DropRow(key) => AreaWrite::DropRow { key },
            Self::Journal(row) => AreaWrite::Journal(Box::new(row)),
            Self::CloseJournal(source, born, trans) => AreaWrite::CloseJournal(served(source, born, trans)),
            Self::Mark(source, mark) => AreaWrite::Mark { source, mark },
            Self::OutboxPut(trans, body) => AreaWrite::OutboxPut(pending_with(trans, body)),
            Self::OutboxDrop(trans) => AreaWrite::OutboxDrop(outbox_id(trans)),
            Self::Add(add) => AreaWrite::App(add.closure()),
            Self::Put(key, value) => AreaWrite::App(Box::new(move |app: &mut dyn AppWrite| {
                app.put(key.as_bytes(), value.clone());
                Outcome::Reply(Bytes::new())
            })),
        }
    }

    /// Makes the write in the reference. False if what comes behind it in its job is left out, but marks.
    fn apply(&self, contents: &mut Contents) -> bool {
        match self.clone() {
            Self::Row(key, row) => contents.put_row(key, row),
            Self::Atomic(key, row, add) => {
                let state = RowState::Registered(RedProcess::AutoReply(add.apply(contents)));
                contents.put_row(key, Row { state, ..row });
            }
            Self::Undo(key, row, add) => {
                if matches!(add.apply(contents), Outcome::Failed(_)) {
                    return false;
                }
                contents.put_row(key, Row { state: RowState::Cancelled { undone: true }, ..row });
            }
            Self::DropRow(key) => contents.drop_row(key),
            Self::Journal(row) => contents.put_journal(row),
            Self::CloseJournal(source, born, trans) => contents.close_journal(served(source, born, trans)),
            Self::Mark(source, mark) => contents.put_mark(source, mark),
            Self::OutboxPut(trans, body) => contents.put_call(pending_with(trans, body)),
            Self::OutboxDrop(trans) => contents.drop_call(outbox_id(trans)),
            Self::Add(add) => drop(add.apply(contents)),
            Self::Put(key, value) => contents.put(key, value),
        }
        true
    }
}

/// Makes a whole job in the reference.
pub(crate) fn apply_job(job: &[Op], contents: &mut Contents) {
    let mut goes_on = true;
    for op in job {
        if goes_on || matches!(op, Op::Mark(..)) {
            goes_on &= op.apply(contents);
        }
    }
}

/// A job of one to four writes.
pub(crate) fn random_job(random: &mut SmallRng) -> Vec<Op> {
    (0..random.random_range(1..=4)).map(|_| random_op(random)).collect()
}

fn random_op(random: &mut SmallRng) -> Op {
    let (source, born, trans) = random_call(random);
    let key = key_of(source, born, trans);
    let row =
        Row { id: call(source, born, trans), digest: u128::from(trans) << 64, state: random_state(random) };
    let id = SOURCES[random.random_range(0..SOURCES.len())];
    match random.random_range(0..100) {
        0..30 => Op::Row(key, row),
        30..45 => Op::Atomic(key, row, random_add(random)),
        45..50 => Op::Undo(key, row, random_add(random)),
        50..55 => Op::DropRow(key),
        55..65 => Op::Journal(random_journaled(random)),
        65..70 => Op::CloseJournal(source, born, trans),
        70..80 => {
            let mark = Mark { born: Incarnation(born), trans: TransId(trans) };
            Op::Mark(id, mark)
        }
        80..88 => Op::OutboxPut(random.random_range(0..8), random_body(random, 0..=3000)),
        88..92 => Op::OutboxDrop(random.random_range(0..8)),
        92..97 => Op::Add(random_add(random)),
        _ => Op::Put(["one", "two", "three"][random.random_range(0..3)], random_body(random, 0..=30_000)),
    }
}

/// One of the calls there are; a slot is used again by the calls of the next turn of its ring.
fn random_call(random: &mut SmallRng) -> (u32, u64, u64) {
    let source = SOURCES[random.random_range(0..SOURCES.len())].0;
    let turn = random.random_range(0..3) * u64::from(WINDOW);
    (source, random.random_range(1..=BORN_MAX), turn + u64::from(random.random_range(0..SLOTS)))
}

fn random_add(random: &mut SmallRng) -> Add {
    let key = ["a", "b"][random.random_range(0..2)];
    Add { key, number: random.random_range(1..100), fails: random.random_range(0..4) == 0 }
}

fn random_state(random: &mut SmallRng) -> RowState<Bytes> {
    let body = random_body(random, 0..=1500);
    let auto = |body| RedProcess::AutoReply(Outcome::Reply(body));
    match random.random_range(0..6) {
        0 => RowState::Blocked { request: body },
        1 => RowState::Relaying {
            request: body,
            policy: Policy::Substitute,
            course: Course::Failing(Bytes::from_static(b"sold out")),
            cancellable: random.random(),
        },
        2 => RowState::Registered(auto(body)),
        3 => RowState::Registered(RedProcess::Handler { index: 3, arg: body }),
        4 => RowState::Undoing(auto(body)),
        _ => RowState::Cancelled { undone: random.random() },
    }
}

fn random_journaled(random: &mut SmallRng) -> Journaled<Bytes> {
    let (source, born, trans) = random_call(random);
    let answer = random.random::<bool>().then(|| Outcome::Reply(random_body(random, 0..=600)));
    let position: Vec<u16> = (0..random.random_range(1..3)).map(|_| random.random_range(0..3)).collect();
    let mut row = journaled(served(source, born, trans), &position, random.random_range(20..30), answer);
    row.designated = random.random::<bool>().then(|| Substitute {
        target: AliasId(12),
        body: random_body(random, 0..=300),
        cancel_old: random.random(),
    });
    row
}

fn random_body(random: &mut SmallRng, bytes: RangeInclusive<usize>) -> Bytes {
    let byte = random.random::<u8>();
    Bytes::from(vec![byte; random.random_range(bytes)])
}

fn pending_with(trans: u64, body: Bytes) -> palib::core::resend::Pending<Bytes> {
    let mut call = pending(trans, "");
    call.body = body;
    call
}

fn outbox_id(trans: u64) -> CallId {
    pending(trans, "").id
}
