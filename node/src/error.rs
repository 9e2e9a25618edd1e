//! What ends a stock node.

use std::path::PathBuf;

use crate::KINDS;

/// Why a stock node can't go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The library.
    #[error(transparent)]
    Palib(#[from] palib::Error),
    /// An alias wants a service that is none of the stock.
    #[error("alias {alias}: there is no stock service {kind:?}; there are {}", KINDS.join(", "))]
    Kind {
        /// The alias.
        alias: String,
        /// What it wants.
        kind: String,
    },
    /// An option of the cluster file is wrong.
    #[error("alias {alias}: option {option:?} {reason}")]
    Option {
        /// The alias.
        alias: String,
        /// The option.
        option: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
    /// A file or folder.
    #[error("{path}: {error}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operating system's words.
        error: std::io::Error,
    },
    /// A task of the node panicked.
    #[error("a service panicked: {0}")]
    Panicked(String),
}

impl NodeError {
    pub(crate) fn io(path: impl Into<PathBuf>, error: std::io::Error) -> Self {
        Self::Io { path: path.into(), error }
    }
}
