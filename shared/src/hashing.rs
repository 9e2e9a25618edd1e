//! A map for the numbers this library gives itself: ids of calls, numbers of links.
//!
//! The hash of the standard library withstands keys that somebody chose to make them collide; it takes most of a
//! look-up's time. Here the keys are numbers that count up, and who could choose them is a member of the cluster
//! that may have a thousand calls open.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map whose keys are made of numbers.
pub(crate) type NumberMap<K, V> = HashMap<K, V, BuildHasherDefault<NumberHasher>>;

/// Mixes numbers by multiplication.
#[derive(Default)]
pub(crate) struct NumberHasher(u64);

impl NumberHasher {
    fn mix(&mut self, number: u64) {
        // Odd, and its bits are in no order: the fraction of the golden ratio.
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::BuildHasher;

    use palib_core::ids::{AliasId, CallId, Incarnation, Origin, TransId};

    use super::*;

    #[test]
    fn ids_that_count_up_are_spread_over_a_map() {
        let hasher = BuildHasherDefault::<NumberHasher>::default();
        let hash = |trans| {
            let origin = Origin::Incarnation(Incarnation(3));
            hasher.hash_one(CallId { source: AliasId(1), origin, trans: TransId(trans) })
        };
        // A map takes the low bits for the place, and the seven highest to compare.
        let places: HashSet<u64> = (0..1024).map(|trans| hash(trans) % 1024).collect();
        let tags: HashSet<u64> = (0..1024).map(|trans| hash(trans) >> 57).collect();
        assert!(places.len() > 512 && tags.len() == 128, "{} places, {} tags", places.len(), tags.len());
    }
}
