//! The stable areas, their tables, and the records of one table.

use palib::control::{AreaSummary, BrowseRow};

use crate::tui::app::{App, Owner, Pane, Reading};
use crate::tui::stable::shown;
use crate::tui::table::{Cell, Row, Table, number, plain, rest, text, toned};
use crate::world::{Tone, clock};

pub(super) fn areas(app: &App) -> Table {
    let mut rows = Vec::new();
    for alias in app.world().aliases.keys() {
        let readings = app.areas.get(alias);
        let reading = readings.and_then(|readings| readings.at(app.until_unix_ms()));
        let failure = readings.and_then(|readings| readings.failure.clone());
        rows.push(area_row(app, alias, reading, failure));
        for table in reading.iter().flat_map(|reading| &reading.what.tables) {
            rows.push(Row {
                key: format!("{alias}/{}", table.name),
                first: false,
                cells: vec![plain(format!("  {}", table.name)), plain(table.rows.to_string()), plain("rows")],
                json: serde_json::json!({ "alias": alias, "table": table.name, "rows": table.rows }),
            });
        }
    }
    Table {
        title: "stable areas".into(),
        columns: vec![text("AREA", 18), number("SIZE", 9), rest("OWNER")],
        rows,
        empty: "There is no alias yet.".into(),
        ..Table::default()
    }
}

fn area_row(app: &App, alias: &str, reading: Option<&Reading<AreaSummary>>, failure: Option<String>) -> Row {
    let size = reading.map_or_else(|| "-".to_owned(), |reading| bytes(reading.what.bytes));
    let as_of = reading.map(|it| clock(it.unix_ms, app.world().zero_unix_ms)).unwrap_or_default();
    let owner: Cell = match app.owner(alias) {
        _ if app.past.is_some() && reading.is_some() => toned(Tone::Past, format!("as read at {as_of}")),
        Owner::Hangs(process) => toned(Tone::Warn, format!("{process} hangs: stale, {as_of}")),
        _ if reading.is_none() && failure.is_some() => toned(Tone::Bad, failure.unwrap_or_default()),
        Owner::Serves(process) => toned(Tone::Good, process),
        Owner::Dead => toned(Tone::Bad, "no owner: its file"),
    };
    Row {
        key: alias.to_owned(),
        first: false,
        cells: vec![plain(alias), plain(size), owner],
        json: serde_json::to_value(reading.map(|reading| &reading.what)).unwrap_or_default(),
    }
}

pub(super) fn records(app: &App) -> Table {
    let columns = vec![text("KEY", 34), number("BYTES", 7).spare(1), rest("VALUE")];
    let Some((alias, table)) = shown(app) else {
        let empty = "Choose an area.".into();
        return Table { title: "records".into(), columns, empty, ..Table::default() };
    };
    let readings = app.records.get(&(alias.clone(), table.clone()));
    let reading = readings.and_then(|readings| readings.at(app.until_unix_ms()));
    let rows = reading.map_or(&[][..], |reading| &reading.what.0).iter().map(record_row).collect();
    let mut remark = match reading {
        Some(reading) if reading.at_rest => "read from the file; nobody has it open".to_owned(),
        Some(reading) if matches!(app.owner(&alias), Owner::Hangs(_)) => {
            format!("stale: as of {}, its owner hangs", clock(reading.unix_ms, app.world().zero_unix_ms))
        }
        _ => String::new(),
    };
    if let Some(reading) = reading.filter(|reading| reading.what.1) {
        remark.push_str(&format!("   the first {}", reading.what.0.len()));
    }
    let failure = readings.and_then(|readings| readings.failure.as_ref());
    let empty = match (failure, reading) {
        (Some(failure), _) => format!("Not read: {failure}"),
        (None, Some(_)) => "This table is empty.".into(),
        (None, None) if app.past.is_some() => {
            "Not read then. This screen keeps only what was looked at.".into()
        }
        (None, None) => "Being read.".into(),
    };
    Table { title: format!("{alias} / {table}"), remark, columns, rows, empty, ..Table::default() }
}

fn record_row(row: &BrowseRow) -> Row {
    let value = match &row.damage {
        Some(damage) => toned(Tone::Bad, format!("damaged: {damage}")),
        None => plain(row.value.replace('\n', ", ")),
    };
    Row {
        key: row.key_hex.clone(),
        first: false,
        cells: vec![plain(&row.key), plain(row.value_bytes.to_string()), value],
        json: serde_json::to_value(row).unwrap_or_default(),
    }
}

/// The chosen record.
pub(crate) fn record(app: &App) -> Option<BrowseRow> {
    let table = app.table(Pane::Records);
    serde_json::from_value(table.chosen_row(&app.look(Pane::Records))?.json.clone()).ok()
}

/// A record's value: decoded, and as a dump of its bytes.
pub(crate) fn value_lines(record: &BrowseRow, bytes_a_line: usize) -> (Vec<String>, Vec<String>) {
    let mut decoded = vec![format!("key {}", record.key)];
    decoded.extend(record.damage.iter().map(|damage| format!("damaged: {damage}")));
    decoded.extend(record.value.lines().map(str::to_owned));
    let digits = record.value_hex.as_bytes();
    let dump = digits.chunks(bytes_a_line * 2).enumerate().map(|(line, digits)| {
        let bytes: Vec<&str> = digits.chunks(2).filter_map(|pair| std::str::from_utf8(pair).ok()).collect();
        let character = |byte: &&str| match u8::from_str_radix(byte, 16) {
            Ok(byte @ 0x20..0x7f) => char::from(byte),
            _ => '.',
        };
        let characters: String = bytes.iter().map(character).collect();
        let wide = bytes_a_line * 3 - 1;
        format!("{:04x}  {:<wide$}  {characters}", line * bytes_a_line, bytes.join(" "))
    });
    let mut dump: Vec<String> = dump.collect();
    if record.value_bytes as usize > digits.len() / 2 {
        dump.push(format!("the first {} of {} bytes", digits.len() / 2, record.value_bytes));
    }
    (decoded, dump)
}

/// A size with its unit.
fn bytes(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        1_048_576..1_073_741_824 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}
