//! `palib ps`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use palib::control::{OperatorAnswer, OperatorRequest, ProcessRow};

use super::{Context, Failure, output};
use crate::units;

/// The processes.
#[derive(Debug, clap::Args)]
pub(super) struct Ps {}

impl Ps {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        let rows = match client.request(OperatorRequest::Processes).await? {
            OperatorAnswer::Processes(rows) => rows,
            other => return Err(unexpected(&other)),
        };
        if context.json {
            return output::json_rows(&rows);
        }
        let columns = [
            "PROCESS",
            "PID>",
            "STATE",
            "IN SERVICE",
            "BACKUP",
            "SINCE>",
            "HEARD>",
            "STARTS>",
            "RSS>",
            "CPU>",
            "WHY",
        ];
        let mut table = output::Table::new(&columns);
        for row in &rows {
            table.row(cells(row));
        }
        table.print()
    }
}

fn cells(row: &ProcessRow) -> [String; 11] {
    [
        row.process.clone(),
        row.pid.map_or("-".to_owned(), |pid| pid.to_string()),
        row.state.clone(),
        list(&row.in_service),
        list(&row.backup),
        since(row.since_unix_ms),
        row.heard_ms_ago.map_or("-".to_owned(), |ms| units::age(Duration::from_millis(ms))),
        row.starts.to_string(),
        units::bytes(row.rss_bytes),
        units::age(Duration::from_millis(row.cpu_ms)),
        row.why.clone(),
    ]
}

fn list(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(",") }
}

/// How long ago a moment of Unix time was.
pub(super) fn since(unix_ms: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    units::age(now.saturating_sub(Duration::from_millis(unix_ms)))
}

/// The FTM answered with something else: it is of another version.
pub(super) fn unexpected(answer: &OperatorAnswer) -> Failure {
    Failure::environment(format!(
        "the FTM answered something else ({answer:?}); it is of another version: stop the cluster and start it with this palib"
    ))
}
