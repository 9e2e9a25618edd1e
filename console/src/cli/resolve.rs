//! `palib resolve`.

use palib::control::{Answer, InDoubtDecision, OperatorAnswer, OperatorRequest, Query};

use super::ps::unexpected;
use super::table::rows;
use super::{Context, Failure, aliases, output, relays};
use crate::operator::OperatorClient;

/// Decide about a call that is in doubt, or about a transaction of a relay.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("decision").required(true))]
pub(super) struct Resolve {
    /// The call, such as caller/i3/42
    call: String,
    /// It was executed, and this was its reply
    #[arg(long, value_name = "TEXT", group = "decision")]
    reply: Option<String>,
    /// It was not executed: run it; a relay runs with the answers of its journal
    #[arg(long, group = "decision")]
    rerun: bool,
    /// Cancel a transaction: what the relay called is undone, and a request that comes again begins anew
    #[arg(long, group = "decision")]
    roll_back: bool,
    /// It is to fail, with these words
    #[arg(long, value_name = "TEXT", group = "decision")]
    fail: Option<String>,
    /// The alias that was called [default: the one that waits for the decision]
    #[arg(long)]
    alias: Option<String>,
}

impl Resolve {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        let alias = match self.alias {
            Some(alias) => alias,
            None if self.roll_back => relays::alias_of(&client, &self.call).await?,
            None => find(&client, &self.call).await?,
        };
        let (decision, how) = match (self.reply, self.fail) {
            (Some(text), _) => (InDoubtDecision::Reply(text), "its reply is registered"),
            (None, Some(text)) => (InDoubtDecision::Fail(text), "its failure is registered"),
            (None, None) if self.roll_back => (InDoubtDecision::RollBack, "what it called is undone"),
            (None, None) => (InDoubtDecision::Rerun, "it is executed again"),
        };
        let query = Query::Resolve { alias: alias.clone(), call: self.call.clone(), decision };
        match client.request(OperatorRequest::Query { alias: alias.clone(), query }).await? {
            OperatorAnswer::Query(Answer::Resolved) => {}
            other => return Err(unexpected(&other)),
        }
        let done = format!("{} at {alias}: {how}", self.call);
        if context.json { output::json(&serde_json::json!({ "done": done })) } else { output::line(done) }
    }
}

/// The alias that has this call in doubt, or has it as a transaction that waits for a decision.
async fn find(client: &OperatorClient, call: &str) -> Result<String, Failure> {
    let aliases = aliases::all(client).await?;
    let mut in_doubt = Vec::new();
    for alias in aliases.into_iter().filter(|alias| alias.in_service().is_some()) {
        // Rows in doubt come first, so the first page has them all unless something is very wrong.
        let (found, _) = rows(client, &alias.alias, "", palib::limits::PAGE_ROWS_MAX).await?;
        let mut found = found.into_iter().filter(|row| row.state == "in_doubt").map(|row| row.id).peekable();
        if found.peek().is_some() {
            in_doubt.push((alias.alias, found.collect::<Vec<_>>()));
        }
    }
    if let Some((alias, _)) = in_doubt.iter().find(|(_, calls)| calls.iter().any(|id| id == call)) {
        return Ok(alias.clone());
    }
    match relays::find(client, call).await? {
        Some(row) if row.needs_operator => return Ok(row.alias),
        Some(row) => {
            return Err(Failure::usage(format!(
                "{call} needs no decision: it is {}; --roll-back cancels it",
                row.stage.word()
            )));
        }
        None => {}
    }
    let all: Vec<&str> = in_doubt.iter().flat_map(|(_, calls)| calls).map(String::as_str).take(10).collect();
    Err(Failure::usage(if all.is_empty() {
        format!("{call} is not in doubt, nor is any other call")
    } else {
        format!("{call} is not in doubt; in doubt are: {}", all.join(", "))
    }))
}
