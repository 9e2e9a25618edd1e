//! What an FTM remembers: `ftm.redb`. Incarnations, numbers that are never given twice, and who runs.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::state::ProcessMark;

const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const ALIASES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("aliases");
const PROCESSES: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("processes");
/// Made when the first fault is: a store may be without it.
const FAULTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("faults");

/// The version of what is written here; another one is refused.
const SCHEMA: u64 = 1;

/// Why the store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another FTM works on it.
    #[error("{}: another FTM runs on this state; stop it with `palib down`", .0.display())]
    InUse(PathBuf),
    /// It was written by another version.
    #[error("{}: schema version {found}, this palib reads version {SCHEMA}; use the palib that wrote it", path.display())]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// A record can't be read.
    #[error("{}: the record of {key:?} is damaged; nothing was changed, restore the file from a copy", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its key.
        key: String,
    },
    /// The operating system or redb refused.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was said.
        reason: String,
    },
}

/// What is remembered of an alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AliasState {
    /// Its number.
    pub(crate) id: u32,
    /// Its incarnation.
    pub(crate) incarnation: u64,
    /// The process that was told to serve in it, or in the one before if it is fenced.
    pub(crate) holder: Option<u32>,
    /// Whether that process was fenced.
    #[serde(default)]
    pub(crate) fenced: bool,
    /// The base of transIds given with it.
    pub(crate) trans_base: u64,
    /// True once a cluster file no longer had it. Its number is not given again.
    pub(crate) gone: bool,
}

/// What is remembered of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ProcessState {
    /// The number of its last run.
    pub(crate) process_id: u32,
    /// Its process id, while it is known and not known dead.
    pub(crate) pid: Option<u32>,
    /// When that process was started.
    pub(crate) start_time: u64,
    /// Its ports, by the number of the alias.
    pub(crate) ports: Vec<(u32, u32)>,
    /// How often it was started.
    pub(crate) starts: u32,
    /// Whether an operator ended it for good.
    pub(crate) down: bool,
    /// The alias an operator added it to; none for a process of the cluster file.
    pub(crate) added_to: Option<String>,
    /// Whether its last run is dead. Forgotten when the cluster is started anew.
    #[serde(default)]
    pub(crate) died: bool,
    /// The hang of its run that was ordered and is not over.
    #[serde(default)]
    pub(crate) hang: Option<HangState>,
}

/// What is remembered of a process that was stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HangState {
    /// Its id in the ledger.
    pub(crate) id: String,
    /// What, and until when.
    pub(crate) fault: FaultState,
}

impl ProcessState {
    /// It is dead: nothing of its last run lasts.
    pub(crate) fn bury(&mut self) {
        (self.pid, self.hang, self.died) = (None, None, true);
    }

    /// The operating system's process, if one is known.
    pub(crate) fn mark(&self) -> Option<ProcessMark> {
        Some(ProcessMark { pid: self.pid?, start_time: self.start_time })
    }
}

/// What is remembered of a defect that lasts: of a link, of a disk, or a hang.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FaultState {
    /// What, in the language of defects.
    pub(crate) spec: String,
    /// When it is over, in milliseconds of Unix time; none: when it is healed.
    pub(crate) until_unix_ms: Option<u64>,
}

/// Everything that is remembered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remembered {
    pub(crate) numbers: BTreeMap<String, u64>,
    pub(crate) aliases: BTreeMap<String, AliasState>,
    pub(crate) processes: BTreeMap<String, ProcessState>,
    /// By their ids in the ledger.
    pub(crate) faults: BTreeMap<String, FaultState>,
}

impl Remembered {
    /// A number, or 0 if it was never written.
    pub(crate) fn number(&self, name: &str) -> u64 {
        self.numbers.get(name).copied().unwrap_or(0)
    }
}

