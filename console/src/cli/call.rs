//! `palib call`.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;

use super::{Context, Failure, output};
use crate::run::one_call::{self, CallError};
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
    /// `ok`, or `fail`: the service's own failure.
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
        let report = one_call::call(&client, &self.alias, payload, self.id.as_deref(), self.deadline).await?;
        let failed = report.outcome.is_err();
        let (Ok(body) | Err(body)) = &report.outcome;
        let text = std::str::from_utf8(body).ok().map(str::to_owned);
        let hex = text.is_none().then(|| body.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let us = u64::try_from(report.took.as_micros()).unwrap_or(u64::MAX);
        if context.json {
            let status = if failed { "fail" } else { "ok" };
            let redundant = report.redundant;
            output::json(&Row {
                id: report.id,
                status,
                reply: text,
                reply_hex: hex,
                redundant,
                sent: report.sent,
                us,
            })?;
        } else {
            output::line(text.or(hex.map(|hex| format!("0x{hex}"))).unwrap_or_default())?;
            // Apart from the reply, so that a script can use standard output as it is.
            let from = if report.redundant { ", from the redundancy table" } else { "" };
            let failed = if failed { ", failed by the service" } else { "" };
            eprintln!("id {}, {}, sent {} time(s){from}{failed}", report.id, units::micros(us), report.sent);
        }
        if failed { Err(Failure::NotClean) } else { Ok(()) }
    }
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
            CallError::Link(_) | CallError::Identity(_) => Self::environment(error),
        }
    }
}
