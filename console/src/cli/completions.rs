//! `palib completions`.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure};

/// Completions for a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "palib", &mut script);
        super::output::line(String::from_utf8_lossy(&script).trim_end())
    }
}
