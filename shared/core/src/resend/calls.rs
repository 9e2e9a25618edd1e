//! The calls of a caller that are not done.

use alloc::collections::VecDeque;

use super::machine::Open;
use crate::ids::Mark;
use crate::table::Table;
use crate::uncompared::Uncompared;

/// The calls by their place in the order of the mark. The first one, which holds the mark down, is known without a
/// search.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Calls<B> {
    table: Table<Mark, Open<B>>,
    /// All of them in order, and among them some that are done already; the first is not. It follows from the
    /// table, but for those that are done.
    order: Uncompared<VecDeque<Mark>>,
}

impl<B: Eq + core::hash::Hash> Calls<B> {
    pub(super) const fn new() -> Self {
        Self { table: Table::new(), order: Uncompared(VecDeque::new()) }
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn get(&self, key: Mark) -> Option<&Open<B>> {
        self.table.get(&key)
    }

    pub(super) fn get_mut(&mut self, key: Mark) -> Option<&mut Open<B>> {
        self.table.get_mut(&key)
    }

    /// The place of the first call.
    pub(super) fn first(&self) -> Option<Mark> {
        self.order.0.front().copied()
    }

    /// Adds a call; nearly always it is the last one.
    pub(super) fn insert(&mut self, key: Mark, open: Open<B>) {
        let order = &mut self.order.0;
        if order.back().is_none_or(|last| *last < key) {
            order.push_back(key);
        } else if let Err(place) = order.binary_search(&key) {
            order.insert(place, key);
        }
        self.table.insert(key, open);
        // One that is never done must not let those behind it pile up.
        if order.len() > 2 * self.table.len() + 16 {
            order.retain(|key| self.table.contains_key(key));
        }
    }

    pub(super) fn remove(&mut self, key: Mark) {
        self.table.remove(&key);
        while self.order.0.front().is_some_and(|first| !self.table.contains_key(first)) {
            self.order.0.pop_front();
        }
    }

    /// All of them, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Mark, &Open<B>)> {
        self.order.0.iter().filter_map(|key| Some((*key, self.table.get(key)?)))
    }
}
