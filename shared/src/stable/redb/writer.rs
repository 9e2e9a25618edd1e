//! The one thread that writes an area: it takes everything that waits and makes one commit of it.
//!
//! There is no timer. What comes while a commit runs goes into the next one; waiting for more to come was measured
//! and only loses. One thing is waited for: whoever submits jobs may say that it has more in its hands. Then what
//! has come is applied while the rest is being prepared on another processor, and one commit takes it all; if there is
//! much to do, that is. Of few calls each half had better be on its way while the other half is being committed.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use palib_core::ids::Incarnation;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::batch::{Batch, Memory};
use super::file::{panic_text, unix_ms};
use super::store::Store;
use super::teller::{Teller, Telling};
use crate::stable::{AreaError, Committed, Job};

/// From this length of its file on, an area is committed so that it opens without a walk over it.
///
/// The cheaper commit leaves a repair to the next owner, which reads every page: 0.7 ms and about 1 ms for each MiB
/// were measured, so up to here it costs a takeover 4 ms at most. The dearer one opens in 0.8 ms whatever the
/// length, and takes twice the time. Bytes and not rows are counted, because pages are what is read.
const QUICK_REPAIR_BYTES: u64 = 4 * 1024 * 1024;
/// The durations of so many commits are kept.
const DURATIONS_MAX: usize = 1024;
/// A commit with so many jobs is made, although more are coming: the first of them have waited long enough.
const JOBS_AT_ONCE: usize = 1024;

/// With fewer jobs a commit does not wait for those that are announced: what it costs is mostly the sync, whatever is in
/// it. Measured with 64 calls in flight, never to wait gains 5 %; with 256 in flight this makes little difference.
const JOBS_WORTH_A_WAIT: usize = 128;

/// Jobs that are announced come within microseconds: so often the writer looks for them before it sleeps, and pauses so
/// long in between, which makes some 20 µs together. To be put to sleep and woken costs both sides more than that.
const LOOKS_MAX: u32 = 64;
const PAUSES: u32 = 16;

/// What waits to be written.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    wake: Condvar,
}

#[derive(Default)]
struct QueueState {
    jobs: Vec<Job>,
    /// Who submitted last has more jobs in its hands.
    more: bool,
    /// The writer waits to be woken.
    idle: bool,
    /// Nothing is taken any more.
    closed: bool,
}

impl Queue {
    pub(super) fn push(&self, job: Job) {
        let mut state = self.state.lock();
        if !state.closed {
            state.jobs.push(job);
            self.wake(state);
        }
    }

    /// Puts jobs behind those that wait, and says whether more are on their way.
    pub(super) fn push_all(&self, jobs: &mut Vec<Job>, more: bool) {
        let mut state = self.state.lock();
        if state.closed {
            jobs.clear();
            return;
        }
        state.jobs.append(jobs);
        state.more = more;
        // Who waits for jobs is not woken by the news that there will be some.
        if !(state.jobs.is_empty() && more) {
            self.wake(state);
        }
    }

    fn wake(&self, mut state: MutexGuard<'_, QueueState>) {
        if std::mem::take(&mut state.idle) {
            // Woken without the lock, or it would run into it.
            drop(state);
            self.wake.notify_one();
        }
    }

    /// What is queued is still written, later jobs are dropped.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    /// Waits for jobs, and puts all of them into `jobs`, which is empty. False once the queue is closed and empty.
    fn take(&self, jobs: &mut Vec<Job>) -> bool {
        let mut state = self.state.lock();
        while state.jobs.is_empty() {
            if state.closed {
                return false;
            }
            state.idle = true;
            self.wake.wait(&mut state);
        }
        std::mem::swap(&mut state.jobs, jobs);
        true
    }

    /// Puts into `jobs`, which is empty, what else goes into the commit that is being prepared: what has come
    /// meanwhile, and if `wait` says so what is on its way. False if that is nothing.
    fn take_more(&self, jobs: &mut Vec<Job>, wait: bool) -> bool {
        let mut state = self.state.lock();
        let mut looks = 0;
        while state.jobs.is_empty() {
            if !wait || !state.more || state.closed {
                return false;
            }
            if looks < LOOKS_MAX {
                looks += 1;
                MutexGuard::unlocked(&mut state, || (0..PAUSES).for_each(|_| std::hint::spin_loop()));
                continue;
            }
            state.idle = true;
            self.wake.wait(&mut state);
        }
        std::mem::swap(&mut state.jobs, jobs);
        true
    }
}

