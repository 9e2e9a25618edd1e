//! Disks that fail, fill, tear and slow down below the stable areas of real processes.

mod support;

use rustix::process::{Signal, kill_process};
use serde_json::Value;
use support::pair::{Counter, state_of};
use support::{Site, eventually};

fn takeovers(summary: &Value, cause: &str) -> usize {
    let takeovers = summary["takeovers"].as_array().expect("takeovers");
    takeovers.iter().filter(|takeover| takeover["cause"] == cause).count()
}

#[test]
fn an_alias_whose_disk_was_full_serves_again_by_itself_and_has_what_was_acknowledged() {
    let counter = Counter::up(&[]);
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "1");
    counter.json(&["defect", "disk counter full"]);
    // It can't be done, and nobody is told that it was.
    let mut asking = counter.site.command(&["call", "counter", "inc k 1", "--json"]);
    let asking = asking.stdout(std::process::Stdio::piped()).spawn().expect("palib can be run");
    eventually("nobody can serve", || match counter.events("outage").len() {
        0 => Err("somebody still serves".to_owned()),
        _ => Ok(()),
    });
    let why = counter.events("outage")[0]["reason"].to_string();
    assert!(why.contains("No space left on device") && why.contains("tried again"), "{why}");
    let last_words = counter.events("log").into_iter().map(|event| event["text"].to_string());
    let last_words: Vec<_> = last_words.filter(|text| text.contains("ends: ")).collect();
    assert!(last_words.iter().any(|text| text.contains("No space left on device")), "{last_words:?}");
    assert!(counter.events("exited").iter().any(|event| event["how"] == "exit 74"));

    counter.json(&["heal", "D1"]);
    counter.until("somebody serves again", |rows| {
        ["counter-1", "counter-2"].iter().any(|name| state_of(rows, name) == "in_service")
    });
    let answered = asking.wait_with_output().expect("it ends");
    let answered: Value = serde_json::from_slice(&answered.stdout).expect("an answer");
    assert_eq!(answered["reply"], "2", "the call that waited is executed once: {answered}");
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "3");
    counter.down();
}

#[test]
fn a_disk_that_is_full_for_a_while_under_load_loses_nothing() {
    let site = Site::new();
    let summary =
        site.clean_run(&["counter", "--for", "5s", "--defect", "after 1s disk counter full for 1500ms"]);
    assert!(summary["latency_us"]["max"].as_u64() > Some(1_300_000), "{summary}");
    assert!(takeovers(&summary, "exited") >= 1, "{summary}");
    let failed = site.events("promotion_failed");
    assert!(failed.iter().any(|event| event["reason"].to_string().contains("No space left")), "{failed:?}");
    site.assert_nobody_is_left();
}

#[test]
fn a_failed_sync_and_a_torn_write_end_the_process_in_service_and_lose_nothing() {
    let site = Site::new();
    let summary = site.clean_run(&[
        "counter",
        "--for",
        "6s",
        "--defect",
        "after 1s disk counter fsync-error",
        "--defect",
        "after 2500ms every 900ms disk counter torn",
        "--defect",
        "after 2s disk caller torn",
    ]);
    assert_eq!(takeovers(&summary, "exited"), 1, "{summary}");
    assert!(takeovers(&summary, "killed") >= 2, "{summary}");
    let logs = site.events("log");
    assert!(logs.iter().any(|event| event["text"].to_string().contains("Input/output error")), "{logs:?}");
    site.assert_nobody_is_left();
}

#[test]
fn a_fault_that_waits_for_a_sync_is_no_defect_before_one_comes() {
    let counter = Counter::up(&[]);
    counter.json(&["call", "counter", "inc k 1"]);
    let ids = |kind: &str| -> Vec<String> {
        counter.events(kind).iter().map(|event| event["id"].as_str().expect("an id").to_owned()).collect()
    };
    // Nobody calls: it strikes nothing, and is taken back.
    counter.json(&["defect", "disk counter torn"]);
    counter.json(&["heal", "D1"]);
    // The next one is still there under another FTM.
    counter.json(&["defect", "disk counter fsync-error"]);
    kill_process(counter.pid_in("ftm.pid"), Signal::KILL).expect("the FTM can be killed");
    counter.until("another FTM answers", |_| true);
    let armed = counter.events("armed");
    assert_eq!(armed[1]["spec"], "disk counter fsync-error", "{armed:?}");
    assert_eq!(ids("armed"), ["D1", "D2"]);
    assert_eq!(ids("disarmed"), ["D1"]);
    assert!(!ids("defect").contains(&"D2".to_owned()), "nothing has happened: {:?}", ids("defect"));
    // Now there is a sync.
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "2");
    eventually("it has struck and is over", || {
        let (struck, healed) = (ids("defect"), ids("healed"));
        let has = |ids: &[String]| ids.iter().filter(|id| *id == "D2").count() == 1;
        if has(&struck) && has(&healed) { Ok(()) } else { Err(format!("{struck:?}, {healed:?}")) }
    });
    assert_eq!(ids("disarmed"), ["D1"]);
    counter.down();
}

#[test]
fn a_slow_disk_slows_calls_down_and_one_that_is_slower_than_suspicion_is_taken_over() {
    let site = Site::new();
    let summary = site.clean_run(&[
        "counter",
        "--for",
        "6s",
        "--defect",
        "disk counter slow 50ms for 2s",
        "--defect",
        "after 3s disk counter slow 1s for 1s",
    ]);
    let slow = summary["latency_us"]["p99"].as_u64().expect("a latency");
    assert!(slow > 50_000, "{summary}");
    assert!(takeovers(&summary, "hung") >= 1, "{summary}");
    site.assert_nobody_is_left();
}

#[test]
fn a_storm_of_every_kind_over_the_ledger_is_clean() {
    let site = Site::new();
    let kinds = "kill,hang,cut,oneway,drop,delay,duplicate,reorder,disk";
    let summary =
        site.clean_run(&["ledger", "--for", "8s", "--storm", "3/s", "--storm-kinds", kinds, "--seed", "5"]);
    assert!(summary["defects"].as_array().is_some_and(|defects| defects.len() > 8), "{summary}");
    assert!(summary["calls"]["acked"].as_u64() > Some(50), "{summary}");
    site.assert_never_two_in_service();
    site.assert_nobody_is_left();
}
