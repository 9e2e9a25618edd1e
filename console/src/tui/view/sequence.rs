//! The sequence chart: lanes across, time downwards.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, cut, section, width};
use crate::sequence::{Arrow, Carries, Chart, Gap, Line, Shape, Shows, Sign, Stand, Step};
use crate::tui::app::{App, Pane, Shown, Spot};
use crate::tui::sequence;
use crate::tui::table::Table;
use crate::tui::theme::Theme;
use crate::world::{Tone, duration_us};

/// Where the first lane lies: behind the mark of the chosen line and the time.
const LEFT: u16 = 15;
/// Lanes are at least so far apart; what does not fit then is scrolled to.
const LANE_LEAST: u16 = 11;
/// What is left to the right of the last lane if it can be.
const LAST_LANE: u16 = 25;
/// Farther apart, arrows only become longer.
const LANE_MOST: u16 = 30;

/// Which lanes are in view, and how far apart they lie.
struct Lay {
    first: usize,
    shown: usize,
    apart: u16,
}

impl Lay {
    fn of(app: &App, chart: &Chart, area: Rect) -> Lay {
        let room = area.width.saturating_sub(LEFT);
        let lanes = chart.lanes.len().max(1);
        let fit = usize::from(room / LANE_LEAST).clamp(1, lanes);
        // What the last lane says stands to the right of it.
        let between = (fit as u16 - 1).max(1);
        let apart = (room.saturating_sub(LAST_LANE) / between).clamp(LANE_LEAST, LANE_MOST);
        Lay { first: app.chart.first_lane.min(lanes - fit), shown: fit, apart }
    }

    /// The column of a lane; none if it is not in view.
    fn x(&self, lane: usize) -> Option<u16> {
        let place = lane.checked_sub(self.first).filter(|place| *place < self.shown)?;
        Some(LEFT + place as u16 * self.apart)
    }

    /// The column of a lane; beyond the edge for one that is not in view.
    fn x_or_edge(&self, lane: usize, area: Rect) -> u16 {
        match self.x(lane) {
            Some(x) => x,
            None if lane < self.first => LEFT - 2,
            None => area.width - 1,
        }
    }
}

/// Paints the chart, and what there is to say about the chosen step.
pub(super) fn sequence(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let chart = sequence::chart(app);
    let table = app.table(Pane::Sequence);
    shown.spots.push((area, Spot::Pane(Pane::Sequence)));
    let look = app.look(Pane::Sequence);
    let filter = if look.filter.is_empty() { String::new() } else { format!("   filter {}", look.filter) };
    let remark = format!("{}{filter}", table.remark);
    let foot = if area.height >= 16 { 4 } else { 0 };
    let main = Rect { height: area.height - foot, ..area };
    let inner = section(app, buffer, main, &table.title, &remark, true);
    if table.rows.is_empty() {
        let text = if table.all > 0 { "No step passes the filter; Esc drops it." } else { &table.empty };
        return paint::at(app, buffer, inner, 3, 0, text, app.theme.dim());
    }
    let lay = Lay::of(app, &chart, inner);
    let head = heads(app, buffer, inner, &chart, &lay);
    let body = Rect { y: inner.y + head, height: inner.height - head, ..inner };
    let chosen = app.place(Pane::Sequence, &table).unwrap_or(0);
    lines(app, buffer, body, (&chart, &table, &lay), chosen, shown);
    let foot = Rect { y: main.bottom(), height: foot, ..area };
    story(app, buffer, foot, &chart, &table, chosen);
}

/// The names above the lanes; how many lines they take.
fn heads(app: &App, buffer: &mut Buffer, area: Rect, chart: &Chart, lay: &Lay) -> u16 {
    let roomy = area.height >= 14;
    let mut last = "";
    for (number, lane) in chart.lanes.iter().enumerate() {
        let Some(x) = lay.x(number) else { continue };
        let room = usize::from(lay.apart - 1);
        if roomy && lane.alias != last {
            paint::at(app, buffer, area, x, 0, &cut(app, &lane.alias, room), app.theme.dim());
        }
        last = &lane.alias;
        let y = u16::from(roomy);
        paint::at(app, buffer, area, x, y, &cut(app, &lane.process, room), app.theme.strong());
    }
    let (left, right) = (lay.first, chart.lanes.len() - lay.first - lay.shown);
    let (back, on) = (app.theme.pick("◀", "<"), app.theme.pick("▶", ">"));
    let hidden = match (left, right) {
        (0, 0) => String::new(),
        (0, right) => format!("{right} more {on}"),
        (left, 0) => format!("{back} {left} more"),
        (left, right) => format!("{back} {left} {right} {on}"),
    };
    paint::at(app, buffer, area, 3, 0, &hidden, app.theme.dim());
    u16::from(roomy) + 1
}

