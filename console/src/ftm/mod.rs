//! The FTM and PAM: who lives, who is in service, and who takes over (patent: fault tolerant manager, port alias
//! manager).
//!
//! A process of its own, so that nothing an operator does to a terminal can stop heartbeats. All decisions are
//! [`palib_core::manager::Manager`]'s; here is what they stand on: durable memory, processes, links, the log of events.
//! One thread runs the loop and the links, so that an order is on its way as soon as it is decided.

mod boot;
mod certificates;
mod clock;
mod effects;
mod events;
mod faults;
mod fence;
mod hangs;
mod links;
mod nodes;
mod orders;
mod own_points;
mod points;
mod processes;
mod rows;
mod store;
#[cfg(test)]
mod tests;
mod timing;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use palib::control::{Event, NodeStats, What};
use palib::tls::{Authority, TlsError};
use palib::transport::{Endpoint, Link, LinkError};
use palib_core::ids::{AliasId, Incarnation, ProcessId};
use palib_core::manager::{Input, Manager, Seat};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::cluster::{AliasSpec, ClusterFile, ClusterFileError};
use crate::state::{ProcessMark, StateError, StateFolder};

use clock::{now_ns, unix_ms};
use events::EventLog;
use faults::StandingFault;
use fence::Fences;
use links::Message;
use own_points::OwnPoints;
use points::{ArmedPoint, Waiting};
use processes::{Handle, ProcessEvent, Processes};
use store::Store;
pub use store::StoreError;
use store::{AliasState, ProcessState, Write};
use timing::{Death, Takeovers};

/// How often the manager looks at the clock.
const TICK: Duration = Duration::from_millis(50);
/// A process's measurements become an event at most so often.
const STATS_EVENT_NS: u64 = 200_000_000;
/// A process that is asked something answers within this time, or the operator is told that it did not. Long,
/// because a caller that is told to drain answers when it is through.
const QUERY_WITHIN: Duration = Duration::from_secs(60);
/// A test sets this in the FTM's environment: the SIGKILL of fencing is then lost on its way, as where a process can't
/// be reached. What must hold all the same is that nobody is promoted before the old active is dead.
const LOSE_FENCING_KILL: &str = "PALIB_TEST_LOSE_FENCING_KILL";

/// What `palib ftm FOLDER` is told.
#[derive(Clone, Debug)]
pub struct FtmOptions {
    /// The state folder of the cluster (`<parent>/<cluster>`).
    pub folder: PathBuf,
}

/// Why an FTM could not work.
#[derive(Debug, thiserror::Error)]
pub enum FtmError {
    /// The state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// The FTM's own store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The copy of the cluster file.
    #[error("{0}")]
    Cluster(#[from] ClusterFileError),
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The endpoint.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The operating system.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Its words.
        source: std::io::Error,
    },
}

/// Runs the FTM until the cluster is told to go down. Builds its own runtime, so it must be called outside one.
///
/// # Errors
/// If it can't work on this state at all.
pub fn run(options: FtmOptions) -> Result<(), FtmError> {
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).try_init();
    let folder = StateFolder::at(options.folder);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| FtmError::Io { what: "the FTM's runtime".into(), source })?;
    runtime.block_on(async {
        let (sender, inbox) = mpsc::unbounded_channel();
        let mut ftm = Ftm::boot(&folder, sender)?;
        ftm.work(inbox).await;
        // Gone in good order: the keeper does not start it again.
        let _ = std::fs::remove_file(folder.ftm_address());
        let _ = std::fs::remove_file(folder.ftm_pid());
        ftm.endpoint.close().await;
        Ok(())
    })
}

/// An alias and what is remembered of it.
struct AliasInfo {
    spec: AliasSpec,
    state: AliasState,
    /// Why the member in service is.
    why: String,
    /// Why its last promotion failed.
    refusal: Option<String>,
    /// The death that left nobody to take over.
    death: Death,
}

/// A seat and what is remembered of it.
struct SeatInfo {
    name: String,
    aliases: Vec<AliasId>,
    command: Option<Vec<String>>,
    state: ProcessState,
    /// Why its process is in the state it is in.
    why: String,
    /// Since when, in milliseconds of Unix time.
    since_unix_ms: u64,
    /// Injected defects that are not healed yet: their ids.
    injured: Vec<String>,
    /// Of the last process that died here, or is dying.
    death: Death,
}

/// A run of a process, as the operating system and the network know it.
struct RunInfo {
    seat: Seat,
    mark: Option<ProcessMark>,
    handle: Option<Handle>,
    link: Option<Link>,
    address: Option<SocketAddr>,
    stats: NodeStats,
    heard_ns: Option<u64>,
    stats_event_ns: u64,
    /// The defect point at which it waits.
    paused: Option<Waiting>,
    /// Somebody ordered its end.
    ordered: bool,
    /// It is to be killed as soon as it is known.
    kill_at_start: bool,
}

impl RunInfo {
    fn new(seat: Seat) -> Self {
        Self {
            seat,
            mark: None,
            handle: None,
            link: None,
            address: None,
            stats: NodeStats::default(),
            heard_ns: None,
            stats_event_ns: 0,
            paused: None,
            ordered: false,
            kill_at_start: false,
        }
    }

    /// The process of this run, while it lives.
    fn living(&self) -> Option<ProcessMark> {
        self.mark.filter(|_| self.handle.is_some())
    }
}

