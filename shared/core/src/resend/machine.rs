//! The caller's state and decisions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::calls::Calls;
use super::marks::Marks;
use super::resends::Resends;
use super::slots::Slots;
use super::timers::{Timer, set_timer};
use super::{Effect, Input, Pending, Rejection, Route, Settings, Write};
use crate::ids::{AliasId, CallId, IdForm, Incarnation, Mark, Nanos, Origin, PortId, TRANS_GRANT, TransId};
use crate::message::{CancelEnd, Outcome, Refusal, Request};
use crate::relay::News;
use crate::uncompared::Uncompared;

/// The calling side of one source alias in one process.
///
/// - A call takes its slot, and holds the mark down, from [`Input::Call`] until its end is as durable as its
///   beginning was: with an outbox until the commit that drops it is stable.
/// - The outcome is kept until it is consumed, so a user who gave up waiting can ask again by id.
/// - A call that a relay makes is the same, but for its two ends: the journal of the relay is its outbox, and what
///   becomes of it is told to the relay. It can be cancelled, before and after its outcome.
/// - Routes are learnt as a backup too, so that a takeover starts with all hints at hand.
/// - Whoever holds this feeds [`Input::Tick`] at [`Caller::next_wakeup`]; earlier or later does no harm.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Caller<B> {
    settings: Settings,
    phase: Phase,
    incarnation: Incarnation,
    origin: Origin,
    /// The last transId that was given, and the last of the grant.
    trans: TransId,
    trans_last: TransId,
    slots: Slots,
    pub(super) calls: Calls<B>,
    /// Under which incarnation the ids with this port were given.
    borns: BTreeMap<PortId, Incarnation>,
    pub(super) targets: BTreeMap<AliasId, Target>,
    pub(super) marks: Marks,
    pub(super) timers: BTreeSet<(Nanos, Timer)>,
    pub(super) resends: Resends,
}

/// Whether this member calls for its alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Backup,
    Calling,
    Fenced,
}

/// A call that is not done.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Open<B> {
    pub(super) call: Pending<B>,
    /// Whether the journal of a relay holds it, and not the outbox.
    pub(super) journaled: bool,
    pub(super) state: State<B>,
    /// How often what is sent in this state was sent before.
    pub(super) attempt: Uncompared<u32>,
    pub(super) resend: Option<Nanos>,
    pub(super) deadline: Option<Nanos>,
}

impl<B> Open<B> {
    /// A call of which nothing was sent here yet. What a predecessor may have sent counts once.
    pub(super) fn new(call: Pending<B>, journaled: bool, attempt: u32) -> Self {
        let attempt = Uncompared(attempt);
        Self { call, journaled, state: State::Putting, attempt, resend: None, deadline: None }
    }

    /// Nothing is sent of it any more.
    pub(super) fn end(
        &mut self,
        key: Mark,
        state: State<B>,
        targets: &mut BTreeMap<AliasId, Target>,
        timers: &mut BTreeSet<(Nanos, Timer)>,
        resends: &mut Resends,
    ) {
        let was_out = self.state.is_out();
        self.state = state;
        resends.set(&mut self.resend, None);
        set_timer(timers, &mut self.deadline, None, Timer::Deadline(key));
        let target = self.call.target;
        if let Some(known) = targets.get_mut(&target).filter(|_| was_out) {
            known.waiting -= 1;
            if known.waiting == 0 {
                set_timer(timers, &mut known.timer, None, Timer::Inquire(target));
            }
        }
    }
}

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State<B> {
    /// The commit that puts it into the outbox or the journal is under way, or the relay has not let it go yet;
    /// nothing was sent.
    Putting,
    /// It is sent as soon as there is a route, and has no outcome.
    Waiting,
    /// Its outcome was delivered and not consumed.
    Answered(Outcome<B>),
    /// It was refused for good, and that was not consumed.
    Refused(Refusal),
    /// The commit that drops it from the outbox is under way.
    Dropping,
    /// Its cancellation is sent as soon as there is a route, and has not ended.
    Cancelling,
    /// Its cancellation ended, and that was not settled.
    Cancelled(CancelEnd<B>),
}

