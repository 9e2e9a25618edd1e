//! The calling side of one alias in this process: feeds the protocol's caller machine and does what it says.

mod relayed;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId, IdForm, Incarnation, Nanos, PortId, TransId};
use palib_core::message::{Message, Outcome, Refusal, Request};
use palib_core::resend::{
    CallState, CallView, Caller, Effect, Input, Pending, Rejection, Route, Settings, Write,
};
use parking_lot::Mutex;
use relayed::Relayed;
use tokio::sync::{Notify, oneshot};

use crate::branch::within_limit;
use crate::control::{AliasStats, ToFtm};
use crate::defect::Point;
use crate::hashing::NumberMap;
use crate::limits::WINDOW;
use crate::process::Shared;
use crate::serving::Serving;
use crate::stable::{AreaWrite, AtomicClosure, Committed, Job, Token};
use crate::transport::{Link, LinkError};
use crate::{Area, Error, Result, clock};

/// A request that got no answer for so long is sent again, although nothing told that it was lost. Long enough
/// that a slow handler causes no traffic; a takeover does not wait for it, the FTM pushes the new route.
const RESEND_AFTER: Duration = Duration::from_secs(2);
/// While nobody is in service, the PAM is asked again after so long.
const INQUIRE_AFTER: Duration = Duration::from_millis(200);
/// How finely deadlines and re-sends are kept.
const TICK: Duration = Duration::from_millis(10);

/// An outcome as it reached this process.
#[derive(Debug)]
pub(crate) enum Arrival {
    Outcome { outcome: Outcome<Bytes>, returned_ns: u64 },
    Refused(Refusal),
    DeadlinePassed,
}

/// The calling side of an alias that this process calls for.
pub(crate) struct CallSide {
    me: Weak<Self>,
    source: AliasId,
    pub(crate) name: String,
    incarnation: Incarnation,
    outbox: bool,
    pub(crate) area: Area,
    shared: Arc<Shared>,
    state: Mutex<State>,
    busy: Notify,
    /// Whose relays call on from here.
    serving: OnceLock<Weak<dyn Serving>>,
}

struct State {
    core: Caller<Bytes>,
    waits: NumberMap<CallId, oneshot::Sender<Arrival>>,
    consumed: NumberMap<CallId, oneshot::Sender<Option<Outcome<Bytes>>>>,
    /// What the next outbox write takes along into its transaction.
    rider: Option<AtomicClosure>,
    started: Option<Result<CallId, Rejection>>,
    targets: Vec<AliasId>,
    /// The link on which the last request went, and to which port: the next one goes the same way.
    way: Option<(PortId, Link)>,
    relayed: Relayed,
    resent: u64,
    token: u64,
    /// When the machine was last fed.
    now: Nanos,
    todo: VecDeque<Input<Bytes>>,
    effects: Vec<Effect<Bytes>>,
}

/// Told when a consumed call is dropped, with what became of the rider.
pub(crate) type Consumption = oneshot::Receiver<Option<Outcome<Bytes>>>;

/// A call that was started.
pub(crate) struct Started {
    pub(crate) id: CallId,
    pub(crate) invoked_ns: u64,
    pub(crate) arrival: oneshot::Receiver<Arrival>,
}

