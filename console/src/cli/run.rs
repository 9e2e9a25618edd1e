//! `palib run`.

use std::path::PathBuf;
use std::time::Duration;

use super::targets::Targets;
use super::up::base_of;
use super::{Context, Failure, output};
use crate::cluster::ClusterFile;
use crate::defect::Defect;
use crate::run::{self, Length, RunError, RunOptions, StormKind};
use crate::units::{parse_duration, parse_rate};

/// Run a cluster without a screen: load it, injure it, verify, and sum up.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    /// The cluster file, or the name of a demo
    file: PathBuf,
    /// How long [default: 30s]
    #[arg(long = "for", value_name = "SPAN", value_parser = parse_duration, conflicts_with = "calls")]
    span: Option<Duration>,
    /// Until so many calls are acknowledged
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    calls: Option<u64>,
    /// Until the defects have happened and calls go on after them, or it is clear that some won't happen
    #[arg(long, conflicts_with_all = ["span", "calls"], requires = "defects")]
    until_done: bool,
    /// Calls a second of each caller alias; 0: as fast as they come back [default: as the file says]
    #[arg(long, value_name = "RATE", value_parser = rate_or_nothing)]
    rate: Option<f64>,
    /// Calls that each caller alias keeps under way [default: as the file says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    callers: Option<u64>,
    /// Seed of load, storm and pauses
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Strike clients and servers so often, such as 2/s
    #[arg(long, value_name = "RATE", value_parser = parse_rate)]
    storm: Option<f64>,
    /// What the storm is made of: kill, hang, cut, oneway, drop, delay, duplicate, reorder, disk [default: kill,hang]
    #[arg(long, value_name = "KINDS", value_delimiter = ',', requires = "storm")]
    storm_kinds: Vec<StormKind>,
    /// A defect, such as "after 2s kill counter" or "every 1s..2s hang caller 300ms"; may be given several times
    #[arg(long = "defect", value_name = "SPEC", value_parser = possible_defect)]
    defects: Vec<Defect>,
    /// Keep summary, events, history, areas and logs in this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

fn rate_or_nothing(text: &str) -> Result<f64, String> {
    if matches!(text, "0" | "0/s") { Ok(0.0) } else { parse_rate(text) }
}

fn possible_defect(text: &str) -> Result<Defect, String> {
    let defect: Defect = text.parse()?;
    defect.check_possible()?;
    Ok(defect)
}

impl Run {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let file = ClusterFile::load(&self.file)?;
        check_targets(&file, &self.defects)?;
        let options = RunOptions {
            base: base_of(&self.file),
            file,
            length: match (self.calls, self.span) {
                _ if self.until_done => Length::Done(run::CALLS_AFTER),
                (Some(calls), _) => Length::Calls(calls),
                (None, span) => Length::For(span.unwrap_or(Duration::from_secs(30))),
            },
            rate: self.rate,
            callers: self.callers,
            seed: self.seed,
            storm: self.storm,
            storm_kinds: match self.storm_kinds {
                none if none.is_empty() => StormKind::USUAL.to_vec(),
                kinds => kinds,
            },
            defects: self.defects,
            out: self.out,
            program: None,
        };
        let summary = run::run(&options, &mut |words| eprintln!("{words}")).await?;
        if context.json {
            output::json(&summary)?;
        } else {
            summary.lines().iter().try_for_each(output::line)?;
        }
        if summary.is_clean() { Ok(()) } else { Err(Failure::NotClean) }
    }
}

/// A defect that names nobody would hit nobody for the whole run.
fn check_targets(file: &ClusterFile, defects: &[Defect]) -> Result<(), Failure> {
    let targets = Targets {
        cluster: &file.name,
        aliases: file.aliases.iter().map(|alias| alias.name.as_str()).collect(),
        processes: file.processes.iter().map(|process| process.name.as_str()).collect(),
    };
    defects.iter().try_for_each(|defect| targets.check(defect))
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Cluster(error) => error.into(),
            RunError::Operator(error) => error.into(),
            RunError::NobodyCalls(_) => Self::usage(error),
            _ => Self::environment(error),
        }
    }
}
