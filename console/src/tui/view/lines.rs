//! The lines of the topology: how they run, what is said of them, and what has no place in the picture.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;

use super::grid::Grid;
use super::paint::{self, width};
use super::topology::Boxed;
use crate::defect::{Injury, LinkFault};
use crate::tui::app::App;
use crate::world::{Edge, Tone};

/// Calls per second from which on a line is drawn heavy.
const HEAVY_FROM: f64 = 100.0;

/// The lines between the boxes of a picture.
#[derive(Debug, Default)]
pub(super) struct Lines {
    grid: Grid,
    /// What stands on or beside them.
    labels: Vec<(u16, u16, String, Style)>,
    /// What is disturbed and said at no line: the way to the FTM, that between members, and what has no room.
    pub(super) elsewhere: Vec<String>,
    /// Who calls whom without a line: one of them has no box, or the line has no room.
    pub(super) missing: Vec<String>,
}

/// How a line runs: across from one box, up or down, and across to the other one.
struct Route {
    /// Column and row of its beginning.
    from: (u16, u16),
    /// The column of its vertical.
    turn: u16,
    /// Column and row of its end.
    to: (u16, u16),
    /// Where there is room to say something of it, and on which side; the best place first.
    rooms: Vec<(Rect, Alignment)>,
    /// Whether its end needs an arrow. Between columns all lines go from left to right.
    arrow: bool,
}

