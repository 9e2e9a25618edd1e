//! The life of an owner: it opens the file it finds, commits its jobs, and everything is on tape. Then power is cut at
//! each step of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use palib::core::ids::Incarnation;
use palib::stable::redb::{RedbArea, RedbOptions, area_path};
use palib::stable::{AreaError, Job, StableArea, Token, inspect_file, raise_fence};
use rand::rngs::SmallRng;

use super::contents::Contents;
use super::platter::Platter;
use super::tape::{Step, Tape};
use super::workload::{Op, apply_job};
use crate::support::{ALIAS, ALIAS_ID};

/// The last owner of all: what it finds is compared.
const LAST: Incarnation = Incarnation(1000);

/// A folder in memory, if there is one, because nobody cuts the power of this machine.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        raise_fence(folder.path(), ALIAS, LAST).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self) -> PathBuf {
        area_path(self.folder.path(), ALIAS)
    }

    pub(crate) fn open(
        &self,
        incarnation: Incarnation,
        tape: &Arc<Tape>,
    ) -> Result<Arc<RedbArea>, AreaError> {
        // A new fence, because a fence never falls.
        let _ = std::fs::remove_file(palib::stable::fence_path(self.folder.path(), ALIAS));
        raise_fence(self.folder.path(), ALIAS, incarnation).unwrap();
        RedbArea::open(RedbOptions {
            folder: self.folder.path().to_owned(),
            alias: ALIAS.to_owned(),
            alias_id: ALIAS_ID,
            incarnation,
            sink: Arc::clone(tape) as Arc<_>,
            seam: Some(Arc::clone(tape) as Arc<_>),
        })
    }

    /// What the next owner finds in an image.
    pub(crate) fn look(&self, image: &[u8]) -> Result<Contents, String> {
        std::fs::write(self.path(), image).unwrap();
        let area = self.open(LAST, &Arc::default()).map_err(|error| error.to_string())?;
        Ok(Contents::read(&*area))
    }

    /// Whether who finds this image can go on from it: its tables agree, and it holds what is written to it.
    pub(crate) fn goes_on(&self, image: &[u8], found: &Contents, job: &[Op]) -> Result<(), String> {
        std::fs::write(self.path(), image).unwrap();
        let mut expected = found.clone();
        apply_job(job, &mut expected);
        let tape = Arc::default();
        let area = self.open(LAST, &tape).map_err(|error| error.to_string())?;
        submit(&*area, LAST, &[job.to_vec()]);
        tape.until_told(1);
        let written = Contents::read(&*area);
        area.close().map_err(|error| error.to_string())?;
        if written != expected {
            return Err("what was written after the power loss is not there".to_owned());
        }
        let check = inspect_file(&self.path()).map_err(|error| error.to_string())?.check();
        // Of the pages; the records were read and compared, and random jobs need not make sense together.
        let pages = check.listed.iter().find(|damage| damage.table.is_empty());
        pages.map_or(Ok(()), |damage| Err(format!("{damage:?}")))
    }
}

fn submit(area: &dyn StableArea, incarnation: Incarnation, jobs: &[Vec<Op>]) {
    let job = |ops: &Vec<Op>| Job {
        incarnation,
        writes: ops.iter().map(Op::to_write).collect(),
        token: Token::Other(0),
    };
    area.submit_all(&mut jobs.iter().map(job).collect(), false);
}

/// What an owner did, and what there was after each of its jobs.
pub(crate) struct Life {
    /// The file as it found it.
    before: Platter,
    /// What may be in it then: more than one if its former owner died within a commit.
    found: Vec<Contents>,
    steps: Vec<Step>,
    /// What there is after so many jobs.
    states: Vec<Contents>,
}

