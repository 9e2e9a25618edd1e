//! The server side of one alias: recognises redundantly sent requests, holds what is being executed, and lets
//! nothing out before it is stable.

mod admit;
mod machine;
mod open;
mod ring;
mod view;

pub use machine::{Counts, Phase, Server, Settings};
pub use view::{CallState, CallView};

use alloc::vec::Vec;

use crate::ids::{AliasId, CallId, Incarnation, Mark, SlotKey};
use crate::message::{Outcome, Refusal, Request};
use crate::redundancy::{RedProcess, Row};

/// Where an answer goes: the number the shell gave to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asker(pub u64);

/// What the service says of a call that was blocked when its executor died (R23).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Recovery<B> {
    /// It was executed, and this is its outcome.
    Completed(Outcome<B>),
    /// It was not executed: run it.
    NotExecuted,
    /// The service cannot tell. The call stays held until an operator resolves it.
    Unknown,
}

/// What an operator decides about a call in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resolution<B> {
    /// Register this outcome (a reply, or a failure).
    Outcome(Outcome<B>),
    /// Execute the request again.
    Rerun,
}

/// What happens to a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<B> {
    /// This member may serve from now on, in this incarnation; these rows were blocked when the area was
    /// opened. They must be recovered; the shell reports `recovered` to the FTM once none is undecided.
    Promoted {
        /// The incarnation under which everything is committed from now on.
        incarnation: Incarnation,
        /// The rows in state blocked, with their places.
        blocked: Vec<(SlotKey, Row<B>)>,
    },
    /// A request came in.
    Request {
        /// Who wants the answer.
        asker: Asker,
        /// The request.
        request: Request<B>,
        /// The digest of its body.
        digest: u128,
    },
    /// The answer to [`Effect::Load`].
    Loaded {
        /// The place that was asked for.
        key: SlotKey,
        /// What lies there.
        row: Option<Row<B>>,
        /// The durable mark of the session's source alias.
        mark: Option<Mark>,
    },
    /// The handler of this call reached its roll-forward point (PA_blockRequest). Answered by
    /// [`Effect::Resume`] once that is stable.
    BlockRequest {
        /// Which call.
        id: CallId,
    },
    /// The handler registers what is done with a redundant request from now on (PA_setRedProcess). With
    /// `AutoReply` that is the outcome too, and is sent once it is stable.
    SetRedProcess {
        /// Which call.
        id: CallId,
        /// What is registered.
        red: RedProcess<B>,
    },
    /// The handler returned. If a redundant-message handler is registered, the outcome is sent and not kept. If
    /// nothing is registered yet, the outcome is registered as an automatic reply first.
    Returned {
        /// Which call.
        id: CallId,
        /// What it returned.
        outcome: Outcome<B>,
    },
    /// The handler asks for atomic mode: the shell holds a closure for this call, and runs it inside the commit.
    Atomic {
        /// Which call.
        id: CallId,
    },
    /// The commit in which this call's row was registered is stable.
    Stable {
        /// Which call.
        id: CallId,
        /// Its outcome, for atomic mode known only now; none if a redundant-message handler is registered.
        outcome: Option<Outcome<B>>,
    },
    /// The commit that blocked this call is stable.
    StableBlock {
        /// Which call.
        id: CallId,
    },
    /// A redundant-message handler has answered a redundant request.
    HandlerAnswered {
        /// Which call.
        id: CallId,
        /// Its outcome.
        outcome: Outcome<B>,
    },
    /// The service's `recover` has answered.
    Recovered {
        /// Which call.
        id: CallId,
        /// What it said.
        recovery: Recovery<B>,
    },
    /// An operator decides about a call in doubt.
    Resolve {
        /// Which call.
        id: CallId,
        /// The decision.
        resolution: Resolution<B>,
    },
    /// The handler ended without an outcome (it panicked, or was dropped). Before its roll-forward point nothing
    /// happened, so the failure is registered as the outcome; after it the call is recovered as after a death.
    Abandoned {
        /// Which call.
        id: CallId,
        /// The text of the failure.
        failure: B,
    },
    /// This connection is gone; nobody waits there any more.
    AskerGone {
        /// Which one.
        asker: Asker,
    },
    /// These source aliases exist no longer: what they left behind is dropped (R24).
    AliasesGone {
        /// Which ones.
        aliases: Vec<AliasId>,
    },
    /// Another member is in service, or this one's commit was refused: nothing more is committed or answered.
    Fenced,
}

