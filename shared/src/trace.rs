//! Events on their way to the FTM: a bounded queue that never slows a call.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::clock;
use crate::control::{Event, What};
use crate::limits::EVENTS_QUEUED_MAX;
use crate::sampling::Sampler;

/// The events of one process that the FTM has not got yet.
pub(crate) struct Trace {
    process: String,
    queue: Mutex<VecDeque<Event>>,
    seq: AtomicU64,
    dropped: AtomicU64,
    pub(crate) sampler: Sampler,
    pub(crate) more: Notify,
}

impl Trace {
    pub(crate) fn new(process: String) -> Self {
        Self {
            process,
            queue: Mutex::new(VecDeque::new()),
            seq: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            sampler: Sampler::new(),
            more: Notify::new(),
        }
    }

    /// Queues an event. If the queue is full the oldest one is dropped and counted.
    pub(crate) fn push(&self, what: What) {
        self.push_at(clock::monotonic_ns(), what);
    }

    /// The same for something that happened earlier, and turned out only now to be worth telling.
    pub(crate) fn push_at(&self, at_ns: u64, what: What) {
        let ago_ms = clock::monotonic_ns().saturating_sub(at_ns) / 1_000_000;
        let event = Event {
            seq: self.seq.fetch_add(1, Ordering::Relaxed),
            at_ns,
            unix_ms: clock::unix_ms() - ago_ms,
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
