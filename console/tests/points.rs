//! Defect points on real clusters: processes that die or wait at a named place in the middle of a call.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{Ran, Site, eventually};

/// A relay whose takeovers undo what was called, and a counter that takes a moment.
const ROLLBACK: &str = r#"
name = "undone"

[aliases.counter]
kind = "counter"
members = 2
options = { work = "20ms" }

[aliases.relay]
kind = "relay"
members = 2
on_takeover = "roll-back"
options = { to = "counter", work = "40ms" }

[aliases.caller]
kind = "caller"
members = 2
options = { target = "relay", service = "sums", rate = 0, callers = 4, keys = 4 }
"#;

/// A relay whose takeovers go on, under 64 calls at a time.
const FORWARD: &str = r#"
name = "forward"

[aliases.counter]
kind = "counter"
members = 2
options = { work = "20ms" }

[aliases.relay]
kind = "relay"
members = 2
options = { to = "counter" }

[aliases.caller]
kind = "caller"
members = 2
options = { target = "relay", service = "counter", rate = 0, callers = 64 }
"#;

/// Nobody calls here but the operator.
const STILL: &str = r#"
name = "still"

[settings]
heartbeat = "50ms"
suspect_after = "400ms"

[aliases.counter]
kind = "counter"
members = 2
active = "counter-1"
"#;

/// Runs a cluster with a point armed each so many milliseconds, and sees that each has fired, was measured and has
/// spoiled nothing. Other defects may stand before them.
fn kill_at_each(site: &Site, file: &str, every_ms: u64, defects: &[&str]) -> Value {
    let seconds = format!("{}ms", 3_000 + every_ms * defects.len() as u64);
    let mut arguments = vec!["run".to_owned(), file.to_owned(), "--for".to_owned(), seconds];
    for (number, defect) in (0..).zip(defects) {
        for part in defect.split(" and ") {
            let spec = format!("after {}ms {part}", 500 + every_ms * number);
            arguments.extend(["--defect".to_owned(), spec]);
        }
    }
    arguments.extend(["--out", "out", "--json"].map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let summary = site.palib(&arguments).ok().json();
    assert_eq!(
        (&summary["verdict"], &summary["unfired"]),
        (&"clean".into(), &serde_json::json!([])),
        "{summary}"
    );
    let done: Vec<&str> =
        summary["defects"].as_array().into_iter().flatten().filter_map(|it| it["spec"].as_str()).collect();
    for point in defects.iter().flat_map(|defect| defect.split(" and ")).filter(|spec| spec.contains('@')) {
        assert!(done.contains(&point), "{point} did not fire: {done:?}");
    }
    site.assert_nobody_is_left();
    summary
}

#[test]
fn a_counter_may_die_at_each_of_its_points() {
    let points = [
        "kill counter@after-receive#5",
        "kill counter@before-execute#5",
        "kill counter@after-execute#5",
        "kill counter@before-commit#5",
        "kill counter@after-commit#5",
        "kill counter@before-reply#5",
        "kill counter@after-reply#5",
    ];
    let summary = kill_at_each(&Site::new(), "counter", 700, &points);
    let takeovers = summary["takeovers"].as_array().expect("takeovers");
    assert_eq!(takeovers.len(), points.len(), "{takeovers:?}");
    for takeover in takeovers {
        // From the moment that the process wrote down, not from when somebody looked.
        assert!(takeover["detect_us"].is_u64() && takeover["cause"] == "killed", "{takeover}");
    }
}

#[test]
fn a_caller_may_die_at_each_of_its_points() {
    let points = [
        "kill caller@before-outbox#5",
        "kill caller@after-outbox#5",
        "kill caller@before-send#5",
        "kill caller@after-send#5",
        "kill caller@before-consume#5",
        "kill caller@after-consume#5",
    ];
    kill_at_each(&Site::new(), "counter", 700, &points);
}

#[test]
fn whoever_takes_over_may_die_of_it() {
    let points = [
        "kill counter@before-open and kill counter@after-commit",
        "kill counter@after-open and kill counter@before-reply",
        "kill counter@before-recover and kill counter@after-commit#2",
        "kill counter@after-recover and kill counter@before-reply#2",
        "kill counter@before-promoted and kill counter@after-commit#3",
    ];
    kill_at_each(&Site::new(), "counter", 1_500, &points);
}

#[test]
fn a_call_is_recovered_whose_server_died_at_its_roll_forward_point() {
    let site = Site::new();
    kill_at_each(&site, "files", 1_000, &["kill files@before-block#3", "kill files@after-block#3"]);
    let events = std::fs::read_to_string(site.path().join("out/events.jsonl")).expect("events.jsonl");
    let events = events.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let decided = events.filter(|event| event["kind"] == "resolved").count();
    assert!(decided > 0, "a call that died past its roll-forward point is recovered");
}

#[test]
fn a_relay_that_rolls_back_may_die_at_each_of_its_points() {
    let site = Site::new();
    let file = site.file("undone.toml", ROLLBACK);
    let points = [
        "kill relay@before-journal#3",
        "kill relay@after-journal#3",
        "kill relay@before-call-on#3",
        "kill relay@after-call-on#3",
        "kill relay@after-answer#3",
        "kill relay@before-complete#3",
        "kill relay@after-complete#3",
        "kill relay@after-call-on and kill relay@before-course",
        "kill relay@after-call-on#2 and kill relay@after-course",
        "kill relay@after-answer and kill relay@before-cancel",
        "kill relay@after-answer#2 and kill relay@after-cancel",
        "kill relay@after-answer#4 and kill counter@before-undo",
        "kill relay@after-answer#5 and kill counter@after-undo",
        "kill relay@after-answer#6 and kill counter@before-tombstone",
        "kill relay@after-answer#7 and kill counter@after-tombstone",
    ];
    kill_at_each(&site, &file, 1_000, &points);
}

/// The steps of the patent's Figs 17 and 18: #1 mes X comes, #2 both ids and mes Y are written, #3 mes Y is sent, #4 res
/// Y comes, #5 res X is registered, #6 it is sent.
#[test]
fn a_relay_may_die_at_each_step_of_figure_17() {
    let site = Site::new();
    let file = site.file("forward.toml", FORWARD);
    let points = [
        "kill relay@after-receive#9",
        "kill relay@before-journal#9",
        "kill relay@after-journal#9",
        "kill relay@after-call-on#9",
        "kill relay@after-answer#9",
        "kill relay@before-complete#9",
        "kill relay@after-complete#9",
        "kill relay@before-reply#9",
        "kill relay@after-reply#9",
    ];
    kill_at_each(&site, &file, 1_000, &points);
}

fn up(site: &Site) {
    let file = site.file("still.toml", STILL);
    site.palib(&["up", &file, "--detach"]).ok();
    eventually("both members are up", || {
        let rows = site.palib(&["ps", "--json"]).ok().json();
        let up = rows.as_array().is_some_and(|rows| rows.iter().all(|row| row["state"] == "up"));
        let serves =
            rows.as_array().is_some_and(|rows| rows.iter().any(|row| row["in_service"][0] == "counter"));
        if up && serves { Ok(()) } else { Err(rows.to_string()) }
    });
}

/// The process that waits at a point, and why.
fn waiting(site: &Site) -> (String, String) {
    eventually("somebody waits at a point", || {
        let rows = site.palib(&["ps", "--json"]).ok().json();
        let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["state"] == "paused"));
        let text = |name: &str| row.map(|row| row[name].as_str().unwrap_or_default().to_owned());
        text("process").zip(text("why")).ok_or_else(|| rows.to_string())
    })
}

