//! What a run of simulated schedules found.

use std::collections::BTreeMap;

use palib_simulation::{Counts, Guard, Schedule, Violation};
use serde::{Serialize, Serializer};

/// What came of a run of many schedules.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The first seed.
    pub from: u64,
    /// How many schedules were run.
    pub schedules: u64,
    /// How many of them broke an invariant.
    pub violations: u64,
    /// The guard that was taken away.
    pub without: Option<String>,
    /// Whether somebody stopped it.
    pub interrupted: bool,
    /// How long it took.
    pub seconds: f64,
    /// Schedules in a second.
    pub per_second: f64,
    /// How much virtual time passed in all of them.
    pub virtual_seconds: u64,
    /// What happened in all of them.
    #[serde(serialize_with = "by_name")]
    pub counts: Counts,
    /// The violation of the lowest seed.
    pub violation: Option<Finding>,
}

/// An invariant that did not hold, in the smallest schedule that was found to break it.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// The seed that it was found with; none if the schedule was read from a file.
    pub seed: Option<u64>,
    /// The name of the invariant.
    pub invariant: String,
    /// What the invariant says.
    pub says: String,
    /// What was seen.
    pub what: String,
    /// After how much virtual time, in milliseconds.
    pub at_ms: f64,
    /// How many defects the schedule had before it was made smaller, and has now.
    pub defects: (usize, usize),
    /// The same of calls.
    pub calls: (usize, usize),
    /// The small schedule, as text.
    pub schedule: String,
    /// What happens in it, line by line; of a long story the beginning and the end.
    pub trace: Vec<String>,
}

/// Of a story so many lines are told from its beginning, and so many from its end: what never comes to rest says the same
/// over and over.
const TOLD: (usize, usize) = (400, 40);

fn fold(mut trace: Vec<String>) -> Vec<String> {
    let (first, last) = TOLD;
    if trace.len() > first + last + 1 {
        let left_out = trace.len() - first - last;
        trace.splice(first..trace.len() - last, [format!("… {left_out} lines are left out …")]);
    }
    trace
}

impl Finding {
    /// Makes the schedule of a violation smaller, and tells its story.
    #[must_use]
    pub fn of(schedule: &Schedule, seed: Option<u64>, without: Option<Guard>, violation: Violation) -> Self {
        let small = palib_simulation::shrink(schedule, without);
        let outcome = palib_simulation::run_traced(&small, without);
        let violation = outcome.violation.unwrap_or(violation);
        Self {
            seed,
            invariant: violation.invariant.word().to_owned(),
            says: violation.invariant.text().to_owned(),
            what: violation.what,
            at_ms: violation.at.0 as f64 / 1e6,
            defects: (schedule.defects(), small.defects()),
            calls: (schedule.calls(), small.calls()),
            schedule: small.to_string(),
            trace: fold(outcome.trace),
        }
    }
}

fn by_name<S: Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
    let named: BTreeMap<_, _> = counts.all().into_iter().map(|(name, _, count)| (name, count)).collect();
    named.serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_story_is_told_from_its_beginning_and_its_end() {
        let told = fold((0..1000).map(|line| line.to_string()).collect());
        assert_eq!((told.len(), told[399].as_str(), told[441 - 1].as_str()), (441, "399", "999"));
        assert_eq!(told[400], "… 560 lines are left out …");
        assert_eq!(fold(vec!["short".to_owned()]), ["short"]);
    }
}
