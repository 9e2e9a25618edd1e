//! The caller's state and decisions.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::calls::Calls;
use super::resends::Resends;
use super::slots::Slots;
use super::{Effect, Input, Pending, Rejection, Route, Settings, Write};
use crate::ids::{AliasId, CallId, IdForm, Incarnation, Mark, Nanos, Origin, PortId, TRANS_GRANT, TransId};
use crate::message::{Outcome, Refusal, Request};
use crate::uncompared::Uncompared;

/// The calling side of one source alias in one process.
///
/// - A call takes its slot, and holds the mark down, from [`Input::Call`] until its end is as durable as its
///   beginning was: with an outbox until the commit that drops it is stable.
/// - The outcome is kept until it is consumed, so a user who gave up waiting can ask again by id.
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
    targets: BTreeMap<AliasId, Target>,
    timers: BTreeSet<(Nanos, Timer)>,
    resends: Resends,
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
    pub(super) state: State<B>,
    /// How often the request was sent before.
    pub(super) attempt: Uncompared<u32>,
    resend: Option<Nanos>,
    deadline: Option<Nanos>,
}

/// Where a call stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State<B> {
    /// The commit that puts it into the outbox is under way; nothing was sent.
    Putting,
    /// It is sent as soon as there is a route, and has no outcome.
    Waiting,
    /// Its outcome was delivered and not consumed.
    Answered(Outcome<B>),
    /// It was refused for good, and that was not consumed.
    Refused(Refusal),
    /// The commit that drops it from the outbox is under way.
    Dropping,
}

