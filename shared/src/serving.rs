//! The server side of one alias in this process: feeds the protocol's server machine and does what it says.

mod handlers;
mod hands;
mod inbox;
mod operator;

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId, Incarnation, Nanos};
use palib_core::message::{Message, Outcome, Request};
use palib_core::redundancy::{RedProcess as CoreRedProcess, Row, RowState};
use palib_core::server::{Asker, Effect, Input, Note, Server, Settings, Then, Write};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use self::hands::Hands;
use crate::call::Waited;
use crate::client::rider;
use crate::clock;
use crate::control::{AliasStats, InDoubtDecision, TableRow, TakeoverTiming, What};
use crate::hashing::NumberMap;
use crate::limits::{REQUESTS_IN_HAND_MAX, SESSIONS_REMEMBERED_MAX, WINDOW};
use crate::process::Shared;
use crate::service::Service;
use crate::sink::end_process;
use crate::stable::{AreaWrite, AtomicClosure, Committed, Job, Token};
use crate::steps::Durable;
use crate::transport::Link;
use crate::{Area, Result};

/// The server side without the type of its service.
pub(crate) trait Serving: Send + Sync {
    /// Requests came in on a link, in this order.
    fn requests(&self, link: &Link, requests: &mut Vec<Request<Bytes>>);
    /// A link is gone.
    fn link_gone(&self, link: u64);
    /// Jobs of this side are durable.
    fn committed(&self, jobs: Vec<Committed>);
    /// These aliases exist no longer.
    fn aliases_gone(&self, aliases: Vec<AliasId>);
    /// Begins to recover; the receiver is told when the mark of service may move.
    fn promote(&self, blocked: Blocked) -> oneshot::Receiver<()>;
    fn resolve(&self, id: CallId, decision: InDoubtDecision) -> Result<()>;
    fn command(&self, command: &str) -> Result<String>;
    /// Rows that are not in the stable area, or need the operator.
    fn live_rows(&self) -> Vec<TableRow>;
    /// How often a redundant request was found for a call.
    fn hits(&self, id: CallId) -> u64;
    fn stats(&self, stats: &mut AliasStats);
}

/// The blocked rows found when the area was opened.
pub(crate) type Blocked = Vec<(palib_core::ids::SlotKey, palib_core::redundancy::Row<Bytes>)>;

/// The server side of an alias that is in service here.
pub(crate) struct ServeSide<S> {
    me: Weak<Self>,
    alias_name: String,
    incarnation: Incarnation,
    area: Area,
    service: Arc<S>,
    shared: Arc<Shared>,
    runtime: Handle,
    state: Mutex<State>,
    /// Told when there is something to do for [`work`].
    work: Arc<Notify>,
    /// Tells one of the hands that are free that there is a call to execute.
    errand: Arc<Notify>,
}

struct State {
    core: Server<Bytes>,
    links: NumberMap<u64, Link>,
    /// Requests that were not looked at yet, in the order they came.
    inbox: VecDeque<(Asker, Request<Bytes>)>,
    waits: NumberMap<CallId, oneshot::Sender<Waited>>,
    hands: Hands,
    /// The closure of the `Atomic` input that is being handled.
    closure: Option<AtomicClosure>,
    /// What is to be committed and was not submitted yet.
    jobs: Vec<Job>,
    ready: Option<oneshot::Sender<()>>,
    answered: bool,
    received: u64,
    refused: u64,
    /// When the machine was last fed.
    now: Nanos,
    todo: VecDeque<Input<Bytes>>,
    effects: Vec<Effect<Bytes>>,
}

