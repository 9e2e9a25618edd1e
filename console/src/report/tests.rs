//! Reports of small runs.

use super::*;
use crate::world::stage::chart_story;

/// A folder as a run leaves it.
fn folder(events: &[Event], verdict: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let summary =
        Summary { verdict: verdict.into(), cluster: "<counter>".into(), seed: 7, ..Summary::default() };
    fs::write(folder.path().join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    let lines: String = events.iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
    fs::write(folder.path().join("events.jsonl"), lines + "{\"seq\":9,\"at").unwrap();
    let call = r#"{"process":"caller-1","op":"inc","key":"k","arg":1,"result":1,"id":"caller/i1/120","invoke_ns":1000,"return_ns":900000,"status":"ok"}"#;
    fs::write(folder.path().join("history.jsonl"), format!("{call}\n")).unwrap();
    folder
}

#[test]
fn a_report_has_verdict_chart_and_log_and_needs_nothing_else() {
    let folder = folder(&chart_story().events, "clean");
    let page = report(folder.path()).unwrap();
    for wanted in
        ["✔ clean", "&lt;counter&gt;", "caller/i1/120", "again, try 2", "SIGKILL", "1 lines of events.jsonl"]
    {
        assert!(page.contains(wanted), "{wanted} is missing");
    }
    assert!(!page.contains("<script") && !page.contains("src="), "it is one page");
    let links: Vec<&str> =
        page.split("http").skip(1).filter(|rest| !rest.starts_with("://www.w3.org/")).collect();
    assert!(links.is_empty(), "{links:?}");
}

#[test]
fn a_run_that_is_not_clean_says_so_first() {
    let folder = folder(&chart_story().events, "not clean: lost");
    assert!(report(folder.path()).unwrap().contains("✖ not clean: lost"));
}

#[test]
fn a_call_that_was_sent_again_is_chosen_before_one_that_went_well() {
    let calls = choose::calls(&chart_story().events);
    assert_eq!(calls, ["caller/i1/120"]);
    let peaceful: Vec<Event> =
        chart_story().events.into_iter().filter(|event| event.unix_ms < 1_790_000_000_650).collect();
    assert_eq!(choose::calls(&peaceful), ["caller/i1/119"], "where nothing happened, the slowest");
}

#[test]
fn a_folder_that_is_no_runs_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = report(folder.path()).unwrap_err().to_string();
    assert!(error.contains("summary.json") && error.contains("--out DIR"), "{error}");
}