fn kinds(site: &Site) -> Vec<String> {
    let events = site.palib(&["events", "--json", "--limit", "10000"]).ok().json();
    let events = events.as_array().into_iter().flatten();
    events.filter_map(|event| event["kind"].as_str()).map(str::to_owned).collect()
}

#[test]
fn nobody_takes_over_from_who_waits_at_a_point_and_its_call_is_answered_when_it_goes_on() {
    let site = Site::new();
    up(&site);
    site.palib(&["defect", "pause counter@after-commit"]).ok();
    let call = site.command(&["call", "counter", "inc by-hand 5", "--json"]);
    let call = std::thread::spawn(move || {
        let mut call = call;
        Ran::from(call.output().expect("palib can be run"))
    });
    assert_eq!(waiting(&site), ("counter-1".to_owned(), "paused at after-commit (P1)".to_owned()));
    // Several times as long as a process may be silent.
    std::thread::sleep(Duration::from_millis(1500));
    let aliases = site.palib(&["aliases", "--json"]).ok().json();
    let serving =
        aliases.as_array().and_then(|rows| rows.iter().find(|row| row["in_service"] == true)).cloned();
    let serving = serving.unwrap_or_default();
    assert_eq!((&serving["process"], &serving["incarnation"]), (&"counter-1".into(), &1.into()), "{aliases}");
    assert!(!call.is_finished(), "the answer waits, too");

    let other = site.palib(&["step", "counter-2"]);
    assert!(other.code != Some(0) && other.err.contains("waits at no defect point"), "{other:?}");
    site.palib(&["step", "counter"]).ok();
    let called = call.join().expect("the call ends").ok().json();
    assert_eq!((&called["reply"], &called["status"]), (&"5".into(), &"ok".into()));
    // It is heard again, and nobody suspects it afterwards.
    std::thread::sleep(Duration::from_millis(800));
    let kinds = kinds(&site);
    for kind in ["armed", "paused", "healed"] {
        assert!(kinds.iter().any(|it| it == kind), "{kind} is missing in {kinds:?}");
    }
    assert!(kinds.iter().all(|kind| kind != "hung"), "{kinds:?}");
}

