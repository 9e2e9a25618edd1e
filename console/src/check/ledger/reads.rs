//! Which transfers were before a read: those whose amounts add up to the balances it saw.

use super::{Act, Contradiction, Entry, Ledger, Order};
use crate::check::Kind;

/// How many sets of transfers are looked for that explain one read. If there are more, the read orders nothing and
/// is left to the search.
const SETS_MAX: usize = 8;
/// How many steps are spent on one read.
const STEPS_MAX: u32 = 200_000;

/// What every read says about the order. Narrows the times between which calls can have happened.
pub(super) fn order(ledger: &mut Ledger) -> Result<Order, Contradiction> {
    let count = ledger.entries.len();
    let mut order = Order { before: vec![Vec::new(); count], after: vec![Vec::new(); count] };
    let mut sweep = Sweep { base: vec![ledger.opening; ledger.accounts.len()], open: Vec::new(), next: 0 };
    let mut good = None;
    // Nothing is asked for a second time, so what a read narrows is seen by all reads that were asked later.
    let mut latest: Vec<u64> = ledger.entries.iter().map(|entry| entry.ret).collect();
    for read in 0..count {
        let Act::Read(balances) = &ledger.entries[read].act else { continue };
        let candidates = sweep.to(ledger, read, &latest);
        let sought: Vec<i64> = balances.iter().zip(&sweep.base).map(|(seen, base)| seen - base).collect();
        let sets = Sets::explaining(ledger, &candidates, sought.clone());
        if sets.whole && sets.found.is_empty() {
            return Err(unexplained(ledger, read, &candidates, &sought, good));
        }
        good = Some(read);
        if !sets.whole {
            continue;
        }
        for (place, &candidate) in candidates.iter().enumerate() {
            let times = sets.found.iter().filter(|set| set[place]).count();
            if times == sets.found.len() {
                order.before[read].push(candidate);
                order.after[candidate as usize].push(read as u32);
                ledger.entries[candidate as usize].must = true;
                let late = &mut latest[candidate as usize];
                *late = (*late).min(ledger.entries[read].ret);
            } else if times == 0 {
                order.after[read].push(candidate);
                order.before[candidate as usize].push(read as u32);
            }
        }
    }
    narrow(ledger, &order)?;
    Ok(order)
}

/// Walks over the history with what is certainly done and what may be.
struct Sweep {
    /// The balances after all that is certainly done.
    base: Vec<i64>,
    /// Transfers that may or may not be done.
    open: Vec<u32>,
    next: usize,
}

impl Sweep {
    /// Moves on to a read, and returns the transfers that may be before it or after it.
    fn to(&mut self, ledger: &Ledger, read: usize, latest: &[u64]) -> Vec<u32> {
        let (invoke, ret) = (ledger.entries[read].invoke, ledger.entries[read].ret);
        while let Some(entry) = ledger.entries.get(self.next)
            && entry.invoke <= ret
        {
            if matches!(entry.act, Act::Move { .. }) {
                self.open.push(self.next as u32);
            }
            self.next += 1;
        }
        let base = &mut self.base;
        self.open.retain(|&open| {
            let done = latest[open as usize] < invoke;
            if done {
                apply(&ledger.entries[open as usize], base);
            }
            !done
        });
        // A read that was asked earlier may have been answered later, and have looked further ahead.
        self.open.iter().copied().filter(|&open| ledger.entries[open as usize].invoke <= ret).collect()
    }
}

fn apply(entry: &Entry, balances: &mut [i64]) {
    if let Act::Move { from, to, amount } = entry.act {
        balances[from] -= amount;
        balances[to] += amount;
    }
}

/// All sets of transfers that add up to what is sought.
struct Sets {
    found: Vec<Vec<bool>>,
    /// False if there may be more.
    whole: bool,
}

/// A search for sets: transfer by transfer in or out, as long as every account can still come out right.
struct Seeker {
    moves: Vec<(usize, usize, i64)>,
    /// What is still missing on each account, and by how much the undecided ones can lower and raise it.
    missing: Vec<i64>,
    lower: Vec<i64>,
    raise: Vec<i64>,
    /// How many undecided ones touch it.
    touching: Vec<u32>,
    chosen: Vec<Option<bool>>,
    steps: u32,
    sets: Sets,
}

impl Sets {
    fn explaining(ledger: &Ledger, candidates: &[u32], sought: Vec<i64>) -> Self {
        let accounts = sought.len();
        let mut seeker = Seeker {
            moves: Vec::with_capacity(candidates.len()),
            missing: sought,
            lower: vec![0; accounts],
            raise: vec![0; accounts],
            touching: vec![0; accounts],
            chosen: vec![None; candidates.len()],
            steps: 0,
            sets: Self { found: Vec::new(), whole: true },
        };
        for &candidate in candidates {
            let Act::Move { from, to, amount } = ledger.entries[candidate as usize].act else { continue };
            seeker.moves.push((from, to, amount));
            seeker.lower[from] += amount;
            seeker.raise[to] += amount;
            seeker.touching[from] += 1;
            seeker.touching[to] += 1;
        }
        if (0..accounts).all(|account| seeker.possible(account)) {
            seeker.seek();
        }
        seeker.sets
    }
}

impl Seeker {
    fn possible(&self, account: usize) -> bool {
        let missing = self.missing[account];
        -self.lower[account] <= missing && missing <= self.raise[account]
    }

