//! The screen of measurements: how fine its strips are, and how one comes from a takeover to its moment.

use palib::control::What;

use super::app::{App, Pane};
use crate::world::{Moment, TakeoverView, Tone};

/// What a cell of a strip can stand for, in microseconds.
const CELLS_US: [u64; 14] = [
    100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000,
    5_000_000,
];
/// Cells that the middle one of the takeovers has at most, unless one zooms.
const CELLS: u64 = 16;

/// The parts of a takeover, in their order: letter, name, meaning.
pub(crate) const PARTS: [(char, &str, Tone); 6] = [
    ('d', "detect", Tone::Warn),
    ('f', "fence", Tone::Bad),
    ('o', "open", Tone::Standby),
    ('r', "recover", Tone::Plain),
    ('m', "mark", Tone::Past),
    ('a', "answer", Tone::Good),
];

/// What was measured of the parts of a takeover, in microseconds.
pub(crate) fn parts_us(takeover: &TakeoverView) -> [Option<u64>; 6] {
    let timing = &takeover.timing;
    [
        timing.detect_us,
        timing.fence_us,
        timing.open_us,
        timing.recover_us,
        timing.mark_us,
        timing.first_reply_us,
    ]
}

/// How long a takeover took as far as it was measured, in microseconds.
pub(crate) fn whole_us(takeover: &TakeoverView) -> u64 {
    parts_us(takeover).into_iter().flatten().sum()
}

/// What a cell of the strips stands for, in microseconds.
#[must_use]
pub(crate) fn cell_us(app: &App) -> u64 {
    let mut wholes: Vec<u64> = app.world().takeovers.iter().map(whole_us).filter(|us| *us > 0).collect();
    wholes.sort_unstable();
    let middle = wholes.get(wholes.len() / 2).copied().unwrap_or(0);
    let fitting = CELLS_US.iter().position(|us| middle / us <= CELLS).unwrap_or(CELLS_US.len() - 1);
    let place = fitting.saturating_add_signed(app.zoom).min(CELLS_US.len() - 1);
    CELLS_US[place]
}

/// Makes the strips finer, or coarser.
pub(crate) fn zoom(app: &mut App, finer: bool) {
    let before = cell_us(app);
    let by = if finer { -1 } else { 1 };
    app.zoom += by;
    if cell_us(app) == before {
        app.zoom -= by;
    }
}

/// When the chosen takeover began: its defect, if it was caused by one, or else its beginning.
fn moment(app: &App) -> Option<Moment> {
    let table = app.table(Pane::Takeovers);
    let row = table.chosen_row(&app.look(Pane::Takeovers))?;
    let (alias, incarnation) = (row.json["alias"].as_str()?, row.json["incarnation"].as_u64()?);
    let defect = row.json["defect"].as_str();
    let mut began = None;
    for (moment, event) in app.history.newest_first(app.moment()) {
        match &event.what {
            What::Defect { id, .. } if Some(id.as_str()) == defect => return Some(moment),
            What::TakeoverStarted { alias: of, incarnation: number, .. }
                if of == alias && *number == incarnation =>
            {
                began = Some(moment);
                if defect.is_none() {
                    break;
                }
            }
            _ => {}
        }
    }
    began
}

/// Shows the sequence chart as it was when the chosen takeover began.
pub(crate) fn go_there(app: &mut App) {
    match moment(app) {
        Some(moment) => super::sequence::at(app, moment),
        None => app.tell(Tone::Warn, "its events are not kept any more"),
    }
}
