//! Looking into the area of a dead process. The file itself is only read: what is opened, and repaired as the next
//! owner would repair it, is a copy without a name, of which nothing is left when it is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;

use ::redb::StorageBackend;
use ::redb::backends::FileBackend;
use bytes::Bytes;
use palib_core::ids::{AliasId, CallId, Mark, Session, SlotKey, TransId};
use palib_core::redundancy::{Row, RowState};
use palib_core::relay::{Course, Journaled};
use palib_core::resend::Pending;
use serde::{Deserialize, Serialize};

use super::file::{self, Meta, row_count};
use super::record::{self, Block, Damage, Place, Table};
use super::show;
use super::snapshot::Snapshot;
use super::store::Store;
use crate::control::{AreaSummary, BrowseRow, Page, TableRow};
use crate::stable::{AppRead, AreaError, Names};

/// Damages that are listed one by one; more are counted.
const DAMAGES_MAX: usize = 1000;

/// What a check of all records found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaCheck {
    /// How many records were looked at.
    pub records: u64,
    /// How many damages were found.
    pub damages: u64,
    /// The first thousand of them.
    pub listed: Vec<AreaDamage>,
}

/// Something that is wrong in an area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaDamage {
    /// The table; empty if it is about the whole file.
    pub table: String,
    /// The key in hexadecimal digits; empty if it is about the whole table.
    pub key: String,
    /// What is wrong.
    pub reason: String,
}

/// Opens a copy of the file of a stable area. The file is not changed.
///
/// # Errors
/// If its owner is alive, or takes it over at this moment; if it can't be read, is damaged or is no stable area.
pub fn inspect_file(path: &Path) -> Result<Inspection, AreaError> {
    let name = file::name(path);
    let io_error = |error: io::Error| AreaError::Io { file: name.to_string(), reason: error.to_string() };
    let mut original = File::open(path).map_err(io_error)?;
    let before =
        original.metadata().and_then(|found| Ok((found.len(), found.modified()?))).map_err(io_error)?;
    // Asked for and not taken: a lock of ours would make a takeover of this moment wait.
    let lock = FileBackend::new(original.try_clone().map_err(io_error)?)
        .map_err(|error| file::redb_error(&name, error.into()))?;
    let check_owner = || match lock.query_lock_range(Bound::Unbounded, Bound::Unbounded) {
        Ok(true) => Err(AreaError::OwnerAlive { file: name.to_string() }),
        Ok(false) => Ok(()),
        Err(error) => Err(AreaError::Io { file: name.to_string(), reason: error.to_string() }),
    };
    check_owner()?;
    let mut copy = tempfile::tempfile().map_err(io_error)?;
    io::copy(&mut original, &mut copy).map_err(io_error)?;
    check_owner()?;
    let after =
        original.metadata().and_then(|found| Ok((found.len(), found.modified()?))).map_err(io_error)?;
    if before != after {
        // Somebody opened it, and is gone already.
        return Err(io_error(io::Error::other("it changed while it was copied; try again")));
    }
    let opened = file::guarded(&name, || file::open_file(&name, copy, None))?;
    drop(opened.snapshot);
    opened.disk.release().map_err(io_error)?;
    let store = Store::new(name, opened.disk, opened.db);
    Ok(Inspection { store, bytes: before.0, meta: opened.meta })
}

/// An opened copy of a stable area.
pub struct Inspection {
    store: Store,
    /// The length of the file itself; the copy may have grown.
    bytes: u64,
    meta: Meta,
}

