//! A caller: makes load on other aliases, and knows of every call whether it happened.
//!
//! Each call is counted as issued in the transaction that puts it into the outbox, and as acknowledged or failed in the
//! one that takes it out. In between its outcome is written to the history. A backup that takes over collects what
//! its predecessor left, and carries on with the load, whose order is durable as well.

mod commands;
mod counts;
mod history;
mod load;
mod request;
mod work;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use palib::control::TicketAlias;
use palib::{Error, Process};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::NodeError;
use crate::options::state_folder;

use history::History;
use load::{Load, Plan};
use work::{Caller, LOAD};

/// How long new calls wait for those of the predecessor. Not for ever: one of them may wait for an operator.
const COLLECT_FIRST: Duration = Duration::from_millis(500);

/// Works for an alias of callers: as a backup until it is promoted, then until the process is told to end.
pub(crate) async fn run(process: Process, alias: &TicketAlias) -> Result<(), NodeError> {
    let plan = Plan::of(alias)?;
    let client = match process.client(&alias.alias).await {
        Ok(client) => client,
        Err(Error::Ended) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let folder = state_folder(process.ticket()).join("history");
    let history = plan.history.then(|| History::open(&folder, process.name())).transpose()?;
    // Whoever has ordered a load wants it to go on by itself.
    let by_hand = plan.by_hand && client.area().get::<Load>(LOAD)?.is_none();
    let caller = Arc::new(Caller::new(client, plan, history)?);
    commands::attend(&caller);
    tokio::select! {
        never = work(&caller, by_hand) => match never {},
        () = process.ended() => Ok(()),
    }
}

/// Collects what a predecessor left, and makes the load that is ordered.
async fn work(caller: &Arc<Caller>, by_hand: bool) -> Infallible {
    let left = caller.client.pending();
    if !left.is_empty() {
        tracing::info!(calls = left.len(), by_hand, "the predecessor left calls to collect");
        if by_hand {
            caller.collect_now.notified().await;
        }
    }
    let mut collecting = JoinSet::new();
    for call in left {
        let caller = caller.clone();
        collecting.spawn(async move {
            let body = String::from_utf8_lossy(&call.body).into_owned();
            caller.collect(call.id, &call.target, &body).await;
        });
    }
    let all = async { while collecting.join_next().await.is_some() {} };
    let _ = timeout(COLLECT_FIRST, all).await;
    collecting.detach_all();
    caller.make_load().await
}
