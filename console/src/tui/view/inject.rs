//! The palette of defects: the choices, what the chosen one would do, the ledger.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, Piece, section, table, width};
use super::screens::{stack, wrap};
use crate::tui::app::{App, Pane, Shown, Spot};
use crate::tui::commands::may_act;
use crate::tui::inject::{CHOICES, Choice, Group, Palette, Plan, of_group, plan};
use crate::tui::panes::standing;
use crate::world::Tone;

/// Lines for what the chosen defect would do.
const PREVIEW: u16 = 4;

/// Paints the palette over the body of the screen.
pub(super) fn palette(app: &App, palette: &Palette, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    clear(buffer, area);
    let choices = of_group(Group::Process).len() as u16;
    if area.width < 76 || area.height < choices + PREVIEW + 6 {
        return small(app, palette, buffer, area, shown);
    }
    let spare = area.height - (choices + 2) - (PREVIEW + 1);
    let roomy = if spare > 16 { 2 } else { 0 };
    let [top, middle, bottom] = stack(area, [choices + 2, PREVIEW + 1 + roomy, 0]);
    let (title, remark) = heading(app, palette);
    let inner = section(app, buffer, top, &title, &remark, !palette.in_ledger);
    let wide = inner.width.saturating_sub(4) / 4;
    for (column, group) in Group::ALL.into_iter().enumerate() {
        let x = 3 + column as u16 * wide;
        paint::at(app, buffer, inner, x, 0, group.title(), app.theme.dim());
        for (line, choice) in of_group(group).into_iter().enumerate() {
            let place = Rect {
                x: inner.x + x,
                y: inner.y + 1 + line as u16,
                width: wide.saturating_sub(1).min(inner.width.saturating_sub(x)),
                height: 1,
            };
            item(app, palette, choice, buffer, place, shown);
        }
    }
    preview(app, palette, buffer, middle);
    table(app, buffer, bottom, Pane::Ledger, shown);
}

/// One choice: its letter, its words, its amount.
fn item(app: &App, palette: &Palette, choice: Choice, buffer: &mut Buffer, place: Rect, shown: &mut Shown) {
    let at = CHOICES.iter().position(|(of, ..)| *of == choice).unwrap_or(0);
    let (_, letter, _, words) = CHOICES[at];
    let possible = is_possible(app, palette, choice);
    let (key, text) = match possible {
        true => (app.theme.strong(), Style::default()),
        false => (app.theme.dim(), app.theme.dim()),
    };
    let words = format!("{words} {}", palette.amount(choice));
    let pieces = [(format!("{letter} "), key), (words.trim_end().to_owned(), text)];
    let chosen = choice == palette.choice && !palette.in_ledger;
    let mark = if choice == palette.choice { ">" } else { " " };
    let whole = Rect { x: place.x.saturating_sub(2), width: place.width + 2, ..place };
    paint::at(app, buffer, whole, 0, 0, mark, app.theme.strong());
    paint::line(app, buffer, place, 0, &pieces);
    if chosen {
        buffer.set_style(place, app.theme.chosen());
    }
    shown.spots.push((whole, Spot::Choice(at)));
}

fn is_possible(app: &App, palette: &Palette, choice: Choice) -> bool {
    matches!(choice, Choice::KillAt | Choice::WaitAt) || plan(app, palette, choice).is_ok()
}

/// Whom it is about, and how that one is.
fn heading(app: &App, palette: &Palette) -> (String, String) {
    let (alias, process) = &palette.target;
    let row = app.world().aliases.get(alias);
    let member = row.and_then(|row| row.members.iter().find(|member| member.process == *process));
    let how = member.map_or_else(String::new, |member| {
        let (_, glyph, word) = standing(app, member);
        format!("{glyph} {word} of {alias}")
    });
    let refused = may_act(app).err().map_or_else(String::new, |reason| format!("   {reason}"));
    (format!("inject a defect into {process}"), format!("{how}{refused}"))
}

