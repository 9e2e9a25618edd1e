//! What a server side and the handlers of its service have to do with each other.

use std::any::Any;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use palib_core::ids::{AliasId, CallId};
use palib_core::message::Outcome;
use palib_core::redundancy::RedProcess as CoreRedProcess;
use palib_core::relay::{Given, Position};
use palib_core::server::{CallState, Input};
use tokio::sync::oneshot;

use super::{ServeSide, State};
use crate::branch::{Branch, Run};
use crate::call::{Call, CallHome, Waited};
use crate::control::What;
use crate::defect::Point;
use crate::limits::RECOVER_WAIT_MAX;
use crate::service::{InDoubt, Service, failure_text, outcome_of};
use crate::stable::AtomicClosure;
use crate::{Area, Error, Policy, Recovery, Result};

impl<S: Service> ServeSide<S> {
    /// The handler has returned. If its outcome is registered already, what it did was passed with that.
    pub(super) fn pass_executed(&self, state: &State, id: CallId) {
        let open = |state| matches!(state, CallState::Executing | CallState::Blocked | CallState::Relaying);
        if self.shared.points.any() && state.core.call(id).is_some_and(|call| open(call.state)) {
            self.pass(Point::AfterExecute);
        }
    }

    /// Tells the service that it takes over. A panic is a refusal: nobody would hear of it else.
    pub(super) fn tell_promoted(&self) -> Result<()> {
        let told = catch_unwind(AssertUnwindSafe(|| self.service.promoted(&self.area)));
        let words = |panic: Box<dyn Any + Send>| String::from_utf8_lossy(&panic_text(&*panic)).into_owned();
        told.unwrap_or_else(|panic| Err(Error::failed(words(panic))))
    }

    pub(super) fn call_handler(&self, state: &mut State, id: CallId, index: u16, arg: Bytes, request: Bytes) {
        self.shared.trace.push(What::RedundancyFound {
            call: self.shared.directory.id_text(id),
            alias: self.alias_name.clone(),
            process_type: format!("HANDLER {index}"),
        });
        let (me, run) = (self.me(), state.runs.begin(id, false));
        self.runtime.spawn(async move {
            let call = Call { root: Branch::root(me.clone(), run), body: request };
            me.pass(Point::BeforeHandler);
            let ended = caught(|| me.service.redundant(index, arg, call)).await;
            let outcome = ended.map_or_else(Outcome::Failed, outcome_of);
            me.pass(Point::AfterHandler);
            let mut state = me.state.lock();
            state.runs.end(run);
            me.feed(&mut state, Input::HandlerAnswered { id, outcome });
        });
    }

    pub(super) fn recover(&self, id: CallId, request: Bytes) {
        let me = self.me();
        self.runtime.spawn(async move {
            let id_text = me.shared.directory.id_text(id);
            let call = InDoubt { id_text: id_text.clone(), body: request };
            me.pass(Point::BeforeAsk);
            let recovery = decided(RECOVER_WAIT_MAX, || me.service.recover(call, me.area.clone())).await;
            let recovery = recovery.unwrap_or_else(|why| {
                tracing::error!(alias = %me.alias_name, call = %id_text, %why, "recover told nothing");
                Recovery::Unknown
            });
            let how = match &recovery {
                Recovery::Completed(_) => Some("recovered: it was executed"),
                Recovery::NotExecuted => Some("recovered: it was not executed and runs now"),
                Recovery::Unknown => None,
            };
            if let Some(how) = how {
                let alias = me.alias_name.clone();
                me.shared.trace.push(What::Resolved { call: id_text, alias, how: how.to_owned() });
            }
            me.pass(Point::AfterAsk);
            me.feed(&mut me.state.lock(), Input::Recovered { id, recovery: recovery.into() });
        });
    }

    /// What waits for the commit that follows. None if this run does not count any more, or waits for one already: it
    /// could not be told which of them is durable.
    fn wait_for(&self, state: &mut State, run: Run) -> Option<oneshot::Receiver<Waited>> {
        if !state.runs.counts(run) {
            return None;
        }
        let Entry::Vacant(place) = state.waits.entry(run.id) else { return None };
        let (tell, told) = oneshot::channel();
        place.insert(tell);
        Some(told)
    }