impl<S: Service> ServeSide<S> {
    pub(crate) fn new(
        alias: AliasId,
        alias_name: String,
        incarnation: Incarnation,
        area: Area,
        service: Arc<S>,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        let state = State {
            core: Server::new(Settings {
                alias,
                window: WINDOW,
                sessions_max: SESSIONS_REMEMBERED_MAX,
                calls_max: REQUESTS_IN_HAND_MAX,
            }),
            links: NumberMap::default(),
            inbox: VecDeque::new(),
            waits: NumberMap::default(),
            hands: Hands::default(),
            closure: None,
            jobs: Vec::new(),
            ready: None,
            answered: false,
            received: 0,
            refused: 0,
            now: Nanos::default(),
            todo: VecDeque::new(),
            effects: Vec::new(),
        };
        let runtime = Handle::current();
        let side = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            alias_name,
            incarnation,
            area,
            service,
            shared,
            runtime,
            state: Mutex::new(state),
            work: Arc::default(),
            errand: Arc::default(),
        });
        side.runtime.spawn(inbox::work(side.me.clone(), side.work.clone()));
        side
    }

    fn me(&self) -> Arc<Self> {
        // The side lives as long as its process: it is only dropped when nothing can call it any more.
        self.me.upgrade().expect("a side that runs is referenced by its process")
    }

    /// Feeds one input and everything that follows from it at once.
    fn feed(&self, state: &mut State, input: Input<Bytes>) {
        self.feed_at(state, clock::now(), input);
    }

    /// The same for what comes in each call and is no beginning, which is all the machine looks at the time for: not
    /// worth a look at the clock.
    fn feed_soon(&self, state: &mut State, input: Input<Bytes>) {
        let now = state.now;
        self.feed_at(state, now, input);
    }

    fn feed_at(&self, state: &mut State, now: Nanos, input: Input<Bytes>) {
        state.now = now;
        // Nearly always there is nothing before it, and nothing that follows from it.
        let mut next = Some(input);
        if !state.todo.is_empty() {
            state.todo.extend(next.take());
            next = state.todo.pop_front();
        }
        while let Some(input) = next {
            let mut effects = std::mem::take(&mut state.effects);
            state.core.handle(now, input, &mut effects);
            for effect in effects.drain(..) {
                self.perform(state, effect);
            }
            state.effects = effects;
            next = state.todo.pop_front();
        }
    }

    fn perform(&self, state: &mut State, effect: Effect<Bytes>) {
        match effect {
            Effect::Commit { incarnation, writes, then } => self.commit(state, incarnation, writes, &then),
            Effect::Load { key } => match self.area.store.load(key) {
                Ok((row, mark)) => state.todo.push_back(Input::Loaded { key, row, mark }),
                Err(error) => end_process(&self.alias_name, &error),
            },
            Effect::Execute { id, body } => self.execute(state, id, body),
            Effect::CallHandler { id, index, arg, request } => self.call_handler(id, index, arg, request),
            Effect::Recover { id, request } => self.recover(id, request),
            Effect::Resume { id } => {
                if let Some(wait) = state.waits.remove(&id) {
                    let _ = wait.send(None);
                }
            }
            Effect::Answer { asker, id, outcome, redundant } => {
                self.answer(state, asker, id, outcome, redundant)
            }
            Effect::Refuse { asker, id, refusal } => {
                state.refused += 1;
                if let Some(link) = state.links.get(&asker.0) {
                    let _ = link.send_message(&Message::Refused { id, refusal });
                }
            }
            Effect::Ready => {
                if let Some(ready) = state.ready.take() {
                    let _ = ready.send(());
                }
            }
            Effect::Note(note) => self.note(note),
        }
    }

    fn commit(&self, state: &mut State, incarnation: Incarnation, writes: Vec<Write<Bytes>>, then: &[Then]) {
        let mut along = None;
        let writes = writes.into_iter().map(|write| match write {
            Write::PutRow { key, row } => {
                along = self.along_with(&row);
                AreaWrite::Row { key, row }
            }
            Write::Atomic { key, id, digest } => {
                let run = state.closure.take().expect("an atomic commit follows its own input at once");
                AreaWrite::Atomic { key, id, digest, run }
            }
            Write::PutMark { source, mark } => AreaWrite::Mark { source, mark },
            Write::DropSource { source } => AreaWrite::DropSource { source },
        });
        let mut writes: Vec<AreaWrite> = writes.collect();
        writes.extend(along.map(AreaWrite::Also));
        let token = match then.first() {
            Some(Then::Stable { id }) => Token::Row(*id),
            Some(Then::StableBlock { id }) => Token::Block(*id),
            None => Token::Other(0),
        };
        state.jobs.push(Job { incarnation, writes, token });
        if state.jobs.len() == 1 {
            self.work.notify_one();
        }
    }

    /// What the service writes along with a row that registers something.
    fn along_with(&self, row: &Row<Bytes>) -> Option<AtomicClosure> {
        match row.state {
            RowState::Registered(
                CoreRedProcess::AutoReply(Outcome::Reply(_)) | CoreRedProcess::Handler { .. },
            ) => {}
            _ => return None,
        }
        let (service, source) = (self.service.clone(), self.shared.directory.name(row.id.source));
        Some(rider(move |area| service.registered(area, &source)))
    }

    fn answer(&self, state: &mut State, asker: Asker, id: CallId, outcome: Outcome<Bytes>, redundant: bool) {
        if redundant {
            self.shared.trace.push(What::RedundancyFound {
                call: self.shared.directory.id_text(id),
                alias: self.alias_name.clone(),
                process_type: "AUTO_REPLY".to_owned(),
            });
        }
        if let Some(link) = state.links.get(&asker.0) {
            self.shared.trace_answered(id, &self.alias_name, &link.peer().name, redundant);
            let _ = link.send_message(&Message::Answer { id, outcome, redundant });
        }
        if !state.answered {
            state.answered = true;
            self.shared.trace.push(What::FirstReply {
                alias: self.alias_name.clone(),
                incarnation: self.incarnation.0,
                timing: TakeoverTiming::default(),
            });
        }
    }

    fn note(&self, note: Note) {
        let text = |id| self.shared.directory.id_text(id);
        let alias = self.alias_name.clone();
        match note {
            // Counted by the machine; what was answered is traced where it is sent.
            Note::Redundant { .. } => {}
            Note::Held { id } => self.shared.trace.push(What::RedundancyFound {
                call: text(id),
                alias,
                process_type: "held".to_owned(),
            }),
            Note::InDoubt { id } => {
                tracing::warn!(call = %text(id), alias = %alias, "in doubt: an operator must resolve this call");
                self.shared.trace.push(What::InDoubt { call: text(id), alias });
            }
            Note::Stale { id } => self.shared.trace.push(What::Stale { call: text(id), alias }),
        }
    }
}

