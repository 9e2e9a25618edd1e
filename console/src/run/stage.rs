//! A cluster started for one run or one tour, and the world as its events tell it.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palib::control::{Event, MemberState};

use super::RunError;
use crate::cluster::ClusterFile;
use crate::keeper::{Cluster, Start};
use crate::operator::{EventStream, OperatorClient};
use crate::state::StateFolder;
use crate::world::World;

/// How long a cluster may take until every alias has a member in service and all its backups.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running cluster that is watched.
pub struct Stage {
    cluster: Cluster,
    events: EventStream,
    /// What is known of it.
    pub world: World,
    /// When it was started, in milliseconds of Unix time.
    pub began_unix_ms: u64,
}

impl Stage {
    /// Starts the cluster below a folder of its own, and waits until all members are in their places.
    ///
    /// # Errors
    /// If it does not come up.
    pub async fn start(
        file: &ClusterFile,
        base: &Path,
        parent: &Path,
        program: Option<PathBuf>,
    ) -> Result<Self, RunError> {
        let began_unix_ms = unix_ms();
        let start = Start { parent, name: &file.name, text: &file.text, base, program };
        let cluster = Cluster::start(start).await?;
        let events = cluster.client().subscribe(0);
        let mut stage = Self { cluster, events, world: World::default(), began_unix_ms };
        match stage.until("every member to be in its place", READY_WITHIN, |world| ready(world, file)).await {
            Ok(()) => Ok(stage),
            Err(error) => {
                let _ = stage.shutdown().await;
                Err(error)
            }
        }
    }

    /// The connection to the FTM.
    #[must_use]
    pub fn client(&self) -> &OperatorClient {
        self.cluster.client()
    }

    /// The state folder.
    #[must_use]
    pub fn folder(&self) -> &StateFolder {
        self.cluster.folder()
    }

    /// Waits for the next events and folds them in. Safe to cancel.
    ///
    /// # Errors
    /// If the cluster is down.
    pub async fn next(&mut self) -> Result<Vec<Event>, RunError> {
        let events = self.events.next().await.ok_or(RunError::ClusterGone)?;
        for event in &events {
            self.world.apply(event);
        }
        Ok(events)
    }

    /// Folds in what happens until something is true.
    ///
    /// # Errors
    /// If it does not become true in time.
    pub async fn until(
        &mut self,
        what: &'static str,
        within: Duration,
        mut is: impl FnMut(&World) -> bool,
    ) -> Result<(), RunError> {
        let watch = async {
            while !is(&self.world) {
                self.next().await?;
            }
            Ok(())
        };
        match tokio::time::timeout(within, watch).await {
            Ok(result) => result,
            Err(_) => Err(RunError::TookTooLong { what, within, now: self.in_words() }),
        }
    }

    /// Folds in what happens for so long.
    ///
    /// # Errors
    /// If the cluster is down.
    pub async fn watch_for(&mut self, span: Duration) -> Result<(), RunError> {
        self.meanwhile(tokio::time::sleep(span)).await
    }

    /// Folds in what happens while something else is done.
    ///
    /// # Errors
    /// If the cluster is down.
    pub async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, RunError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                events = self.next() => events?,
            };
        }
    }

    /// Who is how: for the message that something took too long.
    #[must_use]
    pub fn in_words(&self) -> String {
        let members = self.world.aliases.values().flat_map(|row| {
            row.members.iter().map(|member| {
                format!("{} in {}: {:?} ({})", member.process, row.alias, member.state, member.why)
            })
        });
        let words: Vec<String> = members.collect();
        if words.is_empty() { "nothing was heard of any member".to_owned() } else { words.join("; ") }
    }

    /// Stops the cluster; no process of it is left.
    ///
    /// # Errors
    /// If something of it is still there after a while.
    pub async fn shutdown(self) -> Result<(), RunError> {
        Ok(self.cluster.shutdown().await?)
    }
}

/// Whether each alias has all its members, one of them in service.
pub(super) fn ready(world: &World, file: &ClusterFile) -> bool {
    file.aliases.iter().all(|alias| {
        let live = |state| matches!(state, MemberState::InService | MemberState::Backup);
        world.aliases.get(&alias.name).is_some_and(|row| {
            row.in_service().is_some()
                && row.members.iter().filter(|member| live(member.state)).count()
                    >= file.members(&alias.name).len()
        })
    })
}

/// Now, in milliseconds of Unix time.
pub(crate) fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
