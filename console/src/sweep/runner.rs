//! Deciding cells: runs side by side, each with a cluster of its own.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use super::plan::{self, Plan, Probe};
use super::store::Folder;
use super::{Cell, Column, Matrix, Mode, Row, State, SweepError, SweepOptions};
use crate::defect::Defect;
use crate::run::{self, CALLS_AFTER, Interrupts, Length, RunError, RunOptions, Summary};

/// How far a sweep has come.
#[derive(Clone, Debug)]
pub struct Progress<'a> {
    /// The cell that was just decided by a run.
    pub cell: &'a Cell,
    /// Cells of this selection that are decided.
    pub decided: usize,
    /// Cells of this selection.
    pub of: usize,
    /// How long the rest will take, as far as the runs so far tell.
    pub left: Duration,
}

/// What came of a sweep.
#[derive(Debug)]
pub struct Swept {
    /// The cells of this selection, decided now or before, in the order of the matrix.
    pub matrix: Matrix,
    /// Cells of this selection that are not decided, because a signal came.
    pub open: usize,
}

/// Decides all cells of a selection that are not decided. `tell` is told of each.
///
/// # Errors
/// If it can't begin or its folder can't be written. No process is left in any case.
pub async fn sweep(options: &SweepOptions, tell: &mut dyn FnMut(&Progress<'_>)) -> Result<Swept, SweepError> {
    if options.file.aliases_of_kind("caller").is_empty() {
        return Err(RunError::NobodyCalls(options.file.name.clone()).into());
    }
    let probes = selected(options)?;
    let mut folder = Folder::open(options, &probes)?;
    let mut interrupts = Interrupts::listen()?;
    let mut coming = VecDeque::new();
    for probe in &probes {
        match (&probe.plan, folder.matrix.cell(&probe.row, &probe.column)) {
            (_, Some(cell)) if !options.again || matches!(cell.state, State::Clean | State::Impossible) => {}
            (Plan::Impossible(why), _) => folder.add(probe.decided(State::Impossible, (*why).to_owned()))?,
            (Plan::Run { .. }, _) => coming.push_back(probe),
        }
    }
    let (began, mut decided, runs) = (Instant::now(), probes.len() - coming.len(), coming.len());
    let mut running = FuturesUnordered::new();
    loop {
        while running.len() < options.jobs.max(1)
            && let Some(probe) = coming.pop_front()
        {
            running.push(decide(options, probe, folder.run_folder(probe)?));
        }
        let cell = tokio::select! {
            // Each run hears of a signal by itself, and takes down what it started.
            () = interrupts.next() => { coming.clear(); continue; }
            next = running.next() => match next {
                Some(cell) => cell,
                None => break,
            },
        };
        // One that was interrupted is not decided.
        let Some(cell) = cell else {
            coming.clear();
            continue;
        };
        folder.add(cell.clone())?;
        decided += 1;
        let done = runs - coming.len() - running.len();
        let left = began.elapsed().mul_f64((runs - done) as f64 / done.max(1) as f64);
        tell(&Progress { cell: &cell, decided, of: probes.len(), left });
    }
    Ok(Swept { open: probes.len() - decided, matrix: only(&folder.matrix, &probes) })
}

/// The probes that the options select.
fn selected(options: &SweepOptions) -> Result<Vec<Probe>, SweepError> {
    let all = match options.pairs {
        Some(count) => plan::pairs(&options.file, options.seed, count),
        None => plan::all(&options.file, options.seed),
    };
    let known: Vec<String> = {
        let aliases = options.file.aliases.iter().map(|alias| alias.name.clone());
        aliases.chain([plan::FTM.to_owned()]).collect()
    };
    if let Some(unknown) = options.columns.iter().find(|name| !known.contains(name)) {
        let hint = match crate::units::closest(unknown, known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => format!("there are: {}", known.join(", ")),
        };
        return Err(SweepError::Nothing(format!("{} has no alias `{unknown}`; {hint}", options.file.name)));
    }
    let meant = |probe: &Probe| {
        let column = options.columns.is_empty() || options.columns.iter().any(|name| probe.strikes(name));
        let mode = options.mode.is_none_or(|mode| probe.column.mode == mode);
        column && mode && options.rows.as_ref().is_none_or(|rows| rows.is_match(&probe.row.row))
    };
    let mut probes: Vec<Probe> = all.into_iter().filter(meant).collect();
    if probes.is_empty() {
        let rows = options.rows.as_ref().map(ToString::to_string).unwrap_or_default();
        return Err(SweepError::Nothing(format!(
            "no defect point and no other defect is named like `{rows}`; `palib points` lists the points"
        )));
    }
    if options.pairs.is_none() {
        let rest = plan::rest_of(&probes);
        probes.extend(rest);
    }
    Ok(probes)
}

/// A matrix of these cells only.
fn only(matrix: &Matrix, probes: &[Probe]) -> Matrix {
    let mut part = Matrix::default();
    let row = |row: &Row| probes.iter().any(|probe| &probe.row == row);
    let column = |column: &Column| probes.iter().any(|probe| &probe.column == column);
    part.head = matrix.head.clone();
    part.head.rows.retain(row);
    part.head.columns.retain(column);
    let cells = probes.iter().filter_map(|probe| matrix.cell(&probe.row, &probe.column));
    cells.for_each(|cell| part.put(cell.clone()));
    part
}

/// Decides a cell by a run; none if a signal came.
async fn decide(options: &SweepOptions, probe: &Probe, out: std::path::PathBuf) -> Option<Cell> {
    let Plan::Run { defects, wanted } = &probe.plan else { return None };
    let began = Instant::now();
    let run = RunOptions {
        file: options.file.clone(),
        base: options.base.clone(),
        length: Length::Done(CALLS_AFTER),
        rate: Some(0.0),
        callers: Some(callers(options, probe.column.mode)),
        seed: options.seed,
        storm: None,
        storm_kinds: Vec::new(),
        defects: defects.clone(),
        out: Some(out.clone()),
        program: options.program.clone(),
    };
    let mut cell = match run::run(&run, &mut |_| {}).await {
        Err(RunError::Interrupted) => {
            let _ = std::fs::remove_dir_all(&out);
            return None;
        }
        Err(error) => probe.decided(State::NoVerdict, error.to_string()),
        Ok(summary) => probe.judged(&summary, wanted),
    };
    cell.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    cell.command = Some(command(options, probe.column.mode, defects));
    if cell.state.is_bad() {
        cell.kept = Some(out);
    } else {
        let _ = std::fs::remove_dir_all(&out);
    }
    Some(cell)
}

fn callers(options: &SweepOptions, mode: Mode) -> u64 {
    match mode {
        Mode::Alone => 1,
        Mode::Load => options.callers,
    }
}

/// The command that does the same again.
fn command(options: &SweepOptions, mode: Mode, defects: &[Defect]) -> String {
    let (file, callers) = (quoted(&options.named), callers(options, mode));
    let mut words =
        format!("palib run {file} --until-done --rate 0 --callers {callers} --seed {}", options.seed);
    defects.iter().for_each(|defect| words.push_str(&format!(" --defect \"{defect}\"")));
    words
}

fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
}

