//! Whole clusters of palib in one thread, under a virtual clock.
//!
//! Every decision is made by the machines of [`palib_core`], the same that real processes run: the manager of the FTM, the
//! caller and the server of each member. What stands around them (processes, links, disks, services, users) is simulated
//! here, and all that chance decides is drawn from a [`Schedule`]: processes die and hang at any moment, links lose,
//! double, delay and reorder messages or are cut, disks fail, the FTM dies, the power fails. [`Invariant`]s are looked at in
//! every step. Two runs of one schedule are the same in every detail, on every machine.
//!
//! ```
//! use palib_simulation::{Schedule, run};
//!
//! let schedule = Schedule::from_seed(7);
//! assert_eq!(run(&schedule, None).violation, None);
//! ```

mod area;
mod body;
mod cluster;
mod counts;
mod disk;
mod feed;
mod ftm;
mod generate;
mod guard;
mod guards;
mod injuries;
mod invariant;
mod judge;
mod life;
mod network;
mod process;
mod queue;
mod random;
mod rest;
mod schedule;
mod service;
mod shrink;
mod trace;
mod users;
mod words;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use counts::Counts;
pub use guard::{Guard, UnknownGuard};
pub use invariant::{Invariant, Violation};
pub use schedule::{ParseError, Schedule};
pub use shrink::shrink;

use cluster::Cluster;
use palib_core::ids::Nanos;
use trace::Trace;

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first invariant that did not hold.
    pub violation: Option<Violation>,
    /// What happened, counted.
    pub counts: Counts,
    /// How much virtual time it took.
    pub took: Nanos,
    /// What happened, line by line; empty unless it was asked for.
    pub trace: Vec<String>,
}

/// Runs a schedule, without one of the guards of the protocol if one is named.
#[must_use]
pub fn run(schedule: &Schedule, without: Option<Guard>) -> Outcome {
    run_with(schedule, without, Trace::none())
}

/// The same, and tells what happened line by line.
#[must_use]
pub fn run_traced(schedule: &Schedule, without: Option<Guard>) -> Outcome {
    let names = schedule.plan.seats().into_iter().map(|(name, _)| name).collect();
    run_with(schedule, without, Trace::kept(names))
}

fn run_with(schedule: &Schedule, without: Option<Guard>, trace: Trace) -> Outcome {
    let mut cluster = Cluster::new(schedule, without, trace);
    // A machine that panics is a finding like any other, and the world it leaves is only looked at.
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| cluster.run())) {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned();
        cluster.violate(Invariant::Promise, |_| text);
    }
    let Cluster { violation, counts, now, trace, .. } = cluster;
    Outcome { violation, counts, took: now, trace: trace.into_lines() }
}
