//! `palib kill`, `hang`, `resume`, `step`, `exit`, `restart`, `add-backup`, `defect` and `heal`.

use std::time::Duration;

use palib::control::{ArmedRow, OperatorAnswer, OperatorRequest, ProcessRow};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::ps::unexpected;
use super::targets::Targets;
use super::{Context, Failure, aliases, output};
use crate::defect::Defect;
use crate::operator::{OperatorClient, OperatorError};
use crate::run::{heal, inject};
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

/// Let a process go on that waits at a defect point.
#[derive(Debug, clap::Args)]
pub(super) struct Step {
    /// The process; an alias stands for its member that waits
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
    /// The defect, as one text or as words: kill PROC, hang PROC 3s, exit PROC, kill ALIAS@POINT#2, pause ALIAS@POINT,
    /// cut A B, oneway A B, drop A B 10%, delay A B 20ms±5ms, duplicate A B 5%, reorder A B, disk ALIAS
    /// fsync-error|full|torn|slow 300ms; before it `after 2s`, `every 1s..2s`; behind a fault of a link or a disk `for 3s`
    #[arg(required = true, num_args = 1.., value_name = "SPEC")]
    spec: Vec<String>,
    /// Seed of the pauses of `every`
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Take defects back: armed points are disarmed, whoever was stopped or waits goes on, links and disks are whole again, and
/// who was told to exit is started again.
#[derive(Debug, clap::Args)]
pub(super) struct Heal {
    /// Only this defect of the ledger, such as P1 or L1, or only this process
    #[arg(value_name = "ID|PROC")]
    only: Option<String>,
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

impl Step {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        act(context, OperatorRequest::StepOn { process: self.process }).await
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
        check_targets(&client, &defect).await?;
        let mut random = StdRng::seed_from_u64(self.seed);
        tokio::time::sleep(defect.when.after.unwrap_or_default()).await;
        loop {
            if let Some((least, most)) = defect.when.every {
                tokio::time::sleep(inject::between(&mut random, least, most)).await;
            }
            match client.request(inject::request(&defect.injury)).await {
                Ok(answer) => done(context, answer)?,
                // Whoever was hit last may not be replaced yet, and the FTM itself may have been hit: a defect that comes
                // again waits for them. A cluster that is down does not come back.
                Err(refused) if defect.when.every.is_some() && !is_down(&refused) => {
                    tracing::warn!("{refused}");
                }
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
        match self.only {
            Some(only) => done(context, client.request(only_remedy(&client, only).await?).await?),
            None => heal_all(context, &client).await,
        }
    }
}

/// What takes back one defect, or what one process needs.
async fn only_remedy(client: &OperatorClient, only: String) -> Result<OperatorRequest, Failure> {
    let rows = processes(client).await?;
    let row = rows.iter().find(|row| row.process == only);
    Ok(match row.and_then(heal::remedy) {
        Some(remedy) => remedy,
        None if row.is_none() && is_id(&only) => OperatorRequest::Disarm { id: only },
        None => OperatorRequest::Resume { process: only },
    })
}

async fn heal_all(context: &Context, client: &OperatorClient) -> Result<(), Failure> {
    let (mut told, mut any) = (Ok(()), false);
    let tell = |answer| {
        any = true;
        if told.is_ok() {
            told = done(context, answer);
        }
    };
    let left = heal::heal(|request| client.request(request), tell).await?;
    told?;
    if !left.is_empty() {
        let words: Vec<_> = left.iter().map(ToString::to_string).collect();
        return Err(Failure::environment(format!("not everything is healed: {}", words.join("; "))));
    }
    if any {
        return Ok(());
    }
    done(context, OperatorAnswer::Done("nothing is stopped, armed, broken or told to exit".to_owned()))
}

/// A defect that names nobody would be tried, and refused, for ever.
async fn check_targets(client: &OperatorClient, defect: &Defect) -> Result<(), Failure> {
    let (aliases, processes) = (aliases::all(client).await?, processes(client).await?);
    let targets = Targets {
        cluster: &client.folder().cluster(),
        aliases: aliases.iter().map(|row| row.alias.as_str()).collect(),
        processes: processes.iter().map(|row| row.process.as_str()).collect(),
    };
    targets.check(defect)
}

fn is_down(error: &OperatorError) -> bool {
    matches!(error, OperatorError::NotRunning { .. })
}

/// Whether a word looks like an id of the ledger: `P1`.
fn is_id(word: &str) -> bool {
    let mut letters = word.chars();
    letters.next().is_some_and(|kind| kind.is_ascii_uppercase())
        && !letters.as_str().is_empty()
        && letters.all(|digit| digit.is_ascii_digit())
}

async fn processes(client: &OperatorClient) -> Result<Vec<ProcessRow>, Failure> {
    match client.request(OperatorRequest::Processes).await? {
        OperatorAnswer::Processes(rows) => Ok(rows),
        other => Err(unexpected(&other)),
    }
}

/// The defect points that are armed.
pub(super) async fn armed(client: &OperatorClient) -> Result<Vec<ArmedRow>, Failure> {
    match client.request(OperatorRequest::Armed).await? {
        OperatorAnswer::Armed(rows) => Ok(rows),
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
