//! What the jobs of one commit do to the tables.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Bound, RangeInclusive};
use std::sync::Arc;

use ::redb::{AccessGuard, ReadableTable, WriteTransaction};
use bytes::Bytes;
use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Session, Slot, SlotKey, TransId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::server::OnFailure;

use super::changes::RowChanges;
use super::file::{definition, incarnation_record, redb_error, row_count, row_count_record};
use super::overlay::{Below, Overlay};
use super::record::{self, Block, BlockChange, RowChange, Table};
use super::snapshot::{Snapshot, damaged};
use crate::stable::{AreaError, AreaWrite, AtomicClosure};

type Records<'txn> = ::redb::Table<'txn, &'static [u8], &'static [u8]>;

/// What the writer knows by heart, because it would look it up for each write: both are small.
pub(super) struct Memory {
    /// The index of blocked rows: those that are blocked or relaying.
    blocked: BTreeMap<SlotKey, TransId>,
    /// The marks of the source aliases.
    marks: BTreeMap<AliasId, Mark>,
    /// How many rows the redundancy table has.
    rows: u64,
    /// The tables the last commit used, which the next one will use as well, most likely.
    used: [bool; Table::ALL.len()],
    /// Whether `meta` says already that this incarnation writes.
    signed: bool,
}

impl Memory {
    pub(super) fn of(snapshot: &Snapshot, signed: bool) -> Result<Self, AreaError> {
        Ok(Self {
            blocked: snapshot.blocked_index()?.into_iter().collect(),
            marks: snapshot.marks()?.into_iter().collect(),
            rows: row_count(snapshot)?,
            used: Default::default(),
            signed,
        })
    }
}

/// The tables of one transaction and what is not in them yet.
pub(super) struct Batch<'txn> {
    file: &'txn Arc<str>,
    txn: &'txn WriteTransaction,
    memory: &'txn mut Memory,
    tables: [Option<Records<'txn>>; Table::ALL.len()],
    app: Overlay,
    rows: RowChanges,
    /// How many rows the file says there are.
    rows_in_file: u64,
    /// Sources whose mark rose: of all marks in a commit only the last is written.
    risen: BTreeSet<AliasId>,
    unix_ms: u64,
}

impl<'txn> Batch<'txn> {
    /// Opens the tables that were used last time.
    pub(super) fn begin(
        file: &'txn Arc<str>,
        txn: &'txn WriteTransaction,
        memory: &'txn mut Memory,
    ) -> Result<Self, AreaError> {
        let (rows_in_file, used) = (memory.rows, std::mem::take(&mut memory.used));
        let (tables, app, rows, risen) = Default::default();
        let mut batch = Self { file, txn, memory, tables, app, rows, rows_in_file, risen, unix_ms: 0 };
        for table in Table::ALL.into_iter().filter(|table| used[*table as usize]) {
            batch.open(table)?;
        }
        Ok(batch)
    }

    /// What is written from now on is written at this time.
    pub(super) fn clock(&mut self, unix_ms: u64) {
        self.unix_ms = unix_ms;
    }

    /// Makes the writes of one job, in their order. If a closure fails without which the rest makes no sense, its failure
    /// is the outcome, and of what comes behind only marks are stored.
    pub(super) fn make(&mut self, writes: Vec<AreaWrite>) -> Result<Option<Outcome<Bytes>>, AreaError> {
        let (mut outcome, mut failed) = (None, false);
        for write in writes {
            if failed && !matches!(write, AreaWrite::Mark { .. }) {
                continue;
            }
            let must_succeed = matches!(
                write,
                AreaWrite::Atomic { failure: OnFailure::Nothing, .. } | AreaWrite::AtomicUndo { .. }
            );
            let told = self.write(write)?;
            failed |= must_succeed && matches!(told, Some(Outcome::Failed(_)));
            outcome = told.or(outcome);
        }
        Ok(outcome)
    }

    /// Makes one write. The outcome is that of a closure, or of the automatic reply that was put.
    fn write(&mut self, write: AreaWrite) -> Result<Option<Outcome<Bytes>>, AreaError> {
        match write {
            AreaWrite::Row { key, row } => self.put_row(key, row),
            AreaWrite::Atomic { key, id, digest, failure, mut run } => {
                let outcome = self.run(&mut run)?;
                if failure == OnFailure::Register || matches!(outcome, Outcome::Reply(_)) {
                    let state = RowState::Registered(RedProcess::AutoReply(outcome));
                    return self.put_row(key, Row { id, digest, state });
                }
                Ok(Some(outcome))
            }
            AreaWrite::AtomicUndo { key, id, digest, mut run } => {
                let outcome = self.run(&mut run)?;
                if matches!(outcome, Outcome::Reply(_)) {
                    let state = RowState::Cancelled { undone: true };
                    self.put_row(key, Row { id, digest, state })?;
                }
                Ok(Some(outcome))
            }
            AreaWrite::DropRow { key } => self.drop_row(key).map(|()| None),
            AreaWrite::Journal(row) => {
                let key = record::journal_key(row.served, &row.position);
                self.insert(Table::Relay, &key, &record::encode_journaled(&key, &row)).map(|()| None)
            }
            AreaWrite::CloseJournal(served) => self.drop_journal(&record::served_key(served)).map(|()| None),
            AreaWrite::App(mut run) => self.run(&mut run).map(Some),
            AreaWrite::Also(mut run) => self.run(&mut run).map(|_| None),
            AreaWrite::Mark { source, mark } => self.put_mark(source, mark).map(|()| None),
            AreaWrite::OutboxPut(pending) => {
                let key = record::call_key(pending.id);
                self.insert(Table::Outbox, &key, &record::encode_pending(&key, &pending)).map(|()| None)
            }
            AreaWrite::OutboxDrop(id) => self.drop_call(id).map(|()| None),
        }
    }

