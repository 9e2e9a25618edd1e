//! What came of a run: the one JSON object that programs read, and the lines that people read.

use std::collections::{BTreeMap, BTreeSet};

use palib::control::{Event, TakeoverTiming, What};
use serde::{Deserialize, Serialize};

use crate::units::{count, micros};
use crate::world::{Turns, World};

/// What came of a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Summary {
    /// `clean`, or `not clean: ` and why in a few words.
    pub verdict: String,
    /// The cluster.
    pub cluster: String,
    /// The seed.
    pub seed: u64,
    /// How long the load and the defects lasted.
    pub elapsed_ms: u64,
    /// The calls.
    pub calls: Calls,
    /// Effects counted at the servers that callers call, from their stable areas; without those that were undone.
    pub effects: u64,
    /// Effects that were undone, everywhere, because a relay cancelled its call.
    #[serde(default)]
    pub undone: u64,
    /// Requests that were recognised as redundantly sent and not executed again.
    pub suppressed: u64,
    /// Acknowledged calls without an effect.
    pub lost: u64,
    /// Effects without a call.
    pub doubled: u64,
    /// The defects that were injected.
    pub defects: Vec<DefectDone>,
    /// Defect points that were armed and that nobody passed often enough, in the language of defects.
    #[serde(default)]
    pub unfired: Vec<String>,
    /// The takeovers.
    pub takeovers: Vec<Takeover>,
    /// What became of transactions of relays that did not go straight on.
    #[serde(default)]
    pub transactions: Transactions,
    /// How long calls took, retries and takeovers included.
    pub latency_us: Latency,
    /// Everything that contradicts exactly-once.
    pub violations: Vec<serde_json::Value>,
}

/// How calls ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// With a reply.
    pub acked: u64,
    /// With a failure of the service's own.
    pub failed: u64,
    /// Nobody knows, although it was asked again and again.
    pub unknown: u64,
}

/// What became of transactions of relays that did not go straight on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transactions {
    /// Takeovers went on with them.
    pub rolled_forward: u64,
    /// All that was called for them was undone.
    pub rolled_back: u64,
    /// Calls of theirs took the place of one that was not answered.
    pub substituted: u64,
}

impl Transactions {
    /// Over all aliases.
    pub(super) fn of(world: &World) -> Self {
        let sum = |count: fn(&Turns) -> u64| world.turns.values().map(count).sum();
        Self {
            rolled_forward: sum(|turns| turns.forward),
            rolled_back: sum(|turns| turns.back),
            substituted: sum(|turns| turns.substituted),
        }
    }
}

/// A defect that was injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefectDone {
    /// Its id in the ledger.
    pub id: String,
    /// What, in the language of defects.
    pub spec: String,
    /// When, since the run began.
    pub at_ms: u64,
}

/// A takeover and where its time went; parts that were not measured are null.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// The alias.
    pub alias: String,
    /// Why.
    pub cause: String,
    /// The incarnation it began.
    pub incarnation: u64,
    /// The split.
    #[serde(flatten)]
    pub timing: TakeoverTiming,
}

/// How long calls took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

impl Latency {
    /// Of these, in any order.
    #[must_use]
    pub fn of(mut us: Vec<u64>) -> Self {
        us.sort_unstable();
        let at = |share: f64| {
            us.get(((us.len() as f64 * share) as usize).min(us.len().saturating_sub(1))).copied()
        };
        Self { p50: at(0.5).unwrap_or(0), p99: at(0.99).unwrap_or(0), max: us.last().copied().unwrap_or(0) }
    }
}

/// The cause of a takeover whose beginning nobody was told, because the FTM died of it.
const UNTOLD: &str = "untold";

/// Gathers takeovers and defects from the events, however many there are.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    takeovers: BTreeMap<(String, u64), Takeover>,
    order: Vec<(String, u64)>,
    /// The highest incarnation that was in service, by alias.
    served: BTreeMap<String, u64>,
    /// What is armed, in the language of defects, by its id: it is no defect before it fires.
    armed: BTreeMap<String, String>,
    /// Defects that are not over, by their ids.
    open: BTreeSet<String>,
    /// What was disarmed before it fired.
    disarmed: Vec<String>,
    /// The defects so far.
    pub(super) defects: Vec<DefectDone>,
}

