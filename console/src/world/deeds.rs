//! What defects did: the takeovers they caused, what was sent again meanwhile, and the verdict afterwards.

use std::collections::BTreeMap;

use palib::control::{AliasRow, Event, What};

use super::{DefectState, World};
use crate::defect::{Defect, Injury, LinkFault};

/// What a defect stirs up may come in for so long after it is over: answers on their way, heartbeats with their counts.
const SETTLES_NS: u64 = 1_000_000_000;
/// A defect that has happened and led to no takeover within this time leads to none.
const QUIET_NS: u64 = 2_000_000_000;

/// What a defect did, as far as it was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deeds {
    /// The processes it hit, as they were in service when it did.
    pub hit: Vec<String>,
    /// The takeovers it caused: alias and incarnation.
    pub takeovers: Vec<(String, u64)>,
    /// Requests that were seen being sent again while it had an effect.
    pub resent: u64,
    /// Requests that were seen being recognised as redundant while it had an effect.
    pub redundant: u64,
    /// The median of the blackouts that such defects of the same aliases had caused before, in microseconds; none if none
    /// was measured.
    pub expected_us: Option<u64>,
    /// Calls lost and doubled since it began, by counters that were read after it was over; none until they were.
    pub verdict: Option<(u64, u64)>,
    /// When it began, on the machine's monotonic clock; none while it waits for its defect point.
    since_ns: Option<u64>,
    /// When nothing more was to come of it.
    over_ns: Option<u64>,
    /// Calls lost and doubled before it.
    before: (u64, u64),
}

impl Deeds {
    /// When it began, on the machine's monotonic clock in nanoseconds; none while it waits for its defect point.
    #[must_use]
    pub fn since_ns(&self) -> Option<u64> {
        self.since_ns
    }

    /// Whether it has begun and its verdict is still to come.
    fn is_open(&self) -> bool {
        self.since_ns.is_some() && self.verdict.is_none()
    }

    /// Whether something that happens now may be of its doing.
    fn stirs(&self, at_ns: u64) -> bool {
        self.is_open() && self.over_ns.is_none_or(|over| at_ns <= over + SETTLES_NS)
    }
}

/// How the aliases that a defect hits come to be taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A death is seen at once.
    Death,
    /// Silence is seen only once heartbeats are missed.
    Silence,
}

impl Way {
    /// How a defect leads to a takeover; none if it does not by itself.
    #[must_use]
    pub fn of(injury: &Injury) -> Option<Way> {
        match injury {
            Injury::Kill(_) | Injury::Exit(_) | Injury::Disk { .. } => Some(Way::Death),
            Injury::At { pause, .. } => (!pause).then_some(Way::Death),
            Injury::Hang { .. } => Some(Way::Silence),
            Injury::Link { fault: LinkFault::Cut | LinkFault::OneWay, from, to, .. } => {
                (from.0 == "ftm" || to.0 == "ftm").then_some(Way::Silence)
            }
            Injury::Link { .. } => None,
        }
    }

    fn of_cause(cause: &str) -> Way {
        if cause == "hung" { Way::Silence } else { Way::Death }
    }
}

impl World {
    /// The median of the blackouts of an alias that came about in this way, in microseconds, and of how many; none if
    /// none was measured.
    #[must_use]
    pub fn usual_blackout_us(&self, alias: &str, way: Way) -> Option<(u64, usize)> {
        let alike = self.takeovers.iter().filter(|it| it.alias == alias && Way::of_cause(&it.cause) == way);
        let mut measured: Vec<u64> = alike.filter_map(|it| it.timing.blackout_us).collect();
        measured.sort_unstable();
        Some((*measured.get(measured.len().checked_sub(1)? / 2)?, measured.len()))
    }

    /// The longest blackout that a defect caused, in microseconds, as far as it was measured.
    #[must_use]
    pub fn blackout_us(&self, deeds: &Deeds) -> Option<u64> {
        let takeovers = self.takeovers.iter().filter(|it| {
            deeds
                .takeovers
                .iter()
                .any(|(alias, incarnation)| it.alias == *alias && it.incarnation == *incarnation)
        });
        takeovers.filter_map(|it| it.timing.blackout_us).max()
    }

    /// The defect that caused a takeover, by its id.
    #[must_use]
    pub fn cause_of(&self, alias: &str, incarnation: u64) -> Option<&str> {
        let caused = |(of, number): &(String, u64)| of == alias && *number == incarnation;
        let defect = self.defects.iter().rev().find(|defect| defect.deeds.takeovers.iter().any(caused));
        defect.map(|defect| defect.id.as_str())
    }

    /// Whether something that happens now may be the doing of a defect.
    pub(super) fn is_stirred(&self, at_ns: u64) -> bool {
        self.defects.iter().any(|defect| defect.deeds.stirs(at_ns))
    }

    /// Folds an event into what the defects did. Comes after everything else that the event changes.
    pub(super) fn apply_deeds(&mut self, event: &Event) {
        match &event.what {
            What::Defect { id, .. } | What::Paused { id, .. } => self.begin_deeds(id, event.at_ns),
            What::TakeoverStarted { alias, incarnation, from, cause, .. } if cause != "first start" => {
                self.blame(alias, *incarnation, from.as_deref(), event.at_ns);
            }
            What::Resent { .. } => self.stirring(event.at_ns, |deeds| deeds.resent += 1),
            What::RedundancyFound { .. } => self.stirring(event.at_ns, |deeds| deeds.redundant += 1),
            _ => {}
        }
        self.end_deeds(event.at_ns);
    }

