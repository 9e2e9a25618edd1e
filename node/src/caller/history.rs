//! The history of a caller: a line for each call, on its way to the disk before the call is dropped from the outbox.
//!
//! A caller killed between the two leaves the line, and its backup asks again and writes another one for the same id,
//! which must say the same. The other way round a call could be missing.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use super::request::{Answer, Request};
use crate::NodeError;

/// A file of lines.
pub(super) struct History {
    file: File,
    process: String,
}

/// A call that has ended, or that is given up waiting for.
pub(super) struct Entry<'a> {
    pub(super) id: &'a str,
    pub(super) target: &'a str,
    /// The text that was sent.
    pub(super) body: &'a str,
    pub(super) invoke_ns: u64,
    /// When it ended and how; none: nobody knows.
    pub(super) ended: Option<(u64, Result<Answer, String>)>,
}

impl History {
    /// Opens a process's history in this folder; lines are added behind those of former runs.
    pub(super) fn open(folder: &Path, process: &str) -> Result<Self, NodeError> {
        std::fs::create_dir_all(folder).map_err(|error| NodeError::io(folder, error))?;
        let path = folder.join(format!("{process}.jsonl"));
        let opened =
            OpenOptions::new().read(true).append(true).create(true).open(&path).and_then(|mut file| {
                end_last_line(&mut file)?;
                Ok(file)
            });
        let file = opened.map_err(|error| NodeError::io(&path, error))?;
        Ok(Self { file, process: process.to_owned() })
    }

    /// Writes a line, in one piece.
    pub(super) fn write(&mut self, entry: &Entry<'_>) -> std::io::Result<()> {
        let mut line = self.line(entry).to_string();
        line.push('\n');
        self.file.write_all(line.as_bytes())
    }

    fn line(&self, entry: &Entry<'_>) -> Value {
        let request = Request::parse(entry.body);
        let (op, key, arg) = match &request {
            Some(request) => request.shown(),
            None => ("call", None, json!(entry.body)),
        };
        let (status, result, return_ns) = match &entry.ended {
            Some((at, Ok(answer))) => ("ok", answer.result.clone(), Some(at)),
            Some((at, Err(text))) => ("fail", json!(text), Some(at)),
            None => ("info", Value::Null, None),
        };
        let mut line = json!({
            "process": self.process, "target": entry.target, "op": op, "key": key, "arg": arg, "result": result,
            "id": entry.id, "invoke_ns": entry.invoke_ns, "return_ns": return_ns, "status": status,
        });
        if let Some((_, Ok(Answer { number: Some(number), .. }))) = &entry.ended {
            line["number"] = json!(number);
        }
        line
    }
}

/// A former run may have been killed inside its last line.
fn end_last_line(file: &mut File) -> std::io::Result<()> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    if last == [b'\n'] { Ok(()) } else { file.write_all(b"\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: &str) -> Entry<'_> {
        let ended = Some((20, Ok(Answer { result: json!(7), number: Some(3) })));
        Entry { id, target: "counter", body: "inc k1 5", invoke_ns: 10, ended }
    }

    #[test]
    fn a_line_says_what_was_asked_and_answered() {
        let folder = tempfile::tempdir().unwrap();
        History::open(folder.path(), "caller-1").unwrap().write(&entry("caller/i1/4")).unwrap();
        let text = std::fs::read_to_string(folder.path().join("caller-1.jsonl")).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        let expected = json!({
            "process": "caller-1", "target": "counter", "op": "inc", "key": "k1", "arg": 5, "result": 7,
            "id": "caller/i1/4", "invoke_ns": 10, "return_ns": 20, "status": "ok", "number": 3,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn a_line_that_was_cut_is_ended_before_the_next_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("caller-1.jsonl");
        std::fs::write(&path, "{\"process\":\"ca").unwrap();
        History::open(folder.path(), "caller-1").unwrap().write(&entry("caller/i1/4")).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(serde_json::from_str::<Value>(lines[1]).is_ok());
    }
}
