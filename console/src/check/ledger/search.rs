//! A search for an order in which every answer was right (after Wing and Gong, and Lowe).
//!
//! What was placed so far is a set, and the balances follow from the set alone; so a set from which no way led on is
//! remembered and never tried again, in whatever order it is reached. Calls that change nothing are placed as soon
//! as they hold, which is never wrong. What is left to choose is the order of transfers, and it is tried first in the
//! order in which they were answered, bent towards what waiting answers need.
//!
//! Where that leads nowhere, the answer that could not be placed gets more weight and its time is gone through again:
//! the squeaky wheel gets the oil. This finds an order in long histories of many callers, where going back step by
//! step would try all orders of what has nothing to do with the matter. Only if it finds none, all orders are tried.

use std::collections::HashSet;

use rand::rngs::SmallRng;
use rand::{RngCore as _, SeedableRng as _};

use super::{Act, Contradiction, Entry, Judged, Ledger, Order};
use crate::check::Kind;

/// How many placements are tried.
const STEPS_MAX: u64 = 3_000_000;
/// How often one answer, and how often all of them together, may be given more weight.
const SQUEAKS_OF_ONE_MAX: u32 = 60;
const SQUEAKS_MAX: u32 = 30_000;
const END: usize = usize::MAX;

/// Judges a ledger whose reads have been brought into order.
pub(super) fn judge(ledger: &Ledger, order: &Order) -> Judged {
    let mut search = Search::of(ledger, order);
    if search.squeaks_itself_through() {
        return Judged::Clean;
    }
    let mut search = Search::of(ledger, order);
    let mut frames: Vec<Frame> = Vec::new();
    for _ in 0..STEPS_MAX {
        let choices = search.advance();
        if search.left == 0 {
            return Judged::Clean;
        }
        let known = search.in_vain.contains(&search.hash);
        frames.push(Frame { placed: search.placed.len(), choices: if known { Vec::new() } else { choices } });
        // Goes back to the last point where something else can be tried, and tries it.
        loop {
            let Some(frame) = frames.last_mut() else { return Judged::Wrong(search.contradiction()) };
            search.back_to(frame.placed);
            if let Some(choice) = frame.choices.pop() {
                search.place(choice);
                break;
            }
            search.in_vain.insert(search.hash);
            frames.pop();
        }
    }
    let (deepest, _, _) = search.deepest;
    Judged::GivenUp(format!(
        "{STEPS_MAX} placements were tried, in vain: {deepest} of {} calls could be placed at most",
        ledger.entries.len()
    ))
}

/// A point with a choice: what was placed before it, and what is still to be tried, the best one last.
struct Frame {
    placed: usize,
    choices: Vec<usize>,
}

struct Search<'a> {
    ledger: &'a Ledger,
    order: &'a Order,
    /// Positions in order of invoke time; the list of those not placed runs through them.
    sorted: Vec<usize>,
    position: Vec<usize>,
    head: usize,
    following: Vec<usize>,
    preceding: Vec<usize>,
    /// How many must be placed before each entry.
    waits: Vec<u32>,
    balances: Vec<i64>,
    /// Those placed, in order.
    placed: Vec<usize>,
    /// How many that must be placed are left.
    left: usize,
    /// Of the set of those placed.
    hash: u128,
    keys: Vec<u128>,
    in_vain: HashSet<u128>,
    /// How often each one could not be placed.
    squeaks: Vec<u32>,
    /// How many were placed when it could first have been placed.
    entered: Vec<usize>,
    /// How many were placed at most, what could not be placed then, and what was open beside it.
    deepest: (usize, Option<usize>, Vec<usize>),
}

impl<'a> Search<'a> {
    fn of(ledger: &'a Ledger, order: &'a Order) -> Self {
        let count = ledger.entries.len();
        let mut sorted: Vec<usize> = (0..count).collect();
        sorted.sort_by_key(|&index| ledger.entries[index].invoke);
        let mut position = vec![0; count];
        for (place, &index) in sorted.iter().enumerate() {
            position[index] = place;
        }
        let must = |index: &u32| ledger.entries[*index as usize].must;
        let mut random = SmallRng::seed_from_u64(1);
        let mut key = || (u128::from(random.next_u64()) << 64) | u128::from(random.next_u64());
        Self {
            ledger,
            order,
            sorted,
            position,
            head: if count == 0 { END } else { 0 },
            following: (1..count).chain([END]).take(count).collect(),
            preceding: [END].into_iter().chain(0..count).take(count).collect(),
            waits: order
                .before
                .iter()
                .map(|before| before.iter().filter(|index| must(index)).count() as u32)
                .collect(),
            balances: vec![ledger.opening; ledger.accounts.len()],
            placed: Vec::with_capacity(count),
            left: ledger.entries.iter().filter(|entry| entry.must).count(),
            hash: 0,
            keys: (0..count).map(|_| key()).collect(),
            in_vain: HashSet::new(),
            squeaks: vec![0; count],
            entered: vec![usize::MAX; count],
            deepest: (0, None, Vec::new()),
        }
    }

