//! Headless runs of real clusters.

mod support;

use serde_json::Value;
use support::{Site, eventually};

fn lines_of(site: &Site, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path().join(name)).expect(name);
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn a_storm_over_clients_and_servers_loses_and_doubles_nothing() {
    let site = Site::new();
    let ran = site.palib(&[
        "run", "counter", "--for", "8s", "--storm", "2/s", "--seed", "7", "--rate", "300", "--out", "out",
        "--json",
    ]);
    let summary = ran.ok().json();
    assert_eq!(summary["verdict"], "clean", "{summary}");
    assert_eq!((summary["lost"].as_u64(), summary["doubled"].as_u64()), (Some(0), Some(0)));
    assert_eq!(summary["effects"], summary["calls"]["acked"], "{summary}");
    assert!(summary["calls"]["acked"].as_u64() > Some(500), "{summary}");
    let takeovers = summary["takeovers"].as_array().expect("takeovers");
    assert!(
        !takeovers.is_empty() && takeovers.iter().all(|takeover| takeover["incarnation"].as_u64() > Some(1))
    );
    assert!(summary["defects"].as_array().is_some_and(|defects| defects.len() > 5), "{summary}");
    assert_eq!(summary["seed"], 7);
    for field in ["elapsed_ms", "suppressed", "violations", "latency_us"] {
        assert!(summary.get(field).is_some(), "{field} is missing");
    }

    // What was asked to be kept is there, and judged again it is still clean.
    assert_eq!(lines_of(&site, "out/summary.json"), [summary]);
    assert!(!lines_of(&site, "out/events.jsonl").is_empty());
    assert!(site.path().join("out/areas/counter.redb").is_file() && site.path().join("out/logs").is_dir());
    assert!(!site.path().join("out/state").exists(), "keys do not stay");
    assert_eq!(site.palib(&["check", "out/history.jsonl", "--json"]).ok().json()["verdict"], "clean");
    site.assert_nobody_is_left();
}

#[test]
fn a_run_goes_until_so_many_calls_and_leaves_nothing_behind() {
    let site = Site::new();
    let ran = site
        .palib(&["run", "counter", "--calls", "200", "--rate", "0", "--defect", "kill counter", "--json"])
        .ok();
    let summary = ran.json();
    assert!(summary["calls"]["acked"].as_u64() >= Some(200), "{summary}");
    assert_eq!(
        summary["defects"][0]["spec"].as_str().map(|spec| spec.starts_with("kill ")),
        Some(true),
        "{summary}"
    );
    site.assert_nobody_is_left();
    let left: Vec<_> = std::fs::read_dir(site.path())
        .expect("the site")
        .filter_map(Result::ok)
        .map(|e| e.file_name())
        .collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("palib-run-")), "{left:?}");
}

#[test]
fn an_interrupted_run_takes_everything_down_with_it() {
    for signal in [rustix::process::Signal::INT, rustix::process::Signal::KILL] {
        let site = Site::new();
        let mut run = site.command(&["run", "counter", "--for", "60s"]).spawn().expect("palib can be run");
        eventually("the cluster is there", || {
            let nodes = site.processes().iter().filter(|line| line.contains(" node")).count();
            (nodes == 4).then_some(()).ok_or_else(|| format!("{nodes} nodes"))
        });
        let pid = rustix::process::Pid::from_child(&run);
        rustix::process::kill_process(pid, signal).expect("a signal to our own child");
        let status = run.wait().expect("the run ends");
        assert!(!status.success());
        site.assert_nobody_is_left();
    }
}

