//! Headless runs: spawn, load, injure, verify, sum up.

pub mod action;
mod aftermath;
mod books;
pub mod heal;
pub mod inject;
mod keep;
mod kinds;
mod load;
pub mod one_call;
mod orders;
mod schedule;
mod stage;
mod storm;
mod summary;
mod totals;
pub mod tour;
mod verify;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::cluster::ClusterFile;
use crate::defect::Defect;
use crate::history::HistoryError;
use crate::keeper::{self, ClusterError};
use crate::operator::OperatorError;

pub use aftermath::CALLS_AFTER;
pub use kinds::StormKind;
pub use stage::Stage;
pub use summary::{Calls, DefectDone, Latency, Summary, Takeover, Transactions};

use aftermath::{Aftermath, Seen};
use keep::Folder;
use load::Load;
use schedule::Schedule;
use storm::Storm;
use summary::Gathered;

/// How long what is armed may fire after the last call was asked for.
const LAST_CHANCE: Duration = Duration::from_millis(2_500);
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The cluster.
    pub file: ClusterFile,
    /// The folder in which commands of the file are run.
    pub base: PathBuf,
    /// How long.
    pub length: Length,
    /// Calls a second of each caller alias; none: as the file says.
    pub rate: Option<f64>,
    /// Calls that each caller alias keeps under way; none: as the file says.
    pub callers: Option<u64>,
    /// The seed of load, storm and pauses.
    pub seed: u64,
    /// Strikes a second.
    pub storm: Option<f64>,
    /// What the storm is made of.
    pub storm_kinds: Vec<StormKind>,
    /// Defects besides the storm.
    pub defects: Vec<Defect>,
    /// Where everything that came of it is kept; none: nowhere, unless it was not clean.
    pub out: Option<PathBuf>,
    /// The program with the subcommands `keep`, `ftm` and `node`; none: this one.
    pub program: Option<PathBuf>,
}

/// How long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So long.
    For(Duration),
    /// Until so many calls are acknowledged.
    Calls(u64),
    /// Until all defects have happened and are over, everybody is in place again, and so many calls more are acknowledged; or until it
    /// is clear that some won't happen.
    Done(u64),
}

