//! Charts from events.

use std::collections::BTreeSet;

use palib::control::{Event, What};

use super::lanes::lanes;
use super::stand::Standing;
use super::steps::{Draft, Drawn, drafts};
use super::{Arrow, Chart, Gap, Line, Shape, Shows, Stand, Step, Wish, call_of, family};
use super::{arrivals, bursts};
use crate::world::{World, describe};

/// What happened shortly before the first step of a followed call is shown too.
const BEFORE_NS: u64 = 1_000_000;

/// A step, and the place of the event it was made of.
pub(super) struct Seen<'a> {
    pub(super) event: &'a Event,
    pub(super) place: usize,
    pub(super) draft: Draft,
    pub(super) arrived_ns: Option<u64>,
    pub(super) lost: bool,
}

impl Chart {
    /// The chart of events. `start` is the world before the first of them, `now` the world after the last one.
    ///
    /// Events may be told out of order: they are put in the order of the machine's monotonic clock.
    #[must_use]
    pub fn of<'a>(
        events: impl Iterator<Item = &'a Event> + Clone,
        start: &World,
        now: &World,
        wish: &Wish,
    ) -> Chart {
        let calls = wish.follow.as_ref().map_or_else(Vec::new, |call| family(call, events.clone()));
        let mut told: Vec<&Event> = events.filter(|event| is_drawn(&event.what)).collect();
        told.sort_by_key(|event| (event.at_ns, event.seq));
        // Of everything, what is left out is not even drawn: there may be hundreds of steps for each that is shown.
        let first = if calls.is_empty() { told.len().saturating_sub(2 * wish.steps_max) } else { 0 };
        let (mut seen, standing) = walk(&told, first, &calls, start);
        arrivals::pair(&mut seen);
        bursts::fold(&mut seen);
        if !calls.is_empty() {
            let involved = involved(&seen, &standing);
            seen.retain(|seen| call_of(&seen.event.what).is_some() || seen.concerns(&involved));
        }
        let surplus = seen.len().saturating_sub(wish.steps_max);
        seen.drain(..surplus);
        let left_out = surplus + told[..first].iter().filter(|event| has_a_line(&event.what)).count();
        let lanes = lanes(&seen, &standing, now, wish, !calls.is_empty());
        let names: Vec<&str> = lanes.iter().map(|lane| lane.process.as_str()).collect();
        let end_ns = told.last().map_or(0, |event| event.at_ns);
        let blackouts = standing.blackouts(end_ns);
        let stands = stands(&told, &seen, &names, start);
        let zero_ns = seen.first().map_or(0, |seen| zero_of(seen.event, now.zero_unix_ms));
        let mut lines = Vec::new();
        let mut last: Option<(u64, Vec<Stand>)> = None;
        for (seen, stands) in seen.into_iter().zip(stands) {
            if let Some((from_ns, stands)) = last.take() {
                let gap = gap(from_ns, seen.event.at_ns, wish.fold_us, &blackouts);
                lines.extend(gap.map(|gap| Line { shows: Shows::Gap(gap), stands }));
            }
            // Until it has arrived, nothing is idle.
            let until_ns = seen.event.at_ns.max(seen.arrived_ns.unwrap_or(0));
            last = Some((until_ns, stands.clone()));
            lines.push(Line { shows: Shows::Step(seen.step(&names)), stands });
        }
        Chart { calls, lanes, lines, left_out, zero_ns }
    }
}

/// Whether an event has a line of its own, rather than only changing how the lanes are.
fn has_a_line(what: &What) -> bool {
    use What::{Alias, AliasGone, FirstReply, Joined, Stopping};
    !matches!(what, Alias { .. } | AliasGone { .. } | FirstReply { .. } | Joined { .. } | Stopping { .. })
}

/// Whether an event may be seen in a chart at all.
fn is_drawn(what: &What) -> bool {
    !matches!(what, What::Stats(_) | What::Log { .. } | What::Refused { .. } | What::FtmStarted { .. })
}

