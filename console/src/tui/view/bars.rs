//! The lines every screen has: tabs and verdict on top, note and keys at the bottom, the tour between.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, Piece, width};
use super::screens::wrap;
use crate::tui::app::{App, Link, Screen, Shown, Spot};
use crate::tui::commands::{footer, key_label};
use crate::tui::popup::Popup;
use crate::tui::{keys, step, tour};
use crate::world::{DefectState, Tone};

/// How much room there is for the state of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// For air between its parts.
    Wide,
    /// For its parts; what is not the case is left out.
    Short,
    /// For what must be said.
    Least,
}

/// Names of so many letters and more have a little air around them.
const SHORT: usize = 4;

/// Tabs on the left, the state of everything on the right.
pub(super) fn top(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let right = [(Room::Wide, 3), (Room::Short, 0)]
        .into_iter()
        .find_map(|(room, letters)| Some(status(app, room)).filter(|right| fits(app, letters, right, area)));
    let right = right.unwrap_or_else(|| status(app, Room::Least));
    let letters =
        [10, 6, SHORT, 3, 2, 0].into_iter().find(|letters| fits(app, *letters, &right, area)).unwrap_or(0);
    let mut x = area.x;
    for screen in Screen::ALL {
        let (label, style) = tab(app, screen, letters);
        let place = Rect { x, width: width(&label).min(area.right().saturating_sub(x)), ..area };
        paint::line(app, buffer, place, 0, &[(label, style)]);
        shown.spots.push((place, Spot::Tab(screen)));
        x = place.right();
    }
    let wide: u16 = right.iter().map(|(text, _)| width(text)).sum();
    let start = area.right().saturating_sub(wide + 1).max(x + 1);
    let place = Rect { x: start.min(area.right()), width: area.right().saturating_sub(start), ..area };
    paint::line(app, buffer, place, 0, &right);
}

/// A tab with its name cut to so many letters; the chosen one keeps its whole name.
fn tab(app: &App, screen: Screen, letters: usize) -> (String, Style) {
    let number = screen.number();
    if screen == app.screen {
        return (format!("[{number}]{} ", screen.name()), app.theme.strong());
    }
    let name: String = screen.name().chars().take(letters).collect();
    let gap = if letters >= SHORT { " " } else { "" };
    let end = if letters == 0 { "" } else { " " };
    (format!("{gap}{number} {name}{end}"), app.theme.dim())
}

fn fits(app: &App, letters: usize, right: &[Piece], area: Rect) -> bool {
    let tabs: u16 = Screen::ALL.iter().map(|screen| width(&tab(app, *screen, letters).0)).sum();
    let right: u16 = right.iter().map(|(text, _)| width(text)).sum();
    tabs + right + 2 <= area.width
}

fn status(app: &App, room: Room) -> Vec<Piece> {
    let theme = &app.theme;
    let world = app.world();
    let gap = if room == Room::Wide { "   " } else { " " };
    let (up, all) = world.up();
    let tone = match (up == all, up) {
        (true, _) => Tone::Good,
        (false, 0) => Tone::Bad,
        (false, _) => Tone::Warn,
    };
    let mut pieces = Vec::new();
    if all > 0 {
        pieces.push((format!("{} {up}/{all} up{gap}", theme.glyph(tone)), theme.style(tone)));
        let defects = world.active_defects().count();
        let armed = world.active_defects().filter(|defect| defect.state() == DefectState::Armed).count();
        let style = if defects > 0 { theme.style(Tone::Injected) } else { theme.dim() };
        let word = match room {
            Room::Least => "",
            _ if armed == defects => " armed",
            _ if armed == 0 => " active",
            _ => " defects",
        };
        if defects > 0 || room == Room::Wide {
            pieces.push((format!("{} {defects}{word}{gap}", theme.pick("↯", "%")), style));
        }
    }
    let waiting = world.needs_operator();
    if waiting > 0 {
        let verb = if waiting == 1 { "needs" } else { "need" };
        let text = format!("{} {waiting} {verb} you{gap}", theme.glyph(Tone::Warn));
        pieces.push((text, theme.style(Tone::Warn)));
    }
    let verdict = world.verdict();
    let (tone, glyph) = match (verdict.is_clean(), verdict.is_measured()) {
        (false, _) => (Tone::Bad, theme.pick("✖", "x")),
        (true, true) => (Tone::Good, theme.pick("✔", "+")),
        (true, false) => (Tone::Past, theme.pick("·", ".")),
    };
    if all > 0 {
        let text = format!("{glyph} {} lost {} doubled{gap}", verdict.lost, verdict.doubled);
        pieces.push((text, theme.style(tone)));
    }
    pieces.push(match (&app.past, &app.link) {
        (Some(_), _) => ("PAST".into(), theme.style(Tone::Injected).patch(theme.strong())),
        (None, Link::Up { reached: true, .. }) => ("LIVE".into(), theme.style(Tone::Good)),
        (None, Link::Up { .. }) => ("NO FTM".into(), theme.style(Tone::Warn)),
        (None, Link::Starting(_)) => ("STARTING".into(), theme.style(Tone::Warn)),
        (None, Link::Gone(_)) => ("GONE".into(), theme.style(Tone::Bad)),
        (None, Link::None) => ("NO CLUSTER".into(), theme.dim()),
    });
    pieces
}

