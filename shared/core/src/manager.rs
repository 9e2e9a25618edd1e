//! The decisions of the FTM: whom to suspect, fence, promote, start again and adopt.
//!
//! A takeover has one order, and the effects can't be written down in another: the risen incarnation is durable
//! ([`Effect::Persist`]) before anything follows; the old process is known dead ([`Input::Exited`]) before a
//! backup is promoted; the mark of service moves last, when the backup says that its recovery is done (R10).

mod life;
mod takeover;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod walk;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

pub use crate::alias::Seat;
use crate::alias::{Member, MemberState, PortAliasTable};
use crate::ids::{AliasId, Incarnation, Nanos, PortId, ProcessId, TransId, TransScope};

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

const MS: u64 = 1_000_000;

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
    /// Who was told to serve in this incarnation.
    pub holder: Option<ProcessId>,
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
    /// True if an operator ended it for good.
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

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Started, not joined.
    Starting,
    /// Outlived a former FTM, not joined again.
    Adopted,
    /// Joined and heard.
    Up,
    /// Not heard for too long, with nothing in service.
    Hung,
    /// It must die: nothing it says counts any more.
    Fenced,
}

/// One run of a process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// Its number.
    pub process: ProcessId,
    /// Its ports.
    pub ports: BTreeMap<AliasId, PortId>,
    /// Where it stands.
    pub phase: Phase,
    /// Since when.
    pub since: Nanos,
    started: Nanos,
    heard: Nanos,
    /// When it is killed, or killed again, because it was told to end or fenced.
    kill_at: Option<Nanos>,
}

/// A seat and who sits in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Place {
    aliases: Vec<AliasId>,
    run: Option<Run>,
    /// An operator ended it for good.
    down: bool,
    /// An operator wants it started again, whatever the settings say.
    again: bool,
    failures: u32,
    respawn_at: Option<Nanos>,
}

/// How an alias is served.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Service {
    /// By nobody, and nobody has been told to.
    Vacant(Cause),
    /// The old process is being killed.
    Fencing { process: ProcessId, cause: Cause },
    /// This member opens the stable area and recovers. `told` is false while the FTM was started again and does
    /// not know whether the order reached it.
    Promoting { process: ProcessId, since: Nanos, told: bool },
    /// This member has the mark.
    Serving { process: ProcessId },
}

impl Service {
    fn process(&self) -> Option<ProcessId> {
        match self {
            Self::Vacant(_) => None,
            Self::Fencing { process, .. } | Self::Promoting { process, .. } | Self::Serving { process } => {
                Some(*process)
            }
        }
    }
}

/// What the manager knows of an alias beside its rows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Alias {
    scope: TransScope,
    preferred: Option<Seat>,
    record: AliasRecord,
    service: Service,
    /// Who was in service last, for the event.
    last: Option<Seat>,
    /// True while the incarnation has risen and nobody was told it yet.
    unused: bool,
    /// Members whose promotion failed since the last success.
    failed: BTreeSet<Seat>,
    retries: u32,
    retry_at: Nanos,
    outage_noted: bool,
}

/// The decisions of one site's FTM. See the module's words for the order it keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "cluster manager")]
#[doc(alias = "FTM")]
pub struct Manager {
    settings: Settings,
    counters: Counters,
    table: PortAliasTable,
    places: BTreeMap<Seat, Place>,
    aliases: BTreeMap<AliasId, Alias>,
    last_tick: Nanos,
    started: Nanos,
    stopping: bool,
}

impl Manager {
    /// A manager of this cluster, going on from what a former one remembered. [`Input::Start`] comes next.
    #[must_use]
    pub fn new(
        settings: Settings,
        counters: Counters,
        aliases: &[AliasConfig],
        seats: &[SeatConfig],
        now: Nanos,
    ) -> Self {
        let mut manager = Self {
            settings,
            counters,
            table: PortAliasTable::default(),
            places: BTreeMap::new(),
            aliases: BTreeMap::new(),
            last_tick: now,
            started: now,
            stopping: false,
        };
        for config in aliases {
            manager.table.create(config.alias, config.record.incarnation);
        }
        for config in seats {
            manager.restore_seat(config, now);
        }
        manager.let_survivors_go_first(now);
        for config in aliases {
            manager.restore_alias(config, now);
        }
        manager
    }

    /// The port alias table as it is now.
    #[must_use]
    pub fn table(&self) -> &PortAliasTable {
        &self.table
    }

    /// The run in a seat, if there is one.
    #[must_use]
    pub fn run(&self, seat: Seat) -> Option<&Run> {
        self.places.get(&seat)?.run.as_ref()
    }

    /// The seat of a run, if it is the current one of its seat.
    #[must_use]
    pub fn seat_of(&self, process: ProcessId) -> Option<Seat> {
        let current = |place: &Place| place.run.as_ref().is_some_and(|run| run.process == process);
        self.places.iter().find(|(_, place)| current(place)).map(|(seat, _)| *seat)
    }

