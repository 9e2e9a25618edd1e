//! What an operator sees of a caller.

use super::Pending;
use super::machine::{Caller, Open, State};
use crate::ids::CallId;
use crate::message::{CancelEnd, Outcome, Refusal};

/// Where a call stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallState<'a, B> {
    /// It is being put into the outbox or the journal, or its relay has not let it go yet.
    Putting,
    /// It has no outcome yet.
    Waiting,
    /// It was answered, and that was not consumed or settled.
    Answered(&'a Outcome<B>),
    /// It, or its cancellation, was refused for good, and that was not consumed or settled.
    Refused(Refusal),
    /// It is being dropped from the outbox.
    Dropping,
    /// It is being cancelled, and that has not ended.
    Cancelling,
    /// Its cancellation ended, and that was not settled.
    Cancelled(&'a CancelEnd<B>),
}

/// A call that is not done.
#[derive(Clone, Copy, Debug)]
pub struct CallView<'a, B> {
    /// The call as the outbox or the journal keeps it.
    pub call: &'a Pending<B>,
    /// Whether a relay made it, on behalf of another call: the journal holds it then, and no user waits for it.
    pub journaled: bool,
    /// Where it stands.
    pub state: CallState<'a, B>,
    /// How often it was sent; what a predecessor may have sent counts once. From the moment it is cancelled: how often
    /// the cancellation was.
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
        State::Cancelling => CallState::Cancelling,
        State::Cancelled(end) => CallState::Cancelled(end),
    };
    CallView { call: &open.call, journaled: open.journaled, state, sent: open.attempt.0 }
}
