//! Looking into stable areas: through the owner while it serves, into the file once it is dead.

use palib::control::{Answer, OperatorAnswer, OperatorRequest, Query};

use super::app::{App, Owner, Pane, Purpose, Readings};
use super::msg::{Cmd, inner};

/// Records asked for at once.
const RECORDS_MAX: usize = 400;

/// An integrity check under way: every record of every table is read, page by page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Check {
    /// The alias.
    pub alias: String,
    /// The tables still to be read; the first one is being read.
    pub tables: Vec<String>,
    /// Where in it to go on.
    pub after: Option<String>,
    /// Records read so far.
    pub records: u64,
    /// What was found damaged.
    pub damaged: Vec<String>,
    /// Whether the file is read.
    pub at_rest: bool,
}

/// The alias and, if one of its tables is chosen, the table.
pub(crate) fn chosen(app: &App) -> Option<(String, Option<String>)> {
    let table = app.table(Pane::Areas);
    let key = table.chosen_row(&app.look(Pane::Areas))?.key.clone();
    Some(match key.split_once('/') {
        Some((alias, table)) => (alias.to_owned(), Some(table.to_owned())),
        None => (key, None),
    })
}

/// The table whose records are shown: the chosen one, or the alias's first.
pub(crate) fn shown(app: &App) -> Option<(String, String)> {
    let (alias, table) = chosen(app)?;
    let table = table.or_else(|| {
        let area = app.areas.get(&alias)?.at(app.until_unix_ms())?;
        let fullest =
            area.what.tables.iter().find(|table| table.name == "app").or(area.what.tables.first())?;
        Some(fullest.name.clone())
    })?;
    Some((alias, table))
}

/// Asks for what is on the screen, unless answers are awaited already.
pub(crate) fn refresh(app: &mut App) -> Vec<Cmd> {
    if app.past.is_some() || super::commands::may_ask(app).is_err() {
        return Vec::new();
    }
    let aliases: Vec<String> = app.world().aliases.keys().cloned().collect();
    let mut commands = Vec::new();
    for alias in aliases {
        let at_rest = app.owner(&alias) == Owner::Dead;
        if is_due(app.areas.entry(alias.clone()).or_default(), at_rest) {
            let query = Query::Area { alias: alias.clone() };
            let purpose = |at_rest| Purpose::Area { alias: alias.clone(), at_rest };
            commands.extend(ask(app, &alias, query, purpose));
        }
    }
    if let Some((alias, table)) = shown(app) {
        let at_rest = app.owner(&alias) == Owner::Dead;
        if !is_due(app.records.entry((alias.clone(), table.clone())).or_default(), at_rest) {
            return commands;
        }
        let query =
            Query::Browse { alias: alias.clone(), table: table.clone(), after: None, limit: RECORDS_MAX };
        let purpose = |at_rest| Purpose::Records { alias: alias.clone(), table: table.clone(), at_rest };
        commands.extend(ask(app, &alias, query, purpose));
    }
    commands
}

/// Whether to ask again. A file at rest does not change: it is read once, and not four times a second.
fn is_due<T: PartialEq>(readings: &Readings<T>, at_rest: bool) -> bool {
    let read_already = at_rest && readings.at(None).is_some_and(|newest| newest.at_rest);
    !readings.asked && !read_already
}

/// Asks the owner, or has the file read. A hung owner can be asked nothing, and its file is locked.
fn ask(app: &mut App, alias: &str, query: Query, purpose: impl Fn(bool) -> Purpose) -> Option<Cmd> {
    let owner = app.owner(alias);
    let purpose = match owner {
        Owner::Hangs(_) => return None,
        Owner::Serves(_) => purpose(false),
        Owner::Dead => purpose(true),
    };
    match &purpose {
        Purpose::Area { alias, .. } => app.areas.entry(alias.clone()).or_default().asked = true,
        Purpose::Records { alias, table, .. } => {
            app.records.entry((alias.clone(), table.clone())).or_default().asked = true;
        }
        _ => {}
    }
    let ticket = app.next_ticket(purpose);
    let alias = alias.to_owned();
    Some(match owner {
        Owner::Dead => Cmd::ReadAtRest { ticket, alias, query, names: names(app) },
        _ => Cmd::Ask { ticket, request: OperatorRequest::Query { alias, query } },
    })
}

