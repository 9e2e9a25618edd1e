//! The screen of relay transactions: all of them, the journal of the chosen one, and what is to become of it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::paint::{self, table};
use super::screens::{stack, wrap};
use crate::tui::app::{App, Pane, Shown};
use crate::tui::relay;
use crate::world::Tone;

/// Lines of the story: what was asked, why it waits, and two for what a takeover would do.
const STORY: u16 = 4;

/// Paints the screen.
pub(super) fn transactions(app: &App, buffer: &mut Buffer, area: Rect, shown: &mut Shown) {
    let calls = relay::chosen(app).map_or(0, |row| row.calls.len() as u16);
    // A heading, the titles and the calls; more than a third of the room is scrolled.
    let journal = (calls.max(1) + 2).clamp(4, (area.height / 3).max(5));
    let [top, middle, story] = stack(area, [area.height.saturating_sub(journal + STORY), journal, 0]);
    table(app, buffer, top, Pane::Relays, shown);
    table(app, buffer, middle, Pane::Journal, shown);
    tell(app, buffer, story);
}

/// What was asked of the chosen transaction, why it is not done, and what its takeover would do.
fn tell(app: &App, buffer: &mut Buffer, area: Rect) {
    const MARGIN: u16 = 12;
    let Some(row) = relay::chosen(app) else { return };
    let room = usize::from(area.width.saturating_sub(MARGIN + 1));
    let tone = if row.needs_operator { Tone::Bad } else { Tone::Plain };
    let told = [
        ("ASKED", row.text.clone().unwrap_or_else(|| "-".to_owned()), 1, Tone::Plain),
        ("WHY", row.why.clone(), 1, tone),
        ("TAKEOVER", format!("{}: {}.", row.policy, relay::takeover(app, row)), 2, Tone::Plain),
    ];
    let mut line = 0;
    for (label, text, lines, tone) in told {
        paint::at(app, buffer, area, 3, line, label, app.theme.dim());
        // The last line keeps what does not fit, so that it is seen to be cut off.
        let mut parts = wrap(&text, room);
        let rest = parts.split_off(parts.len().min(lines));
        if let (Some(last), false) = (parts.last_mut(), rest.is_empty()) {
            last.push(' ');
            last.push_str(&rest.join(" "));
        }
        for part in parts {
            let style = if tone == Tone::Plain { Style::default() } else { app.theme.style(tone) };
            paint::at(app, buffer, area, MARGIN, line, &part, style);
            line += 1;
        }
    }
}
