//! The commands on a real cluster.

mod support;

use std::process::{Child, Stdio};

use serde_json::{Value, json};
use support::{Ran, Site, eventually};

/// The process that has the mark of service of an alias.
fn in_service(site: &Site, alias: &str) -> Option<String> {
    let rows = site.palib(&["aliases", alias, "--json"]).ok().json();
    let row = rows.as_array()?.iter().find(|row| row["in_service"] == true)?.clone();
    Some(row["process"].as_str()?.to_owned())
}

fn up(site: &Site) {
    let ran = site.palib(&["up", "counter", "--detach", "--json"]).ok();
    assert_eq!(ran.json()["cluster"], "counter");
    for alias in ["counter", "caller"] {
        eventually("every member is in its place", || {
            let rows = site.palib(&["aliases", alias, "--json"]).ok().json();
            let states: Vec<&str> =
                rows.as_array().into_iter().flatten().filter_map(|row| row["state"].as_str()).collect();
            let is = states.len() == 2 && states.contains(&"in_service") && states.contains(&"backup");
            is.then_some(()).ok_or_else(|| format!("{rows}"))
        });
    }
}

/// Waits until a process whose name begins so is in this state.
fn until_one_is(site: &Site, name: &str, state: &str) {
    eventually(state, || {
        let rows = site.palib(&["ps", "--json"]).ok().json();
        let named = |row: &Value| row["process"].as_str().is_some_and(|process| process.starts_with(name));
        let is = rows.as_array().into_iter().flatten().any(|row| named(row) && row["state"] == state);
        is.then_some(()).ok_or_else(|| rows.to_string())
    });
}

/// Waits until a command ends by itself.
fn ended(mut command: Child) -> Ran {
    eventually("the command ends", || match command.try_wait().expect("it is our child") {
        Some(_) => Ok(()),
        None => Err("it goes on".to_owned()),
    });
    command.wait_with_output().expect("it has ended").into()
}

fn is_sorted_array(rows: &Value) -> bool {
    rows.as_array().is_some_and(|rows| !rows.is_empty())
}

#[test]
fn a_cluster_is_started_looked_at_killed_called_and_stopped() {
    let site = Site::new();
    up(&site);

    let clusters = site.palib(&["ls", "--json"]).ok().json();
    assert_eq!((&clusters[0]["cluster"], &clusters[0]["state"]), (&json!("counter"), &json!("running")));
    let again = site.palib(&["up", "counter", "--detach"]);
    assert_eq!(again.code, Some(3), "{again:?}");
    assert!(again.err.contains("palib attach counter"), "{again:?}");

    // An exactly-once call, and the same asked again: the number does not rise.
    let called = site.palib(&["call", "counter", "inc by-hand 5", "--json"]).ok().json();
    assert_eq!(
        (&called["reply"], &called["status"], &called["redundant"]),
        (&json!("5"), &json!("ok"), &json!(false))
    );
    let id = called["id"].as_str().expect("an id").to_owned();
    let again = site.palib(&["call", "counter", "inc by-hand 5", "--id", &id, "--json"]).ok().json();
    assert_eq!((&again["reply"], &again["redundant"], &again["id"]), (&json!("5"), &json!(true), &json!(id)));
    let other = site.palib(&["call", "counter", "inc by-hand 6", "--id", &id]);
    assert_eq!(other.code, Some(2), "{other:?}");
    assert!(other.err.contains("another body"), "{other:?}");

    // Kill whoever is in service, by the alias's name.
    let before = in_service(&site, "counter").expect("somebody is in service");
    site.palib(&["kill", "counter"]).ok();
    let after = eventually("somebody else is in service", || match in_service(&site, "counter") {
        Some(now) if now != before => Ok(now),
        other => Err(format!("{other:?}")),
    });
    assert_ne!(before, after);
    // The outcome outlives the process that computed it.
    let again = site.palib(&["call", "counter", "inc by-hand 5", "--id", &id, "--json"]).ok().json();
    assert_eq!((&again["reply"], &again["redundant"]), (&json!("5"), &json!(true)));

    let table = site.palib(&["table", "counter", "--filter", "operator/", "--json"]).ok().json();
    assert!(table.as_array().is_some_and(|rows| rows.iter().any(|row| row["id"] == id)), "{table}");
    assert!(is_sorted_array(&site.palib(&["ps", "--json"]).ok().json()));
    let events = site.palib(&["events", "--json", "--limit", "100000"]).ok().json();
    let kinds: Vec<&str> =
        events.as_array().into_iter().flatten().filter_map(|event| event["kind"].as_str()).collect();
    for kind in ["ftm_started", "spawned", "joined", "defect", "exited", "takeover_started", "in_service"] {
        assert!(kinds.contains(&kind), "{kind} is missing in {kinds:?}");
    }
    // For people there are tables.
    assert!(site.palib(&["aliases"]).ok().out.starts_with("ALIAS"));
    assert!(site.palib(&["ps"]).ok().out.contains("counter-1"));
    let nobody = site.palib(&["kill", "nobody"]);
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
    let nobody = site.palib(&["table", "conter"]);
    assert!(nobody.code == Some(2) && nobody.err.contains("did you mean `counter`?"), "{nobody:?}");

    site.palib(&["down"]).ok();
    site.assert_nobody_is_left();
    assert_eq!(site.palib(&["ls", "--json"]).ok().json()[0]["state"], "stopped");

    // What is stable outlives the cluster too.
    up(&site);
    let called = site.palib(&["call", "counter", "read by-hand", "--json"]).ok().json();
    assert_eq!(called["reply"], "5");
    site.palib(&["down", "--all"]).ok();
    site.assert_nobody_is_left();
}