/// One write.
#[derive(Clone, Debug)]
pub(crate) enum Write {
    Number(&'static str, u64),
    Alias(String, AliasState),
    Process(String, ProcessState),
    Forget(String),
    Fault(String, FaultState),
    Healed(String),
}

/// The open store. Its file lock is what keeps a second FTM away.
pub(crate) struct Store {
    path: PathBuf,
    db: Database,
}

impl Store {
    /// Opens the store, or makes a new one.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let io = |reason: String| StoreError::Io { path: path.to_owned(), reason };
        if !path.exists() {
            create(path).map_err(io)?;
        }
        let db = match Database::builder().open(path) {
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(StoreError::InUse(path.to_owned())),
            other => other.map_err(|error| io(error.to_string()))?,
        };
        let store = Self { path: path.to_owned(), db };
        match store.load()?.number("schema") {
            SCHEMA => Ok(store),
            found => Err(StoreError::OtherVersion { path: path.to_owned(), found }),
        }
    }

    /// Reads everything.
    pub(crate) fn load(&self) -> Result<Remembered, StoreError> {
        let read = || -> Result<_, redb::Error> {
            let txn = self.db.begin_read()?;
            let mut numbers = BTreeMap::new();
            for entry in txn.open_table(NUMBERS)?.iter()? {
                let (key, value) = entry?;
                numbers.insert(key.value().to_owned(), value.value());
            }
            let records = |table: TableDefinition<'_, &'static str, &'static [u8]>| -> Result<Vec<(String, Vec<u8>)>, redb::Error> {
                let entries = match txn.open_table(table) {
                    Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                    other => other?,
                };
                let entries = entries.iter()?;
                let mut records = Vec::new();
                for entry in entries {
                    let (key, value) = entry?;
                    records.push((key.value().to_owned(), value.value().to_vec()));
                }
                Ok(records)
            };
            Ok((numbers, records(ALIASES)?, records(PROCESSES)?, records(FAULTS)?))
        };
        let (numbers, aliases, processes, faults) = read().map_err(|error| self.io(&error))?;
        Ok(Remembered {
            numbers,
            aliases: self.decode_all(aliases)?,
            processes: self.decode_all(processes)?,
            faults: self.decode_all(faults)?,
        })
    }

    /// Makes the writes durable, all in one commit.
    pub(crate) fn commit(&self, writes: &[Write]) -> Result<(), StoreError> {
        let write = || -> Result<(), redb::Error> {
            let txn = self.db.begin_write()?;
            {
                let mut numbers = txn.open_table(NUMBERS)?;
                let mut aliases = txn.open_table(ALIASES)?;
                let mut processes = txn.open_table(PROCESSES)?;
                for write in writes {
                    match write {
                        Write::Number(name, value) => drop(numbers.insert(*name, *value)?),
                        Write::Alias(name, state) => drop(aliases.insert(name.as_str(), &encode(state)[..])?),
                        Write::Process(name, state) => {
                            drop(processes.insert(name.as_str(), &encode(state)[..])?)
                        }
                        Write::Forget(name) => drop(processes.remove(name.as_str())?),
                        Write::Fault(id, state) => {
                            drop(txn.open_table(FAULTS)?.insert(id.as_str(), &encode(state)[..])?)
                        }
                        Write::Healed(id) => drop(txn.open_table(FAULTS)?.remove(id.as_str())?),
                    }
                }
            }
            txn.commit()?;
            Ok(())
        };
        write().map_err(|error| self.io(&error))
    }

    fn decode_all<T: DeserializeOwned>(
        &self,
        records: Vec<(String, Vec<u8>)>,
    ) -> Result<BTreeMap<String, T>, StoreError> {
        let decode = |(key, bytes): (String, Vec<u8>)| match decode(&bytes) {
            Some(value) => Ok((key, value)),
            None => Err(StoreError::Damaged { path: self.path.clone(), key }),
        };
        records.into_iter().map(decode).collect()
    }

    fn io(&self, error: &redb::Error) -> StoreError {
        StoreError::Io { path: self.path.clone(), reason: error.to_string() }
    }
}

