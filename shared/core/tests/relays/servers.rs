//! What stands around the serving machines: their writers, their services, the links to callers.

use palib_core::ids::CallId;
use palib_core::message::{CancelEnd, Outcome};
use palib_core::server::{self, Effect, Input, Then, Write};

use crate::area::{Closure, Job, Writer};
use crate::feed::Feed;
use crate::guards::early;
use crate::ids::Place;
use crate::setup::{Body, Ends, Setup};
use crate::world::{Envelope, World};
use palib_core::resend;

impl World {
    pub(crate) fn server_effect(
        &mut self,
        setup: &Setup,
        place: Place,
        effect: Effect<Body>,
        next: &mut Vec<Feed>,
    ) {
        match effect {
            Effect::Commit { incarnation, writes, then } => {
                let closure = self.closure(setup, place, &writes);
                self.submit(setup, place, Job::Server { incarnation, writes, then, closure }, next);
            }
            Effect::Load { key } if setup.slow_reads => self.process(place).reads.push(key),
            Effect::Load { key } => next.push(Feed::Server(self.loaded(place, key))),
            Effect::Answer { asker, id, outcome, .. } => {
                self.net.insert(Envelope::Answer { to: Place::of_asker(asker), id, outcome });
            }
            Effect::Refuse { asker, id, refusal } => {
                let to = Place::of_asker(asker);
                self.net.insert(Envelope::Refused { from: place, to, id, refusal });
            }
            Effect::AnswerCancel { asker, id, end } => {
                self.net.insert(Envelope::CancelEnded { to: Place::of_asker(asker), id, end });
            }
            Effect::Ready => self.aliases[place.0].seat.active = Some(place.1),
            Effect::Recover { .. } | Effect::CallHandler { .. } | Effect::Resume { .. } => {
                unreachable!("no service here has an effect outside its stable area")
            }
            Effect::Note(_) => {}
            _ => self.relay_effect(setup, place, effect, next),
        }
    }

    fn relay_effect(&mut self, setup: &Setup, place: Place, effect: Effect<Body>, next: &mut Vec<Feed>) {
        match effect {
            Effect::Execute { id, body } => self.execute(setup, place, id, body, next),
            Effect::Give { id, position, given } => self.give(setup, place, (id, position), given, next),
            Effect::Allot { id, position, target, body } => {
                let reserve = resend::Input::Reserve { token: 0, target, body };
                next.push(Feed::Server(self.allot(place, id, position, reserve)));
            }
            Effect::SendOn { id } => next.push(Feed::Caller(resend::Input::Stable { id })),
            Effect::CancelOn { id } => next.push(Feed::Caller(resend::Input::Cancel { id })),
            Effect::Settle { ids } => {
                next.extend(ids.into_iter().map(|id| Feed::Caller(resend::Input::Settled { id })));
            }
            Effect::AskSubstitute { id, position, body, .. } => {
                let by = self.substitute(setup, place, body);
                next.push(Feed::Server(Input::Substituted { id, position, by }));
            }
            Effect::Undo { id, request, .. } => {
                next.push(Feed::Server(self.undo(setup, place, id, request)));
            }
            _ => {}
        }
    }

    /// The closure that the shell holds for a commit in atomic mode.
    fn closure(&self, setup: &Setup, place: Place, writes: &[Write<Body>]) -> Option<Closure> {
        let server = &self.aliases[place.0].processes[place.1].server;
        writes.iter().find_map(|write| match write {
            Write::Atomic { id, .. } | Write::AtomicUndo { id, .. } => {
                let body = *server.call(*id)?.body;
                let ends = setup.service(place.0).ends(body);
                let fails = ends == Ends::AtomicFails && matches!(write, Write::Atomic { .. });
                Some(Closure { body, fails })
            }
            _ => None,
        })
    }

    fn submit(&mut self, setup: &Setup, place: Place, mut job: Job, next: &mut Vec<Feed>) {
        let process = self.process(place);
        if setup.without.is_some() {
            let (first, told) = early(setup, &process.server, &mut job);
            next.extend(told);
            process.writer.queue.extend(first);
        }
        process.writer.queue.push_back(job);
    }

