//! A call in hand, and who waits for it.

use alloc::vec::Vec;

use super::Asker;
use crate::ids::{AliasId, CallId, Mark, Nanos, SlotKey};
use crate::message::{Outcome, Request};
use crate::redundancy::RedProcess;
use crate::uncompared::Uncompared;

/// A request that is looked at later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held<B> {
    pub(super) asker: Asker,
    pub(super) request: Request<B>,
    pub(super) digest: u128,
    /// Its row was loaded before, and was not there yet.
    pub(super) again: bool,
    /// It asks for the call's cancellation, not for its outcome.
    pub(super) cancel: bool,
}

/// A call in hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Open<B> {
    pub(super) key: SlotKey,
    pub(super) digest: u128,
    /// Kept for the blocked row, for `recover`, and for running the call again.
    pub(super) body: B,
    pub(super) waiting: Waiting,
    /// Who wants it cancelled. They wait until it has ended.
    pub(super) cancels: Waiting,
    /// Its caller may cancel it when it has its outcome.
    pub(super) cancellable: bool,
    pub(super) state: State<B>,
    /// Its roll-forward point is durable, and no outcome is.
    pub(super) blocked: bool,
    pub(super) since: Uncompared<Nanos>,
}

/// Where a call in hand stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum State<B> {
    /// The service runs.
    Executing,
    /// The commit of its roll-forward point is under way.
    Blocking,
    /// A redundant-message handler was registered; the outcome is sent when the service returns it.
    Handler {
        /// Registrations whose commit is under way.
        unstable: u32,
        /// Whether the service is through.
        ending: Ending<B>,
    },
    /// The commit of its outcome is under way.
    Committing {
        /// The service waits for it and goes on afterwards.
        resume: bool,
    },
    /// `recover` was asked.
    Recovering,
    /// `recover` could not tell; an operator must.
    InDoubt,
    /// It ended long ago; a redundant-message handler makes an answer for a request that came again.
    Answering,
    /// The service is through, and its transaction decides what follows.
    Relay,
    /// It was cancelled.
    Cancelling {
        /// How far that is.
        step: CancelStep,
        /// What was registered; none if it was never executed.
        red: Option<RedProcess<B>>,
        /// A former `undo` may have been interrupted by a death.
        interrupted: bool,
    },
}

/// How far a cancellation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CancelStep {
    /// The commit that says it is being undone is under way.
    Marking,
    /// What was called on its behalf is being cancelled.
    CallsOn,
    /// The service's `undo` runs.
    Service,
    /// The commit that says it is cancelled is under way.
    Committing,
}

/// How the service ended a call for which a redundant-message handler is registered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ending<B> {
    /// It has not.
    Running,
    /// With this outcome.
    Returned(Outcome<B>),
    /// Without one.
    Abandoned,
}

impl<B: Clone> Open<B> {
    /// The call as the requests of those who wait for it; those who want it cancelled come first.
    pub(super) fn into_held(self, id: CallId, target: AliasId) -> Vec<Held<B>> {
        let mut requests = Vec::new();
        let (digest, born, cancellable) = (self.digest, self.key.session.born, self.cancellable);
        for (waiting, cancel) in [(&self.cancels, true), (&self.waiting, false)] {
            waiting.each(|asker, _| {
                let (mark, body) = (Mark::default(), self.body.clone());
                let request = Request { id, born, target, mark, attempt: 0, cancellable, body };
                requests.push(Held { asker, request, digest, again: false, cancel });
            });
        }
        requests
    }
}

/// Who waits for a call. Nearly always it is one, so the first has its place without an allocation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    first: Option<(Asker, bool)>,
    more: Vec<(Asker, bool)>,
}

impl Waiting {
    /// One who waits; `redundant` if its request came while the call was known already.
    pub(super) fn one(asker: Asker, redundant: bool) -> Self {
        Self { first: Some((asker, redundant)), more: Vec::new() }
    }

    /// Somebody waits too. Nobody is answered twice.
    pub(super) fn join(&mut self, asker: Asker) {
        if let Some(there) = self.first.iter_mut().chain(&mut self.more).find(|there| there.0 == asker) {
            there.1 = true;
        } else if self.first.is_none() {
            self.first = Some((asker, true));
        } else {
            self.more.push((asker, true));
        }
    }

    pub(super) fn remove(&mut self, asker: Asker) {
        if self.first.is_some_and(|first| first.0 == asker) {
            self.first = None;
        }
        self.more.retain(|more| more.0 != asker);
    }

    pub(super) fn each(&self, mut each: impl FnMut(Asker, bool)) {
        for &(asker, redundant) in self.first.iter().chain(&self.more) {
            each(asker, redundant);
        }
    }

    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }
}
