//! The callers of a run: how they are told to call, to stop, and to say what came of it.

use std::time::{Duration, Instant};

use palib::control::{Answer, OperatorAnswer, OperatorRequest, Query};
use serde_json::{Value, json};

use super::summary::Gathered;
use super::totals::Totals;
use super::verify::Redundant;
use super::{RunError, RunOptions, Stage, heal};
use crate::cluster::KINDS;
use crate::operator::OperatorClient;

/// How long the callers may ask again for calls whose outcome is unknown.
const SETTLE_WITHIN: Duration = Duration::from_secs(60);
/// How long an order may take to reach a caller: somebody may just be taking over.
const ORDER_WITHIN: Duration = Duration::from_secs(20);

/// The caller aliases of a run.
#[derive(Debug)]
pub(super) struct Load {
    callers: Vec<String>,
    servers: Vec<String>,
}

impl Load {
    /// Orders the load.
    ///
    /// # Errors
    /// If a caller does not take the order.
    pub(super) async fn start(client: &OperatorClient, options: &RunOptions) -> Result<Self, RunError> {
        let mut order = serde_json::Map::new();
        order.insert("seed".to_owned(), json!(options.seed));
        if let Some(rate) = options.rate {
            order.insert("rate".to_owned(), json!(rate));
        }
        if let Some(callers) = options.callers {
            order.insert("callers".to_owned(), json!(callers));
        }
        let callers: Vec<String> =
            options.file.aliases_of_kind("caller").into_iter().map(str::to_owned).collect();
        for alias in &callers {
            tell(client, alias, &json!({ "load": order }).to_string()).await?;
        }
        let servers = KINDS.iter().filter(|kind| **kind != "caller");
        let servers = servers.flat_map(|kind| options.file.aliases_of_kind(kind));
        Ok(Self { callers, servers: servers.map(str::to_owned).collect() })
    }

    /// No new calls from now on.
    ///
    /// # Errors
    /// If a caller does not take the order.
    pub(super) async fn stop(&self, client: &OperatorClient) -> Result<(), RunError> {
        for alias in &self.callers {
            tell(client, alias, "pause").await?;
        }
        Ok(())
    }

    /// Heals everything, lets the callers ask until no outcome is unknown, and reads what all of them count. The time
    /// for it is bounded: what is unknown then stays so, and the verdict says it.
    ///
    /// # Errors
    /// If the FTM does not answer, or a caller or server does not.
    pub(super) async fn settle(
        &self,
        stage: &mut Stage,
        gathered: &mut Gathered,
        redundant: &mut Redundant,
    ) -> Result<Totals, RunError> {
        let until = Instant::now() + SETTLE_WITHIN;
        let mut unknown = 0;
        loop {
            heal::everything(stage.client()).await?;
            let client = stage.client().clone();
            let drain = drain(&client, &self.callers);
            tokio::pin!(drain);
            let drained = loop {
                tokio::select! {
                    drained = &mut drain => break drained,
                    events = stage.next() => {
                        let events = events?;
                        gathered.take(&events, stage.began_unix_ms);
                        redundant.take(&events);
                    }
                }
            };
            match drained {
                Ok(0) => break,
                Ok(left) => unknown = left,
                Err(error) if Instant::now() >= until => return Err(error),
                Err(error) => tracing::info!("while draining: {error}"),
            }
            if Instant::now() >= until {
                tracing::warn!("{unknown} calls are still unknown");
                break;
            }
        }
        self.measure(stage, gathered, redundant).await
    }

    /// What everybody counts, as of a heartbeat after this moment.
    async fn measure(
        &self,
        stage: &mut Stage,
        gathered: &mut Gathered,
        redundant: &mut Redundant,
    ) -> Result<Totals, RunError> {
        let asked_ns = palib::clock::monotonic_ns();
        let wait = async {
            loop {
                let told = Totals::told_since(asked_ns, &stage.world, &self.callers, &self.servers);
                if let Some(totals) = told {
                    return Ok::<Totals, RunError>(totals);
                }
                let events = stage.next().await?;
                gathered.take(&events, stage.began_unix_ms);
                redundant.take(&events);
            }
        };
        match tokio::time::timeout(ORDER_WITHIN, wait).await {
            Ok(totals) => totals,
            Err(_) => {
                let what = "a heartbeat of every member in service";
                Err(RunError::TookTooLong { what, within: ORDER_WITHIN, now: stage.in_words() })
            }
        }
    }
}

/// Asks every caller to finish; returns how many calls are still without an outcome.
async fn drain(client: &OperatorClient, callers: &[String]) -> Result<u64, RunError> {
    let mut unknown = 0;
    for alias in callers {
        let answer = tell(client, alias, "drain").await?;
        let status: Value = serde_json::from_str(&answer).unwrap_or_default();
        let nonsense = || RunError::Nonsense {
            process: alias.clone(),
            command: "drain".to_owned(),
            answer: answer.clone(),
        };
        let number = |name: &str| status.get(name).and_then(Value::as_u64).ok_or_else(nonsense);
        if status.get("drained") != Some(&Value::Bool(true)) {
            unknown += number("issued")?.saturating_sub(number("acked")? + number("failed")?).max(1);
        }
    }
    Ok(unknown)
}

/// Tells a caller something, also if it is just being taken over.
async fn tell(client: &OperatorClient, alias: &str, command: &str) -> Result<String, RunError> {
    let until = Instant::now() + ORDER_WITHIN;
    loop {
        let query = Query::Service { alias: alias.to_owned(), command: command.to_owned() };
        match client.request(OperatorRequest::Query { alias: alias.to_owned(), query }).await {
            Ok(OperatorAnswer::Query(Answer::Service(answer))) => return Ok(answer),
            Ok(other) => {
                let (process, command) = (alias.to_owned(), command.to_owned());
                return Err(RunError::Nonsense { process, command, answer: format!("{other:?}") });
            }
            Err(error) if Instant::now() >= until => return Err(error.into()),
            Err(error) => tracing::debug!("{alias}: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
