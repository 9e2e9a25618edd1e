//! Reading a stable area as of one commit.

use ::redb::{
    AccessGuard, Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTableMetadata,
};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use palib_core::ids::{AliasId, Mark, SlotKey, TransId};
use palib_core::redundancy::Row;
use palib_core::relay::Journaled;
use palib_core::resend::Pending;

use super::file::{definition, redb_error};
use super::record::{self, Block, Damage, Place, Table, Written};
use super::show::hex;
use crate::stable::{AppRead, AreaError};

type Records = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// All tables as of one commit. As long as it lives redb keeps the pages of that commit.
pub(super) struct Snapshot {
    file: Arc<str>,
    txn: ReadTransaction,
    // The tables of the lookup before each request; the others are opened when they are asked for.
    blocks: Records,
    marks: Records,
}

/// What a walk finds: a record, or what is wrong where one should be.
pub(super) type FoundRecord<'a> = Result<&'a [u8], Damage>;

impl Snapshot {
    pub(super) fn of(db: &Database, file: &Arc<str>) -> Result<Self, AreaError> {
        let txn = begin_read(db, file)?;
        let blocks = open(&txn, Table::Blocks, file)?;
        let marks = open(&txn, Table::Marks, file)?;
        Ok(Self { file: Arc::clone(file), txn, blocks, marks })
    }

    pub(super) fn file(&self) -> &str {
        &self.file
    }

    /// Reads one record.
    pub(super) fn get<T>(
        &self,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Damage>,
    ) -> Result<Option<T>, AreaError> {
        match table {
            Table::Blocks => get_in(&self.blocks, &self.file, table, key, decode),
            Table::Marks => get_in(&self.marks, &self.file, table, key, decode),
            _ => get_in(&open(&self.txn, table, &self.file)?, &self.file, table, key, decode),
        }
    }

    /// Calls `each` with key and value of all records of a table behind `after` (or at and behind `from`), in the
    /// order of their keys, until it returns false. Of the redundancy table it sees the large rows only.
    pub(super) fn walk(
        &self,
        table: Table,
        from: Bound<&[u8]>,
        mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, AreaError>,
    ) -> Result<(), AreaError> {
        let records = open(&self.txn, table, &self.file)?;
        let range = records
            .range::<&[u8]>((from, Bound::Unbounded))
            .map_err(|error| redb_error(&self.file, error.into()))?;
        for entry in range {
            let (key, value): (AccessGuard<'_, &[u8]>, AccessGuard<'_, &[u8]>) =
                entry.map_err(|error| redb_error(&self.file, error.into()))?;
            if !each(key.value(), value.value())? {
                break;
            }
        }
        Ok(())
    }

