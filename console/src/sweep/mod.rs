//! Sweeps: every defect at every place it can strike, a run for each, and a matrix of verdicts.

mod cell;
mod matrix;

pub use cell::{Cell, Column, Mode, Row, State};
pub use matrix::{Counts, Head, Matrix};

use std::path::{Path, PathBuf};

/// Where the sweeps of a cluster lie unless another folder is named. Beside the clusters' own folders, under a name that
/// no cluster can have.
#[must_use]
pub fn default_folder(parent: &Path, cluster: &str) -> PathBuf {
    parent.join(".sweeps").join(cluster)
}
