//! Histories: what callers asked, when, and what they were told.
//!
//! A history is a file of JSON lines, one per call, as the callers write it. A line may also be a *meta* line,
//! `{"meta": {"target": "ledger", "opening": 500}}`, which says how a service began where that is not the default:
//! a counter begins at 0, a ledger's accounts open with [`OPENING_BALANCE`], a folder is empty.

mod read;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use read::{HistoryError, files_in, merge, parse, read};

/// What an account of a ledger opens with, unless a meta line says otherwise.
pub const OPENING_BALANCE: i64 = 1000;

/// How a call ended, as far as its caller knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It was answered.
    Ok,
    /// The service refused it: it had no effect.
    Fail,
    /// Nobody knows: it may have happened, it may happen later, or never.
    Info,
}

/// One line: one call, as one process reported it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The process that reported it.
    pub process: String,
    /// What was asked: `inc`, `add`, `read`, `transfer`, `create`, `delete` or `order`.
    pub op: String,
    /// Of which counter or file; nothing for a ledger or a shop.
    #[serde(default)]
    pub key: Option<String>,
    /// With which argument.
    #[serde(default)]
    pub arg: Value,
    /// What the answer was.
    #[serde(default)]
    pub result: Value,
    /// The identity of the call.
    #[serde(default)]
    pub id: Option<String>,
    /// When it was first asked, on the machine's monotonic clock.
    pub invoke_ns: u64,
    /// When the answer was there; nothing if it never was.
    #[serde(default)]
    pub return_ns: Option<u64>,
    /// How it ended.
    pub status: Status,
    /// The how manieth request of all it was, where the service says so in its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u64>,
    /// The alias that was called; histories of one service may leave it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

/// What a meta line says of one service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meta {
    /// The alias it is about; nothing means all.
    #[serde(default)]
    pub target: Option<String>,
    /// What each account of the ledger opens with.
    #[serde(default)]
    pub opening: Option<i64>,
}

/// Where a line was read: for pointing at it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The number of the file in [`History::files`].
    pub file: usize,
    /// The line's number, from 1.
    pub line: usize,
}

/// A history, read and put together from any number of files.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The files it was read from.
    pub files: Vec<String>,
    /// The lines, in the order they were read.
    pub lines: Vec<(Place, Line)>,
    /// What meta lines said, by target; the key of those that are about all is empty.
    pub metas: BTreeMap<String, Meta>,
    /// Lines that were cut short by the death of their writer. A caller writes a line before it drops the call, so
    /// the call of such a line was asked for again and has another one.
    pub torn: usize,
}

impl History {
    /// What an account of this target opens with.
    #[must_use]
    pub fn opening(&self, target: &str) -> i64 {
        let of = |name: &str| self.metas.get(name).and_then(|meta| meta.opening);
        of(target).or_else(|| of("")).unwrap_or(OPENING_BALANCE)
    }

    /// Where a line stands, as `file:line`.
    #[must_use]
    pub fn place(&self, index: usize) -> String {
        let place = &self.lines[index].0;
        format!("{}:{}", self.files[place.file], place.line)
    }
}
