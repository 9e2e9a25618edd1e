//! The verdict on a recorded history: exactly once and linearizable, or not and why.
//!
//! Each part of a history is judged by what is special about it, because a general search over all orders takes
//! for ever on long histories, and longest on wrong ones. A counter's answers say themselves in which order its
//! calls happened (`counter`), and so do the numbers of orders (`orders`). A file has two states, so the earliest deadline decides what comes next
//! (`files`). A ledger's reads tell which transfers were before them; what they leave open is searched
//! (`ledger`).
//!
//! A call that nobody knows the end of may have happened at any time after it was asked, or never.

mod counter;
mod files;
mod gather;
mod ledger;
#[cfg(test)]
mod numbered_tests;
mod orders;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod tests;

use serde::Serialize;

use crate::history::{History, Line};

/// How many contradictions are reported at most.
pub const VIOLATIONS_SHOWN_MAX: usize = 20;

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Every call happened exactly once, in an order that explains every answer.
    Clean,
    /// No order explains the answers.
    Violated,
    /// The search was given up before it found an order, or that there is none; or nothing was acknowledged that could be
    /// judged.
    Undecided,
}

/// What kind of contradiction was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An effect that was acknowledged is missing.
    LostEffect,
    /// There is an effect that no call accounts for.
    DoubledEffect,
    /// The answers put calls into another order than time did.
    Order,
    /// An answer that no order explains.
    WrongAnswer,
    /// The same call was answered twice, and not the same.
    TwoAnswers,
    /// The same id stands for two requests.
    ReusedId,
}

/// A line of the history and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shown {
    /// `file:line`.
    pub at: String,
    /// The line.
    pub line: Line,
}

/// A contradiction: the fewest lines that show it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Violation {
    /// What kind of contradiction.
    pub kind: Kind,
    /// The alias called, if the history says it.
    pub target: String,
    /// The counter or the file, if it is about one.
    pub key: Option<String>,
    /// The contradiction in words.
    pub text: String,
    /// The lines that show it, in the order in which they were asked.
    pub lines: Vec<Shown>,
}

/// How many calls ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Calls {
    /// Answered.
    pub acked: usize,
    /// Refused by the service.
    pub failed: usize,
    /// Nobody knows.
    pub unknown: usize,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The outcome.
    pub verdict: Outcome,
    /// The calls.
    pub calls: Calls,
    /// Calls that stand in more than one line.
    pub repeated: usize,
    /// Lines cut short by the death of their writer.
    pub torn: usize,
    /// Independent parts (counters, files, ledgers, shops) that were judged one by one.
    pub parts: usize,
    /// The contradictions, at most one of each part and [`VIOLATIONS_SHOWN_MAX`] in all.
    pub violations: Vec<Violation>,
    /// How many there are in all.
    pub violations_found: usize,
    /// What was given up, and why.
    pub undecided: Vec<String>,
}

/// A line that can't be judged.
#[derive(Debug, thiserror::Error)]
#[error("{at}: {reason}")]
pub struct BadLine {
    /// `file:line`.
    pub at: String,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

/// What a part's judge found. The numbers are indices into [`History::lines`].
#[derive(Debug, PartialEq)]
pub(crate) struct Contradiction {
    kind: Kind,
    text: String,
    lines: Vec<usize>,
}

/// What a part's judge says.
#[derive(Debug, PartialEq)]
pub(crate) enum Judged {
    Clean,
    Wrong(Contradiction),
    GivenUp(String),
}

/// A call as the judges see it: what it was, and between which moments it happened.
#[derive(Clone, Debug)]
pub(crate) struct Op<W> {
    /// Its (first) line.
    line: usize,
    /// When it was asked.
    invoke: u64,
    /// When it was answered; never, if nobody knows.
    ret: u64,
    what: W,
}

/// Judges a history.
///
/// # Errors
/// If a line is about no service that is known here.
pub fn check(history: &History) -> Result<Verdict, BadLine> {
    let gathered = gather::gather(history)?;
    let mut verdict = Verdict {
        verdict: Outcome::Clean,
        calls: gathered.calls,
        repeated: gathered.repeated,
        torn: history.torn,
        parts: gathered.parts.len(),
        violations: Vec::new(),
        violations_found: 0,
        undecided: Vec::new(),
    };
    for (part, found) in gathered.contradictions {
        report(history, &mut verdict, part, found);
    }
    for (part, ops) in gathered.parts {
        let judged = match ops {
            gather::Ops::Counter(ops) => counter::judge(ops),
            gather::Ops::File(ops) => files::judge(ops),
            gather::Ops::Orders(ops) => orders::judge(ops),
            gather::Ops::Ledger(ops) => {
                ledger::judge(ops, history.opening(&part.target), gathered.calls.unknown)
            }
        };
        match judged {
            Judged::Clean => {}
            Judged::Wrong(found) => report(history, &mut verdict, part, found),
            Judged::GivenUp(why) => verdict.undecided.push(format!("{part}: {why}")),
        }
    }
    if verdict.calls.acked == 0 {
        verdict.undecided.push("nothing was acknowledged".to_owned());
    }
    verdict.verdict = match (verdict.violations_found, verdict.undecided.len()) {
        (0, 0) => Outcome::Clean,
        (0, _) => Outcome::Undecided,
        _ => Outcome::Violated,
    };
    Ok(verdict)
}

fn report(history: &History, verdict: &mut Verdict, part: gather::Part, mut found: Contradiction) {
    verdict.violations_found += 1;
    if verdict.violations.len() == VIOLATIONS_SHOWN_MAX {
        return;
    }
    found.lines.sort_by_key(|&index| (history.lines[index].1.invoke_ns, index));
    found.lines.dedup();
    let show = |index: usize| Shown { at: history.place(index), line: history.lines[index].1.clone() };
    verdict.violations.push(Violation {
        kind: found.kind,
        target: part.target,
        key: part.key,
        text: found.text,
        lines: found.lines.into_iter().map(show).collect(),
    });
}
