//! A relay on its way forward: calls on are put into the journal before they are sent, and answered from it when the
//! handler is run again (patent, Figs 14 and 15).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::machine::Server;
use super::open::State;
use super::{Effect, Note, Then, Write};
use crate::ids::{AliasId, CallId, Mark};
use crate::message::Outcome;
use crate::redundancy::{Row, RowState};
use crate::relay::{
    Back, CallOn, Course, Given, News, OnCall, OnState, Policy, Position, Served, Stage, Step, Transaction,
    Why,
};
use crate::resend::{Pending, Rejection};

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Server<B> {
    /// The handler calls on.
    pub(super) fn call_on(
        &mut self,
        id: CallId,
        position: Position,
        target: AliasId,
        body: B,
        digest: u128,
        effects: &mut Vec<Effect<B>>,
    ) {
        let over = Effect::Give { id, position: position.clone(), given: Given::Over };
        let Some(call) = self.calls.get(&id).filter(|call| call.state == State::Executing) else {
            return effects.push(over);
        };
        let served = Served { id, born: call.key.session.born };
        let policy = self.relays.policies.get(&id).copied().unwrap_or(self.settings.on_takeover);
        let now = self.now;
        let transaction = self.relays.open.entry(id).or_insert_with(|| Transaction::new(served, policy, now));
        if transaction.stage != Stage::Running {
            return effects.push(over);
        }
        let digest = asked_digest(target, digest);
        transaction.asked.insert(position.clone());
        match transaction.calls.get_mut(&position) {
            Some(on) if on.digest != digest => self.diverge(id, position, Some((target, body)), effects),
            Some(on) => {
                on.wanted = true;
                self.give(id, &position, effects);
            }
            None => {
                transaction.calls.insert(position.clone(), OnCall::new(target, digest));
                effects.push(Effect::Allot { id, position, target, body });
            }
        }
    }

    /// A call on got its id, or did not.
    pub(super) fn allotted(
        &mut self,
        id: CallId,
        position: Position,
        call: Result<Pending<B>, Rejection>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let transaction = self.relays.open.get_mut(&id);
        let on = transaction.and_then(|transaction| transaction.calls.get_mut(&position));
        let on = on.filter(|on| on.state == OnState::Allotting);
        match (on, call) {
            (Some(on), Ok(call)) => {
                (on.target, on.state) = (call.target, OnState::Putting);
                self.relays.places.insert(call.id, (id, position.clone()));
                on.call = Some(call);
                self.put_call(id, &position, effects);
            }
            (Some(on), Err(_)) if on.replaces.is_some() => self.keep_old(id, &position, effects),
            (Some(_), Err(reason)) => {
                if let Some(transaction) = self.relays.open.get_mut(&id) {
                    transaction.calls.remove(&position);
                    transaction.asked.remove(&position);
                }
                effects.push(Effect::Give { id, position, given: Given::Rejected(reason) });
            }
            (None, Ok(call)) => effects.push(Effect::Settle { ids: alloc::vec![call.id] }),
            (None, Err(_)) => {}
        }
    }

    /// Puts a call on into the journal, and with it what the journal lacks of its transaction.
    fn put_call(&mut self, id: CallId, position: &Position, effects: &mut Vec<Effect<B>>) {
        let mut writes = Vec::new();
        let written = self.relays.open.get(&id).is_some_and(|transaction| transaction.written);
        if !written {
            writes.extend(self.relaying_row(id));
        }
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        transaction.written = true;
        let Some(call) = transaction.calls.get(position).and_then(|on| on.call.as_ref()) else { return };
        let then = Some(Then::StableCall { id: call.id });
        writes.extend(
            transaction.rows_to_put(Some(position)).map(|row| Write::PutJournal { row: Box::new(row) }),
        );
        effects.push(Effect::Commit { incarnation: self.incarnation, writes, then });
    }

    /// The row that says a call is under way. A call past its roll-forward point keeps the row that says so: whether
    /// its effect outside happened is asked first.
    pub(super) fn relaying_row(&self, id: CallId) -> Option<Write<B>> {
        let (call, transaction) = (self.calls.get(&id)?, self.relays.open.get(&id)?);
        if call.blocked && transaction.course == Course::Forward {
            return None;
        }
        let state = RowState::Relaying {
            request: call.body.clone(),
            policy: transaction.policy,
            course: transaction.course.clone(),
            cancellable: call.cancellable,
        };
        Some(Write::PutRow { key: call.key, row: Row { id, digest: call.digest, state } })
    }

    /// The journal holds a call on: it is sent.
    pub(super) fn stable_call(&mut self, on: CallId, effects: &mut Vec<Effect<B>>) {
        let Some((transaction, position)) = self.relays.place(on) else { return };
        let id = transaction.served.id;
        let Some(call) = transaction.calls.get_mut(&position) else { return };
        if call.state == OnState::Held && call.substitute.is_some() {
            if matches!(transaction.stage, Stage::Substituting(_)) {
                self.cancel_old(id, &position, effects);
            }
            return;
        }
        let replaced = call.replaces.take();
        if call.state != OnState::Putting {
            return;
        }
        if let Some(old) = replaced {
            return self.replaced(id, &position, old, effects);
        }
        call.state = OnState::Waiting;
        let step = Step::CalledOn(CallOn { position, id: on, target: call.target });
        effects.push(Effect::Note(Note::Relay { id, step }));
        effects.push(Effect::SendOn { id: on });
    }

    /// Something became of a call on.
    pub(super) fn news(&mut self, on: CallId, news: News<B>, effects: &mut Vec<Effect<B>>) {
        let Some((transaction, position)) = self.relays.place(on) else { return };
        let id = transaction.served.id;
        let Some(call) = transaction.calls.get_mut(&position) else { return };
        match (&call.state, news) {
            (OnState::Waiting, News::Answered(outcome)) => {
                (call.state, call.unwritten) = (OnState::Answered(outcome), true);
                self.give(id, &position, effects);
            }
            (OnState::Waiting, News::Refused(refusal)) => {
                call.state = OnState::Refused(refusal);
                self.give(id, &position, effects);
            }
            (OnState::Cancelling, News::Refused(refusal)) => {
                self.not_undone(id, position, Why::Refused(refusal), effects);
            }
            (OnState::Cancelling, News::Cancel(end)) => self.cancel_ended(id, position, end, effects),
            _ => {}
        }
    }

    /// Gives the handler what it waits for at a position, if it is there.
    fn give(&mut self, id: CallId, position: &Position, effects: &mut Vec<Effect<B>>) {
        let transaction = self.relays.open.get_mut(&id);
        let Some(on) = transaction.and_then(|transaction| transaction.calls.get_mut(position)) else {
            return;
        };
        let (given, failed) = match &on.state {
            OnState::Answered(outcome) => {
                let answer = Given::Answer { outcome: outcome.clone(), replayed: on.replayed };
                (answer, matches!(outcome, Outcome::Failed(_)))
            }
            OnState::Refused(refusal) => (Given::Refused(*refusal), true),
            _ => return,
        };
        if !core::mem::take(&mut on.wanted) {
            return;
        }
        if let Some(told) = on.told(position) {
            let step = Step::Answered { on: told, replayed: on.replayed, failed };
            effects.push(Effect::Note(Note::Relay { id, step }));
        }
        effects.push(Effect::Give { id, position: position.clone(), given });
    }

    /// The handler has an outcome. What it called and no longer waits for is cancelled first; if it fails, everything
    /// it called is undone first.
    pub(super) fn relay_ends(&mut self, id: CallId, outcome: Outcome<B>, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        if transaction.stage != Stage::Running {
            return;
        }
        if let Outcome::Failed(error) = outcome {
            if self.relays.has_effects(id) {
                return self.turn(id, Course::Failing(error.clone()), Back::Failed(error), effects);
            }
            return self.complete(id, Outcome::Failed(error), effects);
        }
        if let Some(position) = transaction.not_asked() {
            return self.diverge(id, position, None, effects);
        }
        if !transaction.calls.values().any(OnCall::is_unanswered) {
            return self.complete(id, outcome, effects);
        }
        self.trim(id, outcome, effects);
    }

    /// The handler does without some answers. That is made durable with the answers it has: a successor does not run it
    /// again, but cancels what is unanswered.
    fn trim(&mut self, id: CallId, outcome: Outcome<B>, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let Outcome::Reply(reply) = &outcome else { return };
        transaction.course = Course::Through(reply.clone());
        transaction.stage = Stage::Trimming(outcome);
        let rows: Vec<_> = transaction.rows_to_put(None).collect();
        if let Some(call) = self.calls.get_mut(&id) {
            call.state = State::Relay;
        }
        let mut writes: Vec<_> = self.relaying_row(id).into_iter().collect();
        writes.extend(rows.into_iter().map(|row| Write::PutJournal { row: Box::new(row) }));
        let then = Some(Then::StableCourse { id });
        effects.push(Effect::Commit { incarnation: self.incarnation, writes, then });
    }

    /// Whether the handler may end its call in atomic mode: it has asked for all that its journal holds, and waits for
    /// nothing. If not, it is given an error in place of a commit.
    pub(super) fn may_end(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) -> bool {
        let Some(transaction) = self.relays.open.get(&id) else { return true };
        if transaction.stage != Stage::Running {
            return false;
        }
        if let Some(position) = transaction.not_asked() {
            self.diverge(id, position, None, effects);
            return false;
        }
        !transaction.calls.values().any(OnCall::is_unanswered)
    }

    /// The closure of atomic mode failed, and nothing was written: the handler goes on, and will fail.
    pub(super) fn atomic_failed(&mut self, id: CallId, outcome: Option<&Outcome<B>>) -> bool {
        let running =
            self.relays.open.get(&id).is_some_and(|transaction| transaction.stage == Stage::Running);
        if !running || !matches!(outcome, Some(Outcome::Failed(_))) {
            return false;
        }
        match self.calls.get_mut(&id) {
            Some(call) if call.state == (State::Committing { resume: false }) => {
                call.state = State::Executing;
                true
            }
            _ => false,
        }
    }

    /// The transaction is through, with this outcome.
    pub(super) fn complete(&mut self, id: CallId, outcome: Outcome<B>, effects: &mut Vec<Effect<B>>) {
        let transaction = self.relays.open.get_mut(&id).filter(|_| matches!(outcome, Outcome::Failed(_)));
        if let Some(transaction) = transaction {
            // Whatever was called is undone, so there is nothing left to keep.
            transaction.course = Course::Back;
        }
        self.register(id, outcome, effects);
    }

    /// What goes with the row that ends a call: its journal is closed. It is kept if the call has had an effect, and
    /// may be cancelled although it has its outcome.
    pub(super) fn close_journal(&mut self, id: CallId) -> Option<Write<B>> {
        let (transaction, call) = (self.relays.open.get_mut(&id)?, self.calls.get(&id)?);
        let cancelled = matches!(call.state, State::Cancelling { .. });
        transaction.retain = call.cancellable && !transaction.course.goes_back() && !cancelled;
        (!transaction.retain).then_some(Write::CloseJournal { served: transaction.served })
    }

    /// The outcome of a call is durable.
    pub(super) fn relay_registered(&mut self, id: CallId, failed: bool, effects: &mut Vec<Effect<B>>) {
        let Some(transaction) = self.relays.open.get(&id) else {
            self.relays.policies.remove(&id);
            return;
        };
        let step = Step::Completed { calls: transaction.calls.len() as u32, failed };
        effects.push(Effect::Note(Note::Relay { id, step }));
        if transaction.retain {
            self.relays.retain(id);
            let source = id.source;
            let mark = self.sources.get(&source).map_or_else(Mark::default, |known| known.mark);
            self.release(source, mark, effects);
        } else {
            self.settle(id, effects);
        }
    }

    /// Forgets a transaction whose journal is closed.
    pub(super) fn settle(&mut self, id: CallId, effects: &mut Vec<Effect<B>>) {
        let ids = self.relays.close(id);
        if !ids.is_empty() {
            effects.push(Effect::Settle { ids });
        }
    }

    /// Lets go what was retained of a source below its mark: nobody can cancel it any more.
    pub(super) fn release(&mut self, source: AliasId, mark: Mark, effects: &mut Vec<Effect<B>>) {
        if self.relays.retained.is_empty() {
            return;
        }
        for id in self.relays.released(source, mark) {
            let Some(served) = self.relays.let_go(id) else { continue };
            let writes = alloc::vec![Write::CloseJournal { served }];
            let then = Some(Then::Closed { id, rolled_back: false });
            effects.push(Effect::Commit { incarnation: self.incarnation, writes, then });
        }
    }

    /// The handler, or an operator, says what a takeover does with a transaction.
    pub(super) fn set_policy(&mut self, id: CallId, policy: Policy, effects: &mut Vec<Effect<B>>) {
        if !self.calls.contains_key(&id) {
            return;
        }
        self.relays.policies.insert(id, policy);
        // Over a row that is under way, of an outcome or a roll-forward point, nothing is written.
        let executing = self.calls.get(&id).is_some_and(|call| call.state == State::Executing);
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        transaction.policy = policy;
        if executing && transaction.written && transaction.stage == Stage::Running {
            let writes: Vec<_> = self.relaying_row(id).into_iter().collect();
            effects.push(Effect::Commit { incarnation: self.incarnation, writes, then: None });
        }
    }

    /// A run asks for something else than its journal holds.
    fn diverge(
        &mut self,
        id: CallId,
        position: Position,
        asked: Option<(AliasId, B)>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let Some(transaction) = self.relays.open.get_mut(&id) else { return };
        let Some(call) = transaction.calls.get(&position).and_then(|on| on.call.as_ref()) else { return };
        let journal = (call.target, call.body.clone());
        transaction.stage = Stage::Diverged { position: position.clone(), asked: asked.clone() };
        let mut waiting = transaction.take_wanted();
        if asked.is_some() {
            waiting.push(position.clone());
        }
        for waiting in waiting {
            let (position, journal, asked) = (position.clone(), journal.clone(), asked.clone());
            let given = Given::Diverged { position, journal, asked };
            effects.push(Effect::Give { id, position: waiting, given });
        }
        if let Some(call) = self.calls.get_mut(&id) {
            call.state = State::Relay;
        }
        effects.push(Effect::Note(Note::Relay { id, step: Step::Diverged { position, journal, asked } }));
    }
}

/// What a handler asks for is known by target and message together.
fn asked_digest(target: AliasId, digest: u128) -> u128 {
    digest.rotate_left(64) ^ u128::from(target.0)
}
