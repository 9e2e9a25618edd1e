//! The live verdict: calls lost and calls doubled, reckoned from durable counters that were read at known times.
//!
//! The counters of callers and servers are read at different moments, so a plain difference would cry wolf under
//! load. Two comparisons are sound, because each counter only grows:
//!
//! - what was acknowledged by `t1` must have had its effect by any `t2 > t1`: `acked@t1 - effects@t2` calls are lost;
//! - what had its effect by `t1` must have been issued by any `t2 > t1`: `effects@t1 - issued@t2` are doubled.
//!
//! Either one, once above zero, is a proof, so the largest value ever seen stands.
//!
//! A relay's calls are followed through it: what it acknowledges for calls that it has completed must have had its
//! effect, and for each call that it was asked itself there may be at most so many effects where it calls. Effects that
//! were undone count as none there. So a relay that makes a call twice under two ids is found out, and one that has
//! something undone and done again is not accused.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use palib::control::{AliasRow, NodeStats};

/// Readings kept per alias while they wait for a later reading of the other side.
const SAMPLES_MAX: usize = 64;
/// Relays that lie in a row. More are taken for a circle, about which nothing can be said.
const RELAYS_DEEP_MAX: usize = 16;

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
    /// Effects at the servers that callers call, as last heard.
    pub effects: u64,
    /// The same for each alias that is called, by callers or by relays.
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
    /// Effects that were not undone, as last heard.
    pub effects: u64,
}

/// The counters of one reading.
#[derive(Clone, Copy, Debug)]
struct Reading {
    at_ns: u64,
    first: u64,
    second: u64,
}

/// What an alias has told, the newest last.
type Readings = VecDeque<Reading>;

/// An alias that calls a target.
#[derive(Clone, Debug, Default)]
struct Source {
    /// How many calls a relay makes on behalf of one call at most; none for a caller.
    each: Option<u64>,
    /// Of a caller, `first` is issued and `second` acknowledged; of a relay, `first` are calls of operators that it
    /// began, and `second` is what was acknowledged on behalf of calls that it has completed.
    readings: Readings,
}

