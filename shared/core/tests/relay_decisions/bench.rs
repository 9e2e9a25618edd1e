//! A server over a stable area whose commits become durable when a test says so.

use std::collections::{BTreeMap, VecDeque};

pub(crate) use palib_core::ids::{
    AliasId, CallId, Incarnation, Mark, Nanos, Origin, Session, SlotKey, TransId,
};
pub(crate) use palib_core::message::{CancelEnd, Outcome, Refusal, Request};
pub(crate) use palib_core::redundancy::{RedProcess, Row, RowState};
pub(crate) use palib_core::relay::{Given, Journaled, News, Policy, Position, Step, Substitute};
pub(crate) use palib_core::resend::{Pending, Rejection};
pub(crate) use palib_core::server::{
    Asker, CallState, Effect, Input, Note, Resolution, Server, Settings, Then, Write,
};

pub(crate) const RELAY: AliasId = AliasId(1);
pub(crate) const CALLER: AliasId = AliasId(2);
pub(crate) const STOCK: AliasId = AliasId(3);
pub(crate) const PAYMENTS: AliasId = AliasId(4);
pub(crate) const ASKER: Asker = Asker(1);
pub(crate) const WINDOW: u32 = 4;

/// What lies in the stable area.
#[derive(Clone, Default)]
pub(crate) struct Stable {
    pub(crate) rows: BTreeMap<SlotKey, Row<u32>>,
    pub(crate) journal: BTreeMap<((Session, TransId), Position), Journaled<u32>>,
}

/// A server over an area, whose commits become durable when a test says so.
pub(crate) struct Bench {
    pub(crate) server: Server<u32>,
    pub(crate) stable: Stable,
    pub(crate) writing: VecDeque<(Vec<Write<u32>>, Option<Then>)>,
    pub(crate) next: u64,
    pub(crate) rejected: Option<Rejection>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Policy::RollForward)
    }

    /// Transactions keep the policy that they began with.
    pub(crate) fn with(on_takeover: Policy) -> Self {
        Self::over(Stable::default(), on_takeover).0
    }

    /// In service over what a predecessor left, and what it does about that.
    pub(crate) fn over(stable: Stable, on_takeover: Policy) -> (Self, Vec<Effect<u32>>) {
        let settings = Settings { alias: RELAY, window: WINDOW, sessions_max: 8, calls_max: 64, on_takeover };
        let server = Server::new(settings);
        let next = 1000 * (1 + stable.journal.len() as u64);
        let mut bench =
            Self { server, stable: stable.clone(), writing: VecDeque::new(), next, rejected: None };
        let open = |row: &Row<u32>| matches!(row.state, RowState::Blocked { .. } | RowState::Relaying { .. });
        let blocked = stable.rows.into_iter().filter(|(_, row)| open(row)).collect();
        let journal = stable.journal.into_values().collect();
        let effects = bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked, journal });
        (bench, effects)
    }

    /// This process dies; what is durable is taken over.
    pub(crate) fn taken_over(self) -> (Self, Vec<Effect<u32>>) {
        Self::over(self.stable, Policy::RollForward)
    }

    /// Feeds an input, and what follows at once. What is left is for the handler, the network and the callers.
    pub(crate) fn feed(&mut self, input: Input<u32>) -> Vec<Effect<u32>> {
        let (mut inputs, mut out) = (VecDeque::from([input]), Vec::new());
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.server.handle(Nanos(0), input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Load { key } => {
                        let row = self.stable.rows.get(&key).cloned();
                        inputs.push_back(Input::Loaded { key, row, mark: None });
                    }
                    Effect::Commit { writes, then, .. } => self.writing.push_back((writes, then)),
                    Effect::Allot { id, position, target, body } => {
                        let call = self.allot(target, body);
                        inputs.push_back(Input::Allotted { id, position, call });
                    }
                    Effect::Note(_) | Effect::Ready => {}
                    other => out.push(other),
                }
            }
        }
        out
    }

    pub(crate) fn allot(&mut self, target: AliasId, body: u32) -> Result<Pending<u32>, Rejection> {
        if let Some(reason) = self.rejected.take() {
            return Err(reason);
        }
        self.next += 1;
        let born = Incarnation(5);
        Ok(Pending { id: on(self.next), born, target, invoked: Nanos(0), body })
    }

    /// Makes everything durable that is being written, and what that leads to.
    pub(crate) fn sync(&mut self) -> Vec<Effect<u32>> {
        let mut out = Vec::new();
        while let Some((writes, then)) = self.writing.pop_front() {
            let outcome = self.stable.apply(writes);
            if let Some(then) = then {
                out.extend(self.feed(told(then, outcome.clone())));
            }
        }
        out
    }

    pub(crate) fn ask(&mut self, request: Request<u32>) -> Vec<Effect<u32>> {
        let digest = u128::from(request.body);
        self.feed(Input::Request { asker: ASKER, request, digest })
    }

    pub(crate) fn cancel(&mut self, request: Request<u32>) -> Vec<Effect<u32>> {
        let digest = u128::from(request.body);
        self.feed(Input::Cancel { asker: ASKER, request, digest })
    }

    pub(crate) fn call_on(&mut self, trans: u64, place: u16, target: AliasId, body: u32) -> Vec<Effect<u32>> {
        let (id, position, digest) = (id(trans), at(place), u128::from(body));
        self.feed(Input::CallOn { id, position, target, body, digest })
    }

    /// Calls on, durably, and is answered.
    pub(crate) fn called(
        &mut self,
        trans: u64,
        place: u16,
        target: AliasId,
        body: u32,
        outcome: Outcome<u32>,
    ) -> CallId {
        self.call_on(trans, place, target, body);
        let sent = self.sync();
        let [Effect::SendOn { id }] = sent[..] else { panic!("one call is sent: {sent:?}") };
        self.feed(Input::News { id, news: News::Answered(outcome) });
        id
    }

    pub(crate) fn cancelled(&mut self, id: CallId) -> Vec<Effect<u32>> {
        self.feed(Input::News { id, news: News::Cancel(CancelEnd::Cancelled { undone: true }) })
    }

    pub(crate) fn returns(&mut self, trans: u64, outcome: Outcome<u32>) -> Vec<Effect<u32>> {
        self.feed(Input::Returned { id: id(trans), outcome })
    }

    pub(crate) fn state(&self, trans: u64) -> Option<&RowState<u32>> {
        self.stable.rows.get(&key(trans)).map(|row| &row.state)
    }
}

