//! What an operator sees of a server.

use super::machine::{Counts, Phase, Server};
use super::open::{Ending, State};
use crate::ids::{CallId, Incarnation, Nanos, SlotKey};
use crate::relay::{Stage, TransactionView};

/// Where a call in hand stands, in an operator's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallState {
    /// The service runs, before its roll-forward point.
    Executing,
    /// The service runs, past its roll-forward point.
    Blocked,
    /// What the service registered is being committed.
    Committing,
    /// The service registered a redundant-message handler and has not returned.
    HandlerRegistered,
    /// `recover` was asked and has not answered.
    Recovering,
    /// In doubt: an operator must decide.
    InDoubt,
    /// It ended before; a redundant-message handler makes an answer for a request that came again.
    Answering,
    /// The service runs, or is through, and calls were made on its behalf.
    Relaying,
    /// What was called on its behalf is being undone.
    RollingBack,
    /// Its run asked for something else than its journal holds: an operator must decide.
    Diverged,
    /// What was called on its behalf can't be undone: an operator must decide.
    Stuck,
    /// It was cancelled, and is being undone.
    Undoing,
}

/// A call in hand.
#[derive(Clone, Copy, Debug)]
pub struct CallView<'a, B> {
    /// Which call.
    pub id: CallId,
    /// Where its row lies, or will lie.
    pub key: SlotKey,
    /// Where it stands.
    pub state: CallState,
    /// How many connections wait for its outcome.
    pub waiting: usize,
    /// Since when it is in hand.
    pub since: Nanos,
    /// The digest of its request.
    pub digest: u128,
    /// What was asked.
    pub body: &'a B,
}

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Server<B> {
    /// How far this member is.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// The incarnation it was promoted in.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// What it has done since it was promoted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.0
    }

    /// All calls in hand, in the order of their ids.
    pub fn calls(&self) -> impl Iterator<Item = CallView<'_, B>> {
        self.calls.sorted().into_iter().filter_map(|(&id, _)| self.call(id))
    }

    /// How many calls are in hand.
    #[must_use]
    pub fn calls_len(&self) -> usize {
        self.calls.len()
    }

    /// How many requests are held that are not decided yet: their row is being loaded, or this member is not
    /// ready. Requests that wait for a call in hand are counted with the call.
    #[must_use]
    pub fn held_len(&self) -> usize {
        self.held
    }

    /// The transactions that are open: calls in hand on whose behalf calls were made. What is only retained is not among
    /// them.
    pub fn transactions(&self) -> impl Iterator<Item = TransactionView<'_, B>> {
        let open = self.relays.open.values().filter(|transaction| transaction.is_open());
        open.map(TransactionView::new)
    }

    /// The transaction of a call, open or retained.
    #[must_use]
    pub fn transaction(&self, id: CallId) -> Option<TransactionView<'_, B>> {
        self.relays.open.get(&id).map(TransactionView::new)
    }

    /// How many transactions are open.
    #[must_use]
    pub fn relays_len(&self) -> usize {
        self.relays.open.len() - self.relays.retained.len()
    }

    /// How many transactions are completed and kept, because their callers may still cancel them.
    #[must_use]
    pub fn retained_len(&self) -> usize {
        self.relays.retained.len()
    }

    fn relay_state(&self, id: CallId) -> CallState {
        match self.relays.open.get(&id).map(|transaction| &transaction.stage) {
            Some(Stage::Turning(_) | Stage::Undoing(_) | Stage::Undone(_)) => CallState::RollingBack,
            Some(Stage::Diverged { .. }) => CallState::Diverged,
            Some(Stage::Stuck { .. }) => CallState::Stuck,
            Some(Stage::Completing) => CallState::Committing,
            _ => CallState::Relaying,
        }
    }

    /// A call in hand.
    #[must_use]
    pub fn call(&self, id: CallId) -> Option<CallView<'_, B>> {
        let call = self.calls.get(&id)?;
        let state = match &call.state {
            State::Relay => self.relay_state(id),
            State::Executing if !call.blocked && self.relays.open.contains_key(&id) => CallState::Relaying,
            State::Cancelling { .. } => CallState::Undoing,
            State::Executing if call.blocked => CallState::Blocked,
            State::Executing => CallState::Executing,
            State::Handler { ending: Ending::Running, .. } => CallState::HandlerRegistered,
            State::Blocking | State::Committing { .. } | State::Handler { .. } => CallState::Committing,
            State::Recovering => CallState::Recovering,
            State::InDoubt => CallState::InDoubt,
            State::Answering => CallState::Answering,
        };
        let (key, waiting, since) = (call.key, call.waiting.len(), call.since.0);
        Some(CallView { id, key, state, waiting, since, digest: call.digest, body: &call.body })
    }
}
