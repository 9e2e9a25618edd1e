//! The transactions of a relay, and the journal of the chosen one.

use std::time::Duration;

use palib::control::{DownstreamRow, DownstreamState, RelayRow, RelayStage, Relays};

use crate::tui::app::{App, Owner, Pane};
use crate::tui::relay;
use crate::tui::table::{Cell, Row, Table, number, plain, rest, strip, text, toned};
use crate::units::{age, count};
use crate::world::Tone;

/// Calls that have a step of their own in the strip; the first of more are counted.
const STEPS_MAX: usize = 6;
/// The same on a terminal with fewer columns than [`ROOMY_FROM`].
const STEPS_MAX_NARROW: usize = 3;
/// From so many columns on there is room for a long strip.
const ROOMY_FROM: u16 = 100;
/// From so many columns on, the steps of the strip have their words; below, the first letters.
const WORDS_FROM: u16 = 180;

pub(super) fn transactions(app: &App) -> Table {
    let alias = relay::shown_alias(app);
    let relays = relay::shown(app);
    let rows = relays.map_or(&[][..], |relays| &relays.rows);
    let mut rows: Vec<Row> = rows.iter().map(|it| row(app, it)).collect();
    rows.sort_by_key(|row| !row.first);
    Table {
        title: alias.as_ref().map_or("relay transactions".into(), |alias| format!("transactions of {alias}")),
        remark: alias.as_ref().map_or_else(String::new, |alias| remark(app, alias, relays)),
        columns: vec![
            text("ID", 24),
            text("FROM", 14).spare(6),
            text("TO", 18).spare(4),
            text("ASKED", 24).spare(5),
            text("STAGE", 14),
            text("STEPS", if app.size.0 >= WORDS_FROM { 60 } else { 30 }),
            number("TRIES", 5).spare(2),
            number("AGE", 9).spare(1),
            text("POLICY", 12).spare(3),
            rest("WHY"),
        ],
        rows,
        empty: empty(app, alias.as_deref()),
        ..Table::default()
    }
}

/// How many there are, whose they are, as of when.
fn remark(app: &App, alias: &str, relays: Option<&Relays>) -> String {
    let mut remark = String::new();
    if let Some(relays) = relays {
        let waiting = relays.rows.iter().filter(|row| row.needs_operator).count();
        remark.push_str(&format!("{} open", count(relays.open)));
        if waiting > 0 {
            remark.push_str(&format!(", {waiting} waiting for you"));
        }
        remark.push_str(&format!("   {} retained   ", count(relays.retained)));
    }
    let reading = app.relays.get(alias).and_then(|readings| readings.at(app.until_unix_ms()));
    remark.push_str(&super::as_of(app, alias, reading));
    let filtered = !app.look(Pane::Relays).filter.is_empty();
    if !filtered && relays.is_some_and(|relays| relays.open > relays.rows.len() as u64) {
        remark.push_str("   /id:TEXT finds more");
    }
    remark
}

fn empty(app: &App, alias: Option<&str>) -> String {
    let Some(alias) = alias else { return "No alias here calls others on behalf of a call.".into() };
    if let Some(failure) = app.relays.get(alias).and_then(|readings| readings.failure.as_ref()) {
        return format!("Not read: {failure}");
    }
    match relay::shown(app) {
        Some(_) => format!("No transaction is open: every call that came to {alias} is done."),
        None if app.past.is_some() => "Not read then. This screen keeps only what was looked at.".into(),
        None if app.owner(alias) == Owner::Dead => "Nobody in service could be asked.".into(),
        None => "Being read.".into(),
    }
}

fn row(app: &App, row: &RelayRow) -> Row {
    let tone = stage_tone(row.stage);
    let mut targets: Vec<&str> = Vec::new();
    for call in &row.calls {
        if !targets.contains(&call.target.as_str()) {
            targets.push(&call.target);
        }
    }
    let tries = row.calls.iter().map(|call| call.tries).max();
    let why = if row.needs_operator { toned(Tone::Bad, &row.why) } else { plain(&row.why) };
    Row {
        key: row.id.clone(),
        first: row.needs_operator,
        cells: vec![
            plain(&row.id),
            plain(row.id.split('/').next().unwrap_or_default()),
            plain(if targets.is_empty() { "-".to_owned() } else { targets.join(", ") }),
            plain(row.text.as_deref().unwrap_or("-")),
            toned(tone, format!("{} {}", app.theme.glyph(tone), row.stage.word())),
            steps_cell(app, row),
            plain(tries.map_or_else(|| "-".to_owned(), |tries| tries.to_string())),
            age_cell(app, row),
            plain(row.policy.word()),
            why,
        ],
        json: serde_json::to_value(row).unwrap_or_default(),
    }
}

