//! Links between processes, and what they do to messages.
//!
//! Between processes each message finds its own way: it may be lost, come twice, be overtaken, or be held up for long.
//! A link to the FTM keeps the order and loses nothing while both live: what a cut holds up comes after it.

use palib_core::ids::{AliasId, Mark, Nanos, PortId};
use palib_core::message::{CancelEnd, Message, Request};
use palib_core::resend;
use palib_core::server::{self, Asker};

use crate::body::{self, Body};
use crate::cluster::Cluster;
use crate::feed::Feed;
use crate::guard::Guard;
use crate::process::{MS, US, alias_of};
use crate::queue::{Envelope, Event, FtmEvent, Local};
use crate::random::Lane;
use crate::schedule::LinkFault;

/// One end of a link: a seat, or the one after all of them, which is the FTM's.
pub(crate) type End = usize;

/// What a link does to messages until some moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LinkRule {
    pub(crate) from: End,
    pub(crate) to: End,
    pub(crate) fault: LinkFault,
    pub(crate) until: Nanos,
}

/// What becomes of a message.
#[derive(Default)]
struct Fate {
    cut_until: Option<Nanos>,
    lost: u64,
    doubled: u64,
    delay: u64,
}

impl Cluster<'_> {
    fn fate(&mut self, from: End, to: End) -> Fate {
        let mut fate = Fate::default();
        if self.links.is_empty() {
            return fate;
        }
        let now = self.now;
        self.links.retain(|rule| rule.until > now);
        for rule in self.links.clone() {
            let there = (rule.from, rule.to) == (from, to);
            let back = (rule.to, rule.from) == (from, to) && rule.fault != LinkFault::OneWay;
            if !there && !back {
                continue;
            }
            match rule.fault {
                LinkFault::Cut | LinkFault::OneWay => {
                    fate.cut_until = Some(fate.cut_until.map_or(rule.until, |until| until.max(rule.until)));
                }
                LinkFault::Drop(permille) => fate.lost += permille,
                LinkFault::Double(permille) => fate.doubled += permille,
                LinkFault::Delay(us) => fate.delay += us * US,
                LinkFault::Reorder(us) => {
                    fate.delay += self.chance(Lane::Link(from as u32, to as u32)).below(us * US);
                }
            }
        }
        fate
    }

    /// When something arrives at the FTM, or comes from there: in order, and after any cut.
    pub(crate) fn ftm_link(&mut self, p: usize, to_ftm: bool) -> u64 {
        let (seat, ftm) = (self.processes[p].seat, self.seats.len());
        let (from, to) = if to_ftm { (seat, ftm) } else { (ftm, seat) };
        let Fate { cut_until, delay, .. } = self.fate(from, to);
        let latency = self.chance(Lane::Link(from as u32, to as u32)).between(50, 400) * US;
        let start = cut_until.map_or(self.now, |until| until.max(self.now));
        let process = &mut self.processes[p];
        let last = if to_ftm { &mut process.to_ftm } else { &mut process.from_ftm };
        *last = Nanos((start.0 + latency + delay).max(last.0 + 1));
        last.0 - self.now.0
    }

    /// Sends a message to a port.
    pub(crate) fn send(&mut self, p: usize, s: usize, port: PortId, alias: AliasId, message: Message<Body>) {
        let Some(&to) = self.ports.get(&port) else { return };
        let from = self.processes[p].sides[s].alias;
        self.transmit(Envelope { from: p, to, alias: alias_of(alias), port, message });
        self.pass_sent(p, from);
    }

    /// Sends a message back to whoever asked.
    pub(crate) fn send_back(
        &mut self,
        p: usize,
        s: usize,
        asker: Asker,
        id_source: AliasId,
        message: Message<Body>,
    ) {
        let (port, from) = (self.processes[p].sides[s].port, self.processes[p].sides[s].alias);
        let alias = alias_of(id_source);
        self.transmit(Envelope { from: p, to: asker.0 as usize, alias, port, message });
        self.pass_sent(p, from);
    }

    fn transmit(&mut self, envelope: Envelope) {
        self.counts.messages += 1;
        let (from, to) = (self.processes[envelope.from].seat, self.processes[envelope.to].seat);
        let Fate { cut_until, lost, doubled, delay } = self.fate(from, to);
        let noise = if self.healed.is_some() { Default::default() } else { self.plan.noise };
        let lane = Lane::Link(from as u32, to as u32);
        let chance = self.chance(lane);
        let is_lost = chance.permille(noise.lost + lost) || cut_until.is_some();
        let is_doubled = chance.permille(noise.doubled + doubled);
        let is_late = chance.permille(noise.late);
        let mut latency = chance.between(80, 900) * US + delay;
        if is_late {
            latency += chance.below(2000) * MS;
        }
        // A doubled message is mostly close behind, and now and then far.
        let far = if chance.below(4) == 0 { 2000 } else { 20 };
        let second = chance.below(far) * MS;
        self.counts.late += u64::from(is_late);
        self.counts.doubled += u64::from(is_doubled);
        self.tell_sent(&envelope, is_lost);
        if is_lost {
            self.counts.lost += 1;
            return self.link_breaks(&envelope);
        }
        if is_doubled {
            self.locally(latency + second, envelope.to, Local::Message(Box::new(envelope.clone())));
        }
        self.locally(latency, envelope.to, Local::Message(Box::new(envelope)));
    }

    fn tell_sent(&mut self, envelope: &Envelope, is_lost: bool) {
        let to = self.processes[envelope.to].seat;
        let name = &self.seats[to].0;
        let from = self.processes[envelope.from].seat;
        self.trace.say(self.now, Some(from), || {
            let lost = if is_lost { " ✗ lost" } else { "" };
            format!("→ {name}: {}{lost}", message_text(&envelope.message))
        });
    }

    /// A message that is lost is lost with its link, and whoever sent it learns that in a while.
    fn link_breaks(&mut self, envelope: &Envelope) {
        let asks =
            matches!(envelope.message, Message::Request(_) | Message::Cancel(_) | Message::Mark { .. });
        let (from, port) = (envelope.from, envelope.port);
        let seat = self.processes[from].seat as u32;
        let after = self.chance(Lane::Link(seat, seat)).between(1, 300) * MS;
        if asks {
            self.locally(after, from, Local::PortGone(port));
        }
    }

    /// A message reaches a process that is dead: nobody answers there. Where ports are used again, it reaches whoever
    /// is in service.
    pub(crate) fn arrives_at_dead(&mut self, local: Local) {
        let Local::Message(envelope) = local else { return };
        let asks = matches!(envelope.message, Message::Request(_) | Message::Cancel(_));
        if !asks {
            return;
        }
        if self.plan.roaming
            && let Some((p, _)) = self.active(envelope.alias)
            && !self.processes[p].stopped
        {
            return self.deliver(p, Envelope { to: p, ..*envelope });
        }
        let (from, port) = (envelope.from, envelope.port);
        self.locally(300 * US, from, Local::PortGone(port));
    }

    /// A message arrives at a process that lives and runs.
    pub(crate) fn deliver(&mut self, p: usize, envelope: Envelope) {
        let Envelope { from, alias, port, message, .. } = envelope;
        let Some(s) = self.processes[p].side_of(alias) else { return };
        let asker = Asker(from as u64);
        self.say(p, || format!("← {}", message_text(&message)));
        let feed = match message {
            Message::Request(request) => {
                self.asked = Some(request.id.trans);
                let digest = u128::from(request.body);
                Feed::Server(server::Input::Request { asker, request, digest })
            }
            Message::Cancel(request) => {
                if self.lacks(Guard::CancelWaits) && self.confirms_early(p, s, asker, &request) {
                    return;
                }
                let digest = u128::from(request.body);
                Feed::Server(server::Input::Cancel { asker, request, digest })
            }
            Message::Mark { source, mark, .. } => Feed::Server(server::Input::Mark { source, mark }),
            Message::Answer { id, outcome, .. } => Feed::Caller(resend::Input::Answer { id, outcome }),
            Message::Refused { id, refusal } => Feed::Caller(resend::Input::Refused { id, port, refusal }),
            Message::CancelEnded { id, end } => Feed::Caller(resend::Input::CancelEnded { id, end }),
        };
        self.feed(p, s, feed);
    }

    pub(crate) fn port_gone(&mut self, p: usize, port: PortId) {
        for s in 0..self.processes[p].sides.len() {
            self.feed(p, s, Feed::Caller(resend::Input::PortGone { port }));
        }
    }

    pub(crate) fn asker_gone(&mut self, p: usize, asker: usize) {
        for s in 0..self.processes[p].sides.len() {
            self.feed(p, s, Feed::Server(server::Input::AskerGone { asker: Asker(asker as u64) }));
        }
    }

    /// Everybody who had a link to a process that died learns of it, sooner or later.
    pub(crate) fn links_of_the_dead(&mut self, dead: usize) {
        let ports: Vec<PortId> = self.processes[dead].sides.iter().map(|side| side.port).collect();
        for p in 0..self.processes.len() {
            if p == dead || !self.processes[p].alive {
                continue;
            }
            let (from, to) = (self.processes[dead].seat as u32, self.processes[p].seat as u32);
            let chance = self.chance(Lane::Link(from, to));
            let (quick, after) = (chance.permille(600), chance.between(200, 3000) * US);
            let after = if quick { after } else { after * 100 };
            self.locally(after, p, Local::AskerGone(dead));
            for port in &ports {
                self.locally(after, p, Local::PortGone(*port));
            }
        }
    }

    /// Tells the FTM something over the link of a process. A link begins with joining: what is said before reaches nobody.
    pub(crate) fn tell_ftm(&mut self, p: usize, event: FtmEvent) {
        if !matches!(event, FtmEvent::Joins { .. }) && !self.ftm.has_joined(p) {
            return;
        }
        let (after, life) = (self.ftm_link(p, true), self.ftm.life());
        self.later(after, Event::Ftm(life, event));
    }
}

