//! The live verdict: calls lost and calls doubled, reckoned from durable counters that were read at known times.
//!
//! The counters of callers and servers are read at different moments, so a plain difference would cry wolf under
//! load. Two comparisons are sound, because each counter only grows:
//!
//! - what was acknowledged by `t1` must have had its effect by any `t2 > t1`: `acked@t1 - effects@t2` calls are lost;
//! - what had its effect by `t1` must have been issued by any `t2 > t1`: `effects@t1 - issued@t2` are doubled.
//!
//! Either one, once above zero, is a proof, so the largest value ever seen stands.

use std::collections::{BTreeMap, VecDeque};

use palib::control::{AliasRow, NodeStats};

/// Readings kept per alias while they wait for a later reading of the other side.
const SAMPLES_MAX: usize = 64;

/// The verdict over all aliases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Calls that were acknowledged and have no effect.
    pub lost: u64,
    /// Effects without a call of their own.
    pub doubled: u64,
    /// Calls put into the callers' outboxes, as last heard.
    pub issued: u64,
    /// Calls consumed with an outcome, as last heard.
    pub acked: u64,
    /// Effects at the servers, as last heard.
    pub effects: u64,
    /// The same for each alias that is called.
    pub aliases: BTreeMap<String, AliasVerdict>,
}

impl Verdict {
    /// Whether nothing was lost and nothing doubled.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0
    }

    /// Whether anything was measured at all: a verdict over nothing proves nothing.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        !self.aliases.is_empty()
    }
}

/// The verdict over one alias that is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AliasVerdict {
    /// Calls that were acknowledged and have no effect.
    pub lost: u64,
    /// Effects without a call of their own.
    pub doubled: u64,
    /// Calls put into the callers' outboxes, as last heard.
    pub issued: u64,
    /// Calls consumed with an outcome, as last heard.
    pub acked: u64,
    /// Effects, as last heard.
    pub effects: u64,
}

/// The counters of one reading.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at_ns: u64,
    first: u64,
    second: u64,
}

/// What a caller alias has told about one target: `first` is issued, `second` is acknowledged.
type Readings = VecDeque<Reading>;

/// The readings, and the worst that they have proved so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// By target, then by caller alias.
    callers: BTreeMap<String, BTreeMap<String, Readings>>,
    /// By server alias: `first` is effects.
    servers: BTreeMap<String, Readings>,
    proved: BTreeMap<String, (u64, u64)>,
}

impl Ledger {
    pub(super) fn measured(&mut self, process: &str, stats: &NodeStats, table: &BTreeMap<String, AliasRow>) {
        for alias in &stats.aliases {
            // Only the member with the mark of service speaks for its alias. A process that was taken over may wake
            // up and report what it last knew.
            let marked = table.get(&alias.alias).and_then(AliasRow::in_service);
            if !alias.in_service || marked.is_none_or(|member| member.process != process) {
                continue;
            }
            if let Some(effects) = alias.counters.get("effects") {
                let readings = self.servers.entry(alias.alias.clone()).or_default();
                push(readings, Reading { at_ns: stats.at_ns, first: *effects, second: 0 });
                self.judge(&alias.alias);
            }
            for (target, issued, acked) in calls_by_target(&alias.counters) {
                let callers = self.callers.entry(target.clone()).or_default();
                let readings = callers.entry(alias.alias.clone()).or_default();
                push(readings, Reading { at_ns: stats.at_ns, first: issued, second: acked });
                self.judge(&target);
            }
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let mut whole = Verdict::default();
        for (target, callers) in &self.callers {
            // The callers of a cluster with one kind of server may not say whom they call.
            let mut of_alias = AliasVerdict::default();
            for newest in callers.values().filter_map(VecDeque::back) {
                of_alias.issued += newest.first;
                of_alias.acked += newest.second;
            }
            of_alias.effects =
                self.effects(target).iter().filter_map(|it| it.back()).map(|it| it.first).sum();
            (of_alias.lost, of_alias.doubled) = self.proved.get(target).copied().unwrap_or_default();
            whole.issued += of_alias.issued;
            whole.acked += of_alias.acked;
            whole.effects += of_alias.effects;
            whole.lost += of_alias.lost;
            whole.doubled += of_alias.doubled;
            whole.aliases.insert(target.clone(), of_alias);
        }
        whole
    }

    /// Compares what is comparable after a reading of `alias` (or of one of its callers) came in.
    fn judge(&mut self, alias: &str) {
        let targets: Vec<String> =
            self.callers.keys().filter(|target| *target == alias || target.is_empty()).cloned().collect();
        for target in targets {
            let servers = self.effects(&target);
            let callers = &self.callers[&target];
            if servers.is_empty() {
                continue;
            }
            let lost = lost(callers, &servers);
            let doubled = doubled(callers, &servers);
            let proved = self.proved.entry(target).or_default();
            proved.0 = proved.0.max(lost);
            proved.1 = proved.1.max(doubled);
        }
    }

    /// The readings of the servers a target stands for; all of them where callers do not name their target.
    fn effects(&self, target: &str) -> Vec<&Readings> {
        if target.is_empty() {
            return self.servers.values().collect();
        }
        self.servers.get(target).into_iter().collect()
    }
}

/// Acknowledged before the oldest of the servers' newest readings, and not among their effects.
fn lost(callers: &BTreeMap<String, Readings>, servers: &[&Readings]) -> u64 {
    let newest = || servers.iter().filter_map(|readings| readings.back());
    let Some(before_ns) = newest().map(|reading| reading.at_ns).min() else { return 0 };
    let effects: u64 = newest().map(|reading| reading.first).sum();
    let acked: u64 = callers.values().filter_map(|it| before(it, before_ns)).map(|it| it.second).sum();
    acked.saturating_sub(effects)
}

/// Effects read before every caller's newest reading, and not among the calls issued.
fn doubled(callers: &BTreeMap<String, Readings>, servers: &[&Readings]) -> u64 {
    let newest = || callers.values().filter_map(VecDeque::back);
    let Some(before_ns) = newest().map(|reading| reading.at_ns).min() else { return 0 };
    let issued: u64 = newest().map(|reading| reading.first).sum();
    let effects: u64 = servers.iter().filter_map(|it| before(it, before_ns)).map(|it| it.first).sum();
    effects.saturating_sub(issued)
}

fn before(readings: &Readings, at_ns: u64) -> Option<&Reading> {
    readings.iter().rev().find(|reading| reading.at_ns < at_ns)
}

/// Readings of two members of one alias may arrive out of order around a takeover; time decides, not arrival.
fn push(readings: &mut Readings, reading: Reading) {
    if readings.back().is_some_and(|newest| newest.at_ns >= reading.at_ns) {
        return;
    }
    if readings.len() == SAMPLES_MAX {
        readings.pop_front();
    }
    readings.push_back(reading);
}

/// `(target, issued, acked)` from a caller's counters: `issued:TARGET` and `acked:TARGET` for each alias it calls,
/// or plain `issued` and `acked` from a caller that has one target and does not name it.
fn calls_by_target(counters: &BTreeMap<String, u64>) -> Vec<(String, u64, u64)> {
    let named: Vec<_> = counters
        .iter()
        .filter_map(|(name, issued)| {
            let target = name.strip_prefix("issued:")?;
            let acked = counters.get(&format!("acked:{target}")).copied().unwrap_or(0);
            Some((target.to_owned(), *issued, acked))
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let plain = counters.get("issued").zip(counters.get("acked"));
    plain.map(|(issued, acked)| (String::new(), *issued, *acked)).into_iter().collect()
}
