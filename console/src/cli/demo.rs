//! `palib demo`.

use std::path::PathBuf;

use serde::Serialize;

use super::up::base_of;
use super::{Context, Failure, output};
use crate::cluster::{ClusterFile, DEMOS};
use crate::run::tour::{self, StepReport};

/// List the demos, or play one.
#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// The demo, or a cluster file with a tour [default: list them]
    name: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Row {
    demo: &'static str,
    title: String,
    aliases: Vec<String>,
    steps: usize,
}

impl Demo {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let Some(name) = self.name else { return list(context) };
        let file = ClusterFile::load(&name)?;
        if file.tour.is_empty() {
            return Err(Failure::usage(format!("{} has no tour; add [[tour]] steps to it", name.display())));
        }
        let json = context.json;
        if !json {
            output::line(format!("{}: {}", file.name, file.title))?;
        }
        let mut number = 0;
        let steps = file.tour.len();
        let mut told = Ok(());
        let mut tell = |step: &StepReport| {
            number += 1;
            if !json && told.is_ok() {
                told = print(step, number, steps);
            }
        };
        let report = tour::play(&file, &base_of(&name), None, &mut tell).await?;
        told?;
        if json {
            output::json(&report)?;
        } else {
            output::line(format!("\n{}", report.verdict))?;
        }
        if report.verdict == "clean" { Ok(()) } else { Err(Failure::NotClean) }
    }
}

fn list(context: &Context) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for demo in DEMOS {
        let file = ClusterFile::parse(demo.name, demo.text)?;
        let aliases = file.aliases.into_iter().map(|alias| alias.name).collect();
        rows.push(Row { demo: demo.name, title: file.title, aliases, steps: file.tour.len() });
    }
    if context.json {
        return output::json_rows(&rows);
    }
    let mut table = output::Table::new(&["DEMO", "STEPS>", "TITLE"]);
    for row in rows {
        table.row([row.demo.to_owned(), row.steps.to_string(), row.title]);
    }
    table.print()?;
    output::line("\npalib demo NAME plays its tour; palib up NAME starts its cluster")
}

fn print(step: &StepReport, number: usize, steps: usize) -> Result<(), Failure> {
    output::line(format!("\nstep {number}/{steps}  {}", step.say))?;
    if let Some(action) = &step.action {
        let answer =
            step.answer.as_ref().map_or(String::new(), |answer| format!("  ->  {}", output::visible(answer)));
        output::line(format!("  do      {action}{answer}"))?;
    }
    if !step.watch.is_empty() {
        output::line(format!("  watch   {}", step.watch))?;
    }
    step.takeovers.iter().try_for_each(|takeover| output::line(format!("  seen    {takeover}")))?;
    step.expect.iter().try_for_each(|met| {
        let mark = if met.held { "ok" } else { "NOT SO" };
        output::line(format!("  expect  {}  now: {}  {mark}", met.expected, met.found))
    })
}
