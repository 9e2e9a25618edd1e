//! Processes: one run each, with a side for each alias it is a member of.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use palib_core::ids::{AliasId, CallId, IdForm, Incarnation, Nanos, PortId, ProcessId};
use palib_core::relay::Policy;
use palib_core::resend::{self, Caller};
use palib_core::server::{self, Server};

use crate::area::Job;
use crate::body::Body;
use crate::queue::Local;
use crate::schedule::Plan;

/// A millisecond.
pub(crate) const MS: u64 = 1_000_000;
/// A microsecond.
pub(crate) const US: u64 = 1_000;

/// An alias's number for the machines.
pub(crate) fn alias_id(alias: usize) -> AliasId {
    AliasId(alias as u32 + 1)
}

/// The alias of a machine's number.
pub(crate) fn alias_of(id: AliasId) -> usize {
    id.0 as usize - 1
}

/// One run of a process.
pub(crate) struct Process {
    pub(crate) number: ProcessId,
    pub(crate) seat: usize,
    pub(crate) alive: bool,
    /// SIGSTOP.
    pub(crate) stopped: bool,
    /// The FTM was told that it is dead, and it is not.
    pub(crate) spared: bool,
    /// What happens when it goes on.
    pub(crate) deferred: VecDeque<Local>,
    pub(crate) sides: Vec<Side>,
    /// Its heartbeat waits for a commit: it passes through the writers of its areas.
    pub(crate) heart_waits: bool,
    /// The last message of its link to the FTM arrives then, to and fro: the link keeps the order.
    pub(crate) to_ftm: Nanos,
    pub(crate) from_ftm: Nanos,
}

/// What a process has for one of its aliases.
pub(crate) struct Side {
    pub(crate) alias: usize,
    pub(crate) port: PortId,
    pub(crate) server: Server<Body>,
    pub(crate) caller: Caller<Body>,
    /// The highest incarnation it was told to take over in.
    pub(crate) promoting: Incarnation,
    /// The incarnation in which it has the stable area open.
    pub(crate) held: Option<Incarnation>,
    /// Its recovery is done.
    pub(crate) ready: bool,
    pub(crate) writer: Writer,
    /// The handlers that run.
    pub(crate) runs: BTreeMap<CallId, Run>,
    /// Calls that this process has said it can't undo.
    pub(crate) not_undone: BTreeSet<CallId>,
    /// When its caller is told next that time has passed.
    pub(crate) wakeup: Option<Nanos>,
}

/// The writer of a stable area: what gathers while a commit runs goes into the next one.
#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) queue: Vec<Job>,
    pub(crate) flying: Option<Vec<Job>>,
    /// The number of the commit that is under way.
    pub(crate) number: u64,
}

/// A handler that runs.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) number: u64,
    pub(crate) body: Body,
    /// How many calls it has made.
    pub(crate) asked: usize,
    pub(crate) replies: usize,
    pub(crate) failures: usize,
    /// It has come to its end, and only does what is left there.
    pub(crate) stage: Stage,
}

/// How far a handler is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Running,
    /// It waits for its roll-forward point.
    Blocking,
    /// Its effect outside is under way, or done.
    Acting,
    /// What it registered is being committed.
    Registering,
    /// It has ended as far as it can, and waits for the commit.
    Ended,
}

impl Process {
    pub(crate) fn side_of(&self, alias: usize) -> Option<usize> {
        self.sides.iter().position(|side| side.alias == alias)
    }
}

impl Side {
    /// A backup that knows nothing.
    pub(crate) fn new(plan: &Plan, alias: usize, port: PortId) -> Self {
        let service = plan.service(alias);
        let caller = plan.callers.get(alias);
        let server = server::Settings {
            on_takeover: service.map_or(Policy::RollForward, |service| service.policy),
            alias: alias_id(alias),
            window: plan.window,
            sessions_max: plan.sessions_max,
            calls_max: 64,
        };
        let caller = resend::Settings {
            source: alias_id(alias),
            form: match caller {
                Some(caller) if caller.by_port => IdForm::SourcePort,
                _ => IdForm::Incarnation,
            },
            outbox: caller.is_none_or(|caller| caller.outbox),
            window: plan.window,
            resend_after: Nanos(400 * MS),
            inquire_after: Nanos(100 * MS),
            mark_after: Nanos(100 * MS),
        };
        Self {
            alias,
            port,
            server: Server::new(server),
            caller: Caller::new(caller),
            promoting: Incarnation(0),
            held: None,
            ready: false,
            writer: Writer::default(),
            runs: BTreeMap::new(),
            not_undone: BTreeSet::new(),
            wakeup: None,
        }
    }
}