impl Gathered {
    /// Nothing yet, in a cluster that is as the world knows it.
    pub(super) fn of(world: &World) -> Self {
        let served = world.aliases.values().filter(|row| row.in_service().is_some());
        let served = served.map(|row| (row.alias.clone(), row.incarnation)).collect();
        Self { served, ..Self::default() }
    }

    /// Takes events in.
    pub(super) fn take(&mut self, events: &[Event], began_unix_ms: u64) {
        for event in events {
            match &event.what {
                What::TakeoverStarted { alias, incarnation, cause, .. } if cause != "first start" => {
                    self.begin(alias, *incarnation, cause);
                }
                What::InService { alias, incarnation, timing, .. } => {
                    let before = self.served.insert(alias.clone(), *incarnation);
                    // An FTM that dies takes along what it had not told yet.
                    if before.is_some_and(|before| before < *incarnation)
                        && !self.takeovers.contains_key(&(alias.clone(), *incarnation))
                    {
                        self.begin(alias, *incarnation, UNTOLD);
                    }
                    self.time(alias, *incarnation, timing);
                }
                What::FirstReply { alias, incarnation, timing, .. } => {
                    self.time(alias, *incarnation, timing);
                }
                What::Armed { id, spec } => drop(self.armed.insert(id.clone(), spec.clone())),
                What::Disarmed { id } => self.disarmed.extend(self.armed.remove(id)),
                What::Healed { id } => drop(self.open.remove(id)),
                What::Paused { name, point, id } => {
                    let spec = self.armed.remove(id).unwrap_or_else(|| format!("pause {name}@{point}"));
                    self.push_defect(id, &spec, event.unix_ms.saturating_sub(began_unix_ms));
                }
                What::Defect { id, spec } => {
                    self.push_defect(id, spec, event.unix_ms.saturating_sub(began_unix_ms));
                }
                _ => {}
            }
        }
    }

    fn begin(&mut self, alias: &str, incarnation: u64, cause: &str) {
        let key = (alias.to_owned(), incarnation);
        let timing = TakeoverTiming::default();
        let takeover = Takeover { alias: alias.to_owned(), cause: cause.to_owned(), incarnation, timing };
        if self.takeovers.insert(key.clone(), takeover).is_none() {
            self.order.push(key);
        }
    }

    fn time(&mut self, alias: &str, incarnation: u64, timing: &TakeoverTiming) {
        if let Some(takeover) = self.takeovers.get_mut(&(alias.to_owned(), incarnation)) {
            takeover.timing.learn(timing);
        }
    }

    fn push_defect(&mut self, id: &str, spec: &str, at_ms: u64) {
        self.armed.remove(id);
        // An FTM that is not sure whether the last one has told of it tells it again.
        if self.defects.iter().any(|done| done.id == id && done.spec == spec) {
            return;
        }
        self.open.insert(id.to_owned());
        self.defects.push(DefectDone { id: id.to_owned(), spec: spec.to_owned(), at_ms });
    }

    /// Whether every defect that has happened is over: who died is back, who hung goes on or is replaced.
    pub(super) fn all_over(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether a point is armed that has not fired.
    pub(super) fn any_armed(&self) -> bool {
        !self.armed.is_empty()
    }

    /// The points that were armed and did not fire.
    #[must_use]
    pub(super) fn unfired(&self) -> Vec<String> {
        self.disarmed.iter().chain(self.armed.values()).cloned().collect()
    }

    /// The takeovers in the order in which they began.
    #[must_use]
    pub(super) fn takeovers(&self) -> Vec<Takeover> {
        self.order.iter().filter_map(|key| self.takeovers.get(key).cloned()).collect()
    }
}

impl Summary {
    /// Whether nothing contradicts exactly-once.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.verdict == "clean"
    }

