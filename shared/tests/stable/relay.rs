//! What relays leave in a stable area.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use palib::core::ids::{AliasId, TransId};
use palib::core::message::Outcome;
use palib::core::redundancy::{RedProcess, Row, RowState};
use palib::core::relay::{Course, Journaled, Served};
use palib::core::server::OnFailure;
use palib::stable::redb::DiskSeam;
use palib::stable::{AppWrite, AreaWrite, AtomicClosure, StableArea, inspect_file};

use crate::support::{
    OneName, Opened, Place, adding, adding_in_vain, call, journaled, key_of, put, relaying_row, reply_row,
    served,
};

fn in_state(trans: u64, state: RowState<Bytes>) -> Row<Bytes> {
    Row { id: call(7, 1, trans), digest: u128::from(trans), state }
}

fn undoing(trans: u64) -> Row<Bytes> {
    let RowState::Registered(process) = reply_row(7, 1, trans, "shipped").state else { unreachable!() };
    in_state(trans, RowState::Undoing(process))
}

#[test]
fn a_relaying_row_is_found_through_the_index_until_its_outcome_is_registered() {
    let place = Place::new();
    let area = place.open();
    area.write((1..=900).map(|trans| put(reply_row(3, 1, trans, "done"))).collect());
    let forward = relaying_row(3, 1, 901, Course::Forward);
    area.write(vec![put(forward.clone()), put(undoing(1)), put(relaying_row(2, 1, 4, Course::Forward))]);
    let back = relaying_row(2, 1, 4, Course::Failing("sold out".into()));
    area.write(vec![put(back.clone())]);
    let area = place.copy_as_after_a_kill().open();
    // As many records are looked at as there are entries, whatever the table has.
    let entries = area.area.summary().tables.into_iter().find(|table| table.name == "blocked").unwrap().rows;
    assert_eq!(entries, 2);
    assert_eq!(area.area.blocked().unwrap(), [(key_of(2, 1, 4), back), (key_of(3, 1, 901), forward)]);
    area.write(vec![put(reply_row(3, 1, 901, "done")), put(reply_row(2, 1, 4, "done"))]);
    assert_eq!(area.area.blocked().unwrap(), []);
}

#[test]
fn a_row_says_where_its_call_stands_in_a_relay() {
    let place = Place::new();
    let area = place.open();
    let handler = RedProcess::Handler { index: 2, arg: "arg".into() };
    area.write(vec![
        put(relaying_row(7, 1, 1, Course::Forward)),
        put(relaying_row(7, 1, 2, Course::Back)),
        put(relaying_row(7, 1, 3, Course::Failing("sold out".into()))),
        put(undoing(4)),
        put(in_state(5, RowState::Undoing(handler))),
        put(in_state(6, RowState::Cancelled { undone: true })),
    ]);
    let rows = area.area.rows(&OneName, "", None, 10).unwrap().rows;
    let words: Vec<_> = rows
        .iter()
        .map(|row| (row.state.as_str(), row.process_type.as_str(), row.text.as_deref(), row.failed))
        .collect();
    assert_eq!(
        words,
        [
            ("relaying", "", Some("order 1"), false),
            ("rolling_back", "", Some("order 2"), false),
            ("rolling_back", "", Some("order 3"), false),
            ("undoing", "AUTO_REPLY", Some("shipped"), false),
            ("undoing", "HANDLER 2", Some("arg"), false),
            ("cancelled", "", None, false),
        ]
    );
    let shown = area.area.browse(&OneName, "redundancy", None, 10).unwrap().rows;
    let says = |row: usize, line: &str| {
        assert!(shown[row].value.lines().any(|has| has == line), "{line}: {}", shown[row].value);
    };
    says(0, "after a takeover: roll-back");
    says(0, "its caller may cancel it: true");
    says(2, "failure to be registered: sold out");
    says(2, "body: order 3");
    says(5, "was executed and undone: true");
}

