//! What the manager is made of, what it is told, and what it wants done.

use alloc::vec::Vec;

use super::Seat;
use crate::ids::{AliasId, Incarnation, PortId, ProcessId, TransId, TransScope};

/// The times the FTM goes by, all in nanoseconds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// A process not heard for longer is hung.
    pub suspect_after: u64,
    /// Ticks further apart than this mean that the FTM or the whole machine stood still: the time between them
    /// is nobody's silence.
    pub tick_late: u64,
    /// A started process that has not joined by then is killed.
    pub join_within: u64,
    /// A process that outlived a former FTM and has not joined again by then is fenced.
    pub rejoin_within: u64,
    /// A member that is not through with its promotion by then is fenced.
    pub promote_within: u64,
    /// At the first start, how long the member that should be the first in service is waited for.
    pub prefer_for: u64,
    /// A hung process that has nothing in service may still wake up; after so long it is replaced.
    pub hung_backup_for: u64,
    /// A process told to end that still lives then is killed; a kill is repeated as often.
    pub exit_within: u64,
    /// A process that dies sooner after its start than this is in a crash loop, and the next start waits longer.
    pub stable_after: u64,
    /// How long the first start after a death waits while others of its aliases live, so that it does not take
    /// the processor away from the takeover.
    pub respawn_pause: u64,
    /// How long a restarted FTM gives those who outlived the former one to join again, before it starts others.
    pub survivors_first: u64,
    /// Whether processes that died are started again.
    pub respawn: bool,
}

/// A millisecond, in nanoseconds.
pub(super) const MS: u64 = 1_000_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            suspect_after: 600 * MS,
            tick_late: 200 * MS,
            join_within: 20_000 * MS,
            rejoin_within: 5_000 * MS,
            promote_within: 30_000 * MS,
            prefer_for: 3_000 * MS,
            hung_backup_for: 5_000 * MS,
            exit_within: 2_000 * MS,
            stable_after: 2_000 * MS,
            respawn_pause: 50 * MS,
            survivors_first: 300 * MS,
            respawn: true,
        }
    }
}

/// What is remembered of an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct AliasRecord {
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// Who was told to serve in this incarnation; or, once it is fenced, in the one before.
    pub holder: Option<ProcessId>,
    /// Whether the holder was fenced: it must be known dead before anybody else serves, whoever decides about that.
    pub fenced: bool,
    /// What it was given as the base of its transIds.
    pub trans_base: TransId,
}

/// An alias of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AliasConfig {
    /// Which.
    pub alias: AliasId,
    /// Within what the transIds of its calls are unique.
    pub scope: TransScope,
    /// Who should be the first in service.
    pub preferred: Option<Seat>,
    /// What a former FTM remembered of it.
    pub record: AliasRecord,
}

/// A process of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeatConfig {
    /// Its seat.
    pub seat: Seat,
    /// The aliases it is a member of.
    pub aliases: Vec<AliasId>,
    /// True if it is not started by itself: an operator ended it for good, or it died where nothing is started again.
    pub down: bool,
    /// The run that outlived a former FTM, with its ports.
    pub adopted: Option<(ProcessId, Vec<(AliasId, PortId)>)>,
}

/// Numbers that are never given twice: the last ones that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// The last process number.
    pub process: ProcessId,
    /// The last port.
    pub port: PortId,
    /// The last grant of transIds for aliases whose transIds are unique per site.
    pub site_grant: u64,
}

/// What the manager is told.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Input {
    /// Everything is restored: start what has to be started.
    Start,
    /// Time passes. Comes often, also when nothing happens.
    Tick,
    /// A process joined, for the first time or over a new link.
    Joined {
        /// Which run.
        process: ProcessId,
        /// What it says it has in service.
        in_service: Vec<(AliasId, Incarnation)>,
    },
    /// A process lives.
    Heartbeat {
        /// Which run.
        process: ProcessId,
    },
    /// A process stands still because an operator wants it to wait: its silence means nothing until it goes on.
    Paused {
        /// Which run.
        process: ProcessId,
    },
    /// A process that was paused goes on.
    WentOn {
        /// Which run.
        process: ProcessId,
    },
    /// A process is known to be dead, or could not be started.
    Exited {
        /// Which run.
        process: ProcessId,
        /// How.
        cause: Cause,
        /// Whether somebody ordered it; then it says nothing about a crash loop.
        ordered: bool,
    },
    /// A member is through with its promotion.
    Promoted {
        /// Which run.
        process: ProcessId,
        /// Of which alias.
        alias: AliasId,
        /// In which incarnation.
        incarnation: Incarnation,
    },
    /// A member could not be promoted.
    PromotionFailed {
        /// Which run.
        process: ProcessId,
        /// Of which alias.
        alias: AliasId,
        /// In which incarnation.
        incarnation: Incarnation,
    },
    /// An operator wants a process ended in good order.
    End {
        /// Which.
        seat: Seat,
        /// Whether it is to be started again.
        restart: bool,
    },
    /// An operator wants one more member.
    Add {
        /// Its seat, a new one.
        seat: Seat,
        /// The aliases it is a member of.
        aliases: Vec<AliasId>,
    },
    /// The cluster goes down.
    Stop,
}

