//! How defects hit, and how all of them are healed.

use palib_core::ids::Nanos;
use palib_core::manager::{Input, Seat};

use crate::cluster::Cluster;
use crate::disk::DiskRule;
use crate::network::LinkRule;
use crate::process::US;
use crate::queue::{Event, FtmEvent};
use crate::schedule::text::defect_text;
use crate::schedule::{Defect, What, When, Who};

impl Cluster<'_> {
    /// A defect hits now.
    pub(crate) fn injure(&mut self, what: What) {
        let (plan, now) = (self.plan, self.now);
        self.trace.say(now, None, || {
            let text = defect_text(plan, Defect { when: When::At(now.0 / US), what });
            let words: Vec<&str> = text.split(' ').skip(2).collect();
            format!("↯ {}", words.join(" "))
        });
        match what {
            What::Kill(Who::Ftm) => self.kill_ftm(),
            What::Kill(who) => {
                if let Some(p) = self.whom(who) {
                    self.counts.kills += 1;
                    self.die(p, "SIGKILL");
                }
            }
            What::Hang(Who::Ftm, us) => self.stop_ftm(us),
            What::Hang(who, us) => {
                if let Some(p) = self.whom(who) {
                    self.counts.hangs += 1;
                    self.processes[p].stopped = true;
                    self.look(p);
                    self.later(us * US, Event::Wake(p));
                }
            }
            What::Exit(who) => {
                if let Some(p) = self.whom(who) {
                    let seat = Seat(self.processes[p].seat as u32);
                    let life = self.ftm.life();
                    let end = FtmEvent::Input(Input::End { seat, restart: true });
                    self.later(1, Event::Ftm(life, end));
                }
            }
            What::PowerLoss => self.lose_power(),
            What::Spare(alias, us) => _ = self.spare.insert(alias, us),
            What::Link(from, to, fault, us) => {
                if let (Some(from), Some(to)) = (self.end_of(from), self.end_of(to)) {
                    self.counts.link_faults += 1;
                    let until = Nanos(self.now.0 + us * US);
                    self.links.push(LinkRule { from, to, fault, until });
                }
            }
            What::Disk(alias, fault, us) => {
                let until = Nanos(self.now.0 + us * US);
                self.disks.push(DiskRule { alias, fault, until });
            }
        }
    }

    fn lose_power(&mut self) {
        self.counts.power_losses += 1;
        self.kill_ftm();
        for p in 0..self.processes.len() {
            self.die(p, "no power");
        }
    }

    /// Who lives, and is meant.
    fn whom(&self, who: Who) -> Option<usize> {
        match who {
            Who::Ftm => None,
            Who::Active(alias) => self.active(alias).map(|(p, _)| p),
            Who::Seat(seat) => {
                self.processes.iter().rposition(|process| process.alive && process.seat == seat)
            }
        }
    }

    /// The end of a link; that of whoever is in service now stays where it is.
    fn end_of(&self, who: Who) -> Option<usize> {
        match who {
            Who::Ftm => Some(self.seats.len()),
            Who::Seat(seat) => Some(seat),
            Who::Active(_) => self.whom(who).map(|p| self.processes[p].seat),
        }
    }

    /// A commit of this alias was handed to the disk.
    pub(crate) fn pass_submitted(&mut self, p: usize, alias: usize) {
        self.passed[alias].submitted += 1;
        let nth = self.passed[alias].submitted;
        self.pass(p, |when| when == When::Submitted(alias, nth));
    }

    /// A commit of this alias is durable. Whether the process died of it.
    pub(crate) fn pass_durable(&mut self, p: usize, alias: usize) -> bool {
        self.passed[alias].durable += 1;
        let nth = self.passed[alias].durable;
        self.pass(p, |when| when == When::Durable(alias, nth));
        !self.processes[p].alive
    }

    /// A process of this alias has sent a message.
    pub(crate) fn pass_sent(&mut self, p: usize, alias: usize) {
        self.passed[alias].sent += 1;
        let nth = self.passed[alias].sent;
        self.pass(p, |when| when == When::Sent(alias, nth));
    }

    /// Defects that wait for what a process passes now hit it.
    fn pass(&mut self, p: usize, hits: impl Fn(When) -> bool) {
        for defect in self.disarm(hits) {
            match defect.what {
                What::Kill(Who::Active(_)) => {
                    let plan = self.plan;
                    self.say(p, || format!("↯ {}", defect_text(plan, defect)));
                    self.counts.kills += 1;
                    self.die(p, "SIGKILL");
                }
                what => self.injure(what),
            }
        }
    }

    /// A decision of the FTM is durable. Whether it died of that.
    pub(crate) fn pass_decided(&mut self) -> bool {
        self.decided += 1;
        let nth = self.decided;
        for defect in self.disarm(|when| when == When::Decided(nth)) {
            self.injure(defect.what);
        }
        !self.ftm.lives()
    }

    /// The armed defects that hit now.
    fn disarm(&mut self, hits: impl Fn(When) -> bool) -> Vec<Defect> {
        if self.armed.is_empty() || self.healed.is_some() {
            return Vec::new();
        }
        let hit = self.armed.iter().copied().filter(|defect| hits(defect.when)).collect();
        self.armed.retain(|defect| !hits(defect.when));
        hit
    }

    /// From now on nothing goes wrong, and everybody goes on.
    pub(crate) fn heal(&mut self) {
        self.trace.say(self.now, None, || "all defects are healed".to_owned());
        self.healed = Some(self.now);
        self.links.clear();
        self.disks.clear();
        self.armed.clear();
        self.spare.clear();
        for p in 0..self.processes.len() {
            self.wake(p);
        }
        self.wake_ftm(self.ftm.life());
    }
}