fn names(app: &App) -> Vec<(u32, String)> {
    app.world().aliases.values().map(|row| (row.alias_id, row.alias.clone())).collect()
}

/// Keeps an answer about an area.
pub(crate) fn area_answered(
    app: &mut App,
    alias: String,
    at_rest: bool,
    answer: Result<OperatorAnswer, String>,
) {
    let unix_ms = app.history.live().last_unix_ms;
    let area = inner(answer).map(|answer| match answer {
        Answer::Area(area) => Some(area),
        _ => None,
    });
    app.areas.entry(alias).or_default().answered(unix_ms, at_rest, area);
}

/// Keeps an answer with records.
pub(crate) fn records_answered(
    app: &mut App,
    of: (String, String),
    at_rest: bool,
    answer: Result<OperatorAnswer, String>,
) {
    let unix_ms = app.history.live().last_unix_ms;
    let page = inner(answer).map(|answer| match answer {
        Answer::Browse(page) => Some((page.rows, page.next.is_some())),
        _ => None,
    });
    app.records.entry(of).or_default().answered(unix_ms, at_rest, page);
}

/// Whether the chosen area can be checked now.
pub(crate) fn can_check(app: &App) -> Result<(), String> {
    super::commands::may_ask(app)?;
    let (alias, _) = chosen(app).ok_or("no area is chosen")?;
    if let Owner::Hangs(process) = app.owner(&alias) {
        return Err(format!("{process} hangs and has the area open"));
    }
    match app.areas.get(&alias).and_then(|readings| readings.at(None)) {
        Some(_) => Ok(()),
        None => Err(format!("the area of {alias} was not read yet")),
    }
}

/// Begins the integrity check of the chosen area.
pub(crate) fn check(app: &mut App) -> Vec<Cmd> {
    let Some((alias, _)) = chosen(app) else { return Vec::new() };
    let Some(area) = app.areas.get(&alias).and_then(|readings| readings.at(None)) else { return Vec::new() };
    let tables = area.what.tables.iter().map(|table| table.name.clone()).collect();
    let at_rest = app.owner(&alias) == Owner::Dead;
    app.tell(crate::world::Tone::Plain, format!("reading every record of {alias}"));
    go_on(app, Check { alias, tables, after: None, records: 0, damaged: Vec::new(), at_rest })
}

fn go_on(app: &mut App, check: Check) -> Vec<Cmd> {
    use crate::world::Tone;
    let Some(table) = check.tables.first().cloned() else {
        let Check { alias, records, damaged, .. } = check;
        match damaged.first() {
            None => app.tell(Tone::Good, format!("{alias}: {records} records read, none damaged")),
            Some(first) => {
                let text =
                    format!("{alias}: {} of {records} records damaged; the first: {first}", damaged.len());
                app.tell(Tone::Bad, text);
            }
        }
        return Vec::new();
    };
    let alias = check.alias.clone();
    let query = Query::Browse { alias: alias.clone(), table, after: check.after.clone(), limit: RECORDS_MAX };
    let at_rest = check.at_rest;
    let ticket = app.next_ticket(Purpose::Check(Box::new(check)));
    vec![if at_rest {
        Cmd::ReadAtRest { ticket, alias, query, names: names(app) }
    } else {
        Cmd::Ask { ticket, request: OperatorRequest::Query { alias, query } }
    }]
}

/// Counts a page of the check and asks for the next one.
pub(crate) fn checked(app: &mut App, mut check: Check, answer: Result<OperatorAnswer, String>) -> Vec<Cmd> {
    match inner(answer) {
        Ok(Answer::Browse(page)) => {
            check.records += page.rows.len() as u64;
            let table = check.tables[0].clone();
            let damaged = page
                .rows
                .iter()
                .filter_map(|row| row.damage.as_ref().map(|damage| format!("{table} {}: {damage}", row.key)));
            check.damaged.extend(damaged);
            check.after = page.next;
            if check.after.is_none() {
                check.tables.remove(0);
            }
            go_on(app, check)
        }
        Ok(_) => Vec::new(),
        Err(failure) => {
            app.tell(crate::world::Tone::Bad, format!("{} could not be checked: {failure}", check.alias));
            Vec::new()
        }
    }
}
