//! The closed set of messages that callers and servers exchange.
//!
//! Bodies are a type parameter: real processes use reference-counted bytes, models a small number.

use crate::ids::{AliasId, CallId, Incarnation, Mark};

/// A request as it goes from a caller to the member in service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request<B> {
    /// The identity of the call, the same at each sending.
    pub id: CallId,
    /// The incarnation of the source alias in which the call was first sent. For ids in the form
    /// `{srcAlias, incarnation, transId}` it repeats the origin; for the other form it orders the sessions.
    pub born: Incarnation,
    /// The alias that is called.
    pub target: AliasId,
    /// Below this all calls of the source alias are done.
    pub mark: Mark,
    /// How often this caller has sent the request before; 0 at the first sending.
    pub attempt: u32,
    /// Whether the caller may still cancel the call when it has its outcome, as long as it is not below the mark: it is
    /// made on behalf of another one. A relay then keeps what it called, to have that undone, too.
    pub cancellable: bool,
    /// What is asked.
    pub body: B,
}

/// The one true reply to a call, as durable as the table it lies in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome<B> {
    /// The service answered.
    Reply(B),
    /// The service answered with an error of its own; nothing of its state changed. It is registered like a
    /// reply, so that a re-sent request gets the same error and not a second try.
    Failed(B),
}

/// Why a request gets no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// This member is not in service (any more): the caller asks the PAM again (R9).
    NotInService,
    /// The call lies below its caller's mark, or its slot was used for a later call: it was done before and is
    /// never executed again (R24).
    Stale,
    /// The same id came with another body. The first body counts; the caller has a defect.
    DifferentBody,
    /// The call is further ahead of the calls still open in its session than the window allows.
    WindowExceeded,
    /// The call was cancelled before it came.
    Cancelled,
    /// The body is larger than the stated limit.
    TooLarge,
    /// The sender's certificate does not name the source alias.
    NotYourAlias,
    /// The alias called is not served here at all.
    UnknownAlias,
    /// The member has as many requests in hand, or as much to send to this caller, as its stated limits allow: the
    /// caller comes again.
    Busy,
}

/// How a cancellation ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CancelEnd<B> {
    /// The call has no effect, and is refused from now on.
    Cancelled {
        /// Whether it had been executed and was undone; false if it had never had an effect.
        undone: bool,
    },
    /// The call was executed and can't be undone; why, in words.
    NotUndone(B),
}

/// A message between two processes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Message<B> {
    /// A call, first sent or re-sent.
    Request(Request<B>),
    /// The outcome of a call.
    Answer {
        /// Which call.
        id: CallId,
        /// Its outcome.
        outcome: Outcome<B>,
        /// True if the request was recognised as redundantly sent and the outcome comes from the table.
        redundant: bool,
    },
    /// A request, or a cancellation, that gets no outcome here.
    Refused {
        /// Which call.
        id: CallId,
        /// Why.
        refusal: Refusal,
    },
    /// Undo this call if it was executed, and refuse it from now on (claim 28). It is the request itself, so that the
    /// service can see what it has to undo.
    Cancel(Request<B>),
    /// How a cancellation ended.
    CancelEnded {
        /// Which call.
        id: CallId,
        /// How.
        end: CancelEnd<B>,
    },
    /// All calls of a source alias below this mark are done: said when no request says it soon.
    Mark {
        /// Whose mark.
        source: AliasId,
        /// The alias that is told.
        target: AliasId,
        /// The mark.
        mark: Mark,
    },
}

impl<B> Message<B> {
    /// The call it is about; none if it is about all of an alias.
    #[must_use]
    pub const fn id(&self) -> Option<CallId> {
        match self {
            Self::Request(request) | Self::Cancel(request) => Some(request.id),
            Self::Answer { id, .. } | Self::Refused { id, .. } | Self::CancelEnded { id, .. } => Some(*id),
            Self::Mark { .. } => None,
        }
    }
}
