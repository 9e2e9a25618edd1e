//! How commands fail: the words go to standard error, the kind becomes the exit code.

use std::process::ExitCode;

use crate::cluster::ClusterFileError;
use crate::keeper::ClusterError;
use crate::operator::OperatorError;
use crate::state::StateError;

/// Why a command did not end well.
#[derive(Debug)]
pub enum Failure {
    /// Exit code 1: it ran, and what it found is not clean. The words were printed already.
    NotClean,
    /// Exit code 2: wrong usage or bad input.
    Usage(String),
    /// Exit code 3: the surroundings are not as they must be, or not yet.
    Environment(String),
    /// Exit code 0: whoever read the output has gone, and there is nobody left to write for.
    NobodyReads,
}

impl Failure {
    /// Tells the operator and gives the exit code.
    #[must_use]
    pub fn report(self) -> ExitCode {
        match self {
            Self::NotClean => ExitCode::from(1),
            Self::Usage(words) => {
                eprintln!("{words}");
                ExitCode::from(2)
            }
            Self::Environment(words) => {
                eprintln!("palib: {words}");
                ExitCode::from(3)
            }
            Self::NobodyReads => ExitCode::SUCCESS,
        }
    }

    /// Anything the operating system refused.
    pub fn environment(words: impl std::fmt::Display) -> Self {
        Self::Environment(words.to_string())
    }

    /// A mistake of the operator's.
    pub fn usage(words: impl std::fmt::Display) -> Self {
        Self::Usage(format!("palib: {words}"))
    }
}

impl From<ClusterFileError> for Failure {
    fn from(error: ClusterFileError) -> Self {
        // The message begins with file:line:column, so that editors can jump there.
        Self::Usage(error.to_string())
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::environment(error)
    }
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Refused(_) => Self::usage(error),
            _ => Self::environment(error),
        }
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Operator(error) => error.into(),
            _ => Self::environment(error),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::NobodyReads
        } else {
            Self::environment(error)
        }
    }
}
