//! Calling: from a process that has a source alias in service.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::resend::Pending;

use crate::area::AreaTxn;
use crate::calling::{Arrival, CallSide, Started};
use crate::defect::Point;
use crate::membership::{Commands, Membership};
use crate::process::Shared;
use crate::service::result_of;
use crate::stable::AtomicClosure;
use crate::{Area, Error, Reply, Result};

/// Calls other aliases on behalf of a source alias that this process has in service (R4). Clone it freely.
#[derive(Clone)]
pub struct Client {
    pub(crate) side: Arc<CallSide>,
    pub(crate) membership: Arc<Membership>,
    pub(crate) shared: Arc<Shared>,
}

/// How a call is made.
#[derive(Default)]
pub struct CallOptions {
    deadline: Option<Duration>,
    rider: Option<AtomicClosure>,
}

impl CallOptions {
    /// Stop waiting after so long. The call goes on; [`Client::outcome`] asks for it again (R29).
    #[must_use]
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }

    /// Change the caller's own state in the transaction that puts the call into the outbox. It is ignored for an
    /// alias without an outbox.
    #[must_use]
    pub fn also<F>(mut self, run: F) -> Self
    where
        F: FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static,
    {
        self.rider = Some(rider(run));
        self
    }
}

/// A call that a predecessor left, or that is still under way.
#[derive(Clone, Debug)]
pub struct PendingCall {
    /// The identity of the call.
    pub id: CallId,
    /// The same in words.
    pub id_text: String,
    /// The alias called.
    pub target: String,
    /// What was asked.
    pub body: Bytes,
    /// When it was first asked, on the machine's monotonic clock, in nanoseconds.
    pub invoked_ns: u64,
}

impl Client {
    /// The source alias.
    #[must_use]
    pub fn alias(&self) -> &str {
        &self.side.name
    }

    /// The caller's own state as of the last commit.
    #[must_use]
    pub fn area(&self) -> &Area {
        &self.side.area
    }

    /// Calls an alias, exactly once, whoever dies on the way, and waits for the outcome.
    ///
    /// # Errors
    /// If the call could not be made, or was refused for good. What the service answered, be it an error, is in
    /// [`Done::result`].
    pub async fn call(&self, target: &str, body: impl Into<Bytes>) -> Result<Done> {
        self.call_with(target, body, CallOptions::default()).await
    }

    /// Calls an alias with options.
    ///
    /// # Errors
    /// As [`Self::call`], and [`Error::DeadlinePassed`].
    pub async fn call_with(
        &self,
        target: &str,
        body: impl Into<Bytes>,
        options: CallOptions,
    ) -> Result<Done> {
        let target = self.shared.directory.id(target)?;
        let started = self.side.start(target, body.into(), options.deadline, options.rider)?;
        self.wait(started).await
    }

    /// The calls that are not consumed, oldest first: after a takeover those of the predecessor, which are sent
    /// again already (R27).
    #[must_use]
    pub fn pending(&self) -> Vec<PendingCall> {
        self.side.pending().into_iter().map(|call| self.describe(call)).collect()
    }

    /// Asks again for a pending call by its id, with a limit of time if given.
    ///
    /// # Errors
    /// [`Error::UnknownCall`] if no such call is pending, [`Error::Awaited`] if somebody waits for it already,
    /// [`Error::DeadlinePassed`], or as [`Self::call`].
    pub async fn outcome(&self, id: CallId, deadline: Option<Duration>) -> Result<Done> {
        let started = self.side.again(id, deadline)?;
        self.wait(started).await
    }

    /// Changes the caller's own state in a transaction of its own.
    ///
    /// # Errors
    /// The closure's own error, or the process is fenced.
    pub async fn commit<F>(&self, run: F) -> Result<()>
    where
        F: FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static,
    {
        self.side.pass(Point::BeforeChange);
        self.membership.commit(rider(run)).await?;
        self.side.pass(Point::AfterChange);
        Ok(())
    }

    /// Answers the commands of operators and tests to this alias.
    pub fn on_command<F, Fut>(&self, handler: F)
    where
        F: Fn(String) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String>> + Send + 'static,
    {
        self.membership.set_commands(Commands {
            run: Arc::new(move |command| {
                let answer: Pin<Box<dyn Future<Output = Result<String>> + Send>> = Box::pin(handler(command));
                answer
            }),
        });
    }

