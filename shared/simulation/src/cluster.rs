//! A whole cluster as one value, and the loop that lets one thing happen after the other.

use std::collections::BTreeMap;

use palib_core::ids::{Incarnation, Nanos, PortId, ProcessId, TransId};

use crate::area::{Area, Effect};
use crate::body::Body;
use crate::counts::Counts;
use crate::disk::DiskRule;
use crate::ftm::Ftm;
use crate::guard::Guard;
use crate::invariant::{Invariant, Violation};
use crate::judge::Judge;
use crate::network::LinkRule;
use crate::process::{MS, Process, US};
use crate::queue::{Event, Local, Queue};
use crate::random::{Chance, Lane, Lanes};
use crate::schedule::{Defect, Plan, Schedule, What, When};
use crate::trace::Trace;
use crate::users::User;

/// When all is healed, everything has to come to its end within so long.
const END_WITHIN: u64 = 150_000 * MS;

/// How often something has happened in an alias, for defects that hit at the so many-th time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Passed {
    pub(crate) submitted: u32,
    pub(crate) durable: u32,
    pub(crate) sent: u32,
}

/// A cluster.
pub(crate) struct Cluster<'a> {
    pub(crate) schedule: &'a Schedule,
    pub(crate) plan: &'a Plan,
    pub(crate) guard: Option<Guard>,
    pub(crate) seats: Vec<(String, Vec<usize>)>,
    pub(crate) now: Nanos,
    pub(crate) queue: Queue,
    lanes: Lanes,
    /// The stable area of each alias.
    pub(crate) areas: Vec<Area>,
    /// Effects that are in no stable area, by alias.
    pub(crate) outside: BTreeMap<(usize, Body), Effect>,
    pub(crate) processes: Vec<Process>,
    pub(crate) ports: BTreeMap<PortId, usize>,
    pub(crate) ftm: Ftm,
    pub(crate) links: Vec<LinkRule>,
    pub(crate) disks: Vec<DiskRule>,
    /// Defects that wait for something to happen so many times.
    pub(crate) armed: Vec<Defect>,
    pub(crate) passed: Vec<Passed>,
    /// How often the FTM has made a decision durable.
    pub(crate) decided: u32,
    /// How much later the next member of an alias dies that the FTM kills.
    pub(crate) spare: BTreeMap<usize, u64>,
    pub(crate) users: Vec<User>,
    /// Users whose call was not made.
    pub(crate) users_left: usize,
    /// The number of the last handler that was run.
    pub(crate) runs: u64,
    /// The number of the last call that was asked for.
    pub(crate) asked: Option<TransId>,
    pub(crate) judge: Judge,
    pub(crate) counts: Counts,
    pub(crate) trace: Trace,
    pub(crate) violation: Option<Violation>,
    /// Since when nothing goes wrong any more.
    pub(crate) healed: Option<Nanos>,
    /// The calls after that were made.
    pub(crate) closing: bool,
    pub(crate) at_rest: bool,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(schedule: &'a Schedule, guard: Option<Guard>, trace: Trace) -> Self {
        let plan = &schedule.plan;
        let seats = plan.seats();
        let mut cluster = Self {
            schedule,
            plan,
            guard,
            now: Nanos(MS),
            queue: Queue::default(),
            lanes: Lanes::new(schedule.seed),
            areas: vec![Area::default(); plan.aliases()],
            outside: BTreeMap::new(),
            processes: Vec::new(),
            ports: BTreeMap::new(),
            ftm: Ftm::new(plan, &seats),
            seats,
            links: Vec::new(),
            disks: Vec::new(),
            armed: Vec::new(),
            passed: vec![Passed::default(); plan.aliases()],
            decided: 0,
            spare: BTreeMap::new(),
            users: schedule.calls.iter().map(|call| User::new(*call)).collect(),
            users_left: schedule.calls.len(),
            runs: 0,
            asked: None,
            judge: Judge::default(),
            counts: Counts::default(),
            trace,
            violation: None,
            healed: None,
            closing: false,
            at_rest: false,
        };
        cluster.plan_ahead();
        cluster
    }

    /// What is known to come from the beginning.
    fn plan_ahead(&mut self) {
        self.start_ftm();
        for (nth, call) in self.schedule.calls.iter().enumerate() {
            self.queue.push(Nanos(call.at * US), Event::Call(nth));
        }
        let mut end = self.schedule.calls.iter().map(|call| call.at).max().unwrap_or_default();
        for (nth, defect) in self.schedule.defects.iter().enumerate() {
            match defect.when {
                When::At(at) => {
                    self.queue.push(Nanos(at * US), Event::Defect(nth));
                    end = end.max(at + lasts(defect.what));
                }
                When::Submitted(..) | When::Durable(..) | When::Sent(..) | When::Decided(_) => {
                    self.armed.push(*defect);
                }
            }
        }
        let margin = self.chance(Lane::Machine).between(20, 400) * MS;
        self.queue.push(Nanos(end * US + margin), Event::Heal);
    }

    pub(crate) fn chance(&mut self, lane: Lane) -> &mut Chance {
        self.lanes.lane(lane)
    }

    pub(crate) fn lacks(&self, guard: Guard) -> bool {
        self.guard == Some(guard)
    }

    /// Something happens so many nanoseconds from now.
    pub(crate) fn later(&mut self, after: u64, event: Event) {
        self.queue.push(Nanos(self.now.0 + after), event);
    }

    /// Something happens in a process so many nanoseconds from now.
    pub(crate) fn locally(&mut self, after: u64, process: usize, local: Local) {
        self.later(after, Event::Local(process, local));
    }

    /// An invariant does not hold. The first one is what counts: all others may follow from it.
    pub(crate) fn violate(&mut self, invariant: Invariant, what: impl FnOnce(&Self) -> String) {
        if self.violation.is_none() {
            let what = what(self);
            self.trace.say(self.now, None, || format!("!! {}: {what}", invariant.text()));
            self.violation = Some(Violation { invariant, at: self.now, what });
        }
    }

    /// Lets everything happen, until all is done or something is wrong.
    pub(crate) fn run(&mut self) {
        while self.violation.is_none() && !self.at_rest {
            let Some((at, event)) = self.queue.pop() else { break };
            self.now = at.max(self.now);
            self.counts.events += 1;
            self.happen(event);
            if self.healed.is_some_and(|healed| self.now.0 > healed.0 + END_WITHIN) {
                let why = self.restless().map(|restless| restless.why);
                let why = why.unwrap_or_else(|| "a user could not make its call".to_owned());
                self.violate(Invariant::Progress, |_| why);
            }
        }
        if self.violation.is_none() {
            self.settle();
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Local(process, local) => self.local_or_later(process, local),
            Event::Disk(process, side, number) => self.disk_done(process, side, number),
            Event::Ftm(life, event) => self.ftm_event(life, event),
            Event::Call(user) => self.call(user),
            Event::Defect(nth) => self.injure(self.schedule.defects[nth].what),
            Event::Heal => self.heal(),
            Event::Die(process) => self.die(process, "SIGKILL"),
            Event::Wake(process) => self.wake(process),
            Event::FtmStarts => self.start_ftm(),
            Event::FtmWakes(life) => self.wake_ftm(life),
        }
    }

    fn local_or_later(&mut self, p: usize, local: Local) {
        let process = &mut self.processes[p];
        if !process.alive {
            return self.arrives_at_dead(local);
        }
        if process.stopped {
            return process.deferred.push_back(local);
        }
        self.local(p, local);
    }

    /// Something happens in a process that lives and runs.
    fn local(&mut self, p: usize, local: Local) {
        match local {
            Local::Message(envelope) => self.deliver(p, *envelope),
            Local::Heartbeat => self.heartbeat(p),
            Local::Join => self.join(p),
            Local::Table { target, route } => self.learn(p, target, route),
            Local::Promote { alias, incarnation, trans_base } => {
                self.promote(p, alias, incarnation, trans_base)
            }
            Local::End => {
                self.counts.exits += 1;
                self.die(p, "ended in good order");
            }
            Local::Opened { side, incarnation, trans_base } => self.opened(p, side, incarnation, trans_base),
            Local::PortGone(port) => self.port_gone(p, port),
            Local::AskerGone(asker) => self.asker_gone(p, asker),
            Local::Tick(s) => self.tick(p, s),
            Local::Told(s, jobs) => self.told(p, s, jobs),
            Local::Read(s, key) => self.read(p, s, key),
            Local::Handler { side, id, run, step } => self.step(p, side, id, run, step),
            Local::Recover { side, id, request } => self.recover(p, side, id, request),
            Local::Undo { side, id, request, interrupted } => self.undo(p, side, id, request, interrupted),
            Local::Answered { side, id, reply } => self.handler_answered(p, side, id, reply),
            Local::Consume { side, id } => self.consume(p, side, id),
            Local::Await { side, id } => self.wait_again(p, side, id),
            Local::Decide { side, id } => self.decide(p, side, id),
        }
    }

    /// A process goes on after SIGSTOP: what came meanwhile happens now.
    pub(crate) fn wake(&mut self, p: usize) {
        let process = &mut self.processes[p];
        if !process.alive || !process.stopped {
            return;
        }
        process.stopped = false;
        self.look(p);
        self.counts.wakes += 1;
        self.counts.zombies += u64::from(self.processes[p].spared);
        self.say(p, || "goes on".to_owned());
        let mut deferred = std::mem::take(&mut self.processes[p].deferred);
        while let Some(local) = deferred.pop_front() {
            self.local_or_later(p, local);
        }
    }

    /// The process that has an alias in service, its recovery done; not one that is thought dead.
    pub(crate) fn active(&self, alias: usize) -> Option<(usize, usize)> {
        let opened = self.areas[alias].opened;
        self.processes.iter().enumerate().rev().find_map(|(p, process)| {
            let side = process.side_of(alias).filter(|_| process.alive && !process.spared)?;
            let of = &process.sides[side];
            (of.ready && of.held == Some(opened)).then_some((p, side))
        })
    }

    /// The process with this number that was started last.
    pub(crate) fn process(&self, number: ProcessId) -> Option<usize> {
        self.processes.iter().rposition(|process| process.number == number)
    }

    pub(crate) fn say(&mut self, p: usize, what: impl FnOnce() -> String) {
        let seat = self.processes[p].seat;
        self.trace.say(self.now, Some(seat), what);
    }

    /// An alias is in the hands of a process from now on.
    pub(crate) fn takes_over(&mut self, p: usize, alias: usize, incarnation: Incarnation) {
        let owns = |other: &Process| {
            let side = other.side_of(alias).map(|side| &other.sides[side]);
            other.alive && !other.spared && side.is_some_and(|side| side.held.is_some())
        };
        if let Some(other) = self.processes.iter().position(owns) {
            self.violate(Invariant::OneOwner, |cluster| {
                let name = |p: usize| cluster.seats[cluster.processes[p].seat].0.clone();
                let alias = cluster.plan.alias_name(alias);
                format!("{} opens the area of {alias}, and {} lives and has it open", name(p), name(other))
            });
        }
        let area = &mut self.areas[alias];
        if incarnation <= area.opened {
            let opened = area.opened;
            self.violate(Invariant::IncarnationRises, |cluster| {
                let alias = cluster.plan.alias_name(alias);
                format!("{alias} is opened in incarnation {incarnation} after {opened}")
            });
        }
        let area = &mut self.areas[alias];
        area.opened = area.opened.max(incarnation);
        self.counts.takeovers += u64::from(incarnation > Incarnation(1));
    }
}

/// How long a defect lasts, in microseconds.
fn lasts(what: What) -> u64 {
    match what {
        What::Hang(_, us) | What::Spare(_, us) | What::Link(_, _, _, us) | What::Disk(_, _, us) => us,
        What::Kill(_) | What::Exit(_) | What::PowerLoss => 0,
    }
}