    /// The same as an operator sees the table: with all rows of the redundancy table, wherever they lie. A block of
    /// them that is damaged is found as one row at its first slot.
    pub(super) fn walk_whole(
        &self,
        table: Table,
        from: Bound<&[u8]>,
        mut each: impl FnMut(&[u8], FoundRecord<'_>) -> Result<bool, AreaError>,
    ) -> Result<(), AreaError> {
        match table {
            Table::Redundancy => self.walk_rows(from, each),
            _ => self.walk(table, from, |key, record| each(key, Ok(record))),
        }
    }

    fn walk_rows(
        &self,
        from: Bound<&[u8]>,
        mut each: impl FnMut(&[u8], FoundRecord<'_>) -> Result<bool, AreaError>,
    ) -> Result<(), AreaError> {
        let alone = open(&self.txn, Table::Redundancy, &self.file)?;
        let is_wanted = |key: &[u8]| match from {
            Bound::Included(from) => key >= from,
            Bound::Excluded(after) => key > after,
            Bound::Unbounded => true,
        };
        let first_block = from.map(|key| match record::parse_slot_key(key) {
            Ok(slot) => record::slot_key(record::block_of(slot)).to_vec(),
            Err(_) => key.to_vec(),
        });
        let first_block = match &first_block {
            // The block in which the last row lies has others behind it.
            Bound::Included(key) | Bound::Excluded(key) => Bound::Included(&key[..]),
            Bound::Unbounded => Bound::Unbounded,
        };
        self.walk(Table::Blocks, first_block, |first, block| {
            let block = match Block::parse(first, block) {
                Ok(block) => block,
                Err(damage) => return Ok(!is_wanted(first) || each(first, Err(in_block(&damage)))?),
            };
            for (key, place) in block.places() {
                let key = record::slot_key(key);
                let goes_on = match place {
                    _ if !is_wanted(&key) => true,
                    Place::Nowhere => true,
                    Place::Packed(record) => each(&key, Ok(record))?,
                    Place::Alone => {
                        let record =
                            alone.get(&key[..]).map_err(|error| redb_error(&self.file, error.into()))?;
                        let found = record.as_ref().map(AccessGuard::value).ok_or_else(record::not_alone);
                        each(&key, found)?
                    }
                };
                if !goes_on {
                    return Ok(false);
                }
            }
            Ok(true)
        })
    }

    /// Decodes all records of a table.
    fn all<T>(
        &self,
        table: Table,
        decode: impl Fn(&[u8], &[u8]) -> Result<T, Damage>,
    ) -> Result<Vec<T>, AreaError> {
        let mut out = Vec::new();
        self.walk(table, Bound::Unbounded, |key, value| {
            out.push(decode(key, value).map_err(|damage| self.damaged(table, key, damage))?);
            Ok(true)
        })?;
        Ok(out)
    }

    /// How many records a table has; redb keeps count, this does not walk. How many rows the redundancy table has, the
    /// table `meta` says.
    pub(super) fn count(&self, table: Table) -> Result<u64, AreaError> {
        open(&self.txn, table, &self.file)?.len().map_err(|error| redb_error(&self.file, error.into()))
    }

    /// Whether nothing was ever written into it, or all of that is gone again.
    pub(super) fn is_new(&self) -> Result<bool, AreaError> {
        for table in Table::ALL {
            if table != Table::Meta && self.count(table)? > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The row of a slot.
    fn row(&self, key: SlotKey) -> Result<Option<Written>, AreaError> {
        let (slot, first) = (record::slot_key(key), record::slot_key(record::block_of(key)));
        let block = self.blocks.get(&first[..]).map_err(|error| redb_error(&self.file, error.into()))?;
        let Some(block) = block else { return Ok(None) };
        let damaged = |damage| self.damaged(Table::Redundancy, &slot, damage);
        let block = Block::parse(&first, block.value()).map_err(|damage| damaged(in_block(&damage)))?;
        match block.place(key.slot) {
            Place::Nowhere => Ok(None),
            Place::Packed(record) => record::decode_row(&slot, record).map(Some).map_err(damaged),
            Place::Alone => self
                .get(Table::Redundancy, &slot, |record| record::decode_row(&slot, record))?
                .map(Some)
                .ok_or_else(|| damaged(record::not_alone())),
        }
    }

    pub(super) fn load(&self, key: SlotKey) -> Result<(Option<Row<Bytes>>, Option<Mark>), AreaError> {
        let row = self.row(key)?;
        let source = record::source_key(key.session.source);
        let mark = self.get(Table::Marks, &source, |record| record::decode_mark(&source, record))?;
        Ok((row.map(|written| written.row), mark))
    }

    pub(super) fn outbox(&self) -> Result<Vec<Pending<Bytes>>, AreaError> {
        self.all(Table::Outbox, record::decode_pending)
    }

    pub(super) fn journal(&self) -> Result<Vec<Journaled<Bytes>>, AreaError> {
        self.all(Table::Relay, record::decode_journaled)
    }

    pub(super) fn marks(&self) -> Result<Vec<(AliasId, Mark)>, AreaError> {
        self.all(Table::Marks, |key, value| {
            Ok((record::parse_source_key(key)?, record::decode_mark(key, value)?))
        })
    }

    /// The index of blocked rows.
    pub(super) fn blocked_index(&self) -> Result<Vec<(SlotKey, TransId)>, AreaError> {
        self.all(Table::Blocked, |key, value| {
            Ok((record::parse_slot_key(key)?, record::decode_blocked(key, value)?))
        })
    }

    pub(super) fn blocked(&self) -> Result<Vec<(SlotKey, Row<Bytes>)>, AreaError> {
        let mut out = Vec::new();
        for (key, trans) in self.blocked_index()? {
            let row = self.load(key)?.0;
            match row {
                Some(row) if row.id.trans == trans && record::is_indexed(&row.state) => {
                    out.push((key, row));
                }
                _ => {
                    return Err(self.damaged(
                        Table::Blocked,
                        &record::slot_key(key),
                        record::not_blocked(trans),
                    ));
                }
            }
        }
        Ok(out)
    }

    pub(super) fn damaged(&self, table: Table, key: &[u8], damage: Damage) -> AreaError {
        damaged(&self.file, table, key, damage)
    }
}

impl AppRead for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, AreaError> {
        Snapshot::get(self, Table::App, key, |record| {
            record::content(Table::App, key, record).map(Bytes::copy_from_slice)
        })
    }

    fn scan(&self, prefix: &[u8], each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), AreaError> {
        self.walk(Table::App, Bound::Included(prefix), |key, value| {
            if !key.starts_with(prefix) {
                return Ok(false);
            }
            let content = record::content(Table::App, key, value)
                .map_err(|damage| self.damaged(Table::App, key, damage))?;
            Ok(each(key, content))
        })
    }
}

pub(super) fn damaged(file: &str, table: Table, key: &[u8], reason: Damage) -> AreaError {
    AreaError::DamagedRecord { file: file.to_owned(), table: table.name().to_owned(), key: hex(key), reason }
}

/// What is wrong with a row whose block can't be read.
fn in_block(damage: &str) -> Damage {
    format!("the block of rows it lies in is damaged: {damage}")
}

/// Reads one record as of the last commit, and opens no other table: there may be others in another version.
pub(super) fn read_one<T>(
    db: &Database,
    file: &str,
    table: Table,
    key: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, Damage>,
) -> Result<Option<T>, AreaError> {
    get_in(&open(&begin_read(db, file)?, table, file)?, file, table, key, decode)
}

fn get_in<T>(
    records: &Records,
    file: &str,
    table: Table,
    key: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, Damage>,
) -> Result<Option<T>, AreaError> {
    match records.get(key).map_err(|error| redb_error(file, error.into()))? {
        Some(record) => decode(record.value()).map(Some).map_err(|damage| damaged(file, table, key, damage)),
        None => Ok(None),
    }
}

fn begin_read(db: &Database, file: &str) -> Result<ReadTransaction, AreaError> {
    db.begin_read().map_err(|error| redb_error(file, error.into()))
}

fn open(txn: &ReadTransaction, table: Table, file: &str) -> Result<Records, AreaError> {
    txn.open_table(definition(table)).map_err(|error| redb_error(file, error.into()))
}
