//! A counter that answers with its value says itself in which order its calls happened: by their answers.
//!
//! What remains is to see that each call begins where the one before it ended, that calls nobody knows the end of
//! fill the gaps exactly, and that this order is not against time.

use std::collections::{BTreeMap, HashSet};

use super::{Contradiction, Judged, Kind, Op};

/// How many ways to fill the gaps are tried.
const FILLINGS_MAX: u64 = 2_000_000;

/// What was asked of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `inc`.
    Add {
        /// By how much.
        amount: u64,
        /// The value after it; nothing if nobody knows.
        after: Option<u64>,
    },
    /// `read`.
    Read {
        /// The value.
        value: u64,
    },
}

/// An answered call: the counter had the value `before`, and then `after`.
struct Step {
    before: u64,
    after: u64,
    op: usize,
}

/// Something must have been added between two steps.
struct Gap {
    size: u64,
    /// What fills it must have been asked by then: something after it was answered then.
    deadline: u64,
    /// The step after it.
    step: usize,
}

/// Judges the calls on one counter.
pub(super) fn judge(ops: Vec<Op<What>>) -> Judged {
    let mut steps = Vec::with_capacity(ops.len());
    let mut unknown: Vec<(u64, u64)> = Vec::new();
    for (index, op) in ops.iter().enumerate() {
        match op.what {
            What::Add { amount, after: None } => unknown.push((amount, op.invoke)),
            What::Add { amount, after: Some(after) } => match after.checked_sub(amount) {
                Some(before) => steps.push(Step { before, after, op: index }),
                None => return Judged::Wrong(too_small(&ops, index)),
            },
            What::Read { value } => steps.push(Step { before: value, after: value, op: index }),
        }
    }
    // Of calls that leave the value as it is, one that was asked earlier may always go first.
    steps.sort_by_key(|step| (step.after, step.before == step.after, ops[step.op].invoke));
    if let Some(found) = overlap(&ops, &steps).or_else(|| against_time(&ops, &steps)) {
        return Judged::Wrong(found);
    }
    fill(&ops, &steps, unknown)
}

fn too_small(ops: &[Op<What>], index: usize) -> Contradiction {
    let text = "the value after adding is smaller than what was added".to_owned();
    Contradiction { kind: Kind::LostEffect, text, lines: vec![ops[index].line] }
}

/// Two answers that speak of the same stretch of values.
fn overlap(ops: &[Op<What>], steps: &[Step]) -> Option<Contradiction> {
    let mut at: Option<&Step> = None;
    for step in steps {
        let Some(last) = at.replace(step) else { continue };
        if step.before >= last.after {
            continue;
        }
        let text = if step.after == last.after {
            format!("two calls were both answered {}: the effect of one of them is missing", step.after)
        } else {
            format!(
                "the value was {}, and yet a call went from {} to {}: the effect of one of them is missing",
                last.after, step.before, step.after
            )
        };
        let lines = vec![ops[last.op].line, ops[step.op].line];
        return Some(Contradiction { kind: Kind::LostEffect, text, lines });
    }
    None
}

/// A call whose value comes later was answered before a call was asked whose value comes earlier.
fn against_time(ops: &[Op<What>], steps: &[Step]) -> Option<Contradiction> {
    let mut latest: Option<&Step> = None;
    for step in steps {
        if let Some(before) = latest
            && ops[before.op].invoke > ops[step.op].ret
        {
            let (early, late) = (&ops[step.op], &ops[before.op]);
            let text = format!(
                "the value {} was answered before a call was asked that was answered {}: a value went back or was stale",
                step.after, before.after
            );
            return Some(Contradiction { kind: Kind::Order, text, lines: vec![early.line, late.line] });
        }
        if latest.is_none_or(|latest| ops[step.op].invoke > ops[latest.op].invoke) {
            latest = Some(step);
        }
    }
    None
}

