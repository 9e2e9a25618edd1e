//! How each screen divides its room among its panes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, section, table, width};
use super::topology::{self, Topology};
use crate::tui::app::{App, Link, Pane, Screen, Shown};
use crate::tui::{panes, redundancy, tour};
use crate::world::{Tone, clock, duration_us};

/// Paints the screen into what lies between the bars.
pub(super) fn screen(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    match app.screen {
        Screen::Cluster => cluster(app, buffer, area, shown),
        Screen::Redundancy => redundant(app, buffer, area, shown),
        Screen::Relay => super::relay::transactions(app, buffer, area, shown),
        Screen::Sequence => super::sequence::sequence(app, buffer, area, shown),
        Screen::Stable => stable(app, buffer, area, shown),
        Screen::Metrics => super::metrics::metrics(app, buffer, area, shown),
        Screen::Log => table(app, buffer, area, Pane::Log, shown),
        Screen::Demos => demos(app, buffer, area, shown),
    }
}

/// Stacks parts of these heights; the last takes what is left.
pub(super) fn stack<const N: usize>(area: Rect, heights: [u16; N]) -> [Rect; N] {
    let mut y = area.y;
    let mut left = area.height;
    let mut place = 0;
    heights.map(|height| {
        place += 1;
        let height = if place == N { left } else { height.min(left) };
        let part = Rect { y, height, ..area };
        y += height;
        left -= height;
        part
    })
}

fn cluster(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let rows = app.table(Pane::Aliases).rows.len() as u16;
    let wanted = rows.max(1) + 2;
    let events = 4.max(area.height / 6);
    // The table and the newest events come first; the picture takes what is left, then the events grow.
    let table_least = wanted.min(8);
    let drawn = topology::height(app.world());
    let room = area.height.saturating_sub(table_least + events);
    let picture = if drawn == 0 || room < 5 { 0 } else { (drawn + 1).min(room) };
    let topology =
        (picture > 0).then(|| Topology::of(app, Rect { y: area.y + 1, height: picture - 1, ..area }));
    let picture = topology.as_ref().map_or(0, |topology| topology.height() + 1);
    let history = u16::from(area.height >= 28) * 3;
    let table_height = wanted.min(area.height.saturating_sub(picture + events + history));
    let [top, middle, story, rest] = stack(area, [picture, table_height, history, 0]);
    if let Some(topology) = topology {
        let title =
            app.world().cluster.as_deref().map_or("topology".into(), |name| format!("topology of {name}"));
        let remark = format!("{}{}{}", topology.elsewhere(), managed_by(app), topology.missing());
        section(app, buffer, top, &title, &remark, false);
        topology.paint(app, buffer);
    }
    table(app, buffer, middle, Pane::Aliases, shown);
    alias_story(app, buffer, story);
    table(app, buffer, rest, Pane::LastEvents, shown);
}

/// Who looks after the cluster. It is in no row of the table, and can be killed all the same.
fn managed_by(app: &App) -> String {
    let Some(ftm) = &app.world().ftm else { return String::new() };
    let again = if ftm.starts > 1 { format!(", start {}", ftm.starts) } else { String::new() };
    format!("managed by ftm, pid {}{again}   lines are calls per second", ftm.pid)
}

/// The chosen alias in two lines: its takeovers, and what its member in service counted.
fn alias_story(app: &App, buffer: &mut Buffer, area: Rect) {
    if area.height < 3 {
        return;
    }
    let Some((_, alias)) = chosen_alias(app) else { return };
    let world = app.world();
    let inner = section(app, buffer, area, &format!("alias {alias}"), "", false);
    let takeovers: Vec<_> = world.takeovers.iter().filter(|takeover| takeover.alias == alias).collect();
    let mut pieces = vec![(format!("   takeovers {}", takeovers.len()), Style::default())];
    for takeover in takeovers.iter().rev().take(4) {
        let when = clock(takeover.at_unix_ms, world.zero_unix_ms);
        let gap = takeover.timing.blackout_us.map_or_else(String::new, |us| format!(" {}", duration_us(us)));
        let text = format!("   {when} {} {}{gap}", takeover.cause, takeover.to);
        pieces.push((text, app.theme.style(Tone::Past)));
    }
    paint::line(app, buffer, inner, 0, &pieces);
    let Some(stats) = world.active_stats(Some(&alias)).next() else { return };
    let mut line = format!(
        "   executing {}   held {}   in doubt {}   pending {}   found redundant {}   sent again {}",
        stats.executing, stats.held, stats.in_doubt, stats.pending, stats.redundant, stats.resent
    );
    if world.is_relay(&alias) {
        line.push_str(&format!("   transactions {}   retained {}", stats.relays, stats.relays_retained));
    }
    // What is counted target by target is the same once more where there is one target.
    let is_sum = |name: &str| !name.split_once(':').is_some_and(|(sum, _)| stats.counters.contains_key(sum));
    for (name, count) in stats.counters.iter().filter(|(name, _)| is_sum(name)) {
        line.push_str(&format!("   {name} {count}"));
    }
    paint::line(app, buffer, inner, 1, &[(line, app.theme.dim())]);
}

