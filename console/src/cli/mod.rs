//! The command line: one file per command.

mod aliases;
mod bench;
mod call;
mod check;
mod claims;
mod completions;
mod console;
mod context;
mod demo;
mod down;
mod events;
mod failure;
mod inject;
mod inspect;
mod ls;
mod man;
mod output;
mod parts;
mod points;
mod policy;
mod ps;
mod relays;
mod report;
mod resolve;
mod run;
mod simulate;
mod sweep;
mod table;
mod targets;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use context::Context;
pub use failure::Failure;

/// Exactly-once remote calls that survive kill -9, with a console to watch, injure and prove it
#[derive(Debug, Parser)]
#[command(name = "palib", version, propagate_version = true, max_term_width = 110)]
#[command(
    after_help = "Exit codes: 0 clean, 1 verdict not clean, 2 usage or bad input, 3 environment, or not now: try again."
)]
pub struct Cli {
    #[command(flatten)]
    context: Context,
    #[command(flatten)]
    look: console::Look,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the cluster of a file, with the console on top
    Up(up::Up),
    /// Open the console on a running cluster
    Attach(console::Attach),
    /// List the clusters
    Ls(ls::Ls),
    /// Stop a cluster; no process of it is left
    Down(down::Down),
    /// Run a cluster without a screen: load it, injure it, verify, and sum up
    Run(run::Run),
    /// Try every defect at every place it can strike, and print the matrix of verdicts
    Sweep(sweep::Sweep),
    /// List the demos, or play the tour of one without a screen
    Demo(demo::Demo),
    /// The processes
    Ps(ps::Ps),
    /// The port alias table
    Aliases(aliases::Aliases),
    /// The redundancy table of an alias
    Table(table::Table),
    /// The open transactions of relays
    Relays(relays::Relays),
    /// What happened
    Events(events::Events),
    /// Kill a process (SIGKILL)
    Kill(inject::Kill),
    /// Stop a process (SIGSTOP), for a while or until it is resumed
    Hang(inject::Hang),
    /// Let a stopped process go on (SIGCONT)
    Resume(inject::Resume),
    /// Let a process go on that waits at a defect point
    Step(inject::Step),
    /// Let a process end in good order
    Exit(inject::Exit),
    /// End a process in good order and start it again
    Restart(inject::Restart),
    /// Add a backup to an alias
    AddBackup(inject::AddBackup),
    /// Do what a defect says, such as "every 500ms..1500ms kill counter" or "kill counter@after-block#2"
    Defect(inject::DefectCommand),
    /// The defect points and where they are, or those that are armed
    Points(points::Points),
    /// Take defects back: disarm points, let go on what was stopped, start again who was told to exit
    Heal(inject::Heal),
    /// Make one exactly-once call
    Call(call::Call),
    /// Decide about a call that is in doubt, or about a transaction of a relay
    Resolve(resolve::Resolve),
    /// Change what a takeover does with a transaction of a relay
    Policy(policy::Policy),
    /// Look into a stable area at rest; the file is never changed
    Inspect(inspect::Inspect),
    /// Judge a recorded history: exactly once and linearizable, or not and why
    Check(check::Check),
    /// Run the protocol's core through schedules of simulated defects, by the million
    Simulate(simulate::Simulate),
    /// Play the claims and figures of the patent against real processes, and say which of them held
    Claims(claims::Claims),
    /// A run of `run --out` as one self-contained HTML page
    Report(report::Report),
    /// Throughput, latency and blackout, each beside its limit
    Bench(bench::Bench),
    /// Completions for a shell
    Completions(completions::Completions),
    /// The manual page, or the pages of all commands into a folder
    Man(man::Man),
    /// The parts that palib starts by itself
    #[command(flatten)]
    Part(parts::Part),
}

/// Runs the command that the arguments name.
#[must_use]
pub fn main() -> ExitCode {
    // What is started from `/proc/self/exe` would else be called `exe` by all that list processes.
    let _ = rustix::thread::set_name(c"palib");
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(wrong) => {
            // Help and version are no errors; clap knows which stream each belongs to.
            let code = if wrong.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS };
            let _ = wrong.print();
            return code;
        }
    };
    // The parts of a cluster log by rules of their own, into files; over the console a line of log would tear its
    // picture.
    let is_part = matches!(cli.command, Some(Command::Part(_)));
    if !is_part && (!cli.takes_the_screen() || cli.context.log.is_some()) {
        start_log(cli.context.log.as_deref());
    }
    if let Err(wrong) = cli.check_look() {
        return wrong.report();
    }
    dispatch(cli).unwrap_or_else(Failure::report)
}

impl Cli {
    /// Whether the terminal will be the console's.
    fn takes_the_screen(&self) -> bool {
        match &self.command {
            None | Some(Command::Attach(_)) => true,
            Some(Command::Up(up)) => !up.is_detached(),
            Some(_) => false,
        }
    }

