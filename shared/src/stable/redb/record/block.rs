//! Blocks of rows: neighbouring slots of a ring in one record of redb.
//!
//! redb looks for the place of each record it is given and moves its neighbours, which was most of the work of a large
//! commit. Callers use their slots one after another, so the rows of a commit are neighbours, and are one record of redb
//! or two if neighbours share one: with 64 rows a commit takes two thirds of the time besides its sync, with 128 three
//! fifths, and it writes a sixth fewer pages. A row that is large is better off alone: its block would be written again,
//! with it, for each of its neighbours.
//!
//! A block begins as every record, with a version and a checksum, but the checksum covers the directory only. The
//! directory has a number of two bytes for each slot: how long its row is, 0 if there is none, [`ALONE`] if it lies in
//! the table `redundancy` under its own key. The rows follow in the order of their slots. Each is a record of its own
//! with its own checksum, the same as if it lay alone.

use palib_core::ids::{Slot, SlotKey};

use super::keys::parse_slot_key;
use super::{Damage, HEAD_BYTES, Table, close_frame, content, open_frame, slot_key};

/// The slots of a block.
pub(crate) const BLOCK_SLOTS: u32 = 64;
/// A longer row lies alone. So a full block fits into two pages of redb, and one of short rows into one.
pub(crate) const PACKED_BYTES_MAX: usize = 120;
/// What the directory says of a row that lies alone.
const ALONE: u16 = u16::MAX;
pub(super) const DIRECTORY_BYTES: usize = 2 * BLOCK_SLOTS as usize;
const ROWS_AT: usize = HEAD_BYTES + DIRECTORY_BYTES;

/// The first slot of the block in which a slot lies.
pub(crate) fn block_of(key: SlotKey) -> SlotKey {
    SlotKey { slot: Slot(key.slot.0 - key.slot.0 % BLOCK_SLOTS), ..key }
}

/// The last slot of the block that begins at this one.
pub(crate) fn last_of_block(first: SlotKey) -> SlotKey {
    SlotKey { slot: Slot(first.slot.0.saturating_add(BLOCK_SLOTS - 1)), ..first }
}

/// A block as it was read.
pub(crate) struct Block<'a> {
    first: SlotKey,
    directory: [u16; BLOCK_SLOTS as usize],
    rows: &'a [u8],
}

/// Where the row of a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place<'a> {
    Nowhere,
    /// Here: its record.
    Packed(&'a [u8]),
    /// In the table `redundancy`, under its own key.
    Alone,
}

/// What becomes of the row of a slot: the record to put there, or none if it is dropped.
pub(crate) type RowChange<'a> = (SlotKey, Option<&'a [u8]>);

/// What must be written so that changes are in a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Rewrite<'a> {
    pub(crate) block: BlockChange,
    /// Rows that are put alone from now on or again, and those that lie alone no more.
    pub(crate) alone: Vec<RowChange<'a>>,
    /// So many rows it had, and has.
    pub(crate) rows_before: usize,
    pub(crate) rows_after: usize,
}

/// What becomes of the record of a block.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) enum BlockChange {
    /// It is as it was.
    #[default]
    Stays,
    Put(Vec<u8>),
    /// No row is left.
    Goes,
}

impl<'a> Block<'a> {
    fn empty(first: SlotKey) -> Self {
        Self { first, directory: [0; BLOCK_SLOTS as usize], rows: &[] }
    }

    /// Reads a block. Its rows may still be damaged.
    pub(crate) fn parse(key: &[u8], record: &'a [u8]) -> Result<Self, Damage> {
        let Some((head, rows)) = record.split_at_checked(ROWS_AT) else {
            return Err(format!("{} bytes are too short for a block of rows", record.len()));
        };
        let first = parse_slot_key(key)?;
        if block_of(first) != first {
            return Err(format!("no block of rows begins at slot {}", first.slot));
        }
        let mut directory = [0; BLOCK_SLOTS as usize];
        for (entry, bytes) in directory.iter_mut().zip(content(Table::Blocks, key, head)?.chunks_exact(2)) {
            *entry = u16::from_le_bytes([bytes[0], bytes[1]]);
        }
        if let Some(bytes) = directory.iter().find(|entry| packed_bytes(**entry) > PACKED_BYTES_MAX) {
            return Err(format!(
                "a row of {bytes} bytes lies in it; rows of more than {PACKED_BYTES_MAX} lie alone"
            ));
        }
        let block = Self { first, directory, rows };
        let wanted = block.start_of(BLOCK_SLOTS as usize);
        if wanted != rows.len() {
            return Err(format!("it has {} bytes of rows, its directory says {wanted}", rows.len()));
        }
        Ok(block)
    }

