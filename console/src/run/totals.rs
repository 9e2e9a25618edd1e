//! What callers, relays and servers count in their stable areas, and how it must fit together at rest.

use std::collections::BTreeMap;

use crate::world::{World, groups};

/// Counts at rest.
#[derive(Clone, Debug, Default)]
pub(super) struct Totals {
    /// Calls that ended with a reply.
    pub(super) acked: u64,
    /// Calls that ended with a failure of the service's own.
    pub(super) failed: u64,
    /// Calls without an outcome.
    pub(super) unknown: u64,
    /// What callers count, by the alias called.
    called: BTreeMap<String, Called>,
    /// What relays count, by the alias called, or the aliases of which one is.
    relayed: BTreeMap<String, Called>,
    /// What servers count, relays too.
    served: BTreeMap<String, Served>,
}

/// Calls to an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Called {
    /// So many were acknowledged, and stand.
    acked: u64,
    /// So many may have an effect.
    most: u64,
}

/// What a server did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Served {
    effects: u64,
    undone: u64,
}

/// Aliases that are judged together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    /// Their names with `|` between them.
    pub(super) target: String,
    /// Calls that were acknowledged, and stand.
    pub(super) acked: u64,
    /// Effects that were not undone.
    pub(super) effects: u64,
    /// Acknowledged calls without an effect.
    pub(super) lost: u64,
    /// Effects without a call.
    pub(super) doubled: u64,
}

type Counters = BTreeMap<String, u64>;

impl Totals {
    /// Reads them from what the members in service have told of themselves since this moment. None if one of them has not
    /// told anything since.
    pub(super) fn told_since(ns: u64, world: &World, callers: &[String], servers: &[String]) -> Option<Self> {
        let counters = |alias: &String| {
            let active = world.aliases.get(alias)?.in_service()?;
            let stats = &world.processes.get(&active.process)?.stats;
            let told = stats.aliases.iter().find(|told| told.alias == *alias)?;
            // Who has just taken over may have told last when it was a backup, and counted nothing.
            let counts = stats.at_ns > ns && told.in_service && !told.counters.is_empty();
            counts.then_some(&told.counters)
        };
        let mut totals = Self::default();
        for alias in callers {
            totals.take_caller(counters(alias)?);
        }
        for alias in servers {
            totals.take_server(alias, counters(alias)?);
        }
        Some(totals)
    }

    fn take_caller(&mut self, counters: &Counters) {
        for (name, issued) in counters {
            let Some(target) = name.strip_prefix("issued:") else { continue };
            let count = |word: &str| counters.get(&format!("{word}:{target}")).copied().unwrap_or(0);
            let (acked, failed) = (count("acked"), count("failed"));
            self.acked += acked;
            self.failed += failed;
            self.unknown += issued.saturating_sub(acked + failed);
            let called = self.called.entry(target.to_owned()).or_default();
            called.acked += acked;
            // A call that is unknown may have had its effect or not; one that failed has had none.
            called.most += issued.saturating_sub(failed);
        }
    }

    fn take_server(&mut self, alias: &str, counters: &Counters) {
        let count = |name: &str| counters.get(name).copied().unwrap_or(0);
        let (effects, undone) = (count("effects"), count("undone"));
        self.served.insert(alias.to_owned(), Served { effects, undone });
        // Of a relay: so many calls were completed, whoever asked for them, and stand.
        let completed = (effects + count("effects of operators")).saturating_sub(undone);
        for (name, each) in counters {
            let Some(target) = name.strip_prefix("each:") else { continue };
            let undone = count(&format!("undone:{target}"));
            let called = self.relayed.entry(target.to_owned()).or_default();
            called.acked += count(&format!("acked:{target}")).saturating_sub(undone);
            called.most += each * completed;
        }
    }

    /// Effects that stand at the aliases that callers call.
    pub(super) fn effects(&self) -> u64 {
        let called = self.served.iter().filter(|(alias, _)| self.called.contains_key(*alias));
        called.map(|(_, served)| served.standing()).sum()
    }

    /// Effects that were undone, everywhere.
    pub(super) fn undone(&self) -> u64 {
        self.served.values().map(|served| served.undone).sum()
    }

    /// What was called against what was done, for each alias, or for those of which nobody knows which one was called.
    pub(super) fn accounts(&self) -> Vec<Account> {
        let names = self.called.keys().chain(self.relayed.keys()).chain(self.served.keys());
        groups(names)
            .into_iter()
            .map(|group| {
                let of_group = |target: &str| target.split('|').all(|alias| group.aliases.contains(alias));
                let called = self.called.iter().chain(&self.relayed).filter(|(target, _)| of_group(target));
                let (acked, most) =
                    called.fold((0, 0), |(acked, most), (_, it)| (acked + it.acked, most + it.most));
                let served = group.aliases.iter().filter_map(|alias| self.served.get(alias));
                let effects: u64 = served.map(|served| served.standing()).sum();
                let (lost, doubled) =
                    (acked.saturating_sub(effects), effects.saturating_sub(most.max(acked)));
                Account { target: group.name, acked, effects, lost, doubled }
            })
            .collect()
    }
}