    /// How the console is to look: what stands before the command holds as what stands behind it.
    fn look(&self) -> console::Look {
        match &self.command {
            Some(Command::Attach(attach)) => self.look.and(attach.look),
            Some(Command::Up(up)) => self.look.and(up.look),
            _ => self.look,
        }
    }

    /// Whoever asks to act on nothing must not be left in the belief that `palib --read-only kill` does so.
    fn check_look(&self) -> Result<(), Failure> {
        if self.takes_the_screen() || self.look() == console::Look::default() {
            return Ok(());
        }
        Err(Failure::usage("--read-only and --ascii are for the console, and this command opens none"))
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    let (context, look) = (&cli.context, cli.look());
    let Some(command) = cli.command else {
        return block_on(console::attach_or_offer(context, look)).map(|()| ExitCode::SUCCESS);
    };
    let done = match command {
        Command::Attach(command) => block_on(command.run(context, look)),
        Command::Up(command) => block_on(command.run(context, look)),
        Command::Ls(command) => command.run(context),
        Command::Down(command) => block_on(command.run(context)),
        Command::Run(command) => block_on(command.run(context)),
        Command::Sweep(command) => block_on(command.run(context)),
        Command::Demo(command) => block_on(command.run(context)),
        Command::Ps(command) => block_on(command.run(context)),
        Command::Aliases(command) => block_on(command.run(context)),
        Command::Table(command) => block_on(command.run(context)),
        Command::Relays(command) => block_on(command.run(context)),
        Command::Events(command) => block_on(command.run(context)),
        Command::Kill(command) => block_on(command.run(context)),
        Command::Hang(command) => block_on(command.run(context)),
        Command::Resume(command) => block_on(command.run(context)),
        Command::Step(command) => block_on(command.run(context)),
        Command::Points(command) => block_on(command.run(context)),
        Command::Exit(command) => block_on(command.run(context)),
        Command::Restart(command) => block_on(command.run(context)),
        Command::AddBackup(command) => block_on(command.run(context)),
        Command::Defect(command) => block_on(command.run(context)),
        Command::Heal(command) => block_on(command.run(context)),
        Command::Call(command) => block_on(command.run(context)),
        Command::Resolve(command) => block_on(command.run(context)),
        Command::Policy(command) => block_on(command.run(context)),
        Command::Inspect(command) => command.run(context),
        Command::Check(command) => command.run(context),
        Command::Simulate(command) => command.run(context),
        Command::Report(command) => command.run(context),
        Command::Claims(command) => block_on(command.run(context)),
        Command::Bench(command) => block_on(command.run(context)),
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
        Command::Part(part) => return part.run(),
    };
    done.map(|()| ExitCode::SUCCESS)
}

/// One thread is enough for a command, and faster than several for what a command does.
fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(work)
}

/// Logs go to standard error, so that standard output stays what was asked for.
fn start_log(filter: Option<&str>) {
    let filter = filter.unwrap_or("warn");
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| "warn".into());
    // Fails only if there is a subscriber already, which then is as good.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn the_command_tree_is_in_order() {
        Cli::command().debug_assert();
    }

    /// The console once opened fully armed if `--read-only` stood before the command.
    #[test]
    fn a_console_is_read_only_wherever_that_is_said() {
        let wanted = parse("palib --read-only --ascii").look();
        for line in [
            "palib --read-only --ascii attach x",
            "palib attach x --read-only --ascii",
            "palib --ascii attach --read-only x",
            "palib --read-only up x --ascii",
            "palib up x --ascii --read-only",
        ] {
            assert_eq!(parse(line).look(), wanted, "{line}");
        }
        assert_ne!(parse("palib attach x").look(), wanted);
    }

    #[test]
    fn the_cluster_is_named_before_the_command_behind_it_or_by_the_option() {
        for line in ["palib down --cluster a", "palib attach --cluster a", "palib --cluster a down"] {
            assert_eq!(parse(line).context.cluster.as_deref(), Some("a"), "{line}");
        }
        for line in ["palib down a", "palib attach a", "palib down a --cluster a", "palib down --all"] {
            parse(line);
        }
        let context = parse("palib down --cluster a --state nowhere").context;
        let told = context.folder(Some("b")).expect_err("two clusters are named");
        assert!(matches!(told, Failure::Usage(_)), "{told:?}");
    }

    #[test]
    fn read_only_is_refused_where_no_console_opens() {
        for line in ["palib --read-only kill counter", "palib --ascii ps", "palib --read-only up x --detach"]
        {
            assert!(parse(line).check_look().is_err(), "{line}");
        }
        assert!(parse("palib kill counter").check_look().is_ok());
        assert!(parse("palib --read-only").check_look().is_ok());
    }
}