/// An alias that is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Target {
    route: Route,
    /// Calls in state waiting.
    waiting: u32,
    /// The PAM is not asked again before this.
    inquire_next: Nanos,
    timer: Option<Nanos>,
}

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Timer {
    Inquire(AliasId),
    Deadline(Mark),
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
            timers: BTreeSet::new(),
            resends: Resends::default(),
        }
    }

    /// Takes one input and appends what is to be done about it.
    pub fn handle(&mut self, now: Nanos, input: Input<B>, effects: &mut Vec<Effect<B>>) {
        if self.phase == Phase::Fenced {
            if let Input::Call { token, .. } = input {
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
            Input::Consumed { id } => self.consumed(id, effects),
            Input::Refused { id, port, refusal } => self.refused(now, id, port, refusal, effects),
            Input::Route { target, route } => self.route(now, target, route, effects),
            Input::PortGone { port } => self.port_gone(now, port, effects),
            Input::Await { id, deadline } => self.wait(id, deadline, effects),
            Input::Tick => self.tick(now, effects),
            Input::Promoted { incarnation, port, trans_base, pending } => {
                self.promoted(now, incarnation, port, trans_base, pending, effects);
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

    fn promoted(
        &mut self,
        now: Nanos,
        incarnation: Incarnation,
        port: PortId,
        base: TransId,
        pending: Vec<Pending<B>>,
        effects: &mut Vec<Effect<B>>,
    ) {
        if self.phase != Phase::Backup {
            return;
        }
        self.phase = Phase::Calling;
        self.incarnation = incarnation;
        self.origin = match self.settings.form {
            IdForm::SourcePort => Origin::Port(port),
            IdForm::Incarnation => Origin::Incarnation(incarnation),
        };
        self.borns.insert(port, incarnation);
        (self.trans, self.trans_last) = (base, TransId(base.0 + TRANS_GRANT));
        let mut keys = Vec::with_capacity(pending.len());
        for call in pending {
            let key = Mark { born: call.born, trans: call.id.trans };
            if let Origin::Port(port) = call.id.origin {
                self.borns.insert(port, call.born);
            }
            keys.push(key);
            // Its predecessor may have sent it, so this is no first sending.
            self.insert(key, call, State::Putting, 1, None);
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
        let trans = match self.allot() {
            Ok(trans) => trans,
            Err(reason) => return effects.push(Effect::Rejected { token, reason }),
        };
        let id = CallId { source: self.settings.source, origin: self.origin, trans };
        let key = Mark { born: self.incarnation, trans };
        let call = Pending { id, born: self.incarnation, target, invoked: now, body };
        effects.push(Effect::Started { token, id });
        if self.settings.outbox {
            let write = Write::Put(call.clone());
            effects.push(Effect::Commit { incarnation: self.incarnation, write });
        }
        self.insert(key, call, State::Putting, 0, deadline);
        if !self.settings.outbox {
            self.start(now, key, effects);
        }
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

    fn insert(
        &mut self,
        key: Mark,
        call: Pending<B>,
        state: State<B>,
        attempt: u32,
        deadline: Option<Nanos>,
    ) {
        if let Some(deadline) = deadline {
            self.timers.insert((deadline, Timer::Deadline(key)));
        }
        self.calls.insert(key, Open { call, state, attempt: Uncompared(attempt), resend: None, deadline });
    }

    /// The call may be sent from now on.
    fn start(&mut self, now: Nanos, key: Mark, effects: &mut Vec<Effect<B>>) {
        let Some(open) = self.calls.get_mut(key) else { return };
        open.state = State::Waiting;
        let target = open.call.target;
        self.targets.entry(target).or_default().waiting += 1;
        self.send(now, key, effects);
    }

    /// Sends a call to where its target is thought to be, or asks where that is.
    fn send(&mut self, now: Nanos, key: Mark, effects: &mut Vec<Effect<B>>) {
        let mark = self.mark();
        let Some(open) = self.calls.get_mut(key) else { return };
        let target = open.call.target;
        let Some(port) = self.targets.get(&target).and_then(|target| target.route.port) else {
            return self.inquire(now, target, effects);
        };
        let Pending { id, born, .. } = open.call;
        let (attempt, body) = (open.attempt.0, open.call.body.clone());
        effects.push(Effect::Send { port, request: Request { id, born, target, mark, attempt, body } });
        open.attempt.0 = attempt.saturating_add(1);
        let due = now.0.saturating_add(self.settings.resend_after.0);
        self.resends.set(&mut open.resend, Some(Nanos(due)));
    }

    /// Asks the PAM, but not more often than the settings say: an answer that helps nothing is as quick as any.
    fn inquire(&mut self, now: Nanos, target: AliasId, effects: &mut Vec<Effect<B>>) {
        let known = self.targets.entry(target).or_default();
        if now >= known.inquire_next {
            known.inquire_next = Nanos(now.0.saturating_add(self.settings.inquire_after.0));
            effects.push(Effect::Inquire { target });
        }
        let due = (known.route.port.is_none() && known.waiting > 0).then_some(known.inquire_next);
        set_timer(&mut self.timers, &mut known.timer, due, Timer::Inquire(target));
    }

    fn stable(&mut self, now: Nanos, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(key) = self.key(id) else { return };
        match self.calls.get(key).map(|open| &open.state) {
            Some(State::Putting) => self.start(now, key, effects),
            Some(State::Dropping) => self.done(key),
            _ => {}
        }
    }

    fn done(&mut self, key: Mark) {
        self.calls.remove(key);
        if key.born == self.incarnation {
            self.slots.release(key.trans);
        }
    }

    fn answer(&mut self, id: CallId, outcome: Outcome<B>, effects: &mut Vec<Effect<B>>) {
        if self.end(id, State::Answered(outcome.clone())) {
            effects.push(Effect::Deliver { id, outcome });
        }
    }

    /// Ends the waiting for a call. False if it was not waited for: the message came twice, or far too late.
    fn end(&mut self, id: CallId, state: State<B>) -> bool {
        let Some(key) = self.key(id) else { return false };
        let Some(open) = self.calls.get_mut(key).filter(|open| open.state == State::Waiting) else {
            return false;
        };
        open.state = state;
        self.resends.set(&mut open.resend, None);
        set_timer(&mut self.timers, &mut open.deadline, None, Timer::Deadline(key));
        let target = open.call.target;
        if let Some(known) = self.targets.get_mut(&target) {
            known.waiting -= 1;
            if known.waiting == 0 {
                set_timer(&mut self.timers, &mut known.timer, None, Timer::Inquire(target));
            }
        }
        true
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
        let Some(open) = self.calls.get_mut(key).filter(|open| open.state == State::Waiting) else { return };
        let target = open.call.target;
        match refusal {
            // An alias may be unknown for a moment in a process that has just become its member.
            Refusal::NotInService | Refusal::UnknownAlias => self.port_fails(now, target, port, effects),
            Refusal::Busy | Refusal::WindowExceeded => {
                let due = Nanos(now.0.saturating_add(self.settings.resend_after.0 / 4));
                self.resends.set(&mut open.resend, Some(due));
            }
            Refusal::Stale
            | Refusal::DifferentBody
            | Refusal::Cancelled
            | Refusal::TooLarge
            | Refusal::NotYourAlias => {
                if self.end(id, State::Refused(refusal)) {
                    effects.push(Effect::Refused { id, refusal });
                }
            }
        }
    }

    fn consumed(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(key) = self.key(id) else { return };
        let Some(open) = self.calls.get_mut(key) else { return };
        if !matches!(open.state, State::Answered(_) | State::Refused(_)) {
            return;
        }
        if self.settings.outbox {
            open.state = State::Dropping;
            effects.push(Effect::Commit { incarnation: self.incarnation, write: Write::Drop(id) });
        } else {
            self.done(key);
        }
    }

    fn wait(&mut self, id: CallId, deadline: Option<Nanos>, effects: &mut Vec<Effect<B>>) {
        let key = self.key(id);
        let open = key.and_then(|key| Some((key, self.calls.get_mut(key)?)));
        match open.map(|(key, open)| (key, open.state.clone(), open)) {
            None | Some((_, State::Dropping, _)) => effects.push(Effect::NotPending { id }),
            Some((_, State::Answered(outcome), _)) => effects.push(Effect::Deliver { id, outcome }),
            Some((_, State::Refused(refusal), _)) => effects.push(Effect::Refused { id, refusal }),
            Some((key, State::Putting | State::Waiting, open)) => {
                set_timer(&mut self.timers, &mut open.deadline, deadline, Timer::Deadline(key));
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
        known.route = route;
        if !news || known.waiting == 0 || self.phase != Phase::Calling {
            return;
        }
        match route.port {
            Some(_) => {
                set_timer(&mut self.timers, &mut known.timer, None, Timer::Inquire(target));
                self.send_all(now, target, effects);
            }
            None => self.inquire(now, target, effects),
        }
    }

    fn send_all(&mut self, now: Nanos, target: AliasId, effects: &mut Vec<Effect<B>>) {
        let waiting = |open: &Open<B>| open.call.target == target && open.state == State::Waiting;
        let keys: Vec<_> = self.calls.iter().filter(|(_, open)| waiting(open)).map(|(key, _)| key).collect();
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
        if known.waiting > 0 && self.phase == Phase::Calling {
            self.inquire(now, target, effects);
        }
    }

    fn tick(&mut self, now: Nanos, effects: &mut Vec<Effect<B>>) {
        // What is due is taken out first: what is set again meanwhile may be due at once.
        let mut fired = Vec::new();
        while let Some(&(due, timer)) = self.timers.first().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, timer));
            fired.push(timer);
        }
        for timer in fired {
            self.fire(now, timer, effects);
        }
        if self.resends.next().is_some_and(|due| due <= now) {
            self.send_due(now, effects);
        }
    }

    /// Sends again what is due. All calls are looked at, but as seldom as one of them is due: under load every
    /// call is set a time and nearly none comes to it, and an order of them would cost each call more.
    fn send_due(&mut self, now: Nanos, effects: &mut Vec<Effect<B>>) {
        let dues = self.calls.iter().filter_map(|(key, open)| Some((key, open.resend?)));
        let (due, later): (Vec<_>, Vec<_>) = dues.partition(|(_, due)| *due <= now);
        self.resends.look_again(later.iter().map(|(_, due)| *due).min());
        for (key, _) in due {
            let Some(open) = self.calls.get_mut(key) else { continue };
            self.resends.set(&mut open.resend, None);
            let target = open.call.target;
            self.send(now, key, effects);
            // The push of a new route may have been lost.
            self.inquire(now, target, effects);
        }
    }

    fn fire(&mut self, now: Nanos, timer: Timer, effects: &mut Vec<Effect<B>>) {
        match timer {
            Timer::Inquire(target) => {
                if let Some(known) = self.targets.get_mut(&target) {
                    known.timer = None;
                    self.inquire(now, target, effects);
                }
            }
            Timer::Deadline(key) => {
                let Some(open) = self.calls.get_mut(key) else { return };
                open.deadline = None;
                effects.push(Effect::DeadlinePassed { id: open.call.id });
            }
        }
    }
}

/// Moves a timer, or takes it away.
fn set_timer(
    timers: &mut BTreeSet<(Nanos, Timer)>,
    set: &mut Option<Nanos>,
    due: Option<Nanos>,
    timer: Timer,
) {
    if *set == due {
        return;
    }
    if let Some(old) = *set {
        timers.remove(&(old, timer));
    }
    if let Some(due) = due {
        timers.insert((due, timer));
    }
    *set = due;
}
