//! The server's state, and what the handlers of open calls do to it. Requests are admitted in `admit`.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::open::{Ending, Held, Open, State, Waiting};
use super::ring::{Entry, Known, Ring};
use super::{Asker, Effect, Input, Note, OnFailure, Recovery, Resolution, Then, Write};
use crate::ids::{AliasId, CallId, Incarnation, Mark, Nanos, Session, SlotKey};
use crate::message::{Outcome, Refusal};
use crate::redundancy::{RedProcess, Row, RowState};
use crate::relay::{Back, Course, Journaled, Policy, Relays, Stage};
use crate::table::Table;
use crate::uncompared::Uncompared;

/// What a server is for, and what bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The alias that is served.
    pub alias: AliasId,
    /// Slots in a session's ring.
    pub window: u32,
    /// Sessions kept in memory; of more, those not used lately are forgotten and loaded again when they come
    /// back. A full ring takes 32 KiB.
    pub sessions_max: usize,
    /// Calls in hand: executing, blocked, in doubt, held. Over it a new request is refused as `Busy`.
    pub calls_max: usize,
    /// What a takeover does with transactions that it finds half done, unless their handlers say otherwise.
    pub on_takeover: Policy,
}

/// The server side of one alias in one process.
///
/// - A backup refuses every request. Between [`Input::Promoted`] and [`Effect::Ready`] requests are held and
///   looked at afterwards, in the order they came: a service may count on `recover` being through before it
///   sees a new call.
/// - After [`Input::Fenced`] nothing is emitted any more.
/// - Nothing here grows with the table: the memory of a session is a ring, and sessions not used lately are
///   forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server<B> {
    pub(super) settings: Settings,
    pub(super) phase: Phase,
    pub(super) incarnation: Incarnation,
    pub(super) sources: BTreeMap<AliasId, Source>,
    pub(super) sessions: BTreeMap<Session, Ring>,
    pub(super) calls: Table<CallId, Open<B>>,
    /// Requests that wait for a row to be loaded.
    pub(super) loads: BTreeMap<SlotKey, Vec<Held<B>>>,
    /// Requests that came before the member was ready.
    pub(super) early: Vec<Held<B>>,
    /// How many requests `loads` and `early` hold together.
    pub(super) held: usize,
    /// Calls that `recover` has not answered for.
    undecided: usize,
    /// What is called on behalf of the calls in hand.
    pub(super) relays: Relays<B>,
    pub(super) counts: Uncompared<Counts>,
    pub(super) now: Uncompared<Nanos>,
}

/// How far this member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Not promoted: every request is refused.
    Backup,
    /// Promoted, and `recover` has not answered for every blocked call: requests are held.
    Recovering,
    /// Requests are served.
    Serving,
    /// Another member is in service: silent.
    Fenced,
}

/// What is known of a source alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Source {
    /// The highest mark seen. Callers raise it only over calls whose end is durable on their side, so it holds
    /// from the moment it is seen.
    pub(super) mark: Mark,
    /// The incarnation of the mark that is stored, or on its way.
    pub(super) stored: Incarnation,
    /// How many of its calls are in hand.
    pub(super) in_hand: usize,
}

