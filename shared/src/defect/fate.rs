//! What becomes of a packet on a link with faults.

use std::time::Duration;

use rand::Rng;

use super::{LinkFault, Percent};

/// Packets that overtake each other are late by up to this much: on one machine far more than what lies between
/// two of them.
const REORDERED_BY_MAX: Duration = Duration::from_millis(4);

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fate {
    /// How often it arrives; 0: it is lost.
    pub(crate) copies: u32,
    /// How late.
    pub(crate) late: Duration,
}

impl Fate {
    /// Nothing happens to it.
    pub(crate) const SPARED: Self = Self { copies: 1, late: Duration::ZERO };
}

/// What becomes of a packet that passes all these faults.
pub(crate) fn fate<'f>(faults: impl Iterator<Item = &'f LinkFault>, random: &mut impl Rng) -> Fate {
    let mut fate = Fate::SPARED;
    for fault in faults {
        match *fault {
            LinkFault::Cut | LinkFault::OneWay => fate.copies = 0,
            LinkFault::Drop(share) if hits(share, random) => fate.copies = 0,
            LinkFault::Duplicate(share) if hits(share, random) => fate.copies *= 2,
            LinkFault::Drop(_) | LinkFault::Duplicate(_) => {}
            LinkFault::Delay { by, jitter } => {
                fate.late += (by + up_to(jitter * 2, random)).saturating_sub(jitter)
            }
            LinkFault::Reorder => fate.late += up_to(REORDERED_BY_MAX, random),
        }
    }
    fate
}

fn hits(share: Percent, random: &mut impl Rng) -> bool {
    random.random_range(0..Percent::ALL.0) < share.0
}

fn up_to(most: Duration, random: &mut impl Rng) -> Duration {
    Duration::from_micros(random.random_range(0..=most.as_micros() as u64))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    fn fates(faults: &[LinkFault]) -> Vec<Fate> {
        let mut random = SmallRng::seed_from_u64(7);
        (0..10_000).map(|_| fate(faults.iter(), &mut random)).collect()
    }

    fn copies(faults: &[LinkFault]) -> u32 {
        fates(faults).iter().map(|fate| fate.copies).sum()
    }

    #[test]
    fn packets_are_lost_and_doubled_as_often_as_it_says() {
        assert_eq!(copies(&[]), 10_000);
        assert_eq!(copies(&[LinkFault::Cut]) + copies(&[LinkFault::OneWay]), 0);
        assert_eq!(copies(&[LinkFault::Drop(Percent::ALL)]), 0);
        assert_eq!(copies(&[LinkFault::Drop(Percent(0))]), 10_000);
        assert!((8_800..9_200).contains(&copies(&[LinkFault::Drop(Percent(1_000))])));
        assert!((10_400..10_600).contains(&copies(&[LinkFault::Duplicate(Percent(500))])));
        assert_eq!(copies(&[LinkFault::Duplicate(Percent::ALL), LinkFault::Cut]), 0);
    }

    #[test]
    fn packets_are_late_by_what_it_says_and_a_little_more_or_less() {
        let ms = Duration::from_millis;
        let delay = LinkFault::Delay { by: ms(20), jitter: ms(5) };
        let late: Vec<_> = fates(&[delay]).iter().map(|fate| fate.late).collect();
        assert!(late.iter().all(|late| (ms(15)..=ms(25)).contains(late)));
        assert!(late.iter().any(|late| *late < ms(16)) && late.iter().any(|late| *late > ms(24)));
        assert!(fates(&[delay, delay]).iter().all(|fate| fate.late >= ms(30)));
        let late: Vec<_> = fates(&[LinkFault::Reorder]).iter().map(|fate| fate.late).collect();
        assert!(late.windows(2).any(|two| two[0] > two[1] + ms(1)), "they overtake each other");
    }
}
