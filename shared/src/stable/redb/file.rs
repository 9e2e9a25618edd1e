//! Making, opening and recognising the file of a stable area.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ::redb::{Builder, Database, TableDefinition};
use palib_core::ids::{AliasId, Incarnation};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::disk::{Disk, DiskFile, DiskSeam};
use super::record::{self, Table, Take};
use super::snapshot::{Snapshot, read_one};
use crate::stable::AreaError;

/// The version of the tables and of what lies in them. A file with another version is refused by its number.
pub const SCHEMA_VERSION: u32 = 3;
/// Pages redb keeps in memory. An area in use is far smaller; an inspected one must not fill the machine.
const CACHE_BYTES: usize = 128 * 1024 * 1024;
/// The lock of an owner that was killed vanishes some milliseconds after its death is seen.
const LOCK_PATIENCE: Duration = Duration::from_millis(250);
/// The first bytes of every file of redb, and the shortest file it makes: a header page and two pages.
const REDB_MAGIC: [u8; 9] = [b'r', b'e', b'd', b'b', 0x1A, 0x0A, 0xA9, 0x0D, 0x0A];
const FILE_BYTES_MIN: u64 = 2 * 4096;
/// In its first page lie, from here on, as numbers of 4 bytes: the size of a page, the pages of a region's header
/// and of its data, the number of whole regions, and the pages of the last one.
const REDB_GEOMETRY: usize = 12;
const REDB_HEAD_BYTES: usize = REDB_GEOMETRY + 5 * 4;

const META_SCHEMA: &[u8] = b"schema";
const META_ALIAS: &[u8] = b"alias";
const META_INCARNATION: &[u8] = b"incarnation";
const META_CREATED: &[u8] = b"created";
/// How many rows the redundancy table has: redb counts blocks of them.
const META_ROWS: &[u8] = b"rows";

/// Every table has bytes as keys and values: what they mean is the business of [`super::record`].
pub(super) type Definition = TableDefinition<'static, &'static [u8], &'static [u8]>;

pub(super) fn definition(table: Table) -> Definition {
    TableDefinition::new(table.name())
}

/// What the table `meta` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    pub(super) schema: u32,
    pub(super) alias: String,
    pub(super) alias_id: AliasId,
    /// Who wrote last.
    pub(super) incarnation: Incarnation,
    pub(super) created_unix_ms: u64,
}

/// A file that was opened and not yet accepted: nothing is changed in it before its [`DiskFile`] is released.
pub(super) struct Opened {
    pub(super) db: Database,
    pub(super) disk: Arc<DiskFile>,
    pub(super) snapshot: Snapshot,
    pub(super) meta: Meta,
}

/// Makes an empty area. Power may fail at any instant: the file gets its name only when it is whole and durable.
pub(super) fn create(path: &Path, meta: &Meta, seam: Option<Arc<dyn DiskSeam>>) -> Result<(), AreaError> {
    let file = name(path);
    let io_error = |error: io::Error| AreaError::Io { file: file.to_string(), reason: error.to_string() };
    let new = path.with_extension(format!("redb.new-{}", std::process::id()));
    // Left behind by a process with this number that died while it was here.
    match std::fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io_error(error)),
        _ => {}
    }
    let empty = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .map_err(io_error)?;
    let made = fill_new(&file, empty.try_clone().map_err(io_error)?, meta, seam)
        .and_then(|()| empty.sync_all().map_err(io_error))
        .and_then(|()| {
            // Never over a file that is there: it may hold what was acknowledged.
            renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE)
                .map_err(|error| io_error(error.into()))
        })
        .and_then(|()| keep_name(path));
    if made.is_err() {
        // Best effort: the error that is returned says more than a failed clean-up.
        let _ = std::fs::remove_file(&new);
    }
    made
}

/// Makes the name of a file durable.
///
/// # Errors
/// If its folder can't be opened or synced.
pub(super) fn keep_name(path: &Path) -> Result<(), AreaError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| AreaError::Io { file: path.display().to_string(), reason: error.to_string() })
}

fn fill_new(
    file: &Arc<str>,
    empty: File,
    meta: &Meta,
    seam: Option<Arc<dyn DiskSeam>>,
) -> Result<(), AreaError> {
    let failed = |error: ::redb::Error| redb_error(file, error);
    let disk = DiskFile::holding(empty, seam).map_err(|error| failed(error.into()))?;
    let disk = Arc::new(disk);
    disk.release().map_err(|error| failed(error.into()))?;
    let db = builder().create_with_backend(Disk(disk)).map_err(|error| failed(error.into()))?;
    let txn = db.begin_write().map_err(|error| failed(error.into()))?;
    for table in Table::ALL {
        txn.open_table(definition(table)).map_err(|error| failed(error.into()))?;
    }
    {
        let mut table = txn.open_table(definition(Table::Meta)).map_err(|error| failed(error.into()))?;
        for (key, record) in meta_records(meta) {
            table.insert(key, record.as_slice()).map_err(|error| failed(error.into()))?;
        }
    }
    txn.commit().map_err(|error| failed(error.into()))?;
    db.close().map_err(|error| failed(error.into()))
}

