//! Storms: defects by seed, of clients and servers, members in service and backups, and of what lies between and below
//! them.
//!
//! A storm never takes the last member that could go on: an alias with nobody left would prove nothing about
//! takeovers. It does like to hit who has just taken over, because that is where mistakes hide.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use palib::control::{AliasRow, MemberState};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::inject::between;
use super::kinds::StormKind;
use crate::defect::{Injury, Target};
use crate::world::World;

/// The events tell of a strike after some milliseconds; until then the victim counts as struck.
const NEWS_TAKES: Duration = Duration::from_millis(150);
/// Of ten takeovers so many are followed by a strike at whoever has just taken over.
const FOLLOWED_OF_TEN: u32 = 3;
/// If that was not possible within this time it is let be.
const FOLLOW_WITHIN: Duration = Duration::from_secs(2);

/// The name of the FTM: links lead there, too.
const FTM: &str = "ftm";

/// A storm.
pub(super) struct Storm {
    kinds: Vec<StormKind>,
    random: StdRng,
    rate: f64,
    suspect_after: Duration,
    /// When the next strike is due.
    next: Instant,
    /// Processes that can't be counted on, and until when.
    struck: BTreeMap<String, Instant>,
    /// An alias whose next active is to be struck at once, and until when.
    follow: Option<(String, Instant)>,
}

impl Storm {
    /// A storm of so many strikes a second, of these kinds.
    #[must_use]
    pub(super) fn new(
        seed: u64,
        rate: f64,
        kinds: &[StormKind],
        suspect_after: Duration,
        now: Instant,
    ) -> Self {
        let (random, kinds) = (StdRng::seed_from_u64(seed), kinds.to_vec());
        let mut storm =
            Self { kinds, random, rate, suspect_after, next: now, struck: BTreeMap::new(), follow: None };
        storm.next = now + storm.pause();
        storm
    }

    /// When to ask [`Self::strike`] again at the latest.
    #[must_use]
    pub(super) fn due(&self, now: Instant) -> Instant {
        // A strike that waits for a moment at which it is allowed is tried again soon.
        self.next.max(now + Duration::from_millis(10))
    }

    /// What to do now, if anything. Ask when it is due, and after each event.
    pub(super) fn strike(&mut self, world: &World, now: Instant) -> Option<Injury> {
        self.struck.retain(|_, until| *until > now);
        let victims = self.victims(world);
        if let Some((alias, until)) = self.follow.clone() {
            let active = world.aliases.get(&alias).and_then(AliasRow::in_service);
            let victim =
                active.and_then(|active| victims.iter().find(|victim| victim.process == active.process));
            if now >= until {
                self.follow = None;
            } else if let Some(victim) = victim.cloned() {
                self.follow = None;
                return Some(self.kill(victim, now));
            }
        }
        if now < self.next || victims.is_empty() {
            return None;
        }
        self.next = now + self.pause();
        // Members in service are hit three times as often as backups: they are where calls are.
        let weight = |victim: &Victim| if victim.in_service.is_some() { 3 } else { 1 };
        let mut at = self.random.random_range(0..victims.iter().map(weight).sum::<u32>());
        let victim = victims.into_iter().find(|victim| {
            let hit = at < weight(victim);
            at = at.saturating_sub(weight(victim));
            hit
        })?;
        match StormKind::choose(&self.kinds, &mut self.random) {
            StormKind::Kill => Some(self.kill(victim, now)),
            StormKind::Hang => Some(self.hang(victim, now)),
            StormKind::Disk => self.break_disk(victim, now),
            of_link => self.break_link(of_link, victim, world, now),
        }
    }

    /// A fault of the disk of an alias that has somebody in service. It takes at most that one member away, or nobody can
    /// serve until the disk is well.
    fn break_disk(&mut self, victim: Victim, now: Instant) -> Option<Injury> {
        let injury = StormKind::of_disk(&victim.in_service?, &mut self.random);
        self.struck.insert(victim.process, now + NEWS_TAKES);
        Some(injury)
    }

