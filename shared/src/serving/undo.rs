//! Undoing: cancellations that are served, and the service's `undo`.

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::redundancy::RedProcess as CoreRedProcess;
use palib_core::server::Input;
use tokio::sync::oneshot;

use super::handlers::caught;
use super::{ServeSide, State};
use crate::Area;
use crate::call::{CallHome, Waited};
use crate::defect::Point;
use crate::service::{Service, failure_text};
use crate::stable::AtomicClosure;
use crate::undo::{Undo, UndoHome};

/// A call that the service is to undo.
pub(super) struct Executed {
    pub(super) id: CallId,
    pub(super) request: Bytes,
    pub(super) red: CoreRedProcess<Bytes>,
    pub(super) relayed: bool,
    pub(super) interrupted: bool,
}

impl<S: Service> ServeSide<S> {
    pub(super) fn undo(&self, Executed { id, request, red, relayed, interrupted }: Executed) {
        let me = self.me();
        self.runtime.spawn(async move {
            let home = me.clone();
            let undo = Undo { home, id, body: request, registered: red.into(), relayed, interrupted };
            me.pass(Point::BeforeUndo);
            let ended = caught(|| me.service.undo(undo)).await;
            let result = ended.and_then(|result| result.map_err(|error| failure_text(error.to_string())));
            me.pass(Point::AfterUndo);
            me.feed(&mut me.state.lock(), Input::Undone { id, result });
        });
    }
}

impl<S: Service> UndoHome for ServeSide<S> {
    fn area(&self) -> &Area {
        &self.area
    }

    fn source_name(&self, id: CallId) -> String {
        CallHome::source_name(self, id)
    }

    fn id_text(&self, id: CallId) -> String {
        CallHome::id_text(self, id)
    }

    fn undo_atomic(&self, id: CallId, run: AtomicClosure) -> oneshot::Receiver<Waited> {
        let (tell, told) = oneshot::channel();
        let mut state = self.state.lock();
        let state: &mut State = &mut state;
        state.undoing.insert(id, tell);
        state.closure = Some(self.pointed(run, Point::AfterUndo));
        self.feed(state, Input::UndoAtomic { id });
        if state.closure.take().is_some() {
            // The machine asked for no commit: the call is not being undone any more.
            state.undoing.remove(&id);
        }
        told
    }
}