/// A question of an operator that a process has not answered yet.
struct Asked {
    operator: Link,
    number: u64,
    process: String,
    /// The number of the link it was asked over.
    over: u64,
    until_ns: u64,
}

/// The FTM.
struct Ftm {
    folder: StateFolder,
    cluster: ClusterFile,
    /// Where the commands of the user's own are run.
    base: PathBuf,
    program: OsString,
    authority: Authority,
    store: Store,
    fences: Fences,
    processes: Processes,
    endpoint: Endpoint,
    manager: Manager,
    log: EventLog,
    /// Event numbers below this are given to this FTM alone, whatever becomes of it.
    events_reserved: u64,
    table_version: u64,
    /// The alias under whose name operators call.
    operator: AliasState,
    aliases: BTreeMap<AliasId, AliasInfo>,
    /// Aliases that exist no longer, and the last incarnation of each.
    gone: Vec<(u32, u64)>,
    seats: BTreeMap<Seat, SeatInfo>,
    runs: BTreeMap<ProcessId, RunInfo>,
    /// Which run speaks on a link.
    joined: BTreeMap<u64, ProcessId>,
    /// Links whose peer has not said anything yet, and those of operators.
    links: BTreeMap<u64, Link>,
    takeovers: Takeovers,
    changed: BTreeSet<AliasId>,
    asked: BTreeMap<u64, Asked>,
    next_query: u64,
    /// How many defects of each kind were injected.
    defects: BTreeMap<char, u32>,
    /// The defect points that are armed, oldest first.
    armed: Vec<ArmedPoint>,
    /// Points that a former FTM had armed: whoever joins is told that they are not any more.
    forgotten: Vec<String>,
    /// Points that were disarmed before anybody passed them.
    taken_back: BTreeSet<String>,
    /// The faults of links and disks that last, oldest first.
    faults: Vec<StandingFault>,
    /// From where each process has last connected. Links are known by their addresses.
    knocked: BTreeMap<String, SocketAddr>,
    /// The points that the FTM itself passes.
    own: OwnPoints,
    lose_fencing_kill: bool,
    sender: mpsc::UnboundedSender<Message>,
    /// Marks that have just moved and were not told of yet.
    marked: Vec<(AliasId, Incarnation, Seat)>,
    stopping: bool,
    ended: bool,
}

impl Ftm {
    async fn work(&mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        tokio::spawn(links::accept(self.endpoint.clone(), self.sender.clone()));
        self.give(Input::Start);
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !self.ended {
            tokio::select! {
                biased;
                message = inbox.recv() => match message {
                    Some(message) => self.take(message),
                    None => return,
                },
                _ = tick.tick() => self.tick(),
            }
            if inbox.is_empty() {
                self.log.flush();
            }
        }
        self.bury_the_dead();
        self.log.flush();
    }

    /// The next FTM need not look for them, nor tell of their deaths again. Later than the deaths, because no takeover
    /// should wait for this commit.
    fn bury_the_dead(&mut self) {
        let lives = |id: u32| self.runs.get(&ProcessId(id)).is_some_and(|run| run.handle.is_some());
        let dead = |info: &&mut SeatInfo| info.state.pid.is_some() && !lives(info.state.process_id);
        let bury = |info: &mut SeatInfo| {
            info.state.bury();
            Write::Process(info.name.clone(), info.state.clone())
        };
        let writes: Vec<_> = self.seats.values_mut().filter(dead).map(bury).collect();
        if !writes.is_empty() {
            self.commit(&writes);
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Process(event) => self.process_event(event),
            Message::Opened(link) => self.opened(link),
            Message::Closed { link } => self.closed(link),
            Message::Node { link, message } => self.node_says(link, message),
            Message::Operator { link, message } => self.operator_asks(link, message),
            Message::Refused { peer, reason } => self.emit(What::Refused { peer, reason }),
            Message::HangOver { process, defect } => self.hang_over(process, &defect),
            Message::FaultOver { id } => drop(self.heal_fault(&id)),
            Message::Heard(heard) => _ = heard.send(()),
            Message::EndSelf => self.end_self(),
        }
    }

    fn tick(&mut self) {
        // Before the tick: who waits at a defect point must not be taken for one that hangs.
        self.look_for_paused();
        self.give(Input::Tick);
        self.bury_the_dead();
        self.drop_unanswered();
        self.reserve_event_numbers();
    }

    fn emit(&mut self, what: What) {
        self.log.add(Event { seq: 0, at_ns: now_ns(), unix_ms: unix_ms(), process: "ftm".to_owned(), what });
    }

    fn say(&mut self, level: &str, text: String) {
        match level {
            "error" => tracing::error!("{text}"),
            "warn" => tracing::warn!("{text}"),
            _ => tracing::info!("{text}"),
        }
        self.emit(What::Log { level: level.to_owned(), text });
    }

    fn name(&self, seat: Seat) -> String {
        self.seats.get(&seat).map(|seat| seat.name.clone()).unwrap_or_default()
    }

    fn alias_name(&self, alias: AliasId) -> String {
        self.aliases.get(&alias).map(|alias| alias.spec.name.clone()).unwrap_or_default()
    }

    fn set_why(&mut self, seat: Seat, why: String) {
        if let Some(seat) = self.seats.get_mut(&seat) {
            seat.why = why;
            seat.since_unix_ms = unix_ms();
        }
    }
}
