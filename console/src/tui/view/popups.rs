//! Popups over a screen.

use palib::defect::Point;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::bars::around_cursor;
use super::paint::{self, Piece, width};
use super::screens::wrap;
use crate::tui::app::{App, Shown, Spot};
use crate::tui::commands::{Command, available, key_label};
use crate::tui::inject::candidates;
use crate::tui::keys::{found_by_letters, found_by_words};
use crate::tui::popup::{Confirm, Item, Popup};
use crate::world::Tone;

/// A line of a popup, and which choice it is, if it is one.
type Line = (Vec<Piece>, Option<usize>);

/// Paints a popup into the middle of an area.
pub(super) fn popup(app: &App, popup: &Popup, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let plain = Style::default();
    match popup {
        // It is typed in the line for notes.
        Popup::Filter { .. } => {}
        Popup::Menu { title, items, chosen, .. } => {
            let lines = items.iter().enumerate().map(|(at, item)| (item_line(app, item), Some(at))).collect();
            boxed(app, buffer, area, title, lines, Some(*chosen), shown);
        }
        Popup::Confirm(confirm) => {
            let room = usize::from(area.width.saturating_sub(10)).min(70);
            boxed(app, buffer, area, &confirm.title, confirm_lines(app, confirm, room), None, shown);
        }
        Popup::Ask { title, prompt, input, .. } => {
            let mut line = vec![(format!("{prompt}  "), app.theme.dim())];
            line.extend(typed(app, input));
            boxed(app, buffer, area, title, vec![(line, None)], None, shown);
        }
        Popup::Palette { input, chosen } => {
            let found = found_by_letters(input.value());
            let line = |command: &&'static Command| palette_line(app, command);
            list(app, buffer, area, ("commands", input, *chosen), found.iter().map(line).collect(), shown);
        }
        Popup::Help { input, chosen } => {
            let found = found_by_words(input.value());
            let line = |command: &&'static Command| help_line(app, command);
            list(app, buffer, area, ("help", input, *chosen), found.iter().map(line).collect(), shown);
        }
        Popup::Defects(palette) => super::inject::palette(app, palette, buffer, body(area), shown),
        Popup::Sweep(sweep) => super::matrix::sweep(app, sweep, buffer, body(area)),
        Popup::Points(points) => {
            let found = candidates(app, points);
            let verb = if points.pause { "wait" } else { "die" };
            let nth = match points.nth {
                1 => "first".to_owned(),
                nth => format!("{nth}."),
            };
            let title = format!("{} of {}: {verb} at the {nth} passing", found.len(), points.alias);
            let line = |point: &Point| super::inject::point_line(app, point.name(), point.meaning());
            let lines = found.iter().map(line).collect();
            list(app, buffer, area, (&title, &points.input, points.chosen), lines, shown);
        }
        Popup::Detail { title, lines, scroll } => {
            let (folded, rows) = page(app, lines);
            let (all, first) = (folded.len(), (*scroll).min(folded.len().saturating_sub(rows)));
            let title = match all > rows {
                true => format!("{title}   lines {} to {} of {all}", first + 1, first + rows),
                false => title.clone(),
            };
            let seen = folded.into_iter().skip(first).take(rows);
            let lines = seen.map(|line| (vec![(line, plain)], None)).collect();
            boxed(app, buffer, body(area), &title, lines, None, shown);
        }
    }
}

/// What lies between the bars: the lines above and below it tell of everything, whatever lies over the screen.
fn body(area: Rect) -> Rect {
    let foot = if area.width < super::FULL.0 || area.height < super::FULL.1 { 1 } else { 3 };
    Rect { y: area.y + 1, height: area.height.saturating_sub(1 + foot), ..area }
}

