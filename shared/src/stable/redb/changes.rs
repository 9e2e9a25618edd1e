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

#[cfg(test)]
mod tests {
    use palib_core::ids::{AliasId, Incarnation, Session, Slot};

    use super::super::record::last_of_block;
    use super::*;

    fn key(born: u64, slot: u32) -> SlotKey {
        SlotKey { session: Session { source: AliasId(3), born: Incarnation(born) }, slot: Slot(slot) }
    }

    type Written = Vec<(SlotKey, Vec<(SlotKey, Option<String>)>)>;

    fn written(changes: RowChanges) -> Written {
        let mut written = Vec::new();
        let text = |record: &[u8]| String::from_utf8(record.to_vec()).unwrap();
        let done: Result<(), ()> = changes.each_block(|first, changes| {
            written.push((first, changes.iter().map(|(key, record)| (*key, record.map(text))).collect()));
            Ok(())
        });
        done.unwrap();
        written
    }

    fn put(changes: &mut RowChanges, key: SlotKey, text: &str) {
        changes.put(key, |out| out.extend_from_slice(text.as_bytes()));
    }

    #[test]
    fn of_several_changes_of_a_slot_the_last_one_counts_and_each_block_comes_once() {
        let mut changes = RowChanges::default();
        let (last, next) = (last_of_block(key(1, 0)), last_of_block(key(1, 0)).slot.0 + 1);
        put(&mut changes, key(1, next), "next");
        put(&mut changes, key(1, 2), "first");
        changes.drop_row(last);
        changes.drop_row(key(1, 2));
        put(&mut changes, key(1, 2), "last");
        put(&mut changes, key(1, 0), "zero");
        changes.drop_row(key(1, 0));
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            written(changes),
            [
                (key(1, 0), vec![(key(1, 0), None), (key(1, 2), text("last")), (last, None)]),
                (key(1, next), vec![(key(1, next), text("next"))]),
            ]
        );
    }

    #[test]
    fn what_is_forgotten_is_not_written_and_what_comes_after_it_is() {
        let mut changes = RowChanges::default();
        put(&mut changes, key(1, 5), "dropped with its session");
        put(&mut changes, key(2, 5), "stays");
        changes.forget(&(key(1, 0)..key(2, 0)));
        put(&mut changes, key(1, 6), "straggler");
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(
            written(changes),
            [
                (key(1, 0), vec![(key(1, 6), text("straggler"))]),
                (key(2, 0), vec![(key(2, 5), text("stays"))]),
            ]
        );
    }
}
