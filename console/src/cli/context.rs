//! What all commands share: where state lies, which cluster is meant, how output looks.

use std::path::PathBuf;
use std::time::Duration;

use super::Failure;
use crate::operator::OperatorClient;
use crate::state::{self, FoundCluster, StateFolder};

/// How long a command waits for an FTM to answer.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// What all commands share.
#[derive(Clone, Debug, clap::Args)]
pub struct Context {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    pub json: bool,
    /// The cluster that is meant; not needed while only one is running
    #[arg(long, global = true, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Where clusters keep their state [default: $XDG_STATE_HOME/palib]
    #[arg(long, global = true, value_name = "DIR", env = "PALIB_STATE")]
    pub state: Option<PathBuf>,
    /// What is logged to standard error: error, warn, info, debug, or a filter such as palib=debug
    #[arg(long, global = true, value_name = "LEVEL", env = "PALIB_LOG")]
    pub log: Option<String>,
}

impl Context {
    /// The folder of all clusters' state.
    ///
    /// # Errors
    /// If the user has no home and named none.
    pub fn parent(&self) -> Result<PathBuf, Failure> {
        Ok(state::parent_folder(self.state.as_deref())?)
    }

    /// The clusters that run.
    ///
    /// # Errors
    /// If the state can't be read.
    pub fn running(&self) -> Result<Vec<FoundCluster>, Failure> {
        let mut clusters = state::clusters(&self.parent()?)?;
        clusters.retain(FoundCluster::runs);
        Ok(clusters)
    }

    /// The state folder of the cluster that is meant: the one named, or the only one that runs.
    ///
    /// # Errors
    /// If none or several could be meant, or two are named.
    pub fn folder(&self, named: Option<&str>) -> Result<StateFolder, Failure> {
        let name = match (named, self.cluster.as_deref()) {
            (Some(one), Some(other)) if one != other => {
                let words =
                    format!("two clusters are named, `{one}` and `{other}`; name the one that is meant");
                return Err(Failure::usage(words));
            }
            (named, option) => named.or(option),
        };
        if let Some(name) = name {
            let folder = StateFolder::of(&self.parent()?, name).map_err(Failure::usage)?;
            if folder.cluster_file().exists() {
                return Ok(folder);
            }
            let known: Vec<String> =
                state::clusters(&self.parent()?)?.into_iter().map(|found| found.name).collect();
            let hint = match crate::units::closest(name, known.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => "`palib ls` lists the clusters there are".to_owned(),
            };
            return Err(Failure::environment(format!("there is no cluster `{name}`; {hint}")));
        }
        let running = self.running()?;
        match &running[..] {
            [only] => Ok(only.folder.clone()),
            [] => Err(Failure::environment(
                "no cluster is running; start one with `palib up FILE`, or `palib up counter` for a demo",
            )),
            several => {
                let names: Vec<&str> = several.iter().map(|found| found.name.as_str()).collect();
                Err(Failure::usage(format!(
                    "several clusters are running ({}); say which with --cluster NAME",
                    names.join(", ")
                )))
            }
        }
    }

    /// A connection to the FTM of the cluster that is meant.
    ///
    /// # Errors
    /// If there is no such cluster or its FTM does not answer.
    pub async fn connect(&self) -> Result<OperatorClient, Failure> {
        let folder = self.folder(None)?;
        Ok(OperatorClient::connect(&folder, CONNECT_WITHIN).await?)
    }
}
