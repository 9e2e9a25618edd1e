//! `palib man`.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use clap_mangen::Man as Page;

use super::{Cli, Failure, output};

/// Print the manual page.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// Write the pages of all commands into this folder instead, such as ~/.local/share/man/man1
    folder: Option<PathBuf>,
}

impl Man {
    pub(super) fn run(self) -> Result<(), Failure> {
        let command = Cli::command();
        match self.folder {
            Some(folder) => write_all(command, &folder),
            None => {
                let mut page = Vec::new();
                Page::new(command).render(&mut page)?;
                output::line(String::from_utf8_lossy(&page).trim_end())
            }
        }
    }
}

fn write_all(command: clap::Command, folder: &Path) -> Result<(), Failure> {
    let wrote = std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
    wrote.map_err(|error| Failure::environment(format!("{}: {error}", folder.display())))
}