    fn seek(&mut self) {
        self.steps += 1;
        if self.steps > STEPS_MAX || self.sets.found.len() > SETS_MAX {
            self.sets.whole = false;
            return;
        }
        // The account with the fewest undecided ones leaves the fewest ways; its largest one leaves the fewest of them.
        let account = (0..self.touching.len()).filter(|&account| self.touching[account] > 0);
        let Some(account) = account.min_by_key(|&account| self.touching[account]) else {
            let set = self.chosen.iter().map(|chosen| *chosen == Some(true)).collect();
            self.sets.found.push(set);
            return;
        };
        let undecided = self.moves.iter().enumerate().filter(|(index, _)| self.chosen[*index].is_none());
        let (index, _) = undecided
            .filter(|(_, (from, to, _))| *from == account || *to == account)
            .max_by_key(|(_, (_, _, amount))| *amount)
            .expect("one of the undecided touches the account");
        for taken in [true, false] {
            self.decide(index, taken);
            let (from, to, _) = self.moves[index];
            if self.possible(from) && self.possible(to) {
                self.seek();
            }
            self.undo(index, taken);
        }
    }

    fn decide(&mut self, index: usize, taken: bool) {
        let (from, to, amount) = self.moves[index];
        self.chosen[index] = Some(taken);
        self.lower[from] -= amount;
        self.raise[to] -= amount;
        self.touching[from] -= 1;
        self.touching[to] -= 1;
        if taken {
            self.missing[from] += amount;
            self.missing[to] -= amount;
        }
    }

    fn undo(&mut self, index: usize, taken: bool) {
        let (from, to, amount) = self.moves[index];
        self.chosen[index] = None;
        self.lower[from] += amount;
        self.raise[to] += amount;
        self.touching[from] += 1;
        self.touching[to] += 1;
        if taken {
            self.missing[from] -= amount;
            self.missing[to] += amount;
        }
    }
}

/// A transfer before a read happened before the read was answered, and so on.
fn narrow(ledger: &mut Ledger, order: &Order) -> Result<(), Contradiction> {
    for read in 0..ledger.entries.len() {
        if !matches!(ledger.entries[read].act, Act::Read(_)) {
            continue;
        }
        let (mut invoke, mut ret) = (ledger.entries[read].invoke, ledger.entries[read].ret);
        for &before in &order.before[read] {
            let entry = &mut ledger.entries[before as usize];
            invoke = invoke.max(entry.invoke);
            entry.ret = entry.ret.min(ret);
        }
        for &after in &order.after[read] {
            let entry = &mut ledger.entries[after as usize];
            entry.invoke = entry.invoke.max(invoke);
            if entry.must {
                ret = ret.min(entry.ret);
            }
        }
        (ledger.entries[read].invoke, ledger.entries[read].ret) = (invoke, ret);
    }
    let empty =
        (0..ledger.entries.len()).find(|&index| ledger.entries[index].invoke > ledger.entries[index].ret);
    let Some(index) = empty else { return Ok(()) };
    let around = order.before[index].iter().chain(&order.after[index]);
    let lines = around.map(|&other| ledger.line(other as usize)).chain([ledger.line(index)]).collect();
    let text = "the balances that were read put these calls into an order that is against time".to_owned();
    Err(Contradiction { kind: Kind::Order, text, lines })
}

/// Says with as few lines as possible why a read can't have seen what it saw.
fn unexplained(
    ledger: &Ledger,
    read: usize,
    candidates: &[u32],
    sought: &[i64],
    good: Option<usize>,
) -> Contradiction {
    let touches = |candidate: u32, account: usize| match ledger.entries[candidate as usize].act {
        Act::Move { from, to, .. } => from == account || to == account,
        _ => false,
    };
    let alone = |account: usize| {
        let touching: Vec<u32> =
            candidates.iter().copied().filter(|&candidate| touches(candidate, account)).collect();
        (account, touching)
    };
    let mut choices: Vec<(usize, Vec<u32>)> = (0..sought.len())
        .map(alone)
        .filter(|(account, touching)| !reachable(ledger, *account, touching, sought[*account]))
        .collect();
    choices.sort_by_key(|(_, touching)| touching.len());
    let total: i64 = sought.iter().sum();
    let (mut text, involved) = match choices.first() {
        Some((account, touching)) => {
            let how = match touching.len() {
                0 => "no transfer was under way that could explain that".to_owned(),
                1 => "the one transfer under way does not explain that".to_owned(),
                many => format!("no choice of the {many} transfers under way explains that"),
            };
            let text = format!(
                "{} was read {:+} off what the transfers answered before it had made it; {how}",
                ledger.accounts[*account], sought[*account]
            );
            (text, touching.clone())
        }
        None => {
            let text =
                "no choice of the transfers under way adds up to the balances that were read".to_owned();
            (text, candidates.to_vec())
        }
    };
    if total != 0 {
        text.push_str(&format!(". Together the accounts hold {total:+} of what was paid in"));
    }
    let kind = if total == 0 { Kind::LostEffect } else { Kind::DoubledEffect };
    let lines = involved.iter().map(|&other| ledger.line(other as usize));
    let lines = lines.chain(good.map(|good| ledger.line(good))).chain([ledger.line(read)]).collect();
    Contradiction { kind, text, lines }
}

/// Whether some of these transfers change the account by just so much. Gives up, and says yes, if there are many.
fn reachable(ledger: &Ledger, account: usize, touching: &[u32], sought: i64) -> bool {
    let mut sums = std::collections::BTreeSet::from([0]);
    for &candidate in touching {
        let Act::Move { from, amount, .. } = ledger.entries[candidate as usize].act else { continue };
        let change = if from == account { -amount } else { amount };
        let more: Vec<i64> = sums.iter().map(|sum| sum + change).collect();
        sums.extend(more);
        if sums.len() > 100_000 {
            return true;
        }
    }
    sums.contains(&sought)
}
