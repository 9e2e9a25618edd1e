//! `palib points`.

use palib::defect::Point;
use serde::Serialize;

use super::inject::armed;
use super::{Context, Failure, output};

/// The defect points and where they are, or those that are armed.
#[derive(Debug, clap::Args)]
pub(super) struct Points {
    /// Those that are armed in the cluster
    #[arg(long)]
    armed: bool,
}

/// A defect point.
#[derive(Debug, Serialize)]
struct Row {
    point: &'static str,
    /// `server`, `caller`, `relay`, `takeover` or `ftm`.
    part: &'static str,
    meaning: &'static str,
}

impl Points {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        if self.armed { print_armed(context).await } else { print_all(context) }
    }
}

fn print_all(context: &Context) -> Result<(), Failure> {
    let rows = Point::ALL.iter().map(|point| {
        let (part, meaning) = (point.part().word(), point.meaning());
        // The part has a column of its own.
        let meaning = meaning.split_once(": ").filter(|_| !point.is_at_start()).map_or(meaning, |(_, it)| it);
        Row { point: point.name(), part, meaning }
    });
    let rows: Vec<Row> = rows.collect();
    if context.json {
        return output::json_rows(&rows);
    }
    let mut table = output::Table::new(&["POINT", "PART", "MEANING"]);
    for row in rows {
        table.row([row.point.to_owned(), row.part.to_owned(), row.meaning.to_owned()]);
    }
    table.print()
}

async fn print_armed(context: &Context) -> Result<(), Failure> {
    let client = context.connect().await?;
    let rows = armed(&client).await?;
    if context.json {
        return output::json_rows(&rows);
    }
    let mut table = output::Table::new(&["ID", "DEFECT"]);
    for row in rows {
        table.row([row.id, row.spec]);
    }
    table.print()
}