    /// Puts into the tables what waited for the end of the commit.
    pub(super) fn finish(mut self, incarnation: Incarnation) -> Result<(), AreaError> {
        if !self.memory.signed {
            let (key, record) = incarnation_record(incarnation);
            self.insert(Table::Meta, key, &record)?;
            self.memory.signed = true;
        }
        std::mem::take(&mut self.rows).each_block(|first, changes| self.rewrite_block(first, changes))?;
        if self.memory.rows != self.rows_in_file {
            let (key, record) = row_count_record(self.memory.rows);
            self.insert(Table::Meta, key, &record)?;
        }
        for source in std::mem::take(&mut self.risen) {
            if let Some(mark) = self.memory.marks.get(&source).copied() {
                let key = record::source_key(source);
                self.insert(Table::Marks, &key, &record::encode_mark(&key, mark))?;
            }
        }
        for (key, change) in std::mem::take(&mut self.app).into_changes() {
            match change {
                Some(value) => self.insert(Table::App, &key, &record::frame(Table::App, &key, &value))?,
                None => self.remove(Table::App, &key)?,
            }
        }
        Ok(())
    }

    fn run(&mut self, run: &mut AtomicClosure) -> Result<Outcome<Bytes>, AreaError> {
        self.table(Table::App)?;
        let below = Stored { file: self.file, records: self.tables[Table::App as usize].as_ref() };
        self.app.run(&below, run)
    }

    /// Puts a row, and gives the outcome of the automatic reply in it, for those who wait for it.
    fn put_row(&mut self, key: SlotKey, row: Row<Bytes>) -> Result<Option<Outcome<Bytes>>, AreaError> {
        let slot = record::slot_key(key);
        self.rows.put(key, |out| record::put_row(out, &slot, &row, self.unix_ms));
        if record::is_indexed(&row.state) {
            self.memory.blocked.insert(key, row.id.trans);
            let record = record::encode_blocked(&slot, row.id.trans);
            self.insert(Table::Blocked, &slot, &record)?;
        } else {
            self.drop_from_index(key)?;
        }
        Ok(match row.state {
            RowState::Registered(RedProcess::AutoReply(outcome)) => Some(outcome),
            _ => None,
        })
    }

    fn drop_row(&mut self, key: SlotKey) -> Result<(), AreaError> {
        self.rows.drop_row(key);
        self.drop_from_index(key)
    }

