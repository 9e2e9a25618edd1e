//! The FTM: the manager of the core, its own stable store, and the keeper that starts it again.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use palib_core::ids::{AliasId, Incarnation, Nanos, PortId, ProcessId, TransScope};
use palib_core::manager::{
    AliasConfig, AliasRecord, Change, Counters, Effect, Input, Manager, Note, Seat, SeatConfig, Settings,
};
use palib_core::resend::Route;

use crate::cluster::Cluster;
use crate::guard::Guard;
use crate::invariant::Invariant;
use crate::process::{MS, US, alias_id, alias_of};
use crate::queue::{Event, FtmEvent, Local};
use crate::random::Lane;
use crate::schedule::Plan;
use crate::trace;

/// How often the manager is told that time passes.
const TICK: u64 = 50 * MS;

/// The ports of a run.
type Ports = Vec<(AliasId, PortId)>;

/// What the FTM remembers.
#[derive(Clone, Debug, Default)]
struct Store {
    aliases: BTreeMap<AliasId, AliasRecord>,
    counters: Counters,
    runs: BTreeMap<Seat, (ProcessId, Ports)>,
    down: BTreeMap<Seat, bool>,
}

/// The FTM, dead or alive.
pub(crate) struct Ftm {
    aliases: usize,
    seats: Vec<Vec<AliasId>>,
    scope: TransScope,
    store: Store,
    manager: Option<Manager>,
    /// How often it was started: what was meant for a former one reaches nobody.
    life: u32,
    stopped: bool,
    /// What came while it could not look at it.
    inbox: VecDeque<FtmEvent>,
    /// It waits for this to be durable.
    persisting: Option<Vec<(Change, Ports)>>,
    /// What is to be done after that.
    todo: VecDeque<Effect>,
    joined: BTreeSet<usize>,
    /// Aliases whose rows changed since everybody was told.
    changed: BTreeSet<AliasId>,
}

impl Ftm {
    pub(crate) fn new(plan: &Plan, seats: &[(String, Vec<usize>)]) -> Self {
        let ids =
            |(_, aliases): &(String, Vec<usize>)| aliases.iter().map(|alias| alias_id(*alias)).collect();
        Self {
            aliases: plan.aliases(),
            seats: seats.iter().map(ids).collect(),
            scope: if plan.site_ids { TransScope::Site } else { TransScope::Alias },
            store: Store::default(),
            manager: None,
            life: 0,
            stopped: false,
            inbox: VecDeque::new(),
            persisting: None,
            todo: VecDeque::new(),
            joined: BTreeSet::new(),
            changed: BTreeSet::new(),
        }
    }

    pub(crate) fn life(&self) -> u32 {
        self.life
    }

    pub(crate) fn lives(&self) -> bool {
        self.manager.is_some()
    }

    pub(crate) fn has_joined(&self, p: usize) -> bool {
        self.joined.contains(&p)
    }

    /// Whether an alias has a member in service by its table.
    pub(crate) fn is_served(&self, alias: usize) -> bool {
        let rows = self.manager.as_ref().and_then(|manager| manager.table().rows(alias_id(alias)));
        rows.is_some_and(|rows| rows.in_service().is_some())
    }

    fn boot(&mut self, lives: impl Fn(ProcessId) -> bool, remembers: bool, now: Nanos) -> Manager {
        let record = |id| match remembers {
            true => self.store.aliases.get(&id).copied().unwrap_or_default(),
            false => AliasRecord::default(),
        };
        let aliases: Vec<_> = (0..self.aliases)
            .map(alias_id)
            .map(|id| AliasConfig { alias: id, scope: self.scope, preferred: None, record: record(id) })
            .collect();
        let seats: Vec<_> = (0..self.seats.len())
            .map(|seat| SeatConfig {
                seat: Seat(seat as u32),
                aliases: self.seats[seat].clone(),
                down: self.store.down.get(&Seat(seat as u32)).copied().unwrap_or_default(),
                adopted: self
                    .store
                    .runs
                    .get(&Seat(seat as u32))
                    .filter(|(number, _)| lives(*number))
                    .cloned(),
            })
            .collect();
        Manager::new(Settings::default(), self.store.counters, &aliases, &seats, now)
    }

