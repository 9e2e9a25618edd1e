//! The results of a sweep: moving about in the matrix, and reading it again while the sweep goes on.

use super::app::{App, Pane, Screen};
use super::msg::Cmd;
use super::popup::Popup;
use crate::sweep::{Cell, Matrix};
use crate::world::Tone;

/// Ticks (quarters of a second) between two readings: a sweep decides a cell in a second or so.
const READ_EVERY: u64 = 4;

/// The matrix as it is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sweep {
    /// The cluster that was swept.
    pub cluster: String,
    /// What was read; none until it was.
    pub matrix: Option<Result<Matrix, String>>,
    /// The chosen row.
    pub row: usize,
    /// The chosen column.
    pub column: usize,
}

impl Sweep {
    /// The matrix, if it was read.
    pub(crate) fn matrix(&self) -> Option<&Matrix> {
        self.matrix.as_ref()?.as_ref().ok()
    }

    /// The chosen cell; none while it is not decided.
    pub(crate) fn cell(&self) -> Option<&Cell> {
        let matrix = self.matrix()?;
        matrix.cell(matrix.head.rows.get(self.row)?, matrix.head.columns.get(self.column)?)
    }
}

/// The cluster whose sweep is meant: that of the chosen demo, or the one that is attached.
fn subject(app: &App) -> Option<String> {
    if app.screen == Screen::Demos {
        let table = app.table(Pane::Demos);
        return table.chosen_row(&app.look(Pane::Demos)).map(|row| row.key.clone());
    }
    app.cluster().map(str::to_owned).or_else(|| app.world().cluster.clone())
}

/// Whether there is a cluster whose sweep could be meant.
pub(crate) fn can_open(app: &App) -> Result<(), String> {
    subject(app)
        .map(|_| ())
        .ok_or_else(|| "no cluster is attached; screen 8 has the sweeps of the demos".into())
}

/// Opens the matrix over the screen.
pub(crate) fn open(app: &mut App) -> Vec<Cmd> {
    let Some(cluster) = subject(app) else { return Vec::new() };
    app.popups.push(Popup::Sweep(Sweep { cluster: cluster.clone(), ..Sweep::default() }));
    vec![Cmd::ReadSweep(cluster)]
}

fn top(app: &mut App) -> Option<&mut Sweep> {
    match app.popups.last_mut() {
        Some(Popup::Sweep(sweep)) => Some(sweep),
        _ => None,
    }
}

/// A matrix was read.
pub(crate) fn read(app: &mut App, cluster: &str, matrix: Result<Matrix, String>) {
    if let Some(sweep) = top(app).filter(|sweep| sweep.cluster == cluster) {
        sweep.matrix = Some(matrix);
    }
}

/// Reads the matrix on the screen again now and then: a sweep may be going on.
pub(crate) fn refresh(app: &mut App) -> Vec<Cmd> {
    let due = app.ticks.is_multiple_of(READ_EVERY);
    let cluster = top(app).map(|sweep| sweep.cluster.clone()).filter(|_| due);
    cluster.map(Cmd::ReadSweep).into_iter().collect()
}

/// Gives a key to the matrix on top.
pub(crate) fn pressed(app: &mut App, key: &str) -> Vec<Cmd> {
    if key == "y" {
        return copy(app);
    }
    if matches!(key, "esc" | "q" | "m") {
        app.popups.pop();
        return Vec::new();
    }
    let bad = |cell: &Cell| cell.state.is_bad();
    let Some(sweep) = top(app) else { return Vec::new() };
    let Some(matrix) = sweep.matrix() else { return Vec::new() };
    let (rows, columns) = (matrix.head.rows.len().max(1), matrix.head.columns.len().max(1));
    let (row, column) = (sweep.row, sweep.column);
    let next = match key {
        "j" | "down" => (row + 1, column),
        "k" | "up" => (row.saturating_sub(1), column),
        "l" | "right" => (row, column + 1),
        "h" | "left" => (row, column.saturating_sub(1)),
        "g" | "home" => (0, column),
        "G" | "end" => (rows - 1, column),
        "ctrl-d" | "pagedown" => (row + 10, column),
        "ctrl-u" | "pageup" => (row.saturating_sub(10), column),
        // On to what is wrong, wherever that is.
        "n" => {
            let places = (1..=rows * columns).map(|step| (row * columns + column + step) % (rows * columns));
            let wrong = places.map(|place| (place / columns, place % columns)).find(|(row, column)| {
                let (row, column) = (matrix.head.rows.get(*row), matrix.head.columns.get(*column));
                row.zip(column).and_then(|(row, column)| matrix.cell(row, column)).is_some_and(bad)
            });
            match wrong {
                Some(place) => place,
                None => {
                    app.tell(Tone::Good, "nothing in it is wrong");
                    return Vec::new();
                }
            }
        }
        _ => return Vec::new(),
    };
    (sweep.row, sweep.column) = (next.0.min(rows - 1), next.1.min(columns - 1));
    Vec::new()
}

/// Copies the command that repeats the chosen cell.
fn copy(app: &mut App) -> Vec<Cmd> {
    let command = top(app).and_then(|sweep| sweep.cell().and_then(|cell| cell.command.clone()));
    match command {
        Some(command) => {
            app.tell(Tone::Plain, "copied the command that repeats it");
            vec![Cmd::Copy(command)]
        }
        None => {
            app.tell(Tone::Warn, "nothing was run for this cell");
            Vec::new()
        }
    }
}
