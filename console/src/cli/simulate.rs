//! `palib simulate`.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use palib_simulation::{Guard, Schedule};
use signal_hook::consts::SIGINT;

use super::{Context, Failure, output};
use crate::simulate::{self, Finding, Options, Progress, Report};
use crate::units;

/// Run the protocol's core through schedules of simulated defects
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Each seed is a whole cluster with its users and its defects: deaths, hangs, lost and late messages, \
cuts, broken disks, losses of power. Everything is decided by the code that real processes run; network, disks and clock are \
simulated. A seed is the same schedule on every machine. What breaks an invariant is made as small as can be, and told."
)]
pub(super) struct Simulate {
    /// How many schedules
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 1, value_name = "SEED")]
    from: u64,
    /// Run this one schedule, and tell what happens in it
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seeds", "from", "case", "all"])]
    seed: Option<u64>,
    /// Run the schedule in this file, and tell what happens in it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seeds", "from", "all"])]
    case: Option<PathBuf>,
    /// Take a guard of the protocol away, to see what it guards against (see --guards)
    #[arg(long, value_name = "GUARD")]
    without: Option<Guard>,
    /// List the guards that can be taken away
    #[arg(long)]
    guards: bool,
    /// How many threads work [default: one for each processor]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Go on after the first violation, and count them
    #[arg(long)]
    all: bool,
}

impl Simulate {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        if self.guards {
            return guards(context);
        }
        if let Some(seed) = self.seed {
            return one(context, &Schedule::from_seed(seed), Some(seed), self.without);
        }
        if let Some(file) = &self.case {
            let told = |why: String| Failure::usage(format!("{}: {why}", file.display()));
            let text = std::fs::read_to_string(file).map_err(|why| told(why.to_string()))?;
            let schedule = text.parse().map_err(|why: palib_simulation::ParseError| told(why.to_string()))?;
            return one(context, &schedule, None, self.without);
        }
        self.many(context)
    }

    fn many(self, context: &Context) -> Result<(), Failure> {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let jobs = self.jobs.unwrap_or(processors);
        let Self { seeds, from, without, all, .. } = self;
        let stop = Arc::new(AtomicBool::new(false));
        // The second ^C ends the process at once.
        signal_hook::flag::register_conditional_shutdown(SIGINT, 130, stop.clone())?;
        signal_hook::flag::register(SIGINT, stop.clone())?;
        let shows = std::io::stderr().is_terminal() && !context.json;
        let report = simulate::run(Options { from, seeds, without, jobs, all }, &stop, |progress| {
            if shows {
                show(progress, seeds);
            }
        });
        if shows {
            eprint!("\r\x1b[K");
        }
        if context.json {
            output::json(&report)?;
        } else {
            print(&report)?;
        }
        match report.violations {
            0 if report.interrupted => Err(Failure::environment(format!(
                "interrupted; {} of {} schedules are done, and the same command begins anew",
                units::count(report.schedules),
                units::count(seeds)
            ))),
            0 => Ok(()),
            _ => Err(Failure::NotClean),
        }
    }
}

fn show(progress: Progress, seeds: u64) {
    let (done, rate) = (units::count(progress.done), units::count(progress.rate() as u64));
    let left = (seeds - progress.done) as f64 / progress.rate().max(1.0);
    let seeds = units::count(seeds);
    // Nobody to show it to is no reason to stop.
    let _ = write!(
        std::io::stderr(),
        "\r\x1b[K{done} of {seeds} schedules, {rate}/s, {} violations, {left:.0} s left",
        progress.violations
    );
}

fn print(report: &Report) -> Result<(), Failure> {
    let (schedules, per_second) = (units::count(report.schedules), units::count(report.per_second as u64));
    let what = match report.violations {
        0 if report.interrupted => "interrupted",
        0 => "clean",
        _ => "NOT CLEAN",
    };
    let without = report.without.as_ref().map_or(String::new(), |guard| format!(" without {guard}"));
    output::line(format!(
        "{what}: {schedules} schedules{without} from seed {} on, {} violations, in {:.1} s ({per_second}/s)",
        report.from, report.violations, report.seconds
    ))?;
    let mut table = output::Table::new(&["HOW OFTEN>", "WHAT HAPPENED"]);
    table.row([units::count(report.virtual_seconds), "seconds of virtual time".to_owned()]);
    for (_, text, count) in report.counts.all() {
        table.row([units::count(count), text.to_owned()]);
    }
    table.print()?;
    report.violation.as_ref().map_or(Ok(()), tell)
}

/// One schedule, told.
fn one(
    context: &Context,
    schedule: &Schedule,
    seed: Option<u64>,
    without: Option<Guard>,
) -> Result<(), Failure> {
    let outcome = palib_simulation::run_traced(schedule, without);
    let finding = outcome.violation.map(|violation| Finding::of(schedule, seed, without, violation));
    if context.json {
        let clean = finding.is_none();
        let text = schedule.to_string();
        let value = serde_json::json!({
            "seed": seed, "schedule": text, "clean": clean, "trace": outcome.trace, "violation": finding,
        });
        output::json(&value)?;
    } else {
        output::line(schedule)?;
        outcome.trace.iter().try_for_each(output::line)?;
        match &finding {
            Some(finding) => tell(finding)?,
            None => {
                output::line(format!("\nclean, after {:.3} s of virtual time", outcome.took.0 as f64 / 1e9))?
            }
        }
    }
    if finding.is_none() { Ok(()) } else { Err(Failure::NotClean) }
}

/// A violation, in the smallest schedule that breaks the same invariant.
fn tell(finding: &Finding) -> Result<(), Failure> {
    let seed = finding.seed.map_or(String::new(), |seed| format!("seed {seed}: "));
    output::line(format!("\n{seed}not true: {}", finding.says))?;
    output::line(format!("after {:.3} ms: {}", finding.at_ms, finding.what))?;
    let ((defects_before, defects), (calls_before, calls)) = (finding.defects, finding.calls);
    output::line(format!(
        "\nthe smallest schedule that breaks it: {defects} of {defects_before} defects, {calls} of {calls_before} calls\n"
    ))?;
    output::line(&finding.schedule)?;
    finding.trace.iter().try_for_each(output::line)?;
    output::line(
        "\nTo keep it as a test, save the schedule as shared/simulation/tests/cases/NAME.txt; \
         to run it again: palib simulate --case NAME.txt",
    )
}

fn guards(context: &Context) -> Result<(), Failure> {
    if context.json {
        let rows: Vec<_> = Guard::ALL
            .iter()
            .map(|guard| serde_json::json!({ "guard": guard.word(), "says": guard.text() }))
            .collect();
        return output::json_rows(&rows);
    }
    let mut table = output::Table::new(&["GUARD", "WHAT IT SAYS"]);
    for guard in Guard::ALL {
        table.row([guard.word().to_owned(), guard.text().to_owned()]);
    }
    table.print()
}
