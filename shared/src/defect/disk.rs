//! The disk below the stable area of one alias, as this process sees it, with the faults that are ordered.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use rustix::io::Errno;
use signal_hook::consts::SIGKILL;

use super::{DiskFault, DiskRule, Fired};
use crate::clock::monotonic_ns;
use crate::stable::DiskSeam;

/// So many bytes reach a disk together or not at all.
const SECTOR_BYTES: usize = 512;

/// The faults of one disk. Where none is ordered, each change of the file costs one relaxed load more.
#[derive(Debug)]
pub struct DiskFaults {
    /// The file that lies on the disk.
    area: PathBuf,
    /// Where it is told what has struck.
    fired: PathBuf,
    armed: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<DiskRule>,
    /// What has struck here, and may be ordered once more before that is known everywhere.
    struck: BTreeSet<String>,
    /// What was there before it was written over, since the last sync, oldest first. Kept while power may be cut.
    before: Vec<(u64, Vec<u8>)>,
    seed: u64,
}

impl DiskFaults {
    /// A disk without faults, on which this file lies; what strikes is told in the file `fired`.
    #[must_use]
    pub fn new(area: PathBuf, fired: PathBuf) -> Self {
        Self { area, fired, armed: AtomicBool::new(false), state: Mutex::default() }
    }

    /// Sets the faults, in the place of those that were set before. `seed` is that of chance.
    pub fn set(&self, mut rules: Vec<DiskRule>, seed: u64) {
        let mut state = self.state.lock();
        rules.retain(|rule| !state.struck.contains(&rule.id));
        if rules.iter().all(|rule| rule.fault != DiskFault::Torn) {
            state.before.clear();
        }
        self.armed.store(!rules.is_empty(), Ordering::Relaxed);
        (state.rules, state.seed) = (rules, seed);
    }

    fn is_armed(&self) -> bool {
        self.armed.load(Ordering::Relaxed)
    }

    /// Tells that a fault has struck, which it does once.
    fn strike(&self, state: &mut State, rule: &DiskRule, what: &str) {
        state.struck.insert(rule.id.clone());
        state.rules.retain(|other| other.id != rule.id);
        let fired = Fired { id: rule.id.clone(), point: what.to_owned(), at_ns: monotonic_ns() };
        if let Err(error) = fired.write(&self.fired) {
            tracing::error!(%error, file = %self.fired.display(), id = rule.id, "a fault of a disk can't be told");
        }
    }

    /// Power is cut in the middle of a sync: of what was written since the last one each sector has reached the disk or
    /// has not, as chance will have it.
    fn cut_power(&self, state: &mut State, rule: &DiskRule) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.area)?;
        let mut random = SmallRng::seed_from_u64(state.seed ^ u64::from(crc32fast::hash(rule.id.as_bytes())));
        for (offset, bytes) in state.before.drain(..).rev() {
            for (place, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
                if random.random() {
                    file.write_all_at(sector, offset + (place * SECTOR_BYTES) as u64)?;
                }
            }
        }
        self.strike(state, rule, "torn");
        // Raised in this thread, which gets no further: nobody learns of this commit.
        signal_hook::low_level::raise(SIGKILL)
    }
}

impl State {
    fn has(&self, fault: DiskFault) -> bool {
        self.rules.iter().any(|rule| rule.fault == fault)
    }

    fn rule(&self, fault: DiskFault) -> Option<DiskRule> {
        self.rules.iter().find(|rule| rule.fault == fault).cloned()
    }
}

/// What lies in a file at a place; zeros behind its end.
fn read_padded(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    let mut read = 0;
    while read < len {
        match file.read_at(&mut bytes[read..], offset + read as u64)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(bytes)
}

impl DiskSeam for DiskFaults {
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if !self.is_armed() {
            return Ok(());
        }
        let mut state = self.state.lock();
        if state.has(DiskFault::Full) {
            return Err(Errno::NOSPC.into());
        }
        if state.has(DiskFault::Torn) {
            let there = read_padded(&File::open(&self.area)?, offset, data.len())?;
            state.before.push((offset, there));
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let grows = || std::fs::metadata(&self.area).is_ok_and(|file| len > file.len());
        if self.is_armed() && self.state.lock().has(DiskFault::Full) && grows() {
            return Err(Errno::NOSPC.into());
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        if !self.is_armed() {
            return Ok(());
        }
        let mut state = self.state.lock();
        let slow = state.rules.iter().filter_map(|rule| match rule.fault {
            DiskFault::Slow(by) => Some(by),
            _ => None,
        });
        let slow = slow.sum();
        if let Some(rule) = state.rule(DiskFault::FsyncError) {
            self.strike(&mut state, &rule, "fsync-error");
            return Err(Errno::IO.into());
        }
        if let Some(rule) = state.rule(DiskFault::Torn).filter(|_| !state.before.is_empty()) {
            return self.cut_power(&mut state, &rule);
        }
        drop(state);
        // In the writer's own thread, as a slow disk would hold it up.
        std::thread::sleep(slow);
        Ok(())
    }
}
