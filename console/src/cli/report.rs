//! `palib report`.

use std::path::PathBuf;

use super::{Context, Failure, output};
use crate::report::{self, ReportError};

/// A run as one page.
#[derive(Debug, clap::Args)]
pub(super) struct Report {
    /// The folder that `run --out` made
    dir: PathBuf,
    /// Where the page is written [default: report.html in the folder]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Report {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let page = report::report(&self.dir)?;
        let file = self.output.unwrap_or_else(|| self.dir.join("report.html"));
        std::fs::write(&file, page)
            .map_err(|error| Failure::environment(format!("{}: {error}", file.display())))?;
        if context.json {
            output::json(&serde_json::json!({ "report": file }))
        } else {
            output::line(file.display())
        }
    }
}

impl From<ReportError> for Failure {
    fn from(error: ReportError) -> Self {
        Self::usage(error)
    }
}
