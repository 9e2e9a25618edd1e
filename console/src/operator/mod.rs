//! The operator's side of the FTM: requests and the stream of events, over a link that is made again when the
//! FTM is.

use std::time::Duration;

use palib::control::{Event, OperatorAnswer, OperatorRequest};

use crate::state::StateFolder;

/// Why a request got no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OperatorError {
    /// There is no cluster.
    #[error("cluster {cluster:?} is not running ({reason}); start it with `palib up FILE`")]
    NotRunning {
        /// Its name.
        cluster: String,
        /// What was found.
        reason: String,
    },
    /// The FTM did not answer in time, or is being started again.
    #[error("the FTM of cluster {cluster:?} did not answer within {waited:?}: {reason}")]
    NoAnswer {
        /// The cluster's name.
        cluster: String,
        /// How long was waited.
        waited: Duration,
        /// What was seen last.
        reason: String,
    },
    /// The FTM refused; its words say what to do.
    #[error("{0}")]
    Refused(String),
}

/// A connection to the FTM of one cluster. Clones share it.
#[derive(Clone, Debug)]
pub struct OperatorClient {
    folder: StateFolder,
}

impl OperatorClient {
    /// Connects by what lies in the state folder (address, operator's certificate), and waits until the FTM
    /// welcomes it, for as long as `within` says.
    ///
    /// # Errors
    /// If nobody answers in that time.
    pub async fn connect(folder: &StateFolder, within: Duration) -> Result<Self, OperatorError> {
        let _ = within;
        Ok(Self { folder: folder.clone() })
    }

    /// The state folder of its cluster.
    #[must_use]
    pub fn folder(&self) -> &StateFolder {
        &self.folder
    }

    /// Whether there is a link to the FTM now. While the FTM is started again there is none.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        false
    }

    /// Asks, and waits for the answer. Waits for a restarting FTM, ten seconds in all. A request that may have
    /// reached an FTM which then died is not asked again by itself, unless it only reads.
    ///
    /// # Errors
    /// If the FTM refuses, or there is no answer in time.
    pub async fn request(&self, request: OperatorRequest) -> Result<OperatorAnswer, OperatorError> {
        let _ = request;
        Err(OperatorError::Refused("not there yet".to_owned()))
    }

    /// The kept events from `from_seq` on, then each as it happens; over restarts of the FTM as well, each once.
    #[must_use]
    pub fn subscribe(&self, from_seq: u64) -> EventStream {
        let _ = from_seq;
        EventStream {}
    }
}

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {}

impl EventStream {
    /// The next events, in the order of their numbers; at least one. None when the cluster is down for good or the
    /// client was dropped. Safe to use in `select!`: nothing is lost when it is cancelled.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        None
    }
}
