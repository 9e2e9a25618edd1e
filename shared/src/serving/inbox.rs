//! The way of requests into a server side, and of jobs out of it: in steps, so that the one who writes the stable
//! area and the one who serves work at the same time.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use palib_core::ids::{AliasId, Mark};
use palib_core::message::Request;
use palib_core::server::{Asker, Input};
use tokio::sync::Notify;
use xxhash_rust::xxh3::xxh3_128;

use super::{ServeSide, State};
use crate::clock;
use crate::limits::REQUESTS_IN_HAND_MAX;
use crate::service::Service;
use crate::turns::let_others_run;

/// What came in.
pub(super) enum Arrived {
    Request(Asker, Request<Bytes>),
    /// The request is cancelled.
    Cancel(Asker, Request<Bytes>),
    Mark(AliasId, Mark),
}

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

    /// Something was put into the inbox.
    pub(super) fn arrived(&self, state: &mut State) {
        // What is over the limit is looked at now: then the reader of the link can't run ahead.
        self.admit(state, state.inbox.len().saturating_sub(REQUESTS_IN_HAND_MAX));
        self.work.notify_one();
    }

    /// Feeds so much of the inbox.
    pub(super) fn admit(&self, state: &mut State, count: usize) {
        let now = clock::now();
        for _ in 0..count {
            let Some(arrived) = state.inbox.pop_front() else { return };
            let input = match arrived {
                Arrived::Request(asker, request) => {
                    let digest = xxh3_128(&request.body);
                    Input::Request { asker, request, digest }
                }
                Arrived::Cancel(asker, request) => {
                    let digest = xxh3_128(&request.body);
                    Input::Cancel { asker, request, digest }
                }
                Arrived::Mark(source, mark) => Input::Mark { source, mark },
            };
            self.feed_at(state, now, input);
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