/// The readings, and the worst that they have proved so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Ledger {
    /// By target, then by the alias that calls it.
    sources: BTreeMap<String, BTreeMap<String, Source>>,
    /// By server alias: `first` is effects, `second` are those of them that were undone.
    servers: BTreeMap<String, Readings>,
    /// By the name of the group.
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
            let at_ns = stats.at_ns;
            let mut told = false;
            if let Some(effects) = alias.counters.get("effects") {
                let undone = alias.counters.get("undone").copied().unwrap_or(0);
                let readings = self.servers.entry(alias.alias.clone()).or_default();
                push(readings, Reading { at_ns, first: *effects, second: undone });
                told = true;
            }
            for (target, each, first, second) in calls_by_target(&alias.counters) {
                let sources = self.sources.entry(target).or_default();
                let source = sources.entry(alias.alias.clone()).or_default();
                source.each = each;
                push(&mut source.readings, Reading { at_ns, first, second });
                told = true;
            }
            if told {
                self.judge();
            }
        }
    }

    pub(super) fn verdict(&self) -> Verdict {
        let mut whole = Verdict::default();
        for group in groups(self.sources.keys()) {
            let mut of_group = AliasVerdict::default();
            let sources: Vec<&Source> = self.sources_of(&group).map(|(_, source)| source).collect();
            for (source, newest) in sources.iter().filter_map(|it| Some((it, it.readings.back()?))) {
                of_group.issued += if source.each.is_none() { newest.first } else { newest.second };
                of_group.acked += newest.second;
            }
            let newest = self.effects(&group).into_iter().filter_map(|it| it.back());
            of_group.effects = newest.map(|it| it.first.saturating_sub(it.second)).sum();
            (of_group.lost, of_group.doubled) = self.proved.get(&group.name).copied().unwrap_or_default();
            whole.lost += of_group.lost;
            whole.doubled += of_group.doubled;
            // What relays call is judged too, but is no call of its own.
            if sources.iter().any(|source| source.each.is_none()) {
                whole.issued += of_group.issued;
                whole.acked += of_group.acked;
                whole.effects += of_group.effects;
            }
            for alias in &group.aliases {
                whole.aliases.insert(alias.clone(), of_group.clone());
            }
        }
        whole
    }

    /// The moment up to which everything was read on both sides, on the machine's monotonic clock; none if something was
    /// never read.
    pub(super) fn judged_ns(&self) -> Option<u64> {
        let sources = self.sources.values().flat_map(|sources| sources.values().map(|it| &it.readings));
        let newest = sources.chain(self.servers.values()).map(|it| Some(it.back()?.at_ns));
        newest.collect::<Option<Vec<u64>>>()?.into_iter().min()
    }

    /// Compares what is comparable after a reading came in.
    fn judge(&mut self) {
        for group in groups(self.sources.keys()) {
            let servers = self.effects(&group);
            if servers.is_empty() {
                continue;
            }
            let (lost, doubled) = (self.lost(&group, &servers), self.doubled(&group, &servers));
            let proved = self.proved.entry(group.name).or_default();
            proved.0 = proved.0.max(lost);
            proved.1 = proved.1.max(doubled);
        }
    }

    /// The readings of the servers a group stands for; all of them where callers do not name their target.
    fn effects(&self, group: &Group) -> Vec<&Readings> {
        if group.name.is_empty() {
            return self.servers.values().collect();
        }
        group.aliases.iter().filter_map(|alias| self.servers.get(alias)).collect()
    }

    /// Who calls a group.
    fn sources_of(&self, group: &Group) -> impl Iterator<Item = (&String, &Source)> {
        let targets = self.sources.iter();
        let of_group =
            targets.filter(|(target, _)| target.split('|').all(|name| group.aliases.contains(name)));
        of_group.flat_map(|(_, sources)| sources)
    }

    /// Acknowledged before the oldest of the servers' newest readings, and not among their effects. What was undone
    /// since had its effect, so only what was done is compared. Nothing can be said before each of them was read: the
    /// effects may be at one that has told nothing yet.
    fn lost(&self, group: &Group, servers: &[&Readings]) -> u64 {
        if !group.name.is_empty() && servers.len() < group.aliases.len() {
            return 0;
        }
        let newest = || servers.iter().filter_map(|readings| readings.back());
        let Some(before_ns) = newest().map(|reading| reading.at_ns).min() else { return 0 };
        let effects: u64 = newest().map(|reading| reading.first).sum();
        let read = self.sources_of(group).filter_map(|(_, source)| before(&source.readings, before_ns));
        read.map(|reading| reading.second).sum::<u64>().saturating_sub(effects)
    }

    /// Effects read before every source's newest reading, and not among the calls issued. At no time may more of them
    /// stand than were ever issued: what was done again was undone before.
    fn doubled(&self, group: &Group, servers: &[&Readings]) -> u64 {
        let Some((issued, before_ns)) = self.issued(group, RELAYS_DEEP_MAX) else { return 0 };
        let read = servers.iter().filter_map(|it| before(it, before_ns));
        let standing = read.map(|it| it.first.saturating_sub(it.second));
        // Where one alias takes the place of another, an effect is undone here and then done there. The two are read at
        // different moments, and each may be seen where it stood then; together they would accuse. The rest is found
        // when everything is at rest.
        let effects: u64 = if group.aliases.len() > 1 { standing.max().unwrap_or(0) } else { standing.sum() };
        effects.saturating_sub(issued)
    }

    /// How many calls a group may have got at most, and when the oldest of the readings that say so was made. For a
    /// relay that follows from what it was asked itself; nothing if nobody says how often that was.
    fn issued(&self, group: &Group, deep: usize) -> Option<(u64, u64)> {
        let (mut issued, mut oldest) = (0, None);
        for (alias, source) in self.sources_of(group) {
            let newest = source.readings.back()?;
            let mut at_ns = newest.at_ns;
            let Some(each) = source.each else {
                issued += newest.first;
                oldest = Some(oldest.map_or(at_ns, |oldest: u64| oldest.min(at_ns)));
                continue;
            };
            let above =
                groups(self.sources.keys()).into_iter().find(|group| group.aliases.contains(alias))?;
            let (asked, asked_ns) = self.issued(&above, deep.checked_sub(1)?)?;
            issued += each * (newest.first + asked);
            at_ns = at_ns.min(asked_ns);
            oldest = Some(oldest.map_or(at_ns, |oldest: u64| oldest.min(at_ns)));
        }
        Some((issued, oldest?))
    }
}

/// Aliases that are judged together: a relay may have called any of them, and does not say which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Their names with `|` between them.
    pub(crate) name: String,
    /// Them.
    pub(crate) aliases: BTreeSet<String>,
}

/// Puts targets together that have an alias in common: `a|b`, `b` and `c` are two groups.
pub(crate) fn groups<'a>(targets: impl Iterator<Item = &'a String>) -> Vec<Group> {
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for target in targets {
        let mut group: BTreeSet<String> = target.split('|').map(str::to_owned).collect();
        found.retain_mut(|other| {
            let apart = group.is_disjoint(other);
            if !apart {
                group.append(other);
            }
            apart
        });
        found.push(group);
    }
    let name = |aliases: &BTreeSet<String>| aliases.iter().cloned().collect::<Vec<_>>().join("|");
    found.into_iter().map(|aliases| Group { name: name(&aliases), aliases }).collect()
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

/// `(target, each, first, second)` as a [`Source`] has them, from its counters: `issued:TARGET` and `acked:TARGET` for
/// each alias a caller calls, `each:TARGET` and `acked:TARGET` for each one a relay does, or plain `issued` and `acked` from
/// a caller that has one target and does not name it.
fn calls_by_target(counters: &BTreeMap<String, u64>) -> Vec<(String, Option<u64>, u64, u64)> {
    let number = |name: &str| counters.get(name).copied().unwrap_or(0);
    let acked = |target: &str| number(&format!("acked:{target}"));
    let named: Vec<_> = counters
        .iter()
        .filter_map(|(name, value)| match name.split_once(':')? {
            ("issued", target) => Some((target.to_owned(), None, *value, acked(target))),
            ("each", target) => Some((target.to_owned(), Some(*value), number("operators"), acked(target))),
            _ => None,
        })
        .collect();
    if !named.is_empty() {
        return named;
    }
    let plain = counters.get("issued").zip(counters.get("acked"));
    plain.map(|(issued, acked)| (String::new(), None, *issued, *acked)).into_iter().collect()
}
