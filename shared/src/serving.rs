//! The server side of one alias in this process: feeds the protocol's server machine and does what it says.

mod commits;
mod handlers;
mod hands;
mod inbox;
mod notes;
mod operator;
mod relaying;
mod relays;
mod runs;
mod undo;

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use inbox::Arrived;
use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Nanos, SlotKey};
use palib_core::message::{Message, Outcome, Refusal, Request};
use palib_core::redundancy::Row;
use palib_core::relay::Journaled;
use palib_core::server::{Asker, Effect, Input, Server, Settings};
use parking_lot::Mutex;
use relaying::Gives;
use runs::Runs;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};

use self::hands::Hands;
use crate::call::Waited;
use crate::calling::CallSide;
use crate::clock;
use crate::control::{AliasStats, InDoubtDecision, Relays, TableRow, TakeoverTiming, What};
use crate::defect::Point;
use crate::hashing::NumberMap;
use crate::limits::{REQUESTS_IN_HAND_MAX, SESSIONS_REMEMBERED_MAX, WINDOW};
use crate::process::Shared;
use crate::service::Service;
use crate::sink::end_process;
use crate::stable::{AreaError, AtomicClosure, Committed, Job};
use crate::transport::{Link, LinkError};
use crate::{Area, Policy, Result};

/// The server side without the type of its service.
pub(crate) trait Serving: Send + Sync {
    /// Requests came in on a link, in this order.
    fn requests(&self, link: &Link, requests: &mut Vec<Request<Bytes>>);
    /// A cancellation came in on a link, after all that came in before.
    fn cancels(&self, link: &Link, request: Request<Bytes>);
    /// A source alias told its mark.
    fn mark(&self, source: AliasId, mark: Mark);
    /// The calling side of the alias has news of calls that were made from here.
    fn news(&self);
    /// A link is gone.
    fn link_gone(&self, link: u64);
    /// Jobs of this side are durable: sends the answers that follow.
    fn committed(&self, jobs: Vec<Committed>);
    /// Lets the hands go on that waited for those jobs.
    fn resume(&self);
    /// These aliases exist no longer; each with its last incarnation.
    fn aliases_gone(&self, aliases: Vec<(AliasId, Incarnation)>);
    /// Begins to recover; the receiver is told when the mark of service may move.
    fn promote(&self, found: Found) -> oneshot::Receiver<()>;
    fn resolve(&self, id: CallId, decision: InDoubtDecision) -> Result<()>;
    /// Changes what a takeover does with a transaction.
    fn set_policy(&self, id: CallId, policy: Policy) -> Result<()>;
    /// The open transactions whose id contains this text, at most so many.
    fn relays(&self, filter: &str, limit: usize) -> Relays;
    fn command(&self, command: &str) -> Result<String>;
    /// Rows that are not in the stable area, or need the operator.
    fn live_rows(&self) -> Vec<TableRow>;
    /// How often a redundant request was found for a call.
    fn hits(&self, id: CallId) -> u64;
    fn stats(&self, stats: &mut AliasStats);
}

/// What a predecessor left half done, as found when the area was opened.
pub(crate) struct Found {
    /// The rows in state blocked or relaying.
    pub(crate) blocked: Vec<(SlotKey, Row<Bytes>)>,
    /// The journal of relays.
    pub(crate) journal: Vec<Journaled<Bytes>>,
}

/// What a server side is made of at its promotion, beside its service.
pub(crate) struct Promotion {
    pub(crate) shared: Arc<Shared>,
    pub(crate) incarnation: Incarnation,
    pub(crate) area: Area,
    /// The calling side of the same alias.
    pub(crate) calling: Arc<CallSide>,
    /// What a takeover does with transactions, unless the service says otherwise.
    pub(crate) on_takeover: Policy,
}

