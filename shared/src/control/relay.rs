//! What an operator sees of relays: calls that are made on behalf of a call, and what becomes of them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a takeover does with a transaction of a relay that it finds half done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Go on: what is unanswered is sent again under its id, and the handler is run again over the journal (patent,
    /// Fig 18, claim 24).
    #[default]
    RollForward,
    /// Ask the service whether another call shall take the place of an unanswered one, then go on (claim 26).
    Substitute,
    /// Have everything undone that was called; the request that comes again is then performed from the beginning
    /// (claim 28).
    RollBack,
}

impl Policy {
    /// All of them, as cluster files and commands write them.
    pub const WORDS: [&'static str; 3] = ["roll-forward", "substitute", "roll-back"];

    /// As cluster files and commands write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::RollForward => Self::WORDS[0],
            Self::Substitute => Self::WORDS[1],
            Self::RollBack => Self::WORDS[2],
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.word())
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::RollForward, Self::Substitute, Self::RollBack];
        all.into_iter()
            .find(|policy| policy.word() == text)
            .ok_or_else(|| format!("there is no policy \"{text}\"; known: {}", Self::WORDS.join(", ")))
    }
}

/// The open transactions of an alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relays {
    /// The transactions: those that need an operator first, then the oldest first.
    pub rows: Vec<RelayRow>,
    /// How many are open altogether; `rows` may hold fewer.
    pub open: u64,
    /// Completed transactions that are kept with what they called, because their callers may still cancel them.
    pub retained: u64,
}

/// A transaction of a relay: a call that is being executed, and what was called on its behalf.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayRow {
    /// The id of the call that is served (mes X), as `alias/origin/transId`.
    pub id: String,
    /// The alias that serves it.
    pub alias: String,
    /// What a takeover does with it.
    pub policy: Policy,
    /// Where it stands.
    pub stage: RelayStage,
    /// Since when this process has it in hand, on the machine's monotonic clock, in nanoseconds.
    pub since_ns: u64,
    /// Why it is not done yet, in words.
    pub why: String,
    /// Whether it goes on only when an operator decides.
    pub needs_operator: bool,
    /// What was asked of the relay, if it is text.
    pub text: Option<String>,
    /// What was called on its behalf, in the order of the positions.
    pub calls: Vec<DownstreamRow>,
}

/// Where a transaction stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelayStage {
    /// The handler runs, or will (the patent's flag `processing`).
    Processing,
    /// The outcome is being made durable (the patent's flag `completed` goes with it).
    Completing,
    /// What was called is being undone; then the request is performed from the beginning.
    RollingBack,
    /// What was called is being undone; then the error of the handler is registered.
    Failing,
    /// What was called is being undone, because the caller cancelled the call.
    Cancelling,
    /// Everything is undone; a request that comes again is performed from the beginning.
    RolledBack,
    /// A run asked for something else than its journal holds; an operator must decide.
    Diverged,
    /// A call can't be undone; an operator must decide.
    Stuck,
    /// `recover` could not tell whether an effect outside happened; an operator must decide.
    InDoubt,
}

impl RelayStage {
    /// As commands and screens write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Completing => "completing",
            Self::RollingBack => "rolling back",
            Self::Failing => "failing",
            Self::Cancelling => "cancelling",
            Self::RolledBack => "rolled back",
            Self::Diverged => "diverged",
            Self::Stuck => "stuck",
            Self::InDoubt => "in doubt",
        }
    }
}

/// A call that a relay made (mes Y).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DownstreamRow {
    /// Where in the handler it was made: `2`, or `2.1` for the first one in the branch at position 2.
    pub position: String,
    /// Its id.
    pub id: String,
    /// The alias called.
    pub target: String,
    /// Where it stands.
    pub state: DownstreamState,
    /// How often it was sent so far; what a predecessor may have sent counts once.
    pub tries: u32,
    /// Whether the handler of this run got the answer from the journal.
    pub replayed: bool,
    /// The answer, or what was asked if there is none yet, if it is text.
    pub text: Option<String>,
}

/// Where a call that a relay made stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DownstreamState {
    /// It is being put into the journal; nothing was sent.
    Putting,
    /// It is held until it is decided what becomes of it.
    Held,
    /// It is sent and has no answer.
    Waiting,
    /// It was answered with a reply.
    Answered,
    /// It was answered with an error.
    Failed,
    /// It was refused for good.
    Refused,
    /// Its cancellation is sent and not confirmed.
    Cancelling,
    /// It is undone, or never happened, and is refused from now on.
    Cancelled,
    /// It was refused to be undone.
    Stuck,
}

impl DownstreamState {
    /// As commands and screens write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Putting => "putting",
            Self::Held => "held",
            Self::Waiting => "waiting",
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
            Self::Stuck => "stuck",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_as_it_is_written_in_text_and_in_json() {
        for word in Policy::WORDS {
            let policy: Policy = word.parse().expect("a policy");
            assert_eq!(policy.to_string(), word);
            assert_eq!(serde_json::to_string(&policy).expect("JSON"), format!("\"{word}\""));
        }
        let wrong = "forward".parse::<Policy>().expect_err("no policy");
        assert!(wrong.contains("roll-forward, substitute, roll-back"), "{wrong}");
    }
}
