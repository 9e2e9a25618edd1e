//! Rows of facts, read from the cluster: what sights look at.

use std::collections::HashSet;
use std::path::Path;

use palib::control::{Answer, OperatorAnswer, OperatorRequest, Query};
use serde::Serialize;
use serde_json::{Value, json};

use super::sight::Source;
use crate::history;
use crate::operator::OperatorError;
use crate::run::{RunError, Stage};

/// How many rows of a table are looked at.
const ROWS_MAX: usize = 1000;

/// The rows of a source that is read from the cluster as it is now. While nobody is in service there are none.
pub(super) async fn rows(stage: &Stage, source: Source, of: &str) -> Result<Vec<Value>, RunError> {
    Ok(match source {
        // The player has these.
        Source::Call | Source::Event => Vec::new(),
        Source::Member => members(stage, of),
        Source::Stats => stats(stage, of),
        Source::Row => {
            let (alias, filter) = (of.to_owned(), String::new());
            let query = Query::Table { alias, filter, after: None, limit: ROWS_MAX };
            match ask(stage, of, query).await? {
                Some(Answer::Table(page)) => values(page.rows),
                _ => Vec::new(),
            }
        }
        Source::Outbox => {
            let (alias, table) = (of.to_owned(), "outbox".to_owned());
            let query = Query::Browse { alias, table, after: None, limit: ROWS_MAX };
            match ask(stage, of, query).await? {
                Some(Answer::Browse(page)) => values(page.rows),
                _ => Vec::new(),
            }
        }
        Source::Relay => {
            let query = Query::Relays { alias: of.to_owned(), filter: String::new(), limit: ROWS_MAX };
            match ask(stage, of, query).await? {
                Some(Answer::Relays(relays)) => values(relays.rows),
                _ => Vec::new(),
            }
        }
        Source::Ids => vec![ids(&stage.folder().history(), of)?],
        Source::File => files(&stage.folder().files().join(of)),
    })
}

/// A question to the member in service; none if there is none now, or it can't answer yet.
async fn ask(stage: &Stage, alias: &str, query: Query) -> Result<Option<Answer>, RunError> {
    let request = OperatorRequest::Query { alias: alias.to_owned(), query };
    match stage.client().request(request).await {
        Ok(OperatorAnswer::Query(answer)) => Ok(Some(answer)),
        Ok(_) | Err(OperatorError::Refused(_) | OperatorError::NotNow(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn values<T: Serialize>(rows: Vec<T>) -> Vec<Value> {
    rows.into_iter().filter_map(|row| serde_json::to_value(row).ok()).collect()
}

/// A row for each member, with what is the same for the whole alias.
fn members(stage: &Stage, of: &str) -> Vec<Value> {
    let Some(row) = stage.world.aliases.get(of) else { return Vec::new() };
    let with_alias = |mut member: Value| {
        member["alias_id"] = json!(row.alias_id);
        member["incarnation"] = json!(row.incarnation);
        member["members"] = json!(row.members.len());
        member
    };
    values(row.members.clone()).into_iter().map(with_alias).collect()
}

fn stats(stage: &Stage, of: &str) -> Vec<Value> {
    let processes = stage.world.processes.iter();
    let found = processes.flat_map(|(process, view)| {
        view.stats.aliases.iter().filter(|stats| stats.alias == of).filter_map(move |stats| {
            let mut value = serde_json::to_value(stats).ok()?;
            value["process"] = json!(process);
            Some(value)
        })
    });
    found.collect()
}

/// How many calls these aliases have made, by their histories, and how many of them have a transId that another one
/// of them has too.
fn ids(folder: &Path, of: &str) -> Result<Value, RunError> {
    let aliases: Vec<&str> = of.split(',').collect();
    let history = history::read(&history::files_in(folder)?)?;
    let ids: HashSet<&str> = history.lines.iter().filter_map(|(_, line)| line.id.as_deref()).collect();
    let mine = ids.iter().filter(|id| id.split('/').next().is_some_and(|alias| aliases.contains(&alias)));
    let mine: Vec<&&str> = mine.collect();
    let trans: HashSet<&str> = mine.iter().filter_map(|id| id.rsplit('/').next()).collect();
    Ok(json!({ "calls": mine.len(), "repeated": mine.len() - trans.len() }))
}

fn files(folder: &Path) -> Vec<Value> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| json!({ "name": entry.file_name().to_string_lossy() })).collect()
}
