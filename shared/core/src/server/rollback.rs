//! A relay on its way back: what it called is undone, the last call first (patent, claim 28). That it goes back is
//! durable before the first cancellation is sent.

use alloc::vec::Vec;

use super::machine::Server;
use super::open::State;
use super::ring::Known;
use super::{Effect, Note, Resolution, Then, Write};
use crate::ids::CallId;
use crate::message::{CancelEnd, Outcome};
use crate::relay::{Back, Course, OnCall, OnState, Position, Stage, Step, Why};

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Server<B> {
    /// From now on the transaction goes back.
    pub(super) fn turn(
        &mut self,
        id: CallId,
        course: Course<B>,
        back: Back<B>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        (transaction.course, transaction.stage) = (course, Stage::Turning(back));
        if let Some(call) = self.calls.get_mut(&id) {
            call.state = State::Relay;
        }
        self.give_up(id, effects);
        let writes: Vec<_> = self.relaying_row(id).into_iter().collect();
        let then = Some(Then::StableCourse { id });
        effects.push(Effect::Commit { incarnation: self.incarnation, writes, then });
    }

    /// Whatever the handler waits for, it will not come.
    fn give_up(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        use crate::relay::Given;
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        for position in transaction.take_wanted() {
            effects.push(Effect::Give { id, position, given: Given::Over });
        }
    }

    /// That the transaction goes back, or does without some answers, is durable: now what it called may be undone.
    pub(super) fn stable_course(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        match transaction.stage.clone() {
            Stage::Turning(back) => self.undo_calls(id, back, effects),
            Stage::Trimming(_) => self.cancel_next(id, effects),
            _ => {}
        }
    }

    /// Undoes what was called.
    pub(super) fn undo_calls(&mut self, id: CallId, back: Back<B>, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        transaction.stage = Stage::Undoing(back.clone());
        effects.push(Effect::Note(Note::Relay { id, step: Step::RollingBack(back) }));
        self.cancel_next(id, effects);
    }

    /// Cancels the last call on that is to be, or goes on if there is none.
    pub(super) fn cancel_next(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let wanted: fn(&OnCall<B>) -> bool = match transaction.stage {
            Stage::Trimming(_) => OnCall::is_unanswered,
            Stage::Undoing(_) => OnCall::may_have_effect,
            _ => return,
        };
        if transaction.calls.values().any(|on| on.state == OnState::Cancelling) {
            return;
        }
        let next = transaction.calls.iter_mut().rev().find(|(_, on)| wanted(on));
        let Some((position, on)) = next else { return self.all_cancelled(id, effects) };
        let Some(told) = on.told(position) else { return };
        on.state = OnState::Cancelling;
        let on = told.id;
        effects.push(Effect::Note(Note::Relay { id, step: Step::CancelSent(told) }));
        effects.push(Effect::CancelOn { id: on });
    }

    /// A cancellation came to an end.
    pub(super) fn cancel_ended(
        &mut self,
        id: CallId,
        position: Position,
        end: CancelEnd<B>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let CancelEnd::Cancelled { .. } = end else {
            if let CancelEnd::NotUndone(why) = end {
                self.not_undone(id, position, Why::Said(why), effects);
            }
            return;
        };
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let Some(on) = transaction.calls.get_mut(&position) else { return };
        on.state = OnState::Cancelled;
        if let Some(told) = on.told(&position) {
            effects.push(Effect::Note(Note::Relay { id, step: Step::CancelConfirmed(told) }));
        }
        if matches!(transaction.stage, Stage::Substituting(_)) {
            return self.replace(id, &position, effects);
        }
        self.cancel_next(id, effects);
    }

    /// A call on can't be undone.
    pub(super) fn not_undone(
        &mut self,
        id: CallId,
        position: Position,
        why: Why<B>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let Some(on) = transaction.calls.get_mut(&position) else { return };
        on.state = OnState::Held;
        match transaction.stage.clone() {
            // The handler did without its answer, so it does without its cancellation.
            Stage::Trimming(_) => {
                on.state = OnState::Refused(crate::message::Refusal::Cancelled);
                self.cancel_next(id, effects);
            }
            // It may be undone in part, so neither it nor another one in its place can be gone on with.
            Stage::Substituting(_) => self.turn(id, Course::Back, Back::Takeover, effects),
            Stage::Undoing(Back::Cancelled) => self.undo_fails(id, why, effects),
            Stage::Undoing(back) => {
                if let Some(told) = on.told(&position) {
                    let step = Step::Stuck { on: told, why: why.clone() };
                    effects.push(Effect::Note(Note::Relay { id, step }));
                }
                transaction.stage = Stage::Stuck { position, why, back };
            }
            _ => {}
        }
    }

    /// All that was to be cancelled is.
    fn all_cancelled(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        match transaction.stage.clone() {
            Stage::Trimming(outcome) => self.complete(id, outcome, effects),
            Stage::Undoing(back) => {
                transaction.stage = Stage::Undone(back.clone());
                effects.push(Effect::Note(Note::Relay { id, step: Step::RolledBack(back.clone()) }));
                match (back, transaction.course.clone()) {
                    (Back::Cancelled, _) => self.calls_undone(id, effects),
                    (_, Course::Failing(error)) => self.complete(id, Outcome::Failed(error), effects),
                    (..) => self.forget(id, effects),
                }
            }
            _ => {}
        }
    }

    /// The call is as if it had never come.
    fn forget(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some((call, transaction)) = self.calls.get(&id).zip(self.relays.open.get(&id)) else { return };
        let served = transaction.served;
        let writes = alloc::vec![Write::DropRow { key: call.key }, Write::CloseJournal { served }];
        let then = Some(Then::Closed { id, rolled_back: true });
        effects.push(Effect::Commit { incarnation: self.incarnation, writes, then });
    }

    /// The journal of a transaction is closed. If the call was forgotten, whoever waits for it has it performed from the
    /// beginning.
    pub(super) fn closed(&mut self, id: CallId, rolled_back: bool, effects: &mut Vec<Effect<B>>) {
        self.settle(id, effects);
        if !rolled_back {
            return;
        }
        let Some(call) = self.close(id, Known::Empty) else { return };
        for held in call.into_held(id, self.settings.alias) {
            self.admit(held, effects);
        }
    }

    /// An operator decides about a transaction: one that diverged or is stuck in any way, one under way may be rolled
    /// back.
    pub(super) fn resolve_relay(
        &mut self,
        id: CallId,
        resolution: Resolution<B>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let executing = self.calls.get(&id).is_some_and(|call| call.state == State::Executing);
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        match (transaction.stage.clone(), resolution) {
            // Its outcome may be durable already.
            (Stage::Running, Resolution::RollBack) if !executing => {}
            (Stage::Diverged { .. } | Stage::Stuck { .. }, Resolution::Outcome(outcome)) => {
                self.complete(id, outcome, effects);
            }
            (Stage::Diverged { .. }, Resolution::Rerun) => {
                transaction.stage = Stage::Running;
                self.run(id, effects);
            }
            (Stage::Diverged { .. } | Stage::Running, Resolution::RollBack) => {
                self.turn(id, Course::Back, Back::Ordered, effects);
            }
            (Stage::Stuck { back, .. }, Resolution::Rerun | Resolution::RollBack) => {
                transaction.stage = Stage::Undoing(back);
                self.cancel_next(id, effects);
            }
            _ => {}
        }
    }
}
