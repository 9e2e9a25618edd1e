//! What can go wrong for a user of the library.

use palib_core::message::Refusal;
use palib_core::resend::Rejection;

use crate::stable::AreaError;

/// A result of this library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, and what the caller can do.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The process was not started by an FTM, or its ticket can't be read.
    #[error(
        "can't join a cluster: {0}. Start this program from a cluster file (command = [...]), with `palib up FILE`"
    )]
    Ticket(String),
    /// The network or a certificate.
    #[error("{0}")]
    Link(String),
    /// The stable area.
    #[error(transparent)]
    Area(#[from] AreaError),
    /// The service answered with an error of its own. It is the one true answer: the call is not tried again.
    #[error("{0}")]
    Failed(String),
    /// The request was refused and will never be executed.
    #[error("call {id} was refused: {why}", why = refusal_text(*refusal))]
    Refused {
        /// The id of the call.
        id: String,
        /// Why.
        refusal: Refusal,
    },
    /// The deadline passed; the outcome is unknown. Ask again with [`Client::outcome`](crate::Client::outcome).
    #[error(
        "call {id} has no outcome yet: its deadline has passed. It is still under way; ask again by its id"
    )]
    DeadlinePassed {
        /// The id of the call.
        id: String,
    },
    /// The call could not be made now; nothing was sent.
    #[error("the call was not made: {}", rejection_text(*.0))]
    Rejected(Rejection),
    /// The body is over the limit.
    #[error("a body of {bytes} bytes is over the limit of {max} bytes")]
    BodyTooLarge {
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// There is no alias of this name.
    #[error("no alias {0:?} in this cluster; `palib aliases` lists them")]
    UnknownAlias(String),
    /// This process is no member of the alias.
    #[error("this process is no member of alias {0:?}; its cluster file decides that")]
    NotMember(String),
    /// No such call is pending here.
    #[error("no call {0} is pending here: it was consumed, or never made")]
    UnknownCall(String),
    /// The outcome of a call goes to one who waits for it.
    #[error("call {0} is waited for in this process already, and its outcome goes there")]
    Awaited(String),
    /// Nothing more can be registered for a call that is executed here.
    #[error(
        "call {0} takes nothing more from its handler: it has something registered already, is being undone, waits for \
         calls on, or is just registering something else"
    )]
    CallOver(String),
    /// The body is not UTF-8 text.
    #[error("the body is not UTF-8 text")]
    NotText,
    /// A value could not be encoded or decoded.
    #[error("key {key:?}: {reason}")]
    Codec {
        /// The key of the value.
        key: String,
        /// What was wrong.
        reason: String,
    },
    /// The process was told to end, or is no longer in service.
    #[error("this process was told to end")]
    Ended,
}

impl Error {
    /// An error of a service's own, in words for its caller.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }
}

/// A refusal in words.
#[must_use]
pub fn refusal_text(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotInService => "that member is not in service",
        Refusal::Stale => "it lies below its caller's mark: it was done before",
        Refusal::DifferentBody => "the same id was sent before with another body",
        Refusal::WindowExceeded => "its slot still holds a call that is not done",
        Refusal::Cancelled => "it was cancelled",
        Refusal::TooLarge => "its body is over the limit",
        Refusal::NotYourAlias => "the sender's certificate does not name the source alias",
        Refusal::UnknownAlias => "the alias is not served there",
        Refusal::Busy => "the server has as much in hand as its limits allow",
    }
}

pub(crate) fn rejection_text(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::NotInService => "this process does not call for the alias now",
        Rejection::WindowFull => {
            "every slot of the window holds a call that is not done; consume outcomes first"
        }
        Rejection::TransIdsExhausted => {
            "the grant of transIds is used up; restart the process to get a new one"
        }
    }
}