/// Why there is no verdict at all.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The cluster could not be started or stopped.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The FTM does not answer.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// The cluster is down although nobody stopped it.
    #[error("the cluster went down by itself; the logs in its state folder say why")]
    ClusterGone,
    /// Something did not happen.
    #[error("waited {within:?} in vain for {what}: {now}")]
    TookTooLong {
        /// What.
        what: &'static str,
        /// How long.
        within: Duration,
        /// What is there instead.
        now: String,
    },
    /// Nobody in the file makes calls that can be verified.
    #[error(
        "nobody in cluster {0} makes calls that could be verified; add an alias to the file, such as\n    \
         [aliases.caller]\n    kind = \"caller\"\n    options = {{ target = \"counter\" }}"
    )]
    NobodyCalls(String),
    /// A member answered nonsense.
    #[error("{process} answered {answer:?} to {command:?}: it is of another version")]
    Nonsense {
        /// Who.
        process: String,
        /// To what.
        command: String,
        /// What.
        answer: String,
    },
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// A line of the history.
    #[error(transparent)]
    BadLine(#[from] crate::check::BadLine),
    /// A stable area at rest.
    #[error(transparent)]
    Area(#[from] palib::stable::AreaError),
    /// A file or folder of the run.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// A signal came.
    #[error("interrupted; everything that was started is down")]
    Interrupted,
}

impl RunError {
    /// For `map_err`: an error of the operating system's about a file.
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Runs a cluster, loads and injures it, heals it, asks for every call until its outcome is known, and verifies.
/// `tell` is told the progress.
///
/// # Errors
/// If there is no verdict. No process of the cluster is left in any case.
pub async fn run(options: &RunOptions, tell: &mut dyn FnMut(&str)) -> Result<Summary, RunError> {
    if options.file.aliases_of_kind("caller").is_empty() {
        return Err(RunError::NobodyCalls(options.file.name.clone()));
    }
    let mut interrupted = Interrupts::listen()?;
    let mut folder = Folder::create(options.out.as_deref(), &options.file.name)?;
    tell(&format!("starting cluster {}", options.file.name));
    let start = Stage::start(&options.file, &options.base, folder.parent(), options.program.clone());
    let mut stage = tokio::select! {
        started = start => match started {
            Ok(stage) => stage,
            Err(error) => {
                folder.keep_for_looking(tell);
                return Err(error);
            }
        },
        () = interrupted.next() => {
            // Its start was dropped half done: what it had started goes down by itself, and is waited for.
            keeper::down(&folder.state()?).await?;
            folder.discard()?;
            return Err(RunError::Interrupted);
        }
    };
    let done = tokio::select! {
        done = injure_and_settle(&mut stage, options, tell) => done,
        () = interrupted.next() => Err(RunError::Interrupted),
    };
    let stopped = stage.shutdown().await;
    let summary = match (done, stopped) {
        (Ok(settled), Ok(())) => verify::verify(&folder, options, settled),
        // Who interrupts a run is told that everything is down, so it must be.
        (Ok(_) | Err(RunError::Interrupted), Err(error)) | (Err(error), _) => Err(error),
    };
    match &summary {
        Ok(summary) if summary.is_clean() => folder.finish(summary)?,
        Ok(summary) => {
            folder.keep_for_looking(tell);
            folder.finish(summary)?;
        }
        Err(RunError::Interrupted) => folder.discard()?,
        Err(_) => folder.keep_for_looking(tell),
    }
    summary
}

/// What is known when the cluster has come to rest.
struct Settled {
    gathered: Gathered,
    elapsed: Duration,
    suppressed: u64,
    live: crate::world::Verdict,
    in_doubt: Vec<String>,
    /// Transactions of relays that need an operator.
    stuck: u64,
    transactions: Transactions,
    totals: totals::Totals,
}

async fn injure_and_settle(
    stage: &mut Stage,
    options: &RunOptions,
    tell: &mut dyn FnMut(&str),
) -> Result<Settled, RunError> {
    let mut gathered = Gathered::of(&stage.world);
    let mut redundant = verify::Redundant::default();
    let load = Load::start(stage.client(), options).await?;
    let began = Instant::now();
    injure(stage, options, began, &mut gathered, &mut redundant, tell).await?;
    let elapsed = began.elapsed();
    tell("healing, and asking for every call until its outcome is known");
    load.stop(stage.client()).await?;
    if matches!(options.length, Length::Done(_)) {
        last_chance(stage, &mut gathered, &mut redundant).await?;
    }
    let totals = load.settle(stage, &mut gathered, &mut redundant).await?;
    Ok(Settled {
        suppressed: redundant.total(),
        live: stage.world.verdict(),
        in_doubt: stage.world.in_doubt.keys().cloned().collect(),
        stuck: stage.world.active_stats(None).map(|stats| u64::from(stats.relays_stuck)).sum(),
        transactions: Transactions::of(&stage.world),
        gathered,
        elapsed,
        totals,
    })
}

/// Some points are passed only when calls have ended: what is armed may fire for a while yet.
async fn last_chance(
    stage: &mut Stage,
    gathered: &mut Gathered,
    redundant: &mut verify::Redundant,
) -> Result<(), RunError> {
    let until = Instant::now() + LAST_CHANCE;
    while gathered.any_armed() && Instant::now() < until {
        if let Ok(events) = tokio::time::timeout_at(until.into(), stage.next()).await {
            let events = events?;
            gathered.take(&events, stage.began_unix_ms);
            redundant.take(&events);
        }
    }
    Ok(())
}

/// The part of a run in which things break.
async fn injure(
    stage: &mut Stage,
    options: &RunOptions,
    began: Instant,
    gathered: &mut Gathered,
    redundant: &mut verify::Redundant,
    tell: &mut dyn FnMut(&str),
) -> Result<(), RunError> {
    let suspect_after = options.file.settings.suspect_after;
    let storm = |rate| Storm::new(options.seed, rate, &options.storm_kinds, suspect_after, began);
    let mut storm = options.storm.map(storm);
    let mut schedule = Schedule::new(&options.defects, options.seed, began);
    let mut aftermath = Aftermath::new(options.defects.len(), began);
    let mut progress = tokio::time::interval(PROGRESS_EVERY);
    progress.tick().await;
    loop {
        let now = Instant::now();
        let over = match options.length {
            Length::For(span) => now >= began + span,
            Length::Calls(wanted) => stage.world.verdict().acked >= wanted,
            Length::Done(calls) => {
                let whole = gathered.all_over() && stage::ready(&stage.world, &options.file);
                let acked = stage.world.verdict().acked;
                aftermath.is_over(Seen { now, acked, happened: gathered.defects.len(), whole }, calls)
            }
        };
        if over {
            return Ok(());
        }
        let storming = storm.as_mut().and_then(|storm| storm.strike(&stage.world, now));
        for injury in storming.into_iter().chain(schedule.due(now)) {
            aftermath.struck(now, stage.world.verdict().acked);
            schedule::inject(stage.client(), &injury);
        }
        let mut wake = now + Duration::from_millis(50);
        if let Length::For(span) = options.length {
            wake = wake.min(began + span);
        }
        wake = storm.as_ref().map_or(wake, |storm| wake.min(storm.due(now)));
        wake = schedule.next().map_or(wake, |next| wake.min(next));
        tokio::select! {
            events = stage.next() => {
                let events = events?;
                gathered.take(&events, stage.began_unix_ms);
                redundant.take(&events);
            }
            () = tokio::time::sleep_until(wake.into()) => {}
            _ = progress.tick() => tell(&progress_line(stage, gathered, began)),
        }
    }
}

fn progress_line(stage: &Stage, gathered: &Gathered, began: Instant) -> String {
    let verdict = stage.world.verdict();
    format!(
        "{:>4.0} s  {:>9} acknowledged  {:>3} defects  {:>3} takeovers  {} lost  {} doubled",
        began.elapsed().as_secs_f64(),
        crate::units::count(verdict.acked),
        gathered.defects.len(),
        gathered.takeovers().len(),
        verdict.lost,
        verdict.doubled
    )
}

/// Signals that end a run: everything it started must go down with it.
pub(crate) struct Interrupts {
    signals: [tokio::signal::unix::Signal; 3],
}

impl Interrupts {
    pub(crate) fn listen() -> Result<Self, RunError> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(RunError::io(Path::new("signals")));
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [interrupt, terminate, hangup] = kinds.map(listen);
        Ok(Self { signals: [interrupt?, terminate?, hangup?] })
    }

    pub(crate) async fn next(&mut self) {
        let [interrupt, terminate, hangup] = &mut self.signals;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