    pub(crate) fn commit(&mut self, setup: &Setup, place: Place) {
        let Some(job) = self.process(place).writer.queue.pop_front() else { return };
        let area = &mut self.aliases[place.0].area;
        if job.incarnation() < area.fence {
            return self.wakes_up_fenced(setup, place);
        }
        let outcome = area.apply(&job);
        self.process(place).writer.committed.push_back((job, outcome));
        if !setup.slow_writers {
            self.tell(setup, place);
        }
    }

    fn wakes_up_fenced(&mut self, setup: &Setup, place: Place) {
        self.feed(setup, place, Feed::Server(Input::Fenced));
        self.feed(setup, place, Feed::Caller(resend::Input::Fenced));
        self.kill(setup, place);
    }

    pub(crate) fn tell(&mut self, setup: &Setup, place: Place) {
        let Some((job, outcome)) = self.process(place).writer.committed.pop_front() else { return };
        match job {
            Job::Caller {
                write: resend::Write::Put(resend::Pending { id, .. }) | resend::Write::Drop(id),
                ..
            } => {
                self.feed(setup, place, Feed::Caller(resend::Input::Stable { id }));
            }
            Job::Server { then, .. } => {
                if let Some(then) = then {
                    self.feed(setup, place, Feed::Server(told(then, outcome.clone())));
                    if let (Then::Stable { id }, Some(outcome)) = (then, outcome.clone()) {
                        self.ended(setup, place, id, outcome);
                    }
                }
            }
        }
    }

    /// A handler whose closure failed goes on, and fails.
    fn ended(&mut self, setup: &Setup, place: Place, id: CallId, outcome: Outcome<Body>) {
        let ran = self.process(place).runs.remove(&id);
        if ran.is_some() && matches!(outcome, Outcome::Failed(_)) {
            self.feed(setup, place, Feed::Server(Input::Returned { id, outcome }));
        }
    }

    fn loaded(&self, place: Place, key: palib_core::ids::SlotKey) -> Input<Body> {
        let area = &self.aliases[place.0].area;
        let (row, mark) = (area.rows.get(&key).cloned(), area.marks.get(&key.session.source).copied());
        Input::Loaded { key, row, mark }
    }

    pub(crate) fn read(&mut self, setup: &Setup, place: Place) {
        let key = self.process(place).reads.remove(0);
        let input = self.loaded(place, key);
        self.feed(setup, place, Feed::Server(input));
    }

    pub(crate) fn kill(&mut self, setup: &Setup, place: Place) {
        let (server, caller) = Self::machines(setup, place.0);
        let process = self.process(place);
        (process.alive, process.server, process.caller) = (false, server, caller);
        process.writer = Writer::default();
        process.runs.clear();
        process.reads.clear();
        process.not_undone.clear();
    }

    /// Without the guard, the cancellation of a call that is being executed does not wait for it.
    pub(crate) fn confirms_early(
        &mut self,
        setup: &Setup,
        place: Place,
        from: Place,
        request: &palib_core::message::Request<Body>,
    ) -> bool {
        let id = request.id;
        let executing = self.process(place).runs.contains_key(&id);
        if !setup.lacks(crate::setup::Without::CancelWaits) || !executing {
            return false;
        }
        self.net.insert(Envelope::CancelEnded { to: from, id, end: CancelEnd::Cancelled { undone: false } });
        true
    }
}

pub(crate) fn told(then: Then, outcome: Option<Outcome<Body>>) -> server::Input<Body> {
    match then {
        Then::StableBlock { id } => Input::StableBlock { id },
        Then::Stable { id } => Input::Stable { id, outcome },
        Then::StableCall { id } => Input::StableCall { id },
        Then::StableCourse { id } => Input::StableCourse { id },
        Then::StableUndoing { id } => Input::StableUndoing { id },
        Then::StableCancelled { id } => Input::StableCancelled { id, outcome },
        Then::Closed { id, rolled_back } => Input::Closed { id, rolled_back },
    }
}
