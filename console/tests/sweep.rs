//! Sweeps on real clusters: what is selected is run, kept, gone on with and judged.

mod support;

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Ran, Site};

/// The lines of JSON that a sweep prints: its cells, and its summary.
fn cells(ran: &Ran) -> (Vec<Value>, Value) {
    let lines = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    let mut lines: Vec<Value> = lines.collect();
    let summary = lines.pop().expect("a summary");
    (lines, summary["summary"].clone())
}

/// The runs that a sweep told of.
fn runs(ran: &Ran) -> usize {
    ran.err.lines().filter(|line| line.starts_with('[')).count()
}

#[test]
fn a_sweep_runs_each_cell_once_and_goes_on_where_it_was() {
    let site = Site::new();
    let sweep = |points: &str| {
        let arguments = ["sweep", "counter", "--alias", "counter", "--points", points, "--jobs", "4"];
        site.palib(&[&arguments[..], &["--out", "swept", "--json"]].concat()).ok()
    };
    let first = sweep("^after-commit$|^after-block$");
    let (decided, summary) = cells(&first);
    let state = |cell: &Value| (cell["row"].clone(), cell["mode"].clone(), cell["state"].clone());
    let row = |row: &str, mode: &str, state: &str| (row.into(), mode.into(), state.into());
    assert_eq!(
        decided.iter().map(state).collect::<Vec<_>>(),
        [
            row("after-block", "alone", "impossible"),
            row("after-block", "load", "impossible"),
            row("after-commit", "alone", "clean"),
            row("after-commit", "load", "clean"),
        ]
    );
    assert_eq!((&summary["verdict"], &summary["open"], runs(&first)), (&"clean".into(), &0.into(), 2));
    for cell in &decided[2..] {
        assert!(cell["takeovers"].as_u64() >= Some(1) && cell["acked"].as_u64() >= Some(20), "{cell}");
        let command = cell["command"].as_str().unwrap_or_default();
        assert!(command.starts_with("palib run counter --until-done"), "{cell}");
        assert!(command.contains("--defect \"kill counter@after-commit#"), "{cell}");
    }

    let again = sweep("^after-commit$|^after-block$");
    assert_eq!((cells(&again).0, runs(&again)), (decided.clone(), 0), "nothing is left to be done");
    let more = sweep("^after-commit$|^before-open$");
    let (decided, summary) = cells(&more);
    assert_eq!((decided.len(), runs(&more)), (4, 2), "what is there is not run again");
    assert_eq!((&summary["verdict"], &summary["cells"]["clean"]), (&"clean".into(), &4.into()));
    // Whoever takes over dies at before-open, and then somebody does take over.
    assert!(decided[2]["row"] == "before-open" && decided[2]["takeovers"] == 2, "{}", decided[2]);

    let other = site.palib(&["sweep", "counter", "--seed", "2", "--out", "swept"]);
    assert_eq!(other.code, Some(2), "{other:?}");
    assert!(other.err.contains("results of another sweep") && other.err.contains("--fresh"), "{other:?}");
    site.assert_nobody_is_left();
}

#[test]
fn a_selection_that_does_not_exist_is_a_clear_error() {
    let site = Site::new();
    let refused = |arguments: &[&str], says: &str| {
        let ran = site.palib(&[&["sweep", "counter"], arguments].concat());
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(says), "{ran:?}");
    };
    refused(&["--points", "after-lunch"], "named like `after-lunch`");
    refused(&["--alias", "countr"], "did you mean `counter`?");
    refused(&["--points", "("], "--points");
    refused(&["--only", "most"], "alone or load");
    let nobody = site.file("still.toml", "name = \"still\"\naliases.counter = { kind = \"counter\" }\n");
    let ran = site.palib(&["sweep", &nobody]);
    assert!(ran.code == Some(2) && ran.err.contains("nobody in cluster still makes calls"), "{ran:?}");
}

#[test]
fn a_sweep_that_is_interrupted_leaves_nobody_and_says_how_it_goes_on() {
    let site = Site::new();
    let arguments = ["sweep", "counter", "--points", "^after-(commit|reply|send)$", "--jobs", "2"];
    let mut child =
        site.command(&arguments).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("palib");
    let mut told = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let first = told.find(|line| line.starts_with('[')).expect("a cell is decided");
    assert!(first.contains("left"), "{first}");
    kill_process(Pid::from_child(&child), Signal::INT).expect("it lives");
    let rest: Vec<String> = told.collect();
    assert_eq!(child.wait().expect("it ends").code(), Some(3), "{rest:?}");
    let last = rest.last().expect("it says how to go on");
    assert!(last.contains("interrupted") && last.contains("the same command goes on"), "{rest:?}");
    site.assert_nobody_is_left();
    let before = 1 + rest.iter().filter(|line| line.starts_with('[')).count();
    let done = site.palib(&[&arguments[..], &["--json"]].concat()).ok();
    assert_eq!((runs(&done), &cells(&done).1["verdict"]), (6 - before, &"clean".into()), "{}", done.err);
}

#[test]
fn the_ftm_may_die_at_each_of_its_points_under_load() {
    let site = Site::new();
    let arguments = ["sweep", "counter", "--alias", "ftm", "--points", "^(before|after)-", "--only", "load"];
    let swept = site.palib(&[&arguments[..], &["--jobs", "4", "--strict", "--json"]].concat());
    let (cells, summary) = cells(&swept);
    let not_clean: Vec<&Value> = cells.iter().filter(|cell| cell["state"] != "clean").collect();
    assert!(not_clean.is_empty() && cells.len() > 15, "{not_clean:#?}");
    assert_eq!((swept.code, &summary["verdict"]), (Some(0), &"clean".into()), "{summary}");
    site.assert_nobody_is_left();
}