fn lines(
    app: &App,
    buffer: &mut Buffer,
    body: Rect,
    (chart, table, lay): (&Chart, &Table, &Lay),
    chosen: usize,
    shown: &mut Shown,
) {
    let filtered = table.rows.len() != table.all;
    let passes = |step: &Step| table.rows.iter().any(|row| row.json["seq"] == step.seq);
    // Each line with its place among the steps; a gap has the place of the step above it.
    let mut place = 0;
    let mut visible: Vec<(Option<usize>, &Line)> = Vec::new();
    for line in &chart.lines {
        match &line.shows {
            Shows::Step(step) if !filtered || passes(step) => {
                visible.push((Some(place), line));
                place += 1;
            }
            Shows::Gap(_) if !filtered => visible.push((None, line)),
            _ => {}
        }
    }
    let at = visible.iter().position(|(place, _)| *place == Some(chosen)).unwrap_or(0);
    let rows = usize::from(body.height);
    let offset = paint::offset(app.look(Pane::Sequence).offset, at, rows, visible.len());
    shown.pages.insert(Pane::Sequence, (offset, rows));
    for (y, (place, line)) in visible.iter().skip(offset).take(rows).enumerate() {
        let row = Rect { y: body.y + y as u16, height: 1, ..body };
        lifelines(app, buffer, row, line, lay);
        match &line.shows {
            Shows::Step(found) => step(app, buffer, row, chart, lay, found),
            Shows::Gap(found) => gap(app, buffer, row, found),
        }
        let Some(place) = *place else { continue };
        shown.spots.push((row, Spot::Row(Pane::Sequence, place)));
        if place == chosen {
            paint::at(app, buffer, row, 1, 0, ">", app.theme.strong());
            let line = Rect { x: row.x + 3, width: row.width.saturating_sub(3), ..row };
            buffer.set_style(line, app.theme.chosen());
        }
    }
}

fn lifelines(app: &App, buffer: &mut Buffer, row: Rect, line: &Line, lay: &Lay) {
    for (lane, stand) in line.stands.iter().enumerate() {
        let (glyph, tone) = match stand {
            Stand::Serves => (app.theme.pick("┃", "|"), Tone::Good),
            Stand::Waits => (app.theme.pick("┊", ":"), Tone::Standby),
            Stand::Hangs => (app.theme.pick("╏", "!"), Tone::Warn),
            Stand::Gone => continue,
        };
        if let Some(x) = lay.x(lane) {
            raw(buffer, row, x, glyph, app.theme.style(tone));
        }
    }
}

/// Paints glyphs that are in the terminal's character set already.
fn raw(buffer: &mut Buffer, row: Rect, x: u16, text: &str, style: Style) {
    if x < row.width {
        buffer.set_stringn(row.x + x, row.y, text, usize::from(row.width - x), style);
    }
}

fn step(app: &App, buffer: &mut Buffer, row: Rect, chart: &Chart, lay: &Lay, step: &Step) {
    paint::at(app, buffer, row, 3, 0, &chart.clock(step.at_ns), app.theme.dim());
    let style = app.theme.style(step.tone);
    match &step.shape {
        Shape::Arrow(arrow) => message(app, buffer, row, lay, arrow, (&step.label, style)),
        Shape::Mark { lane, sign } => {
            let Some(x) = lay.x(*lane) else { return };
            raw(buffer, row, x, sign_glyph(&app.theme, *sign), style);
            let label = format!(" {}", step.label);
            let room = usize::from(row.width.saturating_sub(x + 1));
            raw(buffer, row, x + 1, &cut(app, &label, room), style);
        }
        Shape::Across => {
            let label = format!(" {} ", step.label);
            paint::at(app, buffer, row, LEFT + 1, 0, &label, style);
        }
    }
}

