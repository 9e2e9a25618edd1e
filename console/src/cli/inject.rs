//! `palib kill`, `hang`, `resume`, `exit`, `restart`, `add-backup`, `defect` and `heal`.

use std::time::Duration;

use palib::control::{OperatorAnswer, OperatorRequest};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::ps::unexpected;
use super::{Context, Failure, output};
use crate::defect::Defect;
use crate::operator::OperatorClient;
use crate::run::inject;
use crate::units::parse_duration;

/// Kill a process.
#[derive(Debug, clap::Args)]
pub(super) struct Kill {
    /// The process; an alias stands for its member in service, `ftm` for the FTM
    process: String,
}

/// Stop a process.
#[derive(Debug, clap::Args)]
pub(super) struct Hang {
    /// The process; an alias stands for its member in service
    process: String,
    /// For how long, such as 3s [default: until `palib resume`]
    #[arg(value_name = "SPAN", value_parser = parse_duration)]
    span: Option<Duration>,
}

/// Let a stopped process go on.
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    /// The process
    process: String,
}

/// Let a process end in good order.
#[derive(Debug, clap::Args)]
pub(super) struct Exit {
    /// The process; an alias stands for its member in service
    process: String,
}

/// End a process in good order and start it again.
#[derive(Debug, clap::Args)]
pub(super) struct Restart {
    /// The process; an alias stands for its member in service
    process: String,
}

/// Add a backup to an alias.
#[derive(Debug, clap::Args)]
pub(super) struct AddBackup {
    /// The alias
    alias: String,
}

/// Do what a defect says.
#[derive(Debug, clap::Args)]
pub(super) struct DefectCommand {
    /// The defect, as one text or as words: kill PROC, hang PROC 3s, exit PROC; before it `after 2s`, `every 1s..2s`
    #[arg(required = true, num_args = 1.., value_name = "SPEC")]
    spec: Vec<String>,
    /// Seed of the pauses of `every`
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Let everything go on that was stopped.
#[derive(Debug, clap::Args)]
pub(super) struct Heal {
    /// Only this process
    process: Option<String>,
}

impl Kill {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        act(context, OperatorRequest::Kill { process: self.process }).await
    }
}

impl Hang {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let for_ms = self.span.map(|span| span.as_millis() as u64);
        act(context, OperatorRequest::Hang { process: self.process, for_ms }).await
    }
}

impl Resume {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        act(context, OperatorRequest::Resume { process: self.process }).await
    }
}

impl Exit {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        act(context, OperatorRequest::Exit { process: self.process }).await
    }
}

impl Restart {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        act(context, OperatorRequest::Restart { process: self.process }).await
    }
}

impl AddBackup {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        act(context, OperatorRequest::AddBackup { alias: self.alias }).await
    }
}

impl DefectCommand {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let defect: Defect = self.spec.join(" ").parse().map_err(Failure::usage)?;
        defect.check_possible().map_err(Failure::usage)?;
        let client = context.connect().await?;
        let mut random = StdRng::seed_from_u64(self.seed);
        tokio::time::sleep(defect.when.after.unwrap_or_default()).await;
        loop {
            if let Some((least, most)) = defect.when.every {
                tokio::time::sleep(inject::between(&mut random, least, most)).await;
            }
            let request = inject::request(&defect.injury).map_err(Failure::usage)?;
            match client.request(request).await {
                Ok(answer) => done(context, answer)?,
                // Whoever was hit last may not be replaced yet: a defect that comes again waits for it.
                Err(refused) if defect.when.every.is_some() => tracing::warn!("{refused}"),
                Err(refused) => return Err(refused.into()),
            }
            if defect.when.every.is_none() {
                return Ok(());
            }
        }
    }
}

impl Heal {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        let processes = match self.process {
            Some(process) => vec![process],
            None => stopped(&client).await?,
        };
        if processes.is_empty() {
            return done(context, OperatorAnswer::Done("nothing is stopped".to_owned()));
        }
        for process in processes {
            done(context, client.request(OperatorRequest::Resume { process }).await?)?;
        }
        Ok(())
    }
}

/// The processes that an injected hang has stopped.
async fn stopped(client: &OperatorClient) -> Result<Vec<String>, Failure> {
    match client.request(OperatorRequest::Processes).await? {
        OperatorAnswer::Processes(rows) => {
            Ok(rows.into_iter().filter(|row| row.state == "stopped").map(|row| row.process).collect())
        }
        other => Err(unexpected(&other)),
    }
}

async fn act(context: &Context, request: OperatorRequest) -> Result<(), Failure> {
    let client = context.connect().await?;
    done(context, client.request(request).await?)
}

fn done(context: &Context, answer: OperatorAnswer) -> Result<(), Failure> {
    match answer {
        OperatorAnswer::Done(words) if context.json => output::json(&serde_json::json!({ "done": words })),
        OperatorAnswer::Done(words) => output::line(words),
        other => Err(unexpected(&other)),
    }
}
