//! The demos, and the steps of the chosen one's tour.

use crate::tui::app::{App, DemoCard, Link, Pane};
use crate::tui::table::{Cell, Row, Table, number, plain, rest, text, toned};
use crate::tui::tour::Outcome;
use crate::world::Tone;

pub(crate) use super::aliases::standing;

pub(super) fn demos(app: &App) -> Table {
    let rows = app.demos.iter().map(|card| row(app, card)).collect();
    Table {
        title: "demos".into(),
        remark: match app.cluster() {
            Some(cluster) => format!("attached to {cluster}"),
            None => "Enter spawns the chosen one".into(),
        },
        columns: vec![
            text("DEMO", 18),
            number("PROCESSES", 9).spare(2),
            number("STEPS", 5).spare(1),
            text("STATE", 16),
            rest("WHAT IT SHOWS"),
        ],
        rows,
        empty: "No demo is inside this binary.".into(),
        ..Table::default()
    }
}

fn row(app: &App, card: &DemoCard) -> Row {
    let name = &card.name;
    let taken = app.tour.as_ref().filter(|tour| tour.demo == *name);
    let failed = taken.is_some_and(|tour| tour.done.iter().any(|outcome| !outcome.held));
    let steps = card.file.tour.len();
    let state: Cell = match &app.link {
        Link::Starting(starting) if starting == name => toned(Tone::Warn, "starting"),
        Link::Up { .. } if failed => toned(Tone::Bad, "a step failed"),
        Link::Up { .. } if taken.is_some_and(|tour| steps > 0 && tour.done.len() == steps) => {
            toned(Tone::Good, "tour done")
        }
        Link::Up { cluster, .. } if cluster == name => toned(Tone::Good, "running"),
        _ => plain("-"),
    };
    Row {
        key: name.clone(),
        first: false,
        cells: vec![
            plain(name),
            plain(card.file.processes.len().to_string()),
            plain(steps.to_string()),
            state,
            plain(&card.file.title),
        ],
        json: serde_json::json!({ "demo": name, "title": card.file.title, "steps": steps }),
    }
}

/// The chosen demo.
pub(crate) fn demo(app: &App) -> Option<String> {
    app.table(Pane::Demos).chosen_row(&app.look(Pane::Demos)).map(|row| row.key.clone())
}

pub(super) fn steps(app: &App) -> Table {
    let columns = vec![number("STEP", 4), text("STATE", 9), text("DOES", 30), rest("TEXT")];
    let Some(card) = demo(app).and_then(|name| app.demos.iter().find(|card| card.name == name)) else {
        return Table { title: "tour".into(), columns, ..Table::default() };
    };
    let tour = app.tour.as_ref().filter(|tour| tour.demo == card.name);
    let rows = card.file.tour.iter().enumerate().map(|(place, step)| {
        let done: Option<&Outcome> = tour.and_then(|tour| tour.done.get(place));
        let running = tour.is_some_and(|tour| tour.done.len() == place && tour.running.is_some());
        let next = tour.is_some_and(|tour| tour.done.len() == place && tour.running.is_none());
        let state = match done {
            Some(outcome) if outcome.held => toned(Tone::Good, format!("{} held", app.theme.pick("✔", "+"))),
            Some(_) => toned(Tone::Bad, format!("{} failed", app.theme.pick("✖", "x"))),
            None if running => toned(Tone::Warn, "running"),
            None if next => toned(Tone::Standby, "next"),
            None => toned(Tone::Past, "-"),
        };
        let action = step.action.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let expect: Vec<String> = step.expect.iter().map(ToString::to_string).collect();
        Row {
            key: place.to_string(),
            first: false,
            cells: vec![plain((place + 1).to_string()), state, plain(&action), plain(flat(&step.say))],
            json: serde_json::json!({
                "step": place + 1, "text": step.say, "does": action, "watch": step.watch, "expect": expect,
                "held": done.map(|outcome| outcome.held), "found": done.map(|outcome| outcome.found.clone()),
            }),
        }
    });
    let remark = match tour {
        Some(_) => String::new(),
        None => "begins when the demo is spawned".to_owned(),
    };
    Table {
        title: format!("tour of {}", card.name),
        remark,
        columns,
        rows: rows.collect(),
        empty: "This demo has no tour; try things by yourself on screen 1.".into(),
        ..Table::default()
    }
}

/// A text on one line.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