/// The server side of an alias that is in service here.
pub(crate) struct ServeSide<S> {
    me: Weak<Self>,
    alias: AliasId,
    alias_name: String,
    incarnation: Incarnation,
    area: Area,
    service: Arc<S>,
    shared: Arc<Shared>,
    calling: Arc<CallSide>,
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
    /// What was not looked at yet, in the order it came.
    inbox: VecDeque<Arrived>,
    waits: NumberMap<CallId, oneshot::Sender<Waited>>,
    /// Hands whose commit is durable, and what they are to be told. Told when the answers have left, or their turns would
    /// come between.
    resumed: Vec<(oneshot::Sender<Waited>, Waited)>,
    hands: Hands,
    runs: Runs,
    gives: Gives,
    /// Each `undo` that waits for its commit.
    undoing: NumberMap<CallId, oneshot::Sender<Waited>>,
    /// Transactions that anything happened to: all their steps are told.
    told: HashSet<CallId>,
    /// The closure of the `Atomic` or `UndoAtomic` input that is being handled.
    closure: Option<AtomicClosure>,
    /// What is to be committed and was not submitted yet.
    jobs: Vec<Job>,
    ready: Option<oneshot::Sender<()>>,
    answered: bool,
    /// When the first request came, unless it had been sent before.
    asked_ns: Option<u64>,
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
        service: Arc<S>,
        promotion: Promotion,
    ) -> Arc<Self> {
        let Promotion { shared, incarnation, area, calling, on_takeover } = promotion;
        let state = State {
            core: Server::new(Settings {
                alias,
                window: WINDOW,
                sessions_max: SESSIONS_REMEMBERED_MAX,
                calls_max: REQUESTS_IN_HAND_MAX,
                on_takeover: on_takeover.into(),
            }),
            links: NumberMap::default(),
            inbox: VecDeque::new(),
            waits: NumberMap::default(),
            resumed: Vec::new(),
            hands: Hands::default(),
            runs: Runs::default(),
            gives: Gives::default(),
            undoing: NumberMap::default(),
            told: HashSet::new(),
            closure: None,
            jobs: Vec::new(),
            ready: None,
            answered: false,
            asked_ns: None,
            received: 0,
            refused: 0,
            now: Nanos::default(),
            todo: VecDeque::new(),
            effects: Vec::new(),
        };
        let runtime = Handle::current();
        let side = Arc::new_cyclic(|me| Self {
            me: me.clone(),
            alias,
            alias_name,
            incarnation,
            area,
            service,
            shared,
            calling,
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

    /// This process passes a defect point of this alias.
    #[inline]
    fn pass(&self, point: Point) {
        self.shared.points.pass(self.alias, point);
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
        // Nearly always there is nothing before it, and nothing that follows from it: then it is not moved about, which
        // takes as long as much that is done with it.
        if state.todo.is_empty() {
            self.handle(state, input);
        } else {
            state.todo.push_back(input);
        }
        self.feed_todo(state);
    }

    /// Feeds what is to be done already, and what follows.
    fn feed_todo(&self, state: &mut State) {
        while let Some(input) = state.todo.pop_front() {
            self.handle(state, input);
        }
    }

    #[inline]
    fn handle(&self, state: &mut State, input: Input<Bytes>) {
        let mut effects = std::mem::take(&mut state.effects);
        state.core.handle(state.now, input, &mut effects);
        for effect in effects.drain(..) {
            self.perform(state, effect);
        }
        state.effects = effects;
    }

    fn perform(&self, state: &mut State, effect: Effect<Bytes>) {
        match effect {
            Effect::Commit { incarnation, writes, then } => self.commit(state, incarnation, writes, then),
            Effect::Load { key } => match self.area.store.load(key) {
                Ok((row, mark)) => state.todo.push_back(Input::Loaded { key, row, mark }),
                // Closed by this process, which is ending on order: nobody is answered here any more.
                Err(AreaError::Closed) => {}
                Err(error) => end_process(&self.alias_name, &error),
            },
            Effect::Execute { id, body } => self.execute(state, id, body),
            Effect::CallHandler { id, index, arg, request } => {
                self.call_handler(state, id, index, arg, request)
            }
            Effect::Recover { id, request } => self.recover(id, request),
            Effect::Resume { id } => {
                if let Some(wait) = state.waits.remove(&id) {
                    let _ = wait.send(None);
                }
            }
            // The handler gets an error: its sender is gone.
            Effect::Over { id } => drop(state.waits.remove(&id)),
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
            Effect::Note(note) => self.note(state, note),
            effect => self.perform_of_relay(state, effect),
        }
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
            self.pass(Point::BeforeReply);
            if let Err(LinkError::NoRoom { .. }) =
                link.send_message(&Message::Answer { id, outcome, redundant })
            {
                // It lies in the stable area, and is given when the caller comes again.
                let _ = link.send_message(&Message::Refused { id, refusal: Refusal::Busy });
            }
            self.pass(Point::AfterReply);
        }
        if !state.answered {
            state.answered = true;
            self.shared.trace.push(What::FirstReply {
                alias: self.alias_name.clone(),
                incarnation: self.incarnation.0,
                asked_ns: state.asked_ns,
                timing: TakeoverTiming::default(),
            });
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
            self.pass(Point::AfterReceive);
        }
        if state.received == 0 {
            let new = requests.first().is_some_and(|first| first.attempt == 0);
            state.asked_ns = new.then(clock::monotonic_ns);
        }
        state.received += requests.len() as u64;
        state.inbox.extend(requests.drain(..).map(|request| Arrived::Request(asker, request)));
        self.arrived(state);
    }

    fn cancels(&self, link: &Link, request: Request<Bytes>) {
        self.pass(Point::AfterReceiveCancel);
        let mut state = self.state.lock();
        let asker = Asker(link.number());
        state.links.entry(asker.0).or_insert_with(|| link.clone());
        state.inbox.push_back(Arrived::Cancel(asker, request));
        self.arrived(&mut state);
    }

    fn mark(&self, source: AliasId, mark: Mark) {
        let mut state = self.state.lock();
        state.inbox.push_back(Arrived::Mark(source, mark));
        self.arrived(&mut state);
    }

    fn news(&self) {
        let mut state = self.state.lock();
        self.hear(&mut state);
        state.now = clock::now();
        self.feed_todo(&mut state);
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
        for job in jobs {
            self.durable(&mut state, now, job);
        }
    }

    fn resume(&self) {
        for (hand, outcome) in self.state.lock().resumed.drain(..) {
            // Nobody may listen any more.
            let _ = hand.send(outcome);
        }
    }

    fn aliases_gone(&self, aliases: Vec<(AliasId, Incarnation)>) {
        self.feed(&mut self.state.lock(), Input::AliasesGone { aliases });
    }

    fn promote(&self, Found { blocked, journal }: Found) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        if let Err(error) = self.tell_promoted() {
            tracing::error!(alias = %self.alias_name, %error, "the service refused its promotion");
            return told;
        }
        let mut state = self.state.lock();
        state.ready = Some(tell);
        self.feed(&mut state, Input::Promoted { incarnation: self.incarnation, blocked, journal });
        told
    }

    fn resolve(&self, id: CallId, decision: InDoubtDecision) -> Result<()> {
        self.decide(id, decision)
    }

    fn set_policy(&self, id: CallId, policy: Policy) -> Result<()> {
        self.order_policy(id, policy)
    }

    fn relays(&self, filter: &str, limit: usize) -> Relays {
        self.open_relays(filter, limit)
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
