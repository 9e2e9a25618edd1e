//! `palib down`.

use serde::Serialize;

use super::{Context, Failure, output};
use crate::keeper::{self, ClusterError};
use crate::state::StateFolder;

/// Stop a cluster; no process of it is left.
#[derive(Debug, clap::Args)]
pub(super) struct Down {
    /// The cluster; not needed while only one is running
    // Its id is not the field's name: `--cluster`, which every command knows, would be hidden by it.
    #[arg(id = "name", value_name = "CLUSTER")]
    cluster: Option<String>,
    /// Stop all that are running
    #[arg(long, conflicts_with = "name")]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    cluster: String,
    done: String,
}

impl Down {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let stop = async |folder: StateFolder| keeper::down(&folder).await;
        let (rows, failed) = stop_each(self.folders(context)?, stop).await;
        if context.json {
            output::json_rows(&rows)?;
        } else if rows.is_empty() && failed.is_empty() {
            output::line("no cluster is running")?;
        } else {
            rows.iter().try_for_each(|row| output::line(&row.done))?;
        }
        let words: Vec<_> = failed.iter().map(ToString::to_string).collect();
        if failed.is_empty() { Ok(()) } else { Err(Failure::environment(words.join("; "))) }
    }

    fn folders(&self, context: &Context) -> Result<Vec<StateFolder>, Failure> {
        if !self.all {
            return Ok(vec![context.folder(self.cluster.as_deref())?]);
        }
        // An option that may stand before the command as well is no matter for the parser.
        if let Some(name) = &context.cluster {
            return Err(Failure::usage(format!(
                "--all and --cluster {name} can't both be meant; name one of them"
            )));
        }
        Ok(context.running()?.into_iter().map(|found| found.folder).collect())
    }
}

/// Stops one after another. One that can't be stopped is no reason to leave the others running.
async fn stop_each(
    folders: Vec<StateFolder>,
    stop: impl AsyncFn(StateFolder) -> Result<(), ClusterError>,
) -> (Vec<Row>, Vec<ClusterError>) {
    let (mut rows, mut failed) = (Vec::new(), Vec::new());
    for folder in folders {
        let ran = !folder.is_down();
        let (cluster, path) = (folder.cluster(), folder.path().display().to_string());
        match stop(folder).await {
            Ok(()) if ran => {
                rows.push(Row { done: format!("{cluster} is down; its state stays in {path}"), cluster });
            }
            Ok(()) => rows.push(Row { done: format!("{cluster} was not running"), cluster }),
            Err(error) => failed.push(error),
        }
    }
    (rows, failed)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[tokio::test]
    async fn a_cluster_that_can_not_be_stopped_leaves_no_other_one_running() {
        let folder = |name| StateFolder::of(Path::new("nowhere"), name).expect("a name");
        let stop = async |folder: StateFolder| match folder.cluster() {
            cluster if cluster == "b" => {
                Err(ClusterError::NotDown { cluster, reason: "it clings".to_owned() })
            }
            _ => Ok(()),
        };
        let (rows, failed) = stop_each(["a", "b", "c"].map(folder).into(), stop).await;
        assert_eq!(rows.iter().map(|row| row.cluster.as_str()).collect::<Vec<_>>(), ["a", "c"]);
        assert!(failed.len() == 1 && failed[0].to_string().contains("it clings"), "{failed:?}");
    }
}
