//! The results of a sweep as a heat map: a row for each defect, two columns for each alias.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::inject::clear;
use super::paint::{self, Piece, cut, section, width};
use super::screens::{stack, wrap};
use crate::sweep::{Cell, Matrix, State};
use crate::tui::app::App;
use crate::tui::matrix::Sweep;
use crate::units::count;
use crate::world::{Tone, duration_us};

/// The width of a cell: a glyph, a word, the number of takeovers.
const CELL: u16 = 9;
/// Where the first row's name begins.
const LEFT: u16 = 3;
/// Lines for the chosen cell.
const STORY: u16 = 6;

/// Paints the matrix over the body of the screen.
pub(super) fn sweep(app: &App, sweep: &Sweep, buffer: &mut Buffer, area: Rect) {
    clear(buffer, area);
    let title = format!("sweep of {}", sweep.cluster);
    let matrix = match &sweep.matrix {
        None => return say(app, buffer, area, &title, "Being read."),
        Some(Err(reason)) => {
            let how = format!("{reason}. `palib sweep {}` makes one.", sweep.cluster);
            return say(app, buffer, area, &title, &how);
        }
        Some(Ok(matrix)) => matrix,
    };
    let story = if area.height >= 16 { STORY } else { 2 };
    let [top, bottom] = stack(area, [area.height.saturating_sub(story), 0]);
    let inner = section(app, buffer, top, &title, &remark(matrix), true);
    cells(app, sweep, matrix, buffer, inner);
    told(app, sweep, matrix, buffer, bottom);
}

fn say(app: &App, buffer: &mut Buffer, area: Rect, title: &str, text: &str) {
    let inner = section(app, buffer, area, title, "", true);
    for (line, text) in wrap(text, usize::from(inner.width.saturating_sub(6))).into_iter().enumerate() {
        paint::at(app, buffer, inner, LEFT, line as u16, &text, app.theme.dim());
    }
}

/// How many cells came out how, of how many.
fn remark(matrix: &Matrix) -> String {
    let counts = matrix.counts();
    let all = matrix.head.rows.len() * matrix.head.columns.len();
    let decided = matrix.cells().count();
    let of = if decided == all { String::new() } else { format!(" of {}", count(all as u64)) };
    let mut remark = format!("{}{of} decided   {} clean", count(decided as u64), count(counts.clean as u64));
    for (number, words) in [
        (counts.not_clean, "not clean"),
        (counts.no_verdict, "no verdict"),
        (counts.not_passed, "not passed"),
    ] {
        if number > 0 {
            remark.push_str(&format!("   {number} {words}"));
        }
    }
    remark.push_str(&format!("   {} takeovers", count(counts.takeovers)));
    remark
}

/// What a state means: tone, glyph and word.
fn looks(app: &App, state: State) -> (Tone, &'static str, &'static str) {
    let (tone, unicode, ascii, word) = match state {
        State::Clean => (Tone::Good, "✔", "+", "ok"),
        State::NotClean => (Tone::Bad, "✖", "x", "BAD"),
        State::NoVerdict => (Tone::Bad, "?", "?", "none"),
        State::NotPassed => (Tone::Warn, "○", "o", "miss"),
        State::Impossible => (Tone::Past, "-", "-", ""),
    };
    (tone, app.theme.pick(unicode, ascii), word)
}