/// The first call on of a transaction, as a relay puts it.
fn begin(trans: u64) -> Vec<AreaWrite> {
    let row = put(relaying_row(3, 1, trans, Course::Forward));
    vec![row, AreaWrite::Journal(Box::new(journaled(served(3, 1, trans), &[1], 100 + trans, None)))]
}

/// Its end, as a relay puts it.
fn complete(trans: u64) -> Vec<AreaWrite> {
    vec![put(reply_row(3, 1, trans, "shipped")), AreaWrite::CloseJournal(served(3, 1, trans))]
}

fn places(area: &Opened) -> Vec<(Served, String)> {
    let rows = area.area.journal().unwrap();
    rows.into_iter().map(|row| (row.served, row.position.to_string())).collect()
}

#[test]
fn the_journal_is_the_same_after_its_owner_was_killed_and_is_ordered_by_calls_and_positions() {
    let place = Place::new();
    let area = place.open();
    let shipped = Some(Outcome::Reply("shipped".into()));
    let refused = Some(Outcome::Failed("sold out".into()));
    // In the order they shall be read in.
    let rows: [Journaled<Bytes>; 6] = [
        journaled(served(3, 1, 7), &[1], 40, refused),
        journaled(served(3, 1, 7), &[2], 30, None),
        journaled(served(3, 1, 7), &[2, 1], 20, None),
        journaled(served(3, 1, 7), &[2, 300], 21, shipped),
        journaled(served(3, 1, 300), &[1], 22, None),
        journaled(served(3, 2, 6), &[1], 10, None),
    ];
    for row in rows.iter().rev() {
        area.write(vec![AreaWrite::Journal(Box::new(row.clone()))]);
    }
    assert_eq!(area.area.journal().unwrap(), rows);
    let killed = place.copy_as_after_a_kill();
    assert_eq!(inspect_file(&killed.path()).unwrap().journal().unwrap(), rows);
    assert_eq!(killed.open().area.journal().unwrap(), rows);
}

#[test]
fn a_row_of_the_journal_takes_the_place_of_what_lay_at_its_position() {
    let place = Place::new();
    let area = place.open();
    let open = journaled(served(3, 1, 7), &[1], 40, None);
    area.write(vec![AreaWrite::Journal(Box::new(open.clone()))]);
    let answered = Journaled { answer: Some(Outcome::Reply("shipped".into())), ..open };
    let next = journaled(served(3, 1, 7), &[2], 41, None);
    // As an answer is written: along with the next call.
    area.write(vec![
        AreaWrite::Journal(Box::new(answered.clone())),
        AreaWrite::Journal(Box::new(next.clone())),
    ]);
    assert_eq!(area.area.journal().unwrap(), [answered.clone(), next]);
    let substitute = journaled(served(3, 1, 7), &[2], 42, None);
    area.write(vec![AreaWrite::Journal(Box::new(substitute.clone()))]);
    assert_eq!(area.area.journal().unwrap(), [answered, substitute]);
}

#[test]
fn closing_a_journal_drops_the_rows_of_its_call_and_no_others() {
    let place = Place::new();
    let area = place.open();
    // Neighbours in each part of the key, and numbers after which nothing comes.
    let calls = [(2, 1, 7), (3, 1, 6), (3, 1, 7), (3, 1, 8), (3, 2, 7), (4, 1, 7)];
    let last = [(3, 1, u64::MAX), (u32::MAX, u64::MAX, u64::MAX)];
    for (source, born, trans) in calls.into_iter().chain(last) {
        let served = served(source, born, trans);
        for position in [&[1][..], &[2, 1], &[2, u16::MAX], &[u16::MAX; 9]] {
            area.submit(vec![AreaWrite::Journal(Box::new(journaled(served, position, 1, None)))]);
        }
    }
    area.write(vec![AreaWrite::CloseJournal(served(3, 1, 7))]);
    let left: Vec<Served> = [calls[0], calls[1], calls[3], last[0], calls[4], calls[5], last[1]]
        .map(|(s, b, t)| served(s, b, t))
        .into();
    let mut found: Vec<Served> = places(&area).into_iter().map(|(served, _)| served).collect();
    assert_eq!(found.len(), 4 * left.len());
    found.dedup();
    assert_eq!(found, left);
    for (source, born, trans) in last {
        area.write(vec![AreaWrite::CloseJournal(served(source, born, trans))]);
    }
    // One that has no rows is closed without a word.
    area.write(vec![AreaWrite::CloseJournal(served(3, 1, 7))]);
    assert_eq!(places(&area).len(), 4 * (left.len() - 2));
}

