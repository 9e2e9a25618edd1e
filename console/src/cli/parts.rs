//! The parts that palib starts by itself: hidden commands, run by the keeper and the FTM.

use std::path::PathBuf;
use std::process::ExitCode;

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
    /// A stock node, started with a ticket in its environment
    #[command(hide = true)]
    Node,
    /// A process of the bench
    #[command(hide = true, subcommand)]
    BenchPart(BenchPart),
}

impl Part {
    /// Runs the part. Parts build their own runtimes.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Keep { folder } => keeper::run(keeper::KeeperOptions { folder })?,
            Self::Ftm { folder } => ftm::run(ftm::FtmOptions { folder }).map_err(Failure::environment)?,
            // Its exit code is what the FTM tells a fenced process from a broken one by.
            Self::Node => return Ok(palib_node::main()),
            Self::BenchPart(part) => part.run().map_err(Failure::environment)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}
