//! Starting and stopping clusters, from the owner's side.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use palib::control::OperatorRequest;
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::{ClusterError, LEAVE_UP, OWN_PROGRAM, command, force};
use crate::operator::OperatorClient;
use crate::state::{self, StateFolder};

/// How long a cluster may take until its FTM answers.
const UP_WITHIN: Duration = Duration::from_secs(20);
/// How long a cluster may take to go down in good order before it is stopped by force.
const DOWN_WITHIN: Duration = Duration::from_secs(10);
/// How often it is looked whether a process is there or gone; what is waited for happens in other processes.
const LOOK: Duration = Duration::from_millis(20);

/// How long it takes until a keeper that could not be started is tried again: what the machine lacks comes back slowly,
/// and each time is a line of the log.
const SPAWN_AGAIN: Duration = Duration::from_secs(1);

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
    keeper: Arc<Keeper>,
    watcher: JoinHandle<()>,
}

/// The keeper's process. While this is there, it is started again when it dies.
#[derive(Debug)]
struct Keeper {
    program: PathBuf,
    folder: StateFolder,
    /// None once the owner lets go of it.
    child: Mutex<Option<Child>>,
}

impl Cluster {
    /// Starts a keeper and waits until the FTM answers. State left by a former run of the cluster is taken up:
    /// its stable areas, its incarnations.
    ///
    /// # Errors
    /// If the cluster runs already, or its FTM does not come up; the message has the end of its log.
    pub async fn start(start: Start<'_>) -> Result<Self, ClusterError> {
        let folder = StateFolder::of(start.parent, start.name)?;
        let runs_already = || ClusterError::RunsAlready(start.name.to_owned());
        folder.create()?;
        // Kept until the FTM answers: who looks before the new keeper can be found would start another one, and
        // take its failure for that of the cluster.
        let _starting = folder.begin_start()?.ok_or_else(runs_already)?;
        if folder.living_ftm().is_some() || folder.living_keeper().is_some() {
            return Err(runs_already());
        }
        state::write_whole(&folder.cluster_file(), start.text.as_bytes())?;
        state::write_whole(&folder.origin(), start.base.as_os_str().as_encoded_bytes())?;
        state::write_whole(&folder.started_anew(), b"")?;
        let program = start.program.unwrap_or_else(|| OWN_PROGRAM.into());
        let keeper = Arc::new(Keeper { program, folder: folder.clone(), child: Mutex::new(None) });
        *keeper.child.lock() = Some(keeper.spawn()?);
        let client = match until_up(&keeper).await {
            Ok(client) => client,
            Err(reason) => {
                let own = keeper.child.lock().take().map(|child| child.id());
                if folder.living_keeper().is_some_and(|other| Some(other.pid) != own) {
                    // Somebody started a keeper by hand: what lives is that one's.
                    return Err(runs_already());
                }
                force::end_all(&folder, DOWN_WITHIN).await;
                return Err(ClusterError::NotUp { cluster: start.name.to_owned(), reason });
            }
        };
        let watcher = tokio::spawn(watch(Arc::downgrade(&keeper)));
        Ok(Self { folder, client, keeper, watcher })
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
        self.watcher.abort();
        let child = self.keeper.child.lock().take();
        let ended = end(&self.folder, Some(&self.client)).await;
        if let Some(mut child) = child {
            drop(child.stdin.take());
            let _ = tokio::task::spawn_blocking(move || child.wait()).await;
        }
        ended
    }

    /// Leaves the cluster running when this process ends.
    pub fn leave_up(self) {
        self.watcher.abort();
        if let Some(mut child) = self.keeper.child.lock().take()
            && let Some(mut pipe) = child.stdin.take()
        {
            // If the keeper is gone there is nobody to tell, and nobody who would take the cluster down.
            let _ = pipe.write_all(&[LEAVE_UP]);
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.watcher.abort();
    }
}

impl Keeper {
    fn spawn(&self) -> Result<Child, ClusterError> {
        let log = std::fs::File::options().create(true).append(true).open(self.folder.log("keeper"));
        let spawned = log.and_then(|log| {
            command(&self.program)
                .arg("keep")
                .arg(self.folder.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::from(log.try_clone()?))
                .stderr(Stdio::from(log))
                .spawn()
        });
        spawned.map_err(|source| ClusterError::Spawn { program: self.program.display().to_string(), source })
    }