/// How long a transaction has been in hand, by the clock that the processes share.
fn age_cell(app: &App, row: &RelayRow) -> Cell {
    match app.world().measured_ns() {
        // Nothing was measured yet.
        0 => plain("-").by(0),
        now => {
            let for_ns = now.saturating_sub(row.since_ns);
            plain(age(Duration::from_nanos(for_ns))).by(for_ns)
        }
    }
}

/// The steps of a transaction in their order: what each means, and its word.
fn steps(row: &RelayRow, calls_max: usize) -> Vec<(Tone, String)> {
    let journal = match row.calls.iter().all(|call| call.state == DownstreamState::Putting) {
        true if row.calls.is_empty() => Tone::Past,
        true => Tone::Standby,
        false => Tone::Good,
    };
    let mut steps = vec![(Tone::Good, "received".to_owned()), (journal, "journal".to_owned())];
    let left_out = row.calls.len().saturating_sub(calls_max);
    if left_out > 0 {
        steps.push((Tone::Past, format!("+{left_out}")));
    }
    let calls = row.calls.iter().skip(left_out);
    steps.extend(calls.map(|call| (call_tone(call), call.state.word().to_owned())));
    steps.push(match row.stage {
        RelayStage::Processing => (Tone::Past, "outcome".to_owned()),
        RelayStage::Completing => (Tone::Standby, "outcome".to_owned()),
        stage => (stage_tone(stage), stage.word().to_owned()),
    });
    steps
}

/// The strip: glyph, colour, and as much of the word as there is room for.
fn steps_cell(app: &App, row: &RelayRow) -> Cell {
    let words = app.size.0 >= WORDS_FROM;
    let calls_max = if app.size.0 >= ROOMY_FROM { STEPS_MAX } else { STEPS_MAX_NARROW };
    let mut parts = Vec::new();
    for (tone, word) in steps(row, calls_max) {
        if !parts.is_empty() {
            parts.push((Tone::Plain, " ".to_owned()));
        }
        let glyph = app.theme.glyph(tone);
        let text = match word.chars().next() {
            Some('+') => word,
            Some(_) if words => format!("{glyph} {word}"),
            letter => format!("{glyph}{}", letter.unwrap_or_default()),
        };
        parts.push((tone, text));
    }
    strip(parts)
}

fn stage_tone(stage: RelayStage) -> Tone {
    match stage {
        RelayStage::Processing | RelayStage::Completing => Tone::Standby,
        RelayStage::RollingBack | RelayStage::Failing | RelayStage::Cancelling => Tone::Warn,
        RelayStage::RolledBack => Tone::Past,
        RelayStage::Diverged | RelayStage::Stuck | RelayStage::InDoubt => Tone::Bad,
    }
}

fn call_tone(call: &DownstreamRow) -> Tone {
    match call.state {
        // Sent again and again, it waits for somebody who is not there.
        DownstreamState::Waiting if call.tries > 1 => Tone::Warn,
        DownstreamState::Putting | DownstreamState::Waiting => Tone::Standby,
        DownstreamState::Held | DownstreamState::Cancelling => Tone::Warn,
        DownstreamState::Answered => Tone::Good,
        DownstreamState::Failed | DownstreamState::Refused | DownstreamState::Stuck => Tone::Bad,
        DownstreamState::Cancelled => Tone::Past,
    }
}

pub(super) fn journal(app: &App) -> Table {
    let row = relay::chosen(app);
    let (title, empty) = match row {
        Some(row) => (format!("journal of {}", row.id), "Nothing was called on its behalf so far."),
        None => ("journal".to_owned(), "No transaction is chosen."),
    };
    Table {
        title,
        columns: vec![
            text("POSITION", 8),
            text("ID", 26),
            text("TO", 18),
            text("STATE", 14),
            number("TRIES", 5),
            text("ANSWER", 12).spare(1),
            rest("TEXT"),
        ],
        rows: row.map_or(&[][..], |row| &row.calls).iter().map(|call| journal_row(app, call)).collect(),
        empty: empty.into(),
        ..Table::default()
    }
}

fn journal_row(app: &App, call: &DownstreamRow) -> Row {
    let tone = call_tone(call);
    let answer = match call.state {
        _ if call.replayed => toned(Tone::Good, "from journal"),
        DownstreamState::Answered | DownstreamState::Failed | DownstreamState::Refused => {
            plain("in this run")
        }
        _ => plain("-"),
    };
    Row {
        key: call.id.clone(),
        first: false,
        cells: vec![
            plain(&call.position),
            plain(&call.id),
            plain(&call.target),
            toned(tone, format!("{} {}", app.theme.glyph(tone), call.state.word())),
            plain(call.tries.to_string()),
            answer,
            plain(call.text.as_deref().unwrap_or("-")),
        ],
        json: serde_json::to_value(call).unwrap_or_default(),
    }
}
