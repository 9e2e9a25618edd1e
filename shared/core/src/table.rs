//! A map for what is looked up several times in each call, and is large: an entry is found by a number in its key
//! and does not move while it is there.
//!
//! A `BTreeMap` compares keys at each level, and moves the neighbours of what it inserts or removes: with calls of
//! 200 bytes that was half of the work of a machine. Numbers of calls follow one another, so their low bits spread
//! them evenly, and nothing has to be hashed.

use alloc::vec::Vec;
use core::fmt;
use core::hash::{Hash, Hasher};

use crate::ids::{CallId, Mark};

/// No node.
const NONE: u32 = u32::MAX;
/// Chains of a table that holds anything.
const CHAINS_AT_FIRST: usize = 16;

/// A key with a number whose low bits tell it from most others.
pub(crate) trait Numbered: Copy + Ord + Hash {
    fn number(&self) -> u64;
}

impl Numbered for Mark {
    fn number(&self) -> u64 {
        self.trans.0
    }
}

impl Numbered for CallId {
    fn number(&self) -> u64 {
        // Callers that begin at the same time count alike: so that they do not share their chains, each begins
        // elsewhere.
        self.trans.0.wrapping_add(u64::from(self.source.0.wrapping_mul(0x9E37_79B9) >> 8))
    }
}

/// The map. Two of them are equal if they hold the same, in whatever order that came.
#[derive(Clone)]
pub(crate) struct Table<K, V> {
    /// The first node of each chain; as many as a power of two, or none yet.
    chains: Vec<u32>,
    nodes: Vec<Node<K, V>>,
    /// The first of the nodes without an entry, which form a chain too.
    free: u32,
    len: usize,
}

#[derive(Clone)]
struct Node<K, V> {
    entry: Option<(K, V)>,
    next: u32,
}

impl<K: Numbered, V> Table<K, V> {
    pub(crate) const fn new() -> Self {
        Self { chains: Vec::new(), nodes: Vec::new(), free: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_some()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let node = self.find(key)?;
        self.nodes[node].entry.as_ref().map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let node = self.find(key)?;
        self.nodes[node].entry.as_mut().map(|(_, value)| value)
    }

    /// Puts a value, over another one of this key, and gives the place where it is now.
    pub(crate) fn insert(&mut self, key: K, value: V) -> &mut V {
        let node = match self.find(&key) {
            Some(node) => node,
            None => self.link(&key),
        };
        &mut self.nodes[node].entry.insert((key, value)).1
    }

    /// A node for a key that has none.
    fn link(&mut self, key: &K) -> usize {
        if self.len == self.chains.len() {
            self.grow();
        }
        let chain = self.chain(key);
        let next = self.chains[chain];
        let mut node = self.free as usize;
        if let Some(free) = self.nodes.get_mut(node) {
            self.free = core::mem::replace(&mut free.next, next);
        } else {
            node = self.nodes.len();
            self.nodes.push(Node { entry: None, next });
        }
        self.chains[chain] = node as u32;
        self.len += 1;
        node
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let node = self.find(key)?;
        let next = self.nodes[node].next;
        let chain = self.chain(key);
        if self.chains[chain] as usize == node {
            self.chains[chain] = next;
        } else {
            let mut before = self.chains[chain] as usize;
            while self.nodes[before].next as usize != node {
                before = self.nodes[before].next as usize;
            }
            self.nodes[before].next = next;
        }
        self.nodes[node].next = self.free;
        self.free = node as u32;
        self.len -= 1;
        self.nodes[node].entry.take().map(|(_, value)| value)
    }

    /// All values, in no order.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.nodes.iter_mut().filter_map(|node| node.entry.as_mut().map(|(_, value)| value))
    }

    /// All entries, in the order of their keys.
    pub(crate) fn sorted(&self) -> Vec<(&K, &V)> {
        let mut entries: Vec<_> = self.entries().collect();
        entries.sort_unstable_by_key(|(key, _)| **key);
        entries
    }

    fn entries(&self) -> impl Iterator<Item = (&K, &V)> {
        self.nodes.iter().filter_map(|node| node.entry.as_ref().map(|(key, value)| (key, value)))
    }

    fn find(&self, key: &K) -> Option<usize> {
        let mut node = *self.chains.get(self.chain(key))?;
        // An index that is no node's ends each chain.
        while let Some(Node { entry, next }) = self.nodes.get(node as usize) {
            if entry.as_ref().is_some_and(|(there, _)| there == key) {
                return Some(node as usize);
            }
            node = *next;
        }
        None
    }

    fn chain(&self, key: &K) -> usize {
        key.number() as usize & self.chains.len().wrapping_sub(1)
    }

    /// Twice as many chains.
    fn grow(&mut self) {
        let chains = (self.chains.len() * 2).max(CHAINS_AT_FIRST);
        self.chains.clear();
        self.chains.resize(chains, NONE);
        // None is free: there are as many entries as there were chains, and never more nodes than that.
        for node in 0..self.nodes.len() {
            let Some((key, _)) = &self.nodes[node].entry else { continue };
            let chain = key.number() as usize & (chains - 1);
            self.nodes[node].next = core::mem::replace(&mut self.chains[chain], node as u32);
        }
    }
}

impl<K: Numbered, V: PartialEq> PartialEq for Table<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.entries().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl<K: Numbered, V: Eq> Eq for Table<K, V> {}

impl<K: Numbered, V: Hash> Hash for Table<K, V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sorted().hash(state);
    }
}

impl<K: Numbered + fmt::Debug, V: fmt::Debug> fmt::Debug for Table<K, V> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.sorted()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;

    use super::*;
    use crate::ids::{Incarnation, TransId};

    fn key(number: u64) -> Mark {
        Mark { born: Incarnation(number % 3), trans: TransId(number / 3) }
    }

    #[test]
    fn a_table_holds_what_a_map_of_the_standard_library_holds() {
        let (mut table, mut map) = (Table::new(), BTreeMap::new());
        let mut number = 1_u64;
        for step in 0..20_000_u64 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = key((number >> 33) % 300);
            if number >> 63 == 0 {
                table.insert(key, step);
                map.insert(key, step);
            } else {
                assert_eq!(table.remove(&key), map.remove(&key));
            }
            assert_eq!((table.get(&key), table.len()), (map.get(&key), map.len()));
        }
        assert_eq!(table.sorted(), map.iter().collect::<Vec<_>>());
        assert!(table.nodes.len() <= 300, "what was removed leaves its place to others");
    }

    #[test]
    fn tables_are_equal_whatever_the_order_in_which_they_were_filled() {
        let (mut up, mut down) = (Table::new(), Table::new());
        for number in 0..50 {
            up.insert(key(number), number);
            down.insert(key(49 - number), 49 - number);
        }
        assert_eq!(up, down);
        down.remove(&key(7));
        assert_ne!(up, down);
        up.insert(key(7), 8);
        down.insert(key(7), 7);
        assert_ne!(up, down);
    }
}
