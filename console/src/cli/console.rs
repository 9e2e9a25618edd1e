//! `palib` without a command, and `palib attach`: the console.

use super::{Context, Failure};
use crate::keeper::Cluster;
use crate::state::StateFolder;
use crate::tui::{self, TuiOptions};

/// How the console looks and what it may do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::Args)]
pub(super) struct Look {
    /// Show only; refuse to act on the cluster
    #[arg(long)]
    read_only: bool,
    /// Draw with ASCII characters only
    #[arg(long)]
    ascii: bool,
}

impl Look {
    /// Both at once: what is asked for in either place holds.
    pub(super) fn and(self, other: Self) -> Self {
        Self { read_only: self.read_only || other.read_only, ascii: self.ascii || other.ascii }
    }
}

/// Open the console on a running cluster.
#[derive(Debug, clap::Args)]
pub(super) struct Attach {
    /// The cluster; not needed while only one is running
    // Its id is not the field's name: `--cluster`, which every command knows, would be hidden by it.
    #[arg(id = "name", value_name = "CLUSTER")]
    cluster: Option<String>,
    #[command(flatten)]
    pub(super) look: Look,
}

impl Attach {
    pub(super) async fn run(self, context: &Context, look: Look) -> Result<(), Failure> {
        let folder = context.folder(self.cluster.as_deref())?;
        open(context, look, Some(folder), None).await
    }
}

/// The console on the cluster that is meant or the only one that runs; without one, on the demos.
pub(super) async fn attach_or_offer(context: &Context, look: Look) -> Result<(), Failure> {
    let attach = if context.cluster.is_some() {
        Some(context.folder(None)?)
    } else {
        match &context.running()?[..] {
            [only] => Some(only.folder.clone()),
            _ => None,
        }
    };
    open(context, look, attach, None).await
}

/// The console on a cluster that was just started.
pub(super) async fn on_top_of(context: &Context, look: Look, cluster: Cluster) -> Result<(), Failure> {
    open(context, look, None, Some(cluster)).await
}

async fn open(
    context: &Context,
    look: Look,
    attach: Option<StateFolder>,
    started: Option<Cluster>,
) -> Result<(), Failure> {
    let options = TuiOptions {
        parent: context.parent()?,
        attach,
        started,
        read_only: look.read_only,
        ascii: look.ascii,
    };
    tui::run(options).await.map(|_| ()).map_err(Failure::environment)
}
