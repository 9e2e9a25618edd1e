//! Reading and merging histories.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{History, Line, Meta, Place};

/// Why a history can't be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file can't be opened, read or written.
    #[error("{file}: {error}")]
    Io {
        /// The file.
        file: String,
        /// The operating system's words.
        error: std::io::Error,
    },
    /// A line is no line of a history.
    #[error(
        "{file}:{line}: not a line of a history: {reason}. \
         Each line is {{\"process\", \"op\", \"key\", \"arg\", \"result\", \"id\", \"invoke_ns\", \"return_ns\", \"status\"}}"
    )]
    Line {
        /// The file.
        file: String,
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Two meta lines contradict each other.
    #[error("{file}:{line}: another meta line says otherwise of the same target; a service begins only once")]
    Meta {
        /// The file of the second one.
        file: String,
        /// Its number.
        line: usize,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MetaLine {
    meta: Meta,
}

/// Reads history files into one history.
///
/// # Errors
/// If a file can't be read or a line is none of a history.
pub fn read<P: AsRef<Path>>(paths: &[P]) -> Result<History, HistoryError> {
    let mut history = History::default();
    for path in paths {
        let path = path.as_ref();
        let file = File::open(path).map_err(|error| io(path, error))?;
        take_in(&mut history, path, BufReader::with_capacity(1 << 16, file))?;
    }
    Ok(history)
}

/// Reads a history from text; `name` is what errors call it.
///
/// # Errors
/// If a line is none of a history.
pub fn parse(name: &str, text: &str) -> Result<History, HistoryError> {
    let mut history = History::default();
    take_in(&mut history, Path::new(name), text.as_bytes())?;
    Ok(history)
}

/// The history files of a folder, in the order of their names.
///
/// # Errors
/// If the folder can't be read.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>, HistoryError> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| io(folder, error))? {
        let path = entry.map_err(|error| io(folder, error))?.path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Writes one file with the meta lines and then all calls in the order in which they were first asked. Returns how
/// many calls it has. Lines of one call stay apart: that the same id got the same answer is for `check` to see.
///
/// # Errors
/// If a file can't be read or written.
pub fn merge<P: AsRef<Path>>(paths: &[P], into: &Path) -> Result<usize, HistoryError> {
    let mut history = read(paths)?;
    history.lines.sort_by_key(|(_, line)| line.invoke_ns);
    let failed = |error| io(into, error);
    let mut out = BufWriter::new(File::create(into).map_err(failed)?);
    for meta in history.metas.values() {
        let line = serde_json::json!({ "meta": meta });
        writeln!(out, "{line}").map_err(failed)?;
    }
    for (_, line) in &history.lines {
        let text = serde_json::to_string(line).map_err(|error| io(into, error.into()))?;
        writeln!(out, "{text}").map_err(failed)?;
    }
    out.flush().map_err(failed)?;
    Ok(history.lines.len())
}

fn io(path: &Path, error: std::io::Error) -> HistoryError {
    HistoryError::Io { file: path.display().to_string(), error }
}

fn take_in(history: &mut History, path: &Path, mut from: impl std::io::BufRead) -> Result<(), HistoryError> {
    let name = path.display().to_string();
    let file = history.files.len();
    history.files.push(name.clone());
    let mut bytes = Vec::new();
    let mut number = 0;
    loop {
        bytes.clear();
        if from.read_until(b'\n', &mut bytes).map_err(|error| io(path, error))? == 0 {
            return Ok(());
        }
        number += 1;
        let whole = bytes.last() == Some(&b'\n');
        let text = bytes.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match serde_json::from_slice::<Line>(text) {
            Ok(line) => history.lines.push((Place { file, line: number }, line)),
            Err(_) if text.starts_with(b"{\"meta\"") => take_meta(history, &name, number, text)?,
            // A writer was killed inside this line. Its successor ends it before it writes its own.
            Err(error) if error.is_eof() || !whole => history.torn += 1,
            Err(error) => {
                return Err(HistoryError::Line { file: name, line: number, reason: error.to_string() });
            }
        }
        if !whole {
            // The end, also if its writer has just gone on: what it adds is the rest of this line and no line of its own.
            return Ok(());
        }
    }
}

fn take_meta(history: &mut History, file: &str, line: usize, text: &[u8]) -> Result<(), HistoryError> {
    let MetaLine { meta } = serde_json::from_slice(text).map_err(|error| HistoryError::Line {
        file: file.to_owned(),
        line,
        reason: error.to_string(),
    })?;
    let target = meta.target.clone().unwrap_or_default();
    let known = history.metas.entry(target).or_insert_with(|| meta.clone());
    if *known == meta { Ok(()) } else { Err(HistoryError::Meta { file: file.to_owned(), line }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Status;

    const INC: &str = r#"{"process":"caller-1","op":"inc","key":"k1","arg":2,"result":7,"id":"caller/i1/4","invoke_ns":10,"return_ns":20,"status":"ok"}"#;

    #[test]
    fn a_line_is_read_as_the_caller_wrote_it() {
        let history = parse("h", &format!("{INC}\n")).unwrap();
        let (place, line) = &history.lines[0];
        assert_eq!((place.line, line.status, line.invoke_ns), (1, Status::Ok, 10));
        assert_eq!(history.place(0), "h:1");
    }

    #[test]
    fn a_line_cut_by_the_death_of_its_writer_is_counted_and_left_out() {
        let cut = &INC[..INC.len() - 9];
        let history = parse("h", &format!("{INC}\n{cut}\n{INC}\n{cut}")).unwrap();
        assert_eq!((history.lines.len(), history.torn), (2, 2));
    }

    /// A file that grows while it is read: each piece is all there is, until it is asked again.
    struct Growing(std::collections::VecDeque<String>);

    impl std::io::Read for Growing {
        fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
            let piece = self.0.pop_front().unwrap_or_default();
            out[..piece.len()].copy_from_slice(piece.as_bytes());
            Ok(piece.len())
        }
    }

    #[test]
    fn a_line_whose_rest_is_written_while_it_is_read_is_no_nonsense() {
        let (begun, rest) = INC.split_at(40);
        let pieces = [format!("{INC}\n{begun}"), String::new(), format!("{rest}\n"), String::new()];
        let mut history = History::default();
        take_in(&mut history, Path::new("h"), BufReader::new(Growing(pieces.into()))).unwrap();
        assert_eq!((history.lines.len(), history.torn), (1, 1));
    }

    #[test]
    fn nonsense_is_refused_with_its_place() {
        let error = parse("h", &format!("{INC}\n{{\"op\": 1}}\n")).unwrap_err();
        assert!(error.to_string().starts_with("h:2:"), "{error}");
    }

    #[test]
    fn meta_lines_that_contradict_each_other_are_refused() {
        let a = r#"{"meta":{"target":"ledger","opening":5}}"#;
        let b = r#"{"meta":{"target":"ledger","opening":6}}"#;
        assert_eq!(parse("h", &format!("{a}\n{a}\n")).unwrap().opening("ledger"), 5);
        assert!(matches!(parse("h", &format!("{a}\n{b}\n")), Err(HistoryError::Meta { line: 2, .. })));
    }

    #[test]
    fn merging_keeps_every_line_and_puts_them_in_order_of_time() {
        let folder = tempfile::tempdir().unwrap();
        let late = INC.replace("\"invoke_ns\":10", "\"invoke_ns\":15");
        std::fs::write(folder.path().join("a.jsonl"), format!("{late}\n")).unwrap();
        std::fs::write(folder.path().join("b.jsonl"), format!("{INC}\n")).unwrap();
        let merged = folder.path().join("all");
        assert_eq!(merge(&files_in(folder.path()).unwrap(), &merged).unwrap(), 2);
        let history = read(&[merged]).unwrap();
        let times: Vec<u64> = history.lines.iter().map(|(_, line)| line.invoke_ns).collect();
        assert_eq!(times, [10, 15]);
    }
}
