//! The tasks in which the service executes calls: hands, each of which takes one call after another.
//!
//! A task for each call would be made and taken apart with each call. A task's memory is aligned so that the
//! allocator has no short way for it, and the runtime keeps a list of all tasks under a lock: together that took a
//! sixth of the time that a server has for a call.

use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::server::Input;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::handlers::caught;
use super::{ServeSide, State};
use crate::branch::{Branch, Run};
use crate::call::Call;
use crate::defect::Point;
use crate::service::{Service, outcome_of};

/// Hands that stay when there is nothing to do. What is more ends: a burst of calls leaves little behind.
const HANDS_FREE_MAX: usize = 256;

/// The hands of a side.
#[derive(Default)]
pub(super) struct Hands {
    /// Calls to be executed that no hand has taken yet, in the order they came. For each of them a hand was told.
    errands: VecDeque<(Run, Bytes)>,
    /// Hands that wait to be told.
    free: usize,
}

/// How a run ended: with an outcome, or with a panic and its words.
type Ended = Result<Outcome<Bytes>, Bytes>;

/// What a hand does next.
enum Next<S> {
    Execute(Arc<ServeSide<S>>, Run, Bytes),
    /// Wait to be told.
    Wait,
    End,
}

impl<S: Service> ServeSide<S> {
    /// Lets a hand execute a call: one that is free, or a new one. A service may keep a call for as long as it likes,
    /// so none ever waits for a hand that is at work.
    pub(super) fn execute(&self, state: &mut State, id: CallId, body: Bytes) {
        self.shared.trace_executing(id, &self.alias_name);
        let relays = state.core.transaction(id).is_some();
        let run = state.runs.begin(id, relays);
        if relays {
            // What a former run waits for does not come any more.
            state.waits.remove(&id);
        }
        state.hands.errands.push_back((run, body));
        if state.hands.free > 0 {
            state.hands.free -= 1;
            self.errand.notify_one();
        } else {
            self.runtime.spawn(hand(self.me.clone(), self.errand.clone()));
        }
    }

    /// Feeds how a run ended, if it counts, and says what is to be done next.
    fn next(self: Arc<Self>, ended: Option<(Run, Ended)>, told: Pin<&mut Notified<'_>>) -> Next<S> {
        let mut state = self.state.lock();
        if let Some((run, ended)) = ended
            && state.runs.end(run)
        {
            let id = run.id;
            self.pass_executed(&state, id);
            let input = match ended {
                Ok(outcome) => Input::Returned { id, outcome },
                Err(failure) => Input::Abandoned { id, failure },
            };
            self.feed_soon(&mut state, input);
            state.gives.forget(id);
        }
        if let Some((run, body)) = state.hands.errands.pop_front() {
            drop(state);
            return Next::Execute(self, run, body);
        }
        if state.hands.free >= HANDS_FREE_MAX {
            return Next::End;
        }
        state.hands.free += 1;
        // While the lock is held: whoever sees a free hand can be sure that it will be told.
        told.enable();
        Next::Wait
    }
}

/// Executes one call after another, until the side is gone or there are hands enough.
async fn hand<S: Service>(side: Weak<ServeSide<S>>, errand: Arc<Notify>) {
    let mut ended = None;
    loop {
        let next = {
            let mut told = pin!(errand.notified());
            let Some(side) = side.upgrade() else { return };
            match side.next(ended.take(), told.as_mut()) {
                Next::Wait => {
                    told.await;
                    continue;
                }
                next => next,
            }
        };
        let Next::Execute(side, run, body) = next else { return };
        side.pass(Point::BeforeExecute);
        let call = Call { root: Branch::root(side.clone(), run), body };
        let result = caught(|| side.service.handle(call)).await;
        ended = Some((run, result.map(outcome_of)));
    }
}