impl Lines {
    /// The lines between these boxes.
    pub(super) fn between(app: &App, area: Rect, boxes: &[Boxed<'_>]) -> Lines {
        let edges = app.world().edges();
        let disturbed = disturbed(app);
        let mut said = vec![false; disturbed.len()];
        let mut lines = Lines::default();
        let mut taken = Vec::new();
        let place = |alias: &str| boxes.iter().find(|it| it.row.alias == alias).map(|it| it.place);
        let ends: Vec<Option<(Rect, Rect)>> =
            edges.iter().map(|edge| place(&edge.from).zip(place(&edge.to))).collect();
        for (number, edge) in edges.iter().enumerate() {
            let route = ends[number].and_then(|(from, to)| {
                if from.x == to.x {
                    return beside(area, boxes, (from, to), &mut taken);
                }
                // What is said of lines beside the column comes before the verticals.
                let first =
                    if ends.iter().flatten().any(|(a, b)| a.x == from.x && b.x == a.x) { 8 } else { 1 };
                let next_turn = |ends: &[Option<(Rect, Rect)>]| {
                    let same_gap = ends.iter().flatten().filter(|(a, b)| (a.x, b.x) == (from.x, to.x));
                    first + 2 * same_gap.filter(|(a, b)| a.y != b.y).count() as u16
                };
                let alone = edges.iter().filter(|other| other.to == edge.to).count() == 1;
                across((next_turn(&ends[..number]), next_turn(&ends) - 1), (from, to), alone)
            });
            let rate = edge.calls_per_s.map(per_second);
            let Some(route) = route else {
                let rate = rate.map_or_else(String::new, |rate| format!(" {rate}"));
                lines.missing.push(format!("{} to {}{rate}", edge.from, edge.to));
                continue;
            };
            let of_edge = |it: &Disturbed| is_between(edge, &it.ends);
            let faults: Vec<&str> =
                disturbed.iter().filter(|it| of_edge(it)).map(|it| it.label.as_str()).collect();
            let rate_now = edge.calls_per_s.unwrap_or(0.0);
            let style = match (faults.is_empty(), rate_now > 0.0) {
                (false, _) => app.theme.style(Tone::Injected),
                (true, true) => Style::default(),
                (true, false) => app.theme.dim(),
            };
            lines.draw(app, &route, rate_now >= HEAVY_FROM, style);
            if lines.label(&route, rate.as_deref(), &faults, style) {
                for (said, it) in said.iter_mut().zip(&disturbed) {
                    *said |= of_edge(it);
                }
            }
        }
        let unsaid = disturbed.into_iter().zip(said).filter(|(_, said)| !said);
        lines.elsewhere =
            unsaid.map(|(it, _)| format!("{}: {} {}", it.label, it.ends.0, it.ends.1)).collect();
        lines
    }

    fn draw(&mut self, app: &App, route: &Route, heavy: bool, style: Style) {
        let Route { from, turn, to, .. } = *route;
        if from.1 == to.1 {
            self.grid.across(from.1, from.0, to.0, heavy, style);
        } else {
            self.grid.across(from.1, from.0, turn, heavy, style);
            self.grid.along(turn, from.1, to.1, heavy, style);
            self.grid.across(to.1, turn.min(to.0), turn.max(to.0), heavy, style);
        }
        if route.arrow {
            self.labels.push((to.0, to.1, app.theme.pick("◀", "<").to_owned(), style));
        }
    }

    /// Says what there is to say of a line; what disturbs it comes first where there is no room for all. Tells whether
    /// that was said.
    fn label(&mut self, route: &Route, rate: Option<&str>, faults: &[&str], style: Style) -> bool {
        for (rate, faults) in [(rate, faults), (None, faults), (rate, &[])] {
            let words: Vec<&str> = rate.iter().chain(faults).copied().collect();
            let text = format!(" {} ", words.join(" "));
            let fits = |(room, _): &&(Rect, Alignment)| room.width >= width(&text);
            let Some((room, side)) = route.rooms.iter().find(fits).filter(|_| !words.is_empty()) else {
                continue;
            };
            let free = room.width - width(&text);
            let x = room.x
                + match side {
                    Alignment::Left => 0,
                    Alignment::Center => free.saturating_sub(1) / 2,
                    Alignment::Right => free,
                };
            self.labels.push((x, room.y, text, style));
            return !faults.is_empty();
        }
        false
    }

    /// Paints them.
    pub(super) fn paint(&self, app: &App, buffer: &mut Buffer, area: Rect) {
        for (x, y, character, style) in self.grid.characters(app.theme.ascii) {
            if area.contains((x, y).into()) {
                buffer[(x, y)].set_char(character).set_style(style);
            }
        }
        for (x, y, text, style) in &self.labels {
            if area.contains((*x, *y).into()) {
                paint::at(app, buffer, area, x - area.x, y - area.y, text, *style);
            }
        }
    }
}

/// A line from one column to one further right. It leaves and enters at the first member's height, and has a vertical of
/// its own, so that crossings can be told from joints by where they turn: at `turn` columns from the left. From `clear`
/// columns on there is none.
fn across((turn, clear): (u16, u16), (from, to): (Rect, Rect), alone: bool) -> Option<Route> {
    let (start, end) = (from.right(), to.x.checked_sub(1)?);
    let span = end.checked_sub(start).filter(|span| *span > 2)?;
    let (y_from, y_to) = (from.y + 1, to.y + 1);
    let turn = start + 1 + (turn - 1) % (span - 1);
    let room = |y, x, end: u16| Rect { x, y, width: end.saturating_sub(x), height: 1 };
    let free = (room(y_to, start + clear, end - 1), Alignment::Right);
    let rooms = match (y_from == y_to, alone) {
        (true, _) if clear == 0 => vec![(room(y_to, start, end + 1), Alignment::Center)],
        (true, _) => vec![free, (room(y_to, start, end + 1), Alignment::Center)],
        (false, true) => vec![free, (room(y_to, start, end - 1), Alignment::Right)],
        (false, false) => vec![(room(y_from, start, end + 1), Alignment::Left)],
    };
    Some(Route { from: (start, y_from), turn, to: (end, y_to), rooms, arrow: false })
}

/// A line between two boxes of one column, at its right side. It leaves and enters at the frames, where the lines to other
/// columns never are, and shares its vertical with none that it would meet; `taken` has those, with their top and bottom.
fn beside(
    area: Rect,
    boxes: &[Boxed<'_>],
    (from, to): (Rect, Rect),
    taken: &mut Vec<(u16, u16, u16)>,
) -> Option<Route> {
    let x = from.right();
    let next_column = boxes.iter().map(|boxed| boxed.place.x).filter(|left| *left >= x).min();
    let limit = next_column.unwrap_or(area.right());
    let (y_from, y_to) = match from.y < to.y {
        true => (from.bottom() - 1, to.y),
        false => (from.y, to.bottom() - 1),
    };
    let (top, bottom) = (y_from.min(y_to), y_from.max(y_to));
    let is_free =
        |turn: &u16| !taken.iter().any(|(at, from, to)| at == turn && *from <= bottom && top <= *to);
    let turn = (x + 1..limit).step_by(2).find(is_free)?;
    taken.push((turn, top, bottom));
    let room = Rect { x: turn + 1, y: y_from, width: limit - turn - 1, height: 1 };
    Some(Route { from: (x, y_from), turn, to: (x, y_to), rooms: vec![(room, Alignment::Left)], arrow: true })
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

fn is_between(edge: &Edge, (a, b): &(String, String)) -> bool {
    (edge.from == *a && edge.to == *b) || (edge.from == *b && edge.to == *a)
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
