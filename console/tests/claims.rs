//! The claims of the patent, played by the real binary against real processes.

mod support;

use serde_json::Value;
use support::{Site, eventually};

/// The only claim of whose text nothing is left, nor in the description that could stand for it.
const LOST: u64 = 9;

#[test]
fn every_claim_and_figure_of_the_patent_holds() {
    let site = Site::new();
    let ran = site.palib(&["claims", "--json"]);
    let report = ran.json();
    assert_eq!(report["verdict"], "clean", "{}", ran.err);
    for list in ["claims", "figures"] {
        for row in report[list].as_array().into_iter().flatten() {
            let said = !row["note"].as_str().unwrap_or_default().is_empty();
            assert!(row["verdict"] == "held" || row["verdict"] == "nothing to play" && said, "{row}");
        }
    }
    let claims = report["claims"].as_array().expect("claims");
    assert_eq!(claims.len(), 33);
    let played = |row: &&Value| row["number"].as_u64() != Some(LOST) && row["number"].as_u64() <= Some(22);
    assert!(claims.iter().filter(played).all(|row| row["verdict"] == "held"), "{}", ran.out);
    assert_eq!(ran.code, Some(0));
    site.assert_nobody_is_left();
}

#[test]
fn an_interrupted_play_leaves_nobody_behind() {
    let site = Site::new();
    let mut play = site.command(&["claims"]).spawn().expect("palib can be run");
    eventually("the cluster is there", || {
        let nodes = site.processes().iter().filter(|line| line.contains(" node")).count();
        (nodes > 8).then_some(()).ok_or_else(|| format!("{nodes} nodes"))
    });
    let pid = rustix::process::Pid::from_child(&play);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal to our own child");
    assert!(!play.wait().expect("it ends").success());
    site.assert_nobody_is_left();
}