/// Calls that nobody knows the end of must fill the gaps exactly.
fn fill(ops: &[Op<What>], steps: &[Step], unknown: Vec<(u64, u64)>) -> Judged {
    let gaps = gaps(ops, steps);
    let filling = Filling::of(unknown);
    // A gap that not even all of them together could fill is the clearest contradiction.
    let hopeless =
        gaps.iter().find(|gap| matches!(filling.clone().fill(std::slice::from_ref(gap)), Filled::Not(_)));
    if let Some(gap) = hopeless {
        return Judged::Wrong(unexplained(ops, steps, gap));
    }
    match filling.clone().fill(&gaps) {
        Filled::All => Judged::Clean,
        Filled::Not(deepest) => Judged::Wrong(unexplained(ops, steps, &gaps[deepest])),
        Filled::GivenUp => Judged::GivenUp(format!(
            "{FILLINGS_MAX} ways to place the calls without an answer were tried, in vain"
        )),
    }
}

fn gaps(ops: &[Op<What>], steps: &[Step]) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut deadline = u64::MAX;
    for index in (0..steps.len()).rev() {
        deadline = deadline.min(ops[steps[index].op].ret);
        let value = if index == 0 { 0 } else { steps[index - 1].after };
        if steps[index].before > value {
            gaps.push(Gap { size: steps[index].before - value, deadline, step: index });
        }
    }
    gaps.reverse();
    gaps
}

fn unexplained(ops: &[Op<What>], steps: &[Step], gap: &Gap) -> Contradiction {
    let step = &steps[gap.step];
    let mut lines = vec![ops[step.op].line];
    let from = step.before - gap.size;
    if gap.step > 0 {
        lines.push(ops[steps[gap.step - 1].op].line);
    }
    let text = format!(
        "the value went from {from} to {}, and no call accounts for these {}: an effect was done twice, or its call is \
         not in this history",
        step.before, gap.size
    );
    Contradiction { kind: Kind::DoubledEffect, text, lines }
}

/// Calls without an answer, and how they are put into gaps.
#[derive(Clone)]
struct Filling {
    /// By amount: when they were asked, the earliest last, so that it is taken first. Of two with one amount the
    /// earlier one fits wherever the later one does.
    stock: Vec<(u64, Vec<u64>)>,
}

enum Filled {
    All,
    /// Not possible; this gap was the furthest that was reached.
    Not(usize),
    GivenUp,
}

/// A call that was put into a gap.
struct Choice {
    gap: usize,
    /// What was to be filled there before.
    left: u64,
    /// Which entry of the stock it came from.
    amount: usize,
    invoke: u64,
}

impl Filling {
    fn of(unknown: Vec<(u64, u64)>) -> Self {
        let mut stock: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for (amount, invoke) in unknown {
            if amount > 0 {
                stock.entry(amount).or_default().push(invoke);
            }
        }
        for invokes in stock.values_mut() {
            invokes.sort_unstable_by(|a, b| b.cmp(a));
        }
        Self { stock: stock.into_iter().collect() }
    }

    fn fill(&mut self, gaps: &[Gap]) -> Filled {
        let mut choices: Vec<Choice> = Vec::new();
        // What was left of the stock at the beginning of a gap from which no way led on.
        let mut in_vain: HashSet<(usize, Vec<usize>)> = HashSet::new();
        let (mut gap, mut deepest) = (0, 0);
        let Some(first) = gaps.first() else { return Filled::All };
        let (mut left, mut amounts) = (first.size, self.stock.len());
        for _ in 0..FILLINGS_MAX {
            if left == 0 {
                gap += 1;
                let Some(next) = gaps.get(gap) else { return Filled::All };
                deepest = deepest.max(gap);
                let stock = self.stock.iter().map(|(_, invokes)| invokes.len()).collect();
                (left, amounts) = (next.size, self.stock.len());
                if !in_vain.insert((gap, stock)) {
                    amounts = 0;
                }
            }
            // Descending amounts within a gap, so that each choice is tried in one order only.
            let fits = |amount: &usize| {
                let (value, invokes) = &self.stock[*amount];
                *value <= left && invokes.last().is_some_and(|&invoke| invoke <= gaps[gap].deadline)
            };
            if let Some(amount) = (0..amounts).rev().find(fits) {
                let invoke = self.stock[amount].1.pop().expect("it fits, so it is there");
                choices.push(Choice { gap, left, amount, invoke });
                left -= self.stock[amount].0;
                amounts = amount + 1;
            } else {
                let Some(choice) = choices.pop() else { return Filled::Not(deepest) };
                self.stock[choice.amount].1.push(choice.invoke);
                (gap, left, amounts) = (choice.gap, choice.left, choice.amount);
            }
        }
        Filled::GivenUp
    }
}
