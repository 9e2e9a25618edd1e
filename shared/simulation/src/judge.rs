//! What nobody in the cluster knows, and the invariants are about.

use std::collections::{BTreeMap, BTreeSet};

use palib_core::ids::CallId;
use palib_core::message::Outcome;

use crate::area::Effect;
use crate::body::{self, Body};
use crate::cluster::Cluster;
use crate::invariant::Invariant;
use crate::network::outcome_text;
use crate::schedule::{Ends, SubstitutePlan};

/// What was seen of all calls.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// What was asked for with an id.
    issued: BTreeMap<CallId, Body>,
    /// The outcome of each id that was answered.
    outcomes: BTreeMap<CallId, Outcome<Body>>,
    /// Calls of users that were kept, durably.
    kept: BTreeSet<CallId>,
    /// By operation: which effects were ever had on its behalf, with their aliases.
    effects: BTreeMap<u32, BTreeSet<(usize, Body)>>,
    /// What users were told, by operation.
    told: BTreeMap<u32, Outcome<Body>>,
}

impl Judge {
    pub(crate) fn kept(&mut self, id: CallId) {
        self.kept.insert(id);
    }

    pub(crate) fn is_kept(&self, id: CallId) -> bool {
        self.kept.contains(&id)
    }

    /// What was asked for with an id.
    pub(crate) fn text_of(&self, id: CallId) -> String {
        self.issued.get(&id).map_or_else(|| "what nobody asked for".to_owned(), |body| body::text(*body))
    }
}