/// The rule above the time line; what the operator must be told stands in it.
pub(super) fn note(app: &App, buffer: &mut Buffer, area: Rect) {
    let rule = app.theme.pick("─", "-");
    let dim = app.theme.dim();
    if let Some(Popup::Filter { pane, input, .. }) = app.popups.last() {
        let wrong = keys::filter_error(app, *pane, input.value());
        let (tone, hint) = match &wrong {
            Some(wrong) => (Tone::Bad, wrong.clone()),
            None => (Tone::Past, "a regular expression; ! inverts it, COLUMN: asks one column".into()),
        };
        let cursor = app.theme.chosen();
        let (before, under, after) = around_cursor(input);
        let pieces = [
            ("/".to_owned(), app.theme.strong()),
            (before, Style::default()),
            (under, cursor),
            (after, Style::default()),
            (format!("   {hint}"), app.theme.style(tone)),
        ];
        return paint::line(app, buffer, area, 0, &pieces);
    }
    let Some(note) = &app.note else {
        return paint::line(app, buffer, area, 0, &[(rule.repeat(usize::from(area.width)), dim)]);
    };
    let text = format!("{} {} ", app.theme.glyph(note.tone), note.text);
    let tail = usize::from(area.width.saturating_sub(width(&text) + 2));
    let pieces = [(format!("{rule} "), dim), (text, app.theme.style(note.tone)), (rule.repeat(tail), dim)];
    paint::line(app, buffer, area, 0, &pieces);
}

/// An input as text before, under and after its cursor.
pub(super) fn around_cursor(input: &tui_input::Input) -> (String, String, String) {
    let chars: Vec<char> = input.value().chars().collect();
    let at = input.cursor().min(chars.len());
    let under = chars.get(at).copied().unwrap_or(' ');
    (chars[..at].iter().collect(), under.to_string(), chars.iter().skip(at + 1).collect())
}

/// The keys that apply here, as many as fit.
pub(super) fn keys(app: &App, buffer: &mut Buffer, area: Rect) {
    // On a small terminal there is no rule for the note and the filter: they take this line.
    let small = app.size.0 < super::FULL.0 || app.size.1 < super::FULL.1;
    if small && (app.note.is_some() || matches!(app.popups.last(), Some(Popup::Filter { .. }))) {
        return note(app, buffer, area);
    }
    let mut pieces = vec![(" ".to_owned(), Style::default())];
    let mut used = 1;
    let all = footer(app);
    let last = all.len().saturating_sub(2);
    // Help and quit are always there, so that nobody is ever stuck.
    let tail: u16 = all[last..].iter().map(|(key, name)| width(&key_label(key)) + width(name) + 3).sum();
    for (place, (key, name)) in all.iter().enumerate() {
        let key = key_label(key);
        let wide = width(&key) + width(name) + 3;
        if place < last && used + wide + tail > area.width {
            continue;
        }
        used += wide;
        pieces.push((key, app.theme.strong()));
        pieces.push((format!(" {name}  "), app.theme.dim()));
    }
    paint::line(app, buffer, area, 0, &pieces);
}

