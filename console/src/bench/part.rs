//! The processes of a bench: hidden commands of the same program, which talk to it over their standard streams.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::limit::{client, server};
use super::load::Load;
use super::{node, volatile};

/// Any free port of this machine.
pub(super) const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// How long a part may take for a line beyond the time of its load.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process of a bench.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum BenchPart {
    /// The service whose calls are measured
    Service,
    /// Its caller
    Caller,
    /// A server of the limit
    LimitServer {
        certificates: PathBuf,
        folder: PathBuf,
        #[arg(long, conflicts_with = "after")]
        volatile: bool,
        #[arg(long)]
        after: Option<u32>,
    },
    /// A client of the limit
    LimitClient { certificates: PathBuf, address: SocketAddr, in_flight: usize, ms: u64 },
    /// A client of the limit of a takeover
    BlackoutClient { certificates: PathBuf, active: SocketAddr, backup: SocketAddr },
    /// A server that answers over palib's links and keeps nothing
    VolatileServer { certificates: PathBuf },
    /// Its client
    VolatileClient { certificates: PathBuf, address: SocketAddr, in_flight: usize, ms: u64 },
}

impl BenchPart {
    /// Does the part's work.
    ///
    /// # Errors
    /// In words.
    pub(crate) fn run(self) -> Result<(), String> {
        // One thread: what is compared runs on one on both sides.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(async {
            match self {
                Self::Service => node::service().await.map_err(|error| error.to_string()),
                Self::Caller => node::caller().await.map_err(|error| error.to_string()),
                Self::LimitServer { certificates, folder, volatile, after } => {
                    let mode = match (volatile, after) {
                        (true, _) => server::Mode::Volatile,
                        (false, Some(pid)) => server::Mode::After(pid),
                        (false, None) => server::Mode::Durable,
                    };
                    server::run(&certificates, &folder, mode).await
                }
                Self::LimitClient { certificates, address, in_flight, ms } => {
                    client::run(&certificates, address, Load { in_flight, ms }).await
                }
                Self::BlackoutClient { certificates, active, backup } => {
                    client::run_blackout(&certificates, active, backup).await
                }
                Self::VolatileServer { certificates } => volatile::server(&certificates).await,
                Self::VolatileClient { certificates, address, in_flight, ms } => {
                    volatile::client(&certificates, address, Load { in_flight, ms }).await
                }
            }
        })
    }
}

/// Says a line to the process that started this part.
pub(super) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Waits until the process that started this part is gone or wants it to end.
pub(super) async fn told_to_end() {
    let (tell, told) = tokio::sync::oneshot::channel();
    // A thread that nobody waits for: a read that blocks would keep the runtime from ending.
    std::thread::spawn(move || {
        // The end of the pipe, or an error: in both cases nobody is there any more.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        let _ = tell.send(());
    });
    let _ = told.await;
}

/// A part that runs. Dropping it kills it.
pub(super) struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts a part with these words on its command line.
    pub(super) fn start<I: AsRef<std::ffi::OsStr>>(
        words: impl IntoIterator<Item = I>,
    ) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("this program's file: {error}"))?;
        let mut child = Command::new(&program)
            .arg("bench-part")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{}: {error}", program.display()))?;
        let out = child.stdout.take().ok_or("a part has no standard output")?;
        Ok(Self { child, lines: BufReader::new(out).lines() })
    }

    /// The process id.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.id()
    }

    /// The next line it says, within the time given and some more.
    pub(super) async fn line(&mut self, within: Duration) -> Result<String, String> {
        match tokio::time::timeout(within + PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => Err("a process of the bench has ended; its reason stands above".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("a process of the bench says nothing".to_owned()),
        }
    }

    /// Kills it (SIGKILL) and does not wait.
    pub(super) fn kill(&mut self) -> Result<(), String> {
        self.child.start_kill().map_err(|error| error.to_string())
    }

    /// Ends it and waits until it is gone.
    pub(super) async fn end(mut self) {
        drop(self.child.stdin.take());
        if tokio::time::timeout(Duration::from_secs(2), self.child.wait()).await.is_err() {
            // Already gone if this fails.
            let _ = self.child.kill().await;
        }
    }
}
