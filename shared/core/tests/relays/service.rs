//! Handlers: they call on as their services say, and end.

use std::collections::BTreeSet;

use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::relay::{Given, Position, Substitute};
use palib_core::server;

use crate::feed::Feed;
use crate::ids::{Place, alias_id};
use crate::setup::{Body, Ends, Service, Setup};
use crate::world::World;

/// A handler that runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Run {
    pub(crate) body: Body,
    /// How many calls it has made.
    asked: usize,
    replies: usize,
    failures: usize,
    /// Places of calls that could not be made now.
    pub(crate) rejected: BTreeSet<u16>,
}

impl World {
    pub(crate) fn execute(
        &mut self,
        setup: &Setup,
        place: Place,
        id: CallId,
        body: Body,
        next: &mut Vec<Feed>,
    ) {
        self.process(place).runs.insert(id, Run { body, ..Run::default() });
        self.go_on(setup, place, id, next);
    }

    /// A handler is given what it waits for.
    pub(crate) fn give(
        &mut self,
        setup: &Setup,
        place: Place,
        (id, position): (CallId, Position),
        given: Given<Body>,
        next: &mut Vec<Feed>,
    ) {
        let Some(run) = self.process(place).runs.get_mut(&id) else { return };
        match given {
            Given::Answer { outcome: Outcome::Reply(_), replayed } => {
                run.replies += 1;
                self.ghost.replayed |= replayed;
            }
            Given::Rejected(_) if setup.patient => {
                run.rejected.insert(position.0[0]);
                return;
            }
            Given::Answer { .. } | Given::Refused(_) | Given::Rejected(_) => run.failures += 1,
            Given::Diverged { .. } | Given::Over => {
                self.ghost.diverged |= given != Given::Over;
                self.process(place).runs.remove(&id);
                return;
            }
        }
        self.go_on(setup, place, id, next);
    }

    fn go_on(&mut self, setup: &Setup, place: Place, id: CallId, next: &mut Vec<Feed>) {
        let service = setup.service(place.0);
        let Some(run) = self.process(place).runs.get_mut(&id) else { return };
        let body = run.body;
        let ends = service.ends(body);
        let fails_now =
            matches!(ends, Ends::FailsAfter(replies) if run.replies >= replies.min(service.needs()));
        if fails_now || run.failures > service.calls.len() - service.needs() {
            self.process(place).runs.remove(&id);
            next.push(Feed::Server(server::Input::Returned { id, outcome: Outcome::Failed(body) }));
        } else if run.replies >= service.needs() {
            next.push(Feed::Server(match ends {
                Ends::Atomic | Ends::AtomicFails => server::Input::Atomic { id },
                Ends::Returns | Ends::FailsAfter(_) => {
                    server::Input::Returned { id, outcome: Outcome::Reply(body * 100) }
                }
            }));
        } else if service.at_once || run.replies + run.failures == run.asked {
            let until = if service.at_once { service.calls.len() } else { run.asked + 1 };
            let asked = std::mem::replace(&mut run.asked, until);
            next.extend((asked..until).map(|nth| call_on(service, id, body, nth)));
        }
    }

    pub(crate) fn ask_again(&mut self, setup: &Setup, place: Place, id: CallId, at: u16) {
        let Some(run) = self.process(place).runs.get_mut(&id) else { return };
        run.rejected.remove(&at);
        let body = run.body;
        self.feed(setup, place, call_on(setup.service(place.0), id, body, usize::from(at) - 1));
    }

    /// What the service designates in the place of an unanswered call.
    pub(crate) fn substitute(&self, setup: &Setup, place: Place, asked: Body) -> Option<Substitute<Body>> {
        let service = setup.service(place.0);
        let (target, cancel_old) = service.substitute?;
        let late = self.aliases[place.0].seat.incarnation.0 > service.substitutes_until;
        let first = asked % 10 <= 5 && !late;
        first.then(|| Substitute { target: alias_id(target), body: asked + 5, cancel_old })
    }

    /// The service undoes what it did for a call.
    pub(crate) fn undo(
        &mut self,
        setup: &Setup,
        place: Place,
        id: CallId,
        body: Body,
    ) -> server::Input<Body> {
        self.ghost.undone = true;
        let service = setup.service(place.0);
        if service.undo_fails_once && self.process(place).not_undone.insert(id) {
            return server::Input::Undone { id, result: Err(body) };
        }
        match service.ends(body) {
            Ends::Atomic => server::Input::UndoAtomic { id },
            _ => server::Input::Undone { id, result: Ok(()) },
        }
    }
}

fn call_on(service: &Service, id: CallId, body: Body, nth: usize) -> Feed {
    let (position, asked) = (Position(vec![nth as u16 + 1]), body * 10 + nth as Body + 1);
    let (target, digest) = (alias_id(service.calls[nth]), u128::from(asked));
    Feed::Server(server::Input::CallOn { id, position, target, body: asked, digest })
}
