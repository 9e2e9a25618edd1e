//! A ledger: transfers between accounts, answered true, or false where funds lack; a read answers all balances.
//!
//! Where the ledger numbers its answers, they are held against that order and there is nothing to search ([`numbers`]).
//! Without numbers, what a transfer does to the balances is known from its answer, so the state after any set of calls
//! is known without their order. Hence three stages: each read tells which transfers were before it ([`reads`]), because
//! their amounts must add up to its balances; the answers are held against the most and the least that an account
//! can have had ([`bounds`]); and an order is searched ([`search`]) in which funds suffice where the answer was true
//! and lack where it was false. Wrong answers mostly contradict the first two, which say so with few lines.

mod bounds;
mod numbers;
mod reads;
mod search;

use std::collections::BTreeMap;

use super::{Contradiction, Judged, Op};

/// What was asked of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// `transfer`.
    Transfer {
        /// The account that gives.
        from: String,
        /// The account that gets.
        to: String,
        /// How much.
        amount: i64,
        /// Whether it was done; nothing if nobody knows.
        done: Option<bool>,
    },
    /// `read`: the balances.
    Read(Vec<(String, i64)>),
}

/// What was asked, and the number of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// What.
    pub(crate) what: What,
    /// The how manieth request it was, by the ledger's own word.
    pub(crate) number: Option<u64>,
}

/// A call, with accounts as numbers.
#[derive(Clone, Debug)]
struct Entry {
    line: usize,
    invoke: u64,
    ret: u64,
    /// It has to have happened; false for a transfer that nobody knows the end of.
    must: bool,
    /// By the ledger's own word.
    number: Option<u64>,
    act: Act,
}

#[derive(Clone, Debug)]
enum Act {
    /// Moves an amount between two different accounts; the funds were there.
    Move { from: usize, to: usize, amount: i64 },
    /// Changes nothing; the funds were there.
    Enough { account: usize, amount: i64 },
    /// Changes nothing; the funds were lacking.
    Short { account: usize, amount: i64 },
    /// Sees these balances.
    Read(Vec<i64>),
}

/// A ledger's history, ready to be judged.
struct Ledger {
    accounts: Vec<String>,
    opening: i64,
    /// In the order in which they were asked.
    entries: Vec<Entry>,
}

/// Which calls come before which, beyond what time says.
#[derive(Default)]
struct Order {
    /// For each entry: those that must be before it.
    before: Vec<Vec<u32>>,
    /// For each entry: those that must be after it.
    after: Vec<Vec<u32>>,
}

/// Judges the calls on one ledger. `unanswered` calls of the history have no answer.
pub(super) fn judge(ops: Vec<Op<Asked>>, opening: i64, unanswered: usize) -> Judged {
    let mut ledger = Ledger::of(ops, opening);
    if let Some(judged) = numbers::judge(&ledger, unanswered) {
        return judged;
    }
    let order = match reads::order(&mut ledger) {
        Ok(order) => order,
        Err(found) => return Judged::Wrong(found),
    };
    if let Some(found) = bounds::contradiction(&ledger) {
        return Judged::Wrong(found);
    }
    search::judge(&ledger, &order)
}

impl Ledger {
    fn of(mut ops: Vec<Op<Asked>>, opening: i64) -> Self {
        ops.sort_by_key(|op| (op.invoke, op.line));
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for op in &ops {
            let mut name = |account: &String| {
                if !numbers.contains_key(account) {
                    numbers.insert(account.clone(), 0);
                }
            };
            match &op.what.what {
                What::Transfer { from, to, .. } => [from, to].into_iter().for_each(name),
                What::Read(balances) => balances.iter().for_each(|(account, _)| name(account)),
            }
        }
        for (number, place) in numbers.values_mut().enumerate() {
            *place = number;
        }
        let entries = ops.into_iter().filter_map(|op| entry(op, &numbers, opening)).collect();
        Self { accounts: numbers.into_keys().collect(), opening, entries }
    }

    fn line(&self, entry: usize) -> usize {
        self.entries[entry].line
    }
}

/// Nothing for a transfer that can't have changed anything and whose answer nobody knows.
fn entry(op: Op<Asked>, numbers: &BTreeMap<String, usize>, opening: i64) -> Option<Entry> {
    let Op { line, invoke, ret, what: Asked { what, number } } = op;
    let mut must = true;
    let act = match what {
        What::Read(known) => {
            // An account that a read leaves out was not named before it.
            let mut balances = vec![opening; numbers.len()];
            for (account, balance) in known {
                balances[numbers[&account]] = balance;
            }
            Act::Read(balances)
        }
        What::Transfer { from, to, amount, done } => {
            let (from, to) = (numbers[&from], numbers[&to]);
            let moves = from != to && amount > 0;
            must = done.is_some();
            match done {
                Some(false) => Act::Short { account: from, amount },
                Some(true) if !moves => Act::Enough { account: from, amount },
                None if !moves => return None,
                _ => Act::Move { from, to, amount },
            }
        }
    };
    Some(Entry { line, invoke, ret, must, number, act })
}