impl Life {
    /// Lets an owner live over a file. Each of `batches` is committed at once. It is killed in the end: nothing is
    /// closed, and what it did not sync stays unsynced.
    pub(crate) fn live(
        desk: &Desk,
        incarnation: u64,
        before: Platter,
        found: Vec<Contents>,
        batches: &[Vec<Vec<Op>>],
    ) -> Self {
        std::fs::write(desk.path(), before.seen()).unwrap();
        let tape = Arc::new(Tape::default());
        let area = desk.open(Incarnation(incarnation), &tape).unwrap();
        tape.note(Step::Opened);
        let mut contents = Contents::read(&*area);
        assert!(found.contains(&contents), "what it found is none of what there can be");
        let mut states = vec![contents.clone()];
        for jobs in batches {
            submit(&*area, Incarnation(incarnation), jobs);
            for job in jobs {
                apply_job(job, &mut contents);
                states.push(contents.clone());
            }
            tape.until_told(states.len() - 1);
        }
        assert!(
            Contents::read(&*area) == contents,
            "the reference and the area went apart without any power loss"
        );
        let steps = tape.steps();
        Self { before, found, steps, states }
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The same life with another tape: what a careless owner would have done.
    pub(crate) fn with_steps(mut self, change: impl FnOnce(&mut Vec<Step>)) -> Self {
        change(&mut self.steps);
        self
    }

    /// The file and all that may be in it if this owner is killed before its step `end`.
    pub(crate) fn killed_before(&self, end: usize) -> (Platter, Vec<Contents>) {
        let mut platter = self.before.clone();
        self.steps[..end].iter().for_each(|step| step.play(&mut platter));
        (platter, self.allowed(end).into_iter().cloned().collect())
    }

    /// What the file may hold if the power fails before step `end`: all that was told, and the commit under way or
    /// not; before this owner said anything, whatever may have been there.
    fn allowed(&self, end: usize) -> Vec<&Contents> {
        let (past, future) = self.steps.split_at(end);
        let told = |step: &Step| match step {
            Step::Opened => Some(0),
            Step::Told(jobs) => Some(*jobs),
            _ => None,
        };
        match past.iter().rev().find_map(told) {
            None => self.found.iter().collect(),
            Some(last) => {
                let next = future.iter().find_map(told).unwrap_or(last);
                // Both are states at the end of a commit: what lies between two of them would be half a commit.
                vec![&self.states[last], &self.states[next]]
            }
        }
    }

    /// Cuts the power before each step from `from` on, `most` times in different ways, and looks at what is left.
    ///
    /// # Errors
    /// With the first image that holds anything else than it may.
    pub(crate) fn cut_everywhere(
        &self,
        desk: &Desk,
        most: usize,
        random: &mut SmallRng,
        next_job: impl Fn(&mut SmallRng) -> Vec<Op>,
    ) -> Result<Images, Violation> {
        let mut platter = self.before.clone();
        let mut images = Images::default();
        for end in 0..=self.steps.len() {
            if let Some(step) = end.checked_sub(1).map(|step| &self.steps[step]) {
                step.play(&mut platter);
                // Nothing on the disk has changed, but more was promised.
                if step.is_spoken() && platter.is_synced() && end < self.steps.len() {
                    continue;
                }
            }
            let allowed = self.allowed(end);
            for image in platter.cuts(most, random) {
                let violation = |what: String| Violation { step: end, of: self.steps.len(), what };
                let found = desk.look(&image).map_err(violation)?;
                let Some(which) = allowed.iter().position(|allowed| **allowed == found) else {
                    return Err(violation(format!(
                        "it holds neither what was told nor the commit under way\n  found {found:?}\n  may be {allowed:?}"
                    )));
                };
                images.count += 1;
                images.newer += usize::from(which > 0);
                if images.count % Images::GOES_ON_EACH == 0 {
                    desk.goes_on(&image, &found, &next_job(random)).map_err(violation)?;
                }
            }
        }
        Ok(images)
    }
}

/// How many images were looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Images {
    pub(crate) count: usize,
    /// Of these so many held a commit that nobody was told of yet.
    pub(crate) newer: usize,
}

impl Images {
    /// One of so many is also written on and checked page by page.
    const GOES_ON_EACH: usize = 8;

    pub(crate) fn add(&mut self, more: Self) {
        self.count += more.count;
        self.newer += more.newer;
    }
}

/// An image that holds what it must not.
pub(crate) struct Violation {
    pub(crate) step: usize,
    pub(crate) of: usize,
    pub(crate) what: String,
}

impl fmt::Debug for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "power lost before step {} of {}: {}", self.step, self.of, self.what)
    }
}
