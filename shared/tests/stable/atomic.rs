//! Atomic mode: the service's state and the outcome in one commit (R22).

use bytes::Bytes;
use palib::core::message::Outcome;
use palib::core::redundancy::{RedProcess, RowState};
use palib::core::server::OnFailure;
use palib::stable::{AppWrite, AreaWrite, AtomicClosure, StableArea};

use crate::support::{Opened, Place, adding, call, key_of};

fn atomic(area: &Opened, trans: u64, run: AtomicClosure) -> Outcome<Bytes> {
    let key = key_of(3, 1, trans);
    let failure = OnFailure::Register;
    area.write(vec![AreaWrite::Atomic { key, id: call(3, 1, trans), digest: 5, failure, run }]).unwrap()
}

fn registered(area: &Opened, trans: u64) -> Outcome<Bytes> {
    match area.area.load(key_of(3, 1, trans)).unwrap().0.unwrap().state {
        RowState::Registered(RedProcess::AutoReply(outcome)) => outcome,
        other => panic!("{other:?}"),
    }
}

#[test]
fn state_and_outcome_become_durable_together() {
    let place = Place::new();
    let area = place.open();
    for trans in 1..=100 {
        let outcome = atomic(&area, trans, adding("n", 1));
        assert_eq!(outcome, Outcome::Reply(Bytes::from(trans.to_string())));
    }
    let area = place.copy_as_after_a_kill().open();
    assert_eq!(area.number("n"), 100);
    assert_eq!(registered(&area, 100), Outcome::Reply("100".into()));
}

#[test]
fn closures_of_one_commit_see_what_those_before_them_changed() {
    let place = Place::new();
    let area = place.open();
    for _ in 0..1000 {
        area.submit(vec![AreaWrite::App(adding("n", 1))]);
    }
    assert_eq!(area.add("n", 0), Some(Outcome::Reply("1000".into())));
    assert_eq!(area.number("n"), 1000);
}

#[test]
fn a_closure_that_fails_changes_nothing_and_its_failure_is_the_outcome() {
    let place = Place::new();
    let area = place.open();
    area.add("n", 5);
    let failing: AtomicClosure = Box::new(|app: &mut dyn AppWrite| {
        app.put(b"n", "0".into());
        app.put(b"new", "1".into());
        app.remove(b"n");
        Outcome::Failed("no such account".into())
    });
    assert_eq!(atomic(&area, 1, failing), Outcome::Failed("no such account".into()));
    assert_eq!((area.number("n"), area.number("new")), (5, 0));
    assert_eq!(registered(&area, 1), Outcome::Failed("no such account".into()));
}

#[test]
fn a_closure_that_panics_fails_and_the_writer_goes_on() {
    let place = Place::new();
    let area = place.open();
    let panicking: AtomicClosure = Box::new(|app: &mut dyn AppWrite| {
        app.put(b"n", "9".into());
        std::panic::resume_unwind(Box::new("the account is missing".to_owned()));
    });
    let outcome = atomic(&area, 1, panicking);
    assert_eq!(outcome, Outcome::Failed("the service panicked: the account is missing".into()));
    assert_eq!(area.add("n", 1), Some(Outcome::Reply("1".into())));
}

#[test]
fn a_scan_sees_stored_and_new_keys_in_order() {
    let place = Place::new();
    let area = place.open();
    for key in ["a/1", "a/3", "a/5", "b/1"] {
        area.add(key, 1);
    }
    let scanning: AtomicClosure = Box::new(|app: &mut dyn AppWrite| {
        app.put(b"a/2", "1".into());
        app.remove(b"a/3");
        let mut keys = Vec::new();
        app.scan(b"a/", &mut |key, _| {
            keys.push(String::from_utf8(key.to_vec()).unwrap());
            true
        })
        .unwrap();
        Outcome::Reply(keys.join(" ").into())
    });
    assert_eq!(atomic(&area, 1, scanning), Outcome::Reply("a/1 a/2 a/5".into()));
}