/// A text as it lies in a popup: its lines folded to the width of the terminal, and how many of them are seen at once.
pub(crate) fn page(app: &App, lines: &[String]) -> (Vec<String>, usize) {
    let area = body(Rect::new(0, 0, app.size.0, app.size.1));
    let room = area.width.saturating_sub(8).max(1);
    let folded = lines.iter().flat_map(|line| fold(line, room)).collect();
    (folded, usize::from(area.height.saturating_sub(2)).max(1))
}

/// A line in pieces of at most this width; the spaces at its beginning are kept.
fn fold(line: &str, room: u16) -> Vec<String> {
    let mut pieces = vec![String::new()];
    let mut used = 0;
    for c in line.chars() {
        let wide = width(c.encode_utf8(&mut [0; 4]));
        if used + wide > room {
            pieces.push(String::new());
            used = 0;
        }
        used += wide;
        pieces.last_mut().expect("there is always a piece").push(c);
    }
    pieces
}

fn item_line(app: &App, item: &Item) -> Vec<Piece> {
    let theme = &app.theme;
    match &item.disabled {
        None => vec![
            (format!("{}  ", item.letter), theme.strong()),
            (format!("{:<16}", item.label), Style::default()),
            (item.detail.clone(), theme.dim()),
        ],
        Some(reason) => vec![
            (format!("{}  {:<16}", item.letter, item.label), theme.dim()),
            (format!("not now: {reason}"), theme.style(Tone::Warn)),
        ],
    }
}

fn palette_line(app: &App, command: &Command) -> Vec<Piece> {
    let theme = &app.theme;
    let keys = key_label(command.keys[0]);
    match available(app, command.id) {
        Ok(()) => vec![
            (format!("{:<22}", command.name), Style::default()),
            (format!("{keys:<8}"), theme.strong()),
            (command.help.to_owned(), theme.dim()),
        ],
        Err(reason) => vec![
            (format!("{:<22}{keys:<8}", command.name), theme.dim()),
            (format!("not now: {reason}"), theme.style(Tone::Warn)),
        ],
    }
}

fn help_line(app: &App, command: &Command) -> Vec<Piece> {
    let theme = &app.theme;
    let keys: Vec<String> = command.keys.iter().map(|key| key_label(key)).collect();
    let dimmed = available(app, command.id).is_err();
    let style = if dimmed { theme.dim() } else { Style::default() };
    vec![
        (format!("{:<12}", keys.join(" ")), theme.strong()),
        (command.help.to_owned(), style),
        (format!("  {}", command.chapter.title()), theme.dim()),
    ]
}

fn typed(app: &App, input: &tui_input::Input) -> Vec<Piece> {
    let (before, under, after) = around_cursor(input);
    vec![(before, Style::default()), (under, app.theme.chosen()), (after, Style::default())]
}

fn confirm_lines(app: &App, confirm: &Confirm, room: usize) -> Vec<Line> {
    let theme = &app.theme;
    let mut lines: Vec<Line> = Vec::new();
    for line in &confirm.lines {
        lines.extend(wrap(line, room).into_iter().map(|line| (vec![(line, Style::default())], None)));
    }
    lines.push((Vec::new(), None));
    if let Some((wanted, input)) = &confirm.typed {
        let mut line =
            vec![(format!("It is the last of its alias. Type {wanted} to do it: "), Style::default())];
        line.extend(typed(app, input));
        lines.push((line, None));
        return lines;
    }
    let mut choices = Vec::new();
    let labels = std::iter::once("Cancel").chain(confirm.choices.iter().map(|(label, _)| label.as_str()));
    for (at, label) in labels.enumerate() {
        // The brackets tell the choice where reverse video does not show.
        if at == confirm.chosen {
            choices.push((format!("[ {label} ]"), theme.chosen()));
        } else {
            choices.push((format!("  {label}  "), Style::default()));
        }
        choices.push(("  ".into(), Style::default()));
    }
    lines.push((choices, None));
    lines
}

