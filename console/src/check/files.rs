//! A file exists or does not. `create` and `delete` answer true where they changed that, false where there was
//! nothing to do.
//!
//! Answers of false change nothing, so they are placed as soon as they hold. Of several calls that could make the
//! next change, the one whose answer came first is taken: any order that takes another one first stays right when
//! the two are swapped. So there is nothing to search.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{Contradiction, Judged, Kind, Op};

/// What was asked of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct What {
    /// `create`, or else `delete`.
    pub(super) creates: bool,
    /// Whether it did so; nothing if nobody knows.
    pub(super) done: Option<bool>,
}

impl What {
    /// Whether the file exists when this call happens, for its answer to be right.
    fn finds_it(self) -> bool {
        match self.done {
            Some(false) => self.creates,
            _ => !self.creates,
        }
    }
}

/// Calls that are open, those answered earliest first, by whether they find the file (index 1) or not (index 0).
#[derive(Default)]
struct Open {
    changes: [BinaryHeap<Reverse<(u64, usize)>>; 2],
    refusals: [BinaryHeap<Reverse<(u64, usize)>>; 2],
    unknown: [Vec<usize>; 2],
}

impl Open {
    fn take_in(&mut self, index: usize, op: &Op<What>) {
        let side = usize::from(op.what.finds_it());
        match op.what.done {
            None => self.unknown[side].push(index),
            Some(true) => self.changes[side].push(Reverse((op.ret, index))),
            Some(false) => self.refusals[side].push(Reverse((op.ret, index))),
        }
    }

    /// The earliest answer among the open calls, and whose it is.
    fn deadline(&self) -> Option<(u64, usize)> {
        let tops = self.changes.iter().chain(&self.refusals).filter_map(|heap| heap.peek());
        tops.map(|Reverse(top)| *top).min()
    }
}

/// Judges the calls on one file.
pub(super) fn judge(mut ops: Vec<Op<What>>) -> Judged {
    ops.sort_by_key(|op| (op.invoke, op.line));
    let mut open = Open::default();
    let (mut exists, mut last, mut next) = (false, None, 0);
    loop {
        while let Some(op) = ops.get(next) {
            if open.deadline().is_some_and(|(ret, _)| op.invoke > ret) {
                break;
            }
            open.take_in(next, op);
            next += 1;
        }
        let side = usize::from(exists);
        if !open.refusals[side].is_empty() {
            open.refusals[side].clear();
            continue;
        }
        let Some((_, stuck)) = open.deadline() else { return Judged::Clean };
        let change = open.changes[side].pop().map(|Reverse((_, index))| index);
        let Some(change) = change.or_else(|| open.unknown[side].pop()) else {
            return Judged::Wrong(contradiction(&ops, stuck, exists, last));
        };
        exists = !exists;
        last = Some(change);
    }
}

/// Nothing that could have happened by then brings the file into the state that this answer speaks of.
fn contradiction(ops: &[Op<What>], stuck: usize, exists: bool, last: Option<usize>) -> Contradiction {
    let what = ops[stuck].what;
    let (verb, other) = if what.creates { ("create", "delete") } else { ("delete", "create") };
    let done = what.done == Some(true);
    let is = if exists { "exists" } else { "does not exist" };
    let since = match last {
        Some(_) => "since the call before it",
        None => "from the beginning",
    };
    let kind = match (done, last.map(|last| ops[last].what.creates == what.creates)) {
        (true, Some(true)) => Kind::DoubledEffect,
        (false, _) => Kind::WrongAnswer,
        (true, _) => Kind::LostEffect,
    };
    let text = format!(
        "{verb} was answered {done} although the file {is} {since}, and no {} that was open by then accounts for it",
        if done { other } else { verb },
    );
    Contradiction {
        kind,
        text,
        lines: last.into_iter().chain([stuck]).map(|index| ops[index].line).collect(),
    }
}
