//! When all is healed: everything comes to rest, and nothing is left behind.

use std::collections::BTreeMap;

use palib_core::ids::{AliasId, Session};
use palib_core::redundancy::RowState;

use crate::body;
use crate::cluster::Cluster;
use crate::invariant::Invariant;
use crate::process::{MS, US};
use crate::queue::Event;
use crate::schedule::{CLOSING, Call};
use crate::users::User;

/// How long after all is healed something may still be retained that only the next calls release: a caller that calls
/// nobody tells its mark once, and not all that is retained waits for that.
const RETAINED_FOR: u64 = 4_000 * MS;

impl Cluster<'_> {
    /// Once everything rests, users make their last calls; once these are through, all is over.
    pub(crate) fn look_whether_at_rest(&mut self) {
        let Some(healed) = self.healed.filter(|_| self.users_left == 0) else { return };
        let waited = self.now.0 > healed.0 + RETAINED_FOR;
        match self.restless() {
            None => {}
            Some(Restless { retained: true, .. }) if waited && !self.closing => {}
            Some(_) => return,
        }
        if self.closing {
            self.at_rest = true;
            return;
        }
        self.closing = true;
        self.trace.say(self.now, None, || "all is done: each caller calls each service once more".to_owned());
        let mut number = CLOSING;
        for caller in 0..self.plan.callers.len() {
            for service in 0..self.plan.services.len() {
                let call = Call { number, at: self.now.0 / US, caller, service, deadline: None };
                self.later(1, Event::Call(self.users.len()));
                self.users.push(User::new(call));
                self.users_left += 1;
                number += 1;
            }
        }
    }

    /// What is not at rest, if anything is not.
    pub(crate) fn restless(&self) -> Option<Restless> {
        if !self.ftm.lives() {
            return Some(Restless::because("there is no FTM"));
        }
        if self.processes.iter().any(|process| process.alive && process.spared) {
            return Some(Restless::because("a process that is thought dead lives"));
        }
        let all = (0..self.plan.aliases()).filter_map(|alias| {
            let restless = self.alias_restless(alias)?;
            Some(Restless { why: format!("{}: {}", self.plan.alias_name(alias), restless.why), ..restless })
        });
        // What is only retained is the least of it.
        all.min_by_key(|restless| restless.retained)
    }

    fn alias_restless(&self, alias: usize) -> Option<Restless> {
        let active = self.active(alias).filter(|_| self.ftm.is_served(alias));
        let Some((p, s)) = active else { return Some(Restless::because("nobody is in service")) };
        let (side, area) = (&self.processes[p].sides[s], &self.areas[alias]);
        let open =
            |state: &RowState<_>| !matches!(state, RowState::Registered(_) | RowState::Cancelled { .. });
        let left = [
            (!area.outbox.is_empty(), "the outbox is not empty"),
            (side.caller.calls().any(|call| !call.journaled), "a call is not done"),
            (side.server.calls_len() > 0, "a call is in hand"),
            (side.server.held_len() > 0, "a request is held"),
            (side.server.relays_len() > 0, "a transaction is open"),
            (area.rows.values().any(|row| open(&row.state)), "a row is open"),
        ];
        if let Some((_, what)) = left.into_iter().find(|(left, _)| *left) {
            return Some(Restless::because(what));
        }
        let retained = [
            (side.server.retained_len() > 0, "a transaction is retained"),
            (side.caller.calls_len() > 0, "a slot is taken"),
            (!area.journal.is_empty(), "the journal is not empty"),
        ];
        let retained = retained.into_iter().find(|(left, _)| *left);
        retained.map(|(_, what)| Restless { why: what.to_owned(), retained: true })
    }

    /// All is over: what is true of everything now?
    pub(crate) fn settle(&mut self) {
        for user in self.users.clone() {
            let body = body::of_operation(user.call.number);
            let Some(id) = user.id.filter(|_| user.outcome.is_none()) else { continue };
            self.counts.vanished += 1;
            let (none, all) = (self.has_none(body), self.is_all_done(body));
            let outbox = self.plan.callers[user.call.caller].outbox;
            if self.judge.is_kept(id) || !(none || (all && !outbox)) {
                self.violate(Invariant::NobodyForgotten, |cluster| {
                    format!("the user of {} was told nothing; {}", body::text(body), cluster.books(body))
                });
            }
        }
        for alias in 0..self.plan.aliases() {
            self.judge_bounds(alias);
        }
    }

    /// A source has at most one full ring, and what is left of the one before: a call that was being executed when its
    /// session was pruned may have put its row there afterwards, and that goes with the next session.
    fn judge_bounds(&mut self, alias: usize) {
        let mut sessions: BTreeMap<AliasId, BTreeMap<Session, usize>> = BTreeMap::new();
        for key in self.areas[alias].rows.keys() {
            *sessions.entry(key.session.source).or_default().entry(key.session).or_default() += 1;
        }
        for (source, sessions) in sessions {
            let most = sessions.values().copied().max().unwrap_or_default();
            let callers = source.0 as usize <= self.plan.callers.len();
            if most > self.plan.window as usize || (callers && sessions.len() > 2) {
                let many = sessions.len();
                self.violate(Invariant::NothingLeft, |cluster| {
                    let alias = cluster.plan.alias_name(alias);
                    format!("{alias} has {most} rows of {source} in one session, and {many} sessions")
                });
            }
        }
    }
}

/// Something that is not at rest.
pub(crate) struct Restless {
    pub(crate) why: String,
    /// It has its outcome, and is only retained.
    retained: bool,
}

impl Restless {
    fn because(why: &str) -> Self {
        Self { why: why.to_owned(), retained: false }
    }
}
