//! The way of requests into a server side, and of jobs out of it: in steps, so that the one who writes the stable
//! area and the one who serves work at the same time.

use std::sync::{Arc, Weak};

use palib_core::server::Input;
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_128;

use super::{ServeSide, State};
use crate::clock;
use crate::service::Service;
use crate::turns::let_others_run;

/// Requests that are looked at in one step.
const REQUESTS_AT_ONCE: usize = 32;

impl<S: Service> ServeSide<S> {
    /// Takes requests out of the inbox, and gives the writer what is to be committed since last time. True if that
    /// is not all: the service has been asked to execute something, or there are requests left.
    fn work(&self) -> bool {
        let mut state = self.state.lock();
        let state = &mut *state;
        let count = state.inbox.len().min(REQUESTS_AT_ONCE);
        self.admit(state, count);
        let mut jobs = std::mem::take(&mut state.jobs);
        self.area.store.submit_all(&mut jobs, count > 0);
        // Kept for its memory.
        state.jobs = jobs;
        count > 0
    }

    /// Feeds so many requests of the inbox.
    pub(super) fn admit(&self, state: &mut State, count: usize) {
        let now = clock::now();
        for _ in 0..count {
            let Some((asker, request)) = state.inbox.pop_front() else { return };
            let digest = xxh3_128(&request.body);
            self.feed_at(state, now, Input::Request { asker, request, digest });
        }
    }
}

/// Looks at requests and submits what is to be committed, until the side is gone.
///
/// Requests come in by the dozen, and each is a task. Submitted by each of them, the first would wake the writer,
/// and the commit that it begins would leave all others to the next one: two commits where one does. So this task
/// submits, after those tasks that are ready already; and it goes in steps, so that the writer applies the jobs of
/// one step while this thread makes those of the next. There is no timer: the writer waits only for what is at
/// hand.
pub(super) async fn work<S: Service>(side: Weak<ServeSide<S>>, work: Arc<Notify>) {
    loop {
        work.notified().await;
        while let Some(side) = side.upgrade()
            && side.work()
        {
            drop(side);
            let_others_run().await;
        }
        if side.strong_count() == 0 {
            return;
        }
    }
}
