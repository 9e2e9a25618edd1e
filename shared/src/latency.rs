//! How long calls take, counted in buckets.

use std::sync::atomic::{AtomicU64, Ordering};

/// Buckets that a doubling of the time is divided into: a bound is at most a quarter above the time it stands for.
const PER_OCTAVE: usize = 4;
/// Enough for three minutes; what takes longer is counted in the last one.
const BUCKETS: usize = 27 * PER_OCTAVE;

/// Counts of calls by how long they took. Counting costs one relaxed addition, and never waits.
#[derive(Debug)]
pub(crate) struct Latency {
    counts: [AtomicU64; BUCKETS],
}

impl Default for Latency {
    fn default() -> Self {
        Self { counts: [const { AtomicU64::new(0) }; BUCKETS] }
    }
}

impl Latency {
    /// Counts a call that took so many microseconds.
    pub(crate) fn record(&self, us: u64) {
        self.counts[bucket(us)].fetch_add(1, Ordering::Relaxed);
    }

    /// The buckets that are not empty, as `(bound in microseconds, calls)`: so many took less than the bound, and not
    /// less than the bound before.
    pub(crate) fn read(&self) -> Vec<(u64, u64)> {
        let counts = self.counts.iter().map(|count| count.load(Ordering::Relaxed));
        counts.enumerate().filter(|(_, count)| *count > 0).map(|(at, count)| (bound_us(at), count)).collect()
    }
}

fn bucket(us: u64) -> usize {
    if us < PER_OCTAVE as u64 {
        return us as usize;
    }
    let octave = us.ilog2() as usize;
    let part = (us >> (octave - 2)) as usize % PER_OCTAVE;
    ((octave - 1) * PER_OCTAVE + part).min(BUCKETS - 1)
}

fn bound_us(bucket: usize) -> u64 {
    if bucket < PER_OCTAVE {
        return bucket as u64 + 1;
    }
    let (octave, part) = (bucket / PER_OCTAVE + 1, bucket % PER_OCTAVE);
    ((PER_OCTAVE + part + 1) as u64) << (octave - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_counted_below_a_bound_that_is_at_most_a_quarter_above_it() {
        for us in (0..5_000).chain([65_535, 65_536, 1_000_000, 9_999_999, 100_000_000]) {
            let bound = bound_us(bucket(us));
            assert!(us < bound && bound <= us + us / 4 + 1, "{us} is counted below {bound}");
            assert!(bucket(us) == 0 || us >= bound_us(bucket(us) - 1), "{us} belongs into a bucket before");
        }
    }

    #[test]
    fn what_takes_very_long_is_counted_in_the_last_bucket() {
        let latency = Latency::default();
        latency.record(u64::MAX);
        latency.record(3);
        latency.record(3);
        assert_eq!(latency.read(), [(4, 2), (bound_us(BUCKETS - 1), 1)]);
    }
}