    fn begin_deeds(&mut self, id: &str, at_ns: u64) {
        let verdict = self.verdict();
        let Some(place) = self.defects.iter().rposition(|defect| defect.id == id) else { return };
        let injury = self.defects[place].spec.parse::<Defect>().ok().map(|defect| defect.injury);
        let hit = match (self.defects[place].hung_process(), &injury) {
            (Some(waits), _) => vec![waits.to_owned()],
            (None, Some(injury)) => {
                targets(injury).into_iter().map(|name| serving(&self.aliases, name)).collect()
            }
            (None, None) => Vec::new(),
        };
        let way = injury.as_ref().and_then(Way::of);
        let in_service = self
            .aliases
            .values()
            .filter(|row| row.in_service().is_some_and(|member| hit.contains(&member.process)));
        let expected_us = way.and_then(|way| {
            in_service.filter_map(|row| Some(self.usual_blackout_us(&row.alias, way)?.0)).max()
        });
        let before = (verdict.lost, verdict.doubled);
        self.defects[place].deeds =
            Deeds { hit, expected_us, before, since_ns: Some(at_ns), ..Deeds::default() };
    }

    /// Finds the defect that a takeover comes from: the newest one that hit who was in service, or one that had this alias
    /// taken over before, where that did not succeed.
    fn blame(&mut self, alias: &str, incarnation: u64, from: Option<&str>, at_ns: u64) {
        let hit = |deeds: &Deeds| from.is_some_and(|from| deeds.hit.iter().any(|hit| hit == from));
        let again = |deeds: &Deeds| deeds.takeovers.iter().any(|(of, _)| of == alias);
        let newest = self.defects.iter().rposition(|defect| defect.deeds.stirs(at_ns) && hit(&defect.deeds));
        let guilty = newest.or_else(|| {
            self.defects.iter().rposition(|defect| defect.deeds.stirs(at_ns) && again(&defect.deeds))
        });
        if let Some(place) = guilty {
            let deeds = &mut self.defects[place].deeds;
            deeds.takeovers.push((alias.to_owned(), incarnation));
            deeds.over_ns = None;
        }
    }

    fn stirring(&mut self, at_ns: u64, count: impl Fn(&mut Deeds)) {
        let stirring = self.defects.iter_mut().filter(|defect| defect.deeds.stirs(at_ns));
        stirring.for_each(|defect| count(&mut defect.deeds));
    }

    /// Sees which defects are over, and which were audited since.
    fn end_deeds(&mut self, at_ns: u64) {
        if self.defects.iter().all(|defect| !defect.deeds.is_open()) {
            return;
        }
        let judged_ns = self.ledger.judged_ns();
        for place in 0..self.defects.len() {
            let defect = &self.defects[place];
            if !defect.deeds.is_open() {
                continue;
            }
            let over = match defect.deeds.over_ns {
                Some(over) => Some(over),
                None if defect.lasts() || !self.all_answered(&defect.deeds) => None,
                None if defect.deeds.takeovers.is_empty() && defect.state() == DefectState::Fired => {
                    defect.deeds.since_ns.filter(|since| at_ns > since + QUIET_NS).map(|_| at_ns)
                }
                None => Some(at_ns),
            };
            self.defects[place].deeds.over_ns = over;
            if over.is_some_and(|over| judged_ns.is_some_and(|judged| judged > over)) {
                let verdict = self.verdict();
                let deeds = &mut self.defects[place].deeds;
                let (lost, doubled) = deeds.before;
                deeds.verdict =
                    Some((verdict.lost.saturating_sub(lost), verdict.doubled.saturating_sub(doubled)));
            }
        }
    }

    /// Whether the last takeover of each alias that a defect had taken over has given its first answer.
    fn all_answered(&self, deeds: &Deeds) -> bool {
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for (alias, incarnation) in &deeds.takeovers {
            last.insert(alias, *incarnation);
        }
        last.into_iter().all(|(alias, incarnation)| {
            let newest_first = self.takeovers.iter().rev();
            let mut takeovers = newest_first.filter(|it| it.alias == alias && it.incarnation >= incarnation);
            // One that is not kept any more was long ago; of a caller that has nothing to ask, nobody waits for an answer.
            takeovers.next().is_none_or(|it| it.answered || it.in_service)
        })
    }
}

/// The names in a defect that it hits.
fn targets(injury: &Injury) -> Vec<&str> {
    match injury {
        Injury::Kill(target) | Injury::Exit(target) => vec![&target.0],
        Injury::Hang { target, .. } | Injury::At { target, .. } => vec![&target.0],
        Injury::Link { from, to, .. } => vec![&from.0, &to.0],
        Injury::Disk { alias, .. } => vec![&alias.0],
    }
}

/// The process a name means: an alias stands for its member in service.
fn serving(aliases: &BTreeMap<String, AliasRow>, name: &str) -> String {
    let member = aliases.get(name).and_then(AliasRow::in_service);
    member.map_or_else(|| name.to_owned(), |member| member.process.clone())
}
