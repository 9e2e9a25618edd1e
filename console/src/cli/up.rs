//! `palib up`.

use std::path::{Path, PathBuf};

use super::{Context, Failure, output};
use crate::cluster::ClusterFile;
use crate::keeper::{Cluster, Start};

/// Start the cluster of a file.
#[derive(Debug, clap::Args)]
pub(super) struct Up {
    /// The cluster file, or the name of a demo
    file: PathBuf,
}

impl Up {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let file = ClusterFile::load(&self.file)?;
        self.detached(context, &file).await
    }

    async fn detached(&self, context: &Context, file: &ClusterFile) -> Result<(), Failure> {
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