impl Inspection {
    /// The area at a glance.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn summary(&self) -> Result<AreaSummary, AreaError> {
        Ok(AreaSummary {
            alias: self.meta.alias.clone(),
            file: self.store.file().to_string(),
            bytes: self.bytes,
            schema: self.meta.schema,
            incarnation: self.meta.incarnation.0,
            tables: self.store.read(show::tables)?,
            commits: 0,
            commit_us_p50: 0,
            commit_us_p99: 0,
        })
    }

    /// The number of the alias it belongs to.
    #[must_use]
    pub fn alias_id(&self) -> AliasId {
        self.meta.alias_id
    }

    /// When it was made, in milliseconds of Unix time.
    #[must_use]
    pub fn created_unix_ms(&self) -> u64 {
        self.meta.created_unix_ms
    }

    /// Rows of the redundancy table whose id contains `filter`.
    ///
    /// # Errors
    /// If a record is damaged, or `after` is none of this area's.
    pub fn rows(
        &self,
        names: &dyn Names,
        filter: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<TableRow>, AreaError> {
        self.store.read(|snapshot| show::rows(snapshot, names, filter, after, limit))
    }

    /// Rows of one of its tables, decoded; damaged records say so.
    ///
    /// # Errors
    /// If there is no such table, or it can't be read.
    pub fn browse(
        &self,
        names: &dyn Names,
        table: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Page<BrowseRow>, AreaError> {
        self.store.read(|snapshot| show::browse(snapshot, names, table, after, limit))
    }

    /// The calls in its outbox.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn outbox(&self) -> Result<Vec<Pending<Bytes>>, AreaError> {
        self.store.read(Snapshot::outbox)
    }

    /// The journal of relays, in the order of the calls they are made for and of their positions.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn journal(&self) -> Result<Vec<Journaled<Bytes>>, AreaError> {
        self.store.read(Snapshot::journal)
    }

    /// The marks of its source aliases.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn marks(&self) -> Result<Vec<(AliasId, Mark)>, AreaError> {
        self.store.read(Snapshot::marks)
    }

    /// The rows in state blocked or relaying.
    ///
    /// # Errors
    /// If a record is damaged.
    pub fn blocked(&self) -> Result<Vec<(SlotKey, Row<Bytes>)>, AreaError> {
        self.store.read(Snapshot::blocked)
    }

    /// Runs a closure over the service's own state.
    ///
    /// # Errors
    /// If it can't be read.
    pub fn read(&self, look: &mut dyn FnMut(&dyn AppRead)) -> Result<(), AreaError> {
        self.store.read(|snapshot| {
            look(snapshot);
            Ok(())
        })
    }

    /// Reads every record, and compares the tables with each other.
    #[must_use]
    pub fn check(&self) -> AreaCheck {
        let mut check = AreaCheck::default();
        let walked = self.store.read(|snapshot| {
            check_records(snapshot, &self.meta, &mut check);
            Ok(())
        });
        if let Err(error) = walked {
            check.note("", "", error.to_string());
        }
        match self.store.check_pages() {
            Ok(true) => {}
            Ok(false) => check.note("", "", "redb found its pages damaged, and could repair them".to_owned()),
            Err(error) => check.note("", "", error.to_string()),
        }
        check
    }
}

impl AreaCheck {
    fn note(&mut self, table: &str, key: &str, reason: Damage) {
        self.damages += 1;
        if self.listed.len() < DAMAGES_MAX {
            self.listed.push(AreaDamage { table: table.to_owned(), key: key.to_owned(), reason });
        }
    }
}

/// What one table says about the others.
#[derive(Default)]
struct Facts {
    blocked: BTreeMap<SlotKey, TransId>,
    marks: BTreeMap<AliasId, Mark>,
    blocked_rows: BTreeSet<SlotKey>,
    /// The rows of which their blocks say that they lie alone.
    alone: BTreeSet<SlotKey>,
    /// How many rows the blocks have.
    rows: u64,
    /// The calls that the journal of relays has rows for.
    journals: BTreeSet<(Session, TransId)>,
}

fn check_records(snapshot: &Snapshot, meta: &Meta, check: &mut AreaCheck) {
    let mut facts = Facts::default();
    // The small tables first: what they say is held against the rows.
    let small = [Table::Meta, Table::Marks, Table::Blocked, Table::Outbox, Table::Relay];
    for table in small.into_iter().chain([Table::App, Table::Blocks, Table::Redundancy]) {
        let walked = snapshot.walk_whole(table, Bound::Unbounded, |key, found| {
            check.records += 1;
            let checked = found.and_then(|record| check_record(table, key, record, meta, &mut facts));
            if let Err(damage) = checked {
                check.note(table.name(), &show::hex(key), damage);
            }
            Ok(true)
        });
        if let Err(error) = walked {
            check.note(table.name(), "", error.to_string());
        }
    }
    if let Err(error) = check_places(snapshot, &facts, check) {
        check.note(Table::Redundancy.name(), "", error.to_string());
    }
    for (key, trans) in &facts.blocked {
        if !facts.blocked_rows.contains(key) {
            let key = show::hex(&record::slot_key(*key));
            check.note(Table::Blocked.name(), &key, record::not_blocked(*trans));
        }
    }
}