fn chosen_alias(app: &App) -> Option<(String, String)> {
    let table = app.table(Pane::Aliases);
    let row = table.chosen_row(&app.look(Pane::Aliases))?;
    Some((row.json["process"].as_str()?.to_owned(), row.json["alias"].as_str()?.to_owned()))
}

fn redundant(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let story = (area.height / 4).clamp(4, 12);
    let [top, summary, bottom] = stack(area, [area.height.saturating_sub(story + 2), 2, 0]);
    table(app, buffer, top, Pane::Redundancy, shown);
    let inner = section(app, buffer, summary, "summary", "", false);
    paint::line(app, buffer, inner, 0, &[(format!("   {}", panes::age_line(app)), Style::default())]);
    let Some(row) = redundancy::chosen(app) else {
        section(app, buffer, bottom, "lifeline", "", false);
        return;
    };
    let remark = match row.state.as_str() {
        "in_doubt" => "in doubt: its effect may or may not have happened; r decides",
        "diverged" | "stuck" => "it waits for you: r decides; screen 3 has its journal",
        _ => "Enter shows its whole reply",
    };
    let inner = section(app, buffer, bottom, &format!("lifeline of {}", row.id), remark, false);
    let life = redundancy::lifeline(app, &row.id);
    if life.is_empty() {
        paint::at(app, buffer, inner, 3, 0, redundancy::without_events(&row.state), app.theme.dim());
    }
    let skip = life.len().saturating_sub(usize::from(inner.height));
    for (line, (at, process, words)) in life.into_iter().skip(skip).enumerate() {
        let pieces = [
            (format!("   {}  ", clock(at, app.world().zero_unix_ms)), app.theme.dim()),
            (format!("{} {:<10} ", app.theme.glyph(words.tone), words.kind), app.theme.style(words.tone)),
            (format!("{process}: {}", words.text), Style::default()),
        ];
        paint::line(app, buffer, inner, line as u16, &pieces);
    }
}

fn stable(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let left = if area.width >= 120 { 48 } else { 36 };
    let areas = Rect { width: left, ..area };
    let right = Rect { x: area.x + left + 1, width: area.width.saturating_sub(left + 1), ..area };
    let value = (area.height / 3).clamp(7, 16);
    let [records, value] = stack(right, [right.height.saturating_sub(value), 0]);
    let summary = 5.min(area.height / 4);
    let [list, foot] = stack(areas, [areas.height - summary, 0]);
    table(app, buffer, list, Pane::Areas, shown);
    area_summary(app, buffer, foot);
    table(app, buffer, records, Pane::Records, shown);
    record_value(app, buffer, value);
}

fn area_summary(app: &App, buffer: &mut Buffer, area: Rect) {
    let inner = section(app, buffer, area, "file", "", false);
    let Some((alias, _)) = crate::tui::stable::chosen(app) else { return };
    let Some(reading) = app.areas.get(&alias).and_then(|readings| readings.at(app.until_unix_ms())) else {
        return;
    };
    let what = &reading.what;
    let name = what.file.rsplit('/').next().unwrap_or(&what.file);
    let commits = match what.commits {
        0 => "not open for writing".to_owned(),
        n => format!(
            "{n} commits, p50 {} p99 {}",
            duration_us(what.commit_us_p50),
            duration_us(what.commit_us_p99)
        ),
    };
    let lines = [
        format!("{name}   schema {}", what.schema),
        format!("written by incarnation {}", what.incarnation),
        commits,
        what.file.clone(),
    ];
    for (line, text) in lines.iter().enumerate() {
        paint::at(app, buffer, inner, 3, line as u16, text, app.theme.dim());
    }
}

/// The chosen record decoded, and its bytes beside that or under it.
fn record_value(app: &App, buffer: &mut Buffer, area: Rect) {
    let Some(record) = panes::record(app) else {
        section(app, buffer, area, "value", "", false);
        return;
    };
    // Four digits, two gaps of two, three places for each byte's digits and one for its letter.
    let bytes_a_line = if area.width >= 8 + 4 * 16 { 16 } else { 8 };
    let (decoded, dump) = panes::value_lines(&record, bytes_a_line);
    let hex_wide = dump.iter().map(|line| width(line)).max().unwrap_or(0) + 2;
    let inner = section(app, buffer, area, "value", &format!("{} bytes", record.value_bytes), false);
    let beside = inner.width > hex_wide + 30;
    let (text, hex) = if beside {
        let hex = Rect { x: inner.right() - hex_wide, width: hex_wide, ..inner };
        (Rect { width: inner.width - hex_wide - 1, ..inner }, hex)
    } else {
        let lines = (decoded.len() as u16).min(inner.height.saturating_sub(2)).max(1);
        let [text, hex] = stack(inner, [lines, 0]);
        (text, hex)
    };
    for (line, value) in decoded.iter().enumerate() {
        let style = if value.starts_with("damaged") { app.theme.style(Tone::Bad) } else { Style::default() };
        paint::at(app, buffer, text, 2, line as u16, value, style);
    }
    for (line, value) in dump.iter().enumerate() {
        paint::at(app, buffer, hex, if beside { 0 } else { 2 }, line as u16, value, app.theme.dim());
    }
}

