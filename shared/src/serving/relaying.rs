//! What a server side and the handlers of a relay have to do with each other: calls on, and what they are given.

use std::collections::BTreeMap;

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::relay::{Given, Position};
use palib_core::server::Input;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_128;

use super::handlers::over;
use super::{ServeSide, State};
use crate::Result;
use crate::branch::Run;
use crate::service::Service;

/// Handlers that wait for what they are given, by call and position.
#[derive(Default)]
pub(super) struct Gives(BTreeMap<(CallId, Position), oneshot::Sender<Given<Bytes>>>);

impl Gives {
    fn wait(&mut self, id: CallId, position: Position) -> oneshot::Receiver<Given<Bytes>> {
        let (tell, told) = oneshot::channel();
        self.0.insert((id, position), tell);
        told
    }

    pub(super) fn give(&mut self, id: CallId, position: Position, given: Given<Bytes>) {
        if let Some(tell) = self.0.remove(&(id, position)) {
            let _ = tell.send(given);
        }
    }

    /// Nobody waits for a call any more.
    pub(super) fn forget(&mut self, id: CallId) {
        while let Some((key, _)) = self.0.range((id, Position::default())..).next()
            && key.0 == id
        {
            let key = key.clone();
            self.0.remove(&key);
        }
    }
}

impl<S: Service> ServeSide<S> {
    pub(super) fn handler_calls_on(
        &self,
        run: Run,
        position: &Position,
        target: &str,
        body: Bytes,
    ) -> Result<oneshot::Receiver<Given<Bytes>>> {
        let target = self.shared.directory.id(target)?;
        let digest = xxh3_128(&body);
        let mut state = self.state.lock();
        let state: &mut State = &mut state;
        if !state.runs.relays(run) {
            return Ok(over());
        }
        let told = state.gives.wait(run.id, position.clone());
        let position = position.clone();
        self.feed(state, Input::CallOn { id: run.id, position, target, body, digest });
        Ok(told)
    }

    pub(super) fn handler_sets_policy(&self, run: Run, policy: crate::Policy) {
        let mut state = self.state.lock();
        if state.runs.counts(run) {
            self.feed(&mut state, Input::SetPolicy { id: run.id, policy: policy.into() });
        }
    }
}
