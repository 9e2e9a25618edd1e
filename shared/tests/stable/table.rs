//! The redundancy table, its index of blocked rows, the marks and the outbox.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use palib::core::ids::{AliasId, Incarnation, Mark, TransId};
use palib::core::message::Outcome;
use palib::core::redundancy::{RedProcess, RowState};
use palib::stable::redb::{RedbArea, RedbOptions};
use palib::stable::{AreaError, AreaWrite, Committed, Job, Sink, StableArea, Token, raise_fence};

use crate::support::{ALIAS, ALIAS_ID, Place, blocked_row, call, key_of, mark, pending, put, reply_row};

#[test]
fn a_row_that_was_told_durable_is_there_after_the_owner_died() {
    let place = Place::new();
    let area = place.open();
    let told = area.write(vec![put(reply_row(3, 1, 42, "done")), mark(3, 1, 40)]);
    assert_eq!(told, Some(Outcome::Reply("done".into())));
    let area = place.copy_as_after_a_kill().open();
    let (row, mark) = area.area.load(key_of(3, 1, 42)).unwrap();
    assert_eq!(row, Some(reply_row(3, 1, 42, "done")));
    assert_eq!(mark, Some(Mark { born: Incarnation(1), trans: TransId(40) }));
}

/// Counts what it is told, for one who looks all the time: to be woken would take longer than what is looked for.
#[derive(Default)]
struct Counter(AtomicU64);

impl Sink for Counter {
    fn committed(&self, jobs: Vec<Committed>) {
        self.0.fetch_add(jobs.len() as u64, Ordering::Release);
    }

    fn fatal(&self, error: AreaError) {
        panic!("{error}");
    }
}

#[test]
fn whoever_reads_at_the_instant_at_which_a_row_is_told_durable_finds_it() {
    let (folder, incarnation, sink) =
        (tempfile::tempdir().unwrap(), Incarnation(1), Arc::new(Counter::default()));
    raise_fence(folder.path(), ALIAS, incarnation).unwrap();
    let area = RedbArea::open(RedbOptions {
        folder: folder.path().to_owned(),
        alias: ALIAS.to_owned(),
        alias_id: ALIAS_ID,
        incarnation,
        sink: sink.clone(),
        seam: None,
    })
    .unwrap();
    for trans in 0..500 {
        let writes = vec![put(reply_row(3, 1, trans, "done"))];
        area.submit(Job { incarnation, writes, token: Token::Other(trans) });
        while sink.0.load(Ordering::Acquire) <= trans {
            std::hint::spin_loop();
        }
        assert_eq!(area.load(key_of(3, 1, trans)).unwrap().0, Some(reply_row(3, 1, trans, "done")));
        assert_eq!(area.commit_stats().commits, trans + 1);
    }
}

#[test]
fn jobs_are_told_in_the_order_they_came_in_and_many_share_a_commit() {
    let place = Place::new();
    let area = place.open();
    let tokens: Vec<Token> =
        (0..2000).map(|trans| area.submit(vec![put(reply_row(3, 1, trans, "done"))])).collect();
    area.sink.until(|told| (told.committed.len() == 2000).then_some(()));
    assert_eq!(area.sink.committed(), tokens);
    let commits = area.area.summary().commits;
    assert!(commits < 1000, "{commits} commits for 2000 jobs");
    // The ring holds the last row of each slot.
    assert_eq!(area.area.load(key_of(3, 1, 1999)).unwrap().0, Some(reply_row(3, 1, 1999, "done")));
    let rows = area.area.summary().tables.iter().find(|table| table.name == "redundancy").unwrap().rows;
    assert_eq!(rows, 1024);
}

#[test]
fn the_index_of_blocked_rows_follows_their_state() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![put(blocked_row(3, 1, 1)), put(blocked_row(3, 1, 2)), put(blocked_row(4, 1, 1))]);
    area.write(vec![put(reply_row(3, 1, 1, "done"))]);
    let blocked = area.area.blocked().unwrap();
    assert_eq!(blocked, [(key_of(3, 1, 2), blocked_row(3, 1, 2)), (key_of(4, 1, 1), blocked_row(4, 1, 1))]);
    // The next owner finds the same, and goes on from there.
    let next = place.copy_as_after_a_kill();
    let area = next.open();
    assert_eq!(area.area.blocked().unwrap(), blocked);
    let mut row = blocked_row(3, 1, 2);
    row.state = RowState::Registered(RedProcess::Handler { index: 2, arg: "arg".into() });
    assert_eq!(area.write(vec![put(row.clone())]), None);
    assert_eq!(area.area.blocked().unwrap(), [(key_of(4, 1, 1), blocked_row(4, 1, 1))]);
    assert_eq!(area.area.load(key_of(3, 1, 2)).unwrap().0, Some(row));
}

