//! A call in hand, and who waits for it.

use alloc::vec::Vec;

use super::Asker;
use crate::ids::{AliasId, CallId, Mark, Nanos, SlotKey};
use crate::message::{Outcome, Request};
use crate::uncompared::Uncompared;

/// A request that is looked at later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Held<B> {
    pub(super) asker: Asker,
    pub(super) request: Request<B>,
    pub(super) digest: u128,
    /// Its row was loaded before, and was not there yet.
    pub(super) again: bool,
}

/// A call in hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Open<B> {
    pub(super) key: SlotKey,
    pub(super) digest: u128,
    /// Kept for the blocked row, for `recover`, and for running the call again.
    pub(super) body: B,
    pub(super) waiting: Waiting,
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
    /// The call as the requests of those who wait for it.
    pub(super) fn into_held(self, id: CallId, target: AliasId) -> Vec<Held<B>> {
        let mut requests = Vec::new();
        let (digest, born) = (self.digest, self.key.session.born);
        self.waiting.each(|asker, _| {
            let request = Request {
                id,
                born,
                target,
                mark: Mark::default(),
                attempt: 0,
                cancellable: false,
                body: self.body.clone(),
            };
            requests.push(Held { asker, request, digest, again: false });
        });
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
