//! The server side of one alias in this process: feeds the protocol's server machine and does what it says.

mod operator;

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use futures_util::FutureExt;
use palib_core::ids::{AliasId, CallId, Incarnation};
use palib_core::message::{Message, Outcome, Request};
use palib_core::redundancy::{RedProcess as CoreRedProcess, Row, RowState};
use palib_core::server::{Asker, Effect, Input, Note, Server, Settings, Then, Write};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use xxhash_rust::xxh3::xxh3_128;

use crate::call::{Call, CallHome, Waited};
use crate::client::rider;
use crate::clock;
use crate::control::{AliasStats, InDoubtDecision, TableRow, TakeoverTiming, What};
use crate::limits::{REQUESTS_IN_HAND_MAX, SESSIONS_REMEMBERED_MAX, WINDOW};
use crate::process::Shared;
use crate::service::{InDoubt, Service, outcome_of};
use crate::sink::end_process;
use crate::stable::{AreaWrite, AtomicClosure, Committed, Job, Token};
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
    /// Told when there are jobs to be submitted.
    more_jobs: Arc<Notify>,
}

struct State {
    core: Server<Bytes>,
    links: HashMap<u64, Link>,
    waits: HashMap<CallId, oneshot::Sender<Waited>>,
    /// The closure of the `Atomic` input that is being handled.
    closure: Option<AtomicClosure>,
    /// What is to be committed and was not submitted yet.
    jobs: Vec<Job>,
    ready: Option<oneshot::Sender<()>>,
    answered: bool,
    received: u64,
    refused: u64,
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
            links: HashMap::new(),
            waits: HashMap::new(),
            closure: None,
            jobs: Vec::new(),
            ready: None,
            answered: false,
            received: 0,
            refused: 0,
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
            more_jobs: Arc::default(),
        });
        side.runtime.spawn(submit(side.me.clone(), side.more_jobs.clone()));
        side
    }

    fn me(&self) -> Arc<Self> {
        // The side lives as long as its process: it is only dropped when nothing can call it any more.
        self.me.upgrade().expect("a side that runs is referenced by its process")
    }

    /// Feeds one input and everything that follows from it at once.
    fn feed(&self, state: &mut State, input: Input<Bytes>) {
        let now = clock::now();
        state.todo.push_back(input);
        while let Some(input) = state.todo.pop_front() {
            let mut effects = std::mem::take(&mut state.effects);
            state.core.handle(now, input, &mut effects);
            for effect in effects.drain(..) {
                self.perform(state, effect);
            }
            state.effects = effects;
        }
    }

    fn perform(&self, state: &mut State, effect: Effect<Bytes>) {
        match effect {
            Effect::Commit { incarnation, writes, then } => self.commit(state, incarnation, writes, &then),
            Effect::Load { key } => match self.area.store.load(key) {
                Ok((row, mark)) => state.todo.push_back(Input::Loaded { key, row, mark }),
                Err(error) => end_process(&self.alias_name, &error),
            },
            Effect::Execute { id, body } => self.execute(id, body),
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
            self.more_jobs.notify_one();
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

    fn execute(&self, id: CallId, body: Bytes) {
        let me = self.me();
        self.runtime.spawn(async move {
            let call = Call { home: me.clone(), id, body };
            let ended = AssertUnwindSafe(me.service.handle(call)).catch_unwind().await;
            let input = match ended {
                Ok(result) => Input::Returned { id, outcome: outcome_of(result) },
                Err(panic) => Input::Abandoned { id, failure: panic_text(panic.as_ref()) },
            };
            me.feed(&mut me.state.lock(), input);
        });
    }

    fn call_handler(&self, id: CallId, index: u16, arg: Bytes, request: Bytes) {
        self.shared.trace.push(What::RedundancyFound {
            call: self.shared.directory.id_text(id),
            alias: self.alias_name.clone(),
            process_type: format!("HANDLER {index}"),
        });
        let me = self.me();
        self.runtime.spawn(async move {
            let call = Call { home: me.clone(), id, body: request };
            let ended = AssertUnwindSafe(me.service.redundant(index, arg, call)).catch_unwind().await;
            let outcome = match ended {
                Ok(result) => outcome_of(result),
                Err(panic) => Outcome::Failed(panic_text(panic.as_ref())),
            };
            me.feed(&mut me.state.lock(), Input::HandlerAnswered { id, outcome });
        });
    }

    fn recover(&self, id: CallId, request: Bytes) {
        let me = self.me();
        self.runtime.spawn(async move {
            let id_text = me.shared.directory.id_text(id);
            let call = InDoubt { id_text: id_text.clone(), body: request };
            let recovery = AssertUnwindSafe(me.service.recover(call, me.area.clone())).catch_unwind().await;
            let recovery = recovery.unwrap_or(crate::Recovery::Unknown);
            let how = match &recovery {
                crate::Recovery::Completed(_) => Some("recovered: it was executed"),
                crate::Recovery::NotExecuted => Some("recovered: it was not executed and runs now"),
                crate::Recovery::Unknown => None,
            };
            if let Some(how) = how {
                let alias = me.alias_name.clone();
                me.shared.trace.push(What::Resolved { call: id_text, alias, how: how.to_owned() });
            }
            me.feed(&mut me.state.lock(), Input::Recovered { id, recovery: recovery.into() });
        });
    }

    fn wait_for(&self, state: &mut State, id: CallId) -> oneshot::Receiver<Waited> {
        let (tell, told) = oneshot::channel();
        state.waits.insert(id, tell);
        told
    }
}

impl<S: Service> Serving for ServeSide<S> {
    fn requests(&self, link: &Link, requests: &mut Vec<Request<Bytes>>) {
        let mut state = self.state.lock();
        let asker = Asker(link.number());
        state.links.entry(asker.0).or_insert_with(|| link.clone());
        for request in requests.drain(..) {
            state.received += 1;
            let digest = xxh3_128(&request.body);
            self.feed(&mut state, Input::Request { asker, request, digest });
        }
    }

    fn link_gone(&self, link: u64) {
        let mut state = self.state.lock();
        if state.links.remove(&link).is_some() {
            self.feed(&mut state, Input::AskerGone { asker: Asker(link) });
        }
    }

    fn committed(&self, jobs: Vec<Committed>) {
        let mut state = self.state.lock();
        for Committed { token, outcome } in jobs {
            match token {
                Token::Row(id) => {
                    let wait = state.waits.remove(&id);
                    if let Some(wait) = wait {
                        let _ = wait.send(outcome.clone());
                    }
                    self.feed(&mut state, Input::Stable { id, outcome });
                }
                Token::Block(id) => self.feed(&mut state, Input::StableBlock { id }),
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

impl<S: Service> CallHome for ServeSide<S> {
    fn area(&self) -> &Area {
        &self.area
    }

    fn source_name(&self, id: CallId) -> String {
        self.shared.directory.name(id.source)
    }

    fn id_text(&self, id: CallId) -> String {
        self.shared.directory.id_text(id)
    }

    fn atomic(&self, id: CallId, run: AtomicClosure) -> oneshot::Receiver<Waited> {
        let mut state = self.state.lock();
        let told = self.wait_for(&mut state, id);
        state.closure = Some(run);
        self.feed(&mut state, Input::Atomic { id });
        if state.closure.take().is_some() {
            // The machine asked for no commit: the call has an outcome already. The handler gets an error.
            state.waits.remove(&id);
        }
        told
    }

    fn block(&self, id: CallId) -> oneshot::Receiver<Waited> {
        let mut state = self.state.lock();
        let told = self.wait_for(&mut state, id);
        self.feed(&mut state, Input::BlockRequest { id });
        told
    }

    fn set_red_process(&self, id: CallId, red: CoreRedProcess<Bytes>) -> oneshot::Receiver<Waited> {
        let mut state = self.state.lock();
        let told = self.wait_for(&mut state, id);
        self.feed(&mut state, Input::SetRedProcess { id, red });
        told
    }
}

/// Submits what is to be committed, until the side is gone.
///
/// Requests come in by the dozen, and each is a task. Submitted by each of them, the first would wake the writer,
/// and the commit that it begins would leave all others to the next one: two commits where one does. This task
/// runs after those that are ready already, so their jobs go into one commit; there is no timer.
async fn submit<S: Service>(side: Weak<ServeSide<S>>, more_jobs: Arc<Notify>) {
    loop {
        more_jobs.notified().await;
        let Some(side) = side.upgrade() else { return };
        let jobs = std::mem::take(&mut side.state.lock().jobs);
        for job in jobs {
            side.area.store.submit(job);
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> Bytes {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text =
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned());
    Bytes::from(format!("the service panicked: {text}"))
}
