//! The server side of one alias: recognises redundantly sent requests, holds what is being executed, and lets
//! nothing out before it is stable.

mod admit;
mod cancel;
mod machine;
mod marks;
mod open;
mod relaying;
mod ring;
mod rollback;
mod takeover;
mod view;

pub use machine::{Counts, Phase, Server, Settings};
pub use view::{CallState, CallView};

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::ids::{AliasId, CallId, Incarnation, Mark, SlotKey};
use crate::message::{CancelEnd, Outcome, Refusal, Request};
use crate::redundancy::{RedProcess, Row};
use crate::relay::{Given, Journaled, News, Policy, Position, Served, Step, Substitute};
use crate::resend::{Pending, Rejection};

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
    /// Execute the request again; a relay over its journal.
    Rerun,
    /// Have everything undone that was called on its behalf; if the request comes again, it is performed from the
    /// beginning.
    RollBack,
}

/// What happens to a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input<B> {
    /// This member may serve from now on, in this incarnation; these rows were blocked when the area was
    /// opened. They must be recovered; the shell reports `recovered` to the FTM once none is undecided.
    Promoted {
        /// The incarnation under which everything is committed from now on.
        incarnation: Incarnation,
        /// The rows in state blocked or relaying, with their places.
        blocked: Vec<(SlotKey, Row<B>)>,
        /// The journal of relays.
        journal: Vec<Journaled<B>>,
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
    /// A caller cancels a call: undo it if it was executed, and refuse it from now on.
    Cancel {
        /// Who wants to know how that ended.
        asker: Asker,
        /// The request that is cancelled.
        request: Request<B>,
        /// The digest of its body.
        digest: u128,
    },
    /// The service's `undo` ended.
    Undone {
        /// Which call.
        id: CallId,
        /// Whether everything is undone; else why not, in words.
        result: Result<(), B>,
    },
    /// The service's `undo` asks for atomic mode: the shell holds a closure for this call, and runs it inside the commit
    /// that makes the cancellation durable.
    UndoAtomic {
        /// Which call.
        id: CallId,
    },
    /// The commit that cancelled this call is stable. A failure is that of the closure of its `undo`: nothing was
    /// changed.
    StableCancelled {
        /// Which call.
        id: CallId,
        /// The closure's outcome, if there was one.
        outcome: Option<Outcome<B>>,
    },
    /// The commit that began to undo this call is stable.
    StableUndoing {
        /// Which call.
        id: CallId,
    },
    /// A source alias tells its mark.
    Mark {
        /// Whose mark.
        source: AliasId,
        /// The mark.
        mark: Mark,
    },
    /// The handler of this call says what a takeover shall do with its transaction.
    SetPolicy {
        /// Which call.
        id: CallId,
        /// The policy.
        policy: Policy,
    },
    /// The handler of this call calls on. Answered by [`Effect::Give`].
    CallOn {
        /// The call that is served.
        id: CallId,
        /// Where in the handler.
        position: Position,
        /// The alias that is called.
        target: AliasId,
        /// What is asked.
        body: B,
        /// The digest of that.
        digest: u128,
    },
    /// The answer to [`Effect::Allot`].
    Allotted {
        /// The call that is served.
        id: CallId,
        /// Where in its handler.
        position: Position,
        /// The call on with its id, or why it can't be made now.
        call: Result<Pending<B>, Rejection>,
    },
    /// The commit that put a call on into the journal is stable.
    StableCall {
        /// Which call on.
        id: CallId,
    },
    /// Something became of a call on.
    News {
        /// Which call on.
        id: CallId,
        /// What.
        news: News<B>,
    },
    /// The answer to [`Effect::AskSubstitute`].
    Substituted {
        /// The call that is served.
        id: CallId,
        /// Where in its handler.
        position: Position,
        /// What takes the place of the call on there, if anything does.
        by: Option<Substitute<B>>,
    },
    /// The commit that turned a transaction back is stable.
    StableCourse {
        /// The call that is served.
        id: CallId,
    },
    /// The commit that closed the journal of a transaction is stable; with `rolled_back` it forgot the call, too.
    Closed {
        /// The call that is served.
        id: CallId,
        /// Whether the call itself was forgotten.
        rolled_back: bool,
    },
    /// This connection is gone; nobody waits there any more.
    AskerGone {
        /// Which one.
        asker: Asker,
    },
    /// These source aliases exist no longer: what they left behind is dropped (R24). If one comes back, it is heard from its
    /// next incarnation on; what it sent before stays refused, because nobody knows any more what was executed of it.
    AliasesGone {
        /// Which ones, and the last incarnation that each had.
        aliases: Vec<(AliasId, Incarnation)>,
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
        /// What becomes of a failure of the closure.
        failure: OnFailure,
    },
    /// Run the closure that the shell holds for the `undo` of this call over the service's own state, and put a row that
    /// says it is cancelled; if the closure fails, change nothing.
    AtomicUndo {
        /// Where the row lies.
        key: SlotKey,
        /// Whose closure.
        id: CallId,
        /// The digest for the row.
        digest: u128,
    },
    /// Forget the row that lies here.
    DropRow {
        /// Where.
        key: SlotKey,
    },
    /// Put a row of the journal of relays, over what it has at the same position.
    PutJournal {
        /// The row. Larger than all other writes, and few calls have one, so it lies apart.
        row: Box<Journaled<B>>,
    },
    /// Drop all rows of the journal for a call that is served. After an `Atomic` or `AtomicUndo` write in the same commit
    /// whose closure failed and changed nothing, it does nothing either.
    CloseJournal {
        /// Which call.
        served: Served,
    },
    /// Remember the mark of a source alias, unless a higher one is known, and drop the sessions below it, and of its own
    /// session the blocked rows below it. All other rows there lie in a ring until their slots are used again.
    PutMark {
        /// Whose mark.
        source: AliasId,
        /// The mark.
        mark: Mark,
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
        /// What waits for it, if anything does.
        then: Option<Then>,
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
    /// Nothing follows from what the handler of this call has just asked for (its roll-forward point, a registration,
    /// atomic mode): the call has something registered already, is being undone, or waits for calls on.
    Over {
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
    /// Give a call on an id and a slot, without sending it; answered by [`Input::Allotted`].
    Allot {
        /// The call that is served.
        id: CallId,
        /// Where in its handler.
        position: Position,
        /// The alias that is called.
        target: AliasId,
        /// What is asked.
        body: B,
    },
    /// Send a call on: the journal holds it.
    SendOn {
        /// Which call on.
        id: CallId,
    },
    /// Cancel a call on; [`Input::News`] tells how that ended.
    CancelOn {
        /// Which call on.
        id: CallId,
    },
    /// The journal holds these calls on no more: they are done.
    Settle {
        /// Which calls on.
        ids: Vec<CallId>,
    },
    /// Give the handler what it waits for at a position.
    Give {
        /// The call that is served.
        id: CallId,
        /// Where in its handler.
        position: Position,
        /// What it is given.
        given: Given<B>,
    },
    /// Ask the service whether another call shall take the place of one that was not answered.
    AskSubstitute {
        /// The call that is served.
        id: CallId,
        /// What was asked of it.
        request: B,
        /// Where in its handler.
        position: Position,
        /// The alias that was called.
        target: AliasId,
        /// What was asked there.
        body: B,
    },
    /// Have the service undo a call that was executed; answered by [`Input::Undone`] or [`Input::UndoAtomic`].
    Undo {
        /// Which call.
        id: CallId,
        /// What was asked.
        request: B,
        /// What it registered.
        red: RedProcess<B>,
        /// Whether calls were made on its behalf, all of which are undone.
        relayed: bool,
        /// Whether a former `undo` may have been interrupted by a death.
        interrupted: bool,
    },
    /// Tell how a cancellation ended.
    AnswerCancel {
        /// To whom.
        asker: Asker,
        /// Of which call.
        id: CallId,
        /// How.
        end: CancelEnd<B>,
    },
    /// Every call that was blocked at the promotion has been decided or is held in doubt: the member is ready
    /// for the mark of service (R10).
    Ready,
    /// Something to tell the operator; never needed for correctness.
    Note(Note<B>),
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
    /// Feed [`Input::StableCall`].
    StableCall {
        /// Which call on.
        id: CallId,
    },
    /// Feed [`Input::StableCourse`].
    StableCourse {
        /// The call that is served.
        id: CallId,
    },
    /// Feed [`Input::StableUndoing`].
    StableUndoing {
        /// Which call.
        id: CallId,
    },
    /// Feed [`Input::StableCancelled`] with the outcome of the closure, if there was one.
    StableCancelled {
        /// Which call.
        id: CallId,
    },
    /// Feed [`Input::Closed`].
    Closed {
        /// The call that is served.
        id: CallId,
        /// Whether the call itself was forgotten.
        rolled_back: bool,
    },
}

/// What becomes of a failure of a closure in atomic mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnFailure {
    /// It is registered as the outcome.
    Register,
    /// Nothing is written, but a mark in the same commit is: calls were made on behalf of this one, and must be undone
    /// before it may fail.
    Nothing,
}

/// What an operator may want to see.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note<B> {
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
    /// Something happened in a relay's transaction.
    Relay {
        /// The call that is served.
        id: CallId,
        /// What.
        step: Step<B>,
    },
    /// A call was cancelled: that is durable.
    Cancelled {
        /// Which call.
        id: CallId,
        /// Whether it had been executed and was undone.
        undone: bool,
    },
    /// The service begins to undo a call.
    Undoing {
        /// Which call.
        id: CallId,
        /// Whether a former `undo` may have been interrupted by a death.
        interrupted: bool,
    },
}
