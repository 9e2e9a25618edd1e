//! `palib check`.

use std::path::PathBuf;

use super::{Context, Failure, output};
use crate::check::{self, Outcome};
use crate::history;

/// Judge a recorded history: every call exactly once, in an order that explains every answer and is not against time.
///
/// Of a ledger that does not number its answers, an order must be searched; with more than about 16 callers at once the search may
/// give up, and the verdict is `undecided`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// Histories of the same services, one JSON line per call; a folder stands for the .jsonl files in it
    #[arg(required = true, value_name = "HISTORY.jsonl")]
    files: Vec<PathBuf>,
}

impl Check {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let mut files = Vec::new();
        for file in self.files {
            if file.is_dir() {
                files.extend(history::files_in(&file).map_err(Failure::usage)?);
            } else {
                files.push(file);
            }
        }
        let history = history::read(&files).map_err(Failure::usage)?;
        let verdict = check::check(&history).map_err(Failure::usage)?;
        if context.json {
            output::json(&verdict)?;
        } else {
            print(&verdict)?;
        }
        if verdict.verdict == Outcome::Clean { Ok(()) } else { Err(Failure::NotClean) }
    }
}

fn print(verdict: &check::Verdict) -> Result<(), Failure> {
    let calls = &verdict.calls;
    let what = match verdict.verdict {
        Outcome::Clean => "clean",
        Outcome::Violated => "NOT CLEAN",
        Outcome::Undecided => "undecided",
    };
    output::line(format!(
        "{what}: {} acknowledged, {} failed, {} unknown, in {} parts",
        calls.acked, calls.failed, calls.unknown, verdict.parts
    ))?;
    for violation in &verdict.violations {
        let key = violation.key.as_ref().map_or(String::new(), |key| format!(" {key}"));
        output::line(format!("\n{}{key}: {}", violation.target, violation.text))?;
        for shown in &violation.lines {
            let line = serde_json::to_string(&shown.line).map_err(Failure::environment)?;
            output::line(format!("  {}  {line}", shown.at))?;
        }
    }
    let shown = verdict.violations.len();
    if verdict.violations_found > shown {
        output::line(format!("\n… and {} more", verdict.violations_found - shown))?;
    }
    verdict.undecided.iter().try_for_each(|why| output::line(format!("\nundecided: {why}")))
}
