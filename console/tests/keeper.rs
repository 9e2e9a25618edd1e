//! Keepers that lose what they stand on (the file of their program, their FTM's log, their own lives), and those that are
//! one too many.

mod support;

use std::process::{Command, Stdio};

use rustix::process::Signal;
use support::pair::{Counter, signal};
use support::{Ran, Site, eventually};

#[test]
fn an_ftm_is_started_again_although_the_file_of_the_program_is_gone() {
    let site = Site::new();
    let copy = site.path().join("palib-copy");
    // By another process: what a test that runs beside this one starts would hold the file open for writing.
    let copied = Command::new("cp").arg(env!("CARGO_BIN_EXE_palib")).arg(&copy).status();
    assert!(copied.expect("cp can be run").success());
    let command = site.command_of(&copy, &[]);
    let counter = Counter::up_by(site, command);
    std::fs::remove_file(copy).expect("it is there");
    signal(counter.pid_in("ftm.pid"), Signal::KILL);
    eventually("the next FTM answers", || {
        let ran = counter.site.palib(&["call", "counter", "inc k 1", "--json"]);
        let started = std::fs::read_to_string(counter.folder("events.jsonl")).unwrap_or_default();
        let starts = started.lines().filter(|line| line.contains("\"ftm_started\"")).count();
        if ran.code == Some(0) && starts == 2 { Ok(()) } else { Err(format!("{starts} starts, {ran:?}")) }
    });
    counter.down();
}

#[test]
fn nobody_is_left_if_no_ftm_can_be_started_again() {
    let counter = Counter::up(&[]);
    let log = counter.folder("logs/ftm.log");
    std::fs::remove_file(&log).expect("it is there");
    std::fs::create_dir(&log).expect("a folder in its place");
    signal(counter.pid_in("ftm.pid"), Signal::KILL);
    counter.site.assert_nobody_is_left();
    assert!(!counter.folder("keeper.pid").exists());
}

#[test]
fn what_lives_without_ftm_and_keeper_is_listed_and_stopped() {
    let counter = Counter::up(&[]);
    let ftm = counter.pid_in("ftm.pid");
    signal(counter.pid_in("keeper.pid"), Signal::KILL);
    signal(ftm, Signal::KILL);
    eventually("it is listed as what it is", || {
        let rows = counter.site.palib(&["ls", "--running", "--json"]).ok().json();
        if rows[0]["state"] == "orphaned" { Ok(()) } else { Err(rows.to_string()) }
    });
    let down = counter.site.palib(&["down", "--all"]).ok();
    assert!(down.out.contains("pair is down"), "{down:?}");
    counter.site.assert_nobody_is_left();
}

#[test]
fn of_several_that_start_a_cluster_at_once_one_does_and_the_others_leave_it_alone() {
    let site = Site::new();
    let start =
        || site.command(&["up", "counter", "--detach"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let begun: Vec<_> = (0..5).map(|_| start().expect("palib can be run")).collect();
    let ended = begun.into_iter().map(|child| Ran::from(child.wait_with_output().expect("it ends")));
    let (up, others): (Vec<_>, Vec<_>) = ended.partition(|ran| ran.code == Some(0));
    assert_eq!(up.len(), 1, "{up:?} {others:?}");
    for other in others {
        assert!(other.code == Some(3) && other.err.contains("is running already"), "{other:?}");
    }
    eventually("it serves", || {
        let ran = site.palib(&["call", "counter", "inc k 1", "--json"]);
        if ran.code == Some(0) { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    let events = site.palib(&["events", "--json", "--limit", "100000"]).ok().json();
    let starts = events.as_array().into_iter().flatten().filter(|event| event["kind"] == "ftm_started");
    assert_eq!(starts.count(), 1);
    site.palib(&["down", "--all"]).ok();
    site.assert_nobody_is_left();
}
