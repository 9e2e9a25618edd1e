//! `palib table`.

use palib::control::{Answer, OperatorAnswer, OperatorRequest, Page, Query, TableRow};

use super::aliases::{self, known_alias};
use super::ps::{since, unexpected};
use super::{Context, Failure, output};
use crate::operator::OperatorClient;

/// The redundancy table of an alias.
#[derive(Debug, clap::Args)]
pub(super) struct Table {
    /// The alias
    alias: String,
    /// Only rows whose id contains this
    #[arg(long, default_value = "", hide_default_value = true)]
    filter: String,
    /// How many rows; 0 for all
    #[arg(long, default_value_t = 100)]
    limit: usize,
}

impl Table {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        known_alias(&self.alias, &aliases::all(&client).await?)?;
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        let (rows, more) = rows(&client, &self.alias, &self.filter, limit).await?;
        if context.json {
            output::json_rows(&rows)?;
        } else {
            listing(&rows).print()?;
        }
        if more {
            output::hint("… and more: --limit 0 shows all, --filter TEXT those whose id contains it");
        }
        Ok(())
    }
}

fn listing(rows: &[TableRow]) -> output::Table {
    let mut table = output::Table::new(&["ID", "STATE", "PROCESS TYPE", "HITS>", "AGE>", "REPLY"]);
    for row in rows {
        let age = if row.written_unix_ms == 0 { "-".to_owned() } else { since(row.written_unix_ms) };
        let reply =
            row.text.clone().or_else(|| row.hex.as_ref().map(|hex| format!("0x{hex}"))).unwrap_or_default();
        let reply = if row.failed { format!("failed: {reply}") } else { reply };
        let kind = if row.process_type.is_empty() { "-" } else { &row.process_type };
        table.row([row.id.clone(), row.state.clone(), kind.to_owned(), row.hits.to_string(), age, reply]);
    }
    table
}

/// Rows of a redundancy table, page by page, and whether there are more.
pub(super) async fn rows(
    client: &OperatorClient,
    alias: &str,
    filter: &str,
    limit: usize,
) -> Result<(Vec<TableRow>, bool), Failure> {
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let page = (limit - rows.len()).min(palib::limits::PAGE_ROWS_MAX);
        let query = Query::Table { alias: alias.to_owned(), filter: filter.to_owned(), after, limit: page };
        let request = OperatorRequest::Query { alias: alias.to_owned(), query };
        let Page { rows: found, next } = match client.request(request).await? {
            OperatorAnswer::Query(Answer::Table(page)) => page,
            other => return Err(unexpected(&other)),
        };
        rows.extend(found);
        if next.is_none() || rows.len() >= limit {
            return Ok((rows, next.is_some()));
        }
        after = next;
    }
}
