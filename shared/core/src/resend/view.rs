//! What an operator sees of a caller.

use super::Pending;
use super::machine::{Caller, Open, State};
use crate::ids::CallId;
use crate::message::{Outcome, Refusal};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallState<'a, B> {
    /// It is being put into the outbox.
    Putting,
    /// It has no outcome yet.
    Waiting,
    /// It was answered, and that was not consumed.
    Answered(&'a Outcome<B>),
    /// It was refused for good, and that was not consumed.
    Refused(Refusal),
    /// It is being dropped from the outbox.
    Dropping,
}

/// A call that is not done.
#[derive(Clone, Copy, Debug)]
pub struct CallView<'a, B> {
    /// The call as the outbox keeps it.
    pub call: &'a Pending<B>,
    /// Where it stands.
    pub state: CallState<'a, B>,
    /// How often it was sent; what a predecessor may have sent counts once.
    pub sent: u32,
}

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Caller<B> {
    /// All calls that are not done, the oldest first.
    pub fn calls(&self) -> impl Iterator<Item = CallView<'_, B>> {
        self.calls.iter().map(|(_, open)| view(open))
    }

    /// How many calls are not done.
    #[must_use]
    pub fn calls_len(&self) -> usize {
        self.calls.len()
    }

    /// A call that is not done.
    #[must_use]
    pub fn call_view(&self, id: CallId) -> Option<CallView<'_, B>> {
        self.calls.get(self.key(id)?).map(view)
    }
}

fn view<B>(open: &Open<B>) -> CallView<'_, B> {
    let state = match &open.state {
        State::Putting => CallState::Putting,
        State::Waiting => CallState::Waiting,
        State::Answered(outcome) => CallState::Answered(outcome),
        State::Refused(refusal) => CallState::Refused(*refusal),
        State::Dropping => CallState::Dropping,
    };
    CallView { call: &open.call, state, sent: open.attempt.0 }
}
