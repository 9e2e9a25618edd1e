//! Writers of stable areas, and the disk below them.
//!
//! A writer commits at once what has gathered while the last commit ran. Whoever dies while a commit is under way leaves
//! it to chance whether that survives, whole or not at all.

use palib_core::ids::{Incarnation, Nanos, SlotKey};
use palib_core::message::Outcome;
use palib_core::resend;
use palib_core::server::{Input, Then, Write};

use crate::area::{Applied, Closure, Job, incarnation_of};
use crate::body::Body;
use crate::cluster::Cluster;
use crate::feed::Feed;
use crate::guard::Guard;
use crate::invariant::Invariant;
use crate::process::US;
use crate::queue::{Event, Local};
use crate::random::Lane;
use crate::schedule::{DiskFault, Ends};
use crate::words::jobs_text;

/// What a disk does to the commits of an alias until some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DiskRule {
    pub(crate) alias: usize,
    pub(crate) fault: DiskFault,
    pub(crate) until: Nanos,
}

impl Cluster<'_> {
    /// Gives a job to the writer.
    pub(crate) fn submit(&mut self, p: usize, s: usize, job: Job) {
        let writer = &mut self.processes[p].sides[s].writer;
        writer.queue.push(job);
        if writer.flying.is_none() {
            self.start_commit(p, s);
        }
    }

    fn start_commit(&mut self, p: usize, s: usize) {
        let side = &self.processes[p].sides[s];
        let alias = side.alias;
        if self.is_fenced(alias, incarnation_of(&side.writer.queue)) {
            return self.ends_fenced(p);
        }
        let side = &mut self.processes[p].sides[s];
        side.writer.flying = Some(std::mem::take(&mut side.writer.queue));
        side.writer.number += 1;
        let number = side.writer.number;
        let now = self.now;
        self.disks.retain(|rule| rule.until > now);
        let slow = self.disks.iter().filter(|rule| rule.alias == alias).map(|rule| match rule.fault {
            DiskFault::Slow(us) => us,
            DiskFault::SyncError | DiskFault::Full => 0,
        });
        let slow: u64 = slow.sum();
        let latency = self.chance(Lane::Disk(alias)).between(120, 900) + slow;
        self.later(latency * US, Event::Disk(p, s, number));
        self.pass_submitted(p, alias);
    }

    /// Whether somebody else has taken over, as the writer sees it before and after each commit.
    fn is_fenced(&self, alias: usize, incarnation: Incarnation) -> bool {
        incarnation < self.areas[alias].fence && !self.lacks(Guard::IncarnationCheck)
    }

    /// Whoever finds itself fenced commits nothing, answers nothing, and ends.
    fn ends_fenced(&mut self, p: usize) {
        self.counts.fenced += 1;
        for s in 0..self.processes[p].sides.len() {
            let side = &mut self.processes[p].sides[s];
            side.server.handle(self.now, Input::Fenced, &mut Vec::new());
            side.caller.handle(self.now, resend::Input::Fenced, &mut Vec::new());
        }
        self.die(p, "finds itself fenced");
    }

    /// The disk is through with a commit. That happens also while its process is stopped.
    pub(crate) fn disk_done(&mut self, p: usize, s: usize, number: u64) {
        let process = &self.processes[p];
        if !process.alive || process.sides[s].writer.number != number {
            return;
        }
        let (alias, spared) = (process.sides[s].alias, process.spared);
        let incarnation = incarnation_of(process.sides[s].writer.flying.as_deref().unwrap_or_default());
        let fault = self.disks.iter().find(|rule| rule.alias == alias && rule.until > self.now);
        match fault.map(|rule| rule.fault) {
            Some(DiskFault::SyncError) => {
                self.counts.disk_faults += 1;
                return self.die(p, "a sync failed");
            }
            Some(DiskFault::Full) => {
                self.counts.disk_faults += 1;
                self.processes[p].sides[s].writer.flying = None;
                return self.die(p, "the disk is full");
            }
            Some(DiskFault::Slow(_)) | None => {}
        }
        if self.is_fenced(alias, incarnation) {
            // The check came before the fence, and the commit after it: nobody reads it before this process is known
            // dead. Of one that is thought dead the check and the commit are one.
            if spared {
                self.processes[p].sides[s].writer.flying = None;
            }
            return self.ends_fenced(p);
        }
        let Some(jobs) = self.processes[p].sides[s].writer.flying.take() else { return };
        let told = self.apply(p, alias, incarnation, jobs);
        if self.pass_durable(p, alias) {
            return;
        }
        let after = self.chance(Lane::Disk(alias)).between(5, 60) * US;
        self.locally(after, p, Local::Told(s, told));
        if !self.processes[p].sides[s].writer.queue.is_empty() {
            self.start_commit(p, s);
        } else if self.processes[p].heart_waits {
            self.processes[p].heart_waits = false;
            self.beat(p);
        }
    }

    /// A commit is durable.
    fn apply(
        &mut self,
        p: usize,
        alias: usize,
        incarnation: Incarnation,
        jobs: Vec<Job>,
    ) -> Vec<(Job, Applied)> {
        self.counts.commits += 1;
        let (seat, judge) = (self.processes[p].seat, &self.judge);
        self.trace.say(self.now, Some(seat), || format!("durable: {}", jobs_text(&jobs, judge)));
        if incarnation < self.areas[alias].opened {
            let opened = self.areas[alias].opened;
            self.violate(Invariant::NoFencedCommit, |cluster| {
                let alias = cluster.plan.alias_name(alias);
                format!("{alias}: a commit of incarnation {incarnation} after {opened} had opened the area")
            });
        }
        // A successor that was let in without the fence raises it with its first commit.
        self.areas[alias].fence = self.areas[alias].fence.max(incarnation);
        let store_marks = !self.lacks(Guard::StoredMark);
        let mut told = Vec::with_capacity(jobs.len());
        for job in jobs {
            let applied = self.areas[alias].apply(&job, store_marks);
            self.counts.pruned += applied.pruned;
            if let Job::Caller { write: resend::Write::Put(pending), .. } = &job {
                self.judge.kept(pending.id);
            }
            if let Some(body) = applied.effect {
                self.effect(alias, body);
            }
            told.push((job, applied));
        }
        told
    }

    /// A process died: of each commit that was under way nobody knows.
    pub(crate) fn leave_to_chance(&mut self, p: usize) {
        for s in 0..self.processes[p].sides.len() {
            let side = &mut self.processes[p].sides[s];
            let alias = side.alias;
            side.writer.queue.clear();
            let Some(jobs) = side.writer.flying.take() else { continue };
            let incarnation = incarnation_of(&jobs);
            let over = incarnation < self.areas[alias].opened && !self.lacks(Guard::IncarnationCheck);
            if self.chance(Lane::Disk(alias)).permille(500) && !over {
                self.counts.survived += 1;
                self.apply(p, alias, incarnation, jobs);
            } else {
                self.counts.perished += 1;
            }
        }
    }

    /// The writer tells the machines what is durable.
    pub(crate) fn told(&mut self, p: usize, s: usize, jobs: Vec<(Job, Applied)>) {
        let incarnation = jobs.first().map_or_else(Incarnation::default, |(job, _)| job.incarnation());
        if self.is_fenced(self.processes[p].sides[s].alias, incarnation) {
            return self.ends_fenced(p);
        }
        for (job, Applied { outcome, .. }) in jobs {
            if !self.processes[p].alive {
                return;
            }
            match job {
                Job::Caller { told: true, .. } | Job::Server { then: None, .. } => {}
                Job::Caller { write, .. } => {
                    let id = match write {
                        resend::Write::Put(pending) => pending.id,
                        resend::Write::Drop(id) => id,
                    };
                    self.feed(p, s, Feed::Caller(resend::Input::Stable { id }));
                }
                Job::Server { then: Some(then), .. } => {
                    let ended = match (then, &outcome) {
                        (Then::Stable { id }, Some(outcome)) => Some((id, outcome.clone())),
                        _ => None,
                    };
                    self.feed(p, s, Feed::Server(stable(then, outcome)));
                    if let Some((id, outcome)) = ended {
                        self.ended(p, s, id, outcome);
                    }
                }
            }
        }
    }

    /// The closure that the shell holds for a commit in atomic mode.
    pub(crate) fn closure(&self, p: usize, s: usize, writes: &[Write<Body>]) -> Option<Closure> {
        let side = &self.processes[p].sides[s];
        writes.iter().find_map(|write| match write {
            Write::Atomic { id, .. } | Write::AtomicUndo { id, .. } => {
                let body = *side.server.call(*id)?.body;
                let ends = self.plan.service(side.alias)?.ends(body);
                let fails = ends == Ends::AtomicFails && matches!(write, Write::Atomic { .. });
                Some(Closure { body, fails })
            }
            _ => None,
        })
    }

    /// What lies at a place.
    pub(crate) fn loaded(&self, p: usize, s: usize, key: SlotKey) -> Input<Body> {
        let area = &self.areas[self.processes[p].sides[s].alias];
        let (row, mark) = (area.rows.get(&key).cloned(), area.marks.get(&key.session.source).copied());
        Input::Loaded { key, row, mark }
    }

    pub(crate) fn read(&mut self, p: usize, s: usize, key: SlotKey) {
        let input = self.loaded(p, s, key);
        self.feed(p, s, Feed::Server(input));
    }
}

/// What a machine is told when a commit is stable.
pub(crate) fn stable(then: Then, outcome: Option<Outcome<Body>>) -> Input<Body> {
    match then {
        Then::StableBlock { id } => Input::StableBlock { id },
        Then::Stable { id } => Input::Stable { id, outcome },
        Then::StableCall { id } => Input::StableCall { id },
        Then::StableCourse { id } => Input::StableCourse { id },
        Then::StableUndoing { id } => Input::StableUndoing { id },
        Then::StableCancelled { id } => Input::StableCancelled { id, outcome },
        Then::Closed { id, rolled_back } => Input::Closed { id, rolled_back },
    }
}
