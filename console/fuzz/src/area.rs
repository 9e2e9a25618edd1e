//! Files that are no stable area, or were one: looking into them gives an answer or an error.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use palib::core::ids::{AliasId, CallId, Incarnation, Mark, Origin, Session, SlotKey, TransId};
use palib::core::message::Outcome;
use palib::core::redundancy::{RedProcess, Row, RowState, WINDOW};
use palib::stable::redb::area_path;
use palib::stable::{
    AreaError, AreaWrite, Committed, Job, Names, Sink, Token, inspect_file, open_area, raise_fence,
};

const ALIAS: &str = "counter";
/// A file longer than this is no better than a shorter one.
const FILE_BYTES_MAX: usize = 1 << 20;

/// The first byte says what the rest is: a file as it is, or changes of an area that was closed (1) or whose owner was
/// killed (2): where, as four bytes, how many bytes, and these bytes.
pub(super) fn area(data: &[u8]) -> bool {
    let Some((kind, rest)) = data.split_first() else { return false };
    let file = match kind % 3 {
        0 => rest.to_vec(),
        1 => changed(&areas().0, rest),
        _ => changed(&areas().1, rest),
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("fuzzed.redb");
    fs::write(&path, &file).expect("a file");
    let understood = look(&path);
    assert!(fs::read(&path).expect("the file") == file, "looking changed it");
    understood
}

fn changed(base: &[u8], mut changes: &[u8]) -> Vec<u8> {
    let mut file = base.to_vec();
    while let [a, b, c, d, length, rest @ ..] = changes {
        let (bytes, rest) = rest.split_at(usize::from(*length).min(rest.len()));
        let at = u32::from_le_bytes([*a, *b, *c, *d]) as usize % FILE_BYTES_MAX;
        if *length == 0 {
            // No bytes: the file ends here.
            file.truncate(at);
        } else if at < file.len() {
            let end = (at + bytes.len()).min(file.len());
            file[at..end].copy_from_slice(&bytes[..end - at]);
        }
        changes = rest;
    }
    file
}

/// Asks everything that can be asked of an area, if it is one.
fn look(path: &Path) -> bool {
    let seen = match inspect_file(path) {
        Ok(seen) => seen,
        Err(error) => {
            refused(&error);
            return false;
        }
    };
    let check = seen.check();
    assert!(check.listed.len() as u64 <= check.damages);
    said(seen.summary());
    said(seen.outbox());
    said(seen.journal());
    said(seen.marks());
    said(seen.blocked());
    said(seen.rows(&NoNames, "", None, 100));
    for table in ["meta", "redundancy", "blocked", "marks", "outbox", "relay", "app"] {
        said(seen.browse(&NoNames, table, None, 100));
    }
    said(seen.read(&mut |app| said(app.scan(b"", &mut |_, _| true))));
    true
}

fn said<T>(answer: Result<T, AreaError>) {
    if let Err(error) = answer {
        refused(&error);
    }
}

fn refused(error: &AreaError) {
    assert!(!error.to_string().is_empty(), "refused without a word");
}

struct NoNames;

impl Names for NoNames {
    fn alias(&self, _: AliasId) -> Option<String> {
        None
    }
}

/// A small area with something in its tables: after it was closed, and as its owner leaves it when it is killed.
fn areas() -> &'static (Vec<u8>, Vec<u8>) {
    static AREAS: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    AREAS.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        raise_fence(folder.path(), ALIAS, Incarnation(1)).expect("a fence");
        let (told, committed) = mpsc::channel();
        let area = open_area(folder.path(), ALIAS, AliasId(7), Incarnation(1), Arc::new(Told(told)), None);
        let area = area.expect("a new area");
        area.submit(Job { incarnation: Incarnation(1), writes: writes(), token: Token::Other(0) });
        committed.recv().expect("the writer lives");
        let path = area_path(folder.path(), ALIAS);
        let killed = fs::read(&path).expect("the file");
        area.close().expect("closed");
        drop(area);
        (fs::read(&path).expect("the file"), killed)
    })
}

fn writes() -> Vec<AreaWrite> {
    let session = Session { source: AliasId(3), born: Incarnation(1) };
    let row = |trans: u64, state: RowState<Bytes>| {
        let trans = TransId(trans);
        let id = CallId { source: session.source, origin: Origin::Incarnation(session.born), trans };
        AreaWrite::Row { key: SlotKey::of(session, trans, WINDOW), row: Row { id, digest: 7, state } }
    };
    let reply = |text: &'static str| Outcome::Reply(Bytes::from_static(text.as_bytes()));
    let mut writes: Vec<AreaWrite> = (0..20)
        .map(|trans| row(trans, RowState::Registered(RedProcess::AutoReply(reply("a reply")))))
        .collect();
    writes.push(row(30, RowState::Blocked { request: Bytes::from_static(b"create") }));
    let mark = Mark { born: session.born, trans: TransId(2) };
    writes.push(AreaWrite::Mark { source: session.source, mark });
    writes.push(AreaWrite::App(Box::new(move |app| {
        app.put(b"count", Bytes::from_static(&[20]));
        reply("20")
    })));
    writes
}

struct Told(Sender<()>);

impl Sink for Told {
    fn committed(&self, _: Vec<Committed>) {
        let _ = self.0.send(());
    }

    fn fatal(&self, error: AreaError) {
        panic!("{error}");
    }
}
