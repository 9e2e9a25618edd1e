//! A ledger that numbers its answers says itself in which order it took the calls. That order is not believed but
//! tried: it must not be against time, no number may be given twice or be missing, and every answer must be right in it.
//!
//! A number may be missing where nobody knows the end of a call: then one of these calls took it, or it changed nothing.
//! Which one is tried, the one asked last first, until the answers that follow are right.

use super::{Act, Contradiction, Entry, Judged, Ledger};
use crate::check::Kind;

/// How many steps are tried.
const STEPS_MAX: u64 = 5_000_000;

/// Judges a ledger by its numbers; nothing if not all of its answers have one. `unanswered` calls of the history have
/// no answer: so many numbers may be missing.
pub(super) fn judge(ledger: &Ledger, unanswered: usize) -> Option<Judged> {
    let mut numbered: Vec<(u64, usize)> = Vec::with_capacity(ledger.entries.len());
    let mut unknown = Vec::new();
    for (index, entry) in ledger.entries.iter().enumerate() {
        match entry.number {
            Some(number) => numbered.push((number, index)),
            None if entry.must => return None,
            None => unknown.push(index),
        }
    }
    numbered.sort_unstable();
    let found = twice(ledger, &numbered)
        .or_else(|| missing(ledger, &numbered, unanswered as u64))
        .or_else(|| against_time(ledger, &numbered));
    Some(match found {
        Some(found) => Judged::Wrong(found),
        None => Replay::of(ledger, numbered, unknown).judge(),
    })
}

fn twice(ledger: &Ledger, numbered: &[(u64, usize)]) -> Option<Contradiction> {
    let pair = numbered.windows(2).find(|pair| pair[0].0 == pair[1].0)?;
    let text = format!(
        "two calls were both answered as number {}: one of them does not know of the other",
        pair[0].0
    );
    let lines = pair.iter().map(|(_, index)| ledger.line(*index)).collect();
    Some(Contradiction { kind: Kind::LostEffect, text, lines })
}

/// A call with a later number was answered before a call with an earlier number was asked.
fn against_time(ledger: &Ledger, numbered: &[(u64, usize)]) -> Option<Contradiction> {
    let mut latest: Option<(u64, usize)> = None;
    for &(number, index) in numbered {
        let entry = &ledger.entries[index];
        if let Some((before, asked)) = latest
            && ledger.entries[asked].invoke > entry.ret
        {
            let text =
                format!("number {number} was answered before the call was asked that got number {before}");
            let lines = vec![ledger.line(index), ledger.line(asked)];
            return Some(Contradiction { kind: Kind::Order, text, lines });
        }
        if latest.is_none_or(|(_, asked)| entry.invoke > ledger.entries[asked].invoke) {
            latest = Some((number, index));
        }
    }
    None
}

/// More numbers are missing than there are calls that may have taken them.
fn missing(ledger: &Ledger, numbered: &[(u64, usize)], unanswered: u64) -> Option<Contradiction> {
    let gaps = numbered.iter().zip(1..).map(|((number, _), place)| number - place);
    let place = gaps.into_iter().position(|missing| missing > unanswered)?;
    let around = numbered[place.saturating_sub(1)..=place].iter();
    let text = format!(
        "no call got the number before {}: a request was done twice, or its call is not in this history",
        numbered[place].0
    );
    let lines = around.map(|(_, index)| ledger.line(*index)).collect();
    Some(Contradiction { kind: Kind::DoubledEffect, text, lines })
}

/// Goes through the calls in their order, as the ledger should have.
struct Replay<'a> {
    ledger: &'a Ledger,
    numbered: Vec<(u64, usize)>,
    /// For each place: what takes a number before it was asked by then, because something after it was answered then.
    deadlines: Vec<u64>,
    /// Transfers that nobody knows the end of, in the order in which they were asked, and whether they are placed.
    unknown: Vec<(usize, bool)>,
    /// The next number and the place in `numbered`.
    number: u64,
    place: usize,
    balances: Vec<i64>,
    choices: Vec<Choice>,
    /// The furthest wrong answer.
    wrong: Option<(usize, Contradiction)>,
}

/// A missing number, and what takes it now.
struct Choice {
    number: u64,
    place: usize,
    balances: Vec<i64>,
    /// The place in `unknown`; nothing takes it last.
    taken: Option<usize>,
}

impl<'a> Replay<'a> {
    fn of(ledger: &'a Ledger, numbered: Vec<(u64, usize)>, unknown: Vec<usize>) -> Self {
        let mut deadlines: Vec<u64> = numbered.iter().map(|(_, index)| ledger.entries[*index].ret).collect();
        for place in (1..deadlines.len()).rev() {
            deadlines[place - 1] = deadlines[place - 1].min(deadlines[place]);
        }
        Self {
            ledger,
            numbered,
            deadlines,
            unknown: unknown.into_iter().map(|index| (index, false)).collect(),
            number: 1,
            place: 0,
            balances: vec![ledger.opening; ledger.accounts.len()],
            choices: Vec::new(),
            wrong: None,
        }
    }

