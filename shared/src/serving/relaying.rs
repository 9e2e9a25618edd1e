//! What a server side and the handlers of a relay have to do with each other: calls on, and what they are given.

use std::collections::BTreeMap;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId};
use palib_core::message::Message;
use palib_core::relay::{Given, News, Position, Substitute as CoreSubstitute};
use palib_core::server::{Effect, Input};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_128;

use super::handlers::{caught, over};
use super::undo::Executed;
use super::{ServeSide, State};
use crate::branch::{Run, within_limit};
use crate::defect::Point;
use crate::service::Service;
use crate::{Policy, Result, Substitute, Unanswered};

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
    /// Performs what only relays and cancellations ask for.
    pub(super) fn perform_of_relay(&self, state: &mut State, effect: Effect<Bytes>) {
        match effect {
            Effect::Give { id, position, given } => return state.gives.give(id, position, given),
            Effect::AskSubstitute { id, request, position, target, body } => {
                return self.ask_substitute(id, request, position, target, body);
            }
            Effect::Undo { id, request, red, relayed, interrupted } => {
                return self.undo(Executed { id, request, red, relayed, interrupted });
            }
            Effect::AnswerCancel { asker, id, end } => {
                if let Some(link) = state.links.get(&asker.0) {
                    self.pass(Point::BeforeConfirm);
                    let _ = link.send_message(&Message::CancelEnded { id, end });
                    self.pass(Point::AfterConfirm);
                }
                return;
            }
            Effect::Allot { id, position, target, body } => {
                let call = self.calling.reserve(target, body);
                state.todo.push_back(Input::Allotted { id, position, call });
            }
            Effect::SendOn { id } => {
                self.pass(Point::BeforeCallOn);
                self.calling.stable(id);
                self.pass(Point::AfterCallOn);
            }
            Effect::CancelOn { id } => {
                self.pass(Point::BeforeCancel);
                self.calling.cancel(id);
            }
            Effect::Settle { ids } => self.calling.settle(ids),
            _ => unreachable!("all other effects are performed before"),
        }
        // What has just been asked of the calling side may have news at once.
        self.hear(state);
    }

    /// Fetches what became of calls on.
    pub(super) fn hear(&self, state: &mut State) {
        for (id, news) in self.calling.fetch_news() {
            self.pass(match &news {
                News::Answered(_) | News::Refused(_) => Point::AfterAnswer,
                News::Cancel(_) => Point::AfterCancel,
            });
            state.todo.push_back(Input::News { id, news });
        }
    }

    fn ask_substitute(&self, id: CallId, request: Bytes, position: Position, target: AliasId, body: Bytes) {
        let me = self.me();
        self.runtime.spawn(async move {
            let call = Unanswered {
                id_text: me.shared.directory.id_text(id),
                request,
                position: position.to_string(),
                target: me.shared.directory.name(target),
                body,
            };
            let asked = caught(|| me.service.substitute(call)).await;
            let by = asked.unwrap_or(None).and_then(|by| me.designated(by));
            me.pass(Point::AfterDesignation);
            me.feed(&mut me.state.lock(), Input::Substituted { id, position, by });
        });
    }

    /// A call that a service designated, if it can be made. If not, the old one stays.
    fn designated(&self, by: Substitute) -> Option<CoreSubstitute<Bytes>> {
        let Substitute { target, body, cancel_old } = by;
        let known = self
            .shared
            .directory
            .id(&target)
            .and_then(|target| within_limit(body).map(|body| (target, body)));
        match known {
            Ok((target, body)) => Some(CoreSubstitute { target, body, cancel_old }),
            Err(error) => {
                tracing::error!(alias = %self.alias_name, %target, %error, "no substitute");
                None
            }
        }
    }

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

    pub(super) fn handler_sets_policy(&self, run: Run, policy: Policy) {
        let mut state = self.state.lock();
        if state.runs.counts(run) {
            self.feed(&mut state, Input::SetPolicy { id: run.id, policy: policy.into() });
        }
    }
}
