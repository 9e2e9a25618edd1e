//! What a handler holds: the call it executes.

use std::future::Future;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId};
use palib_core::message::Outcome;
use palib_core::redundancy::RedProcess as CoreRedProcess;
use palib_core::relay::{Given, Position};
use tokio::sync::oneshot;

use crate::area::AreaTxn;
use crate::branch::{Branch, Run};
use crate::service::{outcome_of, result_of};
use crate::stable::AtomicClosure;
use crate::{Area, Error, Policy, RedProcess, Reply, Result};

/// What a waiting handler is told once its commit is stable.
pub(crate) type Waited = Option<Outcome<Bytes>>;

/// Where a call's requests go: the server side of its alias.
pub(crate) trait CallHome: Send + Sync {
    fn area(&self) -> &Area;
    fn source_name(&self, id: CallId) -> String;
    fn id_text(&self, id: CallId) -> String;
    /// Target and message as people read them.
    fn message_text(&self, message: &(AliasId, Bytes)) -> String;
    fn atomic(&self, run: Run, closure: AtomicClosure) -> oneshot::Receiver<Waited>;
    fn block(&self, run: Run) -> oneshot::Receiver<Waited>;
    fn set_red_process(&self, run: Run, red: CoreRedProcess<Bytes>) -> oneshot::Receiver<Waited>;
    fn set_policy(&self, run: Run, policy: Policy);
    /// Calls on. The receiver fails if the run is over.
    fn call_on(
        &self,
        run: Run,
        position: &Position,
        target: &str,
        body: Bytes,
    ) -> Result<oneshot::Receiver<Given<Bytes>>>;
}

/// A request that is being executed.
pub struct Call {
    pub(crate) root: Branch,
    pub(crate) body: Bytes,
}

impl Call {
    /// The identity of the call, the same each time it is sent.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.root.run.id
    }

    /// The identity as people read it: `caller/i3/42`.
    #[must_use]
    pub fn id_text(&self) -> String {
        self.root.home.id_text(self.id())
    }

    /// The alias that calls.
    #[must_use]
    pub fn source(&self) -> String {
        self.root.home.source_name(self.id())
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
        self.root.home.area()
    }

    /// Atomic mode: what the closure changes in the stable area and the reply it returns become durable together,
    /// and the reply is sent once they are. If the closure fails, nothing is changed and the failure is the
    /// registered outcome. So the call is never in doubt.
    ///
    /// The closure runs on the area's writer, one after another with those of other calls. It may be run again,
    /// so it must depend on nothing but the area and what it captured.
    ///
    /// # Errors
    /// The closure's own error, registered as the outcome; also that the reply is over the limit of a body. Or
    /// [`Error::CallOver`], with nothing changed.
    pub async fn commit<F>(&self, mut run: F) -> Result<Reply>
    where
        F: FnMut(&mut AreaTxn<'_>) -> Result<Reply> + Send + 'static,
    {
        let run: AtomicClosure = Box::new(move |store| outcome_of(run(&mut AreaTxn::new(store))));
        match self.root.home.atomic(self.root.run, run).await {
            Ok(Some(outcome)) => result_of(outcome).map_err(Error::Failed),
            Ok(None) | Err(_) => Err(self.over()),
        }
    }

    /// Notifies the roll-forward point: it is durable before this returns, and from then on a re-sent request is
    /// never executed again by itself (patent, Fig 13).
    ///
    /// # Errors
    /// [`Error::CallOver`], if it has an outcome or a handler registered already, or is being undone.
    #[doc(alias = "PA_blockRequest")]
    pub async fn block_request(&self) -> Result<()> {
        self.root.home.block(self.root.run).await.map(|_| ()).map_err(|_| self.over())
    }

    /// Registers what is done when the request comes again; it is durable before this returns. With
    /// [`RedProcess::AutoReply`] that reply has been sent then, too.
    ///
    /// # Errors
    /// [`Error::BodyTooLarge`], and nothing is registered. [`Error::CallOver`], if it has its outcome already, is being
    /// undone, or waits for calls on.
    #[doc(alias = "PA_setRedProcess")]
    pub async fn set_red_process(&self, red: RedProcess) -> Result<()> {
        let red = CoreRedProcess::try_from(red)?;
        self.root.home.set_red_process(self.root.run, red).await.map(|_| ()).map_err(|_| self.over())
    }

    fn over(&self) -> Error {
        Error::CallOver(self.id_text())
    }

    /// Calls on, on behalf of this call (patent, Figs 14 to 18), and waits for the answer. The call is in the journal,
    /// durably, before it is sent; so a backup that takes over runs the handler again and gets the same answer here
    /// without a second call. For that the handler must ask for the same calls at the same positions in every run: it
    /// must depend on nothing but the request and the answers it got.
    ///
    /// The position is taken when this is called, not when it is polled: so `join!(call.relay(a), call.relay(b))` makes
    /// the same two calls in every run. Nothing is sent before the future is polled. Parts that run at once and make
    /// several calls each need a [`Self::branch`].
    ///
    /// If the handler returns an error, everything that was called is cancelled, the last call first, before the error is
    /// registered. If it returns a reply, calls that are unanswered then are cancelled. What was answered by then stands,
    /// also if the handler did not look at the answer: of two calls in a `select!` both may have their effect.
    ///
    /// An alias has at most [`WINDOW`](crate::limits::WINDOW) calls open at once. While all places are taken this waits
    /// for up to 10 s for one.
    ///
    /// # Errors
    /// [`Error::Failed`] with the called service's own error; a handler usually returns it with `?`. Also one that says
    /// that the call was refused or could not be made, that a former run made another call at this position, or that
    /// this call is over or is being undone. [`Error::UnknownAlias`] and [`Error::BodyTooLarge`] before anything was
    /// sent.
    pub fn relay<B: Into<Bytes>>(
        &self,
        target: &str,
        body: B,
    ) -> impl Future<Output = Result<Reply>> + Send + use<B> {
        self.root.relay(target, body)
    }

    /// A part of the handler that numbers its own calls on. It takes one position when this is called.
    #[must_use]
    pub fn branch(&self) -> Branch {
        self.root.branch()
    }

    /// Says what a takeover does with this call and what was called on its behalf, if it finds it half done; else the
    /// setting of the alias counts. Cheapest before the first call on: after it the new policy costs a commit.
    pub fn on_takeover(&self, policy: Policy) {
        self.root.home.set_policy(self.root.run, policy);
    }
}