    fn rewrite_block(&mut self, first: SlotKey, changes: &[RowChange<'_>]) -> Result<(), AreaError> {
        let (file, key) = (self.file, record::slot_key(first));
        let stored = self.table(Table::Blocks)?.get(&key[..]);
        let stored = stored.map_err(|error| redb_error(file, error.into()))?;
        let rewrite = record::rewrite_block(first, stored.as_ref().map(AccessGuard::value), changes)
            .map_err(|damage| damaged(file, Table::Blocks, &key, damage))?;
        drop(stored);
        match rewrite.block {
            BlockChange::Stays => {}
            BlockChange::Put(record) => self.insert(Table::Blocks, &key, &record)?,
            BlockChange::Goes => self.remove(Table::Blocks, &key)?,
        }
        for (key, change) in rewrite.alone {
            let key = record::slot_key(key);
            match change {
                Some(record) => self.insert(Table::Redundancy, &key, record)?,
                None => self.remove(Table::Redundancy, &key)?,
            }
        }
        // Saturating: the number in a damaged file may be any.
        let others = self.memory.rows.saturating_sub(rewrite.rows_before as u64);
        self.memory.rows = others.saturating_add(rewrite.rows_after as u64);
        Ok(())
    }

    fn drop_from_index(&mut self, key: SlotKey) -> Result<(), AreaError> {
        if self.memory.blocked.remove(&key).is_some() {
            self.remove(Table::Blocked, &record::slot_key(key))?;
        }
        Ok(())
    }

    /// A mark never falls: what lay below it is gone. One that is known may come again, after a row of a session below
    /// it: of a call that was begun before the mark rose.
    fn put_mark(&mut self, source: AliasId, mark: Mark) -> Result<(), AreaError> {
        let below = Session { source, born: mark.born };
        let first = SlotKey { session: Session { source, born: Incarnation(0) }, slot: Slot(0) };
        self.drop_rows(first, Bound::Excluded(SlotKey { session: below, slot: Slot(0) }))?;
        if self.memory.marks.get(&source).is_some_and(|known| *known >= mark) {
            return Ok(());
        }
        self.memory.marks.insert(source, mark);
        self.risen.insert(source);
        // Rows of the same session lie in its ring until their slots are used again; the mark refuses requests
        // for them. Only one that is blocked would be shown, and recovered, for ever.
        let session = ring(Session { source, born: mark.born });
        let blocked = self.memory.blocked.range(session);
        let done: Vec<SlotKey> =
            blocked.filter(|(_, trans)| **trans < mark.trans).map(|(key, _)| *key).collect();
        for key in done {
            self.drop_row(key)?;
        }
        Ok(())
    }

    fn drop_call(&mut self, id: CallId) -> Result<(), AreaError> {
        self.remove(Table::Outbox, &record::call_key(id))
    }

    /// Drops the rows of whole sessions, and their entries in the index, by their range: rows of others are not looked
    /// at.
    fn drop_rows(&mut self, first: SlotKey, last: Bound<SlotKey>) -> Result<(), AreaError> {
        let range = (Bound::Included(first), last);
        self.rows.forget(&range);
        let (from, to) = (record::slot_key(first), last.map(record::slot_key));
        let to = to.as_ref().map(|key| &key[..]);
        self.remove_range(Table::Redundancy, &from, to, |_, _| {})?;
        let mut rows = 0;
        self.remove_range(Table::Blocks, &from, to, |key, block| {
            // One that is damaged goes as well; how many rows it had, nobody knows.
            rows += Block::parse(key, block).map_or(0, |block| block.row_count() as u64);
        })?;
        self.memory.rows = self.memory.rows.saturating_sub(rows);
        let blocked = self.memory.blocked.range((Bound::Included(first), last));
        let blocked: Vec<SlotKey> = blocked.map(|(key, _)| *key).collect();
        for key in blocked {
            self.drop_from_index(key)?;
        }
        Ok(())
    }

    /// Drops the rows of the journal whose keys begin so.
    fn drop_journal(&mut self, prefix: &[u8]) -> Result<(), AreaError> {
        let to = record::after_prefix(prefix);
        self.remove_range(
            Table::Relay,
            prefix,
            to.as_deref().map_or(Bound::Unbounded, Bound::Excluded),
            |_, _| {},
        )
    }

    /// Removes the records of a range, and shows each of them as it goes.
    fn remove_range(
        &mut self,
        table: Table,
        from: &[u8],
        to: Bound<&[u8]>,
        mut each: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), AreaError> {
        let file = self.file;
        self.table(table)?
            .retain_in::<&[u8], _>((Bound::Included(from), to), |key, record| {
                each(key, record);
                false
            })
            .map_err(|error| redb_error(file, error.into()))
    }

    fn insert(&mut self, table: Table, key: &[u8], record: &[u8]) -> Result<(), AreaError> {
        let file = self.file;
        self.table(table)?.insert(key, record).map_err(|error| redb_error(file, error.into()))?;
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), AreaError> {
        let file = self.file;
        self.table(table)?.remove(key).map_err(|error| redb_error(file, error.into()))?;
        Ok(())
    }

    /// A table stays open for the whole commit: opening one costs as much as a write.
    fn table(&mut self, table: Table) -> Result<&mut Records<'txn>, AreaError> {
        self.memory.used[table as usize] = true;
        self.open(table)
    }

    fn open(&mut self, table: Table) -> Result<&mut Records<'txn>, AreaError> {
        let slot = &mut self.tables[table as usize];
        match slot {
            Some(records) => Ok(records),
            None => {
                let opened = self.txn.open_table(definition(table));
                Ok(slot.insert(opened.map_err(|error| redb_error(self.file, error.into()))?))
            }
        }
    }
}

/// All slots of a session.
fn ring(session: Session) -> RangeInclusive<SlotKey> {
    SlotKey { session, slot: Slot(0) }..=SlotKey { session, slot: Slot(u32::MAX) }
}

/// The service's own state as the table has it.
struct Stored<'a, 'txn> {
    file: &'a str,
    records: Option<&'a Records<'txn>>,
}

impl Stored<'_, '_> {
    fn content<'v>(&self, key: &[u8], value: &'v [u8]) -> Result<&'v [u8], AreaError> {
        record::content(Table::App, key, value).map_err(|damage| damaged(self.file, Table::App, key, damage))
    }
}

impl Below for Stored<'_, '_> {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, AreaError> {
        let Some(records) = self.records else { return Ok(None) };
        match records.get(key).map_err(|error| redb_error(self.file, error.into()))? {
            Some(value) => Ok(Some(Bytes::copy_from_slice(self.content(key, value.value())?))),
            None => Ok(None),
        }
    }

    fn walk(&self, from: &[u8], each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> Result<(), AreaError> {
        let Some(records) = self.records else { return Ok(()) };
        let range = records.range::<&[u8]>(from..).map_err(|error| redb_error(self.file, error.into()))?;
        for entry in range {
            let (key, value) = entry.map_err(|error| redb_error(self.file, error.into()))?;
            if !each(key.value(), self.content(key.value(), value.value())?) {
                break;
            }
        }
        Ok(())
    }
}
