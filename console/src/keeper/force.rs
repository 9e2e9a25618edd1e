//! Finding and ending the processes of a cluster without the help of its FTM.

use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use palib::control::TICKET_VARIABLE;
use rustix::process::{Signal, kill_process};
use tokio::time::{Instant, sleep};

use crate::state::{ProcessMark, StateFolder};

/// How often it is looked whether a process is gone.
const LOOK: Duration = Duration::from_millis(20);

/// All processes that were started with a ticket of this cluster, and what they started: the environment tells,
/// whoever their parent is now.
pub(super) fn processes(folder: &StateFolder) -> Vec<ProcessMark> {
    let mut wanted = TICKET_VARIABLE.as_bytes().to_vec();
    wanted.push(b'=');
    wanted.extend_from_slice(folder.tickets().as_os_str().as_bytes());
    wanted.push(b'/');
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has_ticket = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(&wanted))
    };
    pids.filter(has_ticket).filter_map(ProcessMark::of).filter(ProcessMark::lives).collect()
}

/// Whether nothing of the cluster lives.
pub(super) fn is_down(folder: &StateFolder) -> bool {
    folder.living_ftm().is_none() && folder.living_keeper().is_none() && processes(folder).is_empty()
}

/// Tells the keeper to end, which takes down what is left.
pub(super) fn ask_keeper_to_end(folder: &StateFolder) {
    if let Some(id) = folder.living_keeper().and_then(|keeper| keeper.id()) {
        // It may end between the look and the signal.
        let _ = kill_process(id, Signal::TERM);
    }
}

/// Kills everything of the cluster and returns what is left after a while: the keeper first, so that it starts no
/// new FTM, then the FTM, so that it starts no new process.
pub(super) async fn end_all(folder: &StateFolder, within: Duration) -> Vec<u32> {
    let start = Instant::now();
    loop {
        let first = folder.living_keeper().into_iter().chain(folder.living_ftm());
        let left: Vec<ProcessMark> = first.chain(processes(folder)).collect();
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
