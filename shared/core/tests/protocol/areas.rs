//! Stable areas as values: what outlives the processes of the model.

use std::collections::{BTreeMap, VecDeque};

use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Session, SlotKey};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::resend::{self, Pending};
use palib_core::server::{self, Then};

/// What is asked is the number of an operation; what is answered tells the operation and which effect it was.
pub(crate) type Body = u32;

/// The effects of a service: how often each operation was performed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Effects(pub(crate) BTreeMap<Body, u32>);

impl Effects {
    /// Performs an operation. The reply tells how many were performed so far: one performed twice replies twice.
    pub(crate) fn perform(&mut self, operation: Body) -> Outcome<Body> {
        *self.0.entry(operation).or_default() += 1;
        Outcome::Reply(operation * 1000 + self.0.values().sum::<u32>())
    }

    pub(crate) fn of(&self, operation: Body) -> u32 {
        self.0.get(&operation).copied().unwrap_or(0)
    }
}

/// The stable area of the server alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ServerArea {
    /// The incarnation the FTM made durable; who commits under a lower one is fenced.
    pub(crate) fence: Incarnation,
    pub(crate) rows: BTreeMap<SlotKey, Row<Body>>,
    pub(crate) marks: BTreeMap<AliasId, Mark>,
    /// The service's own state, for atomic mode.
    pub(crate) app: Effects,
}

/// A job of the server's writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ServerJob {
    pub(crate) incarnation: Incarnation,
    pub(crate) writes: Vec<server::Write<Body>>,
    pub(crate) then: Option<Then>,
    /// The operation of the atomic write in it.
    pub(crate) operation: Option<Body>,
}

impl ServerArea {
    /// Applies a job, and gives the outcome that its row registers.
    pub(crate) fn apply(&mut self, job: &ServerJob, store_marks: bool) -> Option<Outcome<Body>> {
        let mut registered = None;
        for write in &job.writes {
            match write {
                server::Write::PutRow { key, row } => {
                    if let RowState::Registered(RedProcess::AutoReply(outcome)) = &row.state {
                        registered = Some(outcome.clone());
                    }
                    self.rows.insert(*key, row.clone());
                }
                server::Write::Atomic { key, id, digest, .. } => {
                    let outcome = self.app.perform(job.operation.expect("an atomic write has an operation"));
                    let state = RowState::Registered(RedProcess::AutoReply(outcome.clone()));
                    self.rows.insert(*key, Row { id: *id, digest: *digest, state });
                    registered = Some(outcome);
                }
                server::Write::PutMark { source, mark } => {
                    self.rows.retain(|key, _| !is_below(key.session, *source, *mark));
                    if store_marks {
                        self.marks.insert(*source, *mark);
                    }
                }
                _ => unreachable!("nothing is called on here"),
            }
        }
        registered
    }

    /// What a new active finds in state blocked.
    pub(crate) fn blocked(&self) -> Vec<(SlotKey, Row<Body>)> {
        let blocked = |row: &Row<Body>| matches!(row.state, RowState::Blocked { .. });
        self.rows.iter().filter(|(_, row)| blocked(row)).map(|(key, row)| (*key, row.clone())).collect()
    }
}

fn is_below(session: Session, source: AliasId, mark: Mark) -> bool {
    session.source == source && session.born < mark.born
}

/// The stable area of a client alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct ClientArea {
    pub(crate) fence: Incarnation,
    pub(crate) outbox: BTreeMap<CallId, Pending<Body>>,
}

/// A job of a client's writer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ClientJob {
    pub(crate) incarnation: Incarnation,
    pub(crate) write: resend::Write<Body>,
}

impl ClientJob {
    pub(crate) fn id(&self) -> CallId {
        match &self.write {
            resend::Write::Put(pending) => pending.id,
            resend::Write::Drop(id) => *id,
        }
    }
}

impl ClientArea {
    pub(crate) fn apply(&mut self, job: &ClientJob) {
        match &job.write {
            resend::Write::Put(pending) => self.outbox.insert(pending.id, pending.clone()),
            resend::Write::Drop(id) => self.outbox.remove(id),
        };
    }
}

/// What a writer has before it, and what it has committed and not told yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Writer<J, T> {
    pub(crate) queue: VecDeque<J>,
    pub(crate) committed: VecDeque<T>,
}

impl<J, T> Default for Writer<J, T> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), committed: VecDeque::new() }
    }
}
