//! The calling side of one source alias: gives ids, keeps hints, sends again, knows what is done.

mod calls;
mod machine;
mod marks;
mod relayed;
mod resends;
mod slots;
mod timers;
mod view;

pub use machine::Caller;
pub use view::{CallState, CallView};

use alloc::vec::Vec;

use crate::ids::{AliasId, CallId, IdForm, Incarnation, Mark, Nanos, PortId, TransId};
use crate::message::{CancelEnd, Outcome, Refusal, Request};
use crate::relay::News;

/// A call that the outbox holds: durable from before it is first sent until its outcome is consumed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pending<B> {
    /// The identity of the call.
    pub id: CallId,
    /// The incarnation in which it was first sent.
    pub born: Incarnation,
    /// The alias that is called.
    pub target: AliasId,
    /// When the user asked for it, on the machine's monotonic clock; kept when a backup takes the call over.
    pub invoked: Nanos,
    /// What is asked.
    pub body: B,
}

/// Who is in service for an alias, as far as this caller knows: a hint (R8).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route {
    /// The incarnation of the member in service. A route with a lower one never replaces one with a higher.
    pub incarnation: Incarnation,
    /// Its port, or none while nobody is in service.
    pub port: Option<PortId>,
}

/// How a source alias forms its ids, and what bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The alias.
    pub source: AliasId,
    /// The form of its ids.
    pub form: IdForm,
    /// Whether calls are kept in the outbox before they are sent. Without it a call dies with its process.
    pub outbox: bool,
    /// Slots in a session's ring: so many calls of one session may be open.
    pub window: u32,
    /// After so long without an answer a request is sent again, although nothing told that it was lost.
    pub resend_after: Nanos,
    /// After so long without a route the PAM is asked again.
    pub inquire_after: Nanos,
    /// A target that no request has told of the risen mark for so long is told by a message of its own.
    pub mark_after: Nanos,
}

/// What happens to a caller.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<B> {
    /// This member calls for the alias from now on. What its predecessor left in the outbox is pending, and is
    /// sent again under its first ids (R27).
    Promoted {
        /// The incarnation of the source alias.
        incarnation: Incarnation,
        /// The port of this process in the source alias.
        port: PortId,
        /// The transId before the first one this member may give (R28).
        trans_base: TransId,
        /// What the outbox holds.
        pending: Vec<Pending<B>>,
        /// What the journal of relays holds. Each is kept until [`Input::Stable`] lets it be sent, or it is cancelled or
        /// settled.
        held: Vec<Pending<B>>,
    },
    /// The user calls.
    Call {
        /// The shell's number for this call, given back in [`Effect::Started`] or [`Effect::Rejected`].
        token: u64,
        /// The alias that is called.
        target: AliasId,
        /// What is asked.
        body: B,
        /// When the user stops waiting, if ever (R29).
        deadline: Option<Nanos>,
    },
    /// A relay calls on: give this call an id and a slot, and send it when [`Input::Stable`] says that the journal
    /// holds it. What becomes of it is told by [`Effect::Relay`]; it takes its slot until [`Input::Settled`].
    Reserve {
        /// The shell's number for this call, given back in [`Effect::Started`] or [`Effect::Rejected`].
        token: u64,
        /// The alias that is called.
        target: AliasId,
        /// What is asked.
        body: B,
    },
    /// A relay wants this call undone, whether it was sent or not.
    Cancel {
        /// Which call.
        id: CallId,
    },
    /// A cancellation ended.
    CancelEnded {
        /// Of which call.
        id: CallId,
        /// How.
        end: CancelEnd<B>,
    },
    /// The journal of a relay holds this call no more: it is done.
    Settled {
        /// Which call.
        id: CallId,
    },
    /// The last change of the outbox for this call is stable. It was put: it may be sent. Or it was dropped: it is
    /// done, and only now may the mark rise above it. (If the mark rose first and the drop were lost with the
    /// process, the next active client would ask again below its own mark and be refused as stale.)
    Stable {
        /// Which call.
        id: CallId,
    },
    /// The PAM's answer to an inquiry, or its push of a changed row.
    Route {
        /// Whose.
        target: AliasId,
        /// The route.
        route: Route,
    },
    /// The connection to this port is gone, or nothing answers there.
    PortGone {
        /// Which port.
        port: PortId,
    },
    /// An outcome came in.
    Answer {
        /// Of which call.
        id: CallId,
        /// The outcome.
        outcome: Outcome<B>,
    },
    /// A refusal came in.
    Refused {
        /// Of which call.
        id: CallId,
        /// From which port.
        port: PortId,
        /// Why.
        refusal: Refusal,
    },
    /// The user waits again for a call whose deadline passed, or that a predecessor made.
    Await {
        /// Which call.
        id: CallId,
        /// Until when.
        deadline: Option<Nanos>,
    },
    /// The user has the outcome and needs the call no more. With an outbox this asks for a commit that drops the
    /// call, and [`Input::Stable`] then makes it done; without one it is done at once.
    Consumed {
        /// Which call.
        id: CallId,
    },
    /// Time has passed.
    Tick,
    /// Another member calls for the alias now: nothing more is sent.
    Fenced,
}

/// A change of the outbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write<B> {
    /// Keep a call.
    Put(Pending<B>),
    /// Forget a call that is done.
    Drop(CallId),
}

/// What the shell must do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<B> {
    /// The call of this token has this id.
    Started {
        /// The shell's number.
        token: u64,
        /// The id.
        id: CallId,
    },
    /// The call of this token can't be made now; nothing was sent.
    Rejected {
        /// The shell's number.
        token: u64,
        /// Why.
        reason: Rejection,
    },
    /// Make a change of the outbox durable, and then feed [`Input::Stable`] for the call.
    Commit {
        /// The incarnation that must still be the source alias's.
        incarnation: Incarnation,
        /// The change.
        write: Write<B>,
    },
    /// Send a request to a port.
    Send {
        /// Where to.
        port: PortId,
        /// The request.
        request: Request<B>,
    },
    /// Send a cancellation to a port.
    SendCancel {
        /// Where to.
        port: PortId,
        /// The request that is cancelled.
        request: Request<B>,
    },
    /// Tell a port the mark of the source alias, as no request has told it for a while.
    SendMark {
        /// Where to.
        port: PortId,
        /// The alias that is told.
        target: AliasId,
        /// The mark.
        mark: Mark,
    },
    /// Tell the relay what became of a call that it reserved.
    Relay {
        /// Which call.
        id: CallId,
        /// What became of it.
        news: News<B>,
    },
    /// Ask the PAM who is in service.
    Inquire {
        /// For which alias.
        target: AliasId,
    },
    /// Give the user the outcome.
    Deliver {
        /// Of which call.
        id: CallId,
        /// The outcome.
        outcome: Outcome<B>,
    },
    /// The call was refused for good: no outcome will come.
    Refused {
        /// Which call.
        id: CallId,
        /// Why.
        refusal: Refusal,
    },
    /// The deadline has passed and the outcome is unknown. The call stays pending and can be awaited again.
    DeadlinePassed {
        /// Which call.
        id: CallId,
    },
    /// Nothing is known of the call that was awaited: it was consumed, or was never made.
    NotPending {
        /// Which call.
        id: CallId,
    },
}

/// Why a call can't be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// This member does not call for the alias: it is a backup, or was fenced.
    NotInService,
    /// Every slot of the window holds a call that is not done.
    WindowFull,
    /// The grant of transIds is used up; the next promotion brings a new one.
    TransIdsExhausted,
}
