//! The guards of the protocol. Each can be taken away, to see that what it guards against happens then, and is found.

use std::fmt;
use std::str::FromStr;

macro_rules! guards {
    ($($(#[$doc:meta])* $name:ident = $word:literal: $text:literal;)*) => {
        /// A guard of the protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Guard {
            $(#[doc = $text] $name,)*
        }

        impl Guard {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Its name.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)*
                }
            }

            /// What it says.
            #[must_use]
            pub fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

guards! {
    StableBeforeReply = "stable-before-reply":
        "A server answers only when its commit is stable.";
    IncarnationCheck = "incarnation-check":
        "A commit under an incarnation that is over is refused.";
    FenceBeforePromotion = "fence-before-promotion":
        "The new incarnation stands beside the stable area before a successor reads it.";
    DeadBeforePromotion = "dead-before-promotion":
        "The old member in service is known dead before another one is promoted.";
    PersistBeforeOrder = "persist-before-order":
        "The FTM gives no order before what it decided is durable.";
    DurableIncarnation = "durable-incarnation":
        "An FTM that starts again goes on from the incarnations its predecessor gave.";
    StoredMark = "stored-mark":
        "The mark by which a session was pruned is stored with that.";
    LaterCallInSlot = "later-call-in-slot":
        "A slot that holds a later call is not empty to an earlier one.";
    Hold = "hold":
        "A request whose call is being executed is held, and not executed too.";
    StableBeforeResume = "stable-before-resume":
        "A service goes past its roll-forward point only when that is stable.";
    Recover = "recover":
        "A service is asked about a call that was past its roll-forward point when its executor died.";
    OutboxBeforeSend = "outbox-before-send":
        "A call is in the outbox before it is sent.";
    OutboxRead = "outbox-read":
        "A new active client reads the outbox of its predecessor.";
    DropBeforeMark = "drop-before-mark":
        "The mark rises over a call only when it is dropped from the outbox, durably.";
    FreshIds = "fresh-ids":
        "A new active client gives no id that its predecessor gave.";
    JournalBeforeSend = "journal-before-send":
        "A call on is in the journal before it is sent.";
    JournalRead = "journal-read":
        "A new run of a handler sees the journal of the former one.";
    OneCommit = "one-commit":
        "The journal is closed in the commit that registers the outcome.";
    CourseBeforeCancel = "course-before-cancel":
        "That a transaction goes back is durable before the first cancellation is sent.";
    SubstituteBeforeCancel = "substitute-before-cancel":
        "What takes the place of a call is durable before that one is cancelled.";
    Tombstone = "tombstone":
        "A call that was cancelled before it came leaves a row that refuses it.";
    StableBeforeConfirm = "stable-before-confirm":
        "A cancellation is confirmed only when it is stable.";
    StableBeforeUndo = "stable-before-undo":
        "That a call is being undone is durable before anything of it is undone.";
    CancelWaits = "cancel-waits":
        "A cancellation waits for a call that is being executed.";
    Retention = "retention":
        "What a relay called is kept as long as its own call may still be cancelled.";
    CloseBeforeSettle = "close-before-settle":
        "Calls on are done only when it is durable that the journal holds them no more.";
}

impl fmt::Display for Guard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// There is no guard of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownGuard(String);

impl fmt::Display for UnknownGuard {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<&str> = Guard::ALL.iter().map(|guard| guard.word()).collect();
        write!(out, "there is no guard `{}`; there are {}", self.0, all.join(", "))
    }
}

impl std::error::Error for UnknownGuard {}

impl FromStr for Guard {
    type Err = UnknownGuard;

    fn from_str(word: &str) -> Result<Self, UnknownGuard> {
        let found = Self::ALL.iter().find(|guard| guard.word() == word);
        found.copied().ok_or_else(|| UnknownGuard(word.to_owned()))
    }
}
