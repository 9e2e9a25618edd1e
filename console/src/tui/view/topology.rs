//! The topology: who calls, who is called, who stands behind whom, and how much goes along the lines.

use palib::control::{AliasRow, MemberRow};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::lines::Lines;
use super::paint::{self, width};
use crate::tui::app::App;
use crate::tui::panes::standing;
use crate::world::{Role, Tone, World, clock, duration_us};

/// A box with an alias and its members.
pub(super) struct Boxed<'a> {
    /// The alias.
    pub(super) row: &'a AliasRow,
    role: Role,
    /// Where it stands.
    pub(super) place: Rect,
}

/// The picture, before it is painted.
pub(super) struct Topology<'a> {
    area: Rect,
    boxes: Vec<Boxed<'a>>,
    lines: Lines,
    /// Aliases for which there is no room.
    left_out: usize,
}

/// Lines the picture would take at most.
pub(super) fn height(world: &World) -> u16 {
    let mut heights = [0u16; 3];
    for row in world.aliases.values() {
        heights[column(world.role(&row.alias))] += row.members.len() as u16 + 2;
    }
    let tallest = heights.into_iter().max().unwrap_or(0);
    if tallest == 0 { 0 } else { tallest + 1 }
}

fn column(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Relay => 1,
        Role::Server => 2,
    }
}

