//! Asking for redundancy tables, and deciding about calls in doubt.

use palib::control::{Answer, InDoubtDecision, OperatorAnswer, OperatorRequest, Query, TableRow};
use tui_input::Input;

use crate::world::describe;

use super::app::{App, Owner, Pane, Purpose, Reading};
use super::commands::Id;
use super::msg::{Cmd, inner};
use super::popup::{Confirm, Deed, Popup, Then};

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
fn id_filter(filter: &str) -> String {
    let text = filter.strip_prefix("id:").unwrap_or("");
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '_'));
    if is_plain { text.to_owned() } else { String::new() }
}

/// Keeps an answer.
pub(crate) fn answered(app: &mut App, alias: String, answer: Result<OperatorAnswer, String>) {
    let unix_ms = app.history.live().last_unix_ms;
    let readings = app.redundancy.entry(alias).or_default();
    readings.asked = false;
    match inner(answer) {
        Ok(Answer::Table(page)) => {
            readings.keep(Reading { unix_ms, what: (page.rows, page.next.is_some()), at_rest: false })
        }
        Ok(_) => readings.failure = Some("an answer to another question came".into()),
        Err(failure) => readings.failure = Some(failure),
    }
}

/// Shows the table of the next alias, or of the one before.
pub(crate) fn turn(app: &mut App, by: isize) -> Vec<Cmd> {
    let aliases: Vec<String> = app.world().aliases.keys().cloned().collect();
    let Some(now) = app.shown_alias().and_then(|alias| aliases.iter().position(|other| *other == alias))
    else {
        return Vec::new();
    };
    let next = (now as isize + by).rem_euclid(aliases.len() as isize) as usize;
    app.alias = Some(aliases[next].clone());
    app.look_mut(Pane::Redundancy).chosen = None;
    refresh(app)
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

/// The chosen call, if it is in doubt, and the alias it was sent to.
pub(crate) fn chosen_in_doubt(app: &App) -> Result<(String, String), String> {
    let row = chosen(app).ok_or("no call is chosen")?;
    if row.state != "in_doubt" {
        return Err(format!("{} is not in doubt", row.id));
    }
    let alias = app.shown_alias().ok_or("no alias is shown")?;
    Ok((alias, row.id.clone()))
}

/// Decides about the chosen call in doubt: asks for what is needed first.
pub(crate) fn resolve(app: &mut App, id: Id) {
    let Ok((alias, call)) = chosen_in_doubt(app) else { return };
    let ask = |title: String, prompt: &str, then| Popup::Ask {
        title,
        prompt: prompt.to_owned(),
        input: Input::default(),
        then,
    };
    let popup = match id {
        Id::ResolveReply => ask(format!("reply for {call}"), "the caller gets", Then::Reply { alias, call }),
        Id::ResolveFail => {
            ask(format!("failure for {call}"), "the caller is told", Then::Fail { alias, call })
        }
        _ => {
            let lines = vec![
                format!("{alias} executes the request of {call} again."),
                "If its effect has happened already, it happens twice.".to_owned(),
            ];
            let deed = decision(alias, call.clone(), InDoubtDecision::Rerun);
            Popup::Confirm(Confirm {
                title: format!("Run {call} again?"),
                lines,
                choices: vec![("Run again".into(), deed)],
                chosen: 0,
                typed: None,
            })
        }
    };
    app.popups.push(popup);
}

/// The order that carries a decision.
pub(crate) fn decision(alias: String, call: String, decision: InDoubtDecision) -> Deed {
    let what = match &decision {
        InDoubtDecision::Reply(text) => format!("{call} is answered with {text:?}"),
        InDoubtDecision::Rerun => format!("{call} runs again"),
        InDoubtDecision::RollBack => format!("what {call} called is undone"),
        InDoubtDecision::Fail(text) => format!("{call} fails with {text:?}"),
    };
    let query = Query::Resolve { alias: alias.clone(), call, decision };
    Deed::Order { what, request: Box::new(OperatorRequest::Query { alias, query }), undo: None }
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
        "in_doubt" => "its process died between effect and outcome; no event of it is kept",
        _ => "under way; nothing out of the ordinary so far",
    }
}
