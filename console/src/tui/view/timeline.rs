//! The time line at the bottom: everything that is kept, with its defects and takeovers, and where one looks.

use palib::control::What;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, Piece, width};
use crate::tui::app::App;
use crate::world::{Tone, clock};

/// Whether an event is marked on the line, and jumped to with `<` and `>`.
#[must_use]
pub(crate) fn is_mark(what: &What) -> bool {
    match what {
        What::Defect { .. }
        | What::Paused { .. }
        | What::Outage { .. }
        | What::InDoubt { .. }
        | What::PromotionFailed { .. } => true,
        What::TakeoverStarted { cause, .. } => cause != "first start",
        What::Exited { ordered, .. } => !ordered,
        _ => false,
    }
}

/// The glyph and meaning of a mark; the larger number covers the smaller where two fall on one place.
fn mark(app: &App, what: &What) -> Option<(u8, &'static str, Tone)> {
    let theme = &app.theme;
    Some(match what {
        What::Outage { .. } | What::PromotionFailed { .. } => (5, theme.pick("✖", "x"), Tone::Bad),
        What::InDoubt { .. } => (4, "?", Tone::Warn),
        What::Defect { .. } | What::Paused { .. } => (3, theme.pick("↯", "%"), Tone::Injected),
        What::TakeoverStarted { cause, .. } if cause != "first start" => {
            (2, theme.pick("◐", "~"), Tone::Warn)
        }
        What::Exited { ordered: false, .. } => (1, theme.pick("✖", "x"), Tone::Bad),
        _ => return None,
    })
}

/// Paints the line.
pub(super) fn timeline(app: &App, buffer: &mut Buffer, area: Rect) {
    let theme = &app.theme;
    let live = app.history.live();
    let zero = live.zero_unix_ms;
    // The end is the newest event, not now: a line that moved by itself would never leave the terminal in peace.
    let end = live.last_unix_ms.max(zero + 1);
    let at = app.world().last_unix_ms.max(zero);
    let time = format!(" t {} ", if zero == 0 { "--:--.--".into() } else { clock(at, zero) });
    let state = if app.past.is_some() { "past" } else { "live" };
    let tail = format!(" {state}  {} events", app.world().events);
    let room = usize::from(area.width.saturating_sub(width(&time) + width(&tail) + 3));
    if room < 4 {
        return paint::line(app, buffer, area, 0, &[(time, Style::default()), (tail, theme.dim())]);
    }
    let dim = theme.dim();
    let mut cells: Vec<(u8, Piece)> = vec![(0, (theme.pick("─", "-").to_owned(), dim)); room];
    let place = |unix_ms: u64| {
        let along = unix_ms.saturating_sub(zero) as f64 / (end - zero) as f64;
        ((along * (room - 1) as f64).round() as usize).min(room - 1)
    };
    for (_, event) in app.history.newest_first(None) {
        if let Some((weight, glyph, tone)) = mark(app, &event.what) {
            let cell = &mut cells[place(event.unix_ms)];
            if weight > cell.0 {
                *cell = (weight, (glyph.to_owned(), theme.style(tone)));
            }
        }
    }
    if app.past.is_some() {
        cells[place(at)] = (9, (theme.pick("◆", "#").to_owned(), theme.strong()));
    }
    let mut pieces = vec![(time, Style::default()), (theme.pick("├", "|").to_owned(), dim)];
    pieces.extend(cells.into_iter().map(|(_, piece)| piece));
    pieces.push((theme.pick("┤", "|").to_owned(), dim));
    pieces.push((tail, dim));
    paint::line(app, buffer, area, 0, &pieces);
}
