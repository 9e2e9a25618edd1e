//! `palib policy`.

use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use palib::control::{Answer, OperatorAnswer, OperatorRequest, Policy as TakeoverPolicy, Query};

use super::ps::unexpected;
use super::{Context, Failure, output, relays};

/// Change what a takeover does with a transaction of a relay.
#[derive(Debug, clap::Args)]
pub(super) struct Policy {
    /// The transaction: the call that is served, such as caller/i3/42
    call: String,
    /// What a takeover does: go on and send unanswered calls again; let the service replace them; have everything undone
    #[arg(value_parser = PossibleValuesParser::new(TakeoverPolicy::WORDS).try_map(|word| word.parse::<TakeoverPolicy>()))]
    policy: TakeoverPolicy,
    /// The relay [default: the one that has the transaction]
    #[arg(long)]
    alias: Option<String>,
}

impl Policy {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        let alias = match self.alias {
            Some(alias) => alias,
            None => relays::alias_of(&client, &self.call).await?,
        };
        let query = Query::SetPolicy { alias: alias.clone(), call: self.call.clone(), policy: self.policy };
        match client.request(OperatorRequest::Query { alias: alias.clone(), query }).await? {
            OperatorAnswer::Query(Answer::Resolved) => {}
            other => return Err(unexpected(&other)),
        }
        let done = format!("{} at {alias}: its policy is {}", self.call, self.policy);
        if context.json { output::json(&serde_json::json!({ "done": done })) } else { output::line(done) }
    }
}
