//! What a handler holds: the call it executes.

use std::sync::Arc;

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::redundancy::RedProcess as CoreRedProcess;
use tokio::sync::oneshot;

use crate::area::AreaTxn;
use crate::service::{outcome_of, result_of};
use crate::stable::AtomicClosure;
use crate::{Area, Error, RedProcess, Reply, Result};

/// What a waiting handler is told once its commit is stable.
pub(crate) type Waited = Option<Outcome<Bytes>>;

/// Where a call's requests go: the server side of its alias.
pub(crate) trait CallHome: Send + Sync {
    fn area(&self) -> &Area;
    fn source_name(&self, id: CallId) -> String;
    fn id_text(&self, id: CallId) -> String;
    fn atomic(&self, id: CallId, run: AtomicClosure) -> oneshot::Receiver<Waited>;
    fn block(&self, id: CallId) -> oneshot::Receiver<Waited>;
    fn set_red_process(&self, id: CallId, red: CoreRedProcess<Bytes>) -> oneshot::Receiver<Waited>;
}

/// A request that is being executed.
pub struct Call {
    pub(crate) home: Arc<dyn CallHome>,
    pub(crate) id: CallId,
    pub(crate) body: Bytes,
}

impl Call {
    /// The identity of the call, the same each time it is sent.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// The identity as people read it: `caller/i3/42`.
    #[must_use]
    pub fn id_text(&self) -> String {
        self.home.id_text(self.id)
    }

    /// The alias that calls.
    #[must_use]
    pub fn source(&self) -> String {
        self.home.source_name(self.id)
    }

    /// What is asked.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// What is asked, as text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&self) -> Result<&str> {
        std::str::from_utf8(&self.body).map_err(|_| Error::NotText)
    }

    /// The service's own state as of the last commit.
    #[must_use]
    pub fn area(&self) -> &Area {
        self.home.area()
    }

    /// Atomic mode: what the closure changes in the stable area and the reply it returns become durable together,
    /// and the reply is sent once they are. If the closure fails, nothing is changed and the failure is the
    /// registered outcome. So the call is never in doubt.
    ///
    /// The closure runs on the area's writer, one after another with those of other calls. It may be run again,
    /// so it must depend on nothing but the area and what it captured.
    ///
    /// # Errors
    /// The closure's own error, registered as the outcome; or the process is fenced.
    pub async fn commit<F>(&self, mut run: F) -> Result<Reply>
    where
        F: FnMut(&mut AreaTxn<'_>) -> Result<Reply> + Send + 'static,
    {
        let run: AtomicClosure = Box::new(move |store| outcome_of(run(&mut AreaTxn::new(store))));
        match self.home.atomic(self.id, run).await {
            Ok(Some(outcome)) => result_of(outcome).map_err(Error::Failed),
            Ok(None) | Err(_) => Err(Error::Ended),
        }
    }

    /// Notifies the roll-forward point: it is durable before this returns, and from then on a re-sent request is
    /// never executed again by itself (patent, Fig 13).
    ///
    /// # Errors
    /// If the process is fenced.
    #[doc(alias = "PA_blockRequest")]
    pub async fn block_request(&self) -> Result<()> {
        self.home.block(self.id).await.map(|_| ()).map_err(|_| Error::Ended)
    }

    /// Registers what is done when the request comes again; it is durable before this returns. With
    /// [`RedProcess::AutoReply`] that reply has been sent then, too.
    ///
    /// # Errors
    /// If the process is fenced.
    #[doc(alias = "PA_setRedProcess")]
    pub async fn set_red_process(&self, red: RedProcess) -> Result<()> {
        self.home.set_red_process(self.id, red.into()).await.map(|_| ()).map_err(|_| Error::Ended)
    }
}
