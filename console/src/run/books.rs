//! What lies in the stable areas when a cluster is down: nothing half done, nothing that grows, and sums as the callers
//! have them.

use std::collections::{BTreeMap, BTreeSet};

use palib::stable::{AreaError, Inspection, inspect_file};
use serde_json::{Value, json};

use crate::cluster::ClusterFile;
use crate::history::{History, Status};
use crate::state::StateFolder;

/// A session of a source alias has a ring of so many slots in a redundancy table, and a source has two sessions at most
/// that are not done: its own and the one before.
const ROWS_PER_SOURCE_MAX: u64 = 2 * palib::limits::WINDOW as u64;

/// Numbers by their keys.
type Book = BTreeMap<String, u64>;

/// Reads the areas, and says what should not be.
pub(super) fn audit(
    file: &ClusterFile,
    state: &StateFolder,
    history: &History,
) -> Result<Vec<Value>, AreaError> {
    let mut wrong: Vec<Value> = Vec::new();
    let mut add = |kind: &str, text: String| wrong.push(json!({ "kind": kind, "text": text }));
    let mut areas: BTreeMap<&str, Inspection> = BTreeMap::new();
    for alias in &file.aliases {
        let path = state.area(&alias.name);
        // An alias that never had anybody in service has none.
        if path.exists() {
            areas.insert(&alias.name, inspect_file(&path)?);
        }
    }
    for (alias, area) in &areas {
        let open = area.outbox()?.len();
        if open > 0 {
            add("open_calls", format!("{alias}: {open} calls are still in its outbox"));
        }
        let blocked = area.blocked()?.len();
        if blocked > 0 {
            add("half_done", format!("{alias}: {blocked} calls are half done"));
        }
        let sources = area.marks()?.len() as u64;
        let tables = area.summary()?.tables;
        let rows = tables.iter().find(|table| table.name == "redundancy").map_or(0, |table| table.rows);
        if rows > ROWS_PER_SOURCE_MAX * sources.max(1) {
            add("unbounded", format!("{alias}: {rows} rows of {sources} sources in its redundancy table"));
        }
    }
    for text in compare_sums(&areas, history)? {
        add("sums", text);
    }
    Ok(wrong)
}

/// Counters that were only added to hold the sum of what was acknowledged.
fn compare_sums(areas: &BTreeMap<&str, Inspection>, history: &History) -> Result<Vec<String>, AreaError> {
    let mut wanted: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let lines = history.lines.iter().map(|(_, line)| line);
    for line in lines.filter(|line| line.op == "add" && line.status == Status::Ok) {
        // A caller that was killed after it wrote a line has written it again.
        if line.id.as_deref().is_some_and(|id| !seen.insert(id)) {
            continue;
        }
        let key = (line.target.as_deref().unwrap_or_default(), line.key.as_deref().unwrap_or_default());
        *wanted.entry(key).or_default() += line.arg.as_u64().unwrap_or(0);
    }
    let mut wrong = Vec::new();
    for ((server, key), sum) in wanted {
        let Some(area) = areas.get(server) else { continue };
        let found = entries(area, "counter/")?.get(key).copied().unwrap_or(0);
        if found != sum {
            wrong.push(format!("{server}: {sum} was acknowledged for {key}, {found} is there"));
        }
    }
    Ok(wrong)
}

/// What a service has under keys of this prefix, where the values are numbers.
fn entries(area: &Inspection, prefix: &str) -> Result<Book, AreaError> {
    let mut book = Book::new();
    let mut scanned = Ok(());
    area.read(&mut |app| {
        scanned = app.scan(prefix.as_bytes(), &mut |key, value| {
            let key = String::from_utf8_lossy(&key[prefix.len()..]).into_owned();
            book.insert(key, postcard::from_bytes(value).unwrap_or(0));
            true
        });
    })?;
    scanned.map(|()| book)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Sender, channel};

    use bytes::Bytes;
    use palib::core::ids::{AliasId, Incarnation};
    use palib::core::message::Outcome;
    use palib::stable::{AppWrite, AreaWrite, Committed, Job, Sink, Token, open_area, raise_fence};
    use parking_lot::Mutex;

    use super::*;

    const FILE: &str = r#"
name = "c"
[aliases.counter]
kind = "counter"
"#;

    struct Tell(Mutex<Sender<()>>);

    impl Sink for Tell {
        fn committed(&self, _: Vec<Committed>) {
            let _ = self.0.lock().send(());
        }

        fn fatal(&self, error: AreaError) {
            panic!("{error}");
        }
    }

    /// Makes an area with these entries, and leaves it at rest.
    fn area(state: &StateFolder, alias: &str, entries: &'static [(&'static str, u64)]) {
        let (tell, told) = channel();
        let sink = Arc::new(Tell(Mutex::new(tell)));
        raise_fence(&state.areas(), alias, Incarnation(1)).expect("a fence");
        let area = open_area(&state.areas(), alias, AliasId(1), Incarnation(1), sink).expect("an area");
        let put = move |app: &mut dyn AppWrite| {
            for (key, value) in entries {
                app.put(key.as_bytes(), postcard::to_stdvec(value).expect("a number").into());
            }
            Outcome::Reply(Bytes::new())
        };
        let writes = vec![AreaWrite::App(Box::new(put))];
        area.submit(Job { incarnation: Incarnation(1), writes, token: Token::Other(1) });
        told.recv().expect("it is committed");
        area.close().expect("it is closed");
    }

    fn history(lines: &[&str]) -> History {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("h.jsonl");
        let whole = |line: &&str| {
            format!("{{\"process\":\"c\",\"invoke_ns\":1,\"return_ns\":2,\"status\":\"ok\",{line}}}\n")
        };
        std::fs::write(&path, lines.iter().map(whole).collect::<String>()).expect("a file");
        crate::history::read(&[path]).expect("a history")
    }

    #[test]
    fn sums_that_are_not_what_was_acknowledged_are_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::of(folder.path(), "c").expect("a name");
        state.create().expect("a state folder");
        let file = ClusterFile::parse("c.toml", FILE).expect("a cluster file");
        area(&state, "counter", &[("counter/k", 7), ("counter/other", 1)]);
        let add = r#""target":"counter","op":"add","key":"k","arg":5,"result":"added","id":"c/i1/9""#;
        // A caller that was killed in between writes a line twice; it is one call.
        let found = audit(&file, &state, &history(&[add, add])).expect("areas that can be read");
        let texts: Vec<&str> = found.iter().filter_map(|it| it["text"].as_str()).collect();
        assert_eq!(texts, ["counter: 5 was acknowledged for k, 7 is there"]);
    }
}
