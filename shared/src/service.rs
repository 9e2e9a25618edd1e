//! What a user implements: the service (patent: SSC, server specific code).

use std::future::Future;

use bytes::Bytes;
use palib_core::message::Outcome;
use palib_core::redundancy::RedProcess as CoreRedProcess;
use palib_core::server::Recovery as CoreRecovery;

use crate::branch::within_limit;
use crate::limits::BODY_BYTES_MAX;
use crate::{Area, AreaTxn, Call, Error, Reply, Result, Substitute, Unanswered, Undo};

/// What is done when a request with a registered id comes again (patent, Fig 13: PA_setRedProcess).
#[derive(Clone, Debug, PartialEq, Eq)]
#[doc(alias = "PA_setRedProcess")]
pub enum RedProcess {
    /// This reply is sent, byte for byte (AUTO_REPLY; claims 15 and 19).
    AutoReply(Reply),
    /// [`Service::redundant`] is called with this index and this stored argument, and what it returns is sent
    /// (REDUNDANT_MESSAGE_HANDLER; claims 16, 20 and 21).
    Handler {
        /// Which handler of the service's array.
        index: u16,
        /// The argument stored for it.
        arg: Bytes,
    },
}

/// What a service says of a call whose executor died after its roll-forward point and before its outcome was
/// registered.
#[derive(Clone, Debug)]
pub enum Recovery {
    /// It was executed, and this is its outcome.
    Completed(Result<Reply, String>),
    /// It was not executed: it is run now.
    NotExecuted,
    /// The service can't tell. The call is held until an operator resolves it; nothing is guessed.
    Unknown,
}

/// A call in doubt: what [`Service::recover`] has to go by.
#[derive(Clone, Debug)]
pub struct InDoubt {
    /// The id of the call, as `alias/origin/transId`.
    pub id_text: String,
    /// What was asked.
    pub body: Bytes,
}

/// A service behind a port alias. An `async fn(Call) -> Result<Reply>` is one.
pub trait Service: Send + Sync + 'static {
    /// Executes a request. It is called again for one id only if the execution before ended without an outcome: it died
    /// before its roll-forward point, or [`Self::recover`] or an operator says that it was not executed; and if the call
    /// is a relay's, because its backup goes on with what was called, or everything that was called is undone.
    ///
    /// # Errors
    /// An error is the outcome, too, and is registered like a reply. So is a panic before the roll-forward point, and a
    /// reply of more than [`BODY_BYTES_MAX`] bytes, which could not be sent.
    fn handle(&self, call: Call) -> impl Future<Output = Result<Reply>> + Send;

    /// Decides about a call that was blocked ([`Call::block_request`]) when its executor died. If it takes longer than
    /// [`RECOVER_WAIT_MAX`](crate::limits::RECOVER_WAIT_MAX), or panics, nothing is known: while it is waited for nobody
    /// is in service.
    fn recover(&self, call: InDoubt, area: Area) -> impl Future<Output = Recovery> + Send {
        let _ = (call, area);
        async { Recovery::Unknown }
    }

    /// The array of redundant-message handlers: answers a request that came again, from what was stored with it.
    fn redundant(&self, index: u16, arg: Bytes, call: Call) -> impl Future<Output = Result<Reply>> + Send {
        let _ = (arg, call);
        async move { Err(Error::failed(format!("this service has no redundant-message handler {index}"))) }
    }

    /// Undoes a call that was executed, because its caller cancelled it (patent, claim 28). Called again if this process
    /// dies meanwhile or if it failed, so use [`Undo::commit`], or make it idempotent. What was called on behalf of the
    /// call is undone already. By default that was all there is to undo, if anything was called.
    ///
    /// # Errors
    /// If the call can't be undone: the caller's transaction waits for an operator. The call stays half undone until its
    /// undoing is tried again; a request for it is refused.
    fn undo(&self, undo: Undo) -> impl Future<Output = Result<()>> + Send {
        let undone =
            if undo.relayed() { Ok(()) } else { Err(Error::failed("this service can't undo a call")) };
        async { undone }
    }

    /// Decides whether another call takes the place of one that this relay's predecessor made and that has no answer
    /// (patent, claim 26). Asked under [`Policy::Substitute`](crate::Policy::Substitute). By default the same call is
    /// sent again, under its id.
    fn substitute(&self, call: Unanswered) -> impl Future<Output = Option<Substitute>> + Send {
        let _ = call;
        async { None }
    }

    /// Runs in each transaction that registers a reply or a handler outside atomic mode: by
    /// [`Call::set_red_process`], by the reply of a handler that registered nothing, by a recovery or by an operator.
    /// So a service whose effects lie outside the stable area can count them along with their outcomes. `source` is
    /// the alias that called.
    ///
    /// # Errors
    /// An error drops what this has changed, and nothing else.
    fn registered(&self, area: &mut AreaTxn<'_>, source: &str) -> Result<()> {
        let _ = (area, source);
        Ok(())
    }

    /// Called when this process takes the alias over, before the mark of service moves; so it must be quick.
    ///
    /// # Errors
    /// An error makes the promotion fail; another member is tried.
    fn promoted(&self, area: &Area) -> Result<()> {
        let _ = area;
        Ok(())
    }

    /// Answers a command of an operator or a test.
    ///
    /// # Errors
    /// If the service knows no such command.
    fn command(&self, area: &Area, command: &str) -> Result<String> {
        let _ = area;
        Err(Error::failed(format!("this service knows no command {command:?}")))
    }

    /// Counters that go with each heartbeat. What can't be read had better be left out than told as 0: while its process
    /// ends, an area is closed.
    fn counters(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }
}