impl Probe {
    fn decided(&self, state: State, why: String) -> Cell {
        Cell {
            row: self.row.clone(),
            column: self.column.clone(),
            state,
            why,
            takeovers: 0,
            acked: 0,
            blackout_us_max: None,
            took_ms: 0,
            command: None,
            kept: None,
        }
    }

    fn judged(&self, summary: &Summary, wanted: &[String]) -> Cell {
        let happened = |spec: &String| summary.defects.iter().any(|done| &done.spec == spec);
        let missing: Vec<&str> = wanted.iter().filter(|spec| !happened(spec)).map(String::as_str).collect();
        let (state, why) = if !summary.is_clean() {
            (State::NotClean, summary.verdict.clone())
        } else if !missing.is_empty() {
            let (acked, takeovers) = (summary.calls.acked, summary.takeovers.len());
            let why =
                format!("{} was not passed in {acked} calls and {takeovers} takeovers", missing.join(", "));
            (State::NotPassed, why)
        } else if summary.defects.is_empty() {
            (State::NotPassed, "nothing happened".to_owned())
        } else {
            (State::Clean, summary.verdict.clone())
        };
        let blackouts = summary.takeovers.iter().filter_map(|takeover| takeover.timing.blackout_us);
        Cell {
            takeovers: summary.takeovers.len() as u64,
            acked: summary.calls.acked,
            blackout_us_max: blackouts.max(),
            ..self.decided(state, why)
        }
    }
}
