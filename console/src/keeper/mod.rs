//! The keeper: starts the FTM, starts it again when it dies, and leaves no orphan when the cluster ends.
//!
//! It is a process of its own, in a session of its own, so that a closed window or a Ctrl-C reaches neither the FTM
//! nor the nodes. Its standard input is a pipe that its owner (the console, `up`, `run`) holds: when the owner dies,
//! however it dies, the pipe closes and the cluster goes down, unless the owner said to leave it up.

mod cluster;
mod force;
mod watch;

use std::ffi::OsStr;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

pub use cluster::{Cluster, Start, down};
pub use watch::run;

use crate::operator::OperatorError;
use crate::state::StateError;

/// What an owner writes into the keeper's standard input to leave the cluster running.
const LEAVE_UP: u8 = b'L';

/// This program, also after its file was replaced by a newer build or removed: it is the one that runs.
pub(crate) const OWN_PROGRAM: &str = "/proc/self/exe";

/// A program to be started. This one is listed under its name, and not under that of the link to it.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(&program);
    if program.as_ref() == OWN_PROGRAM {
        command.arg0("palib");
    }
    command
}

/// What `palib keep FOLDER` is told.
#[derive(Clone, Debug)]
pub struct KeeperOptions {
    /// The state folder of the cluster (`<parent>/<cluster>`).
    pub folder: PathBuf,
}

/// Why a cluster could not be started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// It runs already.
    #[error(
        "cluster {0:?} is running already: attach to it with `palib attach {0}`, or stop it with `palib down {0}`"
    )]
    RunsAlready(String),
    /// The FTM did not come up.
    #[error("cluster {cluster:?} did not come up: {reason}")]
    NotUp {
        /// The cluster.
        cluster: String,
        /// Why, with the last lines of the log.
        reason: String,
    },
    /// The FTM does not answer.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// Something of it could not be stopped.
    #[error("cluster {cluster:?} is not down: {reason}")]
    NotDown {
        /// The cluster.
        cluster: String,
        /// What is left.
        reason: String,
    },
    /// A process could not be started.
    #[error("can't start {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// The operating system's words.
        source: std::io::Error,
    },
}