impl Served {
    fn standing(self) -> u64 {
        self.effects.saturating_sub(self.undone)
    }
}

#[cfg(test)]
mod tests {
    use palib::control::{AliasStats, NodeStats, What};

    use super::*;
    use crate::world::stage::{Stage, counter_row};

    fn counters(of: &[(&str, u64)]) -> Counters {
        of.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    /// A caller with 10 calls through a relay to a counter, of which 2 failed, and what the counter counts.
    fn through_a_relay(counter: &[(&str, u64)]) -> Totals {
        let mut totals = Totals::default();
        totals.take_caller(&counters(&[("issued:relay", 10), ("acked:relay", 8), ("failed:relay", 2)]));
        let relay = [("effects", 8), ("each:counter", 1), ("acked:counter", 8), ("operators", 0)];
        totals.take_server("relay", &counters(&relay));
        totals.take_server("counter", &counters(counter));
        totals
    }

    fn wrong(totals: &Totals) -> Vec<(String, u64, u64)> {
        let accounts = totals.accounts().into_iter().filter(|it| it.lost > 0 || it.doubled > 0);
        accounts.map(|it| (it.target, it.lost, it.doubled)).collect()
    }

    #[test]
    fn what_was_undone_is_neither_lost_nor_doubled() {
        let totals = through_a_relay(&[("effects", 13), ("undone", 5)]);
        assert_eq!(wrong(&totals), []);
        assert_eq!((totals.acked, totals.failed, totals.effects(), totals.undone()), (8, 2, 8, 5));
    }

    #[test]
    fn an_effect_is_followed_through_a_relay() {
        let counter = |lost, doubled| [("counter".to_owned(), lost, doubled)];
        assert_eq!(wrong(&through_a_relay(&[("effects", 9)])), counter(0, 1));
        assert_eq!(wrong(&through_a_relay(&[("effects", 13), ("undone", 6)])), counter(1, 0));
    }

    #[test]
    fn a_call_of_which_nobody_knows_where_it_went_is_looked_for_in_both_places() {
        let totals = |spare: u64| {
            let mut totals = Totals::default();
            totals.take_caller(&counters(&[("issued:relay", 8), ("acked:relay", 8)]));
            let relay = [("effects", 8), ("each:main|spare", 1), ("acked:main|spare", 8)];
            totals.take_server("relay", &counters(&relay));
            totals.take_server("main", &counters(&[("effects", 6), ("undone", 1)]));
            totals.take_server("spare", &counters(&[("effects", spare)]));
            totals
        };
        assert_eq!(wrong(&totals(3)), []);
        assert_eq!(wrong(&totals(4)), [("main|spare".to_owned(), 0, 1)]);
        assert_eq!(wrong(&totals(2)), [("main|spare".to_owned(), 1, 0)]);
    }

    #[test]
    fn who_takes_over_is_asked_again_when_it_has_told_as_a_backup() {
        let mut stage = Stage::counter();
        let asked_ns = stage.now_ns();
        stage.wait(20).measure("caller-1", "caller", &[("issued:counter", 8), ("acked:counter", 8)]);
        // A backup: it counts nothing.
        let backup = AliasStats { alias: "counter".to_owned(), ..AliasStats::default() };
        let stats =
            NodeStats { at_ns: stage.now_ns(), aliases: vec![backup.clone()], ..NodeStats::default() };
        stage.say("counter-2", What::Stats(stats.clone()));
        stage.wait(3).say("ftm", What::Alias { row: counter_row(2, true) });
        let (callers, servers) = (["caller".to_owned()], ["counter".to_owned()]);
        let told = |stage: &Stage| {
            let mut world = World::default();
            stage.events.iter().for_each(|event| world.apply(event));
            Totals::told_since(asked_ns, &world, &callers, &servers)
        };
        assert!(told(&stage).is_none(), "what it told as a backup is not what the alias counts");
        let unreadable = AliasStats { in_service: true, ..backup };
        stage.say("counter-2", What::Stats(NodeStats { aliases: vec![unreadable], ..stats }));
        assert!(told(&stage).is_none(), "no counts are not counts of 0");
        stage.wait(20).measure("counter-2", "counter", &[("effects", 8)]);
        assert_eq!(told(&stage).map(|totals| wrong(&totals)), Some(vec![]));
    }

    #[test]
    fn an_effect_where_nobody_calls_is_found() {
        let mut totals = through_a_relay(&[("effects", 8)]);
        totals.take_server("other", &counters(&[("effects", 1)]));
        assert_eq!(wrong(&totals), [("other".to_owned(), 0, 1)]);
    }
}
