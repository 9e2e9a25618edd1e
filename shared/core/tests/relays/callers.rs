//! What stands around the calling machines: users, and the links to servers.

use palib_core::resend;
use palib_core::server;

use crate::area::Job;
use crate::feed::Feed;
use crate::ids::{Place, alias_id};
use crate::setup::Body;
use crate::world::{Envelope, World};

impl World {
    pub(crate) fn caller_effect(&mut self, place: Place, effect: resend::Effect<Body>, next: &mut Vec<Feed>) {
        use resend::{Effect, Input};
        match effect {
            // Reservations are answered elsewhere, so this is a user's call.
            Effect::Started { id, .. } => {
                self.started += 1;
                self.ghost.id_given_twice |= self.ghost.issued.insert(id, self.started).is_some();
            }
            Effect::Commit { incarnation, write } => {
                self.process(place).writer.queue.push_back(Job::Caller { incarnation, write });
            }
            Effect::Send { port, mut request } => {
                // A count for people: two sendings that differ only in it are one message.
                request.attempt = 0;
                self.net.insert(Envelope::Request { from: place, to: Place::of_port(port), request });
            }
            Effect::SendCancel { port, mut request } => {
                request.attempt = 0;
                self.net.insert(Envelope::Cancel { from: place, to: Place::of_port(port), request });
            }
            Effect::SendMark { port, mark, .. } => {
                let source = alias_id(place.0);
                self.net.insert(Envelope::Mark { to: Place::of_port(port), source, mark });
            }
            Effect::Relay { id, news } => next.push(Feed::Server(server::Input::News { id, news })),
            Effect::Deliver { id, outcome } => {
                let operation = self.ghost.issued[&id];
                self.ghost.outcomes.entry(operation).or_default().insert(outcome);
                next.push(Feed::Caller(Input::Consumed { id }));
            }
            Effect::Refused { id, refusal } => {
                // The user of a fenced client asks again through its successor.
                if self.aliases[0].seat.active == Some(place.1) {
                    self.ghost.refused.insert((self.ghost.issued[&id], refusal));
                }
            }
            Effect::Rejected { .. }
            | Effect::Inquire { .. }
            | Effect::DeadlinePassed { .. }
            | Effect::NotPending { .. } => {}
        }
    }
}
