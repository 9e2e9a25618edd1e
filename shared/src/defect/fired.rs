//! What a process leaves behind when it passes an armed point.

use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A point that fired. Written to a file, because who is about to die has no time to tell it over a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fired {
    /// The id of the defect in the ledger, such as `P1`.
    pub id: String,
    /// The name of the point.
    pub point: String,
    /// When, on the machine's monotonic clock (CLOCK_MONOTONIC), in nanoseconds.
    pub at_ns: u64,
}

impl Fired {
    /// What lies in a file; none if nothing does, or not a whole one.
    #[must_use]
    pub fn read(file: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(file).ok()?).ok()
    }

    /// Writes it. Not synced: the process dies, not the machine.
    ///
    /// # Errors
    /// If the operating system refuses.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        fs::write(file, serde_json::to_vec(self)?)
    }
}