/// How long the last commits took.
#[derive(Default)]
pub(super) struct Durations(Mutex<VecDeque<u32>>);

impl Durations {
    pub(super) fn note(&self, us: u32) {
        let mut durations = self.0.lock();
        if durations.len() == DURATIONS_MAX {
            durations.pop_front();
        }
        durations.push_back(us);
    }

    /// The median and the 99th percentile, in microseconds.
    pub(super) fn percentiles(&self) -> (u64, u64) {
        let mut durations: Vec<u32> = self.0.lock().iter().copied().collect();
        durations.sort_unstable();
        let at =
            |percent: usize| durations.get(durations.len() * percent / 100).copied().map_or(0, u64::from);
        (at(50), at(99))
    }
}

/// What the writer's thread owns.
pub(super) struct Writer {
    pub(super) store: Arc<Store>,
    pub(super) queue: Arc<Queue>,
    pub(super) memory: Memory,
    pub(super) teller: Arc<Teller>,
}

impl Writer {
    /// Writes until the queue is closed, or until something goes wrong that must not be tried again.
    pub(super) fn run(mut self) -> Result<(), AreaError> {
        let mut jobs = Vec::new();
        loop {
            // redb may panic over a file that was damaged behind its back.
            let made = catch_unwind(AssertUnwindSafe(|| self.commit_next(&mut jobs)));
            match made.unwrap_or_else(|panic| Err(self.teller.failed(panic_text(&*panic)))) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => {
                    self.queue.close();
                    self.teller.fatal(error.clone());
                    return Err(error);
                }
            }
        }
    }

    /// Waits for jobs, makes them durable, and tells so. False once the queue is closed and empty. In `jobs`, which is
    /// empty before and after, lies memory for them.
    fn commit_next(&mut self, jobs: &mut Vec<Job>) -> Result<bool, AreaError> {
        // Begun before there is anything to write: whoever comes to an idle writer waits for its own writes only.
        let mut txn = self.store.begin_write().map_err(|error| self.teller.as_commit_failed(error))?;
        let batch = Batch::begin(self.store.file(), &txn, &mut self.memory);
        let mut batch = batch.map_err(|error| self.teller.as_commit_failed(error))?;
        loop {
            if !self.queue.take(jobs) {
                // Dropping the transaction takes it back.
                return Ok(false);
            }
            if jobs.iter().any(|job| !job.writes.is_empty()) {
                break;
            }
            // Such a job asks only whether the writer lives and is in service.
            let jobs = jobs.drain(..).map(|job| Committed { token: job.token, outcome: None }).collect();
            self.teller.tell(jobs)?;
        }
        let began = Instant::now();
        batch.clock(unix_ms());
        let jobs = apply(batch, &self.queue, self.teller.incarnation, jobs)
            .map_err(|error| self.teller.as_commit_failed(error))?;
        // Now, when what is written has made the file as long as it will be.
        txn.set_quick_repair(self.store.bytes() >= QUICK_REPAIR_BYTES);
        self.teller.check_fence()?;
        self.teller.commit(Telling { began, jobs }, || {
            txn.commit().map_err(|error| self.teller.failed(error.to_string()))
        })?;
        Ok(true)
    }
}

/// Applies these jobs, and those that come while it does so or are announced.
fn apply(
    mut batch: Batch<'_>,
    queue: &Queue,
    incarnation: Incarnation,
    jobs: &mut Vec<Job>,
) -> Result<Vec<Committed>, AreaError> {
    let mut committed = Vec::with_capacity(jobs.len());
    loop {
        for job in jobs.drain(..) {
            if job.incarnation != incarnation {
                return Err(AreaError::Fenced { mine: job.incarnation.0, current: incarnation.0 });
            }
            let outcome = batch.make(job.writes)?;
            committed.push(Committed { token: job.token, outcome });
        }
        let wait = committed.len() >= JOBS_WORTH_A_WAIT;
        if committed.len() >= JOBS_AT_ONCE || !queue.take_more(jobs, wait) {
            break;
        }
    }
    batch.finish(incarnation)?;
    Ok(committed)
}
