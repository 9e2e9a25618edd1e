//! A matrix of verdicts as text.

use super::{Cell, Counts, Matrix, State};
use crate::units::count;

/// The width of a cell.
const CELL: usize = 7;

/// A matrix as lines: rows with their parts, columns in pairs, a legend, and in full whatever is not clean.
#[must_use]
pub fn lines(matrix: &Matrix) -> Vec<String> {
    let (rows, columns) = (&matrix.head.rows, &matrix.head.columns);
    let name_width = rows.iter().map(|row| row.row.chars().count()).max().unwrap_or(0).max("ROW".len());
    let part_width = rows.iter().map(|row| row.part.len()).max().unwrap_or(0).max("PART".len());
    let width = |name: &str| name.chars().count().max(CELL);
    let mut head = format!("{:part_width$}  {:name_width$}", "PART", "ROW");
    let mut modes = format!("{:part_width$}  {:name_width$}", "", "");
    for (at, column) in columns.iter().enumerate() {
        let width = width(&column.column);
        let first = at == 0 || columns[at - 1].column != column.column;
        head.push_str(&format!("  {:width$}", if first { column.column.as_str() } else { "" }));
        modes.push_str(&format!("  {:width$}", column.mode.word()));
    }
    let mut lines = vec![head.trim_end().to_owned(), modes.trim_end().to_owned()];
    for row in rows {
        let mut line = format!("{:part_width$}  {:name_width$}", row.part, row.row);
        for column in columns {
            let width = width(&column.column);
            let text = matrix.cell(row, column).map_or_else(String::new, short);
            line.push_str(&format!("  {text:width$}"));
        }
        lines.push(line.trim_end().to_owned());
    }
    lines.push(String::new());
    lines.push("ok N: clean, with N takeovers   miss: was not passed   -: can't be passed there".to_owned());
    lines.extend(matrix.cells().filter(|cell| cell.state == State::NotPassed).map(in_full));
    lines.extend(matrix.cells().filter(|cell| cell.state.is_bad()).flat_map(bad));
    lines.push(sum(matrix.counts()));
    lines
}

fn short(cell: &Cell) -> String {
    match cell.state {
        State::Clean => format!("ok {}", cell.takeovers),
        State::NotClean => format!("BAD {}", cell.takeovers),
        State::NoVerdict => "ERROR".to_owned(),
        State::NotPassed => "miss".to_owned(),
        State::Impossible => "-".to_owned(),
    }
}

fn in_full(cell: &Cell) -> String {
    format!("{}: {}, {}: {}", cell.state.words(), cell.row.row, cell.column, cell.why)
}

/// What is wrong, where it can be looked at, and how it is done again.
fn bad(cell: &Cell) -> Vec<String> {
    let kept = cell.kept.as_ref().map(|kept| format!("    kept in {}", kept.display()));
    let command = cell.command.as_ref().map(|command| format!("    {command}"));
    [Some(in_full(cell)), kept, command].into_iter().flatten().collect()
}

/// How many cells came out how, in one line.
fn sum(counts: Counts) -> String {
    let Counts { clean, not_clean, no_verdict, not_passed, impossible, takeovers } = counts;
    let verdict = if not_clean + no_verdict == 0 { "all clean" } else { "NOT CLEAN" };
    format!(
        "{verdict}: {clean} clean, {not_clean} not clean, {no_verdict} without a verdict, {not_passed} not passed, \
         {impossible} impossible; {} takeovers",
        count(takeovers)
    )
}
