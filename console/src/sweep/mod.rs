//! Sweeps: every defect at every place it can strike, a run for each, and a matrix of verdicts.
//!
//! Each cell has a cluster of its own, started for it and gone after it: what one defect leaves behind can neither hide nor
//! cause what another one shows. Several run side by side, because most of a run is waiting.

mod cell;
mod injuries;
mod matrix;
mod plan;
mod reach;
mod runner;
mod show;
mod store;

pub use cell::{Cell, Column, Mode, Row, State};
pub use matrix::{Counts, Head, Matrix};
pub use runner::{Progress, Swept, sweep};
pub use show::lines;

use std::path::{Path, PathBuf};

use regex::Regex;

use crate::cluster::ClusterFile;

/// What is to be swept, and how.
#[derive(Clone, Debug)]
pub struct SweepOptions {
    /// The cluster.
    pub file: ClusterFile,
    /// How the operator named it, for the commands that repeat a run.
    pub named: PathBuf,
    /// The folder in which commands of the file are run.
    pub base: PathBuf,
    /// Where the results lie.
    pub out: PathBuf,
    /// The seed of load, of instants and of pairs.
    pub seed: u64,
    /// Calls that each caller alias keeps under way in columns `load`.
    pub callers: u64,
    /// Only rows whose name this matches.
    pub rows: Option<Regex>,
    /// Only these columns; empty: all.
    pub columns: Vec<String>,
    /// Only `alone` or only `load`; none: both.
    pub mode: Option<Mode>,
    /// Instead of single defects, so many pairs of defect points.
    pub pairs: Option<usize>,
    /// Runs side by side.
    pub jobs: usize,
    /// Forget what there is and begin anew.
    pub fresh: bool,
    /// Run again what was not clean, or not passed.
    pub again: bool,
    /// The program with the subcommands `keep`, `ftm` and `node`; none: this one.
    pub program: Option<PathBuf>,
}

/// Why a sweep could not go on.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Nobody in the file makes calls that can be verified.
    #[error(transparent)]
    Run(#[from] crate::run::RunError),
    /// Nothing is selected.
    #[error("nothing is selected: {0}")]
    Nothing(String),
    /// The folder has results of another sweep.
    #[error(
        "{} has results of another sweep ({there}, and this one is {this}); name another folder with --out, or forget \
         them with --fresh", folder.display()
    )]
    Other {
        /// The folder.
        folder: PathBuf,
        /// What its cells have in common.
        there: String,
        /// What the cells of this sweep have in common.
        this: String,
    },
    /// Another sweep works in the folder.
    #[error("another sweep works in {}; name another folder with --out", .0.display())]
    InUse(PathBuf),
    /// A file or folder.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
}

impl SweepError {
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

impl SweepOptions {
    /// What all cells have in common: of runs that differ in it one is no continuation of the other.
    fn basis(&self) -> String {
        let file = crc32fast::hash(self.file.text.as_bytes());
        format!("cluster file {file:08x}, seed {}, {} callers under load", self.seed, self.callers)
    }
}

/// Where the sweeps of a cluster lie unless another folder is named. Beside the clusters' own folders, under a name that
/// no cluster can have.
#[must_use]
pub fn default_folder(parent: &Path, cluster: &str) -> PathBuf {
    parent.join(".sweeps").join(cluster)
}