/// Rows lie where their blocks say, and are as many as the table `meta` says.
fn check_places(snapshot: &Snapshot, facts: &Facts, check: &mut AreaCheck) -> Result<(), AreaError> {
    snapshot.walk(Table::Redundancy, Bound::Unbounded, |key, _| {
        if !record::parse_slot_key(key).is_ok_and(|key| facts.alone.contains(&key)) {
            check.note(Table::Redundancy.name(), &show::hex(key), record::not_in_block());
        }
        Ok(true)
    })?;
    let (counted, found) = (row_count(snapshot)?, facts.rows);
    if counted != found {
        let reason = format!("the table meta says {counted} rows, and its blocks have {found}");
        check.note(Table::Redundancy.name(), "", reason);
    }
    Ok(())
}

fn check_record(
    table: Table,
    key: &[u8],
    value: &[u8],
    meta: &Meta,
    facts: &mut Facts,
) -> Result<(), Damage> {
    match table {
        Table::Meta | Table::App => record::content(table, key, value).map(|_| ()),
        Table::Marks => {
            facts.marks.insert(record::parse_source_key(key)?, record::decode_mark(key, value)?);
            Ok(())
        }
        Table::Blocked => {
            facts.blocked.insert(record::parse_slot_key(key)?, record::decode_blocked(key, value)?);
            Ok(())
        }
        Table::Outbox => check_caller(record::decode_pending(key, value)?.id, meta),
        Table::Relay => {
            let row = record::decode_journaled(key, value)?;
            facts.journals.insert(row.served.place());
            check_caller(row.call.id, meta)
        }
        Table::Blocks => {
            let block = Block::parse(key, value)?;
            let alone = block.places().filter(|(_, place)| *place == Place::Alone);
            facts.alone.extend(alone.map(|(key, _)| key));
            facts.rows += block.row_count() as u64;
            Ok(())
        }
        Table::Redundancy => {
            check_row(record::parse_slot_key(key)?, &record::decode_row(key, value)?.row, facts)
        }
    }
}

/// Whatever an area holds to be sent is a call of its own alias.
fn check_caller(id: CallId, meta: &Meta) -> Result<(), Damage> {
    if id.source == meta.alias_id {
        return Ok(());
    }
    Err(format!("it is a call of alias number {}, and the area is of number {}", id.source, meta.alias_id))
}

fn check_row(key: SlotKey, row: &Row<Bytes>, facts: &mut Facts) -> Result<(), Damage> {
    let is_indexed = record::is_indexed(&row.state);
    if is_indexed && facts.blocked.get(&key) == Some(&row.id.trans) {
        facts.blocked_rows.insert(key);
    } else if is_indexed {
        return Err(
            "it is blocked or relaying and not in the index of blocked rows: a takeover would overlook it"
                .to_owned(),
        );
    }
    let goes_forward = matches!(row.state, RowState::Relaying { course: Course::Forward, .. });
    // Such a row is put together with the first row of its journal. One that goes back may have called nothing yet.
    if goes_forward && !facts.journals.contains(&(key.session, row.id.trans)) {
        return Err("it is relaying and has no row in the journal: what it called is not known".to_owned());
    }
    match facts.marks.get(&key.session.source) {
        Some(mark) if key.session.born < mark.born => {
            Err(format!("its session lies below the mark of its source, incarnation {}", mark.born))
        }
        _ => Ok(()),
    }
}

/// So that errors of an inspection can be shown with the name of its file.
impl std::fmt::Debug for Inspection {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Inspection").field("file", self.store.file()).finish_non_exhaustive()
    }
}