impl<B> State<B> {
    /// Whether something of it is sent, and sent again, until there is a word of its end.
    fn is_out(&self) -> bool {
        matches!(self, Self::Waiting | Self::Cancelling)
    }
}

/// An alias that is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) route: Route,
    /// Calls that are out: waiting, or being cancelled.
    pub(super) waiting: u32,
    /// The PAM is not asked again before this.
    inquire_next: Nanos,
    pub(super) timer: Option<Nanos>,
}

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Caller<B> {
    /// A backup that knows nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Backup,
            incarnation: Incarnation::default(),
            origin: Origin::Incarnation(Incarnation::default()),
            trans: TransId::default(),
            trans_last: TransId::default(),
            slots: Slots::new(settings.window),
            calls: Calls::new(),
            borns: BTreeMap::new(),
            targets: BTreeMap::new(),
            marks: Marks::default(),
            timers: BTreeSet::new(),
            resends: Resends::default(),
        }
    }

    /// Takes one input and appends what is to be done about it.
    pub fn handle(&mut self, now: Nanos, input: Input<B>, effects: &mut Vec<Effect<B>>) {
        if self.phase == Phase::Fenced {
            if let Input::Call { token, .. } | Input::Reserve { token, .. } = input {
                effects.push(Effect::Rejected { token, reason: Rejection::NotInService });
            }
            return;
        }
        match input {
            Input::Call { token, target, body, deadline } => {
                self.call(now, token, target, body, deadline, effects)
            }
            Input::Stable { id } => self.stable(now, id, effects),
            Input::Answer { id, outcome } => self.answer(id, outcome, effects),
            Input::Consumed { id } => self.consumed(now, id, effects),
            Input::Refused { id, port, refusal } => self.refused(now, id, port, refusal, effects),
            Input::Route { target, route } => self.route(now, target, route, effects),
            Input::PortGone { port } => self.port_gone(now, port, effects),
            Input::Await { id, deadline } => self.wait(id, deadline, effects),
            Input::Tick => self.tick(now, effects),
            Input::Reserve { token, target, body } => self.reserve(now, token, target, body, effects),
            Input::Cancel { id } => self.cancel(now, id, effects),
            Input::CancelEnded { id, end } => self.cancel_ended(id, end, effects),
            Input::Settled { id } => self.settled(now, id),
            Input::Promoted { incarnation, port, trans_base, pending, held } => {
                if self.phase == Phase::Backup {
                    self.promoted(incarnation, port, trans_base);
                    self.take_over(now, pending, held, effects);
                }
            }
            Input::Fenced => {
                self.phase = Phase::Fenced;
                self.timers.clear();
                self.resends = Resends::default();
            }
        }
    }

    /// When [`Input::Tick`] is due, if ever.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Nanos> {
        self.timers.first().map(|(due, _)| *due).into_iter().chain(self.resends.next()).min()
    }

    /// Below this all calls are done. It goes with every request.
    #[must_use]
    pub fn mark(&self) -> Mark {
        let next = Mark { born: self.incarnation, trans: TransId(self.trans.0 + 1) };
        self.calls.first().unwrap_or(next)
    }

    /// Whether this member calls for its alias.
    #[must_use]
    pub fn is_calling(&self) -> bool {
        self.phase == Phase::Calling
    }

    /// The route to an alias, if one is known.
    #[must_use]
    pub fn route_to(&self, target: AliasId) -> Option<Route> {
        self.targets.get(&target).map(|target| target.route)
    }

    /// The place of a call in the order of the mark.
    pub(super) fn key(&self, id: CallId) -> Option<Mark> {
        let born = match id.origin {
            Origin::Incarnation(born) => born,
            Origin::Port(port) => *self.borns.get(&port)?,
        };
        (id.source == self.settings.source).then_some(Mark { born, trans: id.trans })
    }

    fn promoted(&mut self, incarnation: Incarnation, port: PortId, base: TransId) {
        self.phase = Phase::Calling;
        self.incarnation = incarnation;
        self.origin = match self.settings.form {
            IdForm::SourcePort => Origin::Port(port),
            IdForm::Incarnation => Origin::Incarnation(incarnation),
        };
        self.borns.insert(port, incarnation);
        (self.trans, self.trans_last) = (base, TransId(base.0 + TRANS_GRANT));
    }

    /// Takes over what a predecessor left: what its outbox holds is sent again, what its journal holds waits.
    fn take_over(
        &mut self,
        now: Nanos,
        pending: Vec<Pending<B>>,
        held: Vec<Pending<B>>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let mut keys = Vec::with_capacity(pending.len());
        let held = held.into_iter().map(|call| (call, true));
        for (call, journaled) in pending.into_iter().map(|call| (call, false)).chain(held) {
            let key = Mark { born: call.born, trans: call.id.trans };
            if let Origin::Port(port) = call.id.origin {
                self.borns.insert(port, call.born);
            }
            if !journaled {
                keys.push(key);
            }
            // Its predecessor may have sent it, so this is no first sending.
            self.calls.insert(key, Open::new(call, journaled, 1));
        }
        if self.incarnation > Incarnation(1) {
            let named =
                self.calls.iter().filter(|(_, open)| open.journaled).map(|(_, open)| open.call.target);
            self.marks.inherit(named.chain(self.targets.keys().copied()));
            self.marks.tell(Nanos(now.0.saturating_add(self.settings.mark_after.0)), &mut self.timers);
        }
        for key in keys {
            self.start(now, key, effects);
        }
    }

    fn call(
        &mut self,
        now: Nanos,
        token: u64,
        target: AliasId,
        body: B,
        deadline: Option<Nanos>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let Some((key, call)) = self.begin(now, token, target, body, effects) else { return };
        if self.settings.outbox {
            let write = Write::Put(call.clone());
            effects.push(Effect::Commit { incarnation: self.incarnation, write });
        }
        if let Some(deadline) = deadline {
            self.timers.insert((deadline, Timer::Deadline(key)));
        }
        self.calls.insert(key, Open { deadline, ..Open::new(call, false, 0) });
        if !self.settings.outbox {
            self.start(now, key, effects);
        }
    }

    /// Gives a call its id, or says why it can't be made now.
    pub(super) fn begin(
        &mut self,
        now: Nanos,
        token: u64,
        target: AliasId,
        body: B,
        effects: &mut Vec<Effect<B>>,
    ) -> Option<(Mark, Pending<B>)> {
        let trans = match self.allot() {
            Ok(trans) => trans,
            Err(reason) => {
                effects.push(Effect::Rejected { token, reason });
                return None;
            }
        };
        let id = CallId { source: self.settings.source, origin: self.origin, trans };
        effects.push(Effect::Started { token, id });
        let call = Pending { id, born: self.incarnation, target, invoked: now, body };
        Some((Mark { born: self.incarnation, trans }, call))
    }

    /// The next transId whose slot is free. A transId is never given twice, also not one that is skipped here.
    fn allot(&mut self) -> Result<TransId, Rejection> {
        if self.phase != Phase::Calling {
            return Err(Rejection::NotInService);
        }
        let trans = self.slots.next_free(TransId(self.trans.0 + 1)).ok_or(Rejection::WindowFull)?;
        if trans > self.trans_last {
            return Err(Rejection::TransIdsExhausted);
        }
        self.trans = trans;
        self.slots.take(trans);
        Ok(trans)
    }

    /// The call may be sent from now on.
    fn start(&mut self, now: Nanos, key: Mark, effects: &mut Vec<Effect<B>>) {
        self.go_out(key, State::Waiting);
        self.send(now, key, effects);
    }

    /// From now on there is something to send of this call.
    pub(super) fn go_out(&mut self, key: Mark, state: State<B>) {
        let Some(open) = self.calls.get_mut(key) else { return };
        if !open.state.is_out() {
            self.targets.entry(open.call.target).or_default().waiting += 1;
        }
        open.state = state;
    }

    /// Sends a call, or its cancellation, to where its target is thought to be, or asks where that is.
    pub(super) fn send(&mut self, now: Nanos, key: Mark, effects: &mut Vec<Effect<B>>) {
        let mark = self.mark();
        let Some(open) = self.calls.get_mut(key) else { return };
        let target = open.call.target;
        let Some(port) = self.targets.get(&target).and_then(|target| target.route.port) else {
            return self.inquire(now, target, effects);
        };
        let Pending { id, born, .. } = open.call;
        let (attempt, body) = (open.attempt.0, open.call.body.clone());
        let request = Request { id, born, target, mark, attempt, cancellable: open.journaled, body };
        self.marks.sent(&request);
        effects.push(match open.state {
            State::Cancelling => Effect::SendCancel { port, request },
            _ => Effect::Send { port, request },
        });
        open.attempt.0 = attempt.saturating_add(1);
        let due = now.0.saturating_add(self.settings.resend_after.0);
        self.resends.set(&mut open.resend, Some(Nanos(due)));
    }

    /// Asks the PAM, but not more often than the settings say: an answer that helps nothing is as quick as any.
    pub(super) fn inquire(&mut self, now: Nanos, target: AliasId, effects: &mut Vec<Effect<B>>) {
        let known = self.targets.entry(target).or_default();
        if now >= known.inquire_next {
            known.inquire_next = Nanos(now.0.saturating_add(self.settings.inquire_after.0));
            effects.push(Effect::Inquire { target });
        }
        // Who waits for nothing may still have to tell the mark to whoever is in service next.
        let wanted = known.waiting > 0 || self.marks.tells(target);
        let due = (known.route.port.is_none() && wanted).then_some(known.inquire_next);
        set_timer(&mut self.timers, &mut known.timer, due, Timer::Inquire(target));
    }

    fn stable(&mut self, now: Nanos, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(key) = self.key(id) else { return };
        match self.calls.get(key).map(|open| &open.state) {
            Some(State::Putting) => self.start(now, key, effects),
            Some(State::Dropping) => self.done(now, key),
            _ => {}
        }
    }

    pub(super) fn done(&mut self, now: Nanos, key: Mark) {
        self.calls.remove(key);
        if key.born == self.incarnation {
            self.slots.release(key.trans);
        }
        self.marks.tell(Nanos(now.0.saturating_add(self.settings.mark_after.0)), &mut self.timers);
    }

    fn answer(&mut self, id: CallId, outcome: Outcome<B>, effects: &mut Vec<Effect<B>>) {
        let Some(key) = self.key(id) else { return };
        // In another state it came twice, or far too late, or does not count any more: the call is cancelled.
        let Some(open) = self.calls.get_mut(key).filter(|open| open.state == State::Waiting) else { return };
        open.end(
            key,
            State::Answered(outcome.clone()),
            &mut self.targets,
            &mut self.timers,
            &mut self.resends,
        );
        effects.push(match open.journaled {
            true => Effect::Relay { id, news: News::Answered(outcome) },
            false => Effect::Deliver { id, outcome },
        });
    }

    fn refused(
        &mut self,
        now: Nanos,
        id: CallId,
        port: PortId,
        refusal: Refusal,
        effects: &mut Vec<Effect<B>>,
    ) {
        let Some(key) = self.key(id) else { return };
        let Some(open) = self.calls.get_mut(key).filter(|open| open.state.is_out()) else { return };
        let target = open.call.target;
        match refusal {
            // An alias may be unknown for a moment in a process that has just become its member.
            Refusal::NotInService | Refusal::UnknownAlias => self.port_fails(now, target, port, effects),
            Refusal::Busy | Refusal::WindowExceeded => {
                let due = Nanos(now.0.saturating_add(self.settings.resend_after.0 / 4));
                self.resends.set(&mut open.resend, Some(due));
            }
            // This is the request, which came after its cancellation. How that ended is told by itself.
            Refusal::Cancelled if open.state == State::Cancelling => {}
            Refusal::Stale
            | Refusal::DifferentBody
            | Refusal::Cancelled
            | Refusal::TooLarge
            | Refusal::NotYourAlias => {
                open.end(
                    key,
                    State::Refused(refusal),
                    &mut self.targets,
                    &mut self.timers,
                    &mut self.resends,
                );
                effects.push(match open.journaled {
                    true => Effect::Relay { id, news: News::Refused(refusal) },
                    false => Effect::Refused { id, refusal },
                });
            }
        }
    }

    fn consumed(&mut self, now: Nanos, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(key) = self.key(id) else { return };
        let Some(open) = self.calls.get_mut(key) else { return };
        if open.journaled || !matches!(open.state, State::Answered(_) | State::Refused(_)) {
            return;
        }
        if self.settings.outbox {
            open.state = State::Dropping;
            effects.push(Effect::Commit { incarnation: self.incarnation, write: Write::Drop(id) });
        } else {
            self.done(now, key);
        }
    }

    fn wait(&mut self, id: CallId, deadline: Option<Nanos>, effects: &mut Vec<Effect<B>>) {
        let key = self.key(id);
        let open = key.and_then(|key| Some((key, self.calls.get_mut(key)?)));
        // What a relay calls is no user's to wait for.
        let open = open.filter(|(_, open)| !open.journaled);
        match open.map(|(key, open)| (key, open.state.clone(), open)) {
            Some((_, State::Answered(outcome), _)) => effects.push(Effect::Deliver { id, outcome }),
            Some((_, State::Refused(refusal), _)) => effects.push(Effect::Refused { id, refusal }),
            Some((key, State::Putting | State::Waiting, open)) => {
                set_timer(&mut self.timers, &mut open.deadline, deadline, Timer::Deadline(key));
            }
            None | Some((_, State::Dropping | State::Cancelling | State::Cancelled(_), _)) => {
                effects.push(Effect::NotPending { id });
            }
        }
    }

    fn route(&mut self, now: Nanos, target: AliasId, route: Route, effects: &mut Vec<Effect<B>>) {
        let known = self.targets.entry(target).or_default();
        // Nobody in service, said of the same incarnation, is either older than the port that is known, or will
        // show: then the port is gone too.
        let older = route.incarnation < known.route.incarnation;
        if older || (route.incarnation == known.route.incarnation && route.port.is_none()) {
            return;
        }
        let news = route != known.route;
        if news && route.port.is_some() {
            let due = Nanos(now.0.saturating_add(self.settings.mark_after.0));
            self.marks.tell_anew(target, due, &mut self.timers);
        }
        known.route = route;
        if route.port.is_some() {
            set_timer(&mut self.timers, &mut known.timer, None, Timer::Inquire(target));
        }
        if !news || known.waiting == 0 || self.phase != Phase::Calling {
            return;
        }
        match route.port {
            Some(_) => self.send_all(now, target, effects),
            None => self.inquire(now, target, effects),
        }
    }

    fn send_all(&mut self, now: Nanos, target: AliasId, effects: &mut Vec<Effect<B>>) {
        let out = |open: &Open<B>| open.call.target == target && open.state.is_out();
        let keys: Vec<_> = self.calls.iter().filter(|(_, open)| out(open)).map(|(key, _)| key).collect();
        for key in keys {
            self.send(now, key, effects);
        }
    }

    fn port_gone(&mut self, now: Nanos, port: PortId, effects: &mut Vec<Effect<B>>) {
        let there = self.targets.iter().filter(|(_, known)| known.route.port == Some(port));
        let targets: Vec<_> = there.map(|(target, _)| *target).collect();
        for target in targets {
            self.port_fails(now, target, port, effects);
        }
    }

    /// This port does not serve the target. If it is the one in the hint, the hint is worth nothing; the
    /// incarnation in it is still the least that will be believed.
    fn port_fails(&mut self, now: Nanos, target: AliasId, port: PortId, effects: &mut Vec<Effect<B>>) {
        let Some(known) = self.targets.get_mut(&target).filter(|known| known.route.port == Some(port)) else {
            return;
        };
        known.route.port = None;
        if self.phase != Phase::Calling {
            return;
        }
        // The mark that it was told may be lost with its link.
        let due = Nanos(now.0.saturating_add(self.settings.mark_after.0));
        self.marks.tell_anew(target, due, &mut self.timers);
        if known.waiting > 0 {
            self.inquire(now, target, effects);
        }
    }
}
