//! What lies in the stable areas when a cluster is down: nothing half done, nothing that grows, and sums as the callers
//! have them.

use std::collections::{BTreeMap, BTreeSet};

use palib::stable::{AreaError, Inspection, inspect_file};
use serde_json::{Value, json};

use super::orders;
use crate::cluster::{AliasSpec, ClusterFile};
use crate::history::{History, Status};
use crate::state::StateFolder;

/// A session of a source alias has a ring of so many slots in a redundancy table, and a source has two sessions at most
/// that are not done: its own and the one before.
const ROWS_PER_SOURCE_MAX: u64 = 2 * palib::limits::WINDOW as u64;

/// A relay keeps its calls for a completed call of another relay until that one can't cancel it any more. It has at most
/// so many of them for each row of its redundancy table: `orders` makes the most.
const CALLS_EACH_MAX: u64 = 4;

/// Numbers by their keys.
pub(super) type Book = BTreeMap<String, u64>;

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
        let rows = |name: &str| tables.iter().find(|table| table.name == name).map_or(0, |table| table.rows);
        let journal = rows("journal");
        if journal > 0 && !may_be_cancelled(file, alias) {
            add("half_done", format!("{alias}: {journal} calls are in the journal of its relays"));
        }
        if journal > CALLS_EACH_MAX * ROWS_PER_SOURCE_MAX * sources.max(1) {
            add(
                "unbounded",
                format!("{alias}: {journal} calls of {sources} sources in the journal of its relays"),
            );
        }
        let rows = rows("redundancy");
        if rows > ROWS_PER_SOURCE_MAX * sources.max(1) {
            add("unbounded", format!("{alias}: {rows} rows of {sources} sources in its redundancy table"));
        }
    }
    for text in compare_sums(file, &areas, history)? {
        add("sums", text);
    }
    for text in orders::audit(file, &areas, history)? {
        add("orders", text);
    }
    Ok(wrong)
}

/// Whether a relay may call this alias: then what it called itself is kept for a while after it has answered.
fn may_be_cancelled(file: &ClusterFile, alias: &str) -> bool {
    let relays = file.aliases.iter().filter(|relay| relay.kind.as_deref() != Some("caller"));
    relays.into_iter().any(|relay| {
        // Nobody knows whom a command of the user's own calls.
        relay.kind.is_none() && relay.name != alias || goes_on_to(relay).any(|to| to == alias)
    })
}

/// Whom a stock relay passes calls on to.
fn goes_on_to(relay: &AliasSpec) -> impl Iterator<Item = &str> {
    let options = ["to", "substitute"].into_iter().filter(|_| relay.kind.as_deref() == Some("relay"));
    options.filter_map(|option| relay.options.get(option)?.as_str())
}

/// The servers that a call to this alias ends at, through any number of relays.
fn ends_at<'a>(file: &'a ClusterFile, alias: &'a str) -> BTreeSet<&'a str> {
    let (mut ends, mut seen, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![alias]);
    while let Some(alias) = open.pop() {
        let relay = file.alias(alias).filter(|it| it.kind.as_deref() == Some("relay"));
        match relay {
            Some(relay) if seen.insert(alias) => open.extend(goes_on_to(relay)),
            Some(_) => {}
            None => {
                ends.insert(alias);
            }
        }
    }
    ends
}

/// Counters that were only added to hold the sum of what was acknowledged. Where one of several servers may have been
/// called they hold it together.
fn compare_sums(
    file: &ClusterFile,
    areas: &BTreeMap<&str, Inspection>,
    history: &History,
) -> Result<Vec<String>, AreaError> {
    let mut wanted: BTreeMap<(BTreeSet<&str>, &str), u64> = BTreeMap::new();
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let lines = history.lines.iter().map(|(_, line)| line);
    for line in lines.filter(|line| line.op == "add" && line.status == Status::Ok) {
        // A caller that was killed after it wrote a line has written it again.
        if line.id.as_deref().is_some_and(|id| !seen.insert(id)) {
            continue;
        }
        let servers = ends_at(file, line.target.as_deref().unwrap_or_default());
        let key = (servers, line.key.as_deref().unwrap_or_default());
        *wanted.entry(key).or_default() += line.arg.as_u64().unwrap_or(0);
    }
    let mut wrong = Vec::new();
    for ((servers, key), sum) in wanted {
        let (mut found, mut names) = (0, Vec::new());
        for (name, area) in areas.iter().filter(|(name, _)| servers.contains(*name)) {
            found += entries(area, "counter/")?.get(key).copied().unwrap_or(0);
            names.push(*name);
        }
        if found != sum && !names.is_empty() {
            let servers = names.join(" and ");
            wrong.push(format!("{servers}: {sum} was acknowledged for {key}, {found} is there"));
        }
    }
    Ok(wrong)
}

