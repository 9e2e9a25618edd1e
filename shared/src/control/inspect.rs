//! What an operator sees when looking into a process or a stable area.

use serde::{Deserialize, Serialize};

/// A page of rows, and where the next one starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Give this back to get the next page; none at the end. Its content has no meaning of its own.
    pub next: Option<String>,
}

/// A row of a redundancy table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRow {
    /// The id of the call, as `alias/origin/transId`.
    pub id: String,
    /// `executing`, `blocked`, `in_doubt`, `auto_reply`, `handler`; of a relay also `relaying`, `rolling_back`,
    /// `rolled_back`, `diverged` and `stuck`; `undoing` and `cancelled` of a call that was cancelled.
    pub state: String,
    /// What a redundant request gets: `AUTO_REPLY`, `HANDLER 0`, …; empty while nothing is registered.
    pub process_type: String,
    /// How often a redundant request was found for it, in this process's run.
    pub hits: u64,
    /// When the row was written, in milliseconds of Unix time; 0 if it is not durable yet.
    pub written_unix_ms: u64,
    /// The registered reply, or the blocked request: as text if it is UTF-8.
    pub text: Option<String>,
    /// The same as hexadecimal digits, if it is not.
    pub hex: Option<String>,
    /// Whether the registered outcome is a failure of the service's own.
    pub failed: bool,
    /// The digest of the request's body, in hexadecimal digits.
    pub digest: String,
}

/// What an operator decides about a call in doubt, or about a transaction of a relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubtDecision {
    /// Register this text as the reply.
    Reply(String),
    /// Execute the request again; a relay over its journal.
    Rerun,
    /// Have everything undone that a relay called; a request that comes again is performed from the beginning.
    RollBack,
    /// Register this text as a failure.
    Fail(String),
}

/// A stable area at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaSummary {
    /// The alias it belongs to.
    pub alias: String,
    /// The file.
    pub file: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The version of its schema.
    pub schema: u32,
    /// The incarnation that wrote last.
    pub incarnation: u64,
    /// Its tables.
    pub tables: Vec<AreaTable>,
    /// Commits since it was opened; 0 for a file read at rest.
    pub commits: u64,
    /// The median duration of the last commits, in microseconds.
    pub commit_us_p50: u64,
    /// Their 99th percentile, in microseconds.
    pub commit_us_p99: u64,
}

/// A table of a stable area.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AreaTable {
    /// Its name.
    pub name: String,
    /// How many rows it has.
    pub rows: u64,
}

/// A row of a table of a stable area, decoded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrowseRow {
    /// The key in words.
    pub key: String,
    /// The key in hexadecimal digits.
    pub key_hex: String,
    /// The value in words, one `name: value` per line.
    pub value: String,
    /// The value in hexadecimal digits, cut at 4096 bytes.
    pub value_hex: String,
    /// How many bytes the value has.
    pub value_bytes: u64,
    /// What is wrong with the record (its checksum, its version), if anything.
    pub damage: Option<String>,
}
