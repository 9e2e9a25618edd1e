//! Answers what operators ask of this process.

use std::sync::Arc;

use crate::control::{Answer, Page, Query, TableRow};
use crate::limits::PAGE_ROWS_MAX;
use crate::membership::{Active, Membership};
use crate::process::Shared;
use crate::{Error, Result};

/// Answers one question.
pub(crate) async fn answer(shared: &Arc<Shared>, query: Query) -> Result<Answer> {
    match query {
        Query::Table { alias, filter, after, limit } => {
            let shared = shared.clone();
            // Reading a page may take milliseconds; the core loop must not wait for it.
            let page =
                tokio::task::spawn_blocking(move || table(&shared, &alias, &filter, after, limit)).await;
            page.map_err(|_| Error::Ended)?.map(Answer::Table)
        }
        Query::Area { alias } => {
            let (_, active) = in_service(shared, &alias)?;
            Ok(Answer::Area(active.area.store.summary()))
        }
        Query::Browse { alias, table, after, limit } => {
            let shared = shared.clone();
            let page = tokio::task::spawn_blocking(move || {
                let (_, active) = in_service(&shared, &alias)?;
                let limit = limit.min(PAGE_ROWS_MAX);
                Ok(active.area.store.browse(&shared.directory, &table, after.as_deref(), limit)?)
            });
            page.await.map_err(|_| Error::Ended)?.map(Answer::Browse)
        }
        Query::Relays { alias, filter, limit } => {
            let (_, active) = in_service(shared, &alias)?;
            // An alias that only calls has none.
            let relays = active.serving.as_ref().map(|side| side.relays(&filter, limit.min(PAGE_ROWS_MAX)));
            Ok(Answer::Relays(relays.unwrap_or_default()))
        }
        Query::SetPolicy { alias, call, policy } => {
            let (_, active) = in_service(shared, &alias)?;
            let id = shared.directory.parse_id(&call)?;
            active.serving.as_ref().ok_or(Error::NotMember(alias))?.set_policy(id, policy)?;
            Ok(Answer::Resolved)
        }
        Query::Resolve { alias, call, decision } => {
            let (_, active) = in_service(shared, &alias)?;
            let id = shared.directory.parse_id(&call)?;
            let serving = active.serving.as_ref().ok_or(Error::NotMember(alias))?;
            serving.resolve(id, decision)?;
            Ok(Answer::Resolved)
        }
        Query::Service { alias, command } => {
            let membership = member(shared, &alias)?.clone();
            membership.command(command).await.map(Answer::Service)
        }
    }
}

/// States of calls in hand that say more than their durable row.
const TELLING: [&str; 6] = ["in_doubt", "relaying", "rolling_back", "diverged", "stuck", "undoing"];

/// Rows of a redundancy table: on the first page those in doubt and in execution come first.
fn table(
    shared: &Shared,
    alias: &str,
    filter: &str,
    after: Option<String>,
    limit: usize,
) -> Result<Page<TableRow>> {
    let (_, active) = in_service(shared, alias)?;
    let serving = active.serving.as_ref();
    let live = serving.map(|serving| serving.live_rows()).unwrap_or_default();
    let store = &active.area.store;
    let mut page = store.rows(&shared.directory, filter, after.as_deref(), limit.min(PAGE_ROWS_MAX))?;
    for row in &mut page.rows {
        if let (Some(serving), Ok(id)) = (serving, shared.directory.parse_id(&row.id)) {
            row.hits = serving.hits(id);
        }
        // What is durable says less of these.
        if let Some(live) = live.iter().find(|live| live.id == row.id && TELLING.contains(&&*live.state)) {
            row.state.clone_from(&live.state);
        }
    }
    if after.is_none() {
        let mut first: Vec<TableRow> = live.into_iter().filter(|row| row.id.contains(filter)).collect();
        for row in &mut first {
            if let Some(stored) = page.rows.iter().position(|stored| stored.id == row.id) {
                *row = page.rows.remove(stored);
            }
        }
        first.append(&mut page.rows);
        page.rows = first;
    }
    Ok(page)
}

fn member<'a>(shared: &'a Shared, alias: &str) -> Result<&'a Arc<Membership>> {
    let found = shared.memberships.iter().find(|membership| membership.ticket.alias == alias);
    found.ok_or_else(|| Error::NotMember(alias.to_owned()))
}

fn in_service<'a>(shared: &'a Shared, alias: &str) -> Result<(&'a Arc<Membership>, &'a Active)> {
    let membership = member(shared, alias)?;
    let active =
        membership.active().ok_or_else(|| Error::failed(format!("{alias} is not in service here")))?;
    Ok((membership, active))
}
