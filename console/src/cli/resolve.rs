//! `palib resolve`.

use palib::control::{Answer, InDoubtDecision, OperatorAnswer, OperatorRequest, Query};

use super::ps::unexpected;
use super::table::rows;
use super::{Context, Failure, output};
use crate::operator::OperatorClient;

/// Decide about a call that is in doubt.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("decision").required(true))]
pub(super) struct Resolve {
    /// The call, such as caller/i3/42
    call: String,
    /// It was executed, and this was its reply
    #[arg(long, value_name = "TEXT", group = "decision")]
    reply: Option<String>,
    /// It was not executed: run it
    #[arg(long, group = "decision")]
    rerun: bool,
    /// It is to fail, with these words
    #[arg(long, value_name = "TEXT", group = "decision")]
    fail: Option<String>,
    /// The alias that was called [default: the one that has the call in doubt]
    #[arg(long)]
    alias: Option<String>,
}

impl Resolve {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        let alias = match self.alias {
            Some(alias) => alias,
            None => find(&client, &self.call).await?,
        };
        let (decision, how) = match (self.reply, self.fail) {
            (Some(text), _) => (InDoubtDecision::Reply(text), "its reply is registered"),
            (None, Some(text)) => (InDoubtDecision::Fail(text), "its failure is registered"),
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

/// The alias that has this call in doubt.
async fn find(client: &OperatorClient, call: &str) -> Result<String, Failure> {
    let aliases = match client.request(OperatorRequest::Aliases).await? {
        OperatorAnswer::Aliases(aliases) => aliases,
        other => return Err(unexpected(&other)),
    };
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
    let all: Vec<&str> = in_doubt.iter().flat_map(|(_, calls)| calls).map(String::as_str).take(10).collect();
    Err(Failure::usage(if all.is_empty() {
        format!("{call} is not in doubt, nor is any other call")
    } else {
        format!("{call} is not in doubt; in doubt are: {}", all.join(", "))
    }))
}
