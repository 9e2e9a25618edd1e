//! What tours expect and `run` reports, measured on the world.

use palib::control::{AliasStats, MemberState};

use super::{Role, Turns, World};
use crate::cluster::{Facts, Measure};

impl Facts for World {
    fn in_service(&self, alias: &str) -> Option<String> {
        Some(self.aliases.get(alias)?.in_service()?.process.clone())
    }

    fn measure(&self, measure: Measure, alias: Option<&str>) -> u64 {
        let is_of = |of: &str| alias.is_none_or(|alias| alias == of);
        let takeovers = || self.takeovers.iter().filter(|takeover| is_of(&takeover.alias));
        let aliases = || self.aliases.values().filter(|row| is_of(&row.alias));
        match measure {
            Measure::Lost | Measure::Doubled | Measure::Acked | Measure::Effects => {
                self.judged(measure, alias)
            }
            Measure::Failed => self.active_stats(alias).map(|stats| counter(stats, "failed")).sum(),
            Measure::Redundant => self.all_stats(alias).map(|stats| stats.redundant).sum(),
            Measure::Pending => self.active_stats(alias).map(|stats| u64::from(stats.pending)).sum(),
            Measure::InDoubt => self.in_doubt.values().filter(|of| is_of(of)).count() as u64,
            Measure::Takeovers => takeovers().filter(|takeover| takeover.in_service).count() as u64,
            Measure::Incarnation => aliases().map(|row| row.incarnation).sum(),
            Measure::Transactions => self.active_stats(alias).map(|stats| u64::from(stats.relays)).sum(),
            Measure::Stuck => self.active_stats(alias).map(|stats| u64::from(stats.relays_stuck)).sum(),
            Measure::Retained => self.active_stats(alias).map(|stats| u64::from(stats.relays_retained)).sum(),
            Measure::Undone => {
                self.active_stats(alias).filter_map(|stats| stats.counters.get("undone")).sum()
            }
            Measure::RolledForward | Measure::RolledBack | Measure::Substituted => {
                let of = self.turns.iter().filter(|(of, _)| is_of(of));
                of.map(|(_, turns)| turned(measure, *turns)).sum()
            }
            Measure::Members => {
                let members = aliases().flat_map(|row| &row.members);
                let live =
                    members.filter(|it| !matches!(it.state, MemberState::Dead | MemberState::Starting));
                live.count() as u64
            }
        }
    }
}

impl World {
    /// A number of the verdict. An alias may be the one that calls or the one that is called.
    fn judged(&self, measure: Measure, alias: Option<&str>) -> u64 {
        let verdict = self.verdict();
        let Some(alias) = alias else {
            return match measure {
                Measure::Lost => verdict.lost,
                Measure::Doubled => verdict.doubled,
                Measure::Acked => verdict.acked,
                _ => verdict.effects,
            };
        };
        let judged = verdict.aliases.get(alias);
        match measure {
            Measure::Lost => judged.map_or(verdict.lost, |judged| judged.lost),
            Measure::Doubled => judged.map_or(verdict.doubled, |judged| judged.doubled),
            Measure::Acked => self.active_stats(Some(alias)).map(|stats| counter(stats, "acked")).sum(),
            _ => self.active_stats(Some(alias)).map(|stats| counter(stats, "effects")).sum(),
        }
    }

    /// What the members in service measured last, of one alias or of all. The stock nodes count from durable state,
    /// so the numbers go on over a takeover.
    pub fn active_stats<'a>(&'a self, alias: Option<&'a str>) -> impl Iterator<Item = &'a AliasStats> {
        let rows = self.aliases.values().filter(move |row| alias.is_none_or(|alias| alias == row.alias));
        rows.filter_map(|row| {
            let process = self.processes.get(&row.in_service()?.process)?;
            process.stats.aliases.iter().find(|stats| stats.alias == row.alias)
        })
    }

    /// Whether an alias calls others on behalf of calls: it plays that part, or has transactions open.
    #[must_use]
    pub fn is_relay(&self, alias: &str) -> bool {
        let mut stats = self.active_stats(Some(alias));
        self.role(alias) == Role::Relay || stats.any(|stats| stats.relays > 0 || stats.relays_retained > 0)
    }

    /// How many calls go on only when an operator decides: those in doubt, and transactions of relays. A relay's call
    /// in doubt is a transaction too, and counts once.
    #[must_use]
    pub fn needs_operator(&self) -> u64 {
        self.active_stats(None).map(|stats| u64::from(stats.in_doubt.max(stats.relays_stuck))).sum()
    }

    /// When the last measurement was made, on the machine's monotonic clock, in nanoseconds; 0 before the first.
    #[must_use]
    pub fn measured_ns(&self) -> u64 {
        self.processes.values().map(|process| process.stats.at_ns).max().unwrap_or(0)
    }

    fn all_stats<'a>(&'a self, alias: Option<&'a str>) -> impl Iterator<Item = &'a AliasStats> {
        let stats = self.processes.values().flat_map(|process| &process.stats.aliases);
        stats.filter(move |stats| alias.is_none_or(|alias| alias == stats.alias))
    }
}

fn turned(measure: Measure, turns: Turns) -> u64 {
    match measure {
        Measure::RolledForward => turns.forward,
        Measure::RolledBack => turns.back,
        _ => turns.substituted,
    }
}

/// A counter of the service's own, over all targets where it counts them apart.
fn counter(stats: &AliasStats, name: &str) -> u64 {
    let by_target =
        || stats.counters.iter().filter(|(key, _)| key.split_once(':').is_some_and(|(n, _)| n == name));
    stats.counters.get(name).copied().unwrap_or_else(|| by_target().map(|(_, n)| *n).sum())
}