    /// Counters that go with each heartbeat.
    pub fn counters(&self, read: impl Fn() -> Vec<(&'static str, u64)> + Send + Sync + 'static) {
        self.membership.set_counters(Arc::new(read));
    }

    fn describe(&self, call: Pending<Bytes>) -> PendingCall {
        PendingCall {
            id: call.id,
            id_text: self.shared.directory.id_text(call.id),
            target: self.shared.directory.name(call.target),
            body: call.body,
            invoked_ns: call.invoked.0,
        }
    }

    async fn wait(&self, started: Started) -> Result<Done> {
        let id_text = || self.shared.directory.id_text(started.id);
        match started.arrival.await {
            Ok(Arrival::Outcome { outcome, returned_ns }) => {
                // What was called before a takeover counts from then: its caller has waited so long.
                self.membership.latency.record(returned_ns.saturating_sub(started.invoked_ns) / 1_000);
                Ok(Done {
                    id: started.id,
                    invoked_ns: started.invoked_ns,
                    returned_ns,
                    outcome: Some(outcome),
                    side: self.side.clone(),
                    shared: self.shared.clone(),
                })
            }
            Ok(Arrival::Refused(refusal)) => {
                let _ = self.side.consume(started.id, None);
                Err(Error::Refused { id: id_text(), refusal })
            }
            Ok(Arrival::DeadlinePassed) => Err(Error::DeadlinePassed { id: id_text() }),
            Err(_) => Err(Error::Ended),
        }
    }
}

/// A call with its outcome. While it is not consumed, a backup that takes over asks for it again; dropping it
/// consumes it.
pub struct Done {
    id: CallId,
    invoked_ns: u64,
    returned_ns: u64,
    outcome: Option<Outcome<Bytes>>,
    side: Arc<CallSide>,
    shared: Arc<Shared>,
}

impl Done {
    /// The identity of the call.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.id
    }

    /// The same in words: `caller/i3/42`.
    #[must_use]
    pub fn id_text(&self) -> String {
        self.shared.directory.id_text(self.id)
    }

    /// When the call was first made, on the machine's monotonic clock, in nanoseconds; a takeover keeps it.
    #[must_use]
    pub fn invoked_ns(&self) -> u64 {
        self.invoked_ns
    }

    /// When its outcome came.
    #[must_use]
    pub fn returned_ns(&self) -> u64 {
        self.returned_ns
    }

    /// What the service answered: a reply, or an error of its own.
    ///
    /// # Errors
    /// The text of the service's own error.
    pub fn result(&self) -> Result<Reply, String> {
        // Only `consume` and `into_reply` take the outcome, and they take `self`.
        self.outcome.clone().map_or_else(|| Err(String::new()), result_of)
    }

    /// Consumes the call: it leaves the outbox in one transaction with what the closure changes of the caller's own
    /// state, and will never be asked again.
    ///
    /// # Errors
    /// The closure's own error (the call is consumed all the same), or the process is fenced.
    pub async fn consume<F>(mut self, run: F) -> Result<()>
    where
        F: FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static,
    {
        self.outcome = None;
        match self.side.consume(self.id, Some(rider(run)))? {
            None => Ok(()),
            Some(told) => match told.await {
                Ok(Some(Outcome::Failed(text))) => Err(Error::failed(String::from_utf8_lossy(&text))),
                Ok(_) => Ok(()),
                Err(_) => Err(Error::Ended),
            },
        }
    }

    /// The reply; the call is consumed.
    ///
    /// # Errors
    /// [`Error::Failed`] with the service's own error.
    pub fn into_reply(mut self) -> Result<Reply> {
        let outcome = self.outcome.take();
        self.side.consume(self.id, None)?;
        outcome.map_or(Err(Error::Ended), |outcome| result_of(outcome).map_err(Error::Failed))
    }
}

impl Drop for Done {
    fn drop(&mut self) {
        if self.outcome.is_some() {
            // If somebody else has consumed it, that was wanted.
            let _ = self.side.consume(self.id, None);
        }
    }
}

pub(crate) fn rider<F>(mut run: F) -> AtomicClosure
where
    F: FnMut(&mut AreaTxn<'_>) -> Result<()> + Send + 'static,
{
    Box::new(move |store| match run(&mut AreaTxn::new(store)) {
        Ok(()) => Outcome::Reply(Bytes::new()),
        Err(error) => Outcome::Failed(Bytes::from(error.to_string())),
    })
}
