//! Brushes: lines of text, headings, tables.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::tui::app::{App, Pane, Shown, Spot};
use crate::tui::table::{Cell, Column, Look, Table, plain};

/// A piece of text with its style.
pub(super) type Piece = (String, Style);

/// Paints pieces into line `line` of an area, from its left edge; what does not fit is cut off with an ellipsis.
pub(super) fn line(app: &App, buffer: &mut Buffer, area: Rect, line: u16, pieces: &[Piece]) {
    if line >= area.height || area.width == 0 {
        return;
    }
    let (mut x, y, end) = (area.x, area.y + line, area.right());
    for (place, (text, style)) in pieces.iter().enumerate() {
        let room = usize::from(end.saturating_sub(x));
        let more = pieces[place + 1..].iter().any(|(text, _)| !text.is_empty());
        let text = cut(app, text, if more { room.max(1) } else { room });
        let (next, _) = buffer.set_stringn(x, y, &text, room, *style);
        x = next;
        if x >= end {
            return;
        }
    }
}

/// Paints one text at a place within an area.
pub(super) fn at(app: &App, buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) {
    if y < area.height && x < area.width {
        let place = Rect { x: area.x + x, width: area.width - x, ..area };
        line(app, buffer, place, y, &[(text.to_owned(), style)]);
    }
}