#[test]
fn a_mark_leaves_the_journal_to_the_relay() {
    let place = Place::new();
    let area = place.open();
    let all = [served(2, 1, 7), served(3, 1, 7), served(3, 9, 7), served(4, 1, 7)];
    area.write(all.map(|served| AreaWrite::Journal(Box::new(journaled(served, &[1], 1, None)))).into());
    area.write(vec![crate::support::mark(3, 9, 8)]);
    assert_eq!(places(&area).len(), 4);
}

/// A disk whose syncs fail on demand.
#[derive(Debug, Default)]
struct Failing(AtomicBool);

impl DiskSeam for Failing {
    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if self.0.load(Ordering::Relaxed) { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

/// Whether the transaction is completed; it is nothing in between.
fn is_completed(area: &Opened, trans: u64) -> bool {
    let row = area.area.load(key_of(3, 1, trans)).unwrap().0.unwrap();
    let journal = places(area).iter().filter(|(call, _)| *call == served(3, 1, trans)).count();
    let blocked = area.area.blocked().unwrap().iter().any(|(_, row)| row.id.trans.0 == trans);
    match row.state {
        RowState::Relaying { .. } => assert!(journal == 1 && blocked, "{journal} rows, {blocked}"),
        RowState::Registered(_) => assert!(journal == 0 && !blocked, "{journal} rows, {blocked}"),
        other => panic!("{other:?}"),
    }
    matches!(row.state, RowState::Registered(_))
}

#[test]
fn an_outcome_and_the_end_of_its_journal_become_durable_together_or_not_at_all() {
    let place = Place::new();
    let failing = Arc::new(Failing::default());
    let area = place.try_open_with(Some(Arc::clone(&failing) as Arc<dyn DiskSeam>)).unwrap();
    area.write(begin(7));
    area.write(begin(8));
    assert!(!is_completed(&area, 7));
    area.write(complete(7));
    assert!(is_completed(&area, 7));
    failing.0.store(true, Ordering::Relaxed);
    area.submit(complete(8));
    area.sink.fatal();
    assert!(area.area.close().is_err());
    drop(area);
    failing.0.store(false, Ordering::Relaxed);
    let check = inspect_file(&place.path()).unwrap().check();
    assert_eq!(check.damages, 0, "{:?}", check.listed);
    let next = place.open();
    assert!(is_completed(&next, 7));
    // What the commit that failed left is one or the other, and the next owner can end it.
    is_completed(&next, 8);
    next.write(complete(8));
    assert!(is_completed(&next, 8));
}

/// The end of a transaction whose outcome is made in atomic mode; `n` is the service's own state.
fn complete_atomically(trans: u64, run: AtomicClosure) -> Vec<AreaWrite> {
    let failure = OnFailure::Nothing;
    let (key, id) = (key_of(3, 1, trans), call(3, 1, trans));
    vec![
        AreaWrite::Also(adding("before", 1)),
        AreaWrite::Atomic { key, id, digest: u128::from(trans), failure, run },
        AreaWrite::CloseJournal(served(3, 1, trans)),
        AreaWrite::App(adding("behind", 1)),
    ]
}

#[test]
fn a_closure_that_may_not_fail_yet_leaves_nothing_but_what_came_before_it() {
    let place = Place::new();
    let area = place.open();
    area.write(begin(7));
    let told = area.write(complete_atomically(7, adding_in_vain("n", 5, "sold out")));
    assert_eq!(told, Some(Outcome::Failed("sold out".into())));
    assert!(!is_completed(&area, 7));
    assert_eq!((area.number("n"), area.number("before"), area.number("behind")), (0, 1, 0));
    // A mark is about the source, and taken for stored.
    let mut with_mark = complete_atomically(7, adding_in_vain("n", 5, "sold out"));
    with_mark.push(crate::support::mark(3, 1, 4));
    area.write(with_mark);
    assert_eq!(area.area.load(key_of(3, 1, 7)).unwrap().1.map(|mark| mark.trans), Some(TransId(4)));
    // Jobs of the same commit are others' business.
    area.submit(complete_atomically(7, adding_in_vain("n", 5, "sold out")));
    assert_eq!(area.add("n", 1), Some(Outcome::Reply("1".into())));
    let row = area.area.load(key_of(3, 1, 7)).unwrap().0;
    assert_eq!(row, Some(relaying_row(3, 1, 7, Course::Forward)));
}

#[test]
fn a_closure_that_may_not_fail_yet_and_succeeds_completes_its_transaction() {
    let place = Place::new();
    let area = place.open();
    area.write(begin(7));
    let writes = complete_atomically(7, adding("n", 5));
    // The last outcome of a job is told, and that is of the write behind it.
    assert_eq!(area.write(writes), Some(Outcome::Reply("1".into())));
    let area = place.copy_as_after_a_kill().open();
    assert!(is_completed(&area, 7));
    assert_eq!((area.number("n"), area.number("behind")), (5, 1));
    assert_eq!(area.area.load(key_of(3, 1, 7)).unwrap().0, Some(reply_row(3, 1, 7, "5")));
}

fn undo(trans: u64, run: AtomicClosure) -> Vec<AreaWrite> {
    let (key, id) = (key_of(7, 1, trans), call(7, 1, trans));
    let closed = AreaWrite::CloseJournal(served(7, 1, trans));
    vec![AreaWrite::AtomicUndo { key, id, digest: u128::from(trans), run }, closed]
}

#[test]
fn a_call_is_undone_and_says_so_in_one_commit() {
    let place = Place::new();
    let area = place.open();
    area.add("stock", 3);
    let retained = AreaWrite::Journal(Box::new(journaled(served(7, 1, 4), &[1], 9, None)));
    area.write(vec![put(undoing(4)), retained]);
    assert_eq!(area.write(undo(4, adding("stock", 2))), Some(Outcome::Reply("5".into())));
    let area = place.copy_as_after_a_kill().open();
    let row = area.area.load(key_of(7, 1, 4)).unwrap().0;
    assert_eq!(row, Some(in_state(4, RowState::Cancelled { undone: true })));
    assert_eq!((area.number("stock"), places(&area)), (5, vec![]));
}

#[test]
fn an_undo_that_fails_changes_nothing_and_the_call_is_still_to_be_undone() {
    let place = Place::new();
    let area = place.open();
    area.add("stock", 3);
    let retained = AreaWrite::Journal(Box::new(journaled(served(7, 1, 4), &[1], 9, None)));
    area.write(vec![put(undoing(4)), retained]);
    let told = area.write(undo(4, adding_in_vain("stock", 2, "shipped already")));
    assert_eq!(told, Some(Outcome::Failed("shipped already".into())));
    let panicking = Box::new(|_: &mut dyn AppWrite| std::panic::resume_unwind(Box::new("no such order")));
    assert!(matches!(area.write(undo(4, panicking)), Some(Outcome::Failed(_))));
    assert_eq!(area.area.load(key_of(7, 1, 4)).unwrap().0, Some(undoing(4)));
    assert_eq!((area.number("stock"), places(&area).len()), (3, 1));
}

#[test]
fn a_transaction_that_is_rolled_back_leaves_nothing_behind() {
    let place = Place::new();
    let area = place.open();
    area.write(begin(7));
    area.write(begin(8));
    area.write(vec![
        AreaWrite::DropRow { key: key_of(3, 1, 7) },
        AreaWrite::CloseJournal(served(3, 1, 7)),
        // One that is not there is dropped without a word.
        AreaWrite::DropRow { key: key_of(3, 1, 9) },
    ]);
    let area = place.copy_as_after_a_kill().open();
    assert_eq!(area.area.load(key_of(3, 1, 7)).unwrap().0, None);
    let blocked = area.area.blocked().unwrap();
    assert_eq!(blocked, [(key_of(3, 1, 8), relaying_row(3, 1, 8, Course::Forward))]);
    assert_eq!(places(&area), [(served(3, 1, 8), "1".to_owned())]);
    // It comes again and is performed from the beginning.
    area.write(begin(7));
    assert!(!is_completed(&area, 7));
}

#[test]
fn the_journal_is_shown_in_words_counted_and_checked() {
    let place = Place::new();
    let area = place.open();
    let call = served(7, 1, 42);
    area.write(vec![
        put(relaying_row(7, 1, 42, Course::Forward)),
        AreaWrite::Journal(Box::new(journaled(call, &[1], 3, Some(Outcome::Failed("sold out".into()))))),
        AreaWrite::Journal(Box::new(journaled(call, &[2, 1], 4, Some(Outcome::Reply("reserved".into()))))),
        AreaWrite::Journal(Box::new(journaled(call, &[2, 2], 5, None))),
    ]);
    let seen = inspect_file(&place.copy_as_after_a_kill().path()).unwrap();
    let check = seen.check();
    assert_eq!((check.records, check.damages), (5 + 1 + 1 + 1 + 3, 0), "{:?}", check.listed);
    let tables = seen.summary().unwrap().tables;
    assert_eq!(tables.iter().find(|table| table.name == "relay").unwrap().rows, 3);
    let rows = seen.browse(&OneName, "relay", None, 10).unwrap().rows;
    let keys: Vec<&str> = rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(
        keys,
        ["1", "2.1", "2.2"].map(|at| format!("counter, incarnation 1, transId 42, position {at}"))
    );
    let says = |row: usize, line: &str| {
        assert!(rows[row].value.lines().any(|has| has == line), "{line}: {}", rows[row].value);
    };
    says(1, "call: counter/i1/42");
    says(1, "position: 2.1");
    says(1, "calls: counter/i1/4");
    says(1, "target: 9");
    says(1, "message: reserve 4");
    says(1, "answer: reserved");
    says(0, "answer: sold out");
    says(0, "failed: true");
    assert!(!rows[1].value.contains("failed"), "{}", rows[1].value);
    assert!(!rows[2].value.contains("answer"), "{}", rows[2].value);
}

#[test]
fn a_check_finds_a_relaying_row_without_a_journal_and_a_call_on_of_another_alias() {
    let place = Place::new();
    let area = place.open();
    let mut foreign = journaled(served(7, 1, 42), &[1], 3, None);
    foreign.call.id.source = AliasId(8);
    area.write(vec![
        put(relaying_row(7, 1, 41, Course::Forward)),
        // An operator may have turned it back before its first call on was put.
        put(relaying_row(7, 1, 43, Course::Back)),
        AreaWrite::Journal(Box::new(foreign)),
    ]);
    let check = inspect_file(&place.copy_as_after_a_kill().path()).unwrap().check();
    let reasons: Vec<&str> = check.listed.iter().map(|damage| damage.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "it is a call of alias number 8, and the area is of number 7",
            "it is relaying and has no row in the journal: what it called is not known",
        ]
    );
}