    /// Where the row of a slot of this block is.
    pub(crate) fn place(&self, slot: Slot) -> Place<'a> {
        let index = index_of(slot);
        self.place_from(index, self.start_of(index))
    }

    /// All its rows, in the order of their slots.
    pub(crate) fn places(&self) -> impl Iterator<Item = (SlotKey, Place<'a>)> {
        let mut start = 0;
        (0..BLOCK_SLOTS).filter_map(move |number| {
            let place = self.place_from(number as usize, start);
            if let Place::Packed(record) = place {
                start += record.len();
            }
            (place != Place::Nowhere).then_some((self.key(number as usize), place))
        })
    }

    /// How many rows it has.
    pub(crate) fn row_count(&self) -> usize {
        self.directory.iter().filter(|entry| **entry != 0).count()
    }

    fn key(&self, index: usize) -> SlotKey {
        SlotKey { slot: Slot(self.first.slot.0 + index as u32), ..self.first }
    }

    fn start_of(&self, index: usize) -> usize {
        self.directory[..index].iter().map(|entry| packed_bytes(*entry)).sum()
    }

    fn place_from(&self, index: usize, start: usize) -> Place<'a> {
        match self.directory[index] {
            0 => Place::Nowhere,
            ALONE => Place::Alone,
            bytes => Place::Packed(&self.rows[start..start + usize::from(bytes)]),
        }
    }

    /// What must be written so that these changes are in it.
    fn rewrite<'c>(&self, changes: &[RowChange<'c>]) -> Rewrite<'c> {
        let mut rewrite = Rewrite { rows_before: self.row_count(), ..Rewrite::default() };
        let (mut directory, mut packs) = (self.directory, false);
        let mut out = open_frame(ROWS_AT - HEAD_BYTES + self.rows.len() + changes.len() * PACKED_BYTES_MAX);
        out.resize(ROWS_AT, 0);
        // So much of the directory, and of the rows as they were, is behind us: in `out`, or gone.
        let (mut index, mut start) = (0, 0);
        for &(key, change) in changes {
            let changed = index_of(key.slot);
            let kept: usize = self.directory[index..changed].iter().map(|entry| packed_bytes(*entry)).sum();
            out.extend_from_slice(&self.rows[start..start + kept]);
            let was = self.directory[changed];
            (index, start) = (changed + 1, start + kept + packed_bytes(was));
            directory[changed] = match change {
                None => 0,
                Some(record) if record.len() > PACKED_BYTES_MAX => {
                    rewrite.alone.push((key, change));
                    ALONE
                }
                Some(record) => {
                    packs = true;
                    out.extend_from_slice(record);
                    record.len() as u16
                }
            };
            if was == ALONE && directory[changed] != ALONE {
                rewrite.alone.push((key, None));
            }
        }
        out.extend_from_slice(&self.rows[start..]);
        rewrite.rows_after = directory.iter().filter(|entry| **entry != 0).count();
        if rewrite.rows_after == 0 {
            rewrite.block = if rewrite.rows_before == 0 { BlockChange::Stays } else { BlockChange::Goes };
        } else if packs || directory != self.directory {
            for (bytes, entry) in out[HEAD_BYTES..].chunks_exact_mut(2).zip(directory) {
                bytes.copy_from_slice(&entry.to_le_bytes());
            }
            close_frame(Table::Blocks, &slot_key(self.first), &mut out[..ROWS_AT]);
            rewrite.block = BlockChange::Put(out);
        }
        rewrite
    }
}

/// What must be written so that these changes, each of another slot and in their order, are in the block that begins at
/// `first`, of which this is the record.
pub(crate) fn rewrite_block<'c>(
    first: SlotKey,
    record: Option<&[u8]>,
    changes: &[RowChange<'c>],
) -> Result<Rewrite<'c>, Damage> {
    let block = match record {
        Some(record) => Block::parse(&slot_key(first), record)?,
        None => Block::empty(first),
    };
    Ok(block.rewrite(changes))
}

/// What is wrong with a block whose row that lies alone is not there.
pub(crate) fn not_alone() -> Damage {
    "its block says that it lies alone, and it is not there".to_owned()
}

/// What is wrong with a row that lies alone, of which its block knows nothing.
pub(crate) fn not_in_block() -> Damage {
    "it lies alone, and its block does not say so".to_owned()
}

fn index_of(slot: Slot) -> usize {
    (slot.0 % BLOCK_SLOTS) as usize
}

/// How many bytes of a block a row takes of which the directory says this.
fn packed_bytes(entry: u16) -> usize {
    if entry == ALONE { 0 } else { usize::from(entry) }
}

#[cfg(test)]
mod tests;
