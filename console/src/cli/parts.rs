//! The parts that palib starts by itself: hidden commands, run by the keeper and the FTM.

use std::path::PathBuf;

use super::Failure;
use crate::bench::part::BenchPart;
use crate::{ftm, keeper};

/// A part of a cluster, as a process of its own.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Part {
    /// The keeper of a cluster
    #[command(hide = true)]
    Keep {
        /// The cluster's state folder
        folder: PathBuf,
    },
    /// The FTM of a cluster
    #[command(hide = true)]
    Ftm {
        /// The cluster's state folder
        folder: PathBuf,
    },
    /// A process of the bench
    #[command(hide = true, subcommand)]
    BenchPart(BenchPart),
}

impl Part {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Keep { folder } => Ok(keeper::run(keeper::KeeperOptions { folder })?),
            Self::BenchPart(part) => part.run().map_err(Failure::environment),
            Self::Ftm { folder } => ftm::run(ftm::FtmOptions { folder }).map_err(Failure::environment),
        }
    }
}
