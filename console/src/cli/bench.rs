//! `palib bench`.

use std::time::Duration;

use super::{Context, Failure, output};
use crate::bench::{self, BenchOptions, Row, RowName};
use crate::run::Interrupts;

/// Throughput, latency and blackout beside their limits.
#[derive(Debug, clap::Args)]
pub(super) struct Bench {
    /// How long each side of a row is measured, over all rounds
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Which rows, such as call/1,call/64,blackout [default: all]
    #[arg(long, value_delimiter = ',', value_name = "ROW")]
    rows: Vec<RowName>,
}

impl Bench {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let rows = if self.rows.is_empty() { RowName::ALL.to_vec() } else { self.rows };
        let options = BenchOptions { time: Duration::from_secs(self.seconds), rows };
        if cfg!(debug_assertions) {
            eprintln!("palib: this is a debug build; its numbers say little (cargo build --release)");
        }
        let mut interrupted = Interrupts::listen()?;
        let rows = tokio::select! {
            rows = bench::run(&options, |line| eprintln!("{line}")) => rows.map_err(Failure::environment)?,
            // Dropping the bench takes its cluster and its processes down.
            () = interrupted.next() => return Err(Failure::environment("interrupted")),
        };
        if context.json {
            return output::json(&serde_json::json!({ "rows": rows }));
        }
        table(&rows).print()
    }
}

fn table(rows: &[Row]) -> output::Table {
    let mut table = output::Table::new(&["ROW", "PALIB>", "LIMIT>", "UNIT", "RATIO>", "P50>", "LIMIT P50>"]);
    for row in rows {
        let number = |value: f64| {
            if row.unit == "ms" { format!("{value:.2}") } else { crate::units::count(value.round() as u64) }
        };
        let us = |us: f64| if us > 0.0 { format!("{us:.0} µs") } else { String::new() };
        table.row([
            row.name.clone(),
            number(row.value),
            number(row.limit),
            row.unit.to_owned(),
            format!("{:.2}", row.ratio),
            us(row.p50_us),
            us(row.limit_p50_us),
        ]);
    }
    table
}