    /// A fault of the link between a victim and somebody else, or the FTM.
    fn break_link(&mut self, kind: StormKind, victim: Victim, world: &World, now: Instant) -> Option<Injury> {
        let members = world.aliases.values().flat_map(|row| &row.members);
        let live =
            members.filter(|member| matches!(member.state, MemberState::InService | MemberState::Backup));
        let mut others: Vec<&str> = live.map(|member| member.process.as_str()).collect();
        others.push(FTM);
        others.retain(|other| *other != victim.process);
        others.sort_unstable();
        others.dedup();
        let other = others[self.random.random_range(0..others.len())];
        let (from, to) = match self.random.random() {
            true => (victim.process.as_str(), other),
            false => (other, victim.process.as_str()),
        };
        let injury = kind.of_link(from, to, self.suspect_after * 3, &mut self.random)?;
        if let (FTM, Injury::Link { span: Some(span), .. }) = (other, &injury) {
            // The FTM may take it for one that hangs.
            self.struck.insert(victim.process.clone(), now + *span + NEWS_TAKES);
        }
        Some(injury)
    }

    fn kill(&mut self, victim: Victim, now: Instant) -> Injury {
        self.struck.insert(victim.process.clone(), now + NEWS_TAKES);
        if let Some(alias) = victim.in_service
            && self.random.random_range(0..10) < FOLLOWED_OF_TEN
        {
            self.follow = Some((alias, now + FOLLOW_WITHIN));
        }
        Injury::Kill(Target(victim.process))
    }

    /// Half of the hangs are too short for a suspicion, half are longer than it.
    fn hang(&mut self, victim: Victim, now: Instant) -> Injury {
        let of = |share: f64| self.suspect_after.mul_f64(share);
        let (least, most) = if self.random.random() { (of(0.1), of(0.6)) } else { (of(1.5), of(4.0)) };
        let span = between(&mut self.random, least, most);
        let span = Duration::from_millis(span.as_millis() as u64);
        self.struck.insert(victim.process.clone(), now + span + NEWS_TAKES);
        Injury::Hang { target: Target(victim.process), span: Some(span) }
    }

    /// Whoever may be struck: in each of its aliases somebody else could go on.
    fn victims(&self, world: &World) -> Vec<Victim> {
        let able = |process: &str, state| {
            matches!(state, MemberState::InService | MemberState::Backup)
                && !self.struck.contains_key(process)
        };
        let mut victims: BTreeMap<&str, Option<Victim>> = BTreeMap::new();
        for row in world.aliases.values() {
            // While nobody is in service the one who takes over must not be left without a backup.
            let able: Vec<_> =
                row.members.iter().filter(|member| able(&member.process, member.state)).collect();
            let settled = row.in_service().is_some() && able.len() >= 2;
            for member in &row.members {
                let process = member.process.as_str();
                let entry = victims
                    .entry(process)
                    .or_insert_with(|| Some(Victim { process: process.to_owned(), in_service: None }));
                if !settled || !able.iter().any(|able| able.process == process) {
                    *entry = None;
                } else if let Some(victim) = entry
                    && member.in_service
                {
                    victim.in_service = Some(row.alias.clone());
                }
            }
        }
        victims.into_values().flatten().collect()
    }

    fn pause(&mut self) -> Duration {
        Duration::from_secs_f64(self.random.random_range(0.5..1.5) / self.rate)
    }
}

/// A process that may be struck, and an alias that it is in service for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Victim {
    process: String,
    in_service: Option<String>,
}

#[cfg(test)]
mod tests {
    use palib::control::MemberRow;

    use super::*;
    use crate::defect::Defect;

    fn member(process: &str, state: MemberState) -> MemberRow {
        MemberRow {
            port: 1,
            process: process.to_owned(),
            process_id: 1,
            pid: Some(1),
            address: None,
            in_service: state == MemberState::InService,
            state,
            since_unix_ms: 0,
            why: String::new(),
        }
    }

