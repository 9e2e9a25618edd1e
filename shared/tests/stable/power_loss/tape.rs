//! What happened to a file, change by change, and what its owner said in between.

use std::io;
use std::sync::Arc;

use palib::stable::redb::DiskSeam;
use palib::stable::{AreaError, Committed, Sink};
use parking_lot::{Condvar, Mutex};

use super::platter::{Change, Platter};

/// One entry of the tape.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Change(Change),
    Sync,
    /// The owner has opened the file: what it found there it may answer from.
    Opened,
    /// So many jobs, of all that were submitted, were told durable.
    Told(usize),
}

impl Step {
    /// Makes the change on a disk; the words of the owner change nothing there.
    pub(crate) fn play(&self, platter: &mut Platter) {
        match self {
            Self::Change(change) => platter.change(change.clone()),
            Self::Sync => platter.sync(),
            Self::Opened | Self::Told(_) => {}
        }
    }

    pub(crate) fn is_spoken(&self) -> bool {
        matches!(self, Self::Opened | Self::Told(_))
    }
}

/// Records both: it is the seam of the disk and the sink of the writer. All entries are made by the thread that
/// opens the file or by the writer's, one at a time.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    steps: Mutex<Vec<Step>>,
    told: Condvar,
}

impl Tape {
    pub(crate) fn note(&self, step: Step) {
        self.steps.lock().push(step);
    }

    /// All that happened so far.
    pub(crate) fn steps(&self) -> Vec<Step> {
        self.steps.lock().clone()
    }

    /// Waits until so many jobs were told durable.
    pub(crate) fn until_told(&self, jobs: usize) {
        let mut steps = self.steps.lock();
        while told(&steps) < jobs {
            let waited = self.told.wait_for(&mut steps, std::time::Duration::from_secs(60));
            assert!(!waited.timed_out(), "the writer said nothing more");
        }
    }
}

fn told(steps: &[Step]) -> usize {
    let told = steps.iter().rev().find_map(|step| match step {
        Step::Told(jobs) => Some(*jobs),
        _ => None,
    });
    told.unwrap_or(0)
}

impl DiskSeam for Tape {
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Step::Change(Change::Write(offset, Arc::from(data))));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(Step::Change(Change::SetLen(len)));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.note(Step::Sync);
        Ok(())
    }
}

impl Sink for Tape {
    fn committed(&self, jobs: Vec<Committed>) {
        let mut steps = self.steps.lock();
        let before = told(&steps);
        steps.push(Step::Told(before + jobs.len()));
        self.told.notify_all();
    }

    fn fatal(&self, error: AreaError) {
        panic!("{error}");
    }
}
