//! The state as a picture. Pure: the same state gives the same cells, whatever the terminal.

mod bars;
mod grid;
mod inject;
mod lines;
mod matrix;
mod metrics;
mod paint;
mod popups;
mod relay;
mod screens;
mod sequence;
pub(super) mod timeline;
mod topology;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::app::{App, Shown};

pub(super) use popups::page;

/// From this size on everything is shown; below it, the table with the focus alone.
const FULL: (u16, u16) = (80, 24);
/// Below this size there is one line that says so.
const LEAST: (u16, u16) = (40, 10);

/// Paints the state, and tells what stands where.
pub(crate) fn view(app: &App, buffer: &mut Buffer) -> Shown {
    let area = buffer.area;
    let mut shown = Shown::default();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        let text = format!("palib needs {}x{}, this is {}x{}", LEAST.0, LEAST.1, area.width, area.height);
        paint::line(app, buffer, area, 0, &[(text, app.theme.strong())]);
        return shown;
    }
    if area.width < FULL.0 || area.height < FULL.1 {
        let [head, body, foot] = split(area, 1, 1);
        bars::top(app, buffer, head, &mut shown);
        paint::table(app, buffer, body, app.pane(), &mut shown);
        bars::keys(app, buffer, foot);
    } else {
        let [head, body, foot] = split(area, 1, 3);
        bars::top(app, buffer, head, &mut shown);
        let body = bars::tour(app, buffer, body);
        screens::screen(app, buffer, body, &mut shown);
        bars::note(app, buffer, row(foot, 0));
        timeline::timeline(app, buffer, row(foot, 1));
        bars::keys(app, buffer, row(foot, 2));
    }
    for popup in &app.popups {
        popups::popup(app, popup, buffer, area, &mut shown);
    }
    shown
}

/// The picture by itself, as large as the terminal is.
#[must_use]
pub(crate) fn picture(app: &App) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, app.size.0, app.size.1));
    view(app, &mut buffer);
    buffer
}

/// The first lines, the rest, and the last lines.
fn split(area: Rect, first: u16, last: u16) -> [Rect; 3] {
    let first = first.min(area.height);
    let last = last.min(area.height - first);
    let middle = area.height - first - last;
    [
        Rect { height: first, ..area },
        Rect { y: area.y + first, height: middle, ..area },
        Rect { y: area.y + first + middle, height: last, ..area },
    ]
}

/// One line of an area.
fn row(area: Rect, line: u16) -> Rect {
    let line = line.min(area.height);
    Rect { y: area.y + line, height: (area.height - line).min(1), ..area }
}
