//! One cell of a sweep: a defect, where it strikes, and how much was under way.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A row of the matrix: a defect, wherever it strikes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Row {
    /// What it belongs to: `server`, `caller`, `relay`, `takeover`, `ftm` for defect points, else `process`, `link`,
    /// `disk` or `pair`.
    pub part: String,
    /// The name of the point, or what happens, such as `kill` or `drop 10%`.
    pub row: String,
}

/// A column of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Column {
    /// The alias that is struck, or `ftm`; `pairs` for pairs of points.
    pub column: String,
    /// How much was under way.
    pub mode: Mode,
}

/// How much is under way when a defect strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// One call of each caller alias.
    Alone,
    /// Many calls at a time.
    Load,
}

/// How a cell came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The defect happened, and nothing contradicts exactly-once.
    Clean,
    /// Something contradicts exactly-once.
    NotClean,
    /// There is no verdict: the run itself failed.
    NoVerdict,
    /// The point could have been passed for all that is known, and was not: nothing was proven.
    NotPassed,
    /// The alias can't pass the point: it has no such step.
    Impossible,
}

/// A cell that is decided: one line of `cells.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cell {
    /// Its row.
    #[serde(flatten)]
    pub row: Row,
    /// Its column.
    #[serde(flatten)]
    pub column: Column,
    /// How it came out.
    pub state: State,
    /// The verdict, or why there is none, or why the point can't be passed.
    pub why: String,
    /// Takeovers in its run.
    #[serde(default)]
    pub takeovers: u64,
    /// Calls that were acknowledged.
    #[serde(default)]
    pub acked: u64,
    /// The longest time without a reply of any takeover, in microseconds; none if none was measured.
    #[serde(default)]
    pub blackout_us_max: Option<u64>,
    /// How long the run took from its start to its verdict, in milliseconds.
    #[serde(default)]
    pub took_ms: u64,
    /// The command that repeats the run; none where nothing was run.
    #[serde(default)]
    pub command: Option<String>,
    /// Where everything of the run is kept; none unless it was not clean.
    #[serde(default)]
    pub kept: Option<PathBuf>,
}

impl Mode {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Alone, Self::Load];

    /// In one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Alone => "alone",
            Self::Load => "load",
        }
    }
}

impl State {
    /// In a few words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::NotClean => "not clean",
            Self::NoVerdict => "no verdict",
            Self::NotPassed => "not passed",
            Self::Impossible => "can't be passed",
        }
    }

    /// Whether something is wrong.
    #[must_use]
    pub fn is_bad(self) -> bool {
        matches!(self, Self::NotClean | Self::NoVerdict)
    }
}

impl fmt::Display for Column {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.column, self.mode.word())
    }
}