/// A message in few words.
pub(crate) fn message_text(message: &Message<Body>) -> String {
    let request = |request: &Request<Body>| {
        let again =
            if request.attempt > 0 { format!(", again ({})", request.attempt) } else { String::new() };
        let mark = mark_text(request.mark);
        format!("{} ({}){again}, mark {mark}", body::text(request.body), request.id)
    };
    match message {
        Message::Request(asked) => format!("request {}", request(asked)),
        Message::Cancel(asked) => format!("cancel {}", request(asked)),
        Message::Answer { id, outcome, redundant } => {
            let again = if *redundant { ", redundant" } else { "" };
            format!("answer {} ({id}){again}", outcome_text(outcome))
        }
        Message::Refused { id, refusal } => format!("refused {id}: {refusal:?}"),
        Message::CancelEnded { id, end } => {
            let end = match end {
                CancelEnd::Cancelled { undone: true } => "undone",
                CancelEnd::Cancelled { undone: false } => "it was never done",
                CancelEnd::NotUndone(_) => "it can't be undone",
            };
            format!("cancellation of {id}: {end}")
        }
        Message::Mark { source, mark, .. } => format!("mark of {source}: {}", mark_text(*mark)),
    }
}

/// A mark in few words.
pub(crate) fn mark_text(mark: Mark) -> String {
    format!("{}/{}", mark.born, mark.trans)
}

/// An outcome in few words.
pub(crate) fn outcome_text(outcome: &palib_core::message::Outcome<Body>) -> String {
    use palib_core::message::Outcome;
    match outcome {
        Outcome::Reply(reply) => body::text(*reply),
        Outcome::Failed(failed) => format!("{} failed", body::text(*failed)),
    }
}