    fn remember(&mut self, change: Change, ports: Ports) -> Option<String> {
        match change {
            Change::Alias { alias, record } => {
                let old = self.store.aliases.insert(alias, record).unwrap_or_default();
                if record.incarnation < old.incarnation {
                    return Some(format!("{} after {}", record.incarnation, old.incarnation));
                }
            }
            Change::Counters(counters) => self.store.counters = counters,
            Change::Run { seat, process } => _ = self.store.runs.insert(seat, (process, ports)),
            Change::Down { seat, down } => _ = self.store.down.insert(seat, down),
        }
        None
    }
}

impl Cluster<'_> {
    /// The keeper starts the FTM.
    pub(crate) fn start_ftm(&mut self) {
        if self.ftm.lives() {
            return;
        }
        let remembers = !self.lacks(Guard::DurableIncarnation);
        let living: BTreeSet<ProcessId> = self
            .processes
            .iter()
            .filter(|process| process.alive && !process.spared)
            .map(|process| process.number)
            .collect();
        let manager = self.ftm.boot(|number| living.contains(&number), remembers, self.now);
        // The last one may have died between a decision and the fence that goes with it.
        for (alias, record) in self.ftm.store.aliases.clone() {
            self.write_fence(alias, record.incarnation);
        }
        let ftm = &mut self.ftm;
        ftm.manager = Some(manager);
        ftm.life += 1;
        (ftm.stopped, ftm.persisting) = (false, None);
        let life = ftm.life;
        let end = self.seats.len();
        self.trace.look(end, trace::ACTIVE);
        self.trace.say(self.now, Some(end), || format!("starts, with {} processes that live", living.len()));
        self.counts.adopted += living.len() as u64;
        self.later(TICK, Event::Ftm(life, FtmEvent::Tick));
        for p in 0..self.processes.len() {
            if self.processes[p].alive && !self.processes[p].spared {
                let after = self.chance(Lane::Machine).between(20, 150) * MS;
                self.locally(after, p, Local::Join);
            }
        }
        self.ftm_event(life, FtmEvent::Input(Input::Start));
    }

    pub(crate) fn kill_ftm(&mut self) {
        if !self.ftm.lives() {
            return;
        }
        self.counts.ftm_deaths += 1;
        let end = self.seats.len();
        self.trace.look(end, trace::DEAD);
        self.trace.say(self.now, Some(end), || "✝ dead".to_owned());
        // What it was making durable may have become so.
        if let Some(changes) = self.ftm.persisting.take()
            && self.chance(Lane::Machine).permille(500)
        {
            self.persist(changes);
        }
        let ftm = &mut self.ftm;
        (ftm.manager, ftm.stopped) = (None, false);
        ftm.inbox.clear();
        ftm.todo.clear();
        ftm.joined.clear();
        ftm.changed.clear();
        let after = self.chance(Lane::Machine).between(50, 400) * MS;
        self.later(after, Event::FtmStarts);
    }

    pub(crate) fn stop_ftm(&mut self, us: u64) {
        if self.ftm.lives() && !self.ftm.stopped {
            self.ftm.stopped = true;
            let (end, life) = (self.seats.len(), self.ftm.life);
            self.trace.look(end, trace::STOPPED);
            self.later(us * US, Event::FtmWakes(life));
        }
    }

    pub(crate) fn wake_ftm(&mut self, life: u32) {
        if self.ftm.life != life || !self.ftm.lives() {
            return;
        }
        self.ftm.stopped = false;
        let end = self.seats.len();
        self.trace.look(end, trace::ACTIVE);
        self.read_inbox();
    }

    /// Something reaches the FTM of this life.
    pub(crate) fn ftm_event(&mut self, life: u32, event: FtmEvent) {
        if self.ftm.life != life || !self.ftm.lives() {
            return;
        }
        match event {
            FtmEvent::Tick if !self.ftm.stopped => {
                self.later(TICK, Event::Ftm(life, FtmEvent::Tick));
                self.look_whether_at_rest();
                self.ftm.inbox.push_back(FtmEvent::Tick);
            }
            FtmEvent::Tick => self.later(TICK, Event::Ftm(life, FtmEvent::Tick)),
            FtmEvent::Persisted => {
                if let Some(changes) = self.ftm.persisting.take() {
                    self.persist(changes);
                    if !self.pass_decided() {
                        self.work();
                    }
                }
            }
            FtmEvent::PersistedLate(changes) => {
                let with_ports = changes.into_iter().map(|change| (change, self.ports_of(change)));
                let changes = with_ports.collect();
                self.persist(changes);
            }
            event => self.ftm.inbox.push_back(event),
        }
        self.read_inbox();
    }

    fn read_inbox(&mut self) {
        while !self.ftm.stopped && self.ftm.persisting.is_none() && self.violation.is_none() {
            let Some(event) = self.ftm.inbox.pop_front() else { return };
            match event {
                FtmEvent::Input(input) => self.manage(input),
                FtmEvent::Tick => self.manage(Input::Tick),
                FtmEvent::Joins { process, claims } => self.joins(process, claims),
                FtmEvent::Inquires { process, target } => self.tell_row(process, target),
                FtmEvent::Persisted | FtmEvent::PersistedLate(_) => {}
            }
        }
    }

    fn manage(&mut self, input: Input) {
        let Some(manager) = &mut self.ftm.manager else { return };
        let mut effects = Vec::new();
        manager.handle(self.now, input, &mut effects);
        self.ftm.todo.extend(effects);
        self.work();
    }

    /// A process joins. One that is not the current run of its seat is turned away, and ends.
    fn joins(&mut self, p: usize, in_service: Vec<(AliasId, Incarnation)>) {
        let process = self.processes[p].number;
        let Some(manager) = &self.ftm.manager else { return };
        if manager.seat_of(process).is_none() {
            let after = self.ftm_link(p, false);
            return self.locally(after, p, Local::End);
        }
        self.ftm.joined.insert(p);
        for alias in 0..self.ftm.aliases {
            self.tell_row(p, alias_id(alias));
        }
        self.manage(Input::Joined { process, in_service });
    }

    /// Does what the manager decided, in its order, until it has to wait.
    fn work(&mut self) {
        while self.ftm.persisting.is_none() {
            let Some(effect) = self.ftm.todo.pop_front() else { break };
            self.ftm_effect(effect);
        }
        if self.ftm.persisting.is_none() {
            for alias in std::mem::take(&mut self.ftm.changed) {
                for p in self.ftm.joined.clone() {
                    self.tell_row(p, alias);
                }
            }
        }
    }

    fn ftm_effect(&mut self, effect: Effect) {
        match effect {
            Effect::Persist { changes, then } => {
                for effect in then.into_iter().rev() {
                    self.ftm.todo.push_front(effect);
                }
                let life = self.ftm.life;
                if self.lacks(Guard::PersistBeforeOrder) {
                    let after = self.chance(Lane::Machine).between(2, 200) * MS;
                    return self.later(after, Event::Ftm(life, FtmEvent::PersistedLate(changes)));
                }
                let changes = changes.into_iter().map(|change| (change, self.ports_of(change))).collect();
                self.ftm.persisting = Some(changes);
                let after = self.chance(Lane::Machine).between(150, 900) * US;
                self.later(after, Event::Ftm(life, FtmEvent::Persisted));
            }
            Effect::WriteFence { alias, incarnation, .. } => self.write_fence(alias, incarnation),
            Effect::Kill { process } => self.fencing_kill(process),
            Effect::Promote { process, alias, incarnation, trans_base } => {
                let promote = Local::Promote { alias: alias_of(alias), incarnation, trans_base };
                self.order(process, promote);
            }
            Effect::End { process } => self.order(process, Local::End),
            Effect::Spawn { seat, process } => {
                let ports = self.ftm.manager.as_ref().and_then(|manager| manager.run(seat));
                let ports = ports.map(|run| run.ports.iter().map(|(a, p)| (*a, *p)).collect::<Vec<_>>());
                self.spawn(seat.0 as usize, process, &ports.unwrap_or_default());
            }
            Effect::Push { alias } => _ = self.ftm.changed.insert(alias),
            Effect::Note(note) => self.ftm_note(note),
        }
    }

    /// The incarnation stands beside the stable area from now on.
    fn write_fence(&mut self, alias: AliasId, incarnation: Incarnation) {
        if !self.lacks(Guard::FenceBeforePromotion) {
            let area = &mut self.areas[alias_of(alias)];
            area.fence = area.fence.max(incarnation);
        }
    }

    fn ports_of(&self, change: Change) -> Ports {
        let Change::Run { seat, .. } = change else { return Vec::new() };
        let run = self.ftm.manager.as_ref().and_then(|manager| manager.run(seat));
        run.map(|run| run.ports.iter().map(|(alias, port)| (*alias, *port)).collect()).unwrap_or_default()
    }

    fn persist(&mut self, changes: Vec<(Change, Ports)>) {
        for (change, ports) in changes {
            if let Some(fell) = self.ftm.remember(change, ports) {
                self.violate(Invariant::IncarnationRises, |_| format!("the FTM remembers {fell}"));
            }
        }
    }

    /// Orders that are lost are given again when their process joins.
    fn order(&mut self, process: ProcessId, order: Local) {
        if let Some(p) = self.process(process).filter(|p| self.ftm.has_joined(*p)) {
            let after = self.ftm_link(p, false);
            self.locally(after, p, order);
        }
    }

    /// Tells a process who is in service for an alias.
    fn tell_row(&mut self, p: usize, alias: AliasId) {
        let Some(manager) = self.ftm.manager.as_ref().filter(|manager| manager.is_settled(alias)) else {
            return;
        };
        let Some(rows) = manager.table().rows(alias) else { return };
        let port = rows.in_service().map(|member| member.port);
        let route = Route { incarnation: rows.incarnation(), port };
        if self.ftm.has_joined(p) && self.processes[p].alive {
            let after = self.ftm_link(p, false);
            self.locally(after, p, Local::Table { target: alias, route });
        }
    }

    /// SIGKILL, which a stopped process can't resist. One that is spared dies later, though the FTM is told that it
    /// is dead: so it would be where nobody can see a death and a lease has run out.
    fn fencing_kill(&mut self, number: ProcessId) {
        let Some(p) = self.process(number).filter(|p| self.processes[*p].alive) else { return };
        let spared = self.processes[p].sides.iter().find_map(|side| self.spare.get(&side.alias).copied());
        let name = self.seats[self.processes[p].seat].0.clone();
        let end = self.seats.len();
        self.trace.say(self.now, Some(end), || format!("kills {name}"));
        if let Some(us) = spared {
            self.spare.clear();
            self.processes[p].spared = true;
            self.tell_death(p);
            return self.later(us * US, Event::Die(p));
        }
        if self.lacks(Guard::DeadBeforePromotion) {
            self.tell_death(p);
            let after = self.chance(Lane::Machine).between(20, 800) * MS;
            return self.later(after, Event::Die(p));
        }
        let after = self.chance(Lane::Machine).between(30, 400) * US;
        self.later(after, Event::Die(p));
    }

    fn ftm_note(&mut self, note: Note) {
        let (end, seats, plan) = (self.seats.len(), &self.seats, self.plan);
        let seat = |seat: Seat| &seats[seat.0 as usize].0;
        let name = |alias: AliasId| plan.alias_name(alias_of(alias));
        self.trace.say(self.now, Some(end), || match note {
            Note::Hung { seat: of, silent } => format!("has not heard {} for {} ms", seat(of), silent / MS),
            Note::Heard { seat: of } => format!("hears {} again", seat(of)),
            Note::TakeoverStarted { alias, incarnation, to, cause, .. } => {
                format!("{} takes over {} in incarnation {incarnation} ({cause:?})", seat(to), name(alias))
            }
            Note::InService { alias, seat: of, .. } => {
                format!("{} is in service for {}", seat(of), name(alias))
            }
            Note::Outage { alias, .. } => format!("nobody is left for {}", name(alias)),
            Note::CrashLoop { seat: of, delay } => {
                format!("{} keeps dying, and waits {} ms", seat(of), delay / MS)
            }
            Note::Impostor { seat: of, alias } => format!("{} has not {} in service", seat(of), name(alias)),
            Note::AllEnded => "all have ended".to_owned(),
        });
    }
}
