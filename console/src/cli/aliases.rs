//! `palib aliases`.

use palib::control::{AliasRow, MemberState, OperatorAnswer, OperatorRequest};
use serde::Serialize;

use super::ps::{since, unexpected};
use super::{Context, Failure, output};
use crate::operator::OperatorClient;

/// The port alias table.
#[derive(Debug, clap::Args)]
pub(super) struct Aliases {
    /// Only this alias
    alias: Option<String>,
}

/// A row of the port alias table: a member of an alias.
#[derive(Debug, Serialize)]
struct Row {
    alias: String,
    alias_id: u32,
    kind: String,
    port: u32,
    process: String,
    /// The mark of service.
    in_service: bool,
    state: MemberState,
    pid: Option<u32>,
    address: Option<String>,
    incarnation: u64,
    site: u32,
    since_unix_ms: u64,
    why: String,
}

impl Aliases {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        let aliases = all(&client).await?;
        if let Some(wanted) = &self.alias {
            known_alias(wanted, &aliases)?;
        }
        let rows: Vec<Row> = aliases
            .into_iter()
            .filter(|alias| self.alias.as_ref().is_none_or(|wanted| alias.alias == *wanted))
            .flat_map(rows)
            .collect();
        if context.json {
            return output::json_rows(&rows);
        }
        let columns = [
            "ALIAS",
            "PORT>",
            "PROCESS",
            "MARK",
            "STATE",
            "PID>",
            "INCARNATION>",
            "SITE>",
            "SINCE>",
            "ADDRESS",
            "WHY",
        ];
        let mut table = output::Table::new(&columns);
        for row in rows {
            table.row([
                row.alias,
                row.port.to_string(),
                row.process,
                if row.in_service { "in service" } else { "-" }.to_owned(),
                state(row.state).to_owned(),
                row.pid.map_or("-".to_owned(), |pid| pid.to_string()),
                row.incarnation.to_string(),
                row.site.to_string(),
                since(row.since_unix_ms),
                row.address.unwrap_or_else(|| "-".to_owned()),
                row.why,
            ]);
        }
        table.print()
    }
}

/// Refuses an alias that the cluster does not have, with the ones it has.
pub(super) fn known_alias(wanted: &str, aliases: &[AliasRow]) -> Result<(), Failure> {
    let known: Vec<&str> = aliases.iter().map(|alias| alias.alias.as_str()).collect();
    if known.contains(&wanted) {
        return Ok(());
    }
    let hint = match crate::units::closest(wanted, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("there are: {}", known.join(", ")),
    };
    Err(Failure::usage(format!("there is no alias `{wanted}`; {hint}")))
}

/// All rows of the port alias table.
pub(super) async fn all(client: &OperatorClient) -> Result<Vec<AliasRow>, Failure> {
    match client.request(OperatorRequest::Aliases).await? {
        OperatorAnswer::Aliases(aliases) => Ok(aliases),
        other => Err(unexpected(&other)),
    }
}

fn rows(alias: AliasRow) -> impl Iterator<Item = Row> {
    let AliasRow { alias, alias_id, kind, incarnation, site, members } = alias;
    members.into_iter().map(move |member| Row {
        alias: alias.clone(),
        alias_id,
        kind: kind.clone(),
        port: member.port,
        process: member.process,
        in_service: member.in_service,
        state: member.state,
        pid: member.pid,
        address: member.address.map(|address| address.to_string()),
        incarnation,
        site,
        since_unix_ms: member.since_unix_ms,
        why: member.why,
    })
}

fn state(state: MemberState) -> &'static str {
    match state {
        MemberState::Starting => "starting",
        MemberState::Promoting => "promoting",
        MemberState::InService => "in service",
        MemberState::Backup => "backup",
        MemberState::Hung => "hung",
        MemberState::Dead => "dead",
    }
}
