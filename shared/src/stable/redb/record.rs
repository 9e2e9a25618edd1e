//! How the records of a stable area are written: a version, a checksum over everything including the key and the
//! table, and the content in fixed order. By hand and not with a derive: the body is copied once and nothing else
//! is on the way, and the format is what this file says, whatever becomes of the types.

mod block;
mod calls;
mod journal;
mod keys;
mod reread;
mod rows;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use palib_core::ids::{Incarnation, Mark, TransId};

pub(super) use self::block::{
    Block, BlockChange, Place, RowChange, block_of, last_of_block, not_alone, not_in_block, rewrite_block,
};
pub(super) use self::calls::{decode_pending, encode_pending};
pub(super) use self::journal::{decode_journaled, encode_journaled};
pub(super) use self::keys::{
    after_prefix, call_key, journal_key, parse_call_key, parse_journal_key, parse_slot_key, parse_source_key,
    served_key, slot_key, source_key,
};
pub use self::reread::reread_record;
pub(super) use self::rows::{Written, decode_row, is_indexed, put_row};

/// The version of the records below. The version of the whole area is the schema version in its table `meta`.
const RECORD_VERSION: u8 = 1;
/// Version and checksum.
const HEAD_BYTES: usize = 5;

/// The tables of a stable area. The number of each is in the checksums of its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Meta,
    /// Its rows lie here if they are large, and in `Blocks` if they are not: see [`Block`].
    Redundancy,
    Blocked,
    Marks,
    Outbox,
    Relay,
    App,
    Blocks,
}

impl Table {
    pub(super) const ALL: [Self; 8] = [
        Self::Meta,
        Self::Redundancy,
        Self::Blocks,
        Self::Blocked,
        Self::Marks,
        Self::Outbox,
        Self::Relay,
        Self::App,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Redundancy => "redundancy",
            Self::Blocked => "blocked",
            Self::Marks => "marks",
            Self::Outbox => "outbox",
            Self::Relay => "relay",
            Self::App => "app",
            Self::Blocks => "blocks",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// What is wrong with a record.
pub(super) type Damage = String;

/// Puts version and checksum before a content.
pub(super) fn frame(table: Table, key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = open_frame(content.len());
    out.extend_from_slice(content);
    close_frame(table, key, &mut out);
    out
}

/// The content of a record whose version and checksum are right.
pub(super) fn content<'a>(table: Table, key: &[u8], record: &'a [u8]) -> Result<&'a [u8], Damage> {
    let Some((head, content)) = record.split_first_chunk::<HEAD_BYTES>() else {
        return Err(format!("{} bytes are too short for a record", record.len()));
    };
    if head[0] != RECORD_VERSION {
        return Err(format!("record version {}, this palib reads version {RECORD_VERSION}", head[0]));
    }
    let found = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let right = checksum(table, key, content);
    if found != right {
        return Err(format!("its checksum is {found:08x}, its content has {right:08x}"));
    }
    Ok(content)
}

pub(super) fn encode_mark(key: &[u8], mark: Mark) -> Vec<u8> {
    let mut out = open_frame(16);
    out.extend_from_slice(&mark.born.0.to_le_bytes());
    out.extend_from_slice(&mark.trans.0.to_le_bytes());
    close_frame(Table::Marks, key, &mut out);
    out
}

pub(super) fn decode_mark(key: &[u8], record: &[u8]) -> Result<Mark, Damage> {
    let mut take = Take(content(Table::Marks, key, record)?);
    let mark = Mark { born: Incarnation(take.u64_le()?), trans: TransId(take.u64_le()?) };
    take.end()?;
    Ok(mark)
}

/// An entry of the index of blocked rows: which call it is that is blocked, or relaying, in that slot.
pub(super) fn encode_blocked(key: &[u8], trans: TransId) -> Vec<u8> {
    frame(Table::Blocked, key, &trans.0.to_le_bytes())
}

pub(super) fn decode_blocked(key: &[u8], record: &[u8]) -> Result<TransId, Damage> {
    let mut take = Take(content(Table::Blocked, key, record)?);
    let trans = TransId(take.u64_le()?);
    take.end()?;
    Ok(trans)
}

/// What is wrong with an entry of the index that has no such row.
pub(super) fn not_blocked(trans: TransId) -> Damage {
    format!("it says that call {trans} is blocked or relaying, and the redundancy table does not")
}

fn open_frame(content_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + content_bytes);
    begin_frame(&mut out);
    out
}

/// Appends a version, and room for a checksum.
fn begin_frame(out: &mut Vec<u8>) {
    out.push(RECORD_VERSION);
    out.extend_from_slice(&[0; HEAD_BYTES - 1]);
}

fn close_frame(table: Table, key: &[u8], record: &mut [u8]) {
    let sum = checksum(table, key, &record[HEAD_BYTES..]);
    record[1..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// Bytes behind which something follows. A body is far shorter than the 4 GiB this could say.
fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    out.extend_from_slice(bytes);
}

/// The key and the table are part of it: a record that strayed to another place is found out too.
fn checksum(table: Table, key: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[table as u8, RECORD_VERSION]);
    hasher.update(key);
    hasher.update(content);
    hasher.finalize()
}

/// Takes fields off the front of a record.
pub(super) struct Take<'a>(pub(super) &'a [u8]);

impl Take<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else {
            return Err("it ends too early".to_owned());
        };
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, Damage> {
        Ok(self.array::<1>()?[0])
    }

    fn u32_be(&mut self) -> Result<u32, Damage> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64_be(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn u64_le(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bool(&mut self) -> Result<bool, Damage> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{other} is neither true nor false")),
        }
    }

    fn sized(&mut self) -> Result<Bytes, Damage> {
        let bytes = u32::from_le_bytes(self.array()?) as usize;
        let Some((field, rest)) = self.0.split_at_checked(bytes) else {
            return Err("it ends too early".to_owned());
        };
        self.0 = rest;
        Ok(Bytes::copy_from_slice(field))
    }

    fn rest(&mut self) -> Bytes {
        Bytes::copy_from_slice(std::mem::take(&mut self.0))
    }

    pub(super) fn end(&self) -> Result<(), Damage> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("{} bytes too many", self.0.len())) }
    }
}
