//! The steps of the sequence chart as a table: to move in, to filter, to copy and to export.

use crate::sequence::{Chart, Lane, Shape, Step};
use crate::tui::app::App;
use crate::tui::sequence;
use crate::tui::table::{Row, Table, plain, rest, text, toned};
use crate::units::count;
use crate::world::{Tone, duration_us};

pub(super) fn table(app: &App) -> Table {
    of(app, &sequence::chart(app))
}

/// The table of a chart.
fn of(app: &App, chart: &Chart) -> Table {
    let empty = match &app.chart.follow {
        Some(call) => format!("No event tells of {call}: under load, calls that go well are only sampled."),
        None => "Nothing has happened yet.".into(),
    };
    Table {
        title: title(app, chart),
        remark: remark(app, chart),
        columns: vec![
            text("CALL", 22),
            text("TIME", 10),
            text("KIND", 10),
            text("FROM", 14).spare(2),
            text("TO", 14).spare(1),
            rest("WHAT"),
        ],
        rows: rows(app, chart),
        empty,
        ..Table::default()
    }
}

fn title(app: &App, chart: &Chart) -> String {
    match (&app.chart.follow, chart.calls.len()) {
        (None, _) => "sequence of everything".into(),
        (Some(call), 0 | 1) => format!("sequence of {call}"),
        (Some(_), 2) => format!("sequence of {} and the call made for it", chart.calls[0]),
        (Some(_), calls) => format!("sequence of {} and {} calls made for it", chart.calls[0], calls - 1),
    }
}

/// How it is folded, and what is not in it.
fn remark(app: &App, chart: &Chart) -> String {
    let mut remark = format!("folded from {}", duration_us(app.chart.fold_us()));
    if app.follow && app.past.is_none() {
        remark.push_str("   following");
    }
    if app.chart.busy_only {
        remark.push_str("   idle lanes hidden");
    }
    let processes = || app.world().processes.values();
    let traced = processes().map(|process| process.stats.traced_one_in).max().unwrap_or(0);
    if traced > 1 {
        remark.push_str(&format!("   1 call in {} traced", count(traced)));
    }
    let dropped: u64 = processes().map(|process| process.stats.events_dropped).sum();
    if dropped > 0 {
        remark.push_str(&format!("   {} events dropped", count(dropped)));
    }
    if chart.left_out > 0 {
        remark.push_str(&format!("   {} older left out", count(chart.left_out as u64)));
    }
    remark
}

fn rows(app: &App, chart: &Chart) -> Vec<Row> {
    let mut last = 0;
    let steps = chart.steps().map(|step| {
        // An event may be drawn as two steps.
        let second = if step.seq == last { "b" } else { "" };
        last = step.seq;
        row(app, chart, step, format!("{}{second}", step.seq))
    });
    steps.collect()
}

fn row(app: &App, chart: &Chart, step: &Step, key: String) -> Row {
    let name = |lane: usize| chart.lanes.get(lane).map_or("", |lane: &Lane| lane.process.as_str());
    let (from, to, arrived) = match &step.shape {
        Shape::Arrow(arrow) => (name(arrow.from), name(arrow.to), arrow.arrived_ns),
        Shape::Mark { lane, .. } => (name(*lane), "", None),
        Shape::Across => ("", "", None),
    };
    let json = serde_json::json!({
        "seq": step.seq, "at_ns": step.at_ns, "kind": step.kind, "call": step.call, "from": from, "to": to,
        "arrived_ns": arrived, "label": step.label, "text": step.text,
    });
    Row {
        key,
        first: false,
        cells: vec![
            plain(step.call.as_deref().unwrap_or("-")),
            toned(Tone::Past, chart.clock(step.at_ns)),
            toned(step.tone, format!("{} {}", app.theme.glyph(step.tone), step.kind)),
            plain(from),
            plain(to),
            plain(&step.label),
        ],
        json,
    }
}
