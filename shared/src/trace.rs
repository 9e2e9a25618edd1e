//! Events on their way to the FTM: a bounded queue that never slows a call.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock;
use crate::control::{Event, What};
use crate::limits::EVENTS_QUEUED_MAX;

/// Ordinary calls are traced at most once in this many nanoseconds.
const SAMPLE_EVERY_NS: u64 = 50_000_000;

/// The events of one process that the FTM has not got yet.
pub(crate) struct Trace {
    process: String,
    queue: Mutex<VecDeque<Event>>,
    seq: AtomicU64,
    dropped: AtomicU64,
    sampled_at: AtomicU64,
    pub(crate) more: Notify,
}

impl Trace {
    pub(crate) fn new(process: String) -> Self {
        Self {
            process,
            queue: Mutex::new(VecDeque::new()),
            seq: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            sampled_at: AtomicU64::new(0),
            more: Notify::new(),
        }
    }

    /// Queues an event. If the queue is full the oldest one is dropped and counted.
    pub(crate) fn push(&self, what: What) {
        let event = Event {
            seq: self.seq.fetch_add(1, Ordering::Relaxed),
            at_ns: clock::monotonic_ns(),
            unix_ms: clock::unix_ms(),
            process: self.process.clone(),
            what,
        };
        let mut queue = self.queue.lock();
        if queue.len() >= EVENTS_QUEUED_MAX {
            queue.pop_front();
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
        queue.push_back(event);
        drop(queue);
        self.more.notify_one();
    }

    /// Whether an ordinary call that ended now should be traced.
    pub(crate) fn samples(&self, now_ns: u64) -> bool {
        let last = self.sampled_at.load(Ordering::Relaxed);
        now_ns.saturating_sub(last) >= SAMPLE_EVERY_NS
            && self.sampled_at.compare_exchange(last, now_ns, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Takes what is queued.
    pub(crate) fn take(&self) -> Vec<Event> {
        self.queue.lock().drain(..).collect()
    }

    /// Puts back what could not be sent, before what came since.
    pub(crate) fn put_back(&self, events: Vec<Event>) {
        let mut queue = self.queue.lock();
        for event in events.into_iter().rev() {
            if queue.len() >= EVENTS_QUEUED_MAX {
                self.dropped.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            queue.push_front(event);
        }
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
