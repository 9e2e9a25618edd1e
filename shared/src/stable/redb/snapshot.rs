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
use super::record::{self, Damage, Table};
use super::show::hex;
use crate::stable::{AppRead, AreaError};

type Records = ReadOnlyTable<&'static [u8], &'static [u8]>;

/// All tables as of one commit. As long as it lives redb keeps the pages of that commit.
pub(super) struct Snapshot {
    file: Arc<str>,
    txn: ReadTransaction,
    // The tables of the lookup before each request; the others are opened when they are asked for.
    redundancy: Records,
    marks: Records,
}

impl Snapshot {
    pub(super) fn of(db: &Database, file: &Arc<str>) -> Result<Self, AreaError> {
        let txn = db.begin_read().map_err(|error| redb_error(file, error.into()))?;
        let redundancy = open(&txn, Table::Redundancy, file)?;
        let marks = open(&txn, Table::Marks, file)?;
        Ok(Self { file: Arc::clone(file), txn, redundancy, marks })
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
            Table::Redundancy => self.get_in(&self.redundancy, table, key, decode),
            Table::Marks => self.get_in(&self.marks, table, key, decode),
            _ => self.get_in(&open(&self.txn, table, &self.file)?, table, key, decode),
        }
    }

    fn get_in<T>(
        &self,
        records: &Records,
        table: Table,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Damage>,
    ) -> Result<Option<T>, AreaError> {
        match records.get(key).map_err(|error| redb_error(&self.file, error.into()))? {
            Some(record) => {
                decode(record.value()).map(Some).map_err(|damage| self.damaged(table, key, damage))
            }
            None => Ok(None),
        }
    }

    /// Calls `each` with key and value of all records behind `after` (or at and behind `from`), in the order of
    /// their keys, until it returns false.
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

    /// How many records a table has; redb keeps count, this does not walk.
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

    pub(super) fn load(&self, key: SlotKey) -> Result<(Option<Row<Bytes>>, Option<Mark>), AreaError> {
        let slot = record::slot_key(key);
        let row = self.get(Table::Redundancy, &slot, |record| record::decode_row(&slot, record))?;
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

fn open(txn: &ReadTransaction, table: Table, file: &str) -> Result<Records, AreaError> {
    txn.open_table(definition(table)).map_err(|error| redb_error(file, error.into()))
}