impl Cluster<'_> {
    /// An id is given to a call.
    pub(crate) fn judge_issue(&mut self, id: CallId, body: Body) {
        if let Some(other) = self.judge.issued.insert(id, body) {
            self.violate(Invariant::FreshIds, |_| {
                format!("{id} is given to {} after {}", body::text(body), body::text(other))
            });
        }
    }

    /// Somebody answers.
    pub(crate) fn judge_answer(&mut self, id: CallId, outcome: &Outcome<Body>) {
        match self.judge.outcomes.get(&id) {
            Some(first) if first != outcome => {
                let (first, then) = (outcome_text(first), outcome_text(outcome));
                self.violate(Invariant::OneReply, |_| format!("{id} is answered {first} and then {then}"));
            }
            Some(_) => {}
            None => _ = self.judge.outcomes.insert(id, outcome.clone()),
        }
    }

    /// A user is told the outcome of its call.
    pub(crate) fn acknowledge(&mut self, id: CallId, outcome: Outcome<Body>) {
        let Some(&body) = self.judge.issued.get(&id) else {
            return self.violate(Invariant::OneReply, |_| format!("{id} is answered, and nobody asked"));
        };
        let operation = body::operation(body);
        let own = match &outcome {
            Outcome::Reply(told) | Outcome::Failed(told) => body::operation(*told) == operation,
        };
        let first = self.judge.told.get(&operation);
        if !own || first.is_some_and(|first| *first != outcome) {
            let first = first.map_or_else(String::new, |first| format!(" after {}", outcome_text(first)));
            let told = outcome_text(&outcome);
            return self.violate(Invariant::OneReply, |_| {
                format!("the user of {} is told {told}{first}", body::text(body))
            });
        }
        if first.is_none() {
            match outcome {
                Outcome::Reply(_) => self.counts.replies += 1,
                Outcome::Failed(_) => self.counts.failures += 1,
            }
            if let Some(user) = self.users.iter_mut().find(|user| user.id == Some(id)) {
                user.outcome = Some(outcome.clone());
            }
            self.judge.told.insert(operation, outcome);
        }
        self.judge_told(operation);
    }

    /// An effect was had or undone.
    pub(crate) fn effect(&mut self, alias: usize, body: Body) {
        let operation = body::operation(body);
        self.judge.effects.entry(operation).or_default().insert((alias, body));
        let Effect { done, undone } = self.effect_of(alias, body);
        if done > undone + 1 || undone > done {
            self.violate(Invariant::OneEffect, |cluster| {
                let (body, alias) = (body::text(body), cluster.plan.alias_name(alias));
                format!("{body} at {alias} was done {done} times, and undone {undone} times")
            });
        }
        self.judge_told(operation);
    }

    /// What a user was told still holds.
    fn judge_told(&mut self, operation: u32) {
        let Some(told) = self.judge.told.get(&operation) else { return };
        let body = body::of_operation(operation);
        let (holds, said) = match told {
            Outcome::Reply(_) => (self.is_all_done(body), "done"),
            Outcome::Failed(_) => (self.has_none(body), "failed"),
        };
        if !holds {
            self.violate(Invariant::Acknowledged, |cluster| {
                format!(
                    "the user of {} was told that it is {said}; {}",
                    body::text(body),
                    cluster.books(body)
                )
            });
        }
    }

    /// What is in effect on behalf of an operation, in words.
    pub(crate) fn books(&self, body: Body) -> String {
        let effects = self.judge.effects.get(&body::operation(body));
        let net: Vec<String> = effects
            .into_iter()
            .flatten()
            .map(|&(alias, body)| {
                let Effect { done, undone } = self.effect_of(alias, body);
                let undone = if undone > 0 { format!(", undone {undone}") } else { String::new() };
                format!("{} at {}: done {done}{undone}", body::text(body), self.plan.alias_name(alias))
            })
            .collect();
        if net.is_empty() { "nothing was ever done".to_owned() } else { net.join("; ") }
    }

    fn effect_of(&self, alias: usize, body: Body) -> Effect {
        let inside = self.areas[alias].app.get(&body).copied().unwrap_or_default();
        let outside = self.outside.get(&(alias, body)).copied().unwrap_or_default();
        Effect { done: inside.done + outside.done, undone: inside.undone + outside.undone }
    }

    /// Whether nothing that was done on behalf of this is in effect.
    pub(crate) fn has_none(&self, body: Body) -> bool {
        let effects = self.judge.effects.get(&body::operation(body));
        effects
            .into_iter()
            .flatten()
            .all(|&(alias, of)| !body::is_part(of, body) || self.effect_of(alias, of).net() == 0)
    }

    /// Whether what a user asked for is in effect, with all that is called on its behalf.
    pub(crate) fn is_all_done(&self, body: Body) -> bool {
        let user = self.users.iter().find(|user| user.call.number == body::operation(body));
        user.is_some_and(|user| self.is_done(self.plan.alias_of(user.call.service), body))
    }

    fn is_done(&self, alias: usize, body: Body) -> bool {
        let Some(service) = self.plan.service(alias) else { return false };
        let ends = service.ends(body);
        let own = match ends {
            Ends::Returns => true,
            _ => ends.succeeds() && self.effect_of(alias, body).net() == 1,
        };
        let mut done = 0;
        for (nth, target) in service.calls.iter().enumerate() {
            let asked = body::on(body, nth + 1);
            match self.place_is_done(self.plan.alias_of(*target), asked, service.substitute) {
                None => return false,
                Some(is_done) => done += usize::from(is_done),
            }
        }
        own && done >= service.needs()
    }

    /// Whether a call on is in effect; none if it is so in part, or with its substitute.
    fn place_is_done(&self, target: usize, asked: Body, by: Option<SubstitutePlan>) -> Option<bool> {
        let first = self.is_done(target, asked);
        let instead = body::substitute(asked);
        let (second, cancel_old) = by.map_or((false, true), |by| {
            (self.is_done(self.plan.alias_of(by.target), instead), by.cancel_old)
        });
        // What becomes of an old call that was not cancelled nobody knows.
        let in_part = (cancel_old && !first && !self.has_none(asked)) || (!second && !self.has_none(instead));
        let both = first && second && cancel_old;
        (!in_part && !both).then_some(first || second)
    }
}
