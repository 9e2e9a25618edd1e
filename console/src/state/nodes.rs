//! The processes of a cluster, found without the help of its FTM.

use std::os::unix::ffi::OsStrExt as _;

use palib::control::TICKET_VARIABLE;

use super::{ProcessMark, StateFolder};

impl StateFolder {
    /// All processes that were started with a ticket of this cluster, and what they started: the environment tells,
    /// whoever their parent is now.
    #[must_use]
    pub fn living_nodes(&self) -> Vec<ProcessMark> {
        let mut wanted = TICKET_VARIABLE.as_bytes().to_vec();
        wanted.push(b'=');
        wanted.extend_from_slice(self.tickets().as_os_str().as_bytes());
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
    #[must_use]
    pub fn is_down(&self) -> bool {
        self.living_ftm().is_none() && self.living_keeper().is_none() && self.living_nodes().is_empty()
    }
}
