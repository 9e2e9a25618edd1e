//! `palib inspect`.

use std::path::PathBuf;

use palib::control::{AreaSummary, BrowseRow, OPERATOR_ALIAS};
use palib::core::ids::AliasId;
use palib::stable::{AreaCheck, AreaError, Inspection, Names, inspect_file};
use serde::Serialize;

use super::{Context, Failure, output};
use crate::units;

/// Look into a stable area at rest.
#[derive(Debug, clap::Args)]
pub(super) struct Inspect {
    /// The file of the area; its process must be dead, and the file is never changed
    #[arg(value_name = "AREA.redb")]
    area: PathBuf,
    /// Print the rows of this table, decoded
    #[arg(long)]
    table: Option<String>,
    /// How many rows; 0 for all
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Read every record and verify its checksum
    #[arg(long)]
    check: bool,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    summary: AreaSummary,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<BrowseRow>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<AreaCheck>,
}

/// A file at rest knows the name of its own alias; of the others it has the numbers.
struct KnownNames {
    own: (AliasId, String),
}

impl Names for KnownNames {
    fn alias(&self, id: AliasId) -> Option<String> {
        match id {
            AliasId(0) => Some(OPERATOR_ALIAS.to_owned()),
            id if id == self.own.0 => Some(self.own.1.clone()),
            _ => None,
        }
    }
}

impl Inspect {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let inspection = inspect_file(&self.area)?;
        let summary = inspection.summary()?;
        let rows = match &self.table {
            Some(table) => Some(self.rows(&inspection, &summary, table)?),
            None => None,
        };
        let check = self.check.then(|| inspection.check());
        let damaged = check.as_ref().is_some_and(|check| check.damages > 0);
        let report = Report { summary, rows, check };
        if context.json {
            output::json(&report)?;
        } else {
            print(&report)?;
        }
        if damaged { Err(Failure::NotClean) } else { Ok(()) }
    }

    fn rows(
        &self,
        inspection: &Inspection,
        summary: &AreaSummary,
        table: &str,
    ) -> Result<Vec<BrowseRow>, Failure> {
        let names = KnownNames { own: (inspection.alias_id(), summary.alias.clone()) };
        let limit = if self.limit == 0 { usize::MAX } else { self.limit };
        let mut rows = Vec::new();
        let mut after = None;
        loop {
            let wanted = (limit - rows.len()).min(palib::limits::PAGE_ROWS_MAX);
            let page = inspection.browse(&names, table, after.as_deref(), wanted)?;
            rows.extend(page.rows);
            if page.next.is_none() || rows.len() >= limit {
                return Ok(rows);
            }
            after = page.next;
        }
    }
}

fn print(report: &Report) -> Result<(), Failure> {
    let summary = &report.summary;
    output::line(format!("file         {}", summary.file))?;
    output::line(format!("alias        {}", summary.alias))?;
    output::line(format!("incarnation  {}", summary.incarnation))?;
    output::line(format!("size         {}, schema {}", units::bytes(summary.bytes), summary.schema))?;
    output::line("")?;
    let mut tables = output::Table::new(&["TABLE", "ROWS>"]);
    for table in &summary.tables {
        tables.row([table.name.clone(), units::count(table.rows)]);
    }
    tables.print()?;
    if let Some(rows) = &report.rows {
        output::line("")?;
        let mut table = output::Table::new(&["KEY", "BYTES>", "VALUE"]);
        for row in rows {
            let value = row.value.trim_end().replace('\n', "  ");
            let value = row.damage.as_ref().map_or(value, |damage| format!("DAMAGED: {damage}"));
            table.row([row.key.clone(), row.value_bytes.to_string(), value]);
        }
        table.print()?;
    }
    if let Some(check) = &report.check {
        output::line(format!(
            "\n{} records checked, {} damaged",
            units::count(check.records),
            check.damages
        ))?;
        for damage in &check.listed {
            output::line(format!("  {} {}: {}", damage.table, damage.key, damage.reason))?;
        }
    }
    Ok(())
}

impl From<AreaError> for Failure {
    fn from(error: AreaError) -> Self {
        match error {
            // It is a stable area, and what was found in it is wrong.
            AreaError::DamagedRecord { .. } => {
                eprintln!("palib: {error}");
                Self::NotClean
            }
            // It is none that this palib could read: nothing was found out about its content.
            AreaError::Damaged { .. } | AreaError::OtherVersion { .. } | AreaError::BadQuestion(_) => {
                Self::usage(error)
            }
            _ => Self::environment(error),
        }
    }
}
