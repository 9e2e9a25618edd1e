//! The measurements of `palib bench`, each beside its limit, taken in the same run.
//!
//! The machine is shared and noisy, so what counts is the ratio: both sides are measured in turns, several short
//! rounds each, and the medians are compared. Both sides begin each round with new processes and an empty store: where
//! the operating system puts a process is luck that lasts, and both are to draw as often. Everything is on while it is
//! measured: events, heartbeats, an attached watcher.

mod folder;
pub(crate) mod limit;
pub(crate) mod load;
mod node;
mod ours;
pub(crate) mod part;
mod volatile;

use std::net::SocketAddr;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use palib::clock;
use serde::Serialize;
use tempfile::TempDir;
use tokio::time::sleep;

use folder::Folder;
use limit::Certificates;
use load::{Load, Measured, median};
use ours::{BEFORE_KILL, Ours};
use part::Running;

/// How often the two sides take turns.
const ROUNDS: usize = 5;
/// Takeovers in each round.
const KILLS: usize = 3;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowName {
    /// Exactly-once calls with so many in flight.
    Call(usize),
    /// The way alone, nothing durable, with so many in flight.
    Volatile(usize),
    /// From `kill -9` of the process in service to the first reply of the next.
    Blackout,
}

impl RowName {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Call(1), Self::Call(64), Self::Call(256), Self::Volatile(64), Self::Blackout];

    fn is_better_when_smaller(self) -> bool {
        self == Self::Blackout
    }

    fn unit(self) -> &'static str {
        if self == Self::Blackout { "ms" } else { "calls/s" }
    }
}

impl std::fmt::Display for RowName {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Call(in_flight) => write!(out, "call/{in_flight}"),
            Self::Volatile(in_flight) => write!(out, "call-volatile/{in_flight}"),
            Self::Blackout => out.write_str("blackout"),
        }
    }
}

impl FromStr for RowName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(|row| row.to_string()).join(", ");
        Self::ALL
            .into_iter()
            .find(|row| row.to_string() == text)
            .ok_or_else(|| format!("there is no row `{text}`; known: {}", known()))
    }
}

/// How the bench is run.
#[derive(Clone, Debug)]
pub struct BenchOptions {
    /// How long each side of a row is measured, over all rounds.
    pub time: Duration,
    /// The rows.
    pub rows: Vec<RowName>,
}

/// A row of the result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// What palib reached: the median of the rounds.
    pub value: f64,
    /// In this unit.
    pub unit: &'static str,
    /// What can be reached: the median of the rounds.
    pub limit: f64,
    /// How near the two are: 1 is the limit, smaller is worse.
    pub ratio: f64,
    /// The median time of a call, in microseconds; 0 where no calls are counted.
    pub p50_us: f64,
    /// The same of the limit.
    pub limit_p50_us: f64,
}

/// What one side of a row reached in one round.
#[derive(Clone, Copy, Debug, Default)]
struct Reached {
    value: f64,
    p50_us: f64,
}

impl From<Measured> for Reached {
    fn from(measured: Measured) -> Self {
        Self { value: measured.rate(), p50_us: measured.p50_us }
    }
}

/// Measures. What is going on is told line by line.
///
/// # Errors
/// If a process can't be started or ends before its time; the words say which.
pub async fn run(options: &BenchOptions, progress: impl Fn(String)) -> Result<Vec<Row>, String> {
    let folder = Folder::create_in(&std::env::temp_dir())?;
    let certificates = Certificates::create(folder.path())?;
    let bench = Bench { folder: folder.path(), certificates, time: options.time };
    bench.rounds(&options.rows, progress).await
}

struct Bench<'a> {
    folder: &'a Path,
    certificates: Certificates,
    time: Duration,
}

