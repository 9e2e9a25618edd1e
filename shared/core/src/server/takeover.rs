//! A relay that takes over: rolls forward, asks for substitutes, or rolls back (patent, Figs 16 and 18; claims 24, 26
//! and 28).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::machine::Server;
use super::open::{State, Waiting};
use super::{Effect, Note, Then, Write};
use crate::ids::{CallId, SlotKey};
use crate::message::Outcome;
use crate::redundancy::{Row, RowState};
use crate::relay::{
    Back, CallOn, Course, Journaled, OnCall, OnState, Policy, Position, Stage, Step, Substitute, Transaction,
};

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Server<B> {
    /// Learns what a predecessor called on behalf of its calls.
    pub(super) fn read_journal(&mut self, journal: Vec<Journaled<B>>) {
        let (policy, now) = (self.settings.on_takeover, self.now);
        for Journaled { served, position, call, digest, answer, designated } in journal {
            let id = served.id;
            let transaction =
                self.relays.open.entry(id).or_insert_with(|| Transaction::new(served, policy, now));
            transaction.written = true;
            self.relays.places.insert(call.id, (id, position.clone()));
            let state = answer.map_or(OnState::Held, OnState::Answered);
            let on = OnCall::new(call.target, digest);
            let on = OnCall {
                call: Some(call),
                state,
                wanted: false,
                replayed: true,
                substitute: designated,
                ..on
            };
            transaction.calls.insert(position, on);
        }
    }

    /// What has a journal and is not under way has its outcome.
    pub(super) fn retain_the_rest(&mut self) {
        let rest = self.relays.open.keys().filter(|id| !self.calls.contains_key(id));
        for id in rest.copied().collect::<Vec<_>>() {
            self.relays.retain(id);
        }
    }

    /// Takes over a transaction that was under way.
    pub(super) fn adopt_relaying(&mut self, key: SlotKey, row: &Row<B>, effects: &mut Vec<Effect<B>>) {
        let RowState::Relaying { request, policy, course, cancellable } = &row.state else { return };
        let id = row.id;
        self.ring(key.session, id.origin);
        let call = self.open(id, key, row.digest, request.clone(), Waiting::default());
        (call.cancellable, call.state) = (*cancellable, State::Relay);
        self.relays.policies.insert(id, *policy);
        let Some(transaction) = self.relays.open.get_mut(&id) else {
            // Its first call on is put together with this row, so there is one. Without it there is nothing to take over.
            return self.run(id, effects);
        };
        (transaction.policy, transaction.course) = (*policy, course.clone());
        match (course, policy) {
            (Course::Forward, Policy::RollForward | Policy::Substitute) => self.ask_substitutes(id, effects),
            (Course::Forward, Policy::RollBack) => self.turn(id, Course::Back, Back::Takeover, effects),
            (Course::Through(reply), _) => {
                transaction.stage = Stage::Trimming(Outcome::Reply(reply.clone()));
                self.cancel_next(id, effects);
            }
            (Course::Back, _) => self.undo_calls(id, Back::Takeover, effects),
            (Course::Failing(error), _) => self.undo_calls(id, Back::Failed(error.clone()), effects),
        }
    }

    fn roll_forward(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let resent = transaction.calls.values().filter(|on| on.state == OnState::Held).count();
        let answered = transaction.calls.len() - resent;
        let step = Step::RolledForward { answered: answered as u32, resent: resent as u32 };
        effects.push(Effect::Note(Note::Relay { id, step }));
        self.run(id, effects);
    }

    /// Sends what was held, and begins a new run of the handler.
    pub(super) fn release_held(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        transaction.stage = Stage::Running;
        transaction.asked.clear();
        for on in transaction.calls.values_mut() {
            on.wanted = false;
            on.replayed = true;
            if on.state == OnState::Held {
                on.state = OnState::Waiting;
                effects.extend(on.call.as_ref().map(|call| Effect::SendOn { id: call.id }));
            }
        }
    }

    fn ask_substitutes(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some((call, transaction)) = self.calls.get(&id).zip(self.relays.open.get_mut(&id)) else {
            return;
        };
        let asks = transaction.policy == Policy::Substitute;
        let held = transaction.calls.iter().filter(|(_, on)| on.state == OnState::Held);
        let held = held.filter(|(_, on)| asks || on.substitute.is_some());
        let held = held
            .filter_map(|(position, on)| Some((position.clone(), on.call.clone()?, on.substitute.is_some())));
        let held: Vec<_> = held.collect();
        if held.is_empty() {
            return self.roll_forward(id, effects);
        }
        transaction.stage = Stage::Substituting(held.len());
        let request = call.body.clone();
        for (position, on, designated) in held {
            if designated {
                self.cancel_old(id, &position, effects);
            } else {
                let (request, target, body) = (request.clone(), on.target, on.body);
                effects.push(Effect::AskSubstitute { id, request, position, target, body });
            }
        }
    }

    /// The service has designated what takes the place of a call on, or that it stays.
    pub(super) fn substituted(
        &mut self,
        id: CallId,
        position: &Position,
        by: Option<Substitute<B>>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        if !matches!(transaction.stage, Stage::Substituting(_)) {
            return;
        }
        let free = |on: &&mut OnCall<B>| on.state == OnState::Held && on.substitute.is_none();
        let Some(on) = transaction.calls.get_mut(position).filter(free) else { return };
        let Some(by) = by else { return self.one_less(id, effects) };
        let cancel_old = by.cancel_old;
        on.substitute = Some(by);
        if !cancel_old {
            return self.replace(id, position, effects);
        }
        let Some((row, call)) = transaction.row(position).map(|row| (row.clone(), row.call)) else { return };
        let then = Some(Then::StableCall { id: call.id });
        let writes = alloc::vec![Write::PutJournal { row: Box::new(row) }];
        effects.push(Effect::Commit { incarnation: self.incarnation, writes, then });
    }

    /// That another call takes the place of this one is durable: now it may be cancelled.
    pub(super) fn cancel_old(&mut self, id: CallId, position: &Position, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let Some(on) = transaction.calls.get_mut(position) else { return };
        let Some(told) = on.told(position) else { return };
        on.state = OnState::Cancelling;
        let on = told.id;
        effects.push(Effect::Note(Note::Relay { id, step: Step::CancelSent(told) }));
        effects.push(Effect::CancelOn { id: on });
    }

    /// Puts the designated call in the place of the old one.
    pub(super) fn replace(&mut self, id: CallId, position: &Position, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let Some(on) = transaction.calls.get_mut(position) else { return };
        let (Some(by), Some(old)) = (on.substitute.take(), on.told(position)) else { return };
        on.replaces = Some((old, by.cancel_old));
        on.state = OnState::Allotting;
        let (position, target, body) = (position.clone(), by.target, by.body);
        effects.push(Effect::Allot { id, position, target, body });
    }

    /// The new call is in the journal, and the old one no more.
    pub(super) fn replaced(
        &mut self,
        id: CallId,
        position: &Position,
        (old, cancel_old): (CallOn, bool),
        effects: &mut Vec<Effect<B>>,
    ) {
        self.relays.places.remove(&old.id);
        effects.push(Effect::Settle { ids: alloc::vec![old.id] });
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let Some(on) = transaction.calls.get_mut(position) else { return };
        on.state = OnState::Held;
        if let Some(new) = on.told(position) {
            let step = Step::Substituted { old, new, cancel_old };
            effects.push(Effect::Note(Note::Relay { id, step }));
        }
        self.one_less(id, effects);
    }

    /// Nothing can take the place of the old call. If it was cancelled, the handler is told so.
    pub(super) fn keep_old(&mut self, id: CallId, position: &Position, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let Some(on) = transaction.calls.get_mut(position) else { return };
        on.substitute = None;
        on.state = match on.replaces.take() {
            Some((_, true)) => OnState::Refused(crate::message::Refusal::Cancelled),
            _ => OnState::Held,
        };
        self.one_less(id, effects);
    }

    fn one_less(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        if let Stage::Substituting(left) = &mut transaction.stage {
            *left -= 1;
            if *left == 0 {
                self.roll_forward(id, effects);
            }
        }
    }
}