/// The step of the tour that waits to be done, at the bottom of every screen but its own.
pub(super) fn tour(app: &App, buffer: &mut Buffer, area: Rect) -> Rect {
    let Some(tour) = &app.tour else { return area };
    if app.screen == Screen::Demos || area.height < 23 || app.cluster().is_none() {
        return area;
    }
    let indented = |area: Rect| Rect { x: area.x + 3, width: area.width.saturating_sub(3), ..area };
    let lines = tour_lines(app, tour, indented(area));
    let height = lines.len() as u16 + 1;
    let steps = tour::file(app, &tour.demo).map_or(0, |file| file.tour.len());
    let place = Rect { y: area.bottom() - height, height, ..area };
    let done = tour.done.len();
    let marks: String = (0..steps)
        .map(|step| match tour.done.get(step) {
            Some(outcome) if outcome.held => app.theme.pick("✔", "+"),
            Some(_) => app.theme.pick("✖", "x"),
            None if step == done => app.theme.pick("▸", ">"),
            None => app.theme.pick("·", "."),
        })
        .collect();
    let title = format!("tour of {}", tour.demo);
    let inner =
        paint::section(app, buffer, place, &title, &format!("{done} of {steps} steps  {marks}"), false);
    for (line, pieces) in lines.into_iter().enumerate() {
        paint::line(app, buffer, indented(inner), line as u16, &pieces);
    }
    Rect { height: area.height - height, ..area }
}

/// What the tour says, and a line of what is to be done or was found. On a high screen it says more.
fn tour_lines(app: &App, tour: &tour::Tour, area: Rect) -> Vec<Vec<Piece>> {
    let theme = &app.theme;
    let plain = Style::default();
    let last = tour
        .done
        .last()
        .zip(tour::file(app, &tour.demo).and_then(|it| it.tour.get(tour.done.len().wrapping_sub(1))));
    let was = last.map(|(outcome, step)| {
        let expected: Vec<String> = step.expect.iter().map(ToString::to_string).collect();
        match outcome.held {
            true => (format!("{} {}", theme.pick("✔", "+"), expected.join(", ")), theme.style(Tone::Good)),
            false => {
                let found = outcome.found.join(", ");
                let text = format!("{} expected {}; is {found}", theme.pick("✖", "x"), expected.join(", "));
                (text, theme.style(Tone::Bad))
            }
        }
    });
    let Some((_, step)) = tour::next(app, tour) else {
        return vec![
            vec![("The tour is over. Take the wheel: x acts on the chosen process.".into(), plain)],
            was.into_iter().collect(),
        ];
    };
    let mut say = wrap(&step.say, usize::from(area.width.saturating_sub(1)));
    // The last line takes all the rest, and ends with an ellipsis then.
    let rest = say.split_off(say.len().min(usize::from(area.height / 10)).saturating_sub(1)).join(" ");
    say.push(rest);
    let mut second = Vec::new();
    if let Some(process) = step::waiting(app) {
        second.push(("n ".into(), theme.strong()));
        second.push((
            format!("lets {process} go on, which waits at a defect point; then the tour goes on   "),
            theme.style(Tone::Injected),
        ));
    } else if let Some(running) = &tour.running {
        let what = if running.acts() { "being done" } else { "waiting for what is expected" };
        second.push((format!("{what}   "), theme.style(Tone::Warn)));
    } else {
        let does = step.action.as_ref().map_or_else(|| "go on".to_owned(), ToString::to_string);
        second.push(("n ".into(), theme.strong()));
        second.push((format!("{does}   "), theme.style(Tone::Injected)));
    }
    match was {
        Some(was) if tour.running.is_none() => second.push(was),
        _ => {
            let watch: String = step.watch.split_whitespace().collect::<Vec<_>>().join(" ");
            second.push((format!("watch: {watch}"), theme.dim()));
        }
    }
    say.into_iter().map(|line| vec![(line, plain)]).chain([second]).collect()
}