impl<'a> Topology<'a> {
    /// Lays it out in an area.
    pub(super) fn of(app: &'a App, area: Rect) -> Topology<'a> {
        let (boxes, left_out) = place(app, area);
        let used = boxes.iter().map(|boxed| boxed.place.bottom() - area.y).max().unwrap_or(0);
        let area = Rect { height: (used + left_out.min(1) as u16).min(area.height), ..area };
        let lines = Lines::between(app, area, &boxes);
        Topology { area, boxes, lines, left_out }
    }

    /// Lines that it takes.
    pub(super) fn height(&self) -> u16 {
        self.area.height
    }

    /// What is disturbed and stands nowhere in the picture.
    pub(super) fn elsewhere(&self) -> String {
        self.lines.elsewhere.iter().map(|text| format!("{text}   ")).collect()
    }

    /// Who calls whom without a line in the picture.
    pub(super) fn missing(&self) -> String {
        match &self.lines.missing[..] {
            [] => String::new(),
            missing => format!("   not drawn: {}", missing.join(", ")),
        }
    }

    /// Paints it. Aliases for which there is no room are counted at its foot.
    pub(super) fn paint(&self, app: &App, buffer: &mut Buffer) {
        headings(app, buffer, self.area, &self.boxes);
        self.lines.paint(app, buffer, self.area);
        for boxed in &self.boxes {
            frame(app, buffer, boxed);
            remark(app, buffer, self.area, boxed);
        }
        if self.left_out > 0 {
            let text = format!("+ {} more in the table below", self.left_out);
            paint::at(app, buffer, self.area, 3, self.area.height - 1, &text, app.theme.dim());
        }
    }
}

/// Where each box stands; and how many have no room.
fn place(app: &App, area: Rect) -> (Vec<Boxed<'_>>, usize) {
    let world = app.world();
    let mut rows: Vec<(Role, &AliasRow)> =
        world.aliases.values().map(|row| (world.role(&row.alias), row)).collect();
    rows.sort_by_key(|(role, row)| (*role, row.alias.as_str()));
    let relays = rows.iter().any(|(role, _)| *role == Role::Relay);
    let columns: u16 = if relays { 3 } else { 2 };
    let gap = if relays { 10 } else { 16 };
    let widest = (area.width.saturating_sub(4 + gap * (columns - 1))) / columns;
    let wide_of = |wanted: usize| {
        let of_column = rows.iter().filter(|(role, _)| column(*role) == wanted);
        of_column.map(|(_, row)| wide(app, row)).max().unwrap_or(0).min(widest)
    };
    let wides = [wide_of(0), wide_of(1), wide_of(2)];
    // On a wide terminal the lines are long enough; what is left stands to the right, for the story of each server.
    let between = (area.width.saturating_sub(4 + wides.iter().sum::<u16>()) / (columns - 1)).clamp(gap, 24);
    let server_x = if relays { 3 + wides[0] + between + wides[1] + between } else { 3 + wides[0] + between };
    // Without clients there is nothing to leave room for.
    let server_x = if wides[0] == 0 && wides[1] == 0 { 3 } else { server_x };
    let xs = [3, 3 + wides[0] + between, server_x];
    let mut next_y = [1u16; 3];
    let mut boxes = Vec::new();
    let mut left_out = 0;
    for (role, row) in rows {
        let at = column(role);
        let tall = row.members.len() as u16 + 2;
        if next_y[at] + tall > area.height || xs[at] + wides[at] > area.width {
            left_out += 1;
            continue;
        }
        let place = Rect { x: area.x + xs[at], y: area.y + next_y[at], width: wides[at], height: tall };
        next_y[at] += tall;
        boxes.push(Boxed { row, role, place });
    }
    (boxes, left_out)
}

/// A member in as many words as there is room for: at the least its glyph and its name.
fn member_text(app: &App, member: &MemberRow, room: usize) -> (Tone, String) {
    let (tone, glyph, word) = standing(app, member);
    let name = format!("{glyph} {}", member.process);
    let pid = member.pid.map_or_else(String::new, |pid| format!(" {pid}"));
    let texts = [format!("{name}{pid}  {word}"), format!("{name}  {word}")];
    let fits = texts.into_iter().find(|text| usize::from(width(text)) <= room);
    (tone, fits.unwrap_or_else(|| paint::cut(app, &name, room)))
}

/// How many transactions a relay has open, and how many of them need an operator.
fn transactions(world: &World, row: &AliasRow) -> Option<(Tone, String)> {
    let stats = world.active_stats(Some(&row.alias)).next();
    match stats.filter(|_| world.is_relay(&row.alias))? {
        stats if stats.relays_stuck > 0 => {
            Some((Tone::Warn, format!("tx {}, {} for you", stats.relays, stats.relays_stuck)))
        }
        stats => Some((Tone::Plain, format!("tx {}", stats.relays))),
    }
}

fn wide(app: &App, row: &AliasRow) -> u16 {
    let members = row.members.iter().map(|member| width(&member_text(app, member, usize::MAX).1) + 2);
    members.max().unwrap_or(0).max(width(&row.alias) + 8)
}

fn headings(app: &App, buffer: &mut Buffer, area: Rect, boxes: &[Boxed<'_>]) {
    for (role, title) in [(Role::Client, "CLIENTS"), (Role::Relay, "RELAYS"), (Role::Server, "SERVERS")] {
        if let Some(boxed) = boxes.iter().find(|boxed| boxed.role == role) {
            paint::at(app, buffer, area, boxed.place.x - area.x, 0, title, app.theme.dim());
        }
    }
}

fn frame(app: &App, buffer: &mut Buffer, boxed: &Boxed<'_>) {
    let Boxed { row, place, .. } = boxed;
    let theme = &app.theme;
    let dim = theme.dim();
    let rule = theme.pick("─", "-");
    let inner = usize::from(place.width.saturating_sub(2));
    let title = paint::cut(app, &row.alias, inner.saturating_sub(3));
    let (tone, open) = transactions(app.world(), row).unwrap_or((Tone::Plain, String::new()));
    let mut room = inner.saturating_sub(usize::from(width(&title)) + 2);
    let mut pieces = vec![(format!("{} ", theme.pick("┌", "+")), dim), (title, theme.strong())];
    if !open.is_empty() && usize::from(width(&open)) + 3 <= room {
        room -= usize::from(width(&open)) + 3;
        pieces.extend([(format!(" {rule} "), dim), (open, theme.style(tone))]);
    }
    pieces.push((format!(" {}{}", rule.repeat(room), theme.pick("┐", "+")), dim));
    paint::line(app, buffer, *place, 0, &pieces);
    let side = theme.pick("│", "|");
    for (line, member) in row.members.iter().enumerate() {
        let (tone, text) = member_text(app, member, inner);
        let pad = " ".repeat(inner.saturating_sub(usize::from(width(&text))));
        let pieces = [(side.to_owned(), dim), (text + &pad, theme.style(tone)), (side.to_owned(), dim)];
        paint::line(app, buffer, *place, line as u16 + 1, &pieces);
    }
    let foot = format!("{}{}{}", theme.pick("└", "+"), rule.repeat(inner), theme.pick("┘", "+"));
    paint::line(app, buffer, *place, place.height - 1, &[(foot, dim)]);
}

/// What last befell an alias, to the right of its box.
fn remark(app: &App, buffer: &mut Buffer, area: Rect, boxed: &Boxed<'_>) {
    if boxed.role != Role::Server {
        return;
    }
    let world = app.world();
    let x = boxed.place.right() + 2;
    let Some(room) = area.right().checked_sub(x + 1).filter(|room| *room >= 16) else { return };
    let at = Rect { x, y: boxed.place.y, width: room, height: boxed.place.height };
    let mut line = 1;
    let mut say = |text: String, tone: Tone| {
        paint::at(app, buffer, at, 0, line, &text, app.theme.style(tone));
        line += 1;
    };
    if let Some(takeover) = world.last_takeover(&boxed.row.alias) {
        let when = clock(takeover.at_unix_ms, world.zero_unix_ms);
        let blackout = takeover.timing.blackout_us;
        let gap =
            blackout.map_or_else(|| "took over ".into(), |us| format!("blackout {} at ", duration_us(us)));
        match takeover.in_service {
            true => say(format!("{gap}{when}"), Tone::Plain),
            false => say(format!("being taken over since {when}"), Tone::Warn),
        }
        let from = takeover.from.as_deref().unwrap_or("nobody");
        say(format!("from {from}: {}", takeover.cause), Tone::Past);
    }
}