impl CallSide {
    pub(crate) fn new(
        source: AliasId,
        name: String,
        form: IdForm,
        outbox: bool,
        incarnation: Incarnation,
        area: Area,
        shared: Arc<Shared>,
    ) -> Arc<Self> {
        let settings = Settings {
            source,
            form,
            outbox,
            window: WINDOW,
            resend_after: Nanos(RESEND_AFTER.as_nanos() as u64),
            inquire_after: Nanos(INQUIRE_AFTER.as_nanos() as u64),
            mark_after: Nanos(INQUIRE_AFTER.as_nanos() as u64),
        };
        let state = State {
            core: Caller::new(settings),
            waits: NumberMap::default(),
            consumed: NumberMap::default(),
            rider: None,
            started: None,
            targets: Vec::new(),
            way: None,
            relayed: Relayed::default(),
            resent: 0,
            token: 0,
            now: Nanos::default(),
            todo: VecDeque::new(),
            effects: Vec::new(),
        };
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            source,
            name,
            incarnation,
            outbox,
            area,
            shared,
            state: Mutex::new(state),
            busy: Notify::new(),
            serving: OnceLock::new(),
        })
    }

    /// Takes over: what the outbox holds is sent again under its first ids, once [`Self::begin`] says so. What the
    /// journal of relays holds waits for the serving side.
    pub(crate) fn promote(
        &self,
        port: PortId,
        trans_base: u64,
        pending: Vec<Pending<Bytes>>,
        held: Vec<Pending<Bytes>>,
    ) {
        let mut targets: Vec<AliasId> = pending.iter().chain(&held).map(|call| call.target).collect();
        targets.sort_unstable();
        targets.dedup();
        let mut state = self.state.lock();
        self.hold_back(&mut state);
        for target in &targets {
            self.learn_target(&mut state, *target);
        }
        let input = Input::Promoted {
            incarnation: self.incarnation,
            port,
            trans_base: TransId(trans_base),
            pending,
            held,
        };
        self.feed(&mut state, input);
    }

    /// Starts a call. `rider` is run in the transaction that puts the call into the outbox.
    pub(crate) fn start(
        &self,
        target: AliasId,
        body: Bytes,
        deadline: Option<Duration>,
        rider: Option<AtomicClosure>,
    ) -> Result<Started> {
        let body = within_limit(body)?;
        let invoked = clock::now();
        let deadline = deadline.map(|after| later(invoked, after));
        let mut state = self.state.lock();
        self.learn_target(&mut state, target);
        state.token += 1;
        let token = state.token;
        state.rider = rider;
        self.feed_at(&mut state, invoked, Input::Call { token, target, body, deadline });
        state.rider = None;
        match state.started.take() {
            Some(Ok(id)) => {
                let (tell, arrival) = oneshot::channel();
                state.waits.insert(id, tell);
                Ok(Started { id, invoked_ns: invoked.0, arrival })
            }
            Some(Err(reason)) => Err(Error::Rejected(reason)),
            None => Err(Error::Ended),
        }
    }

    /// Waits for a call that is pending already.
    pub(crate) fn again(&self, id: CallId, deadline: Option<Duration>) -> Result<Started> {
        let now = clock::now();
        let deadline = deadline.map(|after| later(now, after));
        let mut state = self.state.lock();
        let found = state.core.call_view(id).filter(is_pending).map(|view| view.call.invoked);
        let Some(invoked) = found else {
            return Err(Error::UnknownCall(self.shared.directory.id_text(id)));
        };
        if state.waits.get(&id).is_some_and(|waits| !waits.is_closed()) {
            return Err(Error::Awaited(self.shared.directory.id_text(id)));
        }
        let (tell, arrival) = oneshot::channel();
        state.waits.insert(id, tell);
        self.feed_at(&mut state, now, Input::Await { id, deadline });
        Ok(Started { id, invoked_ns: invoked.0, arrival })
    }

    /// The calls that are pending: made, and not consumed. Those of relays are not among them.
    pub(crate) fn pending(&self) -> Vec<Pending<Bytes>> {
        let state = self.state.lock();
        let own = state.core.calls().filter(is_pending);
        own.map(|view| view.call.clone()).collect()
    }

    /// The call is done. Its outbox row is dropped together with what `rider` changes; the receiver is told when
    /// that is stable. Without an outbox and a rider nothing has to be stable.
    pub(crate) fn consume(&self, id: CallId, rider: Option<AtomicClosure>) -> Result<Option<Consumption>> {
        let mut state = self.state.lock();
        let found = state.core.call_view(id).filter(|view| !view.journaled).map(|view| view.state);
        if !matches!(found, Some(CallState::Answered(_) | CallState::Refused(_))) {
            // Somebody else has consumed it: two may have asked for one call by its id.
            return Err(Error::UnknownCall(self.shared.directory.id_text(id)));
        }
        self.pass(Point::BeforeConsume);
        let told = (self.outbox || rider.is_some()).then(|| {
            let (tell, told) = oneshot::channel();
            state.consumed.insert(id, tell);
            told
        });
        if self.outbox {
            state.rider = rider;
        } else if let Some(run) = rider {
            let writes = vec![AreaWrite::App(run)];
            self.area.store.submit(Job { incarnation: self.incarnation, writes, token: Token::Outbox(id) });
        }
        // It sets no time, so it is not worth a look at the clock.
        let now = state.now;
        self.feed_at(&mut state, now, Input::Consumed { id });
        state.rider = None;
        Ok(told)
    }

    /// Answers and refusals came in.
    pub(crate) fn messages(&self, from: SocketAddr, messages: impl Iterator<Item = Message<Bytes>>) {
        let now = clock::now();
        let mut state = self.state.lock();
        for message in messages {
            match message {
                Message::Answer { id, outcome, .. } => {
                    self.pass(Point::AfterArrival);
                    self.trace_answer(&state, id, now);
                    self.feed_at(&mut state, now, Input::Answer { id, outcome });
                }
                Message::Refused { id, refusal } => {
                    let target = state.core.call_view(id).map(|view| view.call.target);
                    let port = target.and_then(|target| self.shared.directory.port_at(target, from));
                    if let Some(port) = port {
                        self.feed_at(&mut state, now, Input::Refused { id, port, refusal });
                    }
                }
                Message::CancelEnded { id, end } => {
                    self.feed_at(&mut state, now, Input::CancelEnded { id, end });
                }
                Message::Request(_) | Message::Cancel(_) | Message::Mark { .. } => {}
            }
        }
        self.release(state);
    }

    pub(crate) fn route(&self, target: AliasId, route: Route) {
        let mut state = self.state.lock();
        if state.targets.contains(&target) {
            self.shared.warm(target);
            self.feed(&mut state, Input::Route { target, route });
        }
        self.release(state);
    }

    pub(crate) fn port_gone(&self, port: PortId) {
        let mut state = self.state.lock();
        self.feed(&mut state, Input::PortGone { port });
        self.release(state);
    }

    pub(crate) fn committed(&self, jobs: Vec<Committed>) {
        let mut state = self.state.lock();
        for Committed { token, outcome } in jobs {
            if let Token::Outbox(id) = token {
                self.pass_durable(&state, id);
                if let Some(tell) = state.consumed.remove(&id) {
                    let _ = tell.send(outcome);
                }
                self.feed(&mut state, Input::Stable { id });
            }
        }
    }

    /// This process passes a defect point of this alias.
    #[inline]
    pub(crate) fn pass(&self, point: Point) {
        self.shared.points.pass(self.source, point);
    }

    /// A call is durably in the outbox, or dropped from it.
    fn pass_durable(&self, state: &State, id: CallId) {
        if self.shared.points.any() {
            let putting = state.core.call_view(id).is_some_and(|view| view.state == CallState::Putting);
            self.pass(if putting { Point::AfterOutbox } else { Point::AfterConsume });
        }
    }

    pub(crate) fn stats(&self, stats: &mut AliasStats) {
        let state = self.state.lock();
        stats.pending = state.core.calls().filter(|view| !view.journaled).count() as u32;
        stats.resent = state.resent;
    }

    fn learn_target(&self, state: &mut State, target: AliasId) {
        if state.targets.contains(&target) {
            return;
        }
        state.targets.push(target);
        self.shared.warm(target);
        if let Some(route) = self.shared.directory.route(target) {
            state.todo.push_back(Input::Route { target, route });
        }
    }

    fn feed(&self, state: &mut State, input: Input<Bytes>) {
        self.feed_at(state, clock::now(), input);
    }

    fn feed_at(&self, state: &mut State, now: Nanos, input: Input<Bytes>) {
        state.now = now;
        let idle = state.core.next_wakeup().is_none();
        // Nearly always there is nothing before it, and nothing that follows from it: then it is not moved about.
        if state.todo.is_empty() {
            self.handle(state, input);
        } else {
            state.todo.push_back(input);
        }
        while let Some(input) = state.todo.pop_front() {
            self.handle(state, input);
        }
        if idle && state.core.next_wakeup().is_some() {
            self.busy.notify_one();
        }
    }

    #[inline]
    fn handle(&self, state: &mut State, input: Input<Bytes>) {
        let (mut effects, now) = (std::mem::take(&mut state.effects), state.now);
        state.core.handle(now, input, &mut effects);
        for effect in effects.drain(..) {
            self.perform(state, now, effect);
        }
        state.effects = effects;
    }

    fn perform(&self, state: &mut State, now: Nanos, effect: Effect<Bytes>) {
        match effect {
            Effect::Started { id, .. } => state.started = Some(Ok(id)),
            Effect::Rejected { reason, .. } => state.started = Some(Err(reason)),
            Effect::Commit { incarnation, write } => {
                let (id, change) = match write {
                    Write::Put(call) => {
                        self.pass(Point::BeforeOutbox);
                        (call.id, AreaWrite::OutboxPut(call))
                    }
                    Write::Drop(id) => (id, AreaWrite::OutboxDrop(id)),
                };
                let mut writes = vec![change];
                writes.extend(state.rider.take().map(AreaWrite::App));
                self.area.store.submit(Job { incarnation, writes, token: Token::Outbox(id) });
            }
            Effect::Send { port, request } => {
                if request.attempt > 0 {
                    state.resent += 1;
                }
                self.trace_sending(state, &request, port);
                self.send(state, port, Message::Request(request));
            }
            Effect::SendCancel { port, request } => self.send(state, port, Message::Cancel(request)),
            Effect::SendMark { port, target, mark } => self.send_mark(state, port, target, mark),
            Effect::Relay { id, news } => self.note_news(state, id, news),
            Effect::Inquire { target } => self.shared.tell_ftm(&ToFtm::Inquire { alias: target.0 }),
            Effect::Deliver { id, outcome } => {
                self.arrive(state, id, Arrival::Outcome { outcome, returned_ns: now.0 });
            }
            Effect::Refused { id, refusal } => {
                self.shared.trace.sampler.ends(id);
                self.arrive(state, id, Arrival::Refused(refusal));
            }
            Effect::DeadlinePassed { id } => self.arrive(state, id, Arrival::DeadlinePassed),
            // Whoever waits learns it because the sender of the arrival is dropped.
            Effect::NotPending { id } => drop(state.waits.remove(&id)),
        }
    }

    /// Sends a message to a port.
    fn send_now(&self, state: &mut State, port: PortId, message: &Message<Bytes>) -> Result<(), LinkError> {
        if let Some((to, link)) = &state.way
            && *to == port
            && let sent @ (Ok(()) | Err(LinkError::NoRoom { .. })) = link.send_message(message)
        {
            return sent;
        }
        let address = self.shared.directory.address(port);
        state.way = address.and_then(|address| Some((port, self.shared.links.open_link(address)?)));
        self.shared.send(port, message)
    }

    fn trace_sending(&self, state: &State, request: &Request<Bytes>, port: PortId) {
        // What is made on behalf of another call can be cancelled, and lies in the journal instead.
        let outbox = self.outbox && !request.cancellable;
        if request.attempt == 0 {
            return self.shared.trace_asked(request, port, outbox);
        }
        // What a predecessor first sent, this process can't tell of.
        let own = state.core.call_view(request.id).filter(|_| request.born == self.incarnation);
        self.shared.trace_resent(request, port, own.map(|view| view.call.invoked.0), outbox);
    }

    fn trace_answer(&self, state: &State, id: CallId, now: Nanos) {
        if self.shared.trace.sampler.traces(id)
            && let Some(view) = state.core.call_view(id)
            && view.state == CallState::Waiting
        {
            let us = now.0.saturating_sub(view.call.invoked.0) / 1000;
            self.shared.trace_returned(id, view.call.target, us);
        }
    }

    /// Tells whoever waits. If nobody does, the machine keeps the outcome until somebody asks for it.
    fn arrive(&self, state: &mut State, id: CallId, arrival: Arrival) {
        if let Some(wait) = state.waits.remove(&id) {
            let _ = wait.send(arrival);
        }
    }

    /// Keeps deadlines and re-sends while calls are pending; costs nothing while none is.
    fn spawn_ticker(&self) {
        let me = self.me.clone();
        tokio::spawn(async move {
            loop {
                let Some(side) = me.upgrade() else { return };
                let wakeup = side.state.lock().core.next_wakeup();
                if wakeup.is_none() {
                    side.busy.notified().await;
                }
                drop(side);
                tokio::time::sleep(TICK).await;
                let Some(side) = me.upgrade() else { return };
                let mut state = side.state.lock();
                if state.core.next_wakeup().is_some_and(|at| at <= clock::now()) {
                    side.feed(&mut state, Input::Tick);
                }
                side.release(state);
            }
        });
    }
}

/// Whether a user may wait for a call: it is not a relay's, and not consumed.
fn is_pending(view: &CallView<'_, Bytes>) -> bool {
    !view.journaled && view.state != CallState::Dropping
}

/// So long after an instant, or never.
fn later(now: Nanos, after: Duration) -> Nanos {
    Nanos(now.0.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
}