/// What a service has under keys of this prefix, where the values are numbers.
pub(super) fn entries(area: &Inspection, prefix: &str) -> Result<Book, AreaError> {
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
        let area = open_area(&state.areas(), alias, AliasId(1), Incarnation(1), sink, None).expect("an area");
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

    fn audited(file: &str, areas: &[(&str, &'static [(&'static str, u64)])], lines: &[&str]) -> Vec<String> {
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::of(folder.path(), "c").expect("a name");
        state.create().expect("a state folder");
        let file = ClusterFile::parse("c.toml", file).expect("a cluster file");
        areas.iter().for_each(|(alias, entries)| area(&state, alias, entries));
        let found = audit(&file, &state, &history(lines)).expect("areas that can be read");
        found.iter().filter_map(|it| Some(it["text"].as_str()?.to_owned())).collect()
    }

    #[test]
    fn sums_are_looked_for_behind_relays_and_in_both_places_where_one_may_stand_for_the_other() {
        let file = r#"
name = "c"
aliases.main = { kind = "counter" }
aliases.spare = { kind = "counter" }
aliases.second = { kind = "relay", options = { to = "main", substitute = "spare" } }
aliases.first = { kind = "relay", options = { to = "second" } }
"#;
        let add = r#""target":"first","op":"add","key":"k","arg":5,"result":"added","id":"c/i1/9""#;
        let areas = |spare| [("main", &[("counter/k", 2)][..]), ("spare", spare), ("first", &[][..])];
        assert_eq!(audited(file, &areas(&[("counter/k", 3)]), &[add]), [""; 0]);
        let found = audited(file, &areas(&[("counter/k", 8)]), &[add]);
        assert_eq!(found, ["main and spare: 5 was acknowledged for k, 10 is there"]);
    }

    const SHOP: &str = r#"
name = "c"
aliases.orders = { kind = "orders" }
aliases.stock = { kind = "stock" }
aliases.payments = { kind = "payments" }
aliases.shipping = { kind = "shipping" }
"#;
    const ORDERED: &str = r#""target":"orders","op":"order","result":1,"id":"c/i1/1""#;

    #[test]
    fn a_shop_in_which_each_order_has_one_of_each_is_in_order() {
        let areas = [
            ("orders", &[("order/c/i1/1", 1)][..]),
            ("stock", &[("reservation/c/i1/1", 1)]),
            ("payments", &[("payment/c/i1/1", 1), ("takings", 20)]),
            ("shipping", &[("shipment/c/i1/1", 1)]),
        ];
        assert_eq!(audited(SHOP, &areas, &[ORDERED]), [""; 0]);
    }

    #[test]
    fn what_an_order_has_too_little_and_what_is_there_too_much_is_told() {
        let areas = [
            ("orders", &[("order/c/i1/1", 1), ("order/c/i1/3", 3)][..]),
            ("stock", &[("reservation/c/i1/1", 2), ("reservation/c/i1/3", 1)]),
            ("payments", &[("payment/c/i1/1", 1), ("payment/c/i1/2", 1), ("payment/c/i1/3", 1)]),
            ("shipping", &[("shipment/c/i1/3", 1)]),
        ];
        let other = ORDERED.replace("1\"", "4\"").replace(":1,", ":4,");
        let found = audited(SHOP, &areas, &[ORDERED, &other]);
        assert_eq!(
            found,
            [
                "orders: order c/i1/4 was answered Some(4), and is None in its book",
                "orders: nobody ordered c/i1/3, and it is in the book",
                "stock: order c/i1/1 has its reservation 2 times",
                "payments: there is a payment for c/i1/2, which is no order",
                "shipping: order c/i1/1 has no shipment",
            ]
        );
    }

    #[test]
    fn an_order_that_failed_and_is_in_a_book_is_told() {
        let failed = r#"{"process":"c","invoke_ns":1,"return_ns":2,"status":"fail","target":"orders","op":"order","result":"card declined","id":"c/i1/1"}"#;
        let history = crate::history::parse("h", &format!("{failed}\n")).expect("a history");
        let file = ClusterFile::parse("c.toml", SHOP).expect("a cluster file");
        let folder = tempfile::tempdir().expect("a folder");
        let state = StateFolder::of(folder.path(), "c").expect("a name");
        state.create().expect("a state folder");
        area(&state, "orders", &[]);
        area(&state, "stock", &[("reservation/c/i1/1", 1)]);
        let found = audit(&file, &state, &history).expect("areas that can be read");
        let texts: Vec<&str> = found.iter().filter_map(|it| it["text"].as_str()).collect();
        assert_eq!(texts, ["stock: there is a reservation for c/i1/1, which is no order"]);
    }
}
