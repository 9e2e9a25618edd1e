//! `palib sweep`.

use std::path::PathBuf;
use std::time::Duration;

use regex::Regex;
use serde_json::json;

use super::up::base_of;
use super::{Context, Failure, output};
use crate::cluster::ClusterFile;
use crate::sweep::{self, Mode, Progress, SweepError, SweepOptions, Swept};
use crate::units;

/// Try every defect at every place it can strike, a run of its own for each, and print the matrix of verdicts.
///
/// Each cell is a run on a fresh cluster: once with one call of each caller under way (alone), once with many (load). The
/// defect happens, everything is healed, every call is asked for until its outcome is known, and the run is judged like
/// any other. Results are kept in a folder as they come: a sweep that was interrupted goes on when the same command is
/// given again, and one that is through prints its matrix.
#[derive(Debug, clap::Args)]
pub(super) struct Sweep {
    /// The cluster file, or the name of a demo
    file: PathBuf,
    /// Only defect points and other defects whose name matches, such as "commit" or "^after-"
    #[arg(long, value_name = "REGEX")]
    points: Option<Regex>,
    /// Only defects that strike this alias, or `ftm`; may be given several times
    #[arg(long = "alias", value_name = "ALIAS")]
    aliases: Vec<String>,
    /// Only one of the two columns of each alias
    #[arg(long, value_name = "MODE", value_parser = mode)]
    only: Option<Mode>,
    /// Instead of single defects, pairs of defect points in one run, drawn by the seed
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "50")]
    pairs: Option<usize>,
    /// Seed of load, of the instants at which processes are hit, and of pairs
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Calls that each caller alias keeps under way in columns `load`
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..))]
    callers: u64,
    /// Runs side by side
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// Keep the results in this folder [default: below the state folder, one for each cluster]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Forget the results there are and begin anew
    #[arg(long)]
    fresh: bool,
    /// Run again what was not clean, or not passed
    #[arg(long)]
    again: bool,
    /// End with exit code 1 also if a point was not passed
    #[arg(long)]
    strict: bool,
}

fn mode(text: &str) -> Result<Mode, String> {
    Mode::ALL.into_iter().find(|mode| mode.word() == text).ok_or_else(|| "it is alone or load".to_owned())
}

impl Sweep {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let file = ClusterFile::load(&self.file)?;
        let out = match self.out {
            Some(out) => std::path::absolute(out)?,
            None => sweep::default_folder(&context.parent()?, &file.name),
        };
        let options = SweepOptions {
            base: base_of(&self.file),
            named: self.file,
            file,
            out,
            seed: self.seed,
            callers: self.callers,
            rows: self.points,
            columns: self.aliases,
            mode: self.only,
            pairs: self.pairs,
            jobs: self.jobs.into(),
            fresh: self.fresh,
            again: self.again,
            program: None,
        };
        eprintln!("results are kept in {}", options.out.display());
        let swept = sweep::sweep(&options, &mut |progress| eprintln!("{}", progress_line(progress))).await?;
        print(context, &options, &swept)?;
        let counts = swept.matrix.counts();
        if swept.open > 0 {
            return Err(Failure::environment(format!(
                "interrupted; {} cells are left, and everything that was started is down: the same command goes on",
                swept.open
            )));
        }
        let missed = self.strict && counts.not_passed > 0;
        if counts.not_clean + counts.no_verdict > 0 || missed { Err(Failure::NotClean) } else { Ok(()) }
    }
}

fn print(context: &Context, options: &SweepOptions, swept: &Swept) -> Result<(), Failure> {
    let matrix = &swept.matrix;
    if !context.json {
        return sweep::lines(matrix).iter().try_for_each(output::line);
    }
    for row in &matrix.head.rows {
        let cells = matrix.head.columns.iter().filter_map(|column| matrix.cell(row, column));
        cells.into_iter().try_for_each(output::json)?;
    }
    let counts = matrix.counts();
    let verdict = match counts.not_clean + counts.no_verdict {
        0 if swept.open == 0 => "clean",
        0 => "interrupted",
        _ => "not clean",
    };
    output::json(&json!({ "summary": {
        "cluster": options.file.name, "seed": options.seed, "verdict": verdict, "open": swept.open, "cells": counts,
        "folder": options.out,
    } }))
}

/// How far it has come, in one line.
fn progress_line(progress: &Progress<'_>) -> String {
    let Progress { cell, decided, of, left } = progress;
    let left = Duration::from_secs(left.as_secs());
    format!(
        "[{decided:>4}/{of}] {:<10} {} {}, {}: {} takeovers, {:.1} s; about {} left",
        cell.state.words(),
        cell.row.part,
        cell.row.row,
        cell.column,
        cell.takeovers,
        cell.took_ms as f64 / 1000.0,
        units::duration(left)
    )
}

impl From<SweepError> for Failure {
    fn from(error: SweepError) -> Self {
        match error {
            SweepError::Run(error) => error.into(),
            SweepError::Nothing(_) | SweepError::Other { .. } => Self::usage(error),
            SweepError::InUse(_) | SweepError::Io { .. } => Self::environment(error),
        }
    }
}