    /// Takes what seems best each time; goes back to the beginning of what could not be placed, and minds that more.
    fn squeaks_itself_through(&mut self) -> bool {
        let mut squeaks = 0;
        loop {
            let choices = self.advance();
            if self.left == 0 {
                return true;
            }
            if let Some(best) = choices.last() {
                self.place(*best);
                continue;
            }
            let Some(stuck) = self.stuck(&self.window()) else { return false };
            squeaks += 1;
            self.squeaks[stuck] += 1;
            if squeaks > SQUEAKS_MAX || self.squeaks[stuck] > SQUEAKS_OF_ONE_MAX {
                return false;
            }
            // Each time a little further back: what was placed before may have spoilt it.
            let back = self.squeaks[stuck] as usize - 1;
            self.back_to(self.entered[stuck].saturating_sub(4 * back));
        }
    }

    /// Which of those open can't be placed any more, or is the next that must be.
    fn stuck(&self, window: &[usize]) -> Option<usize> {
        let hopeless = window.iter().copied().find(|&index| !self.has_a_chance(index, window));
        let must = window.iter().copied().filter(|&index| self.ledger.entries[index].must);
        hopeless.or_else(|| must.min_by_key(|&index| self.ledger.entries[index].ret))
    }

    /// Places all that holds and changes nothing, and says which transfers may come next, the best one last.
    fn advance(&mut self) -> Vec<usize> {
        loop {
            let window = self.window();
            let mut free = false;
            for &index in &window {
                self.entered[index] = self.entered[index].min(self.placed.len());
                let entry = &self.ledger.entries[index];
                if !matches!(entry.act, Act::Move { .. }) && self.waits[index] == 0 && self.holds(entry) {
                    self.place(index);
                    free = true;
                }
            }
            if free {
                continue;
            }
            let choices = self.choices(&window);
            if choices.is_empty() && self.left > 0 {
                self.remember(&window);
            }
            return choices;
        }
    }

    /// Those that may come next as far as time is concerned: asked before any of those left was answered.
    fn window(&self) -> Vec<usize> {
        let mut window = Vec::new();
        let (mut at, mut until) = (self.head, u64::MAX);
        while at != END {
            let index = self.sorted[at];
            let entry = &self.ledger.entries[index];
            if entry.invoke > until {
                break;
            }
            if entry.must {
                until = until.min(entry.ret);
            }
            window.push(index);
            at = self.following[at];
        }
        window
    }

    fn holds(&self, entry: &Entry) -> bool {
        match &entry.act {
            Act::Move { from: account, amount, .. } | Act::Enough { account, amount } => {
                self.balances[*account] >= *amount
            }
            Act::Short { account, amount } => self.balances[*account] < *amount,
            Act::Read(balances) => *balances == self.balances,
        }
    }

    fn choices(&self, window: &[usize]) -> Vec<usize> {
        if !window.iter().all(|&index| self.has_a_chance(index, window)) {
            return Vec::new();
        }
        let wishes = self.wishes(window);
        let mut choices: Vec<(bool, i64, u64, usize)> = Vec::new();
        for &index in window {
            let entry = &self.ledger.entries[index];
            let Act::Move { from, to, .. } = entry.act else { continue };
            if self.waits[index] == 0 && self.holds(entry) {
                let cost = wishes[from] - wishes[to] - 8 * i64::from(self.squeaks[index]);
                choices.push((!entry.must, cost, entry.ret, index));
            }
        }
        choices.sort_unstable_by(|a, b| b.cmp(a));
        choices.into_iter().map(|(.., index)| index).collect()
    }

