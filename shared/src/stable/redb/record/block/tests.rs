//! A block of rows is held against a map, change after change.

use std::collections::BTreeMap;

use palib_core::ids::{AliasId, Incarnation, Session};
use proptest::prelude::*;

use super::*;

/// A block in the middle of a ring.
fn first() -> SlotKey {
    SlotKey { session: Session { source: AliasId(3), born: Incarnation(2) }, slot: Slot(BLOCK_SLOTS * 5) }
}

fn slot(number: u32) -> SlotKey {
    SlotKey { slot: Slot(first().slot.0 + number), ..first() }
}

type Change = Option<Vec<u8>>;

/// What lies in the two tables.
#[derive(Default)]
struct Tables {
    block: Option<Vec<u8>>,
    alone: BTreeMap<SlotKey, Vec<u8>>,
}

impl Tables {
    /// Makes changes, and gives how many rows there were and are.
    fn change(&mut self, changes: &BTreeMap<SlotKey, Change>) -> (usize, usize) {
        let changes: Vec<RowChange<'_>> = changes.iter().map(|(key, row)| (*key, row.as_deref())).collect();
        let rewrite = rewrite_block(first(), self.block.as_deref(), &changes).unwrap();
        match rewrite.block {
            BlockChange::Stays => {}
            BlockChange::Put(record) => self.block = Some(record),
            BlockChange::Goes => assert!(self.block.take().is_some(), "what goes was there"),
        }
        for (key, change) in rewrite.alone {
            match change {
                Some(record) => drop(self.alone.insert(key, record.to_vec())),
                None => assert!(self.alone.remove(&key).is_some(), "who lies alone no more was alone"),
            }
        }
        (rewrite.rows_before, rewrite.rows_after)
    }

    /// All rows, each read on its own and all in a row.
    fn rows(&self) -> BTreeMap<SlotKey, Vec<u8>> {
        let Some(record) = &self.block else { return BTreeMap::new() };
        let block = Block::parse(&slot_key(first()), record).unwrap();
        let places: Vec<_> = block.places().collect();
        for number in 0..BLOCK_SLOTS {
            let key = slot(number);
            let listed = places.iter().find(|(other, _)| *other == key).map(|(_, place)| *place);
            assert_eq!(block.place(key.slot), listed.unwrap_or(Place::Nowhere));
        }
        let record = |(key, place): &(SlotKey, Place<'_>)| match place {
            Place::Packed(record) => (*key, record.to_vec()),
            Place::Alone => (*key, self.alone[key].clone()),
            Place::Nowhere => panic!("a place without a row was listed"),
        };
        places.iter().map(record).collect()
    }
}

/// Rows of all lengths, more of them near the limit between those that are packed and those that lie alone.
fn changes() -> impl Strategy<Value = BTreeMap<SlotKey, Change>> {
    let lengths = prop_oneof![1..60usize, PACKED_BYTES_MAX - 1..PACKED_BYTES_MAX + 2, Just(3000)];
    let records = (lengths, any::<u8>()).prop_map(|(bytes, byte)| vec![byte; bytes]);
    let slots = prop_oneof![0..6u32, 0..BLOCK_SLOTS, BLOCK_SLOTS - 3..BLOCK_SLOTS];
    prop::collection::btree_map(slots.prop_map(slot), prop::option::weighted(0.7, records), 0..20)
}

proptest! {
    #[test]
    fn a_block_holds_what_was_put_into_it_and_was_not_dropped(all in prop::collection::vec(changes(), 1..12)) {
        let (mut tables, mut wanted) = (Tables::default(), BTreeMap::new());
        for changes in all {
            let before = wanted.len();
            for (slot, change) in &changes {
                match change {
                    Some(record) => drop(wanted.insert(*slot, record.clone())),
                    None => drop(wanted.remove(slot)),
                }
            }
            prop_assert_eq!(tables.change(&changes), (before, wanted.len()));
            prop_assert_eq!(&tables.rows(), &wanted);
            prop_assert_eq!(tables.block.is_none(), wanted.is_empty());
            let large = wanted.values().filter(|record| record.len() > PACKED_BYTES_MAX).count();
            prop_assert_eq!(tables.alone.len(), large);
        }
    }

    /// What a takeover or an inspection would make of a bit that rotted: an error, or a row with the bit in it, whose
    /// own checksum tells.
    #[test]
    fn any_flipped_bit_is_found_or_lies_in_one_row(changes in changes(), place: prop::sample::Index) {
        let mut tables = Tables::default();
        tables.change(&changes);
        prop_assume!(tables.block.is_some());
        let before = tables.rows();
        let mut record = tables.block.clone().unwrap();
        let bit = place.index(record.len() * 8);
        record[bit / 8] ^= 1 << (bit % 8);
        if bit / 8 < ROWS_AT {
            prop_assert!(Block::parse(&slot_key(first()), &record).is_err());
        } else {
            tables.block = Some(record);
            let after = tables.rows();
            let differing = before.iter().filter(|(slot, record)| after[slot] != **record).count();
            prop_assert_eq!((before.len(), differing), (after.len(), 1));
        }
    }

    #[test]
    fn a_block_that_is_cut_off_or_too_long_is_found(changes in changes(), bytes in 0..20_000usize) {
        let mut tables = Tables::default();
        tables.change(&changes);
        prop_assume!(tables.block.as_ref().is_some_and(|block| block.len() != bytes));
        let mut record = tables.block.unwrap();
        record.resize(bytes, 0);
        prop_assert!(Block::parse(&slot_key(first()), &record).is_err());
    }

    #[test]
    fn no_bytes_make_the_reader_of_a_block_panic(
        key in prop_oneof![Just(slot_key(first()).to_vec()), prop::collection::vec(any::<u8>(), 0..40)],
        directory in prop::collection::vec(0..4u16, BLOCK_SLOTS as usize),
        odd in (0..BLOCK_SLOTS as usize, any::<u16>()),
        rows in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        // With a right checksum, so that what lies behind it is reached.
        let mut directory = directory;
        directory[odd.0] = odd.1;
        let directory: Vec<u8> = directory.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        let record = [super::super::frame(Table::Blocks, &key, &directory), rows].concat();
        if let Ok(block) = Block::parse(&key, &record) {
            prop_assert_eq!(block.places().count(), block.row_count());
        }
    }
}

/// The record of a block into which one row is put.
fn block_with(row: &[u8]) -> Vec<u8> {
    match rewrite_block(first(), None, &[(first(), Some(row))]).unwrap().block {
        BlockChange::Put(record) => record,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_block_that_strayed_to_another_place_is_damaged() {
    let record = block_with(b"a row");
    let neighbour = slot(BLOCK_SLOTS);
    assert!(Block::parse(&slot_key(first()), &record).is_ok());
    assert!(Block::parse(&slot_key(neighbour), &record).is_err());
    // And a block is not written over one that can't be read: what else is in it would be lost.
    assert!(rewrite_block(neighbour, Some(&record), &[]).is_err());
}

/// A service whose replies are large writes as much as if there were no blocks.
#[test]
fn a_large_row_in_the_place_of_a_large_one_leaves_its_block_alone() {
    let (one, other) = ([1; PACKED_BYTES_MAX + 1], [2; PACKED_BYTES_MAX + 1]);
    let record = block_with(&one);
    let again = rewrite_block(first(), Some(&record), &[(first(), Some(&other))]).unwrap();
    assert_eq!(again.block, BlockChange::Stays);
    assert_eq!(again.alone, [(first(), Some(&other[..]))]);
}
