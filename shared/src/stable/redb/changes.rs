//! The changes of rows in one commit, until it is known what they make of the blocks they lie in.

use std::ops::{Range, RangeBounds};

use palib_core::ids::SlotKey;

use super::record::{RowChange, block_of};

/// Changes of rows. A block is written once, whatever changes in it, and the records lie in one piece of memory: a commit
/// may have hundreds.
#[derive(Default)]
pub(super) struct RowChanges {
    records: Vec<u8>,
    /// In the order they came: of several for one slot the last one counts.
    changes: Vec<(SlotKey, Option<Range<usize>>)>,
}

impl RowChanges {
    /// A row is put: `encode` appends its record.
    pub(super) fn put(&mut self, key: SlotKey, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.records.len();
        encode(&mut self.records);
        self.changes.push((key, Some(start..self.records.len())));
    }

    /// What lies in a slot is dropped.
    pub(super) fn drop_row(&mut self, key: SlotKey) {
        self.changes.push((key, None));
    }

    /// What has been changed so far in these slots is forgotten.
    pub(super) fn forget(&mut self, slots: &impl RangeBounds<SlotKey>) {
        self.changes.retain(|(key, _)| !slots.contains(key));
    }

    /// Calls `each` with the first slot of each block in which something changes, and with what, in the order of slots.
    pub(super) fn each_block<E>(
        mut self,
        mut each: impl FnMut(SlotKey, &[RowChange<'_>]) -> Result<(), E>,
    ) -> Result<(), E> {
        // Stable, so that the last change of a slot stays behind those before it.
        self.changes.sort_by_key(|(key, _)| *key);
        let changes: Vec<RowChange<'_>> = self
            .changes
            .chunk_by(|(one, _), (other, _)| one == other)
            .filter_map(<[_]>::last)
            .map(|(key, record)| (*key, record.clone().map(|record| &self.records[record])))
            .collect();
        changes
            .chunk_by(|(one, _), (other, _)| block_of(*one) == block_of(*other))
            .try_for_each(|changes| each(block_of(changes[0].0), changes))
    }
}