/// Programs once took the first rows for all there are.
#[test]
fn what_a_listing_leaves_out_is_told_beside_it() {
    let site = Site::new();
    up(&site);
    for id in 1..=2 {
        site.palib(&["call", "counter", &format!("inc by-hand {id}")]).ok();
    }
    for listing in ["table counter --filter operator/ --limit 1", "events --limit 1"] {
        for form in ["", " --json"] {
            let words = format!("{listing}{form}");
            let ran = site.palib(&words.split(' ').collect::<Vec<_>>()).ok();
            assert!(ran.err.contains("… and ") && !ran.out.contains('…'), "{words}: {ran:?}");
        }
    }
    let all = site.palib(&["table", "counter", "--filter", "operator/", "--json"]).ok();
    assert_eq!((all.json().as_array().map(Vec::len), all.err.as_str()), (Some(2), ""), "{all:?}");
    assert!(!site.palib(&["events", "--limit", "100000"]).ok().err.contains('…'));
    let relays = site.palib(&["relays", "--json"]).ok().json();
    assert_eq!(relays, json!({ "rows": [], "open": 0, "retained": 0 }));
}

/// A script must know whether to try again or to give up.
#[test]
fn what_is_not_possible_just_now_ends_with_3_and_a_mistake_with_2() {
    let site = Site::new();
    up(&site);
    for process in ["counter-1", "counter-2"] {
        site.palib(&["exit", process]).ok();
        until_one_is(&site, process, "down");
    }
    let later = site.palib(&["kill", "counter"]);
    assert_eq!(later.code, Some(3), "{later:?}");
    assert!(later.err.contains("try again"), "{later:?}");
    let mistake = site.palib(&["kill", "counter-1"]);
    assert_eq!(mistake.code, Some(2), "{mistake:?}");
    assert!(mistake.err.contains("`restart` starts it"), "{mistake:?}");
}

#[test]
fn a_call_without_an_outcome_tells_programs_its_id() {
    let site = Site::new();
    up(&site);
    site.palib(&["defect", "pause counter@before-commit"]).ok();
    until_one_is(&site, "counter", "paused");
    let called = site.palib(&["call", "counter", "inc by-hand 5", "--deadline", "300ms", "--json"]);
    assert_eq!(called.code, Some(1), "{called:?}");
    let row = called.json();
    assert_eq!((&row["status"], &row["reply"]), (&json!("unknown"), &json!(null)), "{row}");

    site.palib(&["heal"]).ok();
    let id = row["id"].as_str().expect("an id");
    let again = site.palib(&["call", "counter", "inc by-hand 5", "--id", id, "--json"]).ok().json();
    assert_eq!((&again["status"], &again["reply"]), (&json!("ok"), &json!("5")), "{again}");
}

/// Such a command once went on for ever: it took every refusal for one that passes.
#[test]
fn a_defect_that_comes_again_names_who_is_there_and_ends_with_its_cluster() {
    let site = Site::new();
    up(&site);
    let nobody = site.palib(&["defect", "every 10ms kill countr"]);
    assert_eq!(nobody.code, Some(2), "{nobody:?}");
    assert!(nobody.err.contains("did you mean `counter`?"), "{nobody:?}");

    let mut again = site.command(&["defect", "every 20ms hang caller 1ms"]);
    let again = again.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("palib can be run");
    eventually("it has struck", || {
        let events = site.palib(&["events", "--grep", "hang caller"]).ok().out;
        (!events.is_empty()).then_some(()).ok_or(events)
    });
    // What was told to exit is healed as well.
    site.palib(&["exit", "counter-2"]).ok();
    until_one_is(&site, "counter-2", "down");
    let healed = site.palib(&["heal"]).ok();
    assert!(healed.out.contains("counter-2 ends and is started again"), "{healed:?}");

    site.palib(&["down"]).ok();
    let ended = ended(again);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("is not running"), "{ended:?}");
    site.assert_nobody_is_left();
}
