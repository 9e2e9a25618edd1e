//! What a caller does with the calls of a relay: it sends them when the journal holds them, tells the relay what
//! became of them, and cancels them.

use alloc::vec::Vec;

use super::Effect;
use super::machine::{Caller, Open, State};
use crate::ids::{AliasId, CallId, Mark, Nanos};
use crate::message::CancelEnd;
use crate::relay::News;

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Caller<B> {
    pub(super) fn reserve(
        &mut self,
        now: Nanos,
        token: u64,
        target: AliasId,
        body: B,
        effects: &mut Vec<Effect<B>>,
    ) {
        if let Some((key, call)) = self.begin(now, token, target, body, effects) {
            self.calls.insert(key, Open::new(call, true, 0));
        }
    }

    /// Also a call that was never sent is cancelled at its target: a predecessor may have sent it, and what it sent
    /// may come at any time.
    pub(super) fn cancel(&mut self, now: Nanos, id: CallId, effects: &mut Vec<Effect<B>>) {
        let Some(key) = self.journaled(id) else { return };
        let Some(open) = self.calls.get_mut(key) else { return };
        match &open.state {
            State::Cancelling => {}
            State::Cancelled(end @ CancelEnd::Cancelled { .. }) => {
                effects.push(Effect::Relay { id, news: News::Cancel(end.clone()) });
            }
            _ => {
                open.attempt.0 = 0;
                self.go_out(key, State::Cancelling);
                self.send(now, key, effects);
            }
        }
    }

    pub(super) fn cancel_ended(&mut self, id: CallId, end: CancelEnd<B>, effects: &mut Vec<Effect<B>>) {
        let Some(key) = self.journaled(id) else { return };
        let Some(open) = self.calls.get_mut(key) else { return };
        if open.state == State::Cancelling {
            open.end(
                key,
                State::Cancelled(end.clone()),
                &mut self.targets,
                &mut self.timers,
                &mut self.resends,
            );
            effects.push(Effect::Relay { id, news: News::Cancel(end) });
        }
    }

    /// The relay is through with this call, whatever has become of it.
    pub(super) fn settled(&mut self, now: Nanos, id: CallId) {
        let Some(key) = self.journaled(id) else { return };
        let Some(open) = self.calls.get_mut(key) else { return };
        open.end(key, State::Dropping, &mut self.targets, &mut self.timers, &mut self.resends);
        self.done(now, key);
    }

    /// The place of a call, if a relay made it and it is not done.
    fn journaled(&self, id: CallId) -> Option<Mark> {
        self.key(id).filter(|&key| self.calls.get(key).is_some_and(|open| open.journaled))
    }
}
