//! A stable area as a value: what outlives the processes of an alias.

use std::collections::{BTreeMap, VecDeque};

use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Session, SlotKey, TransId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::relay::{Journaled, Position, Served};
use palib_core::resend::{self, Pending};
use palib_core::server::{OnFailure, Then, Write};

use crate::setup::Body;

/// How often something was done, and how often that was undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Effect {
    pub(crate) done: u8,
    pub(crate) undone: u8,
}

impl Effect {
    pub(crate) fn net(self) -> i16 {
        i16::from(self.done) - i16::from(self.undone)
    }
}

/// The stable area of an alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Area {
    /// The incarnation the FTM made durable; who commits under a lower one is fenced.
    pub(crate) fence: Incarnation,
    pub(crate) rows: BTreeMap<SlotKey, Row<Body>>,
    pub(crate) marks: BTreeMap<AliasId, Mark>,
    pub(crate) journal: BTreeMap<(Session, TransId, Position), Journaled<Body>>,
    pub(crate) outbox: BTreeMap<CallId, Pending<Body>>,
    /// The service's own state.
    pub(crate) app: BTreeMap<Body, Effect>,
}

/// A closure of atomic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Closure {
    pub(crate) body: Body,
    pub(crate) fails: bool,
}

/// A job of a writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Job {
    Server {
        incarnation: Incarnation,
        writes: Vec<Write<Body>>,
        then: Option<Then>,
        closure: Option<Closure>,
    },
    Caller {
        incarnation: Incarnation,
        write: resend::Write<Body>,
    },
}

/// What a writer has before it, and what it has committed and not told yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    pub(crate) queue: VecDeque<Job>,
    pub(crate) committed: VecDeque<(Job, Option<Outcome<Body>>)>,
}

impl Job {
    pub(crate) fn incarnation(&self) -> Incarnation {
        match self {
            Self::Server { incarnation, .. } | Self::Caller { incarnation, .. } => *incarnation,
        }
    }
}

impl Area {
    /// Applies a job, and gives the outcome that its row registers.
    pub(crate) fn apply(&mut self, job: &Job) -> Option<Outcome<Body>> {
        let (writes, closure) = match job {
            Job::Server { writes, closure, .. } => (writes, *closure),
            Job::Caller { write: resend::Write::Put(pending), .. } => {
                self.outbox.insert(pending.id, pending.clone());
                return None;
            }
            Job::Caller { write: resend::Write::Drop(id), .. } => {
                self.outbox.remove(id);
                return None;
            }
        };
        let mut outcome = None;
        let mut failed = false;
        for write in writes {
            match write {
                Write::Atomic { .. } | Write::AtomicUndo { .. } => {
                    let closure = closure.expect("an atomic write has a closure");
                    outcome = Some(self.atomic(write, closure));
                    failed = closure.fails;
                }
                Write::CloseJournal { .. } if failed => {}
                Write::PutRow { row: Row { state: RowState::Registered(red), .. }, .. } => {
                    self.write(write);
                    if let RedProcess::AutoReply(registered) = red {
                        outcome = Some(registered.clone());
                    }
                }
                _ => self.write(write),
            }
        }
        outcome
    }

    /// Runs a closure over the service's own state. The reply tells how often it was run with success.
    fn atomic(&mut self, write: &Write<Body>, Closure { body, fails }: Closure) -> Outcome<Body> {
        if fails {
            let outcome = Outcome::Failed(body);
            if let Write::Atomic { key, id, digest, failure: OnFailure::Register } = write {
                let state = RowState::Registered(RedProcess::AutoReply(outcome.clone()));
                self.rows.insert(*key, Row { id: *id, digest: *digest, state });
            }
            return outcome;
        }
        let effect = self.app.entry(body).or_default();
        let (key, id, digest, state, outcome) = match write {
            Write::Atomic { key, id, digest, .. } => {
                effect.done += 1;
                let outcome = Outcome::Reply(body * 100 + u32::from(effect.done));
                let state = RowState::Registered(RedProcess::AutoReply(outcome.clone()));
                (key, id, digest, state, outcome)
            }
            Write::AtomicUndo { key, id, digest } => {
                effect.undone += 1;
                (key, id, digest, RowState::Cancelled { undone: true }, Outcome::Reply(body))
            }
            _ => unreachable!("no closure belongs to this"),
        };
        self.rows.insert(*key, Row { id: *id, digest: *digest, state });
        outcome
    }

    fn write(&mut self, write: &Write<Body>) {
        match write {
            Write::PutRow { key, row } => _ = self.rows.insert(*key, row.clone()),
            Write::DropRow { key } => _ = self.rows.remove(key),
            Write::PutJournal { row } => {
                let (session, trans) = row.served.place();
                self.journal.insert((session, trans, row.position.clone()), (**row).clone());
            }
            Write::CloseJournal { served } => self.close(*served),
            Write::PutMark { source, mark } => {
                let below = |session: Session| session.source == *source && session.born < mark.born;
                self.rows.retain(|key, _| !below(key.session));
                self.marks.insert(*source, *mark);
            }
            Write::Atomic { .. } | Write::AtomicUndo { .. } => unreachable!("it has a closure"),
        }
    }

    fn close(&mut self, served: Served) {
        self.journal.retain(|(session, trans, _), _| (*session, *trans) != served.place());
    }

    /// What a new active finds under way.
    pub(crate) fn under_way(&self) -> Vec<(SlotKey, Row<Body>)> {
        let open =
            |row: &Row<Body>| matches!(row.state, RowState::Blocked { .. } | RowState::Relaying { .. });
        self.rows.iter().filter(|(_, row)| open(row)).map(|(key, row)| (*key, row.clone())).collect()
    }
}
