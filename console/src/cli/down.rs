//! `palib down`.

use serde::Serialize;

use super::{Context, Failure, output};
use crate::keeper;

/// Stop a cluster; no process of it is left.
#[derive(Debug, clap::Args)]
pub(super) struct Down {
    /// The cluster; not needed while only one is running
    cluster: Option<String>,
    /// Stop all that are running
    #[arg(long, conflicts_with = "cluster")]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Row {
    cluster: String,
    done: String,
}

impl Down {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let folders = if self.all {
            context.running()?.into_iter().map(|found| found.folder).collect()
        } else {
            vec![context.folder(self.cluster.as_deref())?]
        };
        let mut rows = Vec::new();
        for folder in folders {
            let ran = !folder.is_down();
            keeper::down(&folder).await?;
            let cluster = folder.cluster();
            let done = if ran {
                format!("{cluster} is down; its state stays in {}", folder.path().display())
            } else {
                format!("{cluster} was not running")
            };
            rows.push(Row { cluster, done });
        }
        if context.json {
            return output::json_rows(&rows);
        }
        if rows.is_empty() {
            return output::line("no cluster is running");
        }
        rows.iter().try_for_each(|row| output::line(&row.done))
    }
}