impl<F, Fut> Service for F
where
    F: Fn(Call) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Reply>> + Send,
{
    fn handle(&self, call: Call) -> impl Future<Output = Result<Reply>> + Send {
        self(call)
    }
}

/// The outcome that is registered for what a service returned. A reply that is too long to be sent is a failure: its
/// caller would wait for it for ever.
pub(crate) fn outcome_of(result: Result<Reply>) -> Outcome<Bytes> {
    match result.and_then(|reply| within_limit(reply.into_bytes())) {
        Ok(body) => Outcome::Reply(body),
        Err(error) => Outcome::Failed(failure_text(error.to_string())),
    }
}

/// The words of a failure as they are registered and sent. What is over the limit of a body is cut off.
pub(crate) fn failure_text(mut text: String) -> Bytes {
    text.truncate(text.floor_char_boundary(BODY_BYTES_MAX));
    Bytes::from(text)
}

/// What a user gets for an outcome.
pub(crate) fn result_of(outcome: Outcome<Bytes>) -> Result<Reply, String> {
    match outcome {
        Outcome::Reply(bytes) => Ok(Reply::from(bytes)),
        Outcome::Failed(bytes) => Err(String::from_utf8_lossy(&bytes).into_owned()),
    }
}

impl TryFrom<RedProcess> for CoreRedProcess<Bytes> {
    type Error = Error;

    fn try_from(red: RedProcess) -> Result<Self> {
        Ok(match red {
            RedProcess::AutoReply(reply) => {
                Self::AutoReply(Outcome::Reply(within_limit(reply.into_bytes())?))
            }
            RedProcess::Handler { index, arg } => Self::Handler { index, arg: within_limit(arg)? },
        })
    }
}

impl From<CoreRedProcess<Bytes>> for RedProcess {
    fn from(red: CoreRedProcess<Bytes>) -> Self {
        match red {
            CoreRedProcess::AutoReply(Outcome::Reply(bytes) | Outcome::Failed(bytes)) => {
                Self::AutoReply(Reply::from(bytes))
            }
            CoreRedProcess::Handler { index, arg } => Self::Handler { index, arg },
        }
    }
}

impl From<Recovery> for CoreRecovery<Bytes> {
    fn from(recovery: Recovery) -> Self {
        match recovery {
            Recovery::Completed(result) => Self::Completed(outcome_of(result.map_err(Error::Failed))),
            Recovery::NotExecuted => Self::NotExecuted,
            Recovery::Unknown => Self::Unknown,
        }
    }
}
