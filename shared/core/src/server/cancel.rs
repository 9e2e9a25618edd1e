//! Being cancelled: a call that its caller takes back is undone if it was executed, and refused from then on (patent,
//! claim 28).
//!
//! A cancellation waits for a call that is being executed, blocked or in doubt. It is itself done once: whoever asks
//! for it again joins it while it is under way, and gets its end from the tombstone afterwards. A request that comes
//! meanwhile waits, too: it is refused only when that has ended.

use alloc::vec::Vec;

use super::machine::Server;
use super::open::{CancelStep, Held, State, Waiting};
use super::ring::Known;
use super::{Effect, Note, Then, Write};
use crate::ids::{CallId, SlotKey};
use crate::message::{CancelEnd, Outcome, Refusal};
use crate::redundancy::{RedProcess, Row, RowState};
use crate::relay::{Back, Why};

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Server<B> {
    /// Cancels a call that never came: a late request finds the tombstone.
    pub(super) fn bury(&mut self, key: SlotKey, held: Held<B>, effects: &mut Vec<Effect<B>>) {
        let id = held.request.id;
        self.cancel_state(key, held, CancelStep::Committing, None, false);
        self.commit_cancelled(id, effects);
    }

    /// Cancels a call of which something is known.
    pub(super) fn cancel_known(
        &mut self,
        key: SlotKey,
        known: Known,
        held: Held<B>,
        row: Option<&Row<B>>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let id = held.request.id;
        if known == Known::Open {
            if let Some(call) = self.calls.get_mut(&id) {
                call.cancels.join(held.asker);
            }
            return;
        }
        let Some(row) = row.filter(|row| row.id == id) else { return self.load(key, held, effects) };
        match row.state.clone() {
            RowState::Cancelled { undone } => {
                let (asker, end) = (held.asker, CancelEnd::Cancelled { undone });
                effects.push(Effect::AnswerCancel { asker, id, end });
            }
            RowState::Registered(RedProcess::AutoReply(Outcome::Failed(_))) => self.bury(key, held, effects),
            RowState::Registered(red) => {
                self.cancel_state(key, held, CancelStep::Marking, Some(red.clone()), false);
                self.put_cancel_row(id, RowState::Undoing(red), Then::StableUndoing { id }, effects);
            }
            RowState::Undoing(red) => {
                self.cancel_state(key, held, CancelStep::Marking, Some(red), true);
                self.stable_undoing(id, effects);
            }
            // Such a call is in hand.
            RowState::Blocked { .. } | RowState::Relaying { .. } => {}
        }
    }

    fn cancel_state(
        &mut self,
        key: SlotKey,
        held: Held<B>,
        step: CancelStep,
        red: Option<RedProcess<B>>,
        interrupted: bool,
    ) {
        let Held { asker, request, digest, cancel, .. } = held;
        let call = self.open(request.id, key, digest, request.body, Waiting::default());
        if cancel {
            call.cancels = Waiting::one(asker, false);
        } else {
            call.waiting = Waiting::one(asker, true);
        }
        call.cancellable = request.cancellable;
        call.state = State::Cancelling { step, red, interrupted };
    }

    fn step_of(&mut self, id: CallId) -> Option<&mut CancelStep> {
        match &mut self.calls.get_mut(&id)?.state {
            State::Cancelling { step, .. } => Some(step),
            _ => None,
        }
    }

    /// That the call is being undone is durable: what was called on its behalf is undone first.
    pub(super) fn stable_undoing(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(step) = self.step_of(id).filter(|step| **step == CancelStep::Marking) else { return };
        *step = CancelStep::CallsOn;
        if self.relays.open.contains_key(&id) {
            self.relays.let_go(id);
            self.undo_calls(id, Back::Cancelled, effects);
        } else {
            self.calls_undone(id, effects);
        }
    }

    /// What was called on its behalf is undone: now the service undoes what it did itself.
    pub(super) fn calls_undone(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let relayed = self.relays.open.contains_key(&id);
        let Some(call) = self.calls.get_mut(&id) else { return };
        let State::Cancelling { step, red: Some(red), interrupted } = &mut call.state else { return };
        *step = CancelStep::Service;
        let (request, red, interrupted) = (call.body.clone(), red.clone(), *interrupted);
        effects.push(Effect::Note(Note::Undoing { id, interrupted }));
        effects.push(Effect::Undo { id, request, red, relayed, interrupted });
    }

    /// The service undoes in atomic mode.
    pub(super) fn undo_atomic(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(step) = self.step_of(id).filter(|step| **step == CancelStep::Service) else { return };
        *step = CancelStep::Committing;
        let Some(call) = self.calls.get(&id) else { return };
        let write = Write::AtomicUndo { key: call.key, id, digest: call.digest };
        self.commit(id, write, Then::StableCancelled { id }, effects);
    }

    /// The service's `undo` ended.
    pub(super) fn undone(&mut self, id: CallId, result: Result<(), B>, effects: &mut Vec<Effect<B>>) {
        let Some(step) = self.step_of(id).filter(|step| **step == CancelStep::Service) else { return };
        match result {
            Ok(()) => {
                *step = CancelStep::Committing;
                self.commit_cancelled(id, effects);
            }
            Err(why) => self.undo_fails(id, Why::Said(why), effects),
        }
    }

    fn commit_cancelled(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let undone = self.was_executed(id);
        self.put_cancel_row(id, RowState::Cancelled { undone }, Then::StableCancelled { id }, effects);
    }

    fn was_executed(&self, id: CallId) -> bool {
        let state = self.calls.get(&id).map(|call| &call.state);
        matches!(state, Some(State::Cancelling { red: Some(_), .. }))
    }

    fn put_cancel_row(&mut self, id: CallId, state: RowState<B>, then: Then, effects: &mut Vec<Effect<B>>) {
        let Some(call) = self.calls.get(&id) else { return };
        let write = Write::PutRow { key: call.key, row: Row { id, digest: call.digest, state } };
        self.commit(id, write, then, effects);
    }

    /// The call is cancelled, durably. If a closure of `undo` failed, nothing was written, and `undo` decides.
    pub(super) fn stable_cancelled(
        &mut self,
        id: CallId,
        outcome: Option<&Outcome<B>>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let Some(step) = self.step_of(id).filter(|step| **step == CancelStep::Committing) else { return };
        if matches!(outcome, Some(Outcome::Failed(_))) {
            *step = CancelStep::Service;
            return;
        }
        let undone = self.was_executed(id);
        self.settle(id, effects);
        let Some(call) = self.close(id, Known::Cancelled) else { return };
        effects.push(Effect::Note(Note::Cancelled { id, undone }));
        call.cancels.each(|asker, _| {
            effects.push(Effect::AnswerCancel { asker, id, end: CancelEnd::Cancelled { undone } });
        });
        call.waiting.each(|asker, _| {
            effects.push(Effect::Refuse { asker, id, refusal: Refusal::Cancelled });
        });
    }

    /// The call can't be undone, for now: it stays as it is, and a cancellation that comes again tries again. Its
    /// outcome is given to nobody any more: it may be undone in part.
    pub(super) fn undo_fails(&mut self, id: CallId, why: Why<B>, effects: &mut Vec<Effect<B>>) {
        self.relays.retain(id);
        let Some(call) = self.close(id, Known::Undoing) else { return };
        call.cancels.each(|asker, _| {
            effects.push(match why.clone() {
                Why::Said(why) => Effect::AnswerCancel { asker, id, end: CancelEnd::NotUndone(why) },
                Why::Refused(refusal) => Effect::Refuse { asker, id, refusal },
            });
        });
        call.waiting.each(|asker, _| {
            effects.push(Effect::Refuse { asker, id, refusal: Refusal::Cancelled });
        });
    }
}
