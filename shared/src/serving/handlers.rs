//! What a server side and the handlers of its service have to do with each other.

use std::panic::AssertUnwindSafe;

use bytes::Bytes;
use futures_util::FutureExt;
use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::redundancy::RedProcess as CoreRedProcess;
use palib_core::server::Input;
use tokio::sync::oneshot;

use super::{ServeSide, State};
use crate::Area;
use crate::call::{Call, CallHome, Waited};
use crate::control::What;
use crate::service::{InDoubt, Service, outcome_of};
use crate::stable::AtomicClosure;

impl<S: Service> ServeSide<S> {
    pub(super) fn call_handler(&self, id: CallId, index: u16, arg: Bytes, request: Bytes) {
        self.shared.trace.push(What::RedundancyFound {
            call: self.shared.directory.id_text(id),
            alias: self.alias_name.clone(),
            process_type: format!("HANDLER {index}"),
        });
        let me = self.me();
        self.runtime.spawn(async move {
            let call = Call { home: me.clone(), id, body: request };
            let ended = AssertUnwindSafe(me.service.redundant(index, arg, call)).catch_unwind().await;
            let outcome = match ended {
                Ok(result) => outcome_of(result),
                Err(panic) => Outcome::Failed(panic_text(panic.as_ref())),
            };
            me.feed(&mut me.state.lock(), Input::HandlerAnswered { id, outcome });
        });
    }

    pub(super) fn recover(&self, id: CallId, request: Bytes) {
        let me = self.me();
        self.runtime.spawn(async move {
            let id_text = me.shared.directory.id_text(id);
            let call = InDoubt { id_text: id_text.clone(), body: request };
            let recovery = AssertUnwindSafe(me.service.recover(call, me.area.clone())).catch_unwind().await;
            let recovery = recovery.unwrap_or(crate::Recovery::Unknown);
            let how = match &recovery {
                crate::Recovery::Completed(_) => Some("recovered: it was executed"),
                crate::Recovery::NotExecuted => Some("recovered: it was not executed and runs now"),
                crate::Recovery::Unknown => None,
            };
            if let Some(how) = how {
                let alias = me.alias_name.clone();
                me.shared.trace.push(What::Resolved { call: id_text, alias, how: how.to_owned() });
            }
            me.feed(&mut me.state.lock(), Input::Recovered { id, recovery: recovery.into() });
        });
    }

    fn wait_for(&self, state: &mut State, id: CallId) -> oneshot::Receiver<Waited> {
        let (tell, told) = oneshot::channel();
        state.waits.insert(id, tell);
        told
    }
}

impl<S: Service> CallHome for ServeSide<S> {
    fn area(&self) -> &Area {
        &self.area
    }

    fn source_name(&self, id: CallId) -> String {
        self.shared.directory.name(id.source)
    }

    fn id_text(&self, id: CallId) -> String {
        self.shared.directory.id_text(id)
    }

    fn atomic(&self, id: CallId, run: AtomicClosure) -> oneshot::Receiver<Waited> {
        let mut state = self.state.lock();
        let told = self.wait_for(&mut state, id);
        state.closure = Some(run);
        self.feed_soon(&mut state, Input::Atomic { id });
        if state.closure.take().is_some() {
            // The machine asked for no commit: the call has an outcome already. The handler gets an error.
            state.waits.remove(&id);
        }
        told
    }

    fn block(&self, id: CallId) -> oneshot::Receiver<Waited> {
        let mut state = self.state.lock();
        let told = self.wait_for(&mut state, id);
        self.feed(&mut state, Input::BlockRequest { id });
        told
    }

    fn set_red_process(&self, id: CallId, red: CoreRedProcess<Bytes>) -> oneshot::Receiver<Waited> {
        let mut state = self.state.lock();
        let told = self.wait_for(&mut state, id);
        self.feed(&mut state, Input::SetRedProcess { id, red });
        told
    }
}

pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> Bytes {
    let text = panic.downcast_ref::<&str>().copied().map(str::to_owned);
    let text =
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no text".to_owned());
    Bytes::from(format!("the service panicked: {text}"))
}