/// Why service moves, or why a process is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nobody has been in service since the cluster was started.
    FirstStart,
    /// A signal ended the process.
    Killed,
    /// The process ended by itself.
    Exited,
    /// How it ended is not known: it was not this FTM's child, or died while there was no FTM.
    Gone,
    /// It could not be started.
    NotStarted,
    /// It missed its heartbeats.
    Hung,
    /// It did not get through with its promotion.
    PromotionFailed,
    /// It did not join the restarted FTM.
    NotRejoined,
    /// Nobody was left; now somebody is there again.
    Returned,
}

/// A change that must be durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// An alias.
    Alias {
        /// Which.
        alias: AliasId,
        /// What is to be remembered of it.
        record: AliasRecord,
    },
    /// The numbers given so far.
    Counters(Counters),
    /// A process is started in a seat; the shell adds what it knows of the run.
    Run {
        /// Where.
        seat: Seat,
        /// Which.
        process: ProcessId,
    },
    /// Whether a process stays down.
    Down {
        /// Which.
        seat: Seat,
        /// Whether it does.
        down: bool,
    },
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Make the changes durable, all in one commit; only then do the rest.
    Persist {
        /// The changes.
        changes: Vec<Change>,
        /// What must wait for them.
        then: Vec<Effect>,
    },
    /// Write an alias's incarnation where the owner of its stable area reads it before each commit.
    WriteFence {
        /// The alias.
        alias: AliasId,
        /// The incarnation.
        incarnation: Incarnation,
        /// True if the old owner may still live: then it is written before anything that follows. Else the file is
        /// only kept up to date, and nobody waits for it.
        fences: bool,
    },
    /// Kill a process, and say [`Input::Exited`] when it is known dead.
    Kill {
        /// Which run.
        process: ProcessId,
    },
    /// Tell a member to take an alias over.
    Promote {
        /// Which run.
        process: ProcessId,
        /// The alias.
        alias: AliasId,
        /// The incarnation.
        incarnation: Incarnation,
        /// The transId before the first one of its calls.
        trans_base: TransId,
    },
    /// Tell a process to end in good order.
    End {
        /// Which run.
        process: ProcessId,
    },
    /// Start a process. Its ports are in the table.
    Spawn {
        /// Whose seat it takes.
        seat: Seat,
        /// The number of the run.
        process: ProcessId,
    },
    /// The rows of an alias changed: tell everybody.
    Push {
        /// Which alias.
        alias: AliasId,
    },
    /// Something worth an event.
    Note(Note),
}

/// Something worth an event. What the shell knows better (exits, orders) is not among it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// A process missed its heartbeats.
    Hung {
        /// Which.
        seat: Seat,
        /// For how long nothing was heard, in nanoseconds.
        silent: u64,
    },
    /// A hung process is heard again.
    Heard {
        /// Which.
        seat: Seat,
    },
    /// A takeover began.
    TakeoverStarted {
        /// The alias.
        alias: AliasId,
        /// The new incarnation.
        incarnation: Incarnation,
        /// Who was in service.
        from: Option<Seat>,
        /// Who takes over.
        to: Seat,
        /// Why.
        cause: Cause,
    },
    /// The mark of service has moved.
    InService {
        /// The alias.
        alias: AliasId,
        /// The incarnation.
        incarnation: Incarnation,
        /// Who has it.
        seat: Seat,
    },
    /// Nobody is left who could take over.
    Outage {
        /// The alias.
        alias: AliasId,
        /// Who was in service last.
        last: Option<Seat>,
        /// Why the last one went.
        cause: Cause,
        /// When a member whose promotion failed is tried again, if there is one.
        retry_after: Option<u64>,
    },
    /// A process keeps dying; its next start waits.
    CrashLoop {
        /// Which.
        seat: Seat,
        /// For how long, in nanoseconds.
        delay: u64,
    },
    /// A process that is not in service by this table says that it is; it is fenced.
    Impostor {
        /// Which.
        seat: Seat,
        /// The alias.
        alias: AliasId,
    },
    /// No process is left, after [`Input::Stop`].
    AllEnded,
}
