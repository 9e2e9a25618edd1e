//! What steps of tours do, on a real cluster.

mod support;

use std::path::PathBuf;
use std::time::Duration;

use palib_console::cluster::{Action, ClusterFile, Demo};
use palib_console::run::{Stage, action};
use support::Site;

const WITHIN: Duration = Duration::from_secs(30);

async fn counter(site: &Site) -> Stage {
    let demo = Demo::find("counter").expect("the demo");
    let file = ClusterFile::parse(demo.name, demo.text).expect("a cluster file");
    let program = Some(PathBuf::from(env!("CARGO_BIN_EXE_palib")));
    Stage::start(&file, site.path(), site.path(), program).await.expect("a cluster")
}

async fn perform(stage: &mut Stage, text: &str) {
    let action: Action = text.parse().expect("an action");
    let client = stage.client().clone();
    let done = stage.meanwhile(action::perform(&client, &action)).await.expect("a cluster that is up");
    done.unwrap_or_else(|refused| panic!("{text}: {refused}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_wait_is_done_only_after_it() {
    let site = Site::new();
    let mut stage = counter(&site).await;
    perform(&mut stage, "kill counter-1 and wait 300ms and after 200ms kill counter-2").await;
    let told = stage.until("both kills to be told", WITHIN, |world| world.defects.len() == 2).await;
    told.expect("both kills");
    let at: Vec<u64> = stage.world.defects.iter().map(|defect| defect.at_unix_ms).collect();
    assert!(at[1] - at[0] >= 500, "{at:?}");
    stage.shutdown().await.expect("a cluster that stops");
    site.assert_nobody_is_left();
}

#[tokio::test(flavor = "multi_thread")]
async fn healing_starts_again_who_was_told_to_end() {
    let site = Site::new();
    let mut stage = counter(&site).await;
    perform(&mut stage, "exit counter-2 and hang caller-2").await;
    let ended = stage.until("it to end", WITHIN, |world| world.processes["counter-2"].pid.is_none()).await;
    ended.expect("an end");
    perform(&mut stage, "heal").await;
    let back = stage.until("it to be back", WITHIN, |world| {
        world.processes["counter-2"].pid.is_some() && world.active_defects().next().is_none()
    });
    back.await.expect("a start");
    stage.shutdown().await.expect("a cluster that stops");
    site.assert_nobody_is_left();
}
