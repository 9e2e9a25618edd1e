//! `palib ls`.

use serde::Serialize;

use super::{Context, Failure, output};
use crate::cluster::ClusterFile;
use crate::state::{self, FoundCluster};

/// List the clusters.
#[derive(Debug, clap::Args)]
pub(super) struct Ls {
    /// Only those that are running
    #[arg(long)]
    running: bool,
}

/// A cluster in the list.
#[derive(Debug, Serialize)]
struct Row {
    cluster: String,
    /// `running`, `no ftm` (its keeper lives and starts one), `orphaned` (only processes of it live: `down` ends them) or
    /// `stopped`.
    state: &'static str,
    title: String,
    ftm_pid: Option<u32>,
    keeper_pid: Option<u32>,
    folder: String,
}

impl Ls {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut clusters = state::clusters(&context.parent()?)?;
        if self.running {
            clusters.retain(FoundCluster::runs);
        }
        let rows: Vec<Row> = clusters.into_iter().map(row).collect();
        if context.json {
            return output::json_rows(&rows);
        }
        if rows.is_empty() {
            return output::line(
                "no clusters yet; start one with `palib up FILE`, or `palib up counter` for a demo",
            );
        }
        let mut table = output::Table::new(&["CLUSTER", "STATE", "FTM>", "KEEPER>", "TITLE", "FOLDER"]);
        let pid = |pid: Option<u32>| pid.map_or("-".to_owned(), |pid| pid.to_string());
        for row in rows {
            table.row([
                row.cluster,
                row.state.to_owned(),
                pid(row.ftm_pid),
                pid(row.keeper_pid),
                row.title,
                row.folder,
            ]);
        }
        table.print()
    }
}

fn row(found: FoundCluster) -> Row {
    let file = found.folder.cluster_file();
    let title = std::fs::read_to_string(&file)
        .ok()
        .and_then(|text| ClusterFile::parse(&file, &text).ok())
        .map_or(String::new(), |file| file.title);
    Row {
        cluster: found.name,
        state: match (&found.ftm, &found.keeper) {
            (Some(_), _) => "running",
            (None, Some(_)) => "no ftm",
            (None, None) if found.orphans.is_empty() => "stopped",
            (None, None) => "orphaned",
        },
        title,
        ftm_pid: found.ftm.map(|mark| mark.pid),
        keeper_pid: found.keeper.map(|mark| mark.pid),
        folder: found.folder.path().display().to_string(),
    }
}
