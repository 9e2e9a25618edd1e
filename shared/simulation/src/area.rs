//! A stable area as a value: what outlives the processes of an alias.

use std::collections::BTreeMap;

use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Session, SlotKey, TransId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::relay::{Journaled, Position, Served};
use palib_core::resend::{self, Pending};
use palib_core::server::{OnFailure, Then, Write};

use crate::body::{self, Body};

/// How often something was done, and how often that was undone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) done: u32,
    pub(crate) undone: u32,
}

impl Effect {
    /// How often it is in effect.
    pub(crate) fn net(self) -> i64 {
        i64::from(self.done) - i64::from(self.undone)
    }
}

/// The stable area of an alias, and the incarnation that stands beside it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Area {
    /// The incarnation that the FTM wrote beside it; who commits under a lower one is fenced.
    pub(crate) fence: Incarnation,
    /// The highest incarnation in which it was opened.
    pub(crate) opened: Incarnation,
    pub(crate) rows: BTreeMap<SlotKey, Row<Body>>,
    pub(crate) marks: BTreeMap<AliasId, Mark>,
    pub(crate) journal: BTreeMap<(Session, TransId, Position), Journaled<Body>>,
    pub(crate) outbox: BTreeMap<CallId, Pending<Body>>,
    /// The service's own state.
    pub(crate) app: BTreeMap<Body, Effect>,
}

/// A closure of atomic mode.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Closure {
    pub(crate) body: Body,
    pub(crate) fails: bool,
}

/// What is committed for one of the two machines of a member.
#[derive(Clone, Debug)]
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
        told: bool,
    },
}

impl Job {
    /// The incarnation that must still be the alias's.
    pub(crate) fn incarnation(&self) -> Incarnation {
        match self {
            Self::Server { incarnation, .. } | Self::Caller { incarnation, .. } => *incarnation,
        }
    }
}

/// What came of a job that was applied.
#[derive(Clone, Debug, Default)]
pub(crate) struct Applied {
    /// The outcome that a row registers.
    pub(crate) outcome: Option<Outcome<Body>>,
    /// The effect that was done or undone.
    pub(crate) effect: Option<Body>,
    /// How many sessions' marks were stored.
    pub(crate) pruned: u64,
}

/// The incarnation of jobs that are committed together.
pub(crate) fn incarnation_of(jobs: &[Job]) -> Incarnation {
    jobs.iter().map(Job::incarnation).min().unwrap_or_default()
}

impl Area {
    /// Applies a job. `store_marks` is false where a guard is missing.
    pub(crate) fn apply(&mut self, job: &Job, store_marks: bool) -> Applied {
        let mut applied = Applied::default();
        let (writes, closure) = match job {
            Job::Server { writes, closure, .. } => (writes, *closure),
            Job::Caller { write: resend::Write::Put(pending), .. } => {
                self.outbox.insert(pending.id, pending.clone());
                return applied;
            }
            Job::Caller { write: resend::Write::Drop(id), .. } => {
                self.outbox.remove(id);
                return applied;
            }
        };
        let mut failed = false;
        for write in writes {
            match write {
                Write::Atomic { .. } | Write::AtomicUndo { .. } => {
                    let closure = closure.expect("an atomic write has a closure");
                    applied.outcome = Some(self.atomic(write, closure));
                    applied.effect = Some(closure.body);
                    failed = closure.fails;
                }
                Write::CloseJournal { .. } if failed => {}
                Write::PutRow { row: Row { state: RowState::Registered(red), .. }, .. } => {
                    self.write(write);
                    if let RedProcess::AutoReply(registered) = red {
                        applied.outcome = Some(registered.clone());
                    }
                }
                Write::PutMark { source, mark } => {
                    applied.pruned += 1;
                    self.prune(*source, *mark);
                    if store_marks {
                        self.marks.insert(*source, *mark);
                    }
                }
                _ => self.write(write),
            }
        }
        applied
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
                let outcome = Outcome::Reply(body::reply(body, effect.done));
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
            Write::PutMark { .. } | Write::Atomic { .. } | Write::AtomicUndo { .. } => {
                unreachable!("these are applied elsewhere")
            }
        }
    }

    fn prune(&mut self, source: AliasId, mark: Mark) {
        self.rows.retain(|key, _| key.session.source != source || key.session.born >= mark.born);
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
