//! Services: their handlers call on as their plans say, and end; `recover`, `undo`, and the operator behind them.

use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::redundancy::RedProcess;
use palib_core::relay::{Given, Position, Substitute};
use palib_core::server::{CallState, Input, Recovery, Resolution};

use crate::area::Effect;
use crate::body::{self, Body};
use crate::cluster::Cluster;
use crate::feed::Feed;
use crate::guard::Guard;
use crate::process::{Run, Stage, alias_id};
use crate::queue::Step;
use crate::schedule::{Ends, ServicePlan};
use crate::words::{recovery_text, resolution_text};

/// The number of the redundant-message handler of all services.
pub(crate) const HANDLER: u16 = 3;

impl Cluster<'_> {
    fn plan_of(&self, p: usize, s: usize) -> &ServicePlan {
        let alias = self.processes[p].sides[s].alias;
        self.plan.service(alias).expect("only services are called")
    }

    fn run_mut(&mut self, p: usize, s: usize, id: CallId) -> Option<&mut Run> {
        self.processes[p].sides[s].runs.get_mut(&id)
    }

    pub(crate) fn execute(&mut self, p: usize, s: usize, id: CallId, body: Body) {
        self.runs += 1;
        let number = self.runs;
        let run = Run { number, body, asked: 0, replies: 0, failures: 0, stage: Stage::Running };
        self.processes[p].sides[s].runs.insert(id, run);
        self.say(p, || format!("executes {}", body::text(body)));
        self.goes_on(p, s, id, Step::GoOn);
    }

    /// A handler takes a step, if it is still the run that it belongs to.
    pub(crate) fn step(&mut self, p: usize, s: usize, id: CallId, number: u64, step: Step) {
        let Some(run) = self.run_mut(p, s, id).filter(|run| run.number == number) else { return };
        let body = run.body;
        match step {
            Step::GoOn if run.stage == Stage::Running => self.go_on(p, s, id),
            Step::Again(position) if run.stage == Stage::Running => {
                let nth = usize::from(position.0[0]);
                let ask = self.call_on(p, s, id, body, nth);
                self.feed(p, s, ask);
            }
            Step::Act => self.act(p, s, id, body),
            Step::Register => self.register(p, s, id, body),
            Step::Return => {
                let outcome = Outcome::Reply(self.outside_reply(p, s, body));
                self.ends_here(p, s, id);
                self.feed(p, s, Feed::Server(Input::Returned { id, outcome }));
            }
            Step::GoOn | Step::Again(_) => {}
        }
    }

    fn go_on(&mut self, p: usize, s: usize, id: CallId) {
        let service = self.plan_of(p, s).clone();
        let Some(run) = self.run_mut(p, s, id) else { return };
        let body = run.body;
        let ends = service.ends(body);
        let fails_now =
            matches!(ends, Ends::FailsAfter(replies) if run.replies >= replies.min(service.needs()));
        if fails_now || run.failures > service.calls.len() - service.needs() {
            self.ends_here(p, s, id);
            let outcome = Outcome::Failed(body);
            self.feed(p, s, Feed::Server(Input::Returned { id, outcome }));
        } else if run.replies >= service.needs() {
            self.end(p, s, id, ends);
        } else if service.at_once || run.replies + run.failures == run.asked {
            let until = if service.at_once { service.calls.len() } else { run.asked + 1 };
            let asked = std::mem::replace(&mut run.asked, until);
            for nth in asked..until {
                let ask = self.call_on(p, s, id, body, nth + 1);
                self.feed(p, s, ask);
                if !self.processes[p].alive {
                    return;
                }
            }
        }
    }

    /// The handler has all answers it needs.
    fn end(&mut self, p: usize, s: usize, id: CallId, ends: Ends) {
        let Some(run) = self.run_mut(p, s, id) else { return };
        let body = run.body;
        run.stage = Stage::Ended;
        let input = match ends {
            Ends::Atomic | Ends::AtomicFails => Input::Atomic { id },
            Ends::Returns | Ends::FailsAfter(_) => {
                Input::Returned { id, outcome: Outcome::Reply(body::reply(body, 0)) }
            }
            Ends::Panics => {
                self.counts.panics += 1;
                self.say(p, || format!("the handler of {} panics", body::text(body)));
                self.ends_here(p, s, id);
                Input::Abandoned { id, failure: body }
            }
            Ends::Outside | Ends::OutsideHandler | Ends::OutsidePanics | Ends::InDoubt => {
                run.stage = Stage::Blocking;
                Input::BlockRequest { id }
            }
        };
        self.feed(p, s, Feed::Server(input));
    }

    fn ends_here(&mut self, p: usize, s: usize, id: CallId) {
        self.processes[p].sides[s].runs.remove(&id);
    }

    /// A handler may go on: past its roll-forward point, or what it registered is stable.
    pub(crate) fn resume(&mut self, p: usize, s: usize, id: CallId) {
        let Some(run) = self.run_mut(p, s, id) else { return };
        match run.stage {
            Stage::Blocking => {
                run.stage = Stage::Acting;
                self.goes_on(p, s, id, Step::Act);
            }
            Stage::Registering => {
                run.stage = Stage::Ended;
                self.goes_on(p, s, id, Step::Return);
            }
            Stage::Running | Stage::Acting | Stage::Ended => {}
        }
    }

    /// The effect outside of any stable area.
    fn act(&mut self, p: usize, s: usize, id: CallId, body: Body) {
        let alias = self.processes[p].sides[s].alias;
        self.outside.entry((alias, body)).or_default().done += 1;
        self.say(p, || format!("has the effect of {} outside", body::text(body)));
        self.effect(alias, body);
        if self.plan_of(p, s).ends(body) == Ends::OutsidePanics {
            self.counts.panics += 1;
            self.ends_here(p, s, id);
            return self.feed(p, s, Feed::Server(Input::Abandoned { id, failure: body }));
        }
        self.goes_on(p, s, id, Step::Register);
    }

    fn register(&mut self, p: usize, s: usize, id: CallId, body: Body) {
        let reply = self.outside_reply(p, s, body);
        let handler = self.plan_of(p, s).ends(body) == Ends::OutsideHandler;
        let Some(run) = self.run_mut(p, s, id) else { return };
        let red = if handler {
            run.stage = Stage::Registering;
            RedProcess::Handler { index: HANDLER, arg: reply }
        } else {
            run.stage = Stage::Ended;
            RedProcess::AutoReply(Outcome::Reply(reply))
        };
        self.feed(p, s, Feed::Server(Input::SetRedProcess { id, red }));
    }

    /// The reply to a call whose effect is outside: the world has no other record of when it was done.
    fn outside_reply(&self, p: usize, s: usize, body: Body) -> Body {
        let alias = self.processes[p].sides[s].alias;
        body::reply(body, self.outside.get(&(alias, body)).map_or(0, |effect| effect.done))
    }

    /// The commit of an outcome is stable: a handler whose closure failed goes on, and fails.
    pub(crate) fn ended(&mut self, p: usize, s: usize, id: CallId, outcome: Outcome<Body>) {
        if !self.processes[p].alive {
            return;
        }
        let ran = self.processes[p].sides[s].runs.remove(&id);
        if ran.is_some() && matches!(outcome, Outcome::Failed(_)) {
            self.feed(p, s, Feed::Server(Input::Returned { id, outcome }));
        }
    }

    /// A handler is given what it waits for.
    pub(crate) fn give(
        &mut self,
        p: usize,
        s: usize,
        (id, position): (CallId, Position),
        given: Given<Body>,
    ) {
        let patient = self.plan.patient;
        let Some(run) = self.run_mut(p, s, id) else { return };
        match given {
            Given::Answer { outcome: Outcome::Reply(_), .. } => run.replies += 1,
            Given::Rejected(_) if patient => return self.goes_on(p, s, id, Step::Again(position)),
            Given::Answer { .. } | Given::Refused(_) | Given::Rejected(_) => run.failures += 1,
            Given::Diverged { .. } | Given::Over => return self.ends_here(p, s, id),
        }
        self.goes_on(p, s, id, Step::GoOn);
    }

    fn call_on(&self, p: usize, s: usize, id: CallId, asked: Body, nth: usize) -> Feed {
        let (position, body) = (Position(vec![nth as u16]), body::on(asked, nth));
        let target = alias_id(self.plan.alias_of(self.plan_of(p, s).calls[nth - 1]));
        Feed::Server(Input::CallOn { id, position, target, body, digest: u128::from(body) })
    }

    /// What the service designates in the place of an unanswered call.
    pub(crate) fn substitute(&self, p: usize, s: usize, asked: Body) -> Option<Substitute<Body>> {
        let by = self.plan_of(p, s).substitute?;
        let incarnation = self.processes[p].sides[s].held.unwrap_or_default();
        let late = by.until > 0 && incarnation.0 > by.until;
        (!body::is_substitute(asked) && !late).then(|| Substitute {
            target: alias_id(self.plan.alias_of(by.target)),
            body: body::substitute(asked),
            cancel_old: by.cancel_old,
        })
    }

    /// The service undoes what it did for a call. It looks first only if it is told that it may have been interrupted
    /// before.
    pub(crate) fn undo(&mut self, p: usize, s: usize, id: CallId, body: Body, interrupted: bool) {
        let service = self.plan_of(p, s);
        let (ends, fails_once) = (service.ends(body), service.undo_fails_once);
        let side = &mut self.processes[p].sides[s];
        let alias = side.alias;
        let input = if fails_once && side.not_undone.insert(id) {
            Input::Undone { id, result: Err(body) }
        } else if ends == Ends::Atomic {
            self.counts.undone += 1;
            Input::UndoAtomic { id }
        } else {
            let effect = self.outside.entry((alias, body)).or_default();
            if ends.is_outside() && (!interrupted || effect.net() > 0) {
                effect.undone += 1;
                self.counts.undone += 1;
                self.say(p, || format!("undoes {} outside", body::text(body)));
                self.effect(alias, body);
            }
            Input::Undone { id, result: Ok(()) }
        };
        self.feed(p, s, Feed::Server(input));
    }

    /// What the service finds when it looks outside. The reply is the one that was, or would have been, given.
    pub(crate) fn recover(&mut self, p: usize, s: usize, id: CallId, body: Body) {
        let alias = self.processes[p].sides[s].alias;
        let done = self.outside.get(&(alias, body)).is_some_and(|effect| effect.net() > 0);
        let recovery = if self.lacks(Guard::Recover) {
            Recovery::NotExecuted
        } else if self.plan_of(p, s).ends(body) == Ends::InDoubt {
            Recovery::Unknown
        } else if done {
            self.counts.recovered_done += 1;
            Recovery::Completed(Outcome::Reply(self.outside_reply(p, s, body)))
        } else {
            self.counts.recovered_undone += 1;
            Recovery::NotExecuted
        };
        self.say(p, || format!("recovers {}: {}", body::text(body), recovery_text(&recovery)));
        self.feed(p, s, Feed::Server(Input::Recovered { id, recovery }));
    }

    /// An operator looks, and decides: about a call in doubt by what it finds outside, about what could not be undone
    /// by trying once more.
    pub(crate) fn decide(&mut self, p: usize, s: usize, id: CallId) {
        let side = &self.processes[p].sides[s];
        let Some(view) = side.server.call(id) else { return };
        let body = *view.body;
        let resolution = match view.state {
            CallState::InDoubt => {
                let outside: Effect = self.outside.get(&(side.alias, body)).copied().unwrap_or_default();
                match outside.net() {
                    0 => Resolution::Rerun,
                    _ => Resolution::Outcome(Outcome::Reply(self.outside_reply(p, s, body))),
                }
            }
            CallState::Stuck => Resolution::Rerun,
            _ => return,
        };
        self.counts.decided += 1;
        self.say(p, || {
            format!("an operator decides about {}: {}", body::text(body), resolution_text(&resolution))
        });
        self.feed(p, s, Feed::Server(Input::Resolve { id, resolution }));
    }
}