    /// A closure that passes a defect point as it has run, if any is armed now: most never carry that along.
    pub(super) fn pointed(&self, mut run: AtomicClosure, point: Point) -> AtomicClosure {
        if !self.shared.points.any() {
            return run;
        }
        let (shared, alias) = (self.shared.clone(), self.alias);
        Box::new(move |area| {
            let outcome = run(area);
            shared.points.pass(alias, point);
            outcome
        })
    }

    fn ask(&self, run: Run, input: Input<Bytes>) -> oneshot::Receiver<Waited> {
        let mut state = self.state.lock();
        let Some(told) = self.wait_for(&mut state, run) else { return over() };
        self.feed(&mut state, input);
        told
    }
}

/// A receiver that gets nothing.
pub(super) fn over<T>() -> oneshot::Receiver<T> {
    oneshot::channel().1
}

impl<S: Service> CallHome for ServeSide<S> {
    fn area(&self) -> &Area {
        &self.area
    }

    fn message_text(&self, message: &(AliasId, Bytes)) -> String {
        self.text_of(message)
    }

    fn source_name(&self, id: CallId) -> String {
        self.shared.directory.name(id.source)
    }

    fn id_text(&self, id: CallId) -> String {
        self.shared.directory.id_text(id)
    }

    fn atomic(&self, run: Run, closure: AtomicClosure) -> oneshot::Receiver<Waited> {
        let (mut state, id) = (self.state.lock(), run.id);
        let Some(told) = self.wait_for(&mut state, run) else { return over() };
        state.closure = Some(self.pointed(closure, Point::AfterExecute));
        self.feed_soon(&mut state, Input::Atomic { id });
        // Left over if the machine asked for no commit; then the handler gets an error.
        state.closure = None;
        told
    }

    fn block(&self, run: Run) -> oneshot::Receiver<Waited> {
        self.ask(run, Input::BlockRequest { id: run.id })
    }

    fn set_red_process(&self, run: Run, red: CoreRedProcess<Bytes>) -> oneshot::Receiver<Waited> {
        self.ask(run, Input::SetRedProcess { id: run.id, red })
    }

    fn set_policy(&self, run: Run, policy: Policy) {
        self.handler_sets_policy(run, policy);
    }

    fn call_on(
        &self,
        run: Run,
        position: &Position,
        target: &str,
        body: Bytes,
    ) -> Result<oneshot::Receiver<Given<Bytes>>> {
        self.handler_calls_on(run, position, target, body)
    }
}

/// Runs what a service does, or gives the words of its panic; also of one before there is a future to be polled: a
/// service need not be an `async fn`.
pub(super) async fn caught<F: Future>(begin: impl FnOnce() -> F) -> Result<F::Output, Bytes> {
    let all = async move { begin().await };
    AssertUnwindSafe(all).catch_unwind().await.map_err(|panic| panic_text(panic.as_ref()))
}

/// What a service decided within a span, or why it did not, in words.
async fn decided<F: Future>(within: Duration, begin: impl FnOnce() -> F) -> Result<F::Output, String> {
    match tokio::time::timeout(within, caught(begin)).await {
        Ok(ended) => ended.map_err(|panic| String::from_utf8_lossy(&panic).into_owned()),
        Err(_) => Err(format!("it took longer than {within:?}")),
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> Bytes {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text =
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned());
    failure_text(format!("the service panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_decision_that_never_comes_is_waited_for_only_so_long() {
        let never = std::future::pending::<Recovery>;
        let why = decided(Duration::from_millis(1), never).await.expect_err("it hangs");
        assert!(why.contains("longer than 1ms"), "{why}");
        let unknown = decided(RECOVER_WAIT_MAX, || async { Recovery::Unknown }).await;
        assert!(matches!(unknown, Ok(Recovery::Unknown)));
    }
}
