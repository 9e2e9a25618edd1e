//! `palib up`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use super::console::Look;
use super::{Context, Failure, output};
use crate::cluster::ClusterFile;
use crate::keeper::{Cluster, Start};

/// Start the cluster of a file.
#[derive(Debug, clap::Args)]
pub(super) struct Up {
    /// The cluster file, or the name of a demo
    file: PathBuf,
    /// Leave the cluster in the background, without the console
    #[arg(long)]
    detach: bool,
    #[command(flatten)]
    pub(super) look: Look,
}

impl Up {
    pub(super) fn is_detached(&self) -> bool {
        self.detach
    }

    pub(super) async fn run(self, context: &Context, look: Look) -> Result<(), Failure> {
        let file = ClusterFile::load(&self.file)?;
        if self.detach {
            return self.detached(context, &file).await;
        }
        if !std::io::stdout().is_terminal() {
            let hint = "`palib up` opens the console, which needs a terminal; add --detach to do without";
            return Err(Failure::environment(hint));
        }
        let cluster = self.start(context, &file).await?;
        super::console::on_top_of(context, look, cluster).await
    }

    async fn start(&self, context: &Context, file: &ClusterFile) -> Result<Cluster, Failure> {
        let parent = context.parent()?;
        let base = base_of(&self.file);
        let cluster = Cluster::start(Start {
            parent: &parent,
            name: &file.name,
            text: &file.text,
            base: &base,
            program: None,
        })
        .await?;
        Ok(cluster)
    }

    async fn detached(&self, context: &Context, file: &ClusterFile) -> Result<(), Failure> {
        let cluster = self.start(context, file).await?;
        let folder = cluster.folder().path().display().to_string();
        cluster.leave_up();
        let name = &file.name;
        if context.json {
            return output::json(&serde_json::json!({ "cluster": name, "folder": folder }));
        }
        output::line(format!("{name} is up; its state is in {folder}"))?;
        output::line(format!("palib attach {name} opens the console, palib down {name} stops it"))
    }
}

/// The folder that commands of a cluster file are run in: the file's own.
pub(crate) fn base_of(file: &Path) -> PathBuf {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty() && parent.is_dir());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    std::path::absolute(parent).unwrap_or_else(|_| parent.to_owned())
}
