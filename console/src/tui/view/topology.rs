//! The topology: who calls, who is called, who stands behind whom, and how much goes along the lines.

use palib::control::{AliasRow, MemberRow};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::grid::Grid;
use super::paint::{self, width};
use crate::defect::{Injury, LinkFault};
use crate::tui::app::App;
use crate::tui::panes::standing;
use crate::world::{Edge, Role, Tone, World, clock, duration_us};

/// Calls per second from which on a line is drawn heavy.
const HEAVY_FROM: f64 = 100.0;

/// A box with an alias and its members.
struct Boxed<'a> {
    row: &'a AliasRow,
    role: Role,
    place: Rect,
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

/// Paints the picture. Aliases for which there is no room are counted at its foot.
pub(super) fn topology(app: &App, buffer: &mut Buffer, area: Rect) {
    let world = app.world();
    if world.aliases.is_empty() || area.height < 3 {
        return;
    }
    let (boxes, left_out) = place(app, area);
    headings(app, buffer, area, &boxes);
    edges(app, buffer, area, &boxes);
    for boxed in &boxes {
        frame(app, buffer, boxed);
        remark(app, buffer, area, boxed);
    }
    if left_out > 0 {
        let text = format!("+ {left_out} more in the table below");
        paint::at(app, buffer, area, 3, area.height - 1, &text, app.theme.dim());
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

fn member_text(app: &App, member: &MemberRow) -> (Tone, String) {
    let (tone, glyph, word) = standing(app, member);
    let pid = member.pid.map_or_else(String::new, |pid| format!(" {pid}"));
    (tone, format!("{glyph} {}{pid}  {word}", member.process))
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
    let members = row.members.iter().map(|member| width(&member_text(app, member).1) + 2);
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
        let (tone, text) = member_text(app, member);
        let text = paint::cut(app, &text, inner);
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
        let gap = blackout.map_or_else(String::new, |us| format!(", blackout {}", duration_us(us)));
        match takeover.in_service {
            true => say(format!("took over {when}{gap}"), Tone::Plain),
            false => say(format!("being taken over since {when}"), Tone::Warn),
        }
        let from = takeover.from.as_deref().unwrap_or("nobody");
        say(format!("from {from}: {}", takeover.cause), Tone::Past);
    }
}

/// A link that a defect disturbs.
struct Disturbed {
    /// The aliases of its ends; the name itself for the FTM and for who is in none.
    ends: (String, String),
    /// As it stands beside the line: a glyph, the verb, the number in the ledger.
    label: String,
}

fn disturbed(app: &App) -> Vec<Disturbed> {
    let world = app.world();
    let alias_of = |name: &str| {
        let of_member = || world.memberships(name).first().map(|(alias, _)| (*alias).to_owned());
        if world.aliases.contains_key(name) {
            name.to_owned()
        } else {
            of_member().unwrap_or_else(|| name.to_owned())
        }
    };
    let links = world.active_defects().filter_map(|defect| {
        let Injury::Link { from, to, fault, .. } = defect.link()? else { return None };
        let verb = defect.spec.split(' ').next().unwrap_or_default();
        let glyph = match fault {
            LinkFault::Cut | LinkFault::OneWay => app.theme.pick("╳", "x"),
            _ => "!",
        };
        let label = format!("{glyph} {verb} {}", defect.id);
        Some(Disturbed { ends: (alias_of(&from.0), alias_of(&to.0)), label })
    });
    links.collect()
}

/// What is disturbed and lies on no line of the picture: the way to the FTM, and that between members.
pub(super) fn off_the_lines(app: &App) -> String {
    let edges = app.world().edges();
    let drawn = |ends: &(String, String)| edges.iter().any(|edge| is_between(edge, ends));
    let off = disturbed(app).into_iter().filter(|it| !drawn(&it.ends));
    let texts = off.map(|it| format!("{}: {} {}   ", it.label, it.ends.0, it.ends.1));
    texts.collect()
}

fn is_between(edge: &Edge, (a, b): &(String, String)) -> bool {
    (edge.from == *a && edge.to == *b) || (edge.from == *b && edge.to == *a)
}

fn edges(app: &App, buffer: &mut Buffer, area: Rect, boxes: &[Boxed<'_>]) {
    let find = |alias: &str| boxes.iter().find(|boxed| boxed.row.alias == alias);
    let mut grid = Grid::default();
    let mut labels = Vec::new();
    let all = app.world().edges();
    let disturbed = disturbed(app);
    for (number, edge) in all.iter().enumerate() {
        let (Some(from), Some(to)) = (find(&edge.from), find(&edge.to)) else { continue };
        let (start, end) = (from.place.right(), to.place.x.saturating_sub(1));
        if end <= start + 2 {
            continue;
        }
        let rate = edge.calls_per_s.unwrap_or(0.0);
        let faults: Vec<&str> =
            disturbed.iter().filter(|it| is_between(edge, &it.ends)).map(|it| it.label.as_str()).collect();
        let style = match (faults.is_empty(), rate > 0.0) {
            (false, _) => app.theme.style(Tone::Injected),
            (true, true) => Style::default(),
            (true, false) => app.theme.dim(),
        };
        let heavy = rate >= HEAVY_FROM;
        // The lines leave and enter at the first member's height; each has a vertical of its own, so that
        // crossings can be told from joints by where they turn.
        let (y_from, y_to) = (from.place.y + 1, to.place.y + 1);
        let turn = start + 2 + (number as u16 * 2) % (end - start).saturating_sub(3).max(1);
        if y_from == y_to {
            grid.across(y_from, start, end, heavy, style);
        } else {
            grid.across(y_from, start, turn, heavy, style);
            grid.along(turn, y_from, y_to, heavy, style);
            grid.across(y_to, turn, end, heavy, style);
        }
        let rate = edge.calls_per_s.map(per_second);
        let said: Vec<&str> = rate.as_deref().into_iter().chain(faults).collect();
        if !said.is_empty() {
            let into = all.iter().filter(|other| other.to == edge.to).count();
            let text = format!(" {} ", said.join(" "));
            let wide = width(&text);
            let x = match (y_from == y_to, into) {
                (true, _) => start + (end - start).saturating_sub(wide) / 2,
                (false, 1) => end.saturating_sub(wide + 1),
                (false, _) => start,
            };
            let y = if y_from != y_to && into > 1 { y_from } else { y_to };
            labels.push((x, y, text, style));
        }
    }
    for (x, y, character, style) in grid.characters(app.theme.ascii) {
        if area.contains((x, y).into()) {
            buffer[(x, y)].set_char(character).set_style(style);
        }
    }
    for (x, y, text, style) in labels {
        if area.contains((x, y).into()) {
            paint::at(app, buffer, area, x - area.x, y - area.y, &text, style);
        }
    }
}

/// A rate in at most three digits: more would flicker and say nothing.
fn per_second(rate: f64) -> String {
    match rate {
        _ if rate <= 0.0 => "0/s".into(),
        _ if rate < 9.95 => format!("{rate:.1}/s"),
        _ if rate < 999.5 => format!("{rate:.0}/s"),
        _ if rate < 9_995.0 => format!("{:.2}k/s", rate / 1e3),
        _ if rate < 99_950.0 => format!("{:.1}k/s", rate / 1e3),
        _ => format!("{:.0}k/s", rate / 1e3),
    }
}
