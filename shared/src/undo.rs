//! What `Service::undo` holds: a call that was executed and is to be undone.

use std::sync::Arc;

use bytes::Bytes;
use palib_core::ids::CallId;
use tokio::sync::oneshot;

use crate::area::AreaTxn;
use crate::call::Waited;
use crate::client::rider;
use crate::service::result_of;
use crate::stable::AtomicClosure;
use crate::{Area, Error, RedProcess, Result};

/// Where the requests of an undo go: the server side of its alias.
pub(crate) trait UndoHome: Send + Sync {
    fn area(&self) -> &Area;
    fn source_name(&self, id: CallId) -> String;
    fn id_text(&self, id: CallId) -> String;
    fn undo_atomic(&self, id: CallId, run: AtomicClosure) -> oneshot::Receiver<Waited>;
}

/// A call that was executed, and that its caller cancels (patent, claim 28).
pub struct Undo {
    pub(crate) home: Arc<dyn UndoHome>,
    pub(crate) id: CallId,
    pub(crate) body: Bytes,
    pub(crate) registered: RedProcess,
    pub(crate) relayed: bool,
    pub(crate) interrupted: bool,
}

impl Undo {
    /// The identity of the call, as people read it: `caller/i3/42`.
    #[must_use]
    pub fn id_text(&self) -> String {
        self.home.id_text(self.id)
    }

    /// The alias that called, and cancels.
    #[must_use]
    pub fn source(&self) -> String {
        self.home.source_name(self.id)
    }

    /// What was asked.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What was asked, as text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).map_err(|_| Error::NotText)
    }

    /// What the call registered: its reply, or a redundant-message handler. A call that failed is never undone.
    #[must_use]
    pub fn registered(&self) -> &RedProcess {
        &self.registered
    }

    /// Whether calls were made on its behalf. All of them are undone already.
    #[must_use]
    pub fn relayed(&self) -> bool {
        self.relayed
    }

    /// Whether a former undo of this call may have been interrupted by a death, and so may have had an effect already.
    #[must_use]
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// The service's own state as of the last commit.
    #[must_use]
    pub fn area(&self) -> &Area {
        self.home.area()
    }

    /// Atomic mode: what the closure changes in the stable area becomes durable together with the cancellation of the
    /// call, or not at all. So no other undo of it ever follows. The closure may be run again, so it must depend on
    /// nothing but the area and what it captured.
    ///
    /// # Errors
    /// The closure's own error: nothing was changed, and the call is not undone. Or [`Error::CallOver`].
    pub async fn commit<F>(&self, run: F) -> Result<()>
    where
        F: FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static,
    {
        match self.home.undo_atomic(self.id, rider(run)).await {
            Ok(Some(outcome)) => result_of(outcome).map(|_| ()).map_err(Error::Failed),
            Ok(None) => Ok(()),
            Err(_) => Err(Error::CallOver(self.id_text())),
        }
    }
}
