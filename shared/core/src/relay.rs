//! Relays: calls that are made on behalf of a call, and the journal that outlives the process that makes them
//! (patent, Figs 14 to 18, claims 23 to 28).
//!
//! The words here: *mes X* is the call that is served, *mes Y* a call made on its behalf. A *transaction* is one mes X
//! with all its mes Y. The journal holds a row for each mes Y, put before it is sent; the flag `processing` is the
//! row of mes X in the redundancy table ([`RowState::Relaying`]), and becomes `completed` by registering the outcome.
//!
//! [`RowState::Relaying`]: crate::redundancy::RowState::Relaying

mod transaction;

pub use transaction::{Back, OnState, Stage, TransactionView};
pub(crate) use transaction::{OnCall, Relays, Transaction};

use alloc::vec::Vec;
use core::fmt;

use crate::ids::{AliasId, CallId, Incarnation, Session, TransId};
use crate::message::{CancelEnd, Outcome, Refusal};
use crate::resend::{Pending, Rejection};

/// How deep branches may lie in one another.
pub const BRANCH_DEPTH_MAX: usize = 8;

/// Where in the handler a call on is made: `2` for its second one, `2.1` for the first one in the branch that has
/// place 2. It is the same in each run of the handler, and so is what the journal is searched by.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub Vec<u16>);

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, place) in self.0.iter().enumerate() {
            if depth > 0 {
                out.write_str(".")?;
            }
            write!(out, "{place}")?;
        }
        Ok(())
    }
}

/// What a takeover does with a transaction that it finds half done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Send again what is unanswered, under its ids, and run the handler again over the journal (claim 24).
    #[default]
    RollForward,
    /// Ask the service about each unanswered call whether another one shall take its place, then roll forward
    /// (claim 26).
    Substitute,
    /// Have everything undone that was called; a request that comes again is performed from the beginning
    /// (claim 28).
    RollBack,
}

/// Which way a transaction goes. To turn back, or to do without some answers, is durable before the first cancellation
/// is sent: the next relay could not go forward with what is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Course<B> {
    /// Forward.
    #[default]
    Forward,
    /// Forward, and the handler is through: what it did not wait for is cancelled, then this reply is registered. Without
    /// it a successor would ask for what is being cancelled.
    Through(B),
    /// Back; then the request is performed from the beginning if it comes again.
    Back,
    /// Back; then this failure is registered as the outcome.
    Failing(B),
}

impl<B> Course<B> {
    /// Whether what was called is to be undone.
    #[must_use]
    pub fn goes_back(&self) -> bool {
        matches!(self, Self::Back | Self::Failing(_))
    }
}

/// The call that is served (mes X), with the incarnation of its source in which it was first sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Served {
    /// Its identity.
    pub id: CallId,
    /// The incarnation it was first sent in.
    pub born: Incarnation,
}

impl Served {
    /// What its rows in the journal are ordered by.
    #[must_use]
    pub fn place(&self) -> (Session, TransId) {
        (Session { source: self.id.source, born: self.born }, self.id.trans)
    }
}

/// A row of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Journaled<B> {
    /// The call that is served (mes X).
    pub served: Served,
    /// Where in its handler.
    pub position: Position,
    /// The call that is made (mes Y), with its id and its message.
    pub call: Pending<B>,
    /// The digest of what the handler asked for there, target and message: the call itself may be a substitute.
    pub digest: u128,
    /// Its answer, once another row of the transaction was put after it came: it costs no commit of its own. Until
    /// then the server's redundancy table has it.
    pub answer: Option<Outcome<B>>,
    /// What takes its place once it is cancelled; durable before it is, so that no successor sends it again while its
    /// cancellation is under way.
    pub designated: Option<Substitute<B>>,
}

/// A call that takes the place of an unanswered one (claim 26).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Substitute<B> {
    /// The alias called.
    pub target: AliasId,
    /// What is asked.
    pub body: B,
    /// Whether the old call is cancelled first. If not, nobody knows whether it had its effect.
    pub cancel_old: bool,
}

/// What the handler is given for a call on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Given<B> {
    /// The outcome.
    Answer {
        /// It.
        outcome: Outcome<B>,
        /// Whether it comes from the journal, or to a call that a predecessor made.
        replayed: bool,
    },
    /// The call was refused for good.
    Refused(Refusal),
    /// It could not be made now; nothing was sent. It may be asked for again at the same position.
    Rejected(Rejection),
    /// The run has asked for something else than its journal holds. An operator must decide; this run is over.
    Diverged {
        /// Where; another call of the same run may be told of it, too.
        position: Position,
        /// What the journal holds there: target and message.
        journal: (AliasId, B),
        /// What was asked for; nothing, if the handler ended without asking.
        asked: Option<(AliasId, B)>,
    },
    /// The call that is served is over, or goes back.
    Over,
}

/// What became of a call that was made on behalf of another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum News<B> {
    /// It was answered.
    Answered(Outcome<B>),
    /// It was refused for good.
    Refused(Refusal),
    /// Its cancellation came to an end.
    Cancel(CancelEnd<B>),
}

/// A step of a transaction, for an operator.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step<B> {
    /// A call on is in the journal, durably, and goes out.
    CalledOn(CallOn),
    /// The handler got the answer of a call on.
    Answered {
        /// The call on.
        on: CallOn,
        /// Whether it comes from the journal, or to a call that a predecessor made.
        replayed: bool,
        /// Whether it is an error or a refusal.
        failed: bool,
    },
    /// The outcome is registered, and the journal completed.
    Completed {
        /// How many calls were made.
        calls: u32,
        /// Whether the outcome is an error.
        failed: bool,
    },
    /// A takeover goes on with what it found half done.
    RolledForward {
        /// Calls on that had an answer in the journal.
        answered: u32,
        /// Those that had none, and are sent again under their ids.
        resent: u32,
    },
    /// A takeover put another call in the place of an unanswered one.
    Substituted {
        /// The one whose place was taken.
        old: CallOn,
        /// The one that takes it.
        new: CallOn,
        /// Whether the old one was cancelled first.
        cancel_old: bool,
    },
    /// What was called is being undone from now on.
    RollingBack(Back<B>),
    /// Everything that was called is undone.
    RolledBack(Back<B>),
    /// A call on is to be cancelled.
    CancelSent(CallOn),
    /// A call on is cancelled.
    CancelConfirmed(CallOn),
    /// The handler asked for something else than the journal holds.
    Diverged {
        /// Where.
        position: Position,
        /// What the journal holds there: target and message.
        journal: (AliasId, B),
        /// What was asked for; nothing, if the handler ended without asking.
        asked: Option<(AliasId, B)>,
    },
    /// A call on can't be undone.
    Stuck {
        /// The call on.
        on: CallOn,
        /// Why.
        why: Why<B>,
    },
}

/// Why a call on can't be undone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Why<B> {
    /// The service said so, in these words.
    Said(B),
    /// The cancellation was refused for good.
    Refused(Refusal),
}

/// A call on, as it is told of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallOn {
    /// Where in the handler it is made.
    pub position: Position,
    /// Its id.
    pub id: CallId,
    /// The alias called.
    pub target: AliasId,
}