/// What a newcomer reads first.
const WELCOME: [&str; 2] = [
    "palib makes a remote call happen exactly once although any process on its way may die or hang.",
    "Choose a demo and press Enter: a cluster of real processes starts here, to be watched, killed and asked for proof.",
];

/// The same where there is room for one line.
const WELCOME_SHORT: &str = "Calls that happen exactly once: choose a demo, press Enter, kill it.";

fn demos(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let rows = app.demos.len() as u16;
    let roomy = area.height >= 28;
    let text: &[&str] = match (&app.link, roomy) {
        (Link::None, true) => &WELCOME,
        (Link::None, false) => &[WELCOME_SHORT],
        _ => &[],
    };
    let room = usize::from(area.width.saturating_sub(6));
    let lines: Vec<String> = text.iter().flat_map(|line| wrap(line, room)).collect();
    let [welcome, area] = stack(area, [lines.len() as u16 + u16::from(text.len() > 1), 0]);
    for (line, text) in lines.iter().enumerate() {
        paint::at(app, buffer, welcome, 3, line as u16, text, Style::default());
    }
    let [top, middle, bottom] = stack(area, [(rows + 3).min(area.height / 2), (area.height / 3).max(6), 0]);
    table(app, buffer, top, Pane::Demos, shown);
    table(app, buffer, middle, Pane::Steps, shown);
    step(app, buffer, bottom);
}

/// The chosen step in full: text, do, watch, expect and what is.
fn step(app: &App, buffer: &mut Buffer, area: Rect) {
    let table = app.table(Pane::Steps);
    let tour = app.tour.as_ref().filter(|tour| Some(&tour.demo) == panes::demo(app).as_ref());
    let running = tour.map(|tour| tour.done.len());
    let look = app.look(Pane::Steps);
    // Until a step is chosen, the one that comes next is shown.
    let place = match (&look.chosen, running) {
        (None, Some(next)) => next.min(table.rows.len().saturating_sub(1)),
        _ => table.chosen(&look).unwrap_or(0),
    };
    let Some(row) = table.rows.get(place) else {
        section(app, buffer, area, "step", "", false);
        return;
    };
    let inner = section(app, buffer, area, &format!("step {} of {}", place + 1, table.rows.len()), "", false);
    let list = |name: &str| -> Vec<String> {
        let items = row.json[name].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    };
    let text = |name: &str| row.json[name].as_str().unwrap_or_default().to_owned();
    let room = usize::from(inner.width.saturating_sub(6));
    let mut lines: Vec<(String, Style)> =
        wrap(&text("text"), room).into_iter().map(|line| (line, Style::default())).collect();
    lines.push((String::new(), Style::default()));
    match text("does").as_str() {
        "-" => lines.push(("DO      nothing, only look".into(), app.theme.dim())),
        does => lines.push((format!("DO      {does}"), app.theme.style(Tone::Injected))),
    }
    for (at, line) in wrap(&text("watch"), room.saturating_sub(8)).into_iter().enumerate() {
        lines.push((format!("{}{line}", if at == 0 { "WATCH   " } else { "        " }), Style::default()));
    }
    let found = list("found");
    for (at, expected) in list("expect").into_iter().enumerate() {
        let (tone, is) = now(app, tour, (place, at), found.get(at), row.json["held"].as_bool());
        lines.push((format!("EXPECT  {expected:<34} {is}"), app.theme.style(tone)));
    }
    let rows = usize::from(inner.height);
    if lines.len() > rows && rows > 0 {
        let left_out = lines.len() - (rows - 1);
        lines.truncate(rows - 1);
        lines.push((format!("{left_out} more lines: Tab, then Enter shows all"), app.theme.dim()));
    }
    for (line, (text, style)) in lines.into_iter().enumerate() {
        paint::at(app, buffer, inner, 3, line as u16, &text, style);
    }
}

/// What is, beside what is expected: as found when the step ended, or as it is now.
fn now(
    app: &App,
    tour: Option<&tour::Tour>,
    (step, at): (usize, usize),
    found: Option<&String>,
    held: Option<bool>,
) -> (Tone, String) {
    if let Some(found) = found {
        let tone = if held == Some(true) { Tone::Good } else { Tone::Bad };
        return (tone, format!("was {found}"));
    }
    let Some(tour) = tour.filter(|tour| tour.done.len() == step) else {
        return (Tone::Past, String::new());
    };
    let expectation = tour::file(app, &tour.demo).and_then(|file| file.tour.get(step)?.expect.get(at));
    expectation
        .map_or((Tone::Past, String::new()), |it| (Tone::Plain, format!("now {}", it.found(app.world(), 0))))
}

/// A text in lines of at most this width, broken between words; its own line breaks are mere spaces.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.last_mut().expect("there is always a line");
        let used = usize::from(width(last));
        if used > 0 && used + 1 + usize::from(width(word)) > room {
            lines.push(word.to_owned());
        } else {
            if used > 0 {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
}
