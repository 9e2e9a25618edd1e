//! Doing what a step of a tour says. The screen and the runs without one do it here, so that a tour is the same on both.

use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use palib::control::{Answer, OperatorAnswer, OperatorRequest, Query};
use tokio::time::sleep;

use super::{heal, inject, one_call};
use crate::cluster::Action;
use crate::operator::OperatorClient;

/// How long a call of the tour's own may take.
const CALL_WITHIN: Duration = Duration::from_secs(10);

/// Does an action, and tells what was answered. Of several, each is done once the one before it was answered.
///
/// # Errors
/// Why it can't be done, in words. What would come after it is not done.
pub fn perform<'a>(client: &'a OperatorClient, action: &'a Action) -> BoxFuture<'a, Result<String, String>> {
    async move {
        let request = match action {
            Action::Together(actions) => {
                let mut answers = Vec::new();
                for action in actions {
                    answers.push(perform(client, action).await?);
                }
                return Ok(answers.join("; "));
            }
            Action::Wait(span) => {
                sleep(*span).await;
                return Ok("waited".to_owned());
            }
            Action::Heal => {
                let left = heal::everything(client).await.map_err(|error| error.to_string())?;
                let words: Vec<String> = left.iter().map(ToString::to_string).collect();
                return if left.is_empty() { Ok("healed".to_owned()) } else { Err(words.join("; ")) };
            }
            Action::Call { alias, payload } => return call(client, alias, payload).await,
            Action::Defect(defect) => {
                if let Some(after) = defect.when.after {
                    sleep(after).await;
                }
                inject::request(&defect.injury)
            }
            Action::Resume(process) => OperatorRequest::Resume { process: process.clone() },
            Action::Restart(process) => OperatorRequest::Restart { process: process.clone() },
            Action::AddBackup(alias) => OperatorRequest::AddBackup { alias: alias.clone() },
            Action::Tell { alias, command } => {
                let query = Query::Service { alias: alias.clone(), command: command.clone() };
                OperatorRequest::Query { alias: alias.clone(), query }
            }
        };
        match client.request(request).await {
            Ok(OperatorAnswer::Done(words) | OperatorAnswer::Query(Answer::Service(words))) => Ok(words),
            Ok(other) => Ok(format!("{other:?}")),
            Err(refused) => Err(refused.to_string()),
        }
    }
    .boxed()
}

async fn call(client: &OperatorClient, alias: &str, payload: &str) -> Result<String, String> {
    let payload = Bytes::from(payload.to_owned());
    let report = one_call::call(client, alias, payload, None, CALL_WITHIN).await;
    let report = report.map_err(|error| error.to_string())?;
    let (Ok(body) | Err(body)) = &report.outcome;
    Ok(format!("{} (id {})", String::from_utf8_lossy(body), report.id))
}
