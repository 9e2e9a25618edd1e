//! Asking for redundancy tables, and what is known of their calls.

use palib::control::{Answer, OperatorAnswer, OperatorRequest, Query, TableRow};

use crate::world::describe;

use super::app::{App, Owner, Pane, Purpose};
use super::msg::{Cmd, inner};

/// Rows asked for at once. Who looks for one call among more filters by its id, and the owner does the search.
const ROWS_MAX: usize = 500;

/// Asks for the table on the screen, unless an answer is awaited already.
pub(crate) fn refresh(app: &mut App) -> Vec<Cmd> {
    if app.past.is_some() || super::commands::may_ask(app).is_err() {
        return Vec::new();
    }
    let Some(alias) = app.shown_alias() else { return Vec::new() };
    let readings = app.redundancy.entry(alias.clone()).or_default();
    if readings.asked {
        return Vec::new();
    }
    if !matches!(app.owner(&alias), Owner::Serves(_)) {
        return Vec::new();
    }
    app.redundancy.entry(alias.clone()).or_default().asked = true;
    let filter = id_filter(&app.look(Pane::Redundancy).filter);
    let query = Query::Table { alias: alias.clone(), filter, after: None, limit: ROWS_MAX };
    let ticket = app.next_ticket(Purpose::Redundancy(alias.clone()));
    vec![Cmd::Ask { ticket, request: OperatorRequest::Query { alias, query } }]
}

/// The part of a filter that the owner of the table can apply: a plain text in the id.
pub(crate) fn id_filter(filter: &str) -> String {
    let text = filter.strip_prefix("id:").unwrap_or("");
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_'));
    if is_plain { text.to_owned() } else { String::new() }
}

/// Keeps an answer.
pub(crate) fn answered(app: &mut App, alias: String, answer: Result<OperatorAnswer, String>) {
    let unix_ms = app.history.live().last_unix_ms;
    let page = inner(answer).map(|answer| match answer {
        Answer::Table(page) => Some((page.rows, page.next.is_some())),
        _ => None,
    });
    app.redundancy.entry(alias).or_default().answered(unix_ms, false, page);
}

/// Shows the table of the next alias, or of the one before.
pub(crate) fn turn(app: &mut App, by: isize) -> Vec<Cmd> {
    let aliases: Vec<String> = app.world().aliases.keys().cloned().collect();
    let Some(next) = app.shown_alias().and_then(|now| next_of(&aliases, &now, by)) else {
        return Vec::new();
    };
    app.alias = Some(next);
    app.look_mut(Pane::Redundancy).chosen = None;
    refresh(app)
}

/// The alias so many places after another one; behind the last comes the first.
pub(crate) fn next_of(aliases: &[String], now: &str, by: isize) -> Option<String> {
    let place = aliases.iter().position(|alias| alias == now)?;
    let next = (place as isize + by).rem_euclid(aliases.len() as isize) as usize;
    Some(aliases[next].clone())
}

/// The rows of the table on the screen as last read.
pub(crate) fn rows(app: &App) -> Option<(&[TableRow], bool)> {
    let reading = app.redundancy.get(&app.shown_alias()?)?.at(app.until_unix_ms())?;
    Some((&reading.what.0, reading.what.1))
}

/// The chosen row.
pub(crate) fn chosen(app: &App) -> Option<&TableRow> {
    let table = app.table(Pane::Redundancy);
    let key = &table.chosen_row(&app.look(Pane::Redundancy))?.key;
    rows(app)?.0.iter().find(|row| row.id == *key)
}

/// What happened to a call, from the events: time, process, words; oldest first.
pub(crate) fn lifeline(app: &App, call: &str) -> Vec<(u64, String, crate::world::Words)> {
    let events = app.history.oldest_first(app.moment()).rev();
    let mut lines: Vec<_> = events
        .filter(|event| crate::sequence::call_of(&event.what) == Some(call))
        .map(|event| (event.unix_ms, event.process.clone(), describe(&event.process, &event.what)))
        .take(50)
        .collect();
    lines.reverse();
    lines
}

/// What it means that no event tells of a call in this state: ordinary calls are only sampled.
pub(crate) fn without_events(state: &str) -> &'static str {
    match state {
        "auto_reply" | "handler" => "nothing out of the ordinary: sent once, answered once",
        "relaying" => "under way: screen 3 shows what was called on its behalf",
        "in_doubt" => "its process died between effect and outcome; no event of it is kept",
        _ => "under way; nothing out of the ordinary so far",
    }
}
