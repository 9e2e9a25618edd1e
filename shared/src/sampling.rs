//! Which calls are traced step by step: all of them at a low rate, a sample of them under load.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use palib_core::ids::CallId;
use parking_lot::Mutex;

/// Calls a second that one process traces step by step at most, re-sent ones apart.
const CALLS_PER_S_MAX: u32 = 8;
/// How long calls are counted before the sample is made larger again.
const WINDOW_NS: u64 = 1_000_000_000;
/// Calls that are traced because they were sent again, at once. A takeover under load has many; of the others the
/// rare events alone are told.
const WATCHED_MAX: usize = 64;

/// The choice of the calls that are traced.
///
/// It is made by the number of the call, and each sample holds every smaller one (the multiples of 16 are multiples
/// of 8): so caller and server, who may measure different rates, still trace the same calls, and nothing has to be
/// sent along for that.
pub(crate) struct Sampler {
    /// A call is in the sample if its number has none of these bits.
    mask: AtomicU64,
    /// Calls of the sample since the window began, or since it was last made smaller.
    seen: AtomicU32,
    /// Whether it was made smaller in this window.
    shrunk: AtomicBool,
    window_began_ns: AtomicU64,
    /// Calls that are traced whatever their number.
    watched: Mutex<BTreeSet<CallId>>,
    /// Whether there are any: read without the lock.
    watches: AtomicBool,
}

impl Sampler {
    pub(crate) const fn new() -> Self {
        Self {
            mask: AtomicU64::new(0),
            seen: AtomicU32::new(0),
            shrunk: AtomicBool::new(false),
            window_began_ns: AtomicU64::new(0),
            watched: Mutex::new(BTreeSet::new()),
            watches: AtomicBool::new(false),
        }
    }

    /// Whether the steps of this call are traced. Two loads for a call that is not.
    pub(crate) fn traces(&self, id: CallId) -> bool {
        self.is_in_sample(id) || (self.watches.load(Ordering::Relaxed) && self.watched.lock().contains(&id))
    }

    /// The same at the first step of a call in this process, from which the rate is reckoned.
    pub(crate) fn begins(&self, id: CallId) -> bool {
        if !self.is_in_sample(id) {
            return false;
        }
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 >= CALLS_PER_S_MAX {
            let mask = self.mask.load(Ordering::Relaxed);
            self.mask.store(mask << 1 | 1, Ordering::Relaxed);
            self.seen.store(0, Ordering::Relaxed);
            self.shrunk.store(true, Ordering::Relaxed);
        }
        true
    }

    /// Traces every further step of a call; false if too many are watched already.
    pub(crate) fn watch(&self, id: CallId) -> bool {
        let mut watched = self.watched.lock();
        if watched.len() >= WATCHED_MAX && !watched.contains(&id) {
            return false;
        }
        watched.insert(id);
        self.watches.store(true, Ordering::Relaxed);
        true
    }

    /// The call is over in this process.
    pub(crate) fn ends(&self, id: CallId) {
        if self.watches.load(Ordering::Relaxed) {
            let mut watched = self.watched.lock();
            watched.remove(&id);
            self.watches.store(!watched.is_empty(), Ordering::Relaxed);
        }
    }

    /// Makes the sample larger again when fewer calls come. Called with each heartbeat.
    pub(crate) fn relax(&self, now_ns: u64) {
        if now_ns.saturating_sub(self.window_began_ns.load(Ordering::Relaxed)) < WINDOW_NS {
            return;
        }
        self.window_began_ns.store(now_ns, Ordering::Relaxed);
        let seen = self.seen.swap(0, Ordering::Relaxed);
        if !self.shrunk.swap(false, Ordering::Relaxed) && seen < CALLS_PER_S_MAX / 2 {
            self.mask.store(self.mask.load(Ordering::Relaxed) >> 1, Ordering::Relaxed);
        }
    }

    /// One call in so many is traced.
    pub(crate) fn one_in(&self) -> u64 {
        self.mask.load(Ordering::Relaxed).saturating_add(1)
    }

    fn is_in_sample(&self, id: CallId) -> bool {
        id.trans.0 & self.mask.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use palib_core::ids::{AliasId, Incarnation, Origin, TransId};

    use super::*;

    fn call(trans: u64) -> CallId {
        CallId { source: AliasId(1), origin: Origin::Incarnation(Incarnation(1)), trans: TransId(trans) }
    }

    /// Seconds of calls at a rate; the numbers of those traced in the last one.
    fn last_second(sampler: &Sampler, seconds: u64, calls_per_s: u64) -> Vec<u64> {
        let mut traced = Vec::new();
        for second in 0..seconds {
            traced.clear();
            let numbers = second * calls_per_s..(second + 1) * calls_per_s;
            traced.extend(numbers.filter(|number| sampler.begins(call(*number))));
            sampler.relax((second + 1) * WINDOW_NS);
        }
        traced
    }

    #[test]
    fn at_a_low_rate_every_call_is_traced() {
        assert_eq!(last_second(&Sampler::new(), 5, 3), [12, 13, 14]);
    }

    #[test]
    fn under_load_a_few_calls_a_second_are_traced() {
        let sampler = Sampler::new();
        let traced = last_second(&sampler, 20, 10_000);
        assert!((1..=2 * CALLS_PER_S_MAX as usize).contains(&traced.len()), "{traced:?}");
        assert!(sampler.one_in() >= 1024, "one in {}", sampler.one_in());
        last_second(&sampler, 60, 1);
        assert_eq!(sampler.one_in(), 1, "when the load is gone, every call is traced again");
    }

    #[test]
    fn what_a_busier_process_traces_the_others_trace_too() {
        let (busy, idle) = (Sampler::new(), Sampler::new());
        last_second(&busy, 10, 5_000);
        last_second(&idle, 10, 300);
        assert!(busy.one_in() > idle.one_in());
        let both = (0..100_000).filter(|number| busy.traces(call(*number)));
        assert!(both.clone().count() > 0 && both.into_iter().all(|number| idle.traces(call(number))));
    }

    #[test]
    fn a_watched_call_is_traced_until_it_ends() {
        let sampler = Sampler::new();
        last_second(&sampler, 5, 1_000);
        assert!(!sampler.traces(call(1)));
        assert!(sampler.watch(call(1)) && sampler.traces(call(1)));
        sampler.ends(call(1));
        assert!(!sampler.traces(call(1)));
        let watched = (0..1000).filter(|number| sampler.watch(call(*number))).count();
        assert_eq!(watched, WATCHED_MAX, "a takeover with a thousand open calls is no flood");
    }
}
