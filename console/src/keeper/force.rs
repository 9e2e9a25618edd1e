//! Ending the processes of a cluster without the help of its FTM.

use std::time::Duration;

use rustix::process::{Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::state::{ProcessMark, StateFolder};

/// How often it is looked whether a process is gone.
const LOOK: Duration = Duration::from_millis(20);

/// Tells the keeper to end, which takes down what is left. False if there is none that could.
pub(super) fn ask_keeper_to_end(folder: &StateFolder) -> bool {
    let keeper = folder.living_keeper().and_then(|keeper| keeper.id());
    if let Some(id) = keeper {
        // It may end between the look and the signal.
        let _ = kill_process(id, Signal::TERM);
    }
    keeper.is_some()
}

/// Kills everything of the cluster and returns what is left after a while: the keeper first, so that it starts no
/// new FTM, then the FTM, so that it starts no new process.
pub(super) async fn end_all(folder: &StateFolder, within: Duration) -> Vec<u32> {
    let start = Instant::now();
    loop {
        let first = folder.living_keeper().into_iter().chain(folder.living_ftm());
        let left: Vec<ProcessMark> = first.chain(folder.living_nodes()).collect();
        if left.is_empty() || start.elapsed() > within {
            return left.iter().map(|mark| mark.pid).collect();
        }
        kill(&left);
        sleep(LOOK).await;
    }
}

/// Kills these processes.
pub(super) fn kill(processes: &[ProcessMark]) {
    for id in processes.iter().filter_map(ProcessMark::id) {
        // One that is gone already is what was wanted.
        let _ = kill_process(id, Signal::KILL);
    }
}