fn cells(app: &App, sweep: &Sweep, matrix: &Matrix, buffer: &mut Buffer, area: Rect) {
    let names = matrix.head.rows.iter().map(|row| width(&row.row)).max().unwrap_or(0);
    let name_width = names.min(area.width / 3).max(12);
    let x0 = LEFT + name_width + 2;
    let fit = usize::from(area.width.saturating_sub(x0) / CELL).max(1);
    let columns = &matrix.head.columns;
    // The chosen column is in view, and as many before it as fit.
    let first = (sweep.column + 1).saturating_sub(fit);
    for (place, column) in columns.iter().enumerate().skip(first).take(fit) {
        let x = x0 + (place - first) as u16 * CELL;
        let begins = place == first || columns[place - 1].column != column.column;
        if begins {
            // A name stands over both of its columns.
            let both = columns.get(place + 1).is_some_and(|next| next.column == column.column)
                && place + 1 < first + fit;
            let room = usize::from(CELL) * if both { 2 } else { 1 } - 1;
            paint::at(app, buffer, area, x, 0, &cut(app, &column.column, room), app.theme.strong());
        }
        paint::at(app, buffer, area, x, 1, column.mode.word(), app.theme.dim());
    }
    let body = Rect { y: area.y + 2.min(area.height), height: area.height.saturating_sub(2), ..area };
    let rows = usize::from(body.height).max(1);
    let skip = (sweep.row + 1)
        .saturating_sub(rows)
        .max(sweep.row.saturating_sub(rows / 2).min(matrix.head.rows.len().saturating_sub(rows)));
    for (line, row) in matrix.head.rows.iter().enumerate().skip(skip).take(rows) {
        let y = (line - skip) as u16;
        let style = if line == sweep.row { app.theme.strong() } else { Style::default() };
        if line == sweep.row {
            paint::at(app, buffer, body, 1, y, ">", app.theme.strong());
        }
        paint::at(app, buffer, body, LEFT, y, &cut(app, &row.row, usize::from(name_width)), style);
        for (place, column) in columns.iter().enumerate().skip(first).take(fit) {
            let place_x = x0 + (place - first) as u16 * CELL;
            let room = Rect { x: body.x + place_x, y: body.y + y, width: CELL - 1, height: 1 };
            let pieces = cell_pieces(app, matrix.cell(row, column));
            paint::line(app, buffer, room, 0, &pieces);
            if (line, place) == (sweep.row, sweep.column) {
                buffer.set_style(room, app.theme.chosen());
            }
        }
    }
    let left_out = columns.len().saturating_sub(first + fit);
    if left_out > 0 || first > 0 {
        let (back, on) = (app.theme.pick("◀", "<"), app.theme.pick("▶", ">"));
        paint::at(app, buffer, area, LEFT, 0, &format!("{back} {first}  {left_out} {on}"), app.theme.dim());
    }
}

fn cell_pieces(app: &App, cell: Option<&Cell>) -> Vec<Piece> {
    let Some(cell) = cell else { return vec![(app.theme.pick("·", ".").to_owned(), app.theme.dim())] };
    let (tone, glyph, word) = looks(app, cell.state);
    let takeovers = if cell.takeovers > 0 { format!(" {}", cell.takeovers) } else { String::new() };
    vec![(format!("{glyph} {word}"), app.theme.style(tone)), (takeovers, app.theme.dim())]
}

/// The chosen cell in full, and what the cells mean.
fn told(app: &App, sweep: &Sweep, matrix: &Matrix, buffer: &mut Buffer, area: Rect) {
    let row = matrix.head.rows.get(sweep.row);
    let column = matrix.head.columns.get(sweep.column);
    let Some((row, column)) = row.zip(column) else { return };
    let title = format!("{} {}, {column}", row.part, row.row);
    let inner = section(
        app,
        buffer,
        area,
        &title,
        "ok N: clean, N takeovers   miss: not passed   -: can't be",
        false,
    );
    let mut lines: Vec<(Tone, String)> = Vec::new();
    match sweep.cell() {
        None => lines.push((Tone::Past, "not decided yet".to_owned())),
        Some(cell) => {
            let (tone, glyph, _) = looks(app, cell.state);
            let why = if cell.why == cell.state.words() { String::new() } else { format!(": {}", cell.why) };
            lines.push((tone, format!("{glyph} {}{why}", cell.state.words())));
            let blackout = cell
                .blackout_us_max
                .map_or_else(String::new, |us| format!("   longest blackout {}", duration_us(us)));
            if cell.took_ms > 0 {
                lines.push((
                    Tone::Plain,
                    format!(
                        "{} takeover{}   {} calls acknowledged{blackout}   took {}",
                        cell.takeovers,
                        if cell.takeovers == 1 { "" } else { "s" },
                        count(cell.acked),
                        duration_us(cell.took_ms * 1_000)
                    ),
                ));
            }
            lines.extend(cell.command.iter().map(|command| (Tone::Past, command.clone())));
            lines.extend(cell.kept.iter().map(|kept| (Tone::Warn, format!("kept in {}", kept.display()))));
        }
    }
    let room = usize::from(inner.width.saturating_sub(LEFT + 2));
    let folded =
        lines.into_iter().flat_map(|(tone, text)| wrap(&text, room).into_iter().map(move |it| (tone, it)));
    for (line, (tone, text)) in folded.enumerate().take(usize::from(inner.height)) {
        paint::at(app, buffer, inner, LEFT, line as u16, &text, app.theme.style(tone));
    }
}
