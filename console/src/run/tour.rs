//! Playing a tour without a screen: the same steps and expectations as on it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::RunError;
use super::action::perform;
use super::stage::Stage;
use crate::cluster::{ClusterFile, Expectation, TourStep};

/// How long the expectations of a step may take to come true.
const STEP_WITHIN: Duration = Duration::from_secs(20);
/// What must hold always is watched for so long after the rest has come true.
const LINGER: Duration = Duration::from_millis(500);

/// What came of a tour.
#[derive(Clone, Debug, Serialize)]
pub struct TourReport {
    /// The cluster.
    pub demo: String,
    /// `clean`, or `not clean`.
    pub verdict: &'static str,
    /// The steps that were played.
    pub steps: Vec<StepReport>,
}

/// What came of a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// What the operator is told.
    pub say: String,
    /// What was done.
    #[serde(rename = "do")]
    pub action: Option<String>,
    /// What the action answered, or why it could not be done.
    pub answer: Option<String>,
    /// What to look at.
    pub watch: String,
    /// What was expected, and what was there.
    pub expect: Vec<Met>,
    /// The takeovers that the step saw, in words.
    pub takeovers: Vec<String>,
}

/// An expectation and what came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Met {
    /// What was expected.
    pub expected: String,
    /// What was there at the end.
    pub found: String,
    /// Whether it held.
    pub held: bool,
}

impl Met {
    fn of(expected: &Expectation, before: Option<u64>, acted_ns: u64, stage: &Stage) -> Self {
        let held = expected.holds(&stage.world, before, acted_ns);
        Self { expected: expected.to_string(), found: expected.found(&stage.world, acted_ns), held }
    }
}

/// Plays the tour of a cluster file on a cluster of its own. `tell` gets each step as it is over.
///
/// # Errors
/// If the cluster can't be started or stopped. An expectation that does not hold is no error: it stands in the report.
pub async fn play(
    file: &ClusterFile,
    base: &Path,
    program: Option<PathBuf>,
    tell: &mut dyn FnMut(&StepReport),
) -> Result<TourReport, RunError> {
    let mut interrupted = super::Interrupts::listen()?;
    let folder = tempfile::Builder::new().prefix("palib-demo-").tempdir();
    let folder = folder.map_err(RunError::io(&std::env::temp_dir()))?;
    let mut stage = tokio::select! {
        stage = Stage::start(file, base, folder.path(), program) => stage?,
        () = interrupted.next() => return Err(RunError::Interrupted),
    };
    let played = tokio::select! {
        played = steps(&mut stage, file, tell) => played,
        () = interrupted.next() => Err(RunError::Interrupted),
    };
    stage.shutdown().await?;
    let steps = played?;
    let held = steps.iter().flat_map(|step| &step.expect).all(|met| met.held);
    Ok(TourReport { demo: file.name.clone(), verdict: if held { "clean" } else { "not clean" }, steps })
}

async fn steps(
    stage: &mut Stage,
    file: &ClusterFile,
    tell: &mut dyn FnMut(&StepReport),
) -> Result<Vec<StepReport>, RunError> {
    let mut reports = Vec::new();
    for step in &file.tour {
        let report = play_step(stage, step).await?;
        tell(&report);
        let went_wrong = report.expect.iter().any(|met| !met.held);
        reports.push(report);
        // The steps after it build on it, and would only repeat that it went wrong.
        if went_wrong {
            break;
        }
    }
    Ok(reports)
}

/// Plays one step: what it does, and then waits for what it expects.
async fn play_step(stage: &mut Stage, step: &TourStep) -> Result<StepReport, RunError> {
    let takeovers_before = stage.world.takeovers.len();
    let before: Vec<Option<u64>> = step.expect.iter().map(|expected| expected.before(&stage.world)).collect();
    let done = match &step.action {
        Some(action) => {
            let client = stage.client().clone();
            Some(stage.meanwhile(perform(&client, action)).await?)
        }
        None => None,
    };
    let acted_ns = palib::clock::monotonic_ns();
    let expected = || step.expect.iter().zip(&before);
    let all = |stage: &Stage, always: bool| {
        let wanted = expected().filter(|(expected, _)| expected.must_hold_always() == always);
        wanted.into_iter().all(|(expected, before)| expected.holds(&stage.world, *before, acted_ns))
    };
    let watch = async {
        while all(stage, true) && !all(stage, false) {
            stage.next().await?;
        }
        Ok::<(), RunError>(())
    };
    // Running out of time is told by the expectations themselves.
    tokio::time::timeout(STEP_WITHIN, watch).await.unwrap_or(Ok(()))?;
    // What came true has come true: it may have changed again when the watch for what must hold always is over.
    let mut expect: Vec<Met> =
        expected().map(|(expected, before)| Met::of(expected, *before, acted_ns, stage)).collect();
    if all(stage, true) && step.expect.iter().any(Expectation::must_hold_always) {
        stage.watch_for(LINGER).await?;
        for (met, (expected, before)) in expect.iter_mut().zip(expected()) {
            if expected.must_hold_always() {
                *met = Met::of(expected, *before, acted_ns, stage);
            }
        }
    }
    let (answer, failed) = match done {
        Some(Ok(answer)) => (Some(answer), false),
        Some(Err(refused)) => (Some(refused), true),
        None => (None, false),
    };
    if failed {
        let found = answer.clone().unwrap_or_default();
        expect.push(Met { expected: "the action is possible".to_owned(), found, held: false });
    }
    let action = step.action.as_ref().map(ToString::to_string);
    let takeovers = stage.world.takeovers.iter().skip(takeovers_before).map(|takeover| {
        let from = takeover.from.as_deref().unwrap_or("nobody");
        let (alias, cause, to) = (&takeover.alias, &takeover.cause, &takeover.to);
        format!("{alias}: {from} {cause}, {to} takes over as incarnation {}", takeover.incarnation)
    });
    let takeovers = takeovers.collect();
    Ok(StepReport { say: step.say.clone(), action, answer, watch: step.watch.clone(), expect, takeovers })
}