/// Opens an existing file for writing, repairs it if its last owner died, and reads who it belongs to. Waits a
/// moment for a lock that is just vanishing. As long as the disk is not released, nothing is changed.
pub(super) fn open(path: &Path, seam: Option<Arc<dyn DiskSeam>>) -> Result<Opened, AreaError> {
    let file = name(path);
    let patience = Instant::now() + LOCK_PATIENCE;
    loop {
        match guarded(&file, || open_once(&file, path, seam.clone())) {
            Err(AreaError::InUse { .. }) if Instant::now() < patience => {
                std::thread::sleep(Duration::from_micros(200));
            }
            result => return result,
        }
    }
}

fn open_once(file: &Arc<str>, path: &Path, seam: Option<Arc<dyn DiskSeam>>) -> Result<Opened, AreaError> {
    let io_error = |error: io::Error| AreaError::Io { file: file.to_string(), reason: error.to_string() };
    let opened = OpenOptions::new().read(true).write(true).open(path).map_err(io_error)?;
    open_file(file, opened, seam)
}

/// Opens what an open file holds.
pub(super) fn open_file(
    file: &Arc<str>,
    opened: File,
    seam: Option<Arc<dyn DiskSeam>>,
) -> Result<Opened, AreaError> {
    let io_error = |error: io::Error| AreaError::Io { file: file.to_string(), reason: error.to_string() };
    let head = check_head(file, &opened)?;
    let mut builder = builder();
    if head.bytes_written > head.bytes {
        // Cut off, or power failed while it grew. redb goes by the length of a file whose owner died, and trusts
        // the pages of one that is committed for quick repair; only a look at all of them tells.
        builder.set_check_integrity_on_open(true);
    }
    let disk = Arc::new(DiskFile::holding(opened, seam).map_err(io_error)?);
    let db = builder
        .create_with_backend(Disk(Arc::clone(&disk)))
        .map_err(|error| redb_error(file, error.into()))?;
    let schema = check_schema(&db, file)?;
    let snapshot = Snapshot::of(&db, file)?;
    let meta = read_meta(&snapshot, schema)?;
    Ok(Opened { db, disk, snapshot, meta })
}

/// What the first page says, and what is there.
struct Head {
    bytes: u64,
    /// How long the file was when its header was last written.
    bytes_written: u64,
}