impl Stable {
    pub(crate) fn apply(&mut self, writes: Vec<Write<u32>>) -> Option<Outcome<u32>> {
        let mut registered = None;
        for write in writes {
            match write {
                Write::PutRow { key, row } => {
                    if let RowState::Registered(RedProcess::AutoReply(outcome)) = &row.state {
                        registered = Some(outcome.clone());
                    }
                    self.rows.insert(key, row);
                }
                Write::DropRow { key } => _ = self.rows.remove(&key),
                Write::PutJournal { row } => {
                    self.journal.insert((row.served.place(), row.position.clone()), *row);
                }
                Write::CloseJournal { served } => {
                    self.journal.retain(|(place, _), _| *place != served.place());
                }
                Write::AtomicUndo { key, id, digest } => {
                    let state = RowState::Cancelled { undone: true };
                    self.rows.insert(key, Row { id, digest, state });
                }
                Write::Atomic { .. } | Write::PutMark { .. } => {}
            }
        }
        registered
    }
}

pub(crate) fn told(then: Then, outcome: Option<Outcome<u32>>) -> Input<u32> {
    match then {
        Then::StableBlock { id } => Input::StableBlock { id },
        Then::Stable { id } => Input::Stable { id, outcome },
        Then::StableCall { id } => Input::StableCall { id },
        Then::StableCourse { id } => Input::StableCourse { id },
        Then::StableUndoing { id } => Input::StableUndoing { id },
        Then::StableCancelled { id } => Input::StableCancelled { id, outcome: None },
        Then::Closed { id, rolled_back } => Input::Closed { id, rolled_back },
    }
}

pub(crate) fn session() -> Session {
    Session { source: CALLER, born: Incarnation(1) }
}

pub(crate) fn key(trans: u64) -> SlotKey {
    SlotKey::of(session(), TransId(trans), WINDOW)
}

pub(crate) fn id(trans: u64) -> CallId {
    CallId { source: CALLER, origin: Origin::Incarnation(Incarnation(1)), trans: TransId(trans) }
}

/// The id of a call on.
pub(crate) fn on(trans: u64) -> CallId {
    CallId { source: RELAY, origin: Origin::Incarnation(Incarnation(5)), trans: TransId(trans) }
}

pub(crate) fn at(place: u16) -> Position {
    Position(vec![place])
}

pub(crate) fn request(trans: u64) -> Request<u32> {
    let (born, mark) = (Incarnation(1), Mark { born: Incarnation(1), trans: TransId(0) });
    let body = 100 + trans as u32;
    Request { id: id(trans), born, target: RELAY, mark, attempt: 0, cancellable: false, body }
}

pub(crate) fn reply(number: u32) -> Outcome<u32> {
    Outcome::Reply(number)
}

pub(crate) fn given(trans: u64, place: u16, given: Given<u32>) -> Effect<u32> {
    Effect::Give { id: id(trans), position: at(place), given }
}

pub(crate) fn answered(trans: u64, place: u16, number: u32, replayed: bool) -> Effect<u32> {
    given(trans, place, Given::Answer { outcome: reply(number), replayed })
}

pub(crate) fn answer(trans: u64, outcome: Outcome<u32>, redundant: bool) -> Effect<u32> {
    Effect::Answer { asker: ASKER, id: id(trans), outcome, redundant }
}

pub(crate) fn execute(trans: u64) -> Effect<u32> {
    Effect::Execute { id: id(trans), body: 100 + trans as u32 }
}

pub(crate) fn cancel_end(trans: u64, undone: bool) -> Effect<u32> {
    Effect::AnswerCancel { asker: ASKER, id: id(trans), end: CancelEnd::Cancelled { undone } }
}