/// What a server has done since it was promoted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Calls given to the service to execute.
    pub executed: u64,
    /// Requests recognised as redundantly sent.
    pub redundant: u64,
    /// Stragglers refused.
    pub stale: u64,
    /// Rows loaded from the stable area.
    pub loaded: u64,
}

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Server<B> {
    /// A backup that knows nothing.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            phase: Phase::Backup,
            incarnation: Incarnation::default(),
            sources: BTreeMap::new(),
            sessions: BTreeMap::new(),
            calls: Table::new(),
            loads: BTreeMap::new(),
            early: Vec::new(),
            held: 0,
            undecided: 0,
            relays: Relays::default(),
            counts: Uncompared(Counts::default()),
            now: Uncompared(Nanos::default()),
        }
    }

    /// Takes one input and appends what is to be done about it. The time is only shown to people.
    pub fn handle(&mut self, now: Nanos, input: Input<B>, effects: &mut Vec<Effect<B>>) {
        if self.phase == Phase::Fenced {
            return;
        }
        self.now = Uncompared(now);
        match input {
            Input::Request { asker, request, digest } => {
                self.request(Held { asker, request, digest, again: false, cancel: false }, effects);
            }
            Input::Cancel { asker, request, digest } => {
                self.request(Held { asker, request, digest, again: false, cancel: true }, effects);
            }
            Input::Loaded { key, row, mark } => self.loaded(key, row.as_ref(), mark, effects),
            Input::Atomic { id } => self.atomic(id, effects),
            Input::Stable { id, outcome } => self.stable(id, outcome, effects),
            Input::BlockRequest { id } => self.block_request(id, effects),
            Input::StableBlock { id } => self.stable_block(id, effects),
            Input::SetRedProcess { id, red } => self.set_red_process(id, red, effects),
            Input::Returned { id, outcome } => self.returned(id, outcome, effects),
            Input::Abandoned { id, failure } => self.abandoned(id, failure, effects),
            Input::HandlerAnswered { id, outcome } => self.handler_answered(id, &outcome, effects),
            Input::Promoted { incarnation, blocked, journal } => {
                self.promoted(incarnation, blocked, journal, effects);
            }
            Input::Recovered { id, recovery } => self.recovered(id, recovery, effects),
            Input::Resolve { id, resolution } => self.resolve(id, resolution, effects),
            Input::AskerGone { asker } => self.asker_gone(asker),
            Input::AliasesGone { aliases } => self.aliases_gone(&aliases, effects),
            Input::Fenced => self.fenced(),
            Input::Mark { source, mark } => _ = self.learn_mark(source, mark, effects),
            Input::CallOn { id, position, target, body, digest } => {
                self.call_on(id, position, target, body, digest, effects);
            }
            Input::Allotted { id, position, call } => self.allotted(id, position, call, effects),
            Input::StableCall { id } => self.stable_call(id, effects),
            Input::News { id, news } => self.news(id, news, effects),
            Input::SetPolicy { id, policy } => self.set_policy(id, policy, effects),
            Input::Substituted { id, position, by } => self.substituted(id, &position, by, effects),
            Input::StableCourse { id } => self.stable_course(id, effects),
            Input::Closed { id, rolled_back } => self.closed(id, rolled_back, effects),
            Input::StableUndoing { id } => self.stable_undoing(id, effects),
            Input::UndoAtomic { id } => self.undo_atomic(id, effects),
            Input::Undone { id, result } => self.undone(id, result, effects),
            Input::StableCancelled { id, outcome } => self.stable_cancelled(id, outcome.as_ref(), effects),
        }
    }

    fn promoted(
        &mut self,
        incarnation: Incarnation,
        blocked: Vec<(SlotKey, Row<B>)>,
        journal: Vec<Journaled<B>>,
        effects: &mut Vec<Effect<B>>,
    ) {
        if self.phase != Phase::Backup {
            return;
        }
        self.incarnation = incarnation;
        self.phase = Phase::Recovering;
        self.read_journal(journal);
        for (key, row) in blocked {
            self.adopt(key, &row, effects);
        }
        self.retain_the_rest();
        // Of those who are gone: nobody else was heard yet.
        let learned: Vec<_> = self.sources.iter().map(|(source, known)| (*source, known.mark)).collect();
        for &(source, mark) in &learned {
            self.release(source, mark, effects);
        }
        self.store_marks(learned.into_iter().map(|(source, _)| source), effects);
        self.ready_if_decided(effects);
    }

    /// Takes over a call that was blocked, or called on, when its executor died.
    pub(super) fn adopt(&mut self, key: SlotKey, row: &Row<B>, effects: &mut Vec<Effect<B>>) {
        match &row.state {
            RowState::Blocked { request } => {
                self.ring(key.session, row.id.origin);
                let relays = self.relays.open.contains_key(&row.id);
                let call = self.open(row.id, key, row.digest, request.clone(), Waiting::default());
                // Such a row does not say whether the call may still be cancelled: its journal is kept as if it may.
                (call.blocked, call.cancellable) = (true, relays);
                self.ask_recover(row.id, effects);
            }
            RowState::Relaying { .. } => self.adopt_relaying(key, row, effects),
            RowState::Registered(_) | RowState::Undoing(_) | RowState::Cancelled { .. } => {}
        }
    }

    /// Puts a call in hand.
    pub(super) fn open(
        &mut self,
        id: CallId,
        key: SlotKey,
        digest: u128,
        body: B,
        waiting: Waiting,
    ) -> &mut Open<B> {
        if let Some(ring) = self.sessions.get_mut(&key.session) {
            *ring.at(key.slot) = Entry::open(id.trans, digest);
            ring.busy += 1;
        }
        let call = Open {
            key,
            digest,
            body,
            waiting,
            cancels: Waiting::default(),
            cancellable: false,
            state: State::Executing,
            blocked: false,
            since: self.now,
        };
        self.sources.entry(id.source).or_default().in_hand += 1;
        // A call is put in hand only where none is, so what is returned is this one.
        self.calls.insert(id, call)
    }

    fn ask_recover(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.state = State::Recovering;
        self.undecided += 1;
        effects.push(Effect::Recover { id, request: call.body.clone() });
    }

    fn recovered(&mut self, id: CallId, recovery: Recovery<B>, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.state == State::Recovering) else {
            return;
        };
        self.undecided -= 1;
        match recovery {
            Recovery::Completed(Outcome::Failed(error)) if self.relays.has_effects(id) => {
                self.turn(id, Course::Failing(error.clone()), Back::Failed(error), effects);
            }
            Recovery::Completed(outcome) => self.complete(id, outcome, effects),
            Recovery::NotExecuted => self.run(id, effects),
            Recovery::Unknown => {
                call.state = State::InDoubt;
                effects.push(Effect::Note(Note::InDoubt { id }));
            }
        }
        self.ready_if_decided(effects);
    }

    /// An operator may also decide while `recover` has not answered: it may never.
    fn resolve(&mut self, id: CallId, resolution: Resolution<B>, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match (&call.state, &resolution) {
            // What is in doubt can't be rolled back with what was called.
            (State::InDoubt | State::Recovering, Resolution::RollBack) => return,
            (State::InDoubt, _) => {}
            (State::Recovering, _) => self.undecided -= 1,
            _ => return self.resolve_relay(id, resolution, effects),
        }
        match resolution {
            Resolution::Outcome(outcome) => self.complete(id, outcome, effects),
            Resolution::Rerun | Resolution::RollBack => self.run(id, effects),
        }
        self.ready_if_decided(effects);
    }

    /// Gives a call to the service that may have been executed in part before.
    pub(super) fn run(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        call.state = State::Executing;
        let body = call.body.clone();
        self.release_held(id, effects);
        effects.push(Effect::Execute { id, body });
    }

    fn ready_if_decided(&mut self, effects: &mut Vec<Effect<B>>) {
        if self.phase != Phase::Recovering || self.undecided > 0 {
            return;
        }
        self.phase = Phase::Serving;
        effects.push(Effect::Ready);
        let early = core::mem::take(&mut self.early);
        self.held -= early.len();
        for held in early {
            self.admit(held, effects);
        }
    }

    fn block_request(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id) else { return effects.push(Effect::Over { id }) };
        match call.state {
            // Run again after a recovery: the row is blocked already.
            State::Executing if call.blocked => effects.push(Effect::Resume { id }),
            State::Executing => {
                call.state = State::Blocking;
                let state = RowState::Blocked { request: call.body.clone() };
                let row = Row { id, digest: call.digest, state };
                let write = Write::PutRow { key: call.key, row };
                self.commit(id, write, Then::StableBlock { id }, effects);
            }
            _ => effects.push(Effect::Over { id }),
        }
    }

    fn stable_block(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id).filter(|call| call.state == State::Blocking) else { return };
        call.state = State::Executing;
        call.blocked = true;
        effects.push(Effect::Resume { id });
    }

    fn atomic(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let relays = self.relays.open.contains_key(&id);
        let may_end = !relays || self.may_end(id, effects);
        let call = self.calls.get_mut(&id).filter(|call| may_end && call.state == State::Executing);
        let Some(call) = call else { return effects.push(Effect::Over { id }) };
        call.state = State::Committing { resume: false };
        let failure = if relays { OnFailure::Nothing } else { OnFailure::Register };
        let write = Write::Atomic { key: call.key, id, digest: call.digest, failure };
        self.commit(id, write, Then::Stable { id }, effects);
    }

    fn set_red_process(&mut self, id: CallId, red: RedProcess<B>, effects: &mut Vec<Effect<B>>) {
        // What is registered ends a transaction.
        let may_end = !self.relays.open.contains_key(&id) || self.may_end(id, effects);
        let call = self.calls.get_mut(&id).filter(|_| may_end);
        let Some(call) = call else { return effects.push(Effect::Over { id }) };
        let handler = matches!(red, RedProcess::Handler { .. });
        match (&mut call.state, handler) {
            (State::Executing | State::Blocking, true) => {
                call.state = State::Handler { unstable: 1, ending: Ending::Running };
            }
            (State::Handler { unstable, ending: Ending::Running }, true) => *unstable += 1,
            // A service may register a handler before its effect and the reply itself after it.
            (State::Executing | State::Blocking | State::Handler { ending: Ending::Running, .. }, false) => {
                call.state = State::Committing { resume: true };
            }
            _ => return effects.push(Effect::Over { id }),
        }
        self.put_registered(id, red, effects);
    }

    fn returned(&mut self, id: CallId, outcome: Outcome<B>, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match &mut call.state {
            State::Executing | State::Blocking if self.relays.open.contains_key(&id) => {
                self.relay_ends(id, outcome, effects);
            }
            State::Executing | State::Blocking => self.register(id, outcome, effects),
            State::Handler { ending, .. } => {
                *ending = Ending::Returned(outcome);
                self.end_handler(id, effects);
            }
            // What was registered before is the outcome.
            State::Committing { .. } | State::Recovering | State::InDoubt | State::Answering => {}
            State::Relay | State::Cancelling { .. } => {}
        }
    }

    fn abandoned(&mut self, id: CallId, failure: B, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        match &mut call.state {
            State::Executing if call.blocked => self.ask_recover(id, effects),
            State::Executing | State::Blocking if self.relays.open.contains_key(&id) => {
                self.relay_ends(id, Outcome::Failed(failure), effects);
            }
            // Not resumed yet, so the handler never passed its roll-forward point.
            State::Executing | State::Blocking => self.register(id, Outcome::Failed(failure), effects),
            State::Handler { ending, .. } => {
                *ending = Ending::Abandoned;
                self.end_handler(id, effects);
            }
            State::Recovering => self.recovered(id, Recovery::Unknown, effects),
            State::Answering => self.handler_answered(id, &Outcome::Failed(failure), effects),
            State::Committing { .. } | State::InDoubt | State::Relay | State::Cancelling { .. } => {}
        }
    }

    /// Registers an outcome as the automatic reply; all who wait are answered once it is stable.
    pub(super) fn register(&mut self, id: CallId, outcome: Outcome<B>, effects: &mut Vec<Effect<B>>) {
        if let Some(call) = self.calls.get_mut(&id) {
            call.state = State::Committing { resume: false };
        }
        // Else a failure would be taken for that of a closure, after which the handler goes on.
        if let Some(transaction) = self.relays.open.get_mut(&id) {
            transaction.stage = Stage::Completing;
        }
        self.put_registered(id, RedProcess::AutoReply(outcome), effects);
    }

    fn put_registered(&mut self, id: CallId, red: RedProcess<B>, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get(&id) else { return };
        let row = Row { id, digest: call.digest, state: RowState::Registered(red) };
        let write = Write::PutRow { key: call.key, row };
        self.commit(id, write, Then::Stable { id }, effects);
    }

    fn stable(&mut self, id: CallId, outcome: Option<Outcome<B>>, effects: &mut Vec<Effect<B>>) {
        if self.atomic_failed(id, outcome.as_ref()) {
            return;
        }
        let Some(call) = self.calls.get_mut(&id) else { return };
        match (&mut call.state, outcome) {
            (State::Committing { resume }, Some(outcome)) => {
                if *resume {
                    effects.push(Effect::Resume { id });
                }
                self.relay_registered(id, matches!(outcome, Outcome::Failed(_)), effects);
                self.finish(id, Known::AutoReply, &outcome, effects);
            }
            // A handler that was registered before the outcome now under way.
            (State::Committing { .. }, None) => effects.push(Effect::Resume { id }),
            (State::Handler { unstable, .. }, _) => {
                *unstable = unstable.saturating_sub(1);
                effects.push(Effect::Resume { id });
                self.relay_registered(id, false, effects);
                self.end_handler(id, effects);
            }
            _ => {}
        }
    }

    /// Ends a call with a redundant-message handler once both its handler ended and the registration is stable.
    fn end_handler(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let State::Handler { unstable: 0, ending } = &mut call.state else { return };
        match core::mem::replace(ending, Ending::Running) {
            Ending::Running => {}
            Ending::Returned(outcome) => self.finish(id, Known::Handler, &outcome, effects),
            // Its outcome is lost, but not what is to be done about a redundant request: whoever waits gets that.
            Ending::Abandoned => {
                if let Some(call) = self.close(id, Known::Handler) {
                    self.look_again(id, call, effects);
                }
            }
        }
    }

    fn handler_answered(&mut self, id: CallId, outcome: &Outcome<B>, effects: &mut Vec<Effect<B>>) {
        if self.calls.get(&id).is_some_and(|call| call.state == State::Answering) {
            self.finish(id, Known::Handler, outcome, effects);
        }
    }

    /// Answers everybody who waits, and lets the call go. Whoever wants it cancelled has waited for that.
    fn finish(&mut self, id: CallId, known: Known, outcome: &Outcome<B>, effects: &mut Vec<Effect<B>>) {
        let Some(mut call) = self.close(id, known) else { return };
        core::mem::take(&mut call.waiting).each(|asker, redundant| {
            effects.push(Effect::Answer { asker, id, outcome: outcome.clone(), redundant });
        });
        if call.cancels.len() > 0 {
            self.look_again(id, call, effects);
        }
    }

    /// Looks at whoever still wants something of a call that was let go as if it came now.
    pub(super) fn look_again(&mut self, id: CallId, call: Open<B>, effects: &mut Vec<Effect<B>>) {
        for held in call.into_held(id, self.settings.alias) {
            self.load(call_key(&held, self.settings.window), held, effects);
        }
    }

    pub(super) fn close(&mut self, id: CallId, known: Known) -> Option<Open<B>> {
        let call = self.calls.remove(&id)?;
        if let Some(source) = self.sources.get_mut(&id.source) {
            // It may have been forgotten with the alias, and come again.
            source.in_hand = source.in_hand.saturating_sub(1);
        }
        if let Some(ring) = self.sessions.get_mut(&call.key.session) {
            let entry = ring.at(call.key.slot);
            // A later call may have taken the slot while an old answer was made once more.
            if entry.trans == id.trans {
                entry.known = known;
            }
        }
        self.leave(call.key.session);
        Some(call)
    }

    fn asker_gone(&mut self, asker: Asker) {
        for call in self.calls.values_mut() {
            call.waiting.remove(asker);
            call.cancels.remove(asker);
        }
        let before = self.early.len();
        self.early.retain(|held| held.asker != asker);
        self.held -= before - self.early.len();
        for held in self.loads.values_mut() {
            let before = held.len();
            held.retain(|held| held.asker != asker);
            self.held -= before - held.len();
        }
    }

    /// What was held is forgotten: whoever waits asks the next member.
    fn fenced(&mut self) {
        *self = Self {
            phase: Phase::Fenced,
            incarnation: self.incarnation,
            counts: self.counts,
            ..Self::new(self.settings)
        };
    }

    pub(super) fn refuse(held: &Held<B>, refusal: Refusal, effects: &mut Vec<Effect<B>>) {
        effects.push(Effect::Refuse { asker: held.asker, id: held.request.id, refusal });
    }
}

/// Where the row of a request lies.
pub(super) fn call_key<B>(held: &Held<B>, window: u32) -> SlotKey {
    let session = Session { source: held.request.id.source, born: held.request.born };
    SlotKey::of(session, held.request.id.trans, window)
}
