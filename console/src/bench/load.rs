//! What a client is told to do, and what it measures.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The part of a load's time that is not measured: caches are filled, windows open.
const WARM_UP_PART: u32 = 5;

/// How a client calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Load {
    /// Calls that are in flight at any time.
    pub(crate) in_flight: usize,
    /// For how long, in milliseconds.
    pub(crate) ms: u64,
}

/// What a client has measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    /// Calls that were answered.
    pub(crate) calls: u64,
    /// In so many seconds.
    pub(crate) seconds: f64,
    /// The median time from a call to its answer, in microseconds.
    pub(crate) p50_us: f64,
    /// The 99th percentile of it.
    pub(crate) p99_us: f64,
    /// When the first reply of the next server came, on the machine's monotonic clock.
    pub(crate) first_reply_ns: u64,
}

impl Measured {
    /// Calls in a second.
    pub(crate) fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.calls as f64 / self.seconds } else { 0.0 }
    }
}

/// Counts calls and their times.
pub(crate) struct Meter {
    from: Instant,
    until: Instant,
    calls: u64,
    times_ns: Histogram<u64>,
}

impl Meter {
    /// A meter for a load that begins now.
    pub(crate) fn start(load: Load) -> Self {
        let (now, lasts) = (Instant::now(), Duration::from_millis(load.ms));
        let from = now + lasts / WARM_UP_PART;
        // Three digits up to a minute: the bounds are constants that the histogram takes.
        let times_ns = Histogram::new_with_max(60_000_000_000, 3).expect("the bounds are good");
        Self { from, until: now + lasts, calls: 0, times_ns }
    }

    /// Whether no more calls are to be made.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over_at(Instant::now())
    }

    /// Whether no more calls are to be made at this time.
    pub(crate) fn is_over_at(&self, now: Instant) -> bool {
        now >= self.until
    }

    /// A call that was made then has been answered now. Gives the time it is.
    pub(crate) fn note(&mut self, made: Instant) -> Instant {
        let now = Instant::now();
        if now >= self.from && now < self.until {
            self.calls += 1;
            self.times_ns.saturating_record((now - made).as_nanos() as u64);
        }
        now
    }

    pub(crate) fn measured(&self) -> Measured {
        let us = |quantile| self.times_ns.value_at_quantile(quantile) as f64 / 1e3;
        Measured {
            calls: self.calls,
            seconds: (self.until - self.from).as_secs_f64(),
            p50_us: us(0.5),
            p99_us: us(0.99),
            first_reply_ns: 0,
        }
    }
}

/// The middle of several values; of an even number of them the mean of the two in the middle.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => 0.0,
        len if len % 2 == 1 => sorted[len / 2],
        len => (sorted[len / 2 - 1] + sorted[len / 2]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), 0.0);
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn calls_of_the_warm_up_are_not_counted() {
        let mut meter = Meter::start(Load { in_flight: 1, ms: 60_000 });
        meter.note(Instant::now());
        assert_eq!(meter.measured().calls, 0);
    }
}