#[test]
fn who_goes_on_does_not_wait_again_at_points_that_were_taken_back_meanwhile() {
    let site = Site::new();
    up(&site);
    for point in ["before-execute", "after-execute", "before-commit", "after-commit", "before-reply"] {
        site.palib(&["defect", &format!("pause counter@{point}")]).ok();
    }
    let mut call = site.command(&["call", "counter", "inc by-hand 9", "--json"]);
    let call = std::thread::spawn(move || Ran::from(call.output().expect("palib can be run")));
    assert_eq!(waiting(&site).1, "paused at before-execute (P1)");
    // It is stopped and hears of none of this.
    for id in ["P2", "P3", "P4", "P5"] {
        site.palib(&["heal", id]).ok();
    }
    site.palib(&["step", "counter-1"]).ok();
    assert_eq!(call.join().expect("the call ends").ok().json()["reply"], "9");
    let paused = kinds(&site).into_iter().filter(|kind| kind == "paused").count();
    assert_eq!(paused, 1, "it waited once");
}

#[test]
fn who_is_killed_while_it_waits_is_taken_over_from() {
    let site = Site::new();
    up(&site);
    site.palib(&["defect", "pause counter@before-execute"]).ok();
    let mut call = site.command(&["call", "counter", "inc by-hand 7", "--json"]);
    let call = std::thread::spawn(move || Ran::from(call.output().expect("palib can be run")));
    waiting(&site);
    site.palib(&["kill", "counter-1"]).ok();
    assert_eq!(call.join().expect("the call ends").ok().json()["reply"], "7");
    assert!(kinds(&site).iter().any(|kind| kind == "healed"), "nobody waits any more");
}

#[test]
fn a_point_that_nobody_passes_can_be_disarmed_and_is_forgotten_with_its_ftm() {
    let site = Site::new();
    up(&site);
    let wrong = site.palib(&["defect", "kill counter@after-blok"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(wrong.err.contains("did you mean `after-block`?"), "{wrong:?}");
    let process = site.palib(&["defect", "kill counter-1@after-block"]);
    assert!(process.code != Some(0) && process.err.contains("are those of an alias"), "{process:?}");

    let armed = || site.palib(&["points", "--armed", "--json"]).ok().json();
    site.palib(&["defect", "kill counter@after-block#2"]).ok();
    assert_eq!(armed(), serde_json::json!([{ "id": "P1", "spec": "kill counter@after-block#2" }]));
    let twice = site.palib(&["defect", "kill counter@after-block#2"]);
    assert!(twice.code != Some(0) && twice.err.contains("armed already (P1)"), "{twice:?}");
    site.palib(&["heal", "P1"]).ok();
    assert_eq!(armed(), serde_json::json!([]));
    let gone = site.palib(&["heal", "P1"]);
    assert!(gone.code != Some(0) && gone.err.contains("`palib heal` takes all back"), "{gone:?}");

    // The next FTM knows nothing of it, and neither do the processes that joined it.
    site.palib(&["defect", "kill counter@after-commit"]).ok();
    site.palib(&["kill", "ftm"]).ok();
    eventually("the next FTM has disarmed it", || {
        let ran = site.palib(&["events", "--json", "--limit", "10000"]);
        let lines = ran.out.matches("\"disarmed\"").count();
        let joined = ran.out.matches("\"joined\"").count();
        if ran.code == Some(0) && lines == 2 && joined >= 4 { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    assert_eq!(armed(), serde_json::json!([]));
    assert_eq!(site.palib(&["call", "counter", "inc by-hand 3", "--json"]).ok().json()["reply"], "3");
    assert!(kinds(&site).iter().all(|kind| kind != "exited"), "nobody died");
    let rows = site.palib(&["aliases", "counter", "--json"]).ok().json();
    let row = rows.as_array().and_then(|rows| rows.iter().find(|row| row["in_service"] == true)).cloned();
    assert_eq!(row.unwrap_or_default()["why"], "in service before this FTM started", "{rows}");
}

#[test]
fn all_points_are_listed_with_what_they_mean() {
    let site = Site::new();
    let rows = site.palib(&["points", "--json"]).ok().json();
    let row =
        rows.as_array().and_then(|rows| rows.iter().find(|row| row["point"] == "after-journal")).cloned();
    let row = row.unwrap_or_default();
    assert_eq!(row["part"], "relay");
    assert!(
        row["meaning"].as_str().is_some_and(|meaning| meaning.contains("durably, and was not sent")),
        "{row}"
    );
}
