//! The wiring between the two machines of a process. What an effect asks for is done at once and in depth, before the
//! next thing that happens to the process.

use palib_core::ids::{CallId, Nanos};
use palib_core::relay::Position;
use palib_core::resend::{self, Pending, Rejection};
use palib_core::server;

use crate::ids::Place;
use crate::setup::{Body, Setup};
use crate::world::World;

pub(crate) const NOW: Nanos = Nanos(0);

/// Something for one of the machines.
#[derive(Clone, Debug)]
pub(crate) enum Feed {
    Server(server::Input<Body>),
    Caller(resend::Input<Body>),
}

impl World {
    pub(crate) fn feed(&mut self, setup: &Setup, place: Place, first: Feed) {
        let mut feeds = vec![first];
        while let Some(feed) = feeds.pop() {
            if !self.process(place).alive {
                return;
            }
            let mut next = Vec::new();
            match feed {
                Feed::Server(input) => {
                    let mut effects = Vec::new();
                    self.process(place).server.handle(NOW, input, &mut effects);
                    for effect in effects {
                        self.server_effect(setup, place, effect, &mut next);
                    }
                }
                Feed::Caller(input) => {
                    let mut effects = Vec::new();
                    self.process(place).caller.handle(NOW, input, &mut effects);
                    for effect in effects {
                        self.caller_effect(place, effect, &mut next);
                    }
                }
            }
            feeds.extend(next.into_iter().rev());
        }
    }

    /// A call on gets its id at once.
    pub(crate) fn allot(
        &mut self,
        place: Place,
        id: CallId,
        position: Position,
        ask: resend::Input<Body>,
    ) -> server::Input<Body> {
        let mut effects = Vec::new();
        let caller = &mut self.process(place).caller;
        caller.handle(NOW, ask, &mut effects);
        let started = effects.iter().find_map(|effect| match effect {
            resend::Effect::Started { id, .. } => Some(Ok(*id)),
            resend::Effect::Rejected { reason, .. } => Some(Err(*reason)),
            _ => None,
        });
        let pending = |id| caller.call_view(id).map(|view| view.call.clone()).ok_or(Rejection::NotInService);
        let call: Result<Pending<Body>, _> =
            started.expect("a reservation is answered at once").and_then(pending);
        server::Input::Allotted { id, position, call }
    }
}
