//! The folder of a sweep: results are added as they come, so that a sweep can be ended at any moment and goes on later.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::plan::Probe;
use super::{Cell, Head, Matrix, SweepError, SweepOptions};
use crate::state::write_whole;

/// The folder of a sweep, open for this one alone.
pub(super) struct Folder {
    path: PathBuf,
    cells: File,
    /// What it has so far.
    pub(super) matrix: Matrix,
}

impl Folder {
    /// Opens the folder, or makes it; its head has the rows and columns of these probes from now on, beside those it had.
    pub(super) fn open(options: &SweepOptions, probes: &[Probe]) -> Result<Self, SweepError> {
        let path = &options.out;
        fs::create_dir_all(path).map_err(SweepError::io(path))?;
        let file = Matrix::cells_file(path);
        let cells =
            OpenOptions::new().create(true).append(true).open(&file).map_err(SweepError::io(&file))?;
        match cells.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(SweepError::InUse(path.clone())),
            Err(fs::TryLockError::Error(error)) => return Err(SweepError::io(&file)(error)),
        }
        if options.fresh {
            forget(path, &cells)?;
        }
        let mut matrix = Matrix::load(path).unwrap_or_default();
        let this = options.basis();
        if !matrix.head.basis.is_empty() && matrix.head.basis != this {
            let there = matrix.head.basis;
            return Err(SweepError::Other { folder: path.clone(), there, this });
        }
        matrix.head.basis = this;
        matrix.head.cluster.clone_from(&options.file.name);
        matrix.head.add(probes);
        let head = serde_json::to_vec_pretty(&matrix.head).unwrap_or_default();
        let head_file = Matrix::head_file(path);
        write_whole(&head_file, &head)
            .map_err(|error| SweepError::io(&head_file)(std::io::Error::other(error)))?;
        Ok(Self { path: path.clone(), cells, matrix })
    }

    /// Adds a cell.
    pub(super) fn add(&mut self, cell: Cell) -> Result<(), SweepError> {
        let mut line = serde_json::to_vec(&cell).unwrap_or_default();
        line.push(b'\n');
        let file = Matrix::cells_file(&self.path);
        self.cells.write_all(&line).map_err(SweepError::io(&file))?;
        self.matrix.put(cell);
        Ok(())
    }

    /// An empty folder for the run of a cell.
    pub(super) fn run_folder(&self, probe: &Probe) -> Result<PathBuf, SweepError> {
        let name = format!("{}.{}.{}", probe.row.part, probe.row.row, probe.column);
        let word = |letter: char| if letter.is_ascii_alphanumeric() || letter == '.' { letter } else { '-' };
        let path = self.path.join("runs").join(name.chars().map(word).collect::<String>());
        if path.exists() {
            fs::remove_dir_all(&path).map_err(SweepError::io(&path))?;
        }
        fs::create_dir_all(&path).map_err(SweepError::io(&path))?;
        Ok(path)
    }
}

/// Forgets the results there are.
fn forget(path: &Path, cells: &File) -> Result<(), SweepError> {
    cells.set_len(0).map_err(SweepError::io(path))?;
    for gone in [Matrix::head_file(path), path.join("runs")] {
        let removed = if gone.is_dir() { fs::remove_dir_all(&gone) } else { fs::remove_file(&gone) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(SweepError::io(&gone)(error));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Head {
    /// Adds the rows and columns of these cells that it does not have, and keeps rows of one part together.
    fn add(&mut self, probes: &[Probe]) {
        for probe in probes {
            if !self.rows.contains(&probe.row) {
                let last = self.rows.iter().rposition(|row| row.part == probe.row.part);
                self.rows.insert(last.map_or(self.rows.len(), |last| last + 1), probe.row.clone());
            }
            if !self.columns.contains(&probe.column) {
                let last = self.columns.iter().rposition(|it| it.column == probe.column.column);
                self.columns.insert(last.map_or(self.columns.len(), |last| last + 1), probe.column.clone());
            }
        }
    }
}
