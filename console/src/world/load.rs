//! Who calls whom, and how often: from the heartbeats' counts and from the calls that were seen.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use palib::control::NodeStats;

/// Rates are taken over this much time: long enough to be calm, short enough that a stop is seen at once.
const WINDOW_NS: u64 = 2_000_000_000;
/// Readings kept per membership; heartbeats may come faster than every 30 ms, and then the window is shorter.
const READINGS_MAX: usize = 64;

/// The part an alias plays in the picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// It calls.
    Client,
    /// It is called, and calls.
    Relay,
    /// It is called.
    Server,
}

/// Calls that go from one alias to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Edge {
    /// The alias that calls.
    pub from: String,
    /// The alias that is called.
    pub to: String,
    /// How often per second, where the counts tell these two apart from others.
    pub calls_per_s: Option<f64>,
}

#[derive(Clone, Debug, Default)]
struct Membership {
    in_service: bool,
    /// `(at_ns, calls so far)`.
    readings: VecDeque<(u64, u64)>,
}

impl Membership {
    fn rate(&self) -> f64 {
        let (Some((from_ns, first)), Some((to_ns, last))) = (self.readings.front(), self.readings.back())
        else {
            return 0.0;
        };
        let seconds = to_ns.saturating_sub(*from_ns) as f64 / 1e9;
        if seconds <= 0.0 { 0.0 } else { last.saturating_sub(*first) as f64 / seconds }
    }
}

/// The fold behind [`super::World::edges`].
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    /// By `(alias, process)`.
    members: BTreeMap<(String, String), Membership>,
    edges: BTreeSet<(String, String)>,
}

impl Load {
    pub(super) fn measured(&mut self, process: &str, stats: &NodeStats) {
        for alias in &stats.aliases {
            let member = self.members.entry((alias.alias.clone(), process.to_owned())).or_default();
            member.in_service = alias.in_service;
            let calls = issued(&alias.counters).unwrap_or(alias.received);
            for target in alias.counters.keys().filter_map(|name| called(name)).flat_map(|it| it.split('|')) {
                if !self.edges.contains(&(alias.alias.clone(), target.to_owned())) {
                    self.edges.insert((alias.alias.clone(), target.to_owned()));
                }
            }
            // Counts of a process's run start anew with the run.
            if member.readings.back().is_some_and(|(at, n)| *at >= stats.at_ns || *n > calls) {
                member.readings.clear();
            }
            member.readings.push_back((stats.at_ns, calls));
            let old = stats.at_ns.saturating_sub(WINDOW_NS);
            while member.readings.len() > READINGS_MAX
                || (member.readings.len() > 2 && member.readings.front().is_some_and(|(at, _)| *at < old))
            {
                member.readings.pop_front();
            }
        }
    }

    /// Learns an edge from the id of a call: its first part is the alias that called.
    pub(super) fn seen_calling(&mut self, call: &str, target: &str) {
        let Some((source, _)) = call.split_once('/') else { return };
        if source != "operator" && !self.edges.contains(&(source.to_owned(), target.to_owned())) {
            self.edges.insert((source.to_owned(), target.to_owned()));
        }
    }

    pub(super) fn gone(&mut self, alias: &str) {
        self.members.retain(|(of, _), _| of != alias);
        self.edges.retain(|(from, to)| from != alias && to != alias);
    }

    pub(super) fn rate(&self, alias: &str) -> f64 {
        let of_alias = self.members.iter().filter(|((of, _), member)| of == alias && member.in_service);
        of_alias.map(|(_, member)| member.rate()).sum()
    }

    pub(super) fn edges(&self) -> Vec<Edge> {
        let edge = |(from, to): &(String, String)| {
            let calls_per_s = if self.edges.iter().filter(|(other, _)| other == from).count() == 1 {
                Some(self.rate(from))
            } else if self.edges.iter().filter(|(_, other)| other == to).count() == 1 {
                Some(self.rate(to))
            } else {
                None
            };
            Edge { from: from.clone(), to: to.clone(), calls_per_s }
        };
        self.edges.iter().map(edge).collect()
    }

    pub(super) fn role(&self, alias: &str, kind: &str) -> Role {
        let calls = self.edges.iter().any(|(from, _)| from == alias);
        let called = self.edges.iter().any(|(_, to)| to == alias);
        match kind {
            "caller" => Role::Client,
            "relay" => Role::Relay,
            _ if calls && called => Role::Relay,
            _ if calls => Role::Client,
            _ => Role::Server,
        }
    }
}

/// The target that a counter is about: of a caller's, or of a relay's that may have called one of several.
fn called(counter: &str) -> Option<&str> {
    counter.strip_prefix("issued:").or_else(|| counter.strip_prefix("each:"))
}

/// Calls issued over all targets, from a caller that counts them.
fn issued(counters: &BTreeMap<String, u64>) -> Option<u64> {
    let mut by_target =
        counters.iter().filter(|(name, _)| name.starts_with("issued:")).map(|(_, n)| *n).peekable();
    let sum = by_target.peek().is_some().then(|| by_target.sum());
    counters.get("issued").copied().or(sum)
}
