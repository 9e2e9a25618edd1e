//! What heartbeats measure, over time: calls answered each second, how long calls take, and how busy processes are.
//!
//! Nothing here changes while nothing happens: times without calls are one gap, and numbers that tremble are held, so that
//! the screens of an idle cluster stay as they are.

use std::collections::{BTreeMap, VecDeque};

use palib::control::NodeStats;

/// Seconds kept of the calls answered.
const SECONDS_MAX: usize = 240;
/// The use of the processor is taken over at least so long.
const CPU_WINDOW_NS: u64 = 1_000_000_000;
/// The longest silence is that of so long a time.
const SILENCE_WINDOW_NS: u64 = 10_000_000_000;

/// Calls that were answered within one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Second {
    /// Which second of the machine's monotonic clock.
    pub second: u64,
    /// How many.
    pub calls: u64,
}

/// The seconds in which calls were answered, oldest first; those in which none was are left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Series {
    seconds: VecDeque<Second>,
    /// Calls acknowledged by each alias, as last heard; they are counted durably, so a takeover goes on with them.
    acked: BTreeMap<String, u64>,
    newest: u64,
}

impl Series {
    pub(super) fn measured(&mut self, stats: &NodeStats) {
        let second = stats.at_ns / 1_000_000_000;
        self.newest = self.newest.max(second);
        for alias in stats.aliases.iter().filter(|alias| alias.in_service) {
            // Relays count what they call, but those are no calls of their own.
            let calls = alias.counters.keys().any(|name| name == "issued" || name.starts_with("issued:"));
            let Some(acked) = calls.then(|| acked(&alias.counters)).flatten() else { continue };
            let before = self.acked.insert(alias.alias.clone(), acked).unwrap_or(acked);
            let more = acked.saturating_sub(before);
            if more == 0 {
                continue;
            }
            match self.seconds.iter_mut().rev().find(|it| it.second == second) {
                Some(it) => it.calls += more,
                None => {
                    if self.seconds.len() == SECONDS_MAX {
                        self.seconds.pop_front();
                    }
                    self.seconds.push_back(Second { second, calls: more });
                }
            }
        }
    }

    /// The seconds that are over.
    pub(super) fn seconds(&self) -> impl DoubleEndedIterator<Item = Second> + '_ {
        self.seconds.iter().copied().filter(|it| it.second < self.newest)
    }
}

/// Calls acknowledged, from a caller that counts them by target or altogether.
fn acked(counters: &BTreeMap<String, u64>) -> Option<u64> {
    let mut by_target =
        counters.iter().filter(|(name, _)| name.starts_with("acked:")).map(|(_, n)| *n).peekable();
    let sum = by_target.peek().is_some().then(|| by_target.sum());
    counters.get("acked").copied().or(sum)
}

/// How long calls took: counts by bounds in microseconds, as the heartbeats tell them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latencies {
    counts: BTreeMap<u64, u64>,
}

impl Latencies {
    /// The buckets that are not empty, as `(bound in microseconds, calls)`.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter().map(|(bound, calls)| (*bound, *calls))
    }

    /// How many calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.counts.values().sum()
    }

    /// The bound below which so large a share of the calls lies, in microseconds: 0.99 of them, 1.0 for all.
    #[must_use]
    pub fn below_us(&self, share: f64) -> Option<u64> {
        let wanted = ((self.calls() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        self.counts.iter().find_map(|(bound, calls)| {
            seen += calls;
            (seen >= wanted).then_some(*bound)
        })
    }
}

/// How long calls took while no defect had an effect, and while one had.
#[derive(Clone, Debug, Default)]
pub(super) struct Times {
    pub(super) calm: Latencies,
    pub(super) stirred: Latencies,
    /// What each process had told of each alias, by bounds.
    told: BTreeMap<(String, String), BTreeMap<u64, u64>>,
}

impl Times {
    pub(super) fn measured(&mut self, process: &str, stats: &NodeStats, stirred: bool) {
        for alias in stats.aliases.iter().filter(|alias| !alias.latency_us.is_empty()) {
            let key = (process.to_owned(), alias.alias.clone());
            let told = self.told.entry(key).or_default();
            // A process that was started again begins anew.
            let anew = alias.latency_us.iter().any(|(bound, n)| told.get(bound).is_some_and(|old| n < old))
                || told.keys().any(|bound| alias.latency_us.iter().all(|(other, _)| other != bound));
            if anew {
                told.clear();
            }
            let into = if stirred { &mut self.stirred } else { &mut self.calm };
            for (bound, calls) in &alias.latency_us {
                let old = told.insert(*bound, *calls).unwrap_or(0);
                if *calls > old {
                    *into.counts.entry(*bound).or_default() += calls - old;
                }
            }
        }
    }
}

/// What is seen of a process from one heartbeat to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    /// How much of a processor it used lately, in hundredths; held while it changes by no more than one.
    pub cpu_percent: Option<u64>,
    /// The longest time between two heartbeats lately, in milliseconds, as a bound of the form 1, 2 or 5 times a power of ten.
    pub silence_ms: Option<u64>,
    cpu: Option<(u64, u64)>,
    last_ns: u64,
    window_ns: u64,
    longest_ns: u64,
}