fn preview(app: &App, palette: &Palette, buffer: &mut Buffer, area: Rect) {
    let planned = plan(app, palette, palette.choice);
    let remark = match &planned {
        Ok(plan) if plan.gentle => "Enter does it; u takes it back",
        Ok(_) => "Enter asks first: it can't be taken back",
        Err(_) => "",
    };
    let inner = section(app, buffer, area, &title(palette, &planned), remark, false);
    let lines = sentences(app, palette, &planned, usize::from(inner.width.saturating_sub(6)));
    for (line, piece) in lines.into_iter().enumerate().take(usize::from(inner.height)) {
        let place = Rect { x: inner.x + 3, width: inner.width.saturating_sub(4), ..inner };
        paint::line(app, buffer, place, line as u16, &[piece]);
    }
}

fn title(palette: &Palette, planned: &Result<Plan, String>) -> String {
    match planned {
        Ok(plan) => plan.text.clone(),
        Err(_) => {
            let found = CHOICES.iter().find(|(choice, ..)| *choice == palette.choice);
            found.map_or(String::new(), |(.., words)| (*words).to_owned())
        }
    }
}

fn sentences(app: &App, palette: &Palette, planned: &Result<Plan, String>, room: usize) -> Vec<Piece> {
    let told: Vec<(Tone, String)> = match (planned, palette.choice) {
        (_, Choice::KillAt | Choice::WaitAt) => vec![(
            Tone::Plain,
            "Enter lists the points that its members pass; armed, it happens to whoever passes one next."
                .into(),
        )],
        (Ok(plan), _) => plan.preview.iter().map(|it| (it.tone, it.text.clone())).collect(),
        (Err(reason), _) => vec![(Tone::Warn, format!("not now: {reason}"))],
    };
    let lines = told.into_iter().flat_map(|(tone, text)| {
        let style = app.theme.style(tone);
        wrap(&text, room).into_iter().map(move |line| (line, style))
    });
    lines.collect()
}

/// On a small terminal: the choices in one column, the chosen one in words, and the first of what it would do.
fn small(app: &App, palette: &Palette, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    if palette.in_ledger {
        return table(app, buffer, area, Pane::Ledger, shown);
    }
    let told = 3.min(area.height / 3);
    let [top, bottom] = stack(area, [area.height - told, 0]);
    let (title, remark) = heading(app, palette);
    let inner = section(app, buffer, top, &title, &remark, true);
    let chosen = CHOICES.iter().position(|(choice, ..)| *choice == palette.choice).unwrap_or(0);
    // In two columns where that is wide enough, so that fewer lie out of view.
    let columns = if area.width >= 60 { 2 } else { 1 };
    let wide = inner.width.saturating_sub(4) / columns;
    let rows = usize::from(inner.height).max(1);
    let page = rows * usize::from(columns);
    let skip = chosen / page * page;
    for (place, (choice, ..)) in CHOICES.iter().enumerate().skip(skip).take(page) {
        let (column, line) = ((place - skip) / rows, (place - skip) % rows);
        let x = inner.x + 3 + column as u16 * wide;
        let place = Rect { x, y: inner.y + line as u16, width: wide.saturating_sub(2), height: 1 };
        item(app, palette, *choice, buffer, place, shown);
    }
    preview(app, palette, buffer, bottom);
}

pub(super) fn clear(buffer: &mut Buffer, area: Rect) {
    for y in area.top()..area.bottom() {
        for x in area.left()..area.right() {
            buffer[(x, y)].reset();
        }
    }
}

/// A defect point in the list of points: its name, and where it is.
pub(super) fn point_line(app: &App, name: &str, meaning: &str) -> Vec<Piece> {
    let pad = 18usize.saturating_sub(usize::from(width(name)));
    vec![(format!("{name}{} ", " ".repeat(pad)), Style::default()), (meaning.to_owned(), app.theme.dim())]
}
