//! Simulated schedules by the million: on all processors, with progress, until one breaks an invariant.

mod report;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use palib_simulation::{Counts, Guard, Schedule, Violation};

pub use report::{Finding, Report};

/// So many seeds are taken by one thread at a time.
const PORTION: u64 = 64;
/// How often the progress is told.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Which schedules are run, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// The guard of the protocol that is taken away, if any.
    pub without: Option<Guard>,
    /// How many threads work.
    pub jobs: usize,
    /// Go on after a violation, and count them all.
    pub all: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Schedules that are done.
    pub done: u64,
    /// Violations that were found.
    pub violations: u64,
    /// Since the beginning.
    pub elapsed: Duration,
}

impl Progress {
    /// Schedules in a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }
}

/// What all threads know.
struct Shared<'a> {
    options: Options,
    stop: &'a AtomicBool,
    next: AtomicU64,
    /// Seeds from here on need not be run: a lower one was found.
    enough: AtomicU64,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    done: u64,
    virtual_ns: u64,
    violations: u64,
    counts: Counts,
    /// That of the lowest seed.
    first: Option<(u64, Violation)>,
}

/// Runs schedules until all are done, one breaks an invariant, or `stop` is set. The violation that is reported is that of
/// the lowest seed, however many threads there are; its schedule is made as small as can be.
pub fn run(options: Options, stop: &AtomicBool, mut tell: impl FnMut(Progress)) -> Report {
    let start = Instant::now();
    let shared = Shared {
        options,
        stop,
        next: AtomicU64::new(0),
        enough: AtomicU64::new(options.seeds),
        found: Mutex::new(Found::default()),
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..options.jobs.max(1)).map(|_| scope.spawn(|| shared.work())).collect();
        while !threads.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            std::thread::sleep(TOLD_EVERY.min(Duration::from_millis(20) + start.elapsed() / 8));
            tell(shared.progress(start.elapsed()));
        }
    });
    let interrupted = stop.load(Ordering::Relaxed);
    let found = shared.found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let elapsed = start.elapsed();
    let finding = found.first.map(|(seed, violation)| {
        Finding::of(&Schedule::from_seed(seed), Some(seed), options.without, violation)
    });
    Report {
        from: options.from,
        schedules: found.done,
        violations: found.violations,
        without: options.without.map(|guard| guard.word().to_owned()),
        interrupted,
        seconds: elapsed.as_secs_f64(),
        per_second: found.done as f64 / elapsed.as_secs_f64().max(1e-9),
        virtual_seconds: found.virtual_ns / 1_000_000_000,
        counts: found.counts,
        violation: finding,
    }
}

impl Shared<'_> {
    fn work(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let first = self.next.fetch_add(PORTION, Ordering::Relaxed);
            if first >= self.enough.load(Ordering::Relaxed) {
                return;
            }
            self.portion(first);
        }
    }

    fn portion(&self, first: u64) {
        let mut found = Found::default();
        for nth in first..(first + PORTION).min(self.options.seeds) {
            if self.stop.load(Ordering::Relaxed) || nth >= self.enough.load(Ordering::Relaxed) {
                break;
            }
            let seed = self.options.from.wrapping_add(nth);
            let outcome = palib_simulation::run(&Schedule::from_seed(seed), self.options.without);
            found.done += 1;
            found.virtual_ns += outcome.took.0;
            found.counts.add(&outcome.counts);
            if let Some(violation) = outcome.violation {
                found.violations += 1;
                if !self.options.all {
                    self.enough.fetch_min(nth, Ordering::Relaxed);
                }
                found.first.get_or_insert((seed, violation));
            }
        }
        self.merge(found);
    }

    fn merge(&self, part: Found) {
        let mut found = self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        found.done += part.done;
        found.virtual_ns += part.virtual_ns;
        found.violations += part.violations;
        found.counts.add(&part.counts);
        let from = self.options.from;
        let lower = |seed: u64, than: u64| seed.wrapping_sub(from) < than.wrapping_sub(from);
        if let Some(first) = part.first
            && found.first.as_ref().is_none_or(|(than, _)| lower(first.0, *than))
        {
            found.first = Some(first);
        }
    }

    fn progress(&self, elapsed: Duration) -> Progress {
        let found = self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Progress { done: found.done, violations: found.violations, elapsed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(jobs: usize) -> Options {
        Options { from: 1, seeds: 200, without: Some(Guard::Recover), jobs, all: false }
    }

    #[test]
    fn the_lowest_seed_is_reported_however_many_threads_work() {
        let stop = AtomicBool::new(false);
        let seed = |jobs| run(options(jobs), &stop, |_| ()).violation.and_then(|finding| finding.seed);
        assert!(seed(1).is_some());
        assert_eq!(seed(1), seed(4));
    }

    #[test]
    fn a_run_that_is_stopped_tells_what_it_has_done() {
        let stop = AtomicBool::new(true);
        let report = run(Options { without: None, ..options(2) }, &stop, |_| ());
        assert!(report.interrupted && report.schedules == 0 && report.violation.is_none());
    }

    #[test]
    fn a_finding_is_small_and_breaks_the_same_invariant_when_it_is_read_again() {
        let stop = AtomicBool::new(false);
        let finding = run(options(1), &stop, |_| ()).violation.expect("a guard is missing");
        let again: Schedule = finding.schedule.parse().expect("it was written by us");
        let violation = palib_simulation::run(&again, Some(Guard::Recover)).violation.expect("it breaks");
        assert_eq!(violation.invariant.word(), finding.invariant);
        assert!(again.calls() < Schedule::from_seed(finding.seed.expect("it has one")).calls());
        assert!(finding.trace.len() > 10);
    }
}
