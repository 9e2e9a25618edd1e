//! Links that are cut, one way or both, lossy, late, doubling and reordering, between real processes.

mod support;

use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use support::pair::{Counter, signal, state_of};
use support::{Site, eventually};

fn causes(summary: &Value) -> Vec<&str> {
    let takeovers = summary["takeovers"].as_array().expect("takeovers");
    takeovers.iter().filter_map(|takeover| takeover["cause"].as_str()).collect()
}

#[test]
fn a_server_cut_off_from_its_ftm_is_taken_over_and_joins_again_when_the_cut_is_healed() {
    let counter = Counter::up(&[]);
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "1");
    let made = counter.json(&["defect", "cut", "counter", "ftm"]);
    assert_eq!(made["done"], "cut counter-1 ftm (L1)", "an alias stands for its member in service");
    counter.until("the backup has taken over", |rows| state_of(rows, "counter-2") == "in_service");
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "2");
    let hung = &counter.events("hung")[0];
    assert_eq!(hung["name"], "counter-1");
    assert!(hung["silent_ms"].as_u64() >= Some(600), "{hung}");

    // Its successor can't join either: the cut is one of the process, whichever run of it.
    counter.until("it is started again", |rows| state_of(rows, "counter-1") == "starting");
    std::thread::sleep(Duration::from_millis(1_500));
    let joined = |counter: &Counter| {
        let joined = counter.events("joined");
        joined.iter().filter(|event| event["name"] == "counter-1").count()
    };
    assert_eq!(joined(&counter), 1, "{:?}", counter.events("joined"));
    let healed = Instant::now();
    assert_eq!(counter.json(&["heal", "L1"])["done"], "cut counter-1 ftm is over (L1)");
    counter.until("it joins as the backup", |rows| state_of(rows, "counter-1") == "backup");
    assert!(healed.elapsed() < Duration::from_secs(6), "{:?}", healed.elapsed());
    assert_eq!(counter.events("healed").len(), 1);
    counter.down();
}

#[test]
fn a_fault_outlives_the_ftm_that_made_it_and_can_be_healed_by_the_next() {
    let counter = Counter::up(&[]);
    counter.json(&["defect", "cut counter-1 counter-2"]);
    let former = counter.pid_in("ftm.pid");
    signal(former, Signal::KILL);
    eventually("another FTM has found both", || match counter.events("adopted").len() {
        2 => Ok(()),
        other => Err(format!("{other} adopted")),
    });
    counter.until("both have joined again", |rows| {
        state_of(rows, "counter-1") == "in_service" && state_of(rows, "counter-2") == "backup"
    });
    assert_eq!(counter.events("healed").len(), 0, "it lasts");
    let again = counter.site.palib(&["defect", "cut", "counter-1", "counter-2"]);
    assert!(again.err.contains("is there already (L1)"), "{again:?}");
    assert_eq!(counter.json(&["heal"])["done"], "cut counter-1 counter-2 is over (L1)");
    assert_eq!(
        counter.json(&["defect", "reorder counter-2 ftm for 100ms"])["done"].as_str(),
        Some("reorder counter-2 ftm for 100ms (L2)")
    );
    eventually("it is over by itself", || match counter.events("healed").len() {
        2 => Ok(()),
        other => Err(format!("{other} healed")),
    });
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "1");
    counter.down();
}

#[test]
fn a_link_that_no_cluster_can_have_is_refused() {
    let counter = Counter::up(&[]);
    let refused = |spec: &str, says: &str| {
        let ran = counter.site.palib(&["defect", spec]);
        assert!(ran.code != Some(0) && ran.err.contains(says), "{spec}: {ran:?}");
    };
    refused("cut counter-1 nobody", "nothing is named `nobody` in pair");
    refused("cut counter counter-1", "a link has two ends");
    refused("disk counter-1 full", "none is named `counter-1` in pair; did you mean `counter`?");
    refused("cut ftm ftm", "a link has two ends");
    assert_eq!(counter.events("defect").len(), 0);
    counter.down();
}

#[test]
fn calls_wait_while_a_server_is_cut_off_from_its_clients_and_go_on_after_it() {
    let site = Site::new();
    let summary =
        site.clean_run(&["counter", "--for", "4s", "--defect", "after 1s cut caller counter for 1s"]);
    assert_eq!(causes(&summary), Vec::<&str>::new(), "the FTM reaches both, so nobody is fenced");
    let longest_us = summary["latency_us"]["max"].as_u64().expect("a latency");
    assert!((900_000..3_000_000).contains(&longest_us), "{summary}");
    assert!(summary["calls"]["acked"].as_u64() > Some(100), "{summary}");
    assert_eq!(site.events("healed").len(), 1);
    site.assert_never_two_in_service();
    site.assert_nobody_is_left();
}

#[test]
fn links_that_died_in_a_long_cut_are_made_again_at_once() {
    let site = Site::new();
    // Longer than QUIC waits until it gives a link up.
    let summary =
        site.clean_run(&["counter", "--for", "9s", "--defect", "after 500ms cut caller counter for 6s"]);
    let longest_us = summary["latency_us"]["max"].as_u64().expect("a latency");
    assert!((5_900_000..8_000_000).contains(&longest_us), "{summary}");
    site.assert_nobody_is_left();
}

#[test]
fn flapping_and_one_way_links_double_nothing_and_never_put_two_in_service() {
    let site = Site::new();
    let summary = site.clean_run(&[
        "counter",
        "--for",
        "6s",
        "--defect",
        "every 200ms cut counter ftm for 100ms",
        "--defect",
        "every 300ms cut caller counter for 100ms",
        "--defect",
        "every 1900ms oneway counter ftm for 1s",
        "--defect",
        "every 700ms oneway counter caller for 200ms",
        "--defect",
        "cut counter-1 counter-2",
    ]);
    assert!(causes(&summary).contains(&"hung"), "{summary}");
    assert!(summary["defects"].as_array().is_some_and(|defects| defects.len() > 20), "{summary}");
    assert!(summary["calls"]["acked"].as_u64() > Some(50), "{summary}");
    let (made, healed) = (site.events("defect").len(), site.events("healed").len());
    assert_eq!(made, healed, "whatever was broken is whole at the end");
    site.assert_never_two_in_service();
    site.assert_nobody_is_left();
}

#[test]
fn lossy_late_doubling_and_reordering_links_carry_every_call_once_in_a_storm() {
    let site = Site::new();
    let summary = site.clean_run(&[
        "counter",
        "--for",
        "6s",
        "--seed",
        "3",
        "--storm",
        "1/s",
        "--defect",
        "every 500ms drop caller counter 15% for 400ms",
        "--defect",
        "every 500ms duplicate caller counter 30% for 400ms",
        "--defect",
        "every 500ms reorder counter caller for 400ms",
        "--defect",
        "every 500ms delay caller counter 10ms±8ms for 400ms",
        "--defect",
        "every 900ms drop counter ftm 40% for 500ms",
    ]);
    assert!(summary["calls"]["acked"].as_u64() > Some(50), "{summary}");
    let specs: Vec<_> =
        summary["defects"].as_array().expect("defects").iter().map(|defect| &defect["spec"]).collect();
    for verb in ["drop", "duplicate", "reorder", "delay"] {
        let struck = specs.iter().filter_map(|spec| spec.as_str()).any(|spec| spec.starts_with(verb));
        assert!(struck, "no {verb}: {summary}");
    }
    site.assert_never_two_in_service();
    site.assert_nobody_is_left();
}