impl<S: Service> Serving for ServeSide<S> {
    fn requests(&self, link: &Link, requests: &mut Vec<Request<Bytes>>) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let asker = Asker(link.number());
        state.links.entry(asker.0).or_insert_with(|| link.clone());
        for request in requests.iter() {
            self.shared.trace_received(request, &self.alias_name, &link.peer().name);
        }
        state.received += requests.len() as u64;
        state.inbox.extend(requests.drain(..).map(|request| (asker, request)));
        // What is over the limit is looked at now: then the reader of the link can't run ahead.
        self.admit(state, state.inbox.len().saturating_sub(REQUESTS_IN_HAND_MAX));
        self.work.notify_one();
    }

    fn link_gone(&self, link: u64) {
        let mut state = self.state.lock();
        if state.links.remove(&link).is_some() {
            self.feed(&mut state, Input::AskerGone { asker: Asker(link) });
        }
    }

    fn committed(&self, jobs: Vec<Committed>) {
        let mut state = self.state.lock();
        let now = clock::now();
        for Committed { token, outcome } in jobs {
            match token {
                Token::Row(id) => {
                    self.shared.trace_stable(id, &self.alias_name, Durable::Outcome);
                    let wait = state.waits.remove(&id);
                    if let Some(wait) = wait {
                        let _ = wait.send(outcome.clone());
                    }
                    self.feed_at(&mut state, now, Input::Stable { id, outcome });
                }
                Token::Block(id) => {
                    self.shared.trace_stable(id, &self.alias_name, Durable::Block);
                    self.feed_at(&mut state, now, Input::StableBlock { id });
                }
                Token::Outbox(_) | Token::Other(_) => {}
            }
        }
    }

    fn aliases_gone(&self, aliases: Vec<AliasId>) {
        self.feed(&mut self.state.lock(), Input::AliasesGone { aliases });
    }

    fn promote(&self, blocked: Blocked) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        if let Err(error) = self.service.promoted(&self.area) {
            tracing::error!(alias = %self.alias_name, %error, "the service refused its promotion");
            return told;
        }
        let mut state = self.state.lock();
        state.ready = Some(tell);
        self.feed(&mut state, Input::Promoted { incarnation: self.incarnation, blocked });
        told
    }

    fn resolve(&self, id: CallId, decision: InDoubtDecision) -> Result<()> {
        self.decide(id, decision)
    }

    fn command(&self, command: &str) -> Result<String> {
        self.service.command(&self.area, command)
    }

    fn live_rows(&self) -> Vec<TableRow> {
        self.rows_in_hand()
    }

    fn hits(&self, id: CallId) -> u64 {
        u64::from(self.state.lock().core.hits(id))
    }

    fn stats(&self, stats: &mut AliasStats) {
        self.measure(stats);
    }
}