/// A change of the stable area. All writes of one [`Effect::Commit`] become durable together or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Write<B> {
    /// Put a row, over whatever lies in its slot.
    PutRow {
        /// Where.
        key: SlotKey,
        /// What.
        row: Row<B>,
    },
    /// Run the closure that the shell holds for this call over the service's own state, and put a row with the
    /// outcome it returns; if it fails, drop what it changed and put a row with the failure (R22).
    Atomic {
        /// Where the row goes.
        key: SlotKey,
        /// Whose closure.
        id: CallId,
        /// The digest for the row.
        digest: u128,
    },
    /// Remember the mark of a source alias, and drop the sessions and rows that lie below it.
    PutMark {
        /// Whose mark.
        source: AliasId,
        /// The mark.
        mark: Mark,
    },
    /// Drop all rows and marks of this source alias.
    DropSource {
        /// Whose.
        source: AliasId,
    },
}

/// What the shell must do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect<B> {
    /// Make `writes` durable if the incarnation still holds, and only then do `then`. A commit that is refused
    /// or fails ends the process.
    Commit {
        /// The incarnation that must still be the alias's.
        incarnation: Incarnation,
        /// What is written.
        writes: Vec<Write<B>>,
        /// What waits for it.
        then: Vec<Then>,
    },
    /// Read a row and its source's mark from the stable area, as of a commit that holds at least what was
    /// reported stable so far; answered by [`Input::Loaded`].
    Load {
        /// Which place.
        key: SlotKey,
    },
    /// Run the service for this request. The id has never been executed.
    Execute {
        /// Which call.
        id: CallId,
        /// What is asked.
        body: B,
    },
    /// Call the service's redundant-message handler for a redundant request.
    CallHandler {
        /// Which call.
        id: CallId,
        /// Which handler.
        index: u16,
        /// Its stored argument.
        arg: B,
        /// The body of the request that came again.
        request: B,
    },
    /// Ask the service's `recover` about a call that was blocked when its executor died.
    Recover {
        /// Which call.
        id: CallId,
        /// What was asked.
        request: B,
    },
    /// Let the handler of this call go on: its roll-forward point is stable, or what it registered with
    /// `set_red_process`.
    Resume {
        /// Which call.
        id: CallId,
    },
    /// Send an outcome that is stable.
    Answer {
        /// To whom.
        asker: Asker,
        /// Of which call.
        id: CallId,
        /// The outcome.
        outcome: Outcome<B>,
        /// True if it comes from the table or was waited for.
        redundant: bool,
    },
    /// Refuse a request.
    Refuse {
        /// To whom.
        asker: Asker,
        /// Which call.
        id: CallId,
        /// Why.
        refusal: Refusal,
    },
    /// Every call that was blocked at the promotion has been decided or is held in doubt: the member is ready
    /// for the mark of service (R10).
    Ready,
    /// Something to tell the operator; never needed for correctness.
    Note(Note),
}

/// What waits inside a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Then {
    /// Feed [`Input::StableBlock`].
    StableBlock {
        /// Which call.
        id: CallId,
    },
    /// Feed [`Input::Stable`] with the outcome that was committed; the machine then answers all who wait.
    Stable {
        /// Which call.
        id: CallId,
    },
}

/// What an operator may want to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// A request was recognised as redundantly sent.
    Redundant {
        /// Which call.
        id: CallId,
    },
    /// A request came while its call is being executed or blocked, and is held.
    Held {
        /// Which call.
        id: CallId,
    },
    /// A call is in doubt: only an operator can resolve it.
    InDoubt {
        /// Which call.
        id: CallId,
    },
    /// A straggler below the mark was refused.
    Stale {
        /// Which call.
        id: CallId,
    },
}