/// An empty file would be made into a new area, and a foreign one is better named in our words than in redb's.
fn check_head(file: &str, opened: &File) -> Result<Head, AreaError> {
    let damaged = |reason: String| AreaError::Damaged { file: file.to_owned(), reason };
    let bytes = opened.metadata().map_err(|error| damaged(error.to_string()))?.len();
    if bytes == 0 {
        return Err(damaged("it is empty".to_owned()));
    }
    let mut head = [0; REDB_HEAD_BYTES];
    if opened.read_exact_at(&mut head, 0).is_err() || !head.starts_with(&REDB_MAGIC) {
        return Err(damaged("it does not begin like a file of redb".to_owned()));
    }
    if bytes < FILE_BYTES_MIN {
        return Err(damaged(format!("it is cut off after {bytes} bytes")));
    }
    let mut numbers = head[REDB_GEOMETRY..]
        .chunks_exact(4)
        .map(|number| u64::from(u32::from_le_bytes([number[0], number[1], number[2], number[3]])));
    let mut number = || numbers.next().unwrap_or(0);
    let (page, header_pages, region_pages, regions, last_region_pages) =
        (number(), number(), number(), number(), number());
    let last_region = if last_region_pages > 0 { header_pages + last_region_pages } else { 0 };
    // Saturating: a damaged header may say anything.
    let pages = regions.saturating_mul(header_pages + region_pages).saturating_add(1 + last_region);
    Ok(Head { bytes, bytes_written: pages.saturating_mul(page) })
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn meta_records(meta: &Meta) -> [(&'static [u8], Vec<u8>); 5] {
    let mut alias = meta.alias_id.0.to_le_bytes().to_vec();
    alias.extend_from_slice(meta.alias.as_bytes());
    let framed = |key: &'static [u8], content: &[u8]| (key, record::frame(Table::Meta, key, content));
    [
        framed(META_SCHEMA, &meta.schema.to_le_bytes()),
        framed(META_ALIAS, &alias),
        incarnation_record(meta.incarnation),
        framed(META_CREATED, &meta.created_unix_ms.to_le_bytes()),
        row_count_record(0),
    ]
}

/// The record that says how many rows the redundancy table has.
pub(super) fn row_count_record(rows: u64) -> (&'static [u8], Vec<u8>) {
    (META_ROWS, record::frame(Table::Meta, META_ROWS, &rows.to_le_bytes()))
}

/// How many rows the redundancy table has.
pub(super) fn row_count(snapshot: &Snapshot) -> Result<u64, AreaError> {
    read_meta_value(snapshot, META_ROWS, |content| Ok(u64::from_le_bytes(whole(content)?)))
}

/// The record that says who wrote last.
pub(super) fn incarnation_record(incarnation: Incarnation) -> (&'static [u8], Vec<u8>) {
    (META_INCARNATION, record::frame(Table::Meta, META_INCARNATION, &incarnation.0.to_le_bytes()))
}

/// The schema version first: in another version everything else may be different.
fn check_schema(db: &Database, file: &Arc<str>) -> Result<u32, AreaError> {
    let schema = read_one(db, file, Table::Meta, META_SCHEMA, |record| {
        record::content(Table::Meta, META_SCHEMA, record)
            .and_then(|found| Ok(u32::from_le_bytes(whole(found)?)))
    })?;
    let schema = schema.ok_or_else(|| no_meta_record(file, META_SCHEMA))?;
    if schema != SCHEMA_VERSION {
        let file = file.to_string();
        return Err(AreaError::OtherVersion { file, found: schema, known: SCHEMA_VERSION });
    }
    Ok(schema)
}

fn read_meta(snapshot: &Snapshot, schema: u32) -> Result<Meta, AreaError> {
    let (alias_id, alias) = read_meta_value(snapshot, META_ALIAS, |content| {
        let mut take = Take(content);
        let id = AliasId(u32::from_le_bytes(take.array()?));
        let name = std::str::from_utf8(take.0).map_err(|error| error.to_string())?;
        Ok((id, name.to_owned()))
    })?;
    let incarnation = read_meta_value(snapshot, META_INCARNATION, |content| {
        Ok(Incarnation(u64::from_le_bytes(whole(content)?)))
    })?;
    let created_unix_ms =
        read_meta_value(snapshot, META_CREATED, |content| Ok(u64::from_le_bytes(whole(content)?)))?;
    Ok(Meta { schema, alias, alias_id, incarnation, created_unix_ms })
}

fn whole<const N: usize>(content: &[u8]) -> Result<[u8; N], record::Damage> {
    content.try_into().map_err(|_| format!("{} bytes instead of {N}", content.len()))
}

fn read_meta_value<T>(
    snapshot: &Snapshot,
    key: &[u8],
    read: impl FnOnce(&[u8]) -> Result<T, record::Damage>,
) -> Result<T, AreaError> {
    let found =
        snapshot.get(Table::Meta, key, |record| record::content(Table::Meta, key, record).and_then(read))?;
    found.ok_or_else(|| no_meta_record(snapshot.file(), key))
}

fn no_meta_record(file: &str, key: &[u8]) -> AreaError {
    let reason = format!("its table meta has no record `{}`", String::from_utf8_lossy(key));
    AreaError::Damaged { file: file.to_owned(), reason }
}

/// A file's name as errors show it.
pub(super) fn name(path: &Path) -> Arc<str> {
    Arc::from(path.display().to_string())
}

pub(super) fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64)
}

/// Runs something that reads a file of redb's, which may panic over a file that was damaged behind its back.
pub(super) fn guarded<T>(file: &str, run: impl FnOnce() -> Result<T, AreaError>) -> Result<T, AreaError> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let reason = format!("redb gave up on it: {}", panic_text(&*panic));
        Err(AreaError::Damaged { file: file.to_owned(), reason })
    })
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without words".to_owned()
    }
}

/// redb's error in our words.
pub(super) fn redb_error(file: &str, error: ::redb::Error) -> AreaError {
    use ::redb::Error as Redb;
    let file = file.to_owned();
    match error {
        Redb::DatabaseAlreadyOpen => AreaError::InUse { file },
        Redb::DatabaseClosed => AreaError::Closed,
        Redb::Corrupted(reason) => AreaError::Damaged { file, reason },
        Redb::Io(error)
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            AreaError::Damaged { file, reason: error.to_string() }
        }
        Redb::TableDoesNotExist(table) => AreaError::Damaged {
            file,
            reason: format!("it is a file of redb, but has no table `{table}`: no stable area of palib"),
        },
        error @ (Redb::TableTypeMismatch { .. } | Redb::TableIsMultimap(_) | Redb::UpgradeRequired(_)) => {
            AreaError::Damaged { file, reason: error.to_string() }
        }
        other => AreaError::Io { file, reason: other.to_string() },
    }
}