    /// For people.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let Calls { acked, failed, unknown } = self.calls;
        let seconds = self.elapsed_ms as f64 / 1000.0;
        let mut lines = vec![
            format!("verdict     {}", self.verdict),
            format!(
                "calls       {} acknowledged, {} failed, {} unknown in {seconds:.1} s",
                count(acked),
                count(failed),
                count(unknown)
            ),
            format!(
                "effects     {} at the servers: {} lost, {} doubled; {} redundant requests suppressed",
                count(self.effects),
                self.lost,
                self.doubled,
                count(self.suppressed)
            ),
            format!(
                "latency     p50 {}, p99 {}, max {}",
                micros(self.latency_us.p50),
                micros(self.latency_us.p99),
                micros(self.latency_us.max)
            ),
            format!("defects     {}", self.defects.len()),
            format!("takeovers   {}", self.takeovers.len()),
        ];
        // A run that was clean because nothing happened proves nothing.
        lines.extend(self.unfired.iter().map(|spec| format!("  unfired   {spec}")));
        let Transactions { rolled_forward, rolled_back, substituted } = self.transactions;
        if self.transactions != Transactions::default() {
            lines.push(format!(
                "relays      {} rolled forward, {} rolled back, {} calls substituted; {} effects undone",
                count(rolled_forward),
                count(rolled_back),
                count(substituted),
                count(self.undone)
            ));
        }
        for cause in ["killed", "hung", "exited", UNTOLD] {
            let of = self.takeovers.iter().filter(|takeover| takeover.cause == cause);
            let blackouts: Vec<u64> = of.filter_map(|takeover| takeover.timing.blackout_us).collect();
            if !blackouts.is_empty() {
                let (many, black) = (blackouts.len(), Latency::of(blackouts));
                let (p50, max) = (micros(black.p50), micros(black.max));
                lines.push(format!("  {cause:<9} {many}, blackout p50 {p50}, max {max}"));
            }
        }
        lines.extend(self.violations.iter().map(|violation| format!("violation   {violation}")));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(unix_ms: u64, what: What) -> Event {
        Event { seq: 1, at_ns: 0, unix_ms, process: "ftm".to_owned(), what }
    }

    #[test]
    fn a_takeover_is_put_together_from_its_events() {
        let timing =
            |open_us, blackout_us| TakeoverTiming { open_us, blackout_us, ..TakeoverTiming::default() };
        let started = |cause: &str, incarnation| What::TakeoverStarted {
            alias: "a".to_owned(),
            incarnation,
            from: None,
            to: "a-2".to_owned(),
            cause: cause.to_owned(),
        };
        let mut gathered = Gathered::default();
        gathered.take(
            &[
                event(0, started("first start", 1)),
                event(5, What::Defect { id: "K1".to_owned(), spec: "kill a".to_owned() }),
                event(6, started("killed", 2)),
                event(
                    7,
                    What::InService {
                        alias: "a".to_owned(),
                        incarnation: 2,
                        member: "a-2".to_owned(),
                        timing: timing(Some(3), None),
                    },
                ),
                event(
                    8,
                    What::FirstReply {
                        alias: "a".to_owned(),
                        incarnation: 2,
                        asked_ns: None,
                        timing: timing(None, Some(9)),
                    },
                ),
            ],
            1,
        );
        let takeovers = gathered.takeovers();
        assert_eq!(takeovers.len(), 1);
        assert_eq!((takeovers[0].timing.open_us, takeovers[0].timing.blackout_us), (Some(3), Some(9)));
        assert_eq!(gathered.defects[0].at_ms, 4);
    }

    #[test]
    fn a_takeover_whose_ftm_died_of_it_is_counted_once() {
        let in_service = |incarnation| {
            let (alias, member) = ("a".to_owned(), "a-2".to_owned());
            event(1, What::InService { alias, incarnation, member, timing: TakeoverTiming::default() })
        };
        let mut gathered = Gathered::default();
        gathered.take(&[in_service(1), in_service(1), in_service(2), in_service(2)], 0);
        let found: Vec<_> = gathered.takeovers().into_iter().map(|it| (it.incarnation, it.cause)).collect();
        assert_eq!(found, [(2, UNTOLD.to_owned())]);
    }

    #[test]
    fn latencies_of_nothing_are_nothing() {
        assert_eq!(Latency::of(Vec::new()), Latency::default());
        assert_eq!(Latency::of(vec![3, 1, 2]), Latency { p50: 2, p99: 3, max: 3 });
    }
}
