//! The operator's side of the FTM: requests and the stream of events, over a link that is made again when the
//! FTM is.

mod driver;

use std::sync::Arc;
use std::time::Duration;

use palib::control::{Event, OperatorAnswer, OperatorRequest, Query, Refused};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use self::driver::Shared;
use crate::state::StateFolder;

/// How long a request waits for a link to an FTM that is being started again.
const LINK_WITHIN: Duration = Duration::from_secs(10);
/// How long a request waits for its answer once it was sent. A caller that drains takes its time.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

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
    /// The FTM refused, and will the next time; its words say what to do.
    #[error("{0}")]
    Refused(String),
    /// The FTM can't do it at this moment; a while later it may.
    #[error("{0}")]
    NotNow(String),
}

impl From<Refused> for OperatorError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Mistake(words) => Self::Refused(words),
            Refused::NotNow(words) => Self::NotNow(words),
        }
    }
}

/// A connection to the FTM of one cluster. Clones share it.
#[derive(Clone, Debug)]
pub struct OperatorClient {
    shared: Arc<Shared>,
    /// Ends the driver when the last clone is gone.
    _guard: Arc<Guard>,
}

#[derive(Debug)]
struct Guard(Arc<Shared>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl OperatorClient {
    /// Connects by what lies in the state folder (address, operator's certificate), and waits until the FTM
    /// welcomes it, for as long as `within` says. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// If nobody answers in that time; at once, if nothing of the cluster lives.
    pub async fn connect(folder: &StateFolder, within: Duration) -> Result<Self, OperatorError> {
        let shared = Shared::start(folder.clone());
        let client = Self { _guard: Arc::new(Guard(shared.clone())), shared };
        client.shared.until_linked(within).await?;
        Ok(client)
    }

    /// The state folder of its cluster.
    #[must_use]
    pub fn folder(&self) -> &StateFolder {
        self.shared.folder()
    }

    /// Whether there is a link to the FTM now. While the FTM is started again there is none.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.shared.is_linked()
    }

    /// Asks, and waits for the answer; for a restarting FTM as well. A request that may have reached an FTM which
    /// then died is not asked again by itself, unless it only reads.
    ///
    /// # Errors
    /// If the FTM refuses, or there is no answer in time.
    pub async fn request(&self, request: OperatorRequest) -> Result<OperatorAnswer, OperatorError> {
        let start = Instant::now();
        loop {
            self.shared.until_linked(LINK_WITHIN).await?;
            let Some(answer) = self.shared.send(&request) else { continue };
            match timeout_at(start + ANSWER_WITHIN, answer).await {
                Ok(Ok(answer)) => return answer.map_err(OperatorError::from),
                Ok(Err(_)) if only_reads(&request) => {}
                Ok(Err(_)) => {
                    return Err(self.no_answer(start, "it died before it answered; look what it did"));
                }
                Err(_) => return Err(self.no_answer(start, "the link is up and silent")),
            }
        }
    }

    /// The kept events from `from_seq` on, then each as it happens; over restarts of the FTM as well, each once.
    #[must_use]
    pub fn subscribe(&self, from_seq: u64) -> EventStream {
        EventStream { events: self.shared.subscribe(from_seq) }
    }

    fn no_answer(&self, start: Instant, reason: &str) -> OperatorError {
        OperatorError::NoAnswer {
            cluster: self.folder().cluster(),
            waited: start.elapsed(),
            reason: reason.to_owned(),
        }
    }
}

/// Whether asking twice does no harm.
fn only_reads(request: &OperatorRequest) -> bool {
    let query = match request {
        OperatorRequest::Subscribe { .. }
        | OperatorRequest::Events { .. }
        | OperatorRequest::Aliases
        | OperatorRequest::Processes => return true,
        OperatorRequest::Query { query, .. } | OperatorRequest::QueryProcess { query, .. } => query,
        _ => return false,
    };
    // A policy that is set twice is set.
    matches!(
        query,
        Query::Table { .. }
            | Query::Area { .. }
            | Query::Browse { .. }
            | Query::Relays { .. }
            | Query::SetPolicy { .. }
    )
}

/// Events as they come.
#[derive(Debug)]
pub struct EventStream {
    events: mpsc::UnboundedReceiver<Vec<Event>>,
}

impl EventStream {
    /// The next events, in the order of their numbers; at least one. None when the cluster is down for good or the
    /// client was dropped. Safe to use in `select!`: nothing is lost when it is cancelled.
    pub async fn next(&mut self) -> Option<Vec<Event>> {
        self.events.recv().await
    }
}
