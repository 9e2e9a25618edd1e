//! The log, and the newest of it on the first screen.

use palib::control::{Event, What};

use crate::tui::app::{App, Pane};
use crate::tui::filter::Filter;
use crate::tui::table::{Column, Row, Table, plain, rest, text, toned};
use crate::world::{Tone, clock, describe};

/// Rows of the log that are made at once. The filter looks at all events kept, and this many hits are shown.
const LOG_ROWS_MAX: usize = 2000;
/// Rows of the list of last events.
const LAST_ROWS_MAX: usize = 60;

fn columns() -> Vec<Column> {
    vec![text("TIME", 10), text("KIND", 12), text("WHO", 24), rest("WHAT")]
}

pub(super) fn log(app: &App) -> Table {
    let columns = columns();
    let titles: Vec<&str> = columns.iter().map(|column| column.title).collect();
    let filter =
        app.looks.get(&Pane::Log).and_then(|look| Filter::parse(&look.filter, &titles).ok().flatten());
    let mut rows: Vec<Row> = app
        .history
        .newest_first(app.moment())
        .map(|(_, event)| row(app, event))
        .filter(|row| {
            let cells = titles.iter().copied().zip(row.cells.iter().map(|cell| cell.text.as_str()));
            filter.as_ref().is_none_or(|filter| filter.passes(cells))
        })
        .take(LOG_ROWS_MAX)
        .collect();
    rows.reverse();
    let missed = app.world().missed;
    let mut remark = if app.follow { "following" } else { "not following" }.to_owned();
    if missed > 0 {
        remark.push_str(&format!("   {missed} events were missed"));
    }
    if rows.len() == LOG_ROWS_MAX {
        remark.push_str(&format!("   the newest {LOG_ROWS_MAX}"));
    }
    let empty = "Nothing has happened yet.".into();
    Table { title: "log".into(), remark, columns, rows, empty, ..Table::default() }
}

pub(super) fn last(app: &App) -> Table {
    let events = app.history.newest_first(app.moment()).filter(|(_, event)| !is_detail(&event.what));
    let rows = events.take(LAST_ROWS_MAX).map(|(_, event)| row(app, event)).collect();
    Table {
        title: "last events".into(),
        columns: columns(),
        rows,
        empty: "Nothing has happened yet.".into(),
        ..Table::default()
    }
}

/// Whether an event only repeats in the small what another one says: the log has it, the first screen does not.
fn is_detail(what: &What) -> bool {
    match what {
        What::Alias { .. } | What::Resent { .. } | What::RedundancyFound { .. } => true,
        What::Relayed { .. } | What::RelayAnswered { .. } | What::RelayCompleted { .. } => true,
        What::CancelSent { .. } | What::CancelConfirmed { .. } => true,
        What::Log { level, .. } => level == "info",
        _ => false,
    }
}

fn row(app: &App, event: &Event) -> Row {
    let words = describe(&event.process, &event.what);
    let tone = if words.tone == Tone::Past { Tone::Past } else { Tone::Plain };
    Row {
        key: event.seq.to_string(),
        first: false,
        cells: vec![
            toned(Tone::Past, clock(event.unix_ms, app.world().zero_unix_ms)),
            toned(words.tone, format!("{} {}", app.theme.glyph(words.tone), words.kind)),
            plain(words.subject),
            toned(tone, words.text),
        ],
        json: serde_json::to_value(event).unwrap_or_default(),
    }
}