/// The steps that are wanted, and who is how after the last of them.
fn walk<'a>(told: &[&'a Event], first: usize, calls: &[String], start: &World) -> (Vec<Seen<'a>>, Standing) {
    let is_ours =
        |event: &Event| call_of(&event.what).is_some_and(|call| calls.iter().any(|our| our == call));
    let mut times = told.iter().filter(|event| is_ours(event)).map(|event| event.at_ns);
    let from_ns = times.next().map_or(u64::MAX, |first| first.saturating_sub(BEFORE_NS));
    let ended = told
        .iter()
        .any(|event| matches!(&event.what, What::Call { call, .. } if calls.first() == Some(call)));
    let until_ns = if ended { times.next_back().unwrap_or(from_ns) } else { u64::MAX };
    let mut standing = Standing::of(start, told);
    let mut seen = Vec::new();
    for (place, event) in told.iter().enumerate() {
        let is_wanted = match call_of(&event.what) {
            _ if calls.is_empty() => place >= first,
            Some(_) => is_ours(event),
            None => (from_ns..=until_ns).contains(&event.at_ns),
        };
        // A process is named by the alias it serves until the event is folded in.
        let drafts = if is_wanted { drafts(event, &standing) } else { Vec::new() };
        standing.apply(event);
        let made =
            drafts.into_iter().map(|draft| Seen { event, place, draft, arrived_ns: None, lost: false });
        seen.extend(made);
    }
    (seen, standing)
}

/// The processes that a followed call has to do with: those it passed, and the other members of their aliases.
fn involved(seen: &[Seen<'_>], standing: &Standing) -> BTreeSet<String> {
    let of_calls = seen.iter().filter(|seen| call_of(&seen.event.what).is_some());
    let mut found: BTreeSet<String> = of_calls.flat_map(|seen| seen.processes()).map(str::to_owned).collect();
    for members in standing.members().values() {
        if members.iter().any(|member| found.contains(member)) {
            found.extend(members.iter().cloned());
        }
    }
    found
}

impl Seen<'_> {
    /// The processes it is drawn at.
    pub(super) fn processes(&self) -> impl Iterator<Item = &str> {
        let (one, other) = match &self.draft.drawn {
            Drawn::Sent { from, to, .. } | Drawn::Arrived { from, to, .. } => (Some(from), Some(to)),
            Drawn::Mark { process, .. } => (Some(process), None),
            Drawn::Across => (None, None),
        };
        one.into_iter().chain(other).map(String::as_str)
    }

    fn concerns(&self, involved: &BTreeSet<String>) -> bool {
        self.draft.drawn == Drawn::Across || self.processes().any(|process| involved.contains(process))
    }

    fn step(self, lanes: &[&str]) -> Step {
        let lane = |process: &str| lanes.iter().position(|name| *name == process);
        let shape = match &self.draft.drawn {
            Drawn::Sent { from, to, carries } | Drawn::Arrived { from, to, carries } => {
                match (lane(from), lane(to)) {
                    (Some(from), Some(to)) => {
                        let (carries, arrived_ns) = (*carries, self.arrived_ns);
                        Shape::Arrow(Arrow { from, to, carries, arrived_ns, lost: self.lost })
                    }
                    _ => Shape::Across,
                }
            }
            Drawn::Mark { process, sign } => {
                lane(process).map_or(Shape::Across, |lane| Shape::Mark { lane, sign: *sign })
            }
            Drawn::Across => Shape::Across,
        };
        let words = describe(&self.event.process, &self.event.what);
        Step {
            seq: self.event.seq,
            at_ns: self.event.at_ns,
            call: call_of(&self.event.what).map(str::to_owned),
            tone: self.draft.tone,
            kind: words.kind,
            label: self.draft.label,
            text: format!("{}: {} {}", self.event.process, words.subject, words.text),
            shape,
        }
    }
}

/// How each lane is after each step.
fn stands(told: &[&Event], seen: &[Seen<'_>], lanes: &[&str], start: &World) -> Vec<Vec<Stand>> {
    let mut standing = Standing::of(start, told);
    let mut next = 0;
    let mut out = Vec::with_capacity(seen.len());
    for step in seen {
        while next <= step.place {
            standing.apply(told[next]);
            next += 1;
        }
        out.push(lanes.iter().map(|lane| standing.stand(lane)).collect());
    }
    out
}

fn gap(from_ns: u64, to_ns: u64, fold_us: u64, blackouts: &[(String, u64, u64)]) -> Option<Gap> {
    let us = to_ns.saturating_sub(from_ns) / 1000;
    if us < fold_us {
        return None;
    }
    // Of what lies in a gap, nobody asks how much of it does.
    let dark = blackouts.iter().find(|(_, since, until)| *since < to_ns && *until > from_ns);
    Some(Gap { us, blackout: dark.map(|(alias, ..)| alias.clone()) })
}

/// The zero of the screens' times, on the monotonic clock.
fn zero_of(event: &Event, zero_unix_ms: u64) -> u64 {
    let since_zero_ms = event.unix_ms.saturating_sub(zero_unix_ms);
    event.at_ns.saturating_sub(since_zero_ms * 1_000_000)
}