    /// What those that wait need of each account: more than zero, more funds; less than zero, less.
    fn wishes(&self, window: &[usize]) -> Vec<i64> {
        let mut wishes = vec![0; self.balances.len()];
        for &index in window {
            let entry = &self.ledger.entries[index];
            let weight = 1 + 4 * i64::from(self.squeaks[index]);
            match &entry.act {
                Act::Short { account, .. } => wishes[*account] -= weight,
                Act::Enough { account, .. } => wishes[*account] += weight,
                Act::Move { from, .. } if entry.must && !self.holds(entry) => wishes[*from] += weight,
                // Its own amount must still be there when its turn comes.
                Act::Move { from, .. } if self.squeaks[index] > 0 => wishes[*from] += weight,
                Act::Move { .. } => {}
                Act::Read(balances) if self.waits[index] == 0 => {
                    for (wish, (wanted, found)) in wishes.iter_mut().zip(balances.iter().zip(&self.balances))
                    {
                        *wish += weight * (wanted - found).signum();
                    }
                }
                Act::Read(_) => {}
            }
        }
        wishes
    }

    /// Whether the account can still come to where this one needs it, by what may be placed before it.
    fn has_a_chance(&self, index: usize, window: &[usize]) -> bool {
        let entry = &self.ledger.entries[index];
        let reach = |account: usize, gives: bool| -> i64 {
            let of = |&other: &usize| match self.ledger.entries[other].act {
                Act::Move { from, amount, .. } if gives && from == account && other != index => amount,
                Act::Move { to, amount, .. } if !gives && to == account && other != index => amount,
                _ => 0,
            };
            window.iter().map(of).sum()
        };
        // The window grows as long as this one is not the next to be answered.
        let next = || window.iter().all(|&other| self.ledger.entries[other].ret >= entry.ret);
        match entry.act {
            _ if !entry.must || self.holds(entry) => true,
            Act::Short { account, amount } => {
                self.balances[account] - reach(account, true) < amount || !next()
            }
            Act::Enough { account, amount } | Act::Move { from: account, amount, .. } => {
                self.balances[account] + reach(account, false) >= amount || !next()
            }
            Act::Read(_) => true,
        }
    }

    fn place(&mut self, index: usize) {
        let at = self.position[index];
        let (before, after) = (self.preceding[at], self.following[at]);
        if before == END {
            self.head = after
        } else {
            self.following[before] = after
        }
        if after != END {
            self.preceding[after] = before;
        }
        self.turn(index, 1);
        self.placed.push(index);
    }

    fn back_to(&mut self, placed: usize) {
        while self.placed.len() > placed {
            let index = self.placed.pop().expect("there are more than `placed`");
            // Those that came in sight since then come in sight again.
            self.entered[index] = self.entered[index].min(placed);
            let at = self.position[index];
            let (before, after) = (self.preceding[at], self.following[at]);
            if before == END {
                self.head = at
            } else {
                self.following[before] = at
            }
            if after != END {
                self.preceding[after] = at;
            }
            self.turn(index, -1);
        }
    }

    /// Does (1) or undoes (-1) what placing an entry changes, apart from the list.
    fn turn(&mut self, index: usize, sign: i64) {
        let entry = &self.ledger.entries[index];
        if let Act::Move { from, to, amount } = entry.act {
            self.balances[from] -= sign * amount;
            self.balances[to] += sign * amount;
        }
        self.hash ^= self.keys[index];
        if entry.must {
            self.left = if sign > 0 { self.left - 1 } else { self.left + 1 };
            for &other in &self.order.after[index] {
                let waits = &mut self.waits[other as usize];
                *waits = if sign > 0 { *waits - 1 } else { *waits + 1 };
            }
        }
    }

    fn remember(&mut self, window: &[usize]) {
        let known = self.deepest.1.is_some();
        if known && self.placed.len() <= self.deepest.0 {
            return;
        }
        let stuck = self.stuck(window);
        self.deepest = (self.placed.len(), stuck, Vec::new());
        if let Some(stuck) = stuck {
            let account = match self.ledger.entries[stuck].act {
                Act::Move { from: account, .. }
                | Act::Enough { account, .. }
                | Act::Short { account, .. } => Some(account),
                Act::Read(_) => None,
            };
            let touches = |&index: &usize| match self.ledger.entries[index].act {
                Act::Move { from, to, .. } => account.is_none_or(|account| from == account || to == account),
                _ => false,
            };
            self.deepest.2 = window.iter().copied().filter(touches).collect();
        }
    }

    fn contradiction(&self) -> Contradiction {
        let (placed, stuck, open) = &self.deepest;
        let lines = open.iter().chain(stuck).map(|&index| self.ledger.line(index)).collect();
        let text = format!(
            "no order of these calls explains their answers: {placed} calls before them can be put into an order, these \
             can't be put after them"
        );
        Contradiction { kind: Kind::WrongAnswer, text, lines }
    }
}
