//! `palib call`.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::{Context, Failure, output};
use crate::run::one_call::{self, CallError, CallReport};
use crate::units::{self, parse_duration};

/// Make one exactly-once call.
#[derive(Debug, clap::Args)]
pub(super) struct Call {
    /// The alias to call
    alias: String,
    /// The payload; several words are joined by blanks
    #[arg(required = true, num_args = 1..)]
    payload: Vec<String>,
    /// Ask again for a call made before, with the same payload
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// How long to wait for the outcome
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    deadline: Duration,
}

#[derive(Debug, Serialize)]
struct Row {
    id: String,
    /// `ok`, `fail` (the service's own failure), or `unknown`: it may yet be executed, and can be asked for again by its id.
    status: &'static str,
    reply: Option<String>,
    /// The reply in hexadecimal digits, if it is no text.
    reply_hex: Option<String>,
    redundant: bool,
    sent: u32,
    us: u64,
}

impl Call {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        let payload = Bytes::from(self.payload.join(" "));
        let called = one_call::call(&client, &self.alias, payload, self.id.as_deref(), self.deadline).await;
        if context.json
            && let Err(CallError::Unknown { id, sent, waited, .. }) = &called
        {
            output::json(&Row::unknown(id, *sent, *waited))?;
        }
        let row = Row::of(called?);
        let failed = row.status == "fail";
        if context.json {
            output::json(&row)?;
        } else {
            let Row { id, reply, reply_hex, redundant, sent, us, .. } = row;
            output::line(reply.or(reply_hex.map(|hex| format!("0x{hex}"))).unwrap_or_default())?;
            // Apart from the reply, so that a script can use standard output as it is.
            let from = if redundant { ", from the redundancy table" } else { "" };
            let failed = if failed { ", failed by the service" } else { "" };
            eprintln!("id {id}, {}, sent {sent} time(s){from}{failed}", units::micros(us));
        }
        if failed { Err(Failure::NotClean) } else { Ok(()) }
    }
}

impl Row {
    fn of(report: CallReport) -> Self {
        let status = if report.outcome.is_err() { "fail" } else { "ok" };
        let (Ok(body) | Err(body)) = &report.outcome;
        let reply = std::str::from_utf8(body).ok().map(str::to_owned);
        let hex = || body.iter().map(|byte| format!("{byte:02x}")).collect();
        let reply_hex = reply.is_none().then(hex);
        let CallReport { id, redundant, sent, took, .. } = report;
        Self { id, status, reply, reply_hex, redundant, sent, us: whole_us(took) }
    }

    fn unknown(id: &str, sent: u32, waited: Duration) -> Self {
        let (id, us) = (id.to_owned(), whole_us(waited));
        Self { id, status: "unknown", reply: None, reply_hex: None, redundant: false, sent, us }
    }
}

fn whole_us(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Operator(error) => error.into(),
            CallError::NoAlias { .. } | CallError::NotAnId(_) | CallError::Refused { .. } => {
                Self::usage(error)
            }
            CallError::Unknown { .. } => {
                eprintln!("palib: {error}");
                Self::NotClean
            }
            CallError::NotSent { .. } | CallError::Link(_) | CallError::Identity(_) => {
                Self::environment(error)
            }
        }
    }
}
