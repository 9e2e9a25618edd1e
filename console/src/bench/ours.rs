//! The cluster that is measured: a real FTM, a service with a backup, a caller, and somebody who watches.

use std::path::Path;
use std::time::Duration;

use palib::clock;
use palib::control::{Answer, MemberState, OperatorAnswer, OperatorRequest, Query};
use rustix::process::{Pid, Signal, kill_process};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::load::{Load, Measured};
use super::node::{CALLER, Order, SERVICE};
use crate::keeper::{Cluster, Start};

/// How long anything of the cluster may take beyond the time of a load.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long calls run before the process in service is killed.
pub(super) const BEFORE_KILL: Duration = Duration::from_millis(100);

/// A cluster under measurement.
pub(super) struct Ours {
    cluster: Cluster,
    watching: JoinHandle<()>,
}

impl Ours {
    /// Starts it and waits until it is whole.
    pub(super) async fn start(parent: &Path) -> Result<Self, String> {
        let text = cluster_file()?;
        let start = Start { parent, name: "bench", text: &text, base: parent, program: None };
        let cluster = Cluster::start(start).await.map_err(|error| error.to_string())?;
        // A console is attached while it is measured: every event goes out to it.
        let mut events = cluster.client().subscribe(0);
        let watching = tokio::spawn(async move { while events.next().await.is_some() {} });
        let ours = Self { cluster, watching };
        ours.until_whole().await?;
        Ok(ours)
    }

    /// Puts a load on it.
    pub(super) async fn load(&self, load: Load) -> Result<Measured, String> {
        self.order(Order::Load(load)).await?;
        sleep(Duration::from_millis(load.ms)).await;
        self.result().await
    }

    /// Kills the process in service; the time until another one's first reply, in nanoseconds.
    pub(super) async fn blackout(&self) -> Result<u64, String> {
        let pid = self.until_whole().await?;
        self.order(Order::UntilNot(pid)).await?;
        sleep(BEFORE_KILL).await;
        let killed_ns = clock::monotonic_ns();
        let raw = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or("no process is in service")?;
        kill_process(raw, Signal::KILL).map_err(|error| format!("the process in service: {error}"))?;
        // Nobody asks while it is measured.
        sleep(BEFORE_KILL).await;
        Ok(self.result().await?.first_reply_ns.saturating_sub(killed_ns))
    }

    /// Ends it; nothing of it is left.
    pub(super) async fn end(self) -> Result<(), String> {
        self.watching.abort();
        self.cluster.shutdown().await.map_err(|error| error.to_string())
    }

    /// Waits until both aliases are served and the service has a backup; the process id of the one in service.
    async fn until_whole(&self) -> Result<u32, String> {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(pid) = self.whole().await? {
                return Ok(pid);
            }
            if Instant::now() > until {
                return Err(format!("the cluster of the bench is not whole after {PATIENCE:?}"));
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn whole(&self) -> Result<Option<u32>, String> {
        let OperatorAnswer::Aliases(rows) = self.ask(OperatorRequest::Aliases).await? else {
            return Err("the FTM answered something else than was asked".to_owned());
        };
        let row = |name: &str| rows.iter().find(|row| row.alias == name);
        let served = row(CALLER).is_some_and(|row| row.in_service().is_some());
        let service = row(SERVICE).filter(|row| {
            served
                && row
                    .members
                    .iter()
                    .any(|member| member.state == MemberState::Backup && member.address.is_some())
        });
        Ok(service.and_then(|row| row.in_service()?.pid))
    }

    async fn order(&self, order: Order) -> Result<String, String> {
        let command = serde_json::to_string(&order).map_err(|error| error.to_string())?;
        let query = Query::Service { alias: CALLER.to_owned(), command };
        match self.ask(OperatorRequest::Query { alias: CALLER.to_owned(), query }).await? {
            OperatorAnswer::Query(Answer::Service(text)) => Ok(text),
            _ => Err("the caller answered something else than was asked".to_owned()),
        }
    }

    async fn result(&self) -> Result<Measured, String> {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            let text = self.order(Order::Result).await?;
            if let Some(measured) = serde_json::from_str(&text).map_err(|error| error.to_string())? {
                return Ok(measured);
            }
            sleep(Duration::from_millis(10)).await;
        }
        Err(format!("the caller of the bench has no result after {PATIENCE:?}"))
    }

    async fn ask(&self, request: OperatorRequest) -> Result<OperatorAnswer, String> {
        self.cluster.client().request(request).await.map_err(|error| error.to_string())
    }
}

fn cluster_file() -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| format!("this program's file: {error}"))?;
    let program = toml::Value::String(program.to_string_lossy().into_owned());
    Ok(format!(
        r#"
name = "bench"
title = "What palib bench measures"

[aliases.{SERVICE}]
command = [{program}, "bench-part", "service"]
members = 2

[aliases.{CALLER}]
command = [{program}, "bench-part", "caller"]
members = 1
outbox = false
"#
    ))
}

#[cfg(test)]
mod tests {
    use crate::cluster::ClusterFile;

    #[test]
    fn the_cluster_file_of_the_bench_is_in_order() {
        let text = super::cluster_file().unwrap();
        let file = ClusterFile::parse("bench.toml", &text).unwrap();
        assert_eq!(file.members(super::SERVICE).len(), 2);
        assert!(!file.alias(super::CALLER).unwrap().outbox);
    }
}