    fn judge(mut self) -> Judged {
        for _ in 0..STEPS_MAX {
            let Some(&(number, index)) = self.numbered.get(self.place) else { return Judged::Clean };
            let right = if self.number == number {
                self.step(index)
            } else {
                self.choices.push(Choice {
                    number: self.number,
                    place: self.place,
                    balances: self.balances.clone(),
                    taken: Some(self.unknown.len()),
                });
                self.choose()
            };
            if !right && !self.choose() {
                let found = self.wrong.map(|(_, found)| found);
                return Judged::Wrong(
                    found.expect("something was wrong, or there was nothing to choose again"),
                );
            }
        }
        Judged::GivenUp(format!(
            "{STEPS_MAX} ways to give the missing numbers to calls without an answer were tried, in vain"
        ))
    }

    /// Does the call that has the next number; false if its answer is wrong.
    fn step(&mut self, index: usize) -> bool {
        let entry = &self.ledger.entries[index];
        if let Some((account, text)) = wrong(self.ledger, entry, &self.balances) {
            if self.wrong.as_ref().is_none_or(|(place, _)| *place < self.place) {
                self.wrong = Some((self.place, self.contradiction(index, account, &text)));
            }
            return false;
        }
        self.apply(index);
        self.number += 1;
        self.place += 1;
        true
    }

    fn apply(&mut self, index: usize) {
        if let Act::Move { from, to, amount } = self.ledger.entries[index].act {
            self.balances[from] -= amount;
            self.balances[to] += amount;
        }
    }

    /// Gives the last missing number to the next that can have taken it; to the one before, if there is none.
    fn choose(&mut self) -> bool {
        while let Some(choice) = self.choices.last_mut() {
            let before = match choice.taken {
                // Even that nothing took it led nowhere.
                None => {
                    self.choices.pop();
                    continue;
                }
                Some(before) => before,
            };
            if let Some((_, placed)) = self.unknown.get_mut(before) {
                *placed = false;
            }
            self.balances.clone_from(&choice.balances);
            let deadline = self.deadlines[choice.place];
            let fits = |&next: &usize| {
                let (index, placed) = self.unknown[next];
                let entry = &self.ledger.entries[index];
                !placed && entry.invoke <= deadline && wrong(self.ledger, entry, &choice.balances).is_none()
            };
            choice.taken = (0..before).rev().find(fits);
            (self.number, self.place) = (choice.number + 1, choice.place);
            if let Some(next) = choice.taken {
                self.unknown[next].1 = true;
                self.apply(self.unknown[next].0);
            }
            return true;
        }
        false
    }

    /// A wrong answer about an account, with what touched it since it was last read.
    fn contradiction(&self, index: usize, account: usize, text: &str) -> Contradiction {
        let entry = &self.ledger.entries[index];
        let mut lines = vec![self.ledger.line(index)];
        for (_, before) in self.numbered[..self.place].iter().rev() {
            match self.ledger.entries[*before].act {
                Act::Move { from, to, .. } if from == account || to == account => {}
                Act::Read(_) => {
                    lines.push(self.ledger.line(*before));
                    break;
                }
                _ => continue,
            }
            lines.push(self.ledger.line(*before));
        }
        let text = format!("number {}: {text}", self.number);
        Contradiction { kind: kind(entry, &self.balances), text, lines }
    }
}

/// The account about which an answer is wrong, and how.
fn wrong(ledger: &Ledger, entry: &Entry, balances: &[i64]) -> Option<(usize, String)> {
    let name = |account: usize| &ledger.accounts[account];
    match &entry.act {
        Act::Read(read) => {
            let account = (0..read.len()).find(|&account| read[account] != balances[account])?;
            let (found, should) = (read[account], balances[account]);
            Some((
                account,
                format!("{} was read as {found}, and the calls before it leave {should}", name(account)),
            ))
        }
        &Act::Short { account, amount } if balances[account] >= amount => {
            let has = balances[account];
            Some((account, format!("{amount} from {} was answered false, and it had {has}", name(account))))
        }
        &(Act::Enough { account, amount } | Act::Move { from: account, amount, .. })
            if balances[account] < amount =>
        {
            let has = balances[account];
            Some((
                account,
                format!("{amount} from {} was answered true, and it had only {has}", name(account)),
            ))
        }
        _ => None,
    }
}

fn kind(entry: &Entry, balances: &[i64]) -> Kind {
    match &entry.act {
        // Money that came from nowhere or went nowhere was moved twice, or half.
        Act::Read(read) if read.iter().sum::<i64>() != balances.iter().sum::<i64>() => Kind::DoubledEffect,
        Act::Read(_) => Kind::LostEffect,
        _ => Kind::WrongAnswer,
    }
}