/// Creating a redb file is not crash-safe, so it is made under another name and then given its own: a name that no
/// other FTM has, which may be doing the same, and never over a file that is there.
fn create(path: &Path) -> Result<(), String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let make = || -> Result<(), Box<dyn std::error::Error>> {
        let beside = tempfile::Builder::new().prefix("ftm.redb.new-").tempfile_in(folder)?;
        let db = Database::builder().create_with_backend(FileBackend::new(beside.reopen()?)?)?;
        let txn = db.begin_write()?;
        txn.open_table(NUMBERS)?.insert("schema", SCHEMA)?;
        txn.open_table(ALIASES)?;
        txn.open_table(PROCESSES)?;
        txn.commit()?;
        drop(db);
        beside.as_file().sync_all()?;
        match beside.persist_noclobber(path) {
            // The other one was faster, and has made the same.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
            named => drop(named?),
        }
        File::open(folder)?.sync_all()?;
        Ok(())
    };
    make().map_err(|error| error.to_string())
}

/// A checksum over what follows, then JSON: redb does not notice bits that rot.
fn encode(value: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_vec(value).expect("these records have text keys only");
    let mut bytes = crc32fast::hash(&json).to_le_bytes().to_vec();
    bytes.extend_from_slice(&json);
    bytes
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let (sum, json) = bytes.split_first_chunk::<4>()?;
    if crc32fast::hash(json) != u32::from_le_bytes(*sum) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_committed_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ftm.redb");
        let alias = AliasState { id: 3, incarnation: 9, ..AliasState::default() };
        let process = ProcessState { process_id: 7, ports: vec![(3, 12)], ..ProcessState::default() };
        let store = Store::open(&path).unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::InUse(_))));
        let fault = FaultState { spec: "cut counter-1 ftm".into(), until_unix_ms: Some(5) };
        let writes = [
            Write::Number("starts", 2),
            Write::Alias("counter".into(), alias.clone()),
            Write::Process("counter-1".into(), process.clone()),
            Write::Process("counter-2".into(), process.clone()),
            Write::Forget("counter-2".into()),
            Write::Fault("L1".into(), fault.clone()),
            Write::Fault("L2".into(), fault.clone()),
            Write::Healed("L1".into()),
        ];
        store.commit(&writes).unwrap();
        drop(store);
        let remembered = Store::open(&path).unwrap().load().unwrap();
        assert_eq!(remembered.number("starts"), 2);
        assert_eq!(remembered.aliases["counter"], alias);
        assert_eq!(remembered.processes, BTreeMap::from([("counter-1".to_owned(), process)]));
        assert_eq!(remembered.faults, BTreeMap::from([("L2".to_owned(), fault)]));
    }

    #[test]
    fn of_several_that_begin_at_once_one_has_the_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ftm.redb");
        let opened: Vec<_> = std::thread::scope(|scope| {
            let begun: Vec<_> = (0..4).map(|_| scope.spawn(|| Store::open(&path))).collect();
            begun.into_iter().map(|opened| opened.join().unwrap()).collect()
        });
        let (have, others): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
        assert_eq!(have.len(), 1);
        for other in others {
            assert!(matches!(other, Err(StoreError::InUse(_))), "{:?}", other.err());
        }
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1, "something was left beside it");
    }

    #[test]
    fn a_damaged_record_is_named() {
        let mut bytes = encode(&AliasState::default());
        assert!(decode::<AliasState>(&bytes).is_some());
        bytes[9] ^= 1;
        assert!(decode::<AliasState>(&bytes).is_none());
    }

    #[test]
    fn another_schema_is_refused_by_its_version() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ftm.redb");
        Store::open(&path).unwrap().commit(&[Write::Number("schema", 99)]).unwrap();
        assert!(matches!(Store::open(&path), Err(StoreError::OtherVersion { found: 99, .. })));
    }
}