#[test]
fn a_mark_drops_the_sessions_below_it_and_nothing_of_others() {
    let place = Place::new();
    let area = place.open();
    let rows = [(3, 1, 5), (3, 2, 5), (3, 3, 5), (2, 1, 5), (4, 1, 5)];
    area.write(rows.map(|(source, born, trans)| put(reply_row(source, born, trans, "x"))).into());
    area.write(vec![put(blocked_row(3, 1, 6)), put(blocked_row(3, 2, 6)), put(blocked_row(2, 1, 6))]);
    area.write(vec![mark(3, 2, 0)]);
    let there = |source, born, trans| area.area.load(key_of(source, born, trans)).unwrap().0.is_some();
    assert!(!there(3, 1, 5) && !there(3, 1, 6));
    assert!(there(3, 2, 5) && there(3, 2, 6) && there(3, 3, 5) && there(2, 1, 5) && there(4, 1, 5));
    let blocked: Vec<_> = area.area.blocked().unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(blocked, [key_of(2, 1, 6), key_of(3, 2, 6)]);
}

#[test]
fn a_row_below_a_mark_that_is_known_goes_with_that_mark() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![mark(3, 2, 7)]);
    area.write(vec![put(reply_row(3, 1, 5, "x")), put(blocked_row(3, 1, 6)), mark(3, 2, 7)]);
    area.write(vec![put(reply_row(3, 1, 8, "x")), mark(3, 2, 9)]);
    for trans in [5, 6, 8] {
        assert_eq!(area.area.load(key_of(3, 1, trans)).unwrap().0, None, "nobody asks for it any more");
    }
    assert_eq!(area.area.blocked().unwrap(), []);
}

#[test]
fn a_blocked_row_whose_call_is_done_is_not_recovered_for_ever() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![put(blocked_row(3, 1, 6)), put(blocked_row(3, 1, 9))]);
    area.write(vec![mark(3, 1, 7)]);
    let blocked: Vec<_> = area.area.blocked().unwrap().into_iter().map(|(key, _)| key).collect();
    assert_eq!(blocked, [key_of(3, 1, 9)]);
}

#[test]
fn a_mark_never_falls() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![mark(3, 2, 10), mark(3, 1, 20)]);
    area.write(vec![mark(3, 2, 9)]);
    let known = area.area.load(key_of(3, 2, 1)).unwrap().1;
    assert_eq!(known, Some(Mark { born: Incarnation(2), trans: TransId(10) }));
}

#[test]
fn a_mark_above_all_that_a_source_sent_leaves_nothing_but_itself() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![put(reply_row(3, 1, 1, "x")), put(blocked_row(3, 9, 2)), mark(3, 1, 0)]);
    area.write(vec![put(reply_row(4, 1, 1, "x")), put(blocked_row(2, 9, 2)), mark(4, 1, 0)]);
    let above =
        AreaWrite::Mark { source: AliasId(3), mark: Mark { born: Incarnation(10), trans: TransId(0) } };
    area.write(vec![mark(3, 1, 1), above]);
    let rows = |name| area.area.summary().tables.iter().find(|table| table.name == name).unwrap().rows;
    assert_eq!((rows("redundancy"), rows("blocked"), rows("marks")), (2, 1, 2));
    assert_eq!(area.area.load(key_of(3, 1, 1)).unwrap().0, None);
    assert!(area.area.load(key_of(4, 1, 1)).unwrap().0.is_some());
    // A call that was in hand puts its row afterwards, with the mark behind it.
    let above =
        AreaWrite::Mark { source: AliasId(3), mark: Mark { born: Incarnation(10), trans: TransId(0) } };
    area.write(vec![put(reply_row(3, 9, 2, "x")), above]);
    assert_eq!(area.area.load(key_of(3, 9, 2)).unwrap().0, None);
}

#[test]
fn the_outbox_gives_its_calls_in_the_order_of_their_ids() {
    let place = Place::new();
    let area = place.open();
    for trans in [300, 2, 10] {
        area.write(vec![AreaWrite::OutboxPut(pending(trans, "inc"))]);
    }
    area.write(vec![AreaWrite::OutboxDrop(call(7, 1, 10)), AreaWrite::OutboxDrop(call(7, 1, 11))]);
    let area = place.copy_as_after_a_kill().open();
    assert_eq!(area.area.outbox().unwrap(), [pending(2, "inc"), pending(300, "inc")]);
}

#[test]
fn a_job_without_writes_passes_through_the_writer_and_costs_no_commit() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![]);
    assert_eq!(area.area.summary().commits, 0);
}

#[test]
fn closing_writes_what_is_queued_and_then_nothing_more() {
    let place = Place::new();
    let area = place.open();
    for trans in 0..500 {
        area.submit(vec![put(reply_row(3, 1, trans, "x"))]);
    }
    area.area.close().unwrap();
    assert_eq!(area.sink.committed().len(), 500);
    area.submit(vec![put(reply_row(3, 1, 500, "x"))]);
    area.area.close().unwrap();
    assert!(area.area.load(key_of(3, 1, 1)).unwrap_err().to_string().contains("closed"));
    let area = place.open();
    assert!(area.area.load(key_of(3, 1, 499)).unwrap().0.is_some());
    assert!(area.area.load(key_of(3, 1, 500)).unwrap().0.is_none());
}
