//! What commands print: aligned tables for people, JSON for programs.

use std::io::{IsTerminal as _, Write as _};

use serde::Serialize;

use super::Failure;

/// Prints one line on standard output.
///
/// # Errors
/// If nobody reads it any more.
pub(super) fn line(text: impl std::fmt::Display) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Prints a value as one line of JSON.
///
/// # Errors
/// If nobody reads it any more.
pub(super) fn json(value: &impl Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(value).map_err(Failure::environment)?)
}

/// Says what is not in the output and how to get it: on standard error, so that a program that reads the output is not in its
/// way and whoever looks is told all the same.
pub(super) fn hint(text: impl std::fmt::Display) {
    // Nobody to tell it to is no reason to fail.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints rows as a JSON array, one row to a line.
///
/// # Errors
/// If nobody reads it any more.
pub(super) fn json_rows<T: Serialize>(rows: &[T]) -> Result<(), Failure> {
    if rows.is_empty() {
        return line("[]");
    }
    let mut out = std::io::stdout().lock();
    for (at, row) in rows.iter().enumerate() {
        let row = serde_json::to_string(row).map_err(Failure::environment)?;
        writeln!(
            out,
            "{}{row}{}",
            if at == 0 { "[" } else { " " },
            if at + 1 == rows.len() { "]" } else { "," }
        )?;
    }
    out.flush()?;
    Ok(())
}

/// Which way a column's cells lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// A table for people.
#[derive(Debug)]
pub(super) struct Table {
    head: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these columns; a name that ends in `>` has its cells on the right.
    #[must_use]
    pub(super) fn new(columns: &[&'static str]) -> Self {
        let head = columns.iter().map(|name| match name.strip_suffix('>') {
            Some(name) => (name, Align::Right),
            None => (*name, Align::Left),
        });
        Self { head: head.collect(), rows: Vec::new() }
    }

    /// Adds a row. Control characters, which could act on the terminal, are shown instead of sent.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| visible(&cell)).collect());
    }

    /// The lines, the last column cut to the width of the terminal if there is one.
    #[must_use]
    pub(super) fn lines(&self, width: Option<usize>) -> Vec<String> {
        let mut widths: Vec<usize> = self.head.iter().map(|(name, _)| name.chars().count()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let head: Vec<String> = self.head.iter().map(|(name, _)| (*name).to_owned()).collect();
        std::iter::once(&head)
            .chain(&self.rows)
            .map(|row| {
                let mut line = String::new();
                for ((cell, (_, align)), cell_width) in row.iter().zip(&self.head).zip(&widths) {
                    match align {
                        Align::Left => line.push_str(&format!("{cell:<cell_width$}  ")),
                        Align::Right => line.push_str(&format!("{cell:>cell_width$}  ")),
                    }
                }
                cut(line.trim_end(), width)
            })
            .collect()
    }

    /// Prints it.
    ///
    /// # Errors
    /// If nobody reads it any more.
    pub(super) fn print(&self) -> Result<(), Failure> {
        let mut out = std::io::stdout().lock();
        for line in self.lines(terminal_width()) {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
        Ok(())
    }
}

/// A text with its control characters made visible.
#[must_use]
pub(super) fn visible(text: &str) -> String {
    if text.chars().any(char::is_control) { text.escape_debug().to_string() } else { text.to_owned() }
}

fn cut(line: &str, width: Option<usize>) -> String {
    match width {
        Some(width) if line.chars().count() > width && width > 1 => {
            line.chars().take(width - 1).chain(std::iter::once('…')).collect()
        }
        _ => line.to_owned(),
    }
}

fn terminal_width() -> Option<usize> {
    let out = std::io::stdout();
    out.is_terminal()
        .then(|| crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns)))
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_lie_on_the_right() {
        let mut table = Table::new(&["ALIAS", "PID>", "WHY"]);
        table.row(["a".into(), "7".into(), "first".into()]);
        table.row(["counter".into(), "1234".into(), "joined".into()]);
        assert_eq!(
            table.lines(None),
            ["ALIAS     PID  WHY", "a           7  first", "counter  1234  joined"]
        );
        assert_eq!(table.lines(Some(10))[1], "a        …");
    }

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(visible("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(visible("grüße"), "grüße");
    }
}
