//! Users: they call, wait, ask again after their deadline, and take what they are given.

use palib_core::ids::{CallId, Nanos};
use palib_core::message::{Outcome, Refusal};
use palib_core::resend::{self, Effect, Rejection};

use crate::body::{self, Body};
use crate::cluster::Cluster;
use crate::feed::Feed;
use crate::invariant::Invariant;
use crate::network::outcome_text;
use crate::process::{MS, US, alias_id};
use crate::queue::{Event, Local};
use crate::random::Lane;
use crate::schedule::Call;

/// A user, who makes one call.
#[derive(Clone, Debug)]
pub(crate) struct User {
    pub(crate) call: Call,
    /// The id of its call, once it has one.
    pub(crate) id: Option<CallId>,
    /// What it was told.
    pub(crate) outcome: Option<Outcome<Body>>,
}

impl User {
    pub(crate) fn new(call: Call) -> Self {
        Self { call, id: None, outcome: None }
    }
}

impl Cluster<'_> {
    /// A user calls, or tries again a little later if nobody is there to call for it.
    pub(crate) fn call(&mut self, nth: usize) {
        let Call { caller, service, number, deadline, .. } = self.users[nth].call;
        let active = self.active(caller).filter(|(p, _)| !self.processes[*p].stopped);
        let Some((p, s)) = active else { return self.later(20 * MS, Event::Call(nth)) };
        let target = alias_id(self.plan.alias_of(service));
        let deadline = deadline.map(|us| Nanos(self.now.0 + us * US));
        let body = body::of_operation(number);
        self.say(p, || format!("a user asks for {}", body::text(body)));
        let token = nth as u64;
        self.feed(p, s, Feed::Caller(resend::Input::Call { token, target, body, deadline }));
    }

    pub(crate) fn user_effect(&mut self, p: usize, s: usize, effect: Effect<Body>) {
        let alias = self.processes[p].sides[s].alias;
        match effect {
            Effect::Started { token, id } => {
                let user = &mut self.users[token as usize];
                user.id = Some(id);
                let body = body::of_operation(user.call.number);
                self.users_left -= 1;
                self.counts.calls += 1;
                self.judge_issue(id, body);
            }
            Effect::Rejected { token, reason } => {
                self.counts.window_full += u64::from(reason == Rejection::WindowFull);
                self.later(30 * MS, Event::Call(token as usize));
            }
            Effect::Deliver { id, outcome } => {
                self.say(p, || format!("a user is told {}", outcome_text(&outcome)));
                self.acknowledge(id, outcome);
                self.takes(p, s, alias, id);
            }
            Effect::Refused { id, refusal } => {
                self.refused(p, s, id, refusal);
                self.takes(p, s, alias, id);
            }
            Effect::DeadlinePassed { id } => {
                self.counts.asked_again += 1;
                let after = self.chance(Lane::Users(alias)).between(5, 100) * MS;
                self.locally(after, p, Local::Await { side: s, id });
            }
            Effect::NotPending { .. } => {}
            _ => unreachable!("done elsewhere"),
        }
    }

    /// The user has what it wanted, and says so after a moment.
    fn takes(&mut self, p: usize, s: usize, alias: usize, id: CallId) {
        let chance = self.chance(Lane::Users(alias));
        let after = if chance.below(10) == 0 { chance.below(200) * MS } else { chance.below(3000) * US };
        self.locally(after, p, Local::Consume { side: s, id });
    }

    pub(crate) fn consume(&mut self, p: usize, s: usize, id: CallId) {
        self.feed(p, s, Feed::Caller(resend::Input::Consumed { id }));
    }

    /// The user asks again by the id of its call.
    pub(crate) fn wait_again(&mut self, p: usize, s: usize, id: CallId) {
        let alias = self.processes[p].sides[s].alias;
        let more = self.chance(Lane::Users(alias)).between(50, 1000) * MS;
        let deadline = Some(Nanos(self.now.0 + more));
        self.feed(p, s, Feed::Caller(resend::Input::Await { id, deadline }));
    }

    /// A call is refused for good. The user of a client that is fenced asks again through its successor.
    fn refused(&mut self, p: usize, s: usize, id: CallId, refusal: Refusal) {
        let process = &self.processes[p];
        let side = &process.sides[s];
        let fenced = side.held.unwrap_or_default() < self.areas[side.alias].fence;
        if !process.spared && !fenced {
            self.violate(Invariant::NoRefusal, |cluster| {
                format!("{} ({id}) is refused: {refusal:?}", cluster.judge.text_of(id))
            });
        }
    }
}