    /// Whether the keeper has ended by itself; it is reaped then.
    fn has_ended(&self) -> bool {
        let mut child = self.child.lock();
        child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_)) | Err(_)))
    }
}

async fn until_up(keeper: &Keeper) -> Result<OperatorClient, String> {
    let start = Instant::now();
    while keeper.folder.living_keeper().is_none() {
        if start.elapsed() > UP_WITHIN || keeper.has_ended() {
            return Err(format!("its keeper did not start: {}", end_of_log(&keeper.folder, "keeper")));
        }
        sleep(LOOK).await;
    }
    let connecting = OperatorClient::connect(&keeper.folder, UP_WITHIN);
    tokio::select! {
        client = connecting => client.map_err(|error| {
            format!("{error}; {}", end_of_log(&keeper.folder, "ftm"))
        }),
        () = until_ended(keeper) => Err(end_of_log(&keeper.folder, "ftm")),
    }
}

async fn until_ended(keeper: &Keeper) {
    while !keeper.has_ended() {
        sleep(LOOK).await;
    }
}

/// The last lines a part of the cluster wrote, for an error message.
fn end_of_log(folder: &StateFolder, part: &str) -> String {
    let file = folder.log(part);
    let text = std::fs::read_to_string(&file).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    let lines: Vec<&str> = lines.into_iter().rev().collect();
    if lines.is_empty() {
        return format!("{} is empty", file.display());
    }
    format!("the end of {}:\n{}", file.display(), lines.join("\n"))
}

/// Starts the keeper again when it dies while its cluster is wanted. The FTM goes on meanwhile; the new keeper
/// finds it.
async fn watch(keeper: std::sync::Weak<Keeper>) {
    loop {
        sleep(LOOK).await;
        let Some(keeper) = keeper.upgrade() else { return };
        if !keeper.has_ended() {
            continue;
        }
        if keeper.folder.living_ftm().is_none() && keeper.folder.living_nodes().is_empty() {
            // It ended with its cluster: somebody has taken it down.
            return;
        }
        tracing::warn!("the keeper died and is started again");
        match keeper.spawn() {
            Ok(child) => *keeper.child.lock() = Some(child),
            Err(error) => {
                tracing::error!(%error, "the keeper can't be started; it is tried again");
                sleep(SPAWN_AGAIN).await;
            }
        }
    }
}

/// Stops a cluster that somebody started: asks its FTM, then waits until FTM, keeper and processes are gone.
/// One whose FTM does not answer is stopped by force.
///
/// # Errors
/// If something of it is still there after a while.
pub async fn down(folder: &StateFolder) -> Result<(), ClusterError> {
    end(folder, None).await
}

async fn end(folder: &StateFolder, client: Option<&OperatorClient>) -> Result<(), ClusterError> {
    let start = Instant::now();
    if folder.living_ftm().is_some() {
        let asked = async {
            let connected = match client {
                Some(client) => client.clone(),
                None => OperatorClient::connect(folder, DOWN_WITHIN / 2).await?,
            };
            connected.request(OperatorRequest::Down).await
        };
        // If it can't be asked, force does it.
        let _ = tokio::time::timeout(DOWN_WITHIN / 2, asked).await;
    }
    while start.elapsed() < DOWN_WITHIN {
        if folder.is_down() {
            return Ok(());
        }
        if folder.living_ftm().is_none() && !force::ask_keeper_to_end(folder) {
            break;
        }
        sleep(LOOK).await;
    }
    let left = force::end_all(folder, DOWN_WITHIN).await;
    if left.is_empty() {
        return Ok(());
    }
    Err(ClusterError::NotDown {
        cluster: folder.cluster(),
        reason: format!("these processes can't be ended: {left:?}"),
    })
}