/// A text in the terminal's characters, cut off with an ellipsis where it is too wide.
pub(super) fn cut(app: &App, text: &str, width: usize) -> String {
    let text = app.theme.text(text);
    if text.width() <= width {
        return text;
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    if width > 0 {
        out.push_str(app.theme.ellipsis());
    }
    out
}

/// The width of a text on the terminal.
pub(super) fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// A rule with a heading; the rest of the area is left for what it heads.
pub(super) fn section(
    app: &App,
    buffer: &mut Buffer,
    area: Rect,
    title: &str,
    remark: &str,
    focus: bool,
) -> Rect {
    if area.height == 0 {
        return area;
    }
    let rule = app.theme.pick("─", "-");
    let dim = app.theme.dim();
    let title_style = if focus { app.theme.strong() } else { Style::default() };
    let remark = if remark.is_empty() { String::new() } else { format!("  {}", remark.trim()) };
    let used = width(title) + width(&remark) + 3;
    let tail = rule.repeat(usize::from(area.width.saturating_sub(used + 1)));
    let pieces = [
        (format!("{rule} "), dim),
        (title.to_owned(), title_style),
        (remark, dim),
        (format!(" {tail}"), dim),
    ];
    line(app, buffer, area, 0, &pieces);
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// A pane: its heading, the titles of its columns, its rows.
pub(super) fn table(app: &App, buffer: &mut Buffer, area: Rect, pane: Pane, shown: &mut Shown) {
    let table = app.table(pane);
    let look = app.look(pane);
    let focus = app.pane() == pane;
    shown.spots.push((area, Spot::Pane(pane)));
    let inner = section(app, buffer, area, &table.title, &remark(app, &table, &look), focus);
    if inner.height == 0 {
        return;
    }
    if table.rows.is_empty() {
        let text = match (table.all, look.filter.is_empty()) {
            (1.., false) => format!("No row passes the filter {}; Esc drops it.", look.filter),
            _ => table.empty.clone(),
        };
        at(app, buffer, inner, 3, 0, &text, app.theme.dim());
        return;
    }
    let columns = lay_out(&table, inner.width);
    titles(app, buffer, inner, pane, &table, &look, &columns, shown);
    let body = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
    let rows = usize::from(body.height);
    let chosen = app.place(pane, &table).unwrap_or(0);
    let offset = offset(look.offset, chosen, rows, table.rows.len());
    shown.pages.insert(pane, (offset, rows));
    for (line, row) in table.rows.iter().enumerate().skip(offset).take(rows) {
        let place = Rect { y: body.y + (line - offset) as u16, height: 1, ..body };
        shown.spots.push((place, Spot::Row(pane, line)));
        let is_chosen = line == chosen;
        if is_chosen {
            at(app, buffer, place, 1, 0, ">", if focus { app.theme.strong() } else { app.theme.dim() });
        }
        for (column, x, width) in &columns {
            let cell_look = (is_chosen && focus, look.column == *column);
            cell(app, buffer, place, (*x, *width), &row.cells[*column], table.columns[*column], cell_look);
        }
        if is_chosen && focus {
            // The whole line, also between the cells.
            let line = Rect { x: place.x + 3, width: place.width.saturating_sub(3), ..place };
            buffer.set_style(line, app.theme.chosen());
        }
    }
}

fn remark(app: &App, table: &Table, look: &Look) -> String {
    let mut remark = String::new();
    if table.rows.len() == table.all {
        remark.push_str(&table.all.to_string());
    } else {
        remark.push_str(&format!("{} of {}", table.rows.len(), table.all));
    }
    if !table.remark.is_empty() {
        remark.push_str(&format!("   {}", table.remark));
    }
    if let Some((column, down)) = look.sort
        && let Some(column) = table.columns.get(column)
    {
        let arrow = if down { app.theme.pick("▼", "v") } else { app.theme.pick("▲", "^") };
        remark.push_str(&format!("   by {} {arrow}", column.title));
    }
    if !look.filter.is_empty() {
        remark.push_str(&format!("   filter {}", look.filter));
    }
    remark
}

#[expect(clippy::too_many_arguments, reason = "one line of a table needs all of the table")]
fn titles(
    app: &App,
    buffer: &mut Buffer,
    area: Rect,
    pane: Pane,
    table: &Table,
    look: &Look,
    columns: &[(usize, u16, u16)],
    shown: &mut Shown,
) {
    for (column, x, width) in columns {
        let of = table.columns[*column];
        let mut title = of.title.to_owned();
        if let Some((_, down)) = look.sort.filter(|(sorted, _)| sorted == column) {
            title.push_str(if down { app.theme.pick("▼", "v") } else { app.theme.pick("▲", "^") });
        }
        let mut style = app.theme.dim();
        if app.pane() == pane && look.column == *column {
            style = style.add_modifier(Modifier::UNDERLINED);
        }
        let text = plain(title);
        let place = Rect { height: 1, ..area };
        shown.spots.push((Rect { x: area.x + x, width: *width, ..place }, Spot::Header(pane, *column)));
        let text = aligned(app, &text.text, usize::from(*width), of.right);
        at(app, buffer, place, *x, 0, &text, style);
    }
}

fn cell(
    app: &App,
    buffer: &mut Buffer,
    place: Rect,
    (x, width): (u16, u16),
    cell: &Cell,
    column: Column,
    (chosen, under_cursor): (bool, bool),
) {
    let mut style = app.theme.style(cell.tone);
    if chosen && under_cursor {
        style = style.add_modifier(Modifier::UNDERLINED);
    }
    let room = Rect { width: place.width.min(x + width), ..place };
    if cell.parts.is_empty() {
        let text = aligned(app, &cell.text, usize::from(width), column.right);
        at(app, buffer, room, x, 0, &text, style);
    } else if x < room.width {
        let pieces: Vec<Piece> =
            cell.parts.iter().map(|(tone, text)| (text.clone(), app.theme.style(*tone))).collect();
        line(app, buffer, Rect { x: room.x + x, width: room.width - x, ..room }, 0, &pieces);
    }
}

fn aligned(app: &App, text: &str, width: usize, right: bool) -> String {
    let text = cut(app, text, width);
    let pad = " ".repeat(width.saturating_sub(text.width()));
    if right { format!("{pad}{text}") } else { text }
}

/// The columns that fit, as `(column, x, width)`: as wide as their content needs, spare ones left out first.
fn lay_out(table: &Table, width_all: u16) -> Vec<(usize, u16, u16)> {
    const LEFT: u16 = 3;
    const GAP: u16 = 2;
    const REST_LEAST: u16 = 10;
    let natural = |place: usize, column: &Column| {
        let cells = table.rows.iter().map(|row| width(&row.cells[place].text));
        // One more than the title, for the arrow of the order.
        let widest = cells.max().unwrap_or(0).max(width(column.title) + 1);
        if column.max == 0 { REST_LEAST } else { widest.min(column.max.max(width(column.title) + 1)) }
    };
    let all: Vec<u16> =
        table.columns.iter().enumerate().map(|(place, column)| natural(place, column)).collect();
    let mut kept: Vec<usize> = (0..table.columns.len()).collect();
    let needed = |kept: &[usize]| LEFT + kept.iter().map(|place| all[*place] + GAP).sum::<u16>();
    while needed(&kept) > width_all + GAP {
        let spare = kept.iter().enumerate().max_by_key(|(_, place)| table.columns[**place].spare);
        match spare {
            Some((at, place)) if table.columns[*place].spare > 0 => kept.remove(at),
            _ => break,
        };
    }
    let over = needed(&kept).saturating_sub(width_all + GAP);
    let widest =
        kept.iter().copied().filter(|place| table.columns[*place].max > 0).max_by_key(|place| all[*place]);
    let mut x = LEFT;
    let mut out = Vec::new();
    for place in kept {
        if x >= width_all {
            break;
        }
        let mut wide = all[place];
        if widest == Some(place) {
            wide = wide.saturating_sub(over).max(6);
        }
        if table.columns[place].max == 0 {
            wide = width_all.saturating_sub(x);
        }
        wide = wide.min(width_all - x);
        out.push((place, x, wide));
        x += wide + GAP;
    }
    out
}

/// The first row in view: as before, unless the chosen row would not be seen.
pub(super) fn offset(before: usize, chosen: usize, rows: usize, all: usize) -> usize {
    let rows = rows.max(1);
    let low = (chosen + 1).saturating_sub(rows);
    before.clamp(low, chosen).min(all.saturating_sub(rows).max(low))
}
