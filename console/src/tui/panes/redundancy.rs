//! The redundancy table of an alias.

use palib::control::TableRow;

use crate::tui::app::App;
use crate::tui::redundancy::rows;
use crate::tui::table::{Row, Table, number, plain, rest, text, toned};
use crate::world::{Tone, clock, duration_us};

pub(super) fn table(app: &App) -> Table {
    let alias = app.shown_alias();
    let page = rows(app);
    let (found, more) = page.unwrap_or((&[], false));
    let mut made: Vec<Row> = found.iter().map(|it| row(app, it)).collect();
    made.sort_by_key(|row| !row.first);
    let mut remark = alias.as_deref().map_or_else(String::new, |alias| {
        let reading = app.redundancy.get(alias).and_then(|readings| readings.at(app.until_unix_ms()));
        super::as_of(app, alias, reading)
    });
    if more {
        remark.push_str("   there are more: /id:TEXT finds them");
    }
    Table {
        title: alias
            .as_ref()
            .map_or("redundancy table".into(), |alias| format!("redundancy table of {alias}")),
        remark,
        columns: vec![
            text("ID", 30),
            text("STATE", 13),
            text("PROCESS TYPE", 12).spare(1),
            number("HITS", 6),
            text("WRITTEN", 10),
            text("DIGEST", 16).spare(2),
            rest("REPLY"),
        ],
        rows: made,
        empty: empty(app, alias.as_deref()),
        ..Table::default()
    }
}

fn empty(app: &App, alias: Option<&str>) -> String {
    let Some(alias) = alias else { return "There is no alias yet.".into() };
    let readings = app.redundancy.get(alias);
    if let Some(failure) = readings.and_then(|readings| readings.failure.as_ref()) {
        return format!("Not read: {failure}");
    }
    match readings.and_then(|readings| readings.at(app.until_unix_ms())) {
        Some(_) => {
            format!("No call is known to {alias}: nothing was called, or all is below the callers' marks.")
        }
        None if app.past.is_some() => "Not read then. This screen keeps only what was looked at.".into(),
        None => "Being read.".into(),
    }
}

/// The glyph-free words and meaning of a row's state.
pub(crate) fn state_words(state: &str) -> (Tone, &str) {
    match state {
        "executing" | "committing" => (Tone::Standby, state),
        "relaying" | "undoing" => (Tone::Standby, state),
        "blocked" => (Tone::Warn, "blocked"),
        "rolling_back" => (Tone::Warn, "rolling back"),
        "in_doubt" => (Tone::Bad, "in doubt"),
        "diverged" | "stuck" => (Tone::Bad, state),
        "rolled_back" => (Tone::Past, "rolled back"),
        "cancelled" => (Tone::Past, state),
        "auto_reply" => (Tone::Good, "answered"),
        "handler" => (Tone::Good, "handler"),
        other => (Tone::Plain, other),
    }
}

fn row(app: &App, row: &TableRow) -> Row {
    let (tone, state) = state_words(&row.state);
    let reply =
        row.text.clone().or_else(|| row.hex.as_ref().map(|hex| format!("0x{hex}"))).unwrap_or_default();
    let reply = if row.failed { toned(Tone::Bad, format!("failed: {reply}")) } else { plain(reply) };
    let written = match row.written_unix_ms {
        0 => "-".to_owned(),
        at => clock(at, app.world().zero_unix_ms),
    };
    let hits = if row.hits == 0 { plain("0") } else { toned(Tone::Good, row.hits.to_string()) };
    Row {
        key: row.id.clone(),
        first: matches!(row.state.as_str(), "in_doubt" | "diverged" | "stuck"),
        cells: vec![
            plain(&row.id),
            toned(tone, format!("{} {state}", app.theme.glyph(tone))),
            plain(if row.process_type.is_empty() { "-" } else { &row.process_type }),
            hits,
            plain(written),
            toned(Tone::Past, &row.digest),
            reply,
        ],
        json: serde_json::to_value(row).unwrap_or_default(),
    }
}

/// The table in one line: what its owner counted.
pub(crate) fn age_line(app: &App) -> String {
    let Some(alias) = app.shown_alias() else { return String::new() };
    let world = app.world();
    let Some(stats) = world.active_stats(Some(&alias)).next() else { return String::new() };
    format!(
        "executing {}   held {}   in doubt {}   found redundant {}   refused {}   commit p50 {} p99 {}",
        stats.executing,
        stats.held,
        stats.in_doubt,
        stats.redundant,
        stats.refused,
        duration_us(stats.commit_us_p50),
        duration_us(stats.commit_us_p99),
    )
}
