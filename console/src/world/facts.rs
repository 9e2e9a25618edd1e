//! What tours expect and `run` reports, measured on the world.

use palib::control::{AliasRow, AliasStats, MemberState};

use super::{Role, Turns, World};
use crate::cluster::{Facts, Measure};

impl Facts for World {
    fn in_service(&self, alias: &str) -> Option<String> {
        Some(self.aliases.get(alias)?.in_service()?.process.clone())
    }

    fn measure(&self, measure: Measure, alias: Option<&str>, since_ns: u64) -> Option<u64> {
        let is_of = |of: &str| alias.is_none_or(|alias| alias == of);
        let takeovers = || self.takeovers.iter().filter(|takeover| is_of(&takeover.alias));
        let aliases = || self.rows_of(alias);
        let level = |of: fn(&AliasStats) -> u32| self.level(alias, since_ns, of);
        Some(match measure {
            Measure::Lost | Measure::Doubled | Measure::Acked | Measure::Effects => {
                self.judged(measure, alias)
            }
            Measure::Failed => self.counted(alias, |stats| counter(stats, "failed")),
            Measure::Redundant => self.all_stats(alias).map(|stats| stats.redundant).sum(),
            Measure::Pending => return level(|stats| stats.pending),
            Measure::InDoubt => self.in_doubt.values().filter(|of| is_of(of)).count() as u64,
            Measure::Takeovers => takeovers().filter(|takeover| takeover.in_service).count() as u64,
            Measure::Incarnation => aliases().map(|row| row.incarnation).sum(),
            Measure::Transactions => return level(|stats| stats.relays),
            Measure::Stuck => return level(|stats| stats.relays_stuck),
            Measure::Retained => return level(|stats| stats.relays_retained),
            Measure::Undone => {
                self.counted(alias, |stats| stats.counters.get("undone").copied().unwrap_or(0))
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
        })
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
            Measure::Acked => self.counted(Some(alias), |stats| counter(stats, "acked")),
            _ => self.counted(Some(alias), |stats| counter(stats, "effects")),
        }
    }

    /// What goes up and down, of one alias or summed over all: as measured after this instant by the members in
    /// service, and as such. A backup that takes over measured nothing of what it finds, until its next heartbeat.
    fn level(&self, alias: Option<&str>, since_ns: u64, of: fn(&AliasStats) -> u32) -> Option<u64> {
        let levels = self.rows_of(alias).map(|row| {
            let (at_ns, stats) = self.measured_of(row)?;
            (stats.in_service && at_ns > since_ns).then(|| u64::from(of(stats)))
        });
        levels.sum()
    }

    /// A counter of the service's own, of one alias or summed over all. It is counted from durable state of the alias
    /// and only grows: the highest that any member has told is true, also while a successor has told nothing yet.
    fn counted(&self, alias: Option<&str>, of: fn(&AliasStats) -> u64) -> u64 {
        let highest = |row: &AliasRow| self.all_stats(Some(&row.alias)).map(of).max().unwrap_or(0);
        self.rows_of(alias).map(highest).sum()
    }

    /// What the members in service measured last, of one alias or of all. The stock nodes count from durable state,
    /// so the numbers go on over a takeover.
    pub fn active_stats<'a>(&'a self, alias: Option<&'a str>) -> impl Iterator<Item = &'a AliasStats> {
        self.rows_of(alias).filter_map(|row| self.measured_of(row)).map(|(_, stats)| stats)
    }

    /// The row of an alias, or all rows.
    fn rows_of<'a>(&'a self, alias: Option<&'a str>) -> impl Iterator<Item = &'a AliasRow> {
        self.aliases.values().filter(move |row| alias.is_none_or(|alias| alias == row.alias))
    }

    /// What the member in service of an alias measured last, and when.
    fn measured_of(&self, row: &AliasRow) -> Option<(u64, &AliasStats)> {
        let measured = &self.processes.get(&row.in_service()?.process)?.stats;
        Some((measured.at_ns, measured.aliases.iter().find(|stats| stats.alias == row.alias)?))
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
