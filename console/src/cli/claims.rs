//! `palib claims`.

use super::{Context, Failure, output};
use crate::claims::{self, Row};
use crate::units;

/// Play the claims and figures of the patent.
#[derive(Debug, clap::Args)]
pub(super) struct Claims {
    /// Only this claim in the output, with all that was seen for it
    #[arg(value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=33))]
    claim: Option<u32>,
}

impl Claims {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let mut report = claims::play(None, &mut |words| eprintln!("{words}")).await?;
        if let Some(number) = self.claim {
            report.claims.retain(|row| row.number == number);
            report.figures.clear();
        }
        if context.json {
            output::json(&report)?;
        } else {
            print(&report.claims, "claim", self.claim.is_some())?;
            print(&report.figures, "figure", false)?;
            let took = units::micros(report.elapsed_ms * 1000);
            output::line(format!(
                "\n{}, in {took}; `palib claims NUMBER` shows all that was seen",
                report.verdict
            ))?;
        }
        if report.verdict == "clean" { Ok(()) } else { Err(Failure::NotClean) }
    }
}

fn print(rows: &[Row], what: &str, all: bool) -> Result<(), Failure> {
    for row in rows {
        output::line(format!("\n{what} {}  {}", row.number, row.text))?;
        if !row.same_as.is_empty() {
            let numbers: Vec<String> = row.same_as.iter().map(u32::to_string).collect();
            output::line(format!("  says    no more than {what} {}", numbers.join(", ")))?;
        }
        if !row.note.is_empty() {
            output::line(format!("  note    {}", row.note))?;
        }
        row.done.iter().try_for_each(|done| output::line(format!("  done    {done}")))?;
        let shown = |held: bool| if held { "seen  " } else { "NOT SO" };
        // The first few say what it is about; all of them count.
        let some = row.seen.iter().enumerate().filter(|(at, seen)| all || *at < SHOWN || !seen.held);
        for (_, seen) in some {
            let found = output::visible(&seen.found);
            output::line(format!(
                "  {}  {}  ->  {found}",
                shown(seen.held),
                output::visible(&seen.expected)
            ))?;
        }
        if !all && row.seen.len() > SHOWN {
            output::line(format!("  …       {} sights in all", row.seen.len()))?;
        }
        output::line(format!("  {}", row.verdict))?;
    }
    Ok(())
}

/// So many sights of a claim are shown unless it is the only one.
const SHOWN: usize = 4;