impl Bench<'_> {
    async fn rounds(&self, rows: &[RowName], progress: impl Fn(String)) -> Result<Vec<Row>, String> {
        let mut reached: Vec<[Vec<Reached>; 2]> = vec![Default::default(); rows.len()];
        for round in 0..ROUNDS {
            for (row, reached) in rows.iter().zip(&mut reached) {
                // Who goes first changes, so that neither always meets a machine that the other has warmed.
                for side in if round % 2 == 0 { [0, 1] } else { [1, 0] } {
                    let one = if side == 0 { self.palib(*row).await } else { self.limit(*row).await };
                    reached[side].extend(one?);
                }
                let last = |side: usize| reached[side].last().map_or(0.0, |last| last.value);
                let (ours, limit, unit) = (last(0), last(1), row.unit());
                progress(format!("round {}/{ROUNDS}  {row}  {ours:.1} {unit}, limit {limit:.1}", round + 1));
            }
        }
        Ok(rows.iter().zip(&reached).map(|(row, [ours, limit])| row_of(*row, ours, limit)).collect())
    }

    /// One round of palib's side of a row.
    async fn palib(&self, row: RowName) -> Result<Vec<Reached>, String> {
        match row {
            RowName::Call(in_flight) => {
                let load = self.load(in_flight);
                let measured = self.with_cluster(async |ours| ours.load(load).await).await?;
                Ok(vec![measured.into()])
            }
            RowName::Volatile(in_flight) => {
                let server = Running::start([Path::new("volatile-server"), self.certificates.folder()])?;
                let measured = self.client("volatile-client", server, in_flight).await?;
                Ok(vec![measured.into()])
            }
            RowName::Blackout => {
                let kills = async |ours: &Ours| {
                    let mut reached = Vec::new();
                    for _ in 0..KILLS {
                        reached.push(milliseconds(ours.blackout().await?));
                    }
                    Ok(reached)
                };
                self.with_cluster(kills).await
            }
        }
    }

    /// Measures something of a new cluster, and ends it.
    async fn with_cluster<T>(
        &self,
        measure: impl AsyncFnOnce(&Ours) -> Result<T, String>,
    ) -> Result<T, String> {
        let folder = self.new_folder()?;
        let ours = Ours::start(folder.path()).await?;
        let measured = measure(&ours).await;
        ours.end().await?;
        measured
    }

    fn new_folder(&self) -> Result<TempDir, String> {
        tempfile::tempdir_in(self.folder).map_err(|error| format!("a folder for a round: {error}"))
    }

    /// One round of a row's limit.
    async fn limit(&self, row: RowName) -> Result<Vec<Reached>, String> {
        let folder = self.new_folder()?;
        let folder = folder.path();
        match row {
            RowName::Call(in_flight) => {
                let server = self.limit_server(folder, &[])?;
                Ok(vec![self.client("limit-client", server, in_flight).await?.into()])
            }
            RowName::Volatile(in_flight) => {
                let server = self.limit_server(folder, &["--volatile"])?;
                Ok(vec![self.client("limit-client", server, in_flight).await?.into()])
            }
            RowName::Blackout => {
                let mut reached = Vec::new();
                for _ in 0..KILLS {
                    reached.push(milliseconds(self.floor(folder).await?));
                }
                Ok(reached)
            }
        }
    }

    fn load(&self, in_flight: usize) -> Load {
        Load { in_flight, ms: self.time.as_millis() as u64 / ROUNDS as u64 }
    }

    fn limit_server(&self, folder: &Path, words: &[&str]) -> Result<Running, String> {
        let paths = [Path::new("limit-server"), self.certificates.folder(), folder];
        Running::start(paths.into_iter().chain(words.iter().map(Path::new)))
    }

    /// Lets a client put a load on a server, and ends both.
    async fn client(&self, kind: &str, mut server: Running, in_flight: usize) -> Result<Measured, String> {
        let address = server.line(Duration::ZERO).await?;
        let load = self.load(in_flight);
        let folder = self.certificates.folder().display().to_string();
        let (calls, ms) = (load.in_flight.to_string(), load.ms.to_string());
        let mut client = Running::start([kind, &folder, &address, &calls, &ms])?;
        let measured = client.line(Duration::from_millis(load.ms)).await?;
        client.end().await;
        server.end().await;
        serde_json::from_str(&measured).map_err(|error| error.to_string())
    }

    /// The least time from `kill -9` to the first reply of a backup that the caller is connected to already.
    async fn floor(&self, folder: &Path) -> Result<u64, String> {
        let mut active = self.limit_server(folder, &[])?;
        let active_address: SocketAddr = address(&mut active).await?;
        let pid = active.pid().ok_or("a server of the limit has ended")?.to_string();
        let mut backup = self.limit_server(folder, &["--after", &pid])?;
        let backup_address: SocketAddr = address(&mut backup).await?;
        let certificates = self.certificates.folder().display().to_string();
        let (to, then) = (active_address.to_string(), backup_address.to_string());
        let mut client = Running::start(["blackout-client", &certificates, &to, &then])?;
        client.line(Duration::ZERO).await?;
        sleep(BEFORE_KILL).await;
        let killed_ns = clock::monotonic_ns();
        active.kill()?;
        let measured: Measured =
            serde_json::from_str(&client.line(Duration::ZERO).await?).map_err(|error| error.to_string())?;
        for part in [client, backup, active] {
            part.end().await;
        }
        Ok(measured.first_reply_ns.saturating_sub(killed_ns))
    }
}

async fn address(server: &mut Running) -> Result<SocketAddr, String> {
    let line = server.line(Duration::ZERO).await?;
    line.parse().map_err(|_| format!("a server of the limit says `{line}`, which is no address"))
}

fn milliseconds(ns: u64) -> Reached {
    Reached { value: ns as f64 / 1e6, p50_us: 0.0 }
}

fn row_of(name: RowName, ours: &[Reached], limit: &[Reached]) -> Row {
    let middle = |side: &[Reached], of: fn(&Reached) -> f64| median(&side.iter().map(of).collect::<Vec<_>>());
    let (value, best) = (middle(ours, |one| one.value), middle(limit, |one| one.value));
    let (over, under) = if name.is_better_when_smaller() { (best, value) } else { (value, best) };
    Row {
        name: name.to_string(),
        value,
        unit: name.unit(),
        limit: best,
        ratio: if under > 0.0 { over / under } else { 0.0 },
        p50_us: middle(ours, |one| one.p50_us),
        limit_p50_us: middle(limit, |one| one.p50_us),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(values: &[f64]) -> Vec<Reached> {
        values.iter().map(|value| Reached { value: *value, p50_us: 0.0 }).collect()
    }

    #[test]
    fn a_ratio_of_one_is_the_limit_and_smaller_is_worse() {
        let calls = row_of(RowName::Call(64), &reached(&[80.0, 10.0, 90.0]), &reached(&[100.0, 160.0, 20.0]));
        assert_eq!((calls.value, calls.limit, calls.ratio), (80.0, 100.0, 0.8));
        let blackout = row_of(RowName::Blackout, &reached(&[8.0]), &reached(&[4.0]));
        assert_eq!(blackout.ratio, 0.5);
    }

    #[test]
    fn rows_are_named_as_they_are_shown() {
        for row in RowName::ALL {
            assert_eq!(row.to_string().parse(), Ok(row));
        }
        assert!("call/7".parse::<RowName>().unwrap_err().contains("call/64"));
    }
}