/// An arrow from lane to lane with its label in it.
fn message(
    app: &App,
    buffer: &mut Buffer,
    row: Rect,
    lay: &Lay,
    arrow: &Arrow,
    (label, style): (&str, Style),
) {
    let theme = &app.theme;
    let (from, to) = (lay.x_or_edge(arrow.from, row), lay.x_or_edge(arrow.to, row));
    let (low, high) = (from.min(to), from.max(to));
    let room = high.saturating_sub(low + 1);
    if room < 2 {
        // Both ends lie beyond the same edge, or a process calls itself.
        return raw(buffer, row, from + 1, &cut(app, label, usize::from(lay.apart)), style);
    }
    let shaft = match arrow.carries {
        Carries::Request => theme.pick("─", "-"),
        Carries::Again => theme.pick("━", "="),
        Carries::Answer => theme.pick("╌", "."),
        Carries::Cancel => theme.pick("┄", "~"),
    };
    let right = to > from;
    let head = match (arrow.lost, right) {
        (true, _) => theme.pick("╳", "x"),
        (false, true) => theme.pick("▶", ">"),
        (false, false) => theme.pick("◀", "<"),
    };
    raw(buffer, row, low + 1, &shaft.repeat(usize::from(room)), style);
    raw(buffer, row, if right { high - 1 } else { low + 1 }, head, style);
    let label = cut(app, label, usize::from(room.saturating_sub(3)));
    // Behind the tail, so that the head is free.
    let x = if right { low + 2 } else { high.saturating_sub(width(&label) + 1).max(low + 2) };
    raw(buffer, row, x, &label, style);
}

fn sign_glyph(theme: &Theme, sign: Sign) -> &'static str {
    match sign {
        Sign::Note => theme.pick("├", "+"),
        Sign::Stable => theme.pick("▣", "#"),
        Sign::Found => theme.pick("◆", "*"),
        Sign::Doubt => "?",
        Sign::Death => theme.pick("✖", "x"),
        Sign::Hang => theme.pick("▲", "!"),
        Sign::Start => theme.pick("○", "o"),
        Sign::Takeover => theme.pick("◐", "~"),
        Sign::Service => theme.pick("●", "*"),
        Sign::Injected => theme.pick("↯", "%"),
    }
}

fn gap(app: &App, buffer: &mut Buffer, row: Rect, gap: &Gap) {
    let theme = &app.theme;
    let time = format!("{} {}", theme.pick("⋮", ":"), duration_us(gap.us));
    match &gap.blackout {
        None => raw(buffer, row, 3, &cut(app, &time, 11), theme.dim()),
        Some(alias) => {
            let style = theme.style(Tone::Bad);
            let words = format!(" nobody serves {alias} ");
            raw(buffer, row, 3, &cut(app, &time, 11), style);
            let fill = theme.pick("▒", "#").repeat(usize::from(row.width.saturating_sub(LEFT)));
            raw(buffer, row, LEFT, &fill, style);
            paint::at(app, buffer, row, LEFT + 2, 0, &words, style);
        }
    }
}

/// What there is to say about the chosen step.
fn story(app: &App, buffer: &mut Buffer, area: Rect, chart: &Chart, table: &Table, chosen: usize) {
    let Some(row) = table.rows.get(chosen).filter(|_| area.height > 1) else { return };
    let text = |name: &str| row.json[name].as_str().unwrap_or_default().to_owned();
    let at_ns = row.json["at_ns"].as_u64().unwrap_or(0);
    let title = format!("at {}", chart.clock(at_ns));
    let inner = section(app, buffer, area, &title, &text("kind"), false);
    paint::at(app, buffer, inner, 3, 0, &text("text"), Style::default());
    let mut more = Vec::new();
    match (text("to").is_empty(), row.json["arrived_ns"].as_u64()) {
        (true, _) => {}
        (false, Some(arrived)) => {
            let us = arrived.saturating_sub(at_ns) / 1000;
            more.push(format!("{} to {}, under way {}", text("from"), text("to"), duration_us(us)));
        }
        (false, None) => more.push(format!("{} did not tell that it arrived", text("to"))),
    }
    if let Some(first) = chart.steps().next() {
        let us = at_ns.saturating_sub(first.at_ns) / 1000;
        more.push(format!("{} after the first step here", duration_us(us)));
    }
    paint::at(app, buffer, inner, 3, 1, &more.join("   "), app.theme.dim());
    let world = app.world();
    let serving = world.aliases.values().map(|row| {
        let who = row.in_service().map_or("nobody", |member| member.process.as_str());
        format!("{} {who} i{}", row.alias, row.incarnation)
    });
    let then = if app.past.is_some() { "then" } else { "now" };
    let line = format!("{then}   {}", serving.collect::<Vec<_>>().join("   "));
    paint::at(app, buffer, inner, 3, 2, &line, app.theme.dim());
}
