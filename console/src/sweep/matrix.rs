//! What a sweep has found so far, as its folder holds it.
//!
//! The folder has two files. `sweep.json` says what is being swept: `{cluster, basis, rows: [{part, row}], columns:
//! [{column, mode}]}`, in the order in which they are shown. `cells.jsonl` has a line for each cell that is decided, in
//! the order in which that was; where a cell was run again its last line counts. The fields of a line are those of
//! [`Cell`], with those of its row and its column beside them:
//!
//! ```json
//! {"part":"server","row":"after-commit","column":"counter","mode":"load","state":"clean","why":"clean","takeovers":1,
//!  "acked":1204,"blackout_us_max":4100,"took_ms":1630,"command":"palib run …","kept":null}
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Cell, Column, Row, State};

/// What is being swept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The cluster.
    pub cluster: String,
    /// What all cells have in common, as text: results of another one can't stand in the same matrix.
    pub basis: String,
    /// The rows, in the order in which they are shown.
    pub rows: Vec<Row>,
    /// The columns, in the order in which they are shown.
    pub columns: Vec<Column>,
}

/// A matrix of verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matrix {
    /// What is being swept.
    pub head: Head,
    cells: BTreeMap<(Row, Column), Cell>,
}

/// How many cells came out how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Clean.
    pub clean: usize,
    /// Not clean.
    pub not_clean: usize,
    /// Without a verdict.
    pub no_verdict: usize,
    /// The point was not passed.
    pub not_passed: usize,
    /// The point can't be passed there.
    pub impossible: usize,
    /// Takeovers in all of them together.
    pub takeovers: u64,
}

impl Matrix {
    /// Reads what a sweep left in its folder, finished or not, also while it goes on.
    ///
    /// # Errors
    /// If there is no sweep in the folder, or it can't be read.
    pub fn load(folder: &Path) -> io::Result<Self> {
        let head: Head = serde_json::from_slice(&fs::read(Self::head_file(folder))?)?;
        let mut matrix = Self { head, cells: BTreeMap::new() };
        let lines = match fs::read_to_string(Self::cells_file(folder)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            lines => lines?,
        };
        // A line that is being written, or was when the sweep was killed, is no cell yet.
        lines.lines().filter_map(|line| serde_json::from_str(line).ok()).for_each(|cell| matrix.put(cell));
        Ok(matrix)
    }

    /// Where a folder has its head.
    #[must_use]
    pub fn head_file(folder: &Path) -> PathBuf {
        folder.join("sweep.json")
    }

    /// Where a folder has its cells.
    #[must_use]
    pub fn cells_file(folder: &Path) -> PathBuf {
        folder.join("cells.jsonl")
    }

    /// What came out; none if that is not decided yet.
    #[must_use]
    pub fn cell(&self, row: &Row, column: &Column) -> Option<&Cell> {
        self.cells.get(&(row.clone(), column.clone()))
    }

    /// All cells that are decided.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.cells.values()
    }

    /// Puts a cell in, over what was there of it.
    pub fn put(&mut self, cell: Cell) {
        self.cells.insert((cell.row.clone(), cell.column.clone()), cell);
    }

    /// How many cells came out how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for cell in self.cells() {
            counts.takeovers += cell.takeovers;
            *match cell.state {
                State::Clean => &mut counts.clean,
                State::NotClean => &mut counts.not_clean,
                State::NoVerdict => &mut counts.no_verdict,
                State::NotPassed => &mut counts.not_passed,
                State::Impossible => &mut counts.impossible,
            } += 1;
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::Mode;

    fn cell(state: State) -> Cell {
        Cell {
            row: Row { part: "server".to_owned(), row: "after-commit".to_owned() },
            column: Column { column: "counter".to_owned(), mode: Mode::Load },
            state,
            why: String::new(),
            takeovers: 2,
            acked: 7,
            blackout_us_max: Some(9),
            took_ms: 1,
            command: None,
            kept: None,
        }
    }

    #[test]
    fn the_last_line_of_a_cell_counts_and_a_torn_one_does_not() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Matrix::load(folder.path()).is_err());
        let of = cell(State::Clean);
        let head = Head { rows: vec![of.row.clone()], columns: vec![of.column.clone()], ..Head::default() };
        let text = serde_json::to_string(&head).expect("JSON");
        fs::write(Matrix::head_file(folder.path()), text).expect("a file");
        assert_eq!(Matrix::load(folder.path()).expect("a matrix").counts(), Counts::default());
        let line = |state| serde_json::to_string(&cell(state)).expect("JSON");
        let whole = [line(State::NotClean), line(State::Clean), line(State::NotClean)[..40].to_owned()];
        fs::write(Matrix::cells_file(folder.path()), whole.join("\n")).expect("a file");
        let matrix = Matrix::load(folder.path()).expect("a matrix");
        assert_eq!(matrix.cell(&of.row, &of.column), Some(&of));
        assert_eq!(matrix.counts(), Counts { clean: 1, takeovers: 2, ..Counts::default() });
        assert_eq!(matrix.head, head);
    }
}
