//! The decisions of the FTM: whom to suspect, fence, promote, start again and adopt.
//!
//! A takeover has one order, and the effects can't be written down in another: the risen incarnation is durable
//! ([`Effect::Persist`]) before anything follows; the old process is known dead ([`Input::Exited`]) before a
//! backup is promoted; the mark of service moves last, when the backup says that its recovery is done (R10).

mod interface;
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
use crate::ids::{AliasId, Incarnation, Nanos, PortId, ProcessId, TransScope};
use interface::MS;
pub use interface::{
    AliasConfig, AliasRecord, Cause, Change, Counters, Effect, Input, Note, SeatConfig, Settings,
};

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
    /// Since when it waits at a defect point, as an operator wants it to.
    paused: Option<Nanos>,
}

impl Run {
    fn new(process: ProcessId, ports: BTreeMap<AliasId, PortId>, phase: Phase, now: Nanos) -> Self {
        let (kill_at, paused) = (None, None);
        Self { process, ports, phase, since: now, started: now, heard: now, kill_at, paused }
    }
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
            Input::Start => self.kill_whom_the_last_one_fenced(now, out),
            Input::Tick => self.tick(now, out),
            Input::Joined { process, in_service } => self.joined(now, process, &in_service, out),
            Input::Heartbeat { process } => self.heard(now, process, out),
            Input::Paused { process } => self.paused(now, process),
            Input::WentOn { process } => self.went_on(now, process),
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
                place.run = Some(Run::new(process, ports, phase, now));
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
        if let Some(seat) = holder.filter(|_| config.record.fenced).and_then(|holder| self.seat_of(holder))
            && let Some(run) = self.run_mut(seat)
        {
            (run.phase, run.kill_at) = (Phase::Fenced, Some(now));
        }
        let service = match holder {
            Some(process) if config.record.fenced => Service::Fencing { process, cause: Cause::Hung },
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
        n => ((100 * MS) << (n - 1).min(8)).min(5_000 * MS),
    }
}

/// How long a failed promotion waits for its next round. What failed may be mended at any time, such as a disk that was
/// full, and nobody tells: a round every few seconds costs little and finds out.
fn retry_delay(retries: u32) -> u64 {
    ((1_000 * MS) << retries.min(8)).min(5_000 * MS)
}
