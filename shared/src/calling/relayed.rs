//! Calls that a relay makes: kept by the caller machine, decided about by the serving side.
//!
//! The serving side asks with its own lock held, so nothing here takes that lock: what became of a call is collected, and
//! the serving side fetches it. It is fetched under the lock of the serving side only, so each call's news keep their
//! order.

use std::sync::Weak;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId, Mark, PortId};
use palib_core::message::{Message, Refusal};
use palib_core::relay::News;
use palib_core::resend::{Input, Pending, Rejection};
use parking_lot::MutexGuard;

use super::{CallSide, State};
use crate::defect::Point;
use crate::serving::Serving;
use crate::transport::LinkError;

/// What a caller has to do with relays.
#[derive(Default)]
pub(super) struct Relayed {
    /// What the serving side has not fetched yet.
    news: Vec<(CallId, News<Bytes>)>,
    /// What is sent once this member may send; none when it may.
    before: Option<Vec<(PortId, Message<Bytes>)>>,
}

impl CallSide {
    /// Names the serving side of the same alias.
    pub(crate) fn serve_with(&self, serving: Weak<dyn Serving>) {
        // There is one promotion in a process's life, so it is named once.
        let _ = self.serving.set(serving);
    }

    /// Gives a call on an id and a slot, without sending it.
    pub(crate) fn reserve(&self, target: AliasId, body: Bytes) -> Result<Pending<Bytes>, Rejection> {
        let mut state = self.state.lock();
        self.learn_target(&mut state, target);
        state.token += 1;
        let token = state.token;
        self.feed(&mut state, Input::Reserve { token, target, body });
        let id = state.started.take().unwrap_or(Err(Rejection::NotInService))?;
        let call = state.core.call_view(id).map(|view| view.call.clone());
        call.ok_or(Rejection::NotInService)
    }

    /// The journal holds a call on: it is sent.
    pub(crate) fn stable(&self, id: CallId) {
        self.feed(&mut self.state.lock(), Input::Stable { id });
    }

    /// A call on is to be undone.
    pub(crate) fn cancel(&self, id: CallId) {
        self.feed(&mut self.state.lock(), Input::Cancel { id });
    }

    /// The journal holds these calls on no more.
    pub(crate) fn settle(&self, ids: Vec<CallId>) {
        let mut state = self.state.lock();
        for id in ids {
            self.feed(&mut state, Input::Settled { id });
        }
    }

    /// What became of calls on. To be called with the lock of the serving side held.
    pub(crate) fn fetch_news(&self) -> Vec<(CallId, News<Bytes>)> {
        std::mem::take(&mut self.state.lock().relayed.news)
    }

    /// How often a call on was sent; what a predecessor may have sent counts once.
    pub(crate) fn tries(&self, id: CallId) -> u32 {
        self.state.lock().core.call_view(id).map_or(0, |view| view.sent)
    }

    /// Whether anybody is known to serve an alias.
    pub(crate) fn has_route(&self, target: AliasId) -> bool {
        self.state.lock().core.route_to(target).is_some_and(|route| route.port.is_some())
    }

    /// Lets go of the lock, and has the serving side fetch what became of its calls meanwhile.
    pub(super) fn release(&self, state: MutexGuard<'_, State>) {
        let news = !state.relayed.news.is_empty();
        drop(state);
        if news && let Some(serving) = self.serving.get().and_then(Weak::upgrade) {
            serving.news();
        }
    }

    pub(super) fn note_news(&self, state: &mut State, id: CallId, news: News<Bytes>) {
        state.relayed.news.push((id, news));
    }

    /// Sends nothing until [`Self::begin`].
    pub(super) fn hold_back(&self, state: &mut State) {
        state.relayed.before = Some(Vec::new());
    }

    /// Sends from now on: the serving side of the alias knows of its calls, too.
    pub(crate) fn begin(&self) {
        let mut state = self.state.lock();
        for (port, message) in state.relayed.before.take().into_iter().flatten() {
            let sent = self.passing(&message, || self.shared.send(port, &message));
            if let Some(input) = follows(sent, port, &message) {
                self.feed(&mut state, input);
            }
        }
        self.release(state);
        self.spawn_ticker();
    }

    pub(super) fn send(&self, state: &mut State, port: PortId, message: Message<Bytes>) {
        if let Some(before) = &mut state.relayed.before {
            before.push((port, message));
        } else {
            let sent = self.passing(&message, || self.send_now(state, port, &message));
            if let Some(input) = follows(sent, port, &message) {
                state.todo.push_back(input);
            }
        }
    }

    /// Sends a message with its defect points around it.
    #[inline]
    fn passing<T>(&self, message: &Message<Bytes>, send: impl FnOnce() -> T) -> T {
        let (before, after) = match message {
            Message::Cancel(_) => (Point::BeforeSendCancel, Point::AfterSendCancel),
            Message::Mark { .. } => (Point::BeforeSendMark, Point::AfterSendMark),
            _ => (Point::BeforeSend, Point::AfterSend),
        };
        self.pass(before);
        let sent = send();
        self.pass(after);
        sent
    }

    /// Tells a mark that no request tells.
    pub(super) fn send_mark(&self, state: &mut State, port: PortId, target: AliasId, mark: Mark) {
        self.send(state, port, Message::Mark { source: self.source, target, mark });
    }
}

/// What follows for the machine from the sending of a message to a port.
fn follows(sent: Result<(), LinkError>, port: PortId, message: &Message<Bytes>) -> Option<Input<Bytes>> {
    match sent {
        Ok(()) => None,
        // A burst of this side's own, which says nothing about the port: as if the port had asked for patience.
        Err(LinkError::NoRoom { .. }) => {
            message.id().map(|id| Input::Refused { id, port, refusal: Refusal::Busy })
        }
        Err(_) => Some(Input::PortGone { port }),
    }
}
