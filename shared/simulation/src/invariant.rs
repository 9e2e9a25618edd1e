//! What must hold in every schedule.

use std::fmt;

use palib_core::ids::Nanos;

macro_rules! invariants {
    ($($name:ident = $word:literal: $text:literal;)*) => {
        /// What must hold in every schedule, at every moment.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Invariant {
            $(#[doc = $text] $name,)*
        }

        impl Invariant {
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

invariants! {
    OneEffect = "one-effect":
        "Nothing takes effect twice, and nothing is undone that was not done.";
    Acknowledged = "acknowledged":
        "A call that was answered has all its effects, at relay and server alike; one that failed has none.";
    OneReply = "one-reply":
        "An id has one outcome, whoever answers and however often.";
    FreshIds = "fresh-ids":
        "No id, port, process number or incarnation is given twice.";
    IncarnationRises = "incarnation-rises":
        "The incarnation of an alias only rises.";
    NoFencedCommit = "no-fenced-commit":
        "A process commits nothing once another one has taken over.";
    OneOwner = "one-owner":
        "No stable area is opened while its former owner may live.";
    NoDivergence = "no-divergence":
        "A handler that does always the same never diverges from its journal.";
    NoRefusal = "no-refusal":
        "No call of a client in service is refused for good.";
    NobodyForgotten = "nobody-forgotten":
        "A call that was kept is answered in the end, and one that was not has all of its effects or none.";
    Progress = "progress":
        "When all is healed, everybody is served and every call ends.";
    NothingLeft = "nothing-left":
        "When all is healed and done, no table, journal or outbox holds more than its bound.";
    Promise = "promise":
        "A machine of the core keeps its own promises: it does not panic.";
}

impl fmt::Display for Invariant {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

/// An invariant that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When, in virtual time from the start.
    pub at: Nanos,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (after {:.3} ms: {})", self.invariant.text(), self.at.0 as f64 / 1e6, self.what)
    }
}