    /// A port that was never given before, for somebody who is no member of any alias; and the counters that must be
    /// durable before it is used.
    pub fn draw_port(&mut self) -> (PortId, Counters) {
        self.counters.port = PortId(self.counters.port.0 + 1);
        (self.counters.port, self.counters)
    }

    /// When the process of a seat is started again, if that is planned.
    #[must_use]
    pub fn respawn_at(&self, seat: Seat) -> Option<Nanos> {
        self.places.get(&seat)?.respawn_at
    }

    /// Whether the rows of an alias may be told to others. Not while a restarted FTM waits for its holder to join
    /// again: the rows others have are better than a table without a mark.
    #[must_use]
    pub fn is_settled(&self, alias: AliasId) -> bool {
        !matches!(
            self.aliases.get(&alias).map(|known| &known.service),
            Some(Service::Promoting { told: false, .. })
        )
    }

    /// Takes one input and appends what is to be done about it.
    pub fn handle(&mut self, now: Nanos, input: Input, out: &mut Vec<Effect>) {
        match input {
            Input::Start => {}
            Input::Tick => self.tick(now, out),
            Input::Joined { process, in_service } => self.joined(now, process, &in_service, out),
            Input::Heartbeat { process } => self.heard(now, process, out),
            Input::Exited { process, cause, ordered } => self.exited(now, process, cause, ordered, out),
            Input::Promoted { process, alias, incarnation } => {
                self.promoted(now, process, alias, incarnation, out)
            }
            Input::PromotionFailed { process, alias, incarnation } => {
                self.promotion_failed(now, process, alias, incarnation, out);
            }
            Input::End { seat, restart } => self.end(now, seat, restart, out),
            Input::Add { seat, aliases } => {
                self.places.insert(seat, Place { aliases, respawn_at: Some(now), ..Place::default() });
            }
            Input::Stop => self.stop(now, out),
        }
        if !self.stopping {
            self.fill_vacancies(now, out);
            self.start_what_is_due(now, out);
        }
    }

    fn restore_seat(&mut self, config: &SeatConfig, now: Nanos) {
        let mut place = Place { aliases: config.aliases.clone(), down: config.down, ..Place::default() };
        match &config.adopted {
            Some((process, ports)) => {
                for (alias, port) in ports {
                    let state = MemberState::Starting;
                    let member =
                        Member { port: *port, process: *process, seat: config.seat, state, since: now };
                    self.table.adopt(*alias, member);
                }
                let ports = ports.iter().copied().collect();
                let (process, phase) = (*process, Phase::Adopted);
                place.run =
                    Some(Run { process, ports, phase, since: now, started: now, heard: now, kill_at: None });
            }
            None if !config.down => place.respawn_at = Some(now),
            None => {}
        }
        self.places.insert(config.seat, place);
    }

    /// Who outlived the former FTM joins again in a moment, and should take over before a process that is only started
    /// now.
    fn let_survivors_go_first(&mut self, now: Nanos) {
        if self.places.values().any(|place| place.run.is_some()) {
            let pause = self.settings.survivors_first;
            self.places
                .values_mut()
                .filter_map(|place| place.respawn_at.as_mut())
                .for_each(|at| at.0 = now.0 + pause);
        }
    }

    fn restore_alias(&mut self, config: &AliasConfig, now: Nanos) {
        let holder = config.record.holder.filter(|holder| self.seat_of(*holder).is_some());
        let anybody = self.places.values().any(|place| place.run.is_some());
        let service = match holder {
            Some(process) => Service::Promoting { process, since: now, told: false },
            None if anybody && config.record.incarnation > Incarnation(0) => Service::Vacant(Cause::Gone),
            None => Service::Vacant(Cause::FirstStart),
        };
        let alias = Alias {
            scope: config.scope,
            preferred: config.preferred,
            record: config.record,
            service,
            last: holder.and_then(|holder| self.seat_of(holder)),
            unused: false,
            failed: BTreeSet::new(),
            retries: 0,
            retry_at: Nanos(0),
            outage_noted: false,
        };
        self.aliases.insert(config.alias, alias);
    }

    fn run_mut(&mut self, seat: Seat) -> Option<&mut Run> {
        self.places.get_mut(&seat)?.run.as_mut()
    }

    /// Sets the state of all rows of a run and says so.
    fn set_rows(&mut self, now: Nanos, seat: Seat, state: MemberState, out: &mut Vec<Effect>) {
        let ports: Vec<_> =
            self.run(seat).map(|run| run.ports.iter().map(|(a, p)| (*a, *p)).collect()).unwrap_or_default();
        for (alias, port) in ports {
            self.table.set_state(alias, port, state, now);
            out.push(Effect::Push { alias });
        }
    }
}

/// How long the next start waits after so many deaths in a row.
fn respawn_delay(failures: u32) -> u64 {
    match failures {
        0 => 0,
        n => (100 * MS << (n - 1).min(8)).min(5_000 * MS),
    }
}

/// How long a failed promotion waits for its next round.
fn retry_delay(retries: u32) -> u64 {
    (1_000 * MS << retries.min(8)).min(60_000 * MS)
}