    /// An alias and its members.
    type Alias<'a> = (&'a str, &'a [(&'a str, MemberState)]);

    fn world(aliases: &[Alias<'_>]) -> World {
        let mut world = World::default();
        let row = |(number, (alias, members)): (usize, &Alias<'_>)| AliasRow {
            alias: (*alias).to_owned(),
            alias_id: number as u32 + 1,
            kind: "counter".to_owned(),
            incarnation: 1,
            site: 1,
            members: members.iter().map(|(process, state)| member(process, *state)).collect(),
        };
        world.seed(aliases.iter().enumerate().map(row).collect());
        world
    }

    fn strikes(world: &World, count: usize) -> Vec<Injury> {
        strikes_of(&StormKind::USUAL, world, count)
    }

    fn strikes_of(kinds: &[StormKind], world: &World, count: usize) -> Vec<Injury> {
        let mut now = Instant::now();
        let mut storm = Storm::new(7, 2.0, kinds, Duration::from_millis(600), now);
        let mut found = Vec::new();
        for _ in 0..100_000 {
            now += Duration::from_millis(10);
            found.extend(storm.strike(world, now));
            if found.len() == count {
                break;
            }
        }
        found
    }

    #[test]
    fn the_last_member_that_could_go_on_is_never_struck() {
        use MemberState::{Backup, Dead, InService, Promoting, Starting};
        for members in [
            &[("a-1", InService), ("a-2", Dead)][..],
            &[("a-1", InService), ("a-2", Starting)],
            &[("a-1", Promoting), ("a-2", Backup)],
            &[("a-1", InService)],
        ] {
            assert_eq!(strikes(&world(&[("a", members)]), 1), [], "{members:?}");
        }
        // The shared process is the only member of b, so it is spared in a too.
        let shared = world(&[("a", &[("p-1", InService), ("p-2", Backup)]), ("b", &[("p-1", InService)])]);
        let spared = strikes(&shared, 20);
        assert!(!spared.is_empty());
        let names = spared.iter().map(|injury| match injury {
            Injury::Kill(target) | Injury::Hang { target, .. } => target.0.as_str(),
            other => panic!("{other}"),
        });
        assert!(names.into_iter().all(|name| name == "p-2"));
    }

    #[test]
    fn a_storm_kills_and_hangs_shorter_and_longer_than_suspicion_and_repeats_by_seed() {
        let world = world(&[("a", &[("a-1", MemberState::InService), ("a-2", MemberState::Backup)])]);
        let found = strikes(&world, 200);
        assert_eq!(found.len(), 200);
        assert_eq!(found, strikes(&world, 200));
        let suspicion = Duration::from_millis(600);
        let spans = found.iter().filter_map(|injury| match injury {
            Injury::Hang { span, .. } => *span,
            _ => None,
        });
        let (short, long): (Vec<_>, Vec<_>) = spans.partition(|span| *span < suspicion);
        assert!(short.len() > 20 && long.len() > 20);
        assert!(found.iter().filter(|injury| matches!(injury, Injury::Kill(_))).count() > 80);
    }

    #[test]
    fn a_storm_of_links_and_disks_heals_what_it_breaks_and_can_be_done() {
        let two = [("a-1", MemberState::InService), ("a-2", MemberState::Backup)];
        let world = world(&[("a", &two), ("b", &[("b-1", MemberState::InService)])]);
        use StormKind::{Cut, Delay, Disk, Drop, Duplicate, OneWay, Reorder};
        let found = strikes_of(&[Cut, OneWay, Drop, Delay, Duplicate, Reorder, Disk], &world, 300);
        assert_eq!(found.len(), 300);
        let mut specs: Vec<String> = found.iter().map(ToString::to_string).collect();
        for (injury, spec) in found.into_iter().zip(&specs) {
            let defect: Defect = spec.parse().expect(spec);
            assert_eq!(defect, Defect::now(injury));
            assert_eq!(defect.check_possible(), Ok(()), "{spec}");
            let strikes_once = spec.ends_with("torn") || spec.ends_with("fsync-error");
            assert!(strikes_once || spec.contains(" for "), "{spec}");
            assert!(!spec.contains("b-1") || spec.contains("a-"), "b-1 alone is spared: {spec}");
        }
        specs.retain(|spec| spec.contains("ftm"));
        assert!(specs.len() > 20, "the links to the FTM are among them");
    }
}