/// A run whose calls had all failed was once clean.
#[test]
fn a_run_without_an_acknowledged_call_is_not_clean() {
    let site = Site::new();
    let shop = palib_console::cluster::Demo::find("orders").expect("a demo").text;
    let file = site.file("shut.toml", &shop.replace("refuse_one_in = 12", "refuse_one_in = 1"));
    let ran = site.palib(&["run", &file, "--for", "500ms", "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let summary = ran.json();
    assert_eq!(
        (&summary["verdict"], &summary["calls"]["acked"]),
        (&"not clean: nothing was acknowledged".into(), &0.into()),
        "{summary}"
    );
    assert!(summary["calls"]["failed"].as_u64() > Some(0), "{summary}");
    site.assert_nobody_is_left();
}

/// The state of the first run once lay in the way of the second, with its keys.
#[test]
fn a_run_that_was_interrupted_is_no_obstacle_to_the_next() {
    let site = Site::new();
    for nodes_wanted in [1, 4] {
        let mut run = site
            .command(&["run", "counter", "--for", "60s", "--out", "out"])
            .spawn()
            .expect("palib can be run");
        eventually("a part of the cluster is there", || {
            let nodes = site.processes().iter().filter(|line| line.contains(" node")).count();
            (nodes >= nodes_wanted).then_some(()).ok_or_else(|| format!("{nodes} nodes"))
        });
        let pid = rustix::process::Pid::from_child(&run);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal to our own child");
        assert_eq!(run.wait().expect("the run ends").code(), Some(3));
        assert!(!site.path().join("out/state").exists(), "keys do not stay");
        site.assert_nobody_is_left();
    }
    let again = ["run", "counter", "--calls", "20", "--rate", "0", "--out", "out"];
    site.palib(&again).ok();
    std::fs::create_dir(site.path().join("out/state")).expect("a writable folder");
    let blocked = site.palib(&again);
    assert_eq!(blocked.code, Some(3), "{blocked:?}");
    assert!(blocked.err.contains("remove ") && blocked.err.contains("out/state"), "{blocked:?}");
}

#[test]
fn the_ftm_may_die_in_the_middle() {
    let site = Site::new();
    let ran = site.palib(&[
        "run",
        "counter",
        "--for",
        "6s",
        "--rate",
        "200",
        "--defect",
        "after 1s kill ftm",
        "--defect",
        "after 3s kill counter",
        "--json",
    ]);
    let summary = ran.ok().json();
    assert_eq!(summary["verdict"], "clean", "{summary}");
    assert!(summary["calls"]["acked"].as_u64() > Some(300), "{summary}");
    site.assert_nobody_is_left();
}

#[test]
fn who_was_told_to_end_is_started_again_before_the_run_ends() {
    let site = Site::new();
    // PA3 has no other member: its calls wait until this one is there again.
    let ran = site.palib(&[
        "run",
        "fig4",
        "--for",
        "2s",
        "--defect",
        "after 500ms exit PROCESS1",
        "--out",
        "out",
        "--json",
    ]);
    let summary = ran.ok().json();
    assert_eq!(summary["verdict"], "clean", "{summary}");
    let events = lines_of(&site, "out/events.jsonl");
    let exited: Vec<&Value> = events.iter().filter(|event| event["kind"] == "exited").collect();
    assert_eq!((&exited[0]["name"], &exited[0]["how"]), (&"PROCESS1".into(), &"exit 0".into()), "{exited:?}");
    site.assert_nobody_is_left();
}

/// A storm over a demo in which a relay has most of the work.
fn storm_over(demo: &str, site: &Site) -> Value {
    let ran = site.palib(&[
        "run",
        demo,
        "--for",
        "10s",
        "--storm",
        "2/s",
        "--seed",
        "5",
        "--callers",
        "16",
        "--out",
        "out",
        "--json",
    ]);
    let summary = ran.ok().json();
    assert_eq!(summary["verdict"], "clean", "{summary}");
    assert_eq!((summary["lost"].as_u64(), summary["doubled"].as_u64()), (Some(0), Some(0)));
    assert_eq!(summary["effects"], summary["calls"]["acked"], "{summary}");
    assert_eq!(site.palib(&["check", "out/history.jsonl", "--json"]).ok().json()["verdict"], "clean");
    site.assert_nobody_is_left();
    summary
}

#[test]
fn a_storm_over_a_relay_loses_and_doubles_nothing_behind_it() {
    let site = Site::new();
    let summary = storm_over("relay", &site);
    assert!(summary["calls"]["acked"].as_u64() > Some(20), "{summary}");
    assert!(summary["transactions"]["rolled_forward"].as_u64() > Some(0), "{summary}");
    assert_eq!(summary["undone"], 0, "what is rolled forward is not undone: {summary}");
}

#[test]
fn a_storm_over_a_shop_leaves_every_order_whole_or_nothing_of_it() {
    let site = Site::new();
    let summary = storm_over("orders", &site);
    assert!(summary["calls"]["acked"].as_u64() > Some(50), "{summary}");
    assert!(summary["calls"]["failed"].as_u64() > Some(0), "nobody refused: {summary}");
    assert!(summary["transactions"]["rolled_back"].as_u64() > Some(0), "{summary}");
    assert!(summary["undone"].as_u64() > Some(0), "{summary}");
}

#[test]
fn a_storm_over_a_relay_that_rolls_back_undoes_what_it_does_again() {
    let site = Site::new();
    let summary = storm_over("rollback", &site);
    assert!(summary["transactions"]["rolled_back"].as_u64() > Some(0), "{summary}");
}