impl Gauges {
    pub(super) fn measured(&mut self, stats: &NodeStats) {
        let now = stats.at_ns;
        match self.cpu {
            Some((_, used)) if stats.cpu_ms < used => *self = Gauges::default(),
            Some((since, used)) if now.saturating_sub(since) >= CPU_WINDOW_NS => {
                let percent = (stats.cpu_ms - used) * 100_000_000 / (now - since);
                if self.cpu_percent.is_none_or(|shown| shown.abs_diff(percent) > 1) {
                    self.cpu_percent = Some(percent);
                }
                self.cpu = Some((now, stats.cpu_ms));
            }
            Some(_) => {}
            None => {}
        }
        if self.cpu.is_none() {
            self.cpu = Some((now, stats.cpu_ms));
        }
        if self.last_ns > 0 {
            self.longest_ns = self.longest_ns.max(now.saturating_sub(self.last_ns));
            let longest = round_up(self.longest_ns.div_ceil(1_000_000));
            if now.saturating_sub(self.window_ns) > SILENCE_WINDOW_NS {
                // Less than half is a change; a little less is chance.
                if self.silence_ms.is_none_or(|shown| longest * 2 < shown) {
                    self.silence_ms = Some(longest);
                }
                (self.window_ns, self.longest_ns) = (now, 0);
            } else if self.silence_ms.is_none_or(|shown| longest > shown) {
                self.silence_ms = Some(longest);
            }
        } else {
            self.window_ns = now;
        }
        self.last_ns = self.last_ns.max(now);
    }
}

/// The next number of the form 1, 2 or 5 times a power of ten.
fn round_up(number: u64) -> u64 {
    let mut power = 1;
    loop {
        for step in [1, 2, 5] {
            if number <= step * power {
                return step * power;
            }
        }
        power *= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use palib::control::AliasStats;

    fn stats(at_ms: u64, cpu_ms: u64, latency_us: &[(u64, u64)]) -> NodeStats {
        let alias =
            AliasStats { alias: "caller".into(), latency_us: latency_us.to_vec(), ..AliasStats::default() };
        NodeStats { at_ns: at_ms * 1_000_000, cpu_ms, aliases: vec![alias], ..NodeStats::default() }
    }

    #[test]
    fn times_are_counted_once_and_go_on_when_a_process_starts_again() {
        let mut times = Times::default();
        times.measured("caller-1", &stats(1, 0, &[(100, 5)]), false);
        times.measured("caller-1", &stats(2, 0, &[(100, 5), (200, 1)]), false);
        times.measured("caller-1", &stats(3, 0, &[(100, 6), (200, 1), (900, 1)]), true);
        times.measured("caller-1", &stats(4, 0, &[(100, 2)]), false);
        assert_eq!(times.calm.buckets().collect::<Vec<_>>(), [(100, 7), (200, 1)]);
        assert_eq!(times.stirred.buckets().collect::<Vec<_>>(), [(100, 1), (900, 1)]);
        assert_eq!((times.calm.below_us(0.5), times.calm.below_us(1.0)), (Some(100), Some(200)));
        assert_eq!(Latencies::default().below_us(0.5), None);
    }

    #[test]
    fn a_processor_that_trembles_is_held_and_one_that_works_is_told() {
        let mut gauges = Gauges::default();
        let mut cpu_ms = 0;
        let mut shown = Vec::new();
        for (second, used) in [0, 20, 25, 15, 400, 410].into_iter().enumerate() {
            cpu_ms += used;
            gauges.measured(&stats(1000 + second as u64 * 1000, cpu_ms, &[]));
            shown.push(gauges.cpu_percent);
        }
        assert_eq!(shown, [None, Some(2), Some(2), Some(2), Some(40), Some(40)]);
        gauges.measured(&stats(9000, 3, &[]));
        assert_eq!(gauges.cpu_percent, None, "another run of the process");
    }

    #[test]
    fn the_longest_silence_is_told_in_round_numbers() {
        let mut gauges = Gauges::default();
        for at_ms in [1000, 1050, 1101, 1180] {
            gauges.measured(&stats(at_ms, 0, &[]));
        }
        assert_eq!(gauges.silence_ms, Some(100));
        gauges.measured(&stats(1580, 0, &[]));
        assert_eq!(gauges.silence_ms, Some(500));
    }
}