/// A list that is searched by typing.
fn list(
    app: &App,
    buffer: &mut Buffer,
    area: Rect,
    (title, input, chosen): (&str, &tui_input::Input, usize),
    found: Vec<Vec<Piece>>,
    shown: &mut Shown,
) {
    let height = area.height.saturating_sub(4).min(24);
    let wide = area.width.saturating_sub(4).min(100);
    let rows = usize::from(height.saturating_sub(4)).max(1);
    let chosen = chosen.min(found.len().saturating_sub(1));
    let skip = (chosen + 1).saturating_sub(rows);
    let mut head = vec![("search: ".to_owned(), app.theme.dim())];
    head.extend(typed(app, input));
    let mut lines: Vec<Line> = vec![(head, None), (Vec::new(), None)];
    if found.is_empty() {
        lines.push((vec![("Nothing has these letters.".into(), app.theme.dim())], None));
    }
    let shown_rows = found.into_iter().enumerate().skip(skip).take(rows);
    lines.extend(shown_rows.map(|(at, line)| (line, Some(at))));
    let place = middle(area, wide, height);
    frame(app, buffer, place, title, lines, Some(chosen), shown);
}

fn boxed(
    app: &App,
    buffer: &mut Buffer,
    area: Rect,
    title: &str,
    lines: Vec<Line>,
    chosen: Option<usize>,
    shown: &mut Shown,
) {
    let line_wide = |(pieces, _): &Line| pieces.iter().map(|(text, _)| width(text)).sum::<u16>();
    let widest = lines.iter().map(line_wide).max().unwrap_or(0).max(width(title) + 2);
    let place = middle(area, widest + 6, lines.len() as u16 + 2);
    frame(app, buffer, place, title, lines, chosen, shown);
}

fn middle(area: Rect, wide: u16, high: u16) -> Rect {
    let (width, height) = (wide.min(area.width), high.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

fn frame(
    app: &App,
    buffer: &mut Buffer,
    place: Rect,
    title: &str,
    lines: Vec<Line>,
    chosen: Option<usize>,
    shown: &mut Shown,
) {
    let theme = &app.theme;
    if place.width < 4 || place.height < 2 {
        return;
    }
    for y in place.top()..place.bottom() {
        for x in place.left()..place.right() {
            buffer[(x, y)].reset();
        }
    }
    let strong = theme.strong();
    let rule = theme.pick("─", "-");
    let title = paint::cut(app, title, usize::from(place.width.saturating_sub(6)));
    let tail = rule.repeat(usize::from(place.width.saturating_sub(width(&title) + 4)));
    let pieces = [
        (theme.pick("┌ ", "+ ").to_owned(), strong),
        (title, strong),
        (format!(" {tail}{}", theme.pick("┐", "+")), strong),
    ];
    paint::line(app, buffer, place, 0, &pieces);
    let side = theme.pick("│", "|");
    for line in 1..place.height - 1 {
        paint::at(app, buffer, place, 0, line, side, strong);
        paint::at(app, buffer, place, place.width - 1, line, side, strong);
    }
    let foot = rule.repeat(usize::from(place.width - 2));
    let foot = format!("{}{foot}{}", theme.pick("└", "+"), theme.pick("┘", "+"));
    paint::line(app, buffer, place, place.height - 1, &[(foot, strong)]);
    let inner = Rect { x: place.x + 1, y: place.y + 1, width: place.width - 2, height: place.height - 2 };
    for (line, (pieces, choice)) in lines.into_iter().enumerate().take(usize::from(inner.height)) {
        let line = line as u16;
        let text = Rect { x: inner.x + 2, width: inner.width.saturating_sub(3), ..inner };
        paint::line(app, buffer, text, line, &pieces);
        let Some(choice) = choice else { continue };
        let whole = Rect { y: inner.y + line, height: 1, ..inner };
        shown.spots.push((whole, Spot::Choice(choice)));
        if chosen == Some(choice) {
            paint::at(app, buffer, inner, 0, line, ">", strong);
            buffer.set_style(Rect { x: whole.x + 1, width: whole.width - 1, ..whole }, theme.chosen());
        }
    }
}
