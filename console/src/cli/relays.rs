//! `palib relays`.

use std::time::Duration;

use palib::control::{
    Answer, DownstreamRow, OperatorAnswer, OperatorRequest, Query, RelayRow, Relays as Found,
};

use super::aliases::{self, known_alias};
use super::ps::unexpected;
use super::{Context, Failure, output};
use crate::operator::{OperatorClient, OperatorError};
use crate::units::{age, count};

/// The open transactions of relays, and what was called on their behalf.
#[derive(Debug, clap::Args)]
pub(super) struct Relays {
    /// The relay [default: all of them]
    alias: Option<String>,
    /// Only transactions whose id, or the id of a call made on their behalf, contains this
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    filter: String,
    /// How many transactions of each relay; 0 for as many as it tells at once
    #[arg(long, default_value_t = 100, value_name = "N")]
    limit: usize,
}

impl Relays {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        let found = match &self.alias {
            Some(alias) => {
                known_alias(alias, &aliases::all(&client).await?)?;
                transactions(&client, alias, &self.filter, limit).await?
            }
            None => all(&client, &self.filter, limit).await?,
        };
        if context.json {
            output::json(&found)?;
        } else {
            listing(&found, palib::clock::monotonic_ns()).print()?;
            summary(&found).into_iter().try_for_each(output::line)?;
        }
        // A filter leaves out what was not asked for: only without one are missing rows beyond the limit.
        if self.filter.is_empty() && found.open > found.rows.len() as u64 {
            output::hint("… and more: --limit N shows so many, --filter TEXT those whose ids contain it");
        }
        Ok(())
    }
}

/// The transactions, below each the calls that were made on its behalf.
fn listing(found: &Found, now_ns: u64) -> output::Table {
    let mut table = output::Table::new(&["ID", "AT", "STATE", "TRIES>", "AGE>", "POLICY", "WHY"]);
    for row in &found.rows {
        table.row(transaction_cells(row, now_ns));
        row.calls.iter().for_each(|call| table.row(call_cells(call)));
    }
    table
}

fn transaction_cells(row: &RelayRow, now_ns: u64) -> [String; 7] {
    [
        row.id.clone(),
        row.alias.clone(),
        row.stage.word().to_owned(),
        String::new(),
        age(Duration::from_nanos(now_ns.saturating_sub(row.since_ns))),
        row.policy.to_string(),
        row.why.clone(),
    ]
}

/// A call stands below its transaction, at its position.
fn call_cells(call: &DownstreamRow) -> [String; 7] {
    [
        format!("  {} {}", call.position, call.id),
        call.target.clone(),
        call.state.word().to_owned(),
        call.tries.to_string(),
        String::new(),
        String::new(),
        call.text.clone().unwrap_or_default(),
    ]
}

/// How many there are, and what to do next.
fn summary(found: &Found) -> Vec<String> {
    let waiting = found.rows.iter().filter(|row| row.needs_operator).count();
    let mut lines = vec![format!("{} open, {} retained", count(found.open), count(found.retained))];
    if waiting > 0 {
        lines.push(format!("{waiting} waiting for you: palib resolve CALL decides"));
    }
    lines
}

/// The transactions of one alias.
pub(super) async fn transactions(
    client: &OperatorClient,
    alias: &str,
    filter: &str,
    limit: usize,
) -> Result<Found, Failure> {
    found_in(ask(client, alias, filter, limit).await?)
}

async fn ask(
    client: &OperatorClient,
    alias: &str,
    filter: &str,
    limit: usize,
) -> Result<OperatorAnswer, OperatorError> {
    let query = Query::Relays { alias: alias.to_owned(), filter: filter.to_owned(), limit };
    client.request(OperatorRequest::Query { alias: alias.to_owned(), query }).await
}

fn found_in(answer: OperatorAnswer) -> Result<Found, Failure> {
    match answer {
        OperatorAnswer::Query(Answer::Relays(found)) => Ok(found),
        other => Err(unexpected(&other)),
    }
}

/// The transactions of all aliases, as far as somebody is in service: an alias that is no relay has none.
async fn all(client: &OperatorClient, filter: &str, limit: usize) -> Result<Found, Failure> {
    let mut all = Found::default();
    for row in aliases::all(client).await? {
        if row.in_service().is_none() {
            eprintln!("palib: nobody is in service of {}; its transactions can't be asked for", row.alias);
            continue;
        }
        let found = match ask(client, &row.alias, filter, limit).await {
            Ok(answer) => found_in(answer)?,
            // It is just being taken over, for example; that is no reason to hide the others.
            Err(refused @ (OperatorError::Refused(_) | OperatorError::NotNow(_))) => {
                eprintln!("palib: {refused}");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        all.rows.extend(found.rows);
        all.open += found.open;
        all.retained += found.retained;
    }
    Ok(all)
}

/// The open transaction with this id, if there is one.
pub(super) async fn find(client: &OperatorClient, call: &str) -> Result<Option<RelayRow>, Failure> {
    let found = all(client, call, usize::MAX).await?;
    Ok(found.rows.into_iter().find(|row| row.id == call))
}

/// The alias that serves an open transaction; else what to do to find it.
pub(super) async fn alias_of(client: &OperatorClient, call: &str) -> Result<String, Failure> {
    let found = find(client, call).await?;
    let unknown =
        || Failure::usage(format!("{call} is no open transaction; `palib relays` lists those that are"));
    found.map(|row| row.alias).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use palib::control::{DownstreamState, Policy, RelayStage};

    use super::*;

    fn found() -> Found {
        let call = DownstreamRow {
            position: "2.1".into(),
            id: "orders/i1/31".into(),
            target: "bank".into(),
            state: DownstreamState::Stuck,
            tries: 2,
            replayed: false,
            text: Some("paid 10".into()),
        };
        let row = RelayRow {
            id: "caller/i1/201".into(),
            alias: "orders".into(),
            policy: Policy::RollBack,
            stage: RelayStage::Stuck,
            since_ns: 1_000_000_000,
            why: "bank refuses to undo it".into(),
            needs_operator: true,
            text: Some("order 1 apple".into()),
            calls: vec![call],
        };
        Found { rows: vec![row], open: 3, retained: 12 }
    }

    #[test]
    fn calls_stand_below_the_transaction_they_were_made_for() {
        assert_eq!(
            listing(&found(), 5_000_000_000).lines(None),
            [
                "ID                  AT      STATE  TRIES  AGE  POLICY     WHY",
                "caller/i1/201       orders  stuck         4 s  roll-back  bank refuses to undo it",
                "  2.1 orders/i1/31  bank    stuck      2                  paid 10",
            ]
        );
    }

    #[test]
    fn the_summary_says_what_waits() {
        let lines = summary(&found());
        assert_eq!(lines[0], "3 open, 12 retained");
        assert!(lines[1].contains("palib resolve CALL"), "{lines:?}");
        assert_eq!(summary(&Found::default()), ["0 open, 0 retained"]);
    }
}
