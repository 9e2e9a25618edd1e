//! Chance, drawn from one seed.
//!
//! Each part of a cluster draws from a lane of its own, so that what is taken out of one does not change what happens in
//! all others: a schedule that was made smaller is still nearly the same.

use std::collections::BTreeMap;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng as _, SeedableRng as _};

/// A source of chance.
#[derive(Clone, Debug)]
pub(crate) struct Chance(Pcg64Mcg);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed))
    }

    /// A number below `bound`; 0 if that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The high half of the product is as even as 64 bits allow, and the same in every version of everything.
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// A number from `low` to `high`, both included.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in so many of a thousand cases.
    pub(crate) fn permille(&mut self, chance: u64) -> bool {
        // Without a draw where there is no question, so that a calm lane stays as it is.
        chance > 0 && self.below(1000) < chance
    }

    /// One of them.
    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}

/// What draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Messages from one seat to another.
    Link(u32, u32),
    /// The disk below the stable area of an alias.
    Disk(usize),
    /// The handlers of an alias.
    Service(usize),
    /// The users of an alias.
    Users(usize),
    /// The machine: starts, deaths and what they take.
    Machine,
}

impl Lane {
    fn number(self) -> u64 {
        let (kind, number) = match self {
            Self::Link(from, to) => (1, u64::from(from) << 16 | u64::from(to)),
            Self::Disk(alias) => (2, alias as u64),
            Self::Service(alias) => (3, alias as u64),
            Self::Users(alias) => (4, alias as u64),
            Self::Machine => (5, 0),
        };
        kind << 56 | number
    }
}

/// The lanes of a run.
#[derive(Clone, Debug)]
pub(crate) struct Lanes {
    seed: u64,
    lanes: BTreeMap<Lane, Chance>,
}

impl Lanes {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, lanes: BTreeMap::new() }
    }

    pub(crate) fn lane(&mut self, lane: Lane) -> &mut Chance {
        let seed = self.seed;
        // An odd factor spreads the numbers of lanes over all bits, and maps no two of them to the same.
        self.lanes
            .entry(lane)
            .or_insert_with(|| Chance::new(seed ^ lane.number().wrapping_mul(0x9E37_79B9_7F4A_7C15)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seeds are written into bug reports and cases: what they mean must never change.
    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut chance = Chance::new(7);
        let drawn: Vec<u64> = (0..5).map(|_| chance.below(1000)).collect();
        let mut lanes = Lanes::new(7);
        let link = lanes.lane(Lane::Link(1, 2)).below(1000);
        assert_eq!((drawn, link), (vec![689, 476, 270, 930, 291], 598));
    }

    #[test]
    fn lanes_do_not_change_one_another() {
        let (mut one, mut two) = (Lanes::new(1), Lanes::new(1));
        one.lane(Lane::Machine).below(10);
        assert_eq!(one.lane(Lane::Disk(0)).below(1 << 40), two.lane(Lane::Disk(0)).below(1 << 40));
        assert_ne!(two.lane(Lane::Disk(1)).below(1 << 40), two.lane(Lane::Disk(2)).below(1 << 40));
    }
}
