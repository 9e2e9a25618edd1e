//! `palib down`.

use serde::Serialize;

use super::{Context, Failure, output};
use crate::keeper;
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
        let mut rows = Vec::new();
        for folder in self.folders(context)? {
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
