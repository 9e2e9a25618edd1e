//! The redundancy table: what is known of the calls that were received (patent: the redundantly sent message
//! process table; elsewhere: deduplication table, completion records).

use crate::ids::CallId;
use crate::message::Outcome;
use crate::relay::{Course, Policy};

/// How many calls of one session may be open at once: the slots of a session's ring.
pub const WINDOW: u32 = 1024;

/// What is done when a request with a registered id comes again (patent, Fig 13).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RedProcess<B> {
    /// Send the registered outcome, byte for byte (AUTO_REPLY; claims 15 and 19).
    AutoReply(Outcome<B>),
    /// Call the service's handler with this index and this stored argument, and send what it returns
    /// (REDUNDANT_MESSAGE_HANDLER; claims 16, 20 and 21).
    Handler {
        /// Which of the service's array of handlers.
        index: u16,
        /// The argument that is stored for it.
        arg: B,
    },
}

/// The durable state of a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RowState<B> {
    /// The roll-forward point was notified, no outcome is registered. If the owner died in this state, the
    /// call is in doubt. The request is kept, for `recover` and for an operator's order to run it again.
    Blocked {
        /// The body of the request.
        request: B,
    },
    /// Calls were made on its behalf, and no outcome is registered (the patent's flag `processing`). The owner's
    /// successor goes on with it as the policy says.
    Relaying {
        /// The body of the request.
        request: B,
        /// What a takeover does with it.
        policy: Policy,
        /// Which way it goes.
        course: Course<B>,
        /// Whether its caller may cancel it when it has its outcome.
        cancellable: bool,
    },
    /// The outcome is registered (of a relay: the patent's flag `completed`).
    Registered(RedProcess<B>),
    /// Its caller cancelled it after it was executed, and it is being undone.
    Undoing(RedProcess<B>),
    /// It was cancelled: it has no effect, and is refused.
    Cancelled {
        /// Whether it had been executed and was undone.
        undone: bool,
    },
}

/// A row of the redundancy table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row<B> {
    /// Whose row it is. The slot alone does not tell: slots are used again.
    pub id: CallId,
    /// The digest of the request's body; the same id with another digest is refused.
    pub digest: u128,
    /// What is known of the call.
    pub state: RowState<B>,
}
