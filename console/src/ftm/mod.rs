//! The fault tolerant manager with its port alias manager, a process of its own.

use std::path::PathBuf;

/// What `palib ftm FOLDER` is told.
#[derive(Clone, Debug)]
pub struct FtmOptions {
    /// The state folder of the cluster (`<parent>/<cluster>`).
    pub folder: PathBuf,
}

/// Why an FTM ended.
#[derive(Debug, thiserror::Error)]
pub enum FtmError {
    /// The state folder.
    #[error(transparent)]
    State(#[from] crate::state::StateError),
}

/// Runs the FTM until the cluster is told to go down. Builds its own runtime, so it must be called outside one.
///
/// # Errors
/// If it can't work on this state at all.
pub fn run(options: FtmOptions) -> Result<(), FtmError> {
    let _ = options;
    Ok(())
}
