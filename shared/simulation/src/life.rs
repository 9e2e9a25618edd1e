//! The life of a process: started, joined, heard, promoted, dead.

use palib_core::ids::{AliasId, Incarnation, Nanos, PortId, ProcessId, TransId};
use palib_core::manager;
use palib_core::resend::{self, Route};
use palib_core::server;

use crate::cluster::Cluster;
use crate::feed::Feed;
use crate::guard::Guard;
use crate::invariant::Invariant;
use crate::process::{MS, Process, Side, US, alias_id, alias_of};
use crate::queue::{Event, FtmEvent, Local};
use crate::random::Lane;
use crate::schedule::DiskFault;
use crate::trace;

/// How often a process says that it lives.
const HEARTBEAT: u64 = 100 * MS;

impl Cluster<'_> {
    /// A process is started in a seat, with these ports.
    pub(crate) fn spawn(&mut self, seat: usize, number: ProcessId, ports: &[(AliasId, PortId)]) {
        let p = self.processes.len();
        if self.process(number).is_some() {
            self.violate(Invariant::FreshIds, |_| format!("process number {number} is given twice"));
        }
        let sides = ports.iter().map(|(alias, port)| Side::new(self.plan, alias_of(*alias), *port));
        let sides = sides.collect();
        for (_, port) in ports {
            if self.ports.insert(*port, p).is_some() {
                self.violate(Invariant::FreshIds, |_| format!("port {port} is given twice"));
            }
        }
        self.processes.push(Process {
            number,
            seat,
            alive: true,
            stopped: false,
            spared: false,
            deferred: Default::default(),
            sides,
            heart_waits: false,
            to_ftm: Nanos(0),
            from_ftm: Nanos(0),
        });
        self.look(p);
        let after = self.chance(Lane::Machine).between(5, 40) * MS;
        self.locally(after, p, Local::Join);
        self.locally(after + HEARTBEAT, p, Local::Heartbeat);
    }

    /// A process joins the cluster, or a new FTM: it says what it has in service.
    pub(crate) fn join(&mut self, p: usize) {
        let sides = self.processes[p].sides.iter().filter(|side| side.ready);
        let claims: Vec<_> = sides.filter_map(|side| Some((alias_id(side.alias), side.held?))).collect();
        let has = if claims.is_empty() { "" } else { ", with something in service" };
        self.say(p, || format!("joins{has}"));
        self.tell_ftm(p, FtmEvent::Joins { process: p, claims });
    }

    /// A heartbeat passes through the writers of the process's areas.
    pub(crate) fn heartbeat(&mut self, p: usize) {
        self.locally(HEARTBEAT, p, Local::Heartbeat);
        let process = &mut self.processes[p];
        if process.sides.iter().any(|side| side.writer.flying.is_some()) {
            process.heart_waits = true;
        } else {
            self.beat(p);
        }
    }

    pub(crate) fn beat(&mut self, p: usize) {
        if self.ftm.has_joined(p) {
            let process = self.processes[p].number;
            self.tell_ftm(p, FtmEvent::Input(manager::Input::Heartbeat { process }));
        }
    }

    /// A process learns who is in service for an alias.
    pub(crate) fn learn(&mut self, p: usize, target: AliasId, route: Route) {
        for s in 0..self.processes[p].sides.len() {
            self.feed(p, s, Feed::Caller(resend::Input::Route { target, route }));
        }
    }

    /// The FTM orders a takeover.
    pub(crate) fn promote(&mut self, p: usize, alias: usize, incarnation: Incarnation, trans_base: TransId) {
        let Some(s) = self.processes[p].side_of(alias) else { return };
        let side = &mut self.processes[p].sides[s];
        if side.promoting >= incarnation {
            return;
        }
        side.promoting = incarnation;
        self.say(p, || "is told to take over".to_owned());
        let after = self.chance(Lane::Disk(alias)).between(500, 4000) * US;
        self.locally(after, p, Local::Opened { side: s, incarnation, trans_base });
    }

    /// The stable area is open: what a predecessor left goes to both machines, the caller first.
    pub(crate) fn opened(&mut self, p: usize, s: usize, incarnation: Incarnation, trans_base: TransId) {
        let alias = self.processes[p].sides[s].alias;
        let fence = self.areas[alias].fence;
        let shown = fence == incarnation || (fence < incarnation && self.lacks(Guard::FenceBeforePromotion));
        let now = self.now;
        let broken = self
            .disks
            .iter()
            .any(|rule| rule.alias == alias && rule.until > now && !matches!(rule.fault, DiskFault::Slow(_)));
        if !shown || broken || self.processes[p].sides[s].held.is_some() {
            self.counts.promotions_failed += 1;
            self.say(p, || {
                let why =
                    if broken { "its disk is broken" } else { "another incarnation stands beside the area" };
                format!("can't take over in incarnation {incarnation}: {why}")
            });
            let process = self.processes[p].number;
            let failed = manager::Input::PromotionFailed { process, alias: alias_id(alias), incarnation };
            return self.tell_ftm(p, FtmEvent::Input(failed));
        }
        self.takes_over(p, alias, incarnation);
        let name = self.plan.alias_name(alias);
        self.say(p, || format!("opens the area of {name} in incarnation {incarnation}"));
        let serves = self.plan.service(alias).is_some();
        let (fresh, outbox) = (!self.lacks(Guard::FreshIds), !self.lacks(Guard::OutboxRead));
        let side = &mut self.processes[p].sides[s];
        (side.held, side.ready) = (Some(incarnation), !serves);
        let area = &self.areas[alias];
        let journal: Vec<_> = area.journal.values().cloned().collect();
        let blocked = area.under_way();
        let promoted = resend::Input::Promoted {
            incarnation,
            port: if fresh { side.port } else { PortId(1_000_000 + alias as u32) },
            trans_base: if fresh { trans_base } else { TransId(0) },
            pending: if outbox { area.outbox.values().cloned().collect() } else { Vec::new() },
            held: journal.iter().map(|row| row.call.clone()).collect(),
        };
        self.feed(p, s, Feed::Caller(promoted));
        if !serves {
            return self.tell_promoted(p, s);
        }
        let journal = if self.lacks(Guard::JournalRead) { Vec::new() } else { journal };
        self.feed(p, s, Feed::Server(server::Input::Promoted { incarnation, blocked, journal }));
    }

    /// The recovery is done: the mark of service may move.
    pub(crate) fn ready(&mut self, p: usize, s: usize) {
        self.processes[p].sides[s].ready = true;
        self.tell_promoted(p, s);
    }

    fn tell_promoted(&mut self, p: usize, s: usize) {
        self.look(p);
        let (process, side) = (self.processes[p].number, &self.processes[p].sides[s]);
        let (alias, incarnation) = (alias_id(side.alias), side.held.unwrap_or_default());
        self.tell_ftm(p, FtmEvent::Input(manager::Input::Promoted { process, alias, incarnation }));
    }

    /// A process is dead from now on.
    pub(crate) fn die(&mut self, p: usize, why: &str) {
        let process = &mut self.processes[p];
        if !process.alive {
            return;
        }
        (process.alive, process.stopped) = (false, false);
        let deferred = std::mem::take(&mut process.deferred);
        self.counts.deaths += 1;
        self.look(p);
        self.say(p, || format!("✝ dead: {why}"));
        self.leave_to_chance(p);
        for local in deferred {
            self.arrives_at_dead(local);
        }
        self.links_of_the_dead(p);
        if !self.processes[p].spared {
            self.tell_death(p);
        }
    }

    /// The FTM sees it by the process's pidfd.
    pub(crate) fn tell_death(&mut self, p: usize) {
        let after = self.chance(Lane::Machine).between(100, 1200) * US;
        let process = self.processes[p].number;
        let exited = manager::Input::Exited { process, cause: manager::Cause::Killed, ordered: false };
        let life = self.ftm.life();
        self.later(after, Event::Ftm(life, FtmEvent::Input(exited)));
    }

    /// How its seat looks in the trace.
    pub(crate) fn look(&mut self, p: usize) {
        let process = &self.processes[p];
        let look = match process {
            Process { alive: false, .. } => trace::DEAD,
            Process { stopped: true, .. } => trace::STOPPED,
            _ if process.sides.iter().any(|side| side.ready) => trace::ACTIVE,
            _ => trace::BACKUP,
        };
        let later = self.processes.iter().skip(p + 1).any(|other| other.seat == process.seat);
        if !later {
            self.trace.look(process.seat, look);
        }
    }
}
