//! The wiring of the two machines of a side: what their effects ask for is done at once and in depth, before the next
//! thing that happens to the process.

use palib_core::ids::CallId;
use palib_core::message::{Message, Outcome};
use palib_core::relay::{OnState, Position, Step as Told};
use palib_core::resend::{self, Pending, Rejection};
use palib_core::server::{self, Effect, Input, Note};

use crate::area::Job;
use crate::body::Body;
use crate::cluster::Cluster;
use crate::guard::Guard;
use crate::invariant::Invariant;
use crate::process::{MS, US};
use crate::queue::{Event, Local, Step};
use crate::random::Lane;
use crate::words::back_text;

/// Something for one of the machines.
#[derive(Debug)]
pub(crate) enum Feed {
    Server(Input<Body>),
    Caller(resend::Input<Body>),
}

impl Cluster<'_> {
    pub(crate) fn feed(&mut self, p: usize, s: usize, first: Feed) {
        let mut feeds = vec![first];
        while let Some(feed) = feeds.pop() {
            if !self.processes[p].alive {
                return;
            }
            let mut next = Vec::new();
            match feed {
                Feed::Server(input) => {
                    let mut effects = Vec::new();
                    self.processes[p].sides[s].server.handle(self.now, input, &mut effects);
                    for effect in effects {
                        self.server_effect(p, s, effect, &mut next);
                    }
                }
                Feed::Caller(input) => {
                    let mut effects = Vec::new();
                    self.processes[p].sides[s].caller.handle(self.now, input, &mut effects);
                    for effect in effects {
                        self.caller_effect(p, s, effect, &mut next);
                    }
                }
            }
            feeds.extend(next.into_iter().rev());
        }
        self.set_wakeup(p, s);
    }

    /// The caller is told that time has passed when it wants to be.
    fn set_wakeup(&mut self, p: usize, s: usize) {
        let process = &mut self.processes[p];
        let Some(due) = process.sides[s].caller.next_wakeup().filter(|_| process.alive) else { return };
        let side = &mut process.sides[s];
        let due = due.max(self.now);
        if side.wakeup.is_none_or(|set| due < set) {
            side.wakeup = Some(due);
            self.queue.push(due, Event::Local(p, Local::Tick(s)));
        }
    }

    pub(crate) fn tick(&mut self, p: usize, s: usize) {
        let side = &mut self.processes[p].sides[s];
        if side.wakeup.is_none_or(|due| due > self.now) {
            return;
        }
        side.wakeup = None;
        self.feed(p, s, Feed::Caller(resend::Input::Tick));
    }

    fn server_effect(&mut self, p: usize, s: usize, effect: Effect<Body>, next: &mut Vec<Feed>) {
        if !self.processes[p].alive {
            return;
        }
        match effect {
            Effect::Commit { incarnation, writes, then } => {
                let closure = self.closure(p, s, &writes);
                let job = Job::Server { incarnation, writes, then, closure };
                self.submit_server(p, s, job, next);
            }
            Effect::Load { key } if self.plan.slow_reads => {
                let alias = self.processes[p].sides[s].alias;
                let after = self.chance(Lane::Disk(alias)).between(20, 3000) * US;
                self.locally(after, p, Local::Read(s, key));
            }
            Effect::Load { key } => {
                let mut loaded = self.loaded(p, s, key);
                self.hide_later_call(&mut loaded);
                next.push(Feed::Server(loaded));
            }
            Effect::Answer { asker, id, outcome, redundant } => {
                self.judge_answer(id, &outcome);
                self.counts.redundant += u64::from(redundant);
                self.send_back(p, s, asker, id.source, Message::Answer { id, outcome, redundant });
            }
            Effect::Refuse { asker, id, refusal } => {
                self.send_back(p, s, asker, id.source, Message::Refused { id, refusal });
            }
            Effect::AnswerCancel { asker, id, end } => {
                self.send_back(p, s, asker, id.source, Message::CancelEnded { id, end });
            }
            Effect::Ready => self.ready(p, s),
            Effect::Note(note) => self.note(p, s, note),
            effect => self.service_effect(p, s, effect, next),
        }
    }

    fn service_effect(&mut self, p: usize, s: usize, effect: Effect<Body>, next: &mut Vec<Feed>) {
        let alias = self.processes[p].sides[s].alias;
        let soon = self.chance(Lane::Service(alias)).between(20, 2000) * US;
        match effect {
            Effect::Execute { id, body } => self.execute(p, s, id, body),
            Effect::Resume { id } => self.resume(p, s, id),
            Effect::Give { id, position, given } => self.give(p, s, (id, position), given),
            Effect::CallHandler { id, index, arg, .. } => {
                debug_assert_eq!(index, crate::service::HANDLER);
                self.counts.handlers += 1;
                self.locally(soon, p, Local::Answered { side: s, id, reply: arg });
            }
            Effect::Recover { id, request } => {
                self.locally(soon, p, Local::Recover { side: s, id, request });
            }
            Effect::Undo { id, request, interrupted, .. } => {
                self.counts.undo_interrupted += u64::from(interrupted);
                self.locally(soon, p, Local::Undo { side: s, id, request, interrupted });
            }
            Effect::Allot { id, position, target, body } => {
                let reserve = resend::Input::Reserve { token: 0, target, body };
                next.push(Feed::Server(self.allot(p, s, id, position, reserve)));
            }
            Effect::SendOn { id } => next.push(Feed::Caller(resend::Input::Stable { id })),
            Effect::CancelOn { id } => next.push(Feed::Caller(resend::Input::Cancel { id })),
            Effect::Settle { ids } => {
                next.extend(ids.into_iter().map(|id| Feed::Caller(resend::Input::Settled { id })));
            }
            Effect::AskSubstitute { id, position, body, .. } => {
                let by = self.substitute(p, s, body);
                self.counts.substituted += u64::from(by.is_some());
                next.push(Feed::Server(Input::Substituted { id, position, by }));
            }
            _ => unreachable!("done elsewhere"),
        }
    }

    /// A call on gets its id at once.
    fn allot(
        &mut self,
        p: usize,
        s: usize,
        id: CallId,
        position: Position,
        ask: resend::Input<Body>,
    ) -> Input<Body> {
        let mut effects = Vec::new();
        let caller = &mut self.processes[p].sides[s].caller;
        caller.handle(self.now, ask, &mut effects);
        let started = effects.iter().find_map(|effect| match effect {
            resend::Effect::Started { id, .. } => Some(Ok(*id)),
            resend::Effect::Rejected { reason, .. } => Some(Err(*reason)),
            _ => None,
        });
        let pending = |id| caller.call_view(id).map(|view| view.call.clone()).ok_or(Rejection::NotInService);
        let call: Result<Pending<Body>, _> =
            started.expect("a reservation is answered at once").and_then(pending);
        match &call {
            Ok(call) => {
                self.counts.calls_on += 1;
                let (id, body) = (call.id, call.body);
                self.judge_issue(id, body);
            }
            Err(_) => self.counts.window_full += 1,
        }
        Input::Allotted { id, position, call }
    }

    fn note(&mut self, p: usize, s: usize, note: Note<Body>) {
        match note {
            Note::Held { id } => {
                self.counts.held += 1;
                if self.lacks(Guard::Hold) {
                    self.execute_again(p, s, id);
                }
            }
            Note::Stale { .. } => self.counts.stale += 1,
            Note::InDoubt { id } => {
                self.counts.in_doubt += 1;
                let text = self.judge.text_of(id);
                self.say(p, || format!("{text} is in doubt"));
                self.operator(p, s, id);
            }
            Note::Cancelled { undone, .. } => {
                self.counts.cancelled += 1;
                self.counts.tombstones += u64::from(!undone);
            }
            Note::Undoing { .. } | Note::Redundant { .. } => {}
            Note::Relay { id, step } => self.relay_note(p, s, id, step),
        }
    }

    fn relay_note(&mut self, p: usize, s: usize, id: CallId, step: Told<Body>) {
        match step {
            Told::RolledForward { .. } => {
                self.counts.rolled_forward += 1;
                let text = self.judge.text_of(id);
                self.say(p, || format!("rolls {text} forward"));
            }
            Told::RollingBack(why) => {
                let text = self.judge.text_of(id);
                self.say(p, || format!("rolls {text} back: {}", back_text(&why)));
            }
            Told::RolledBack(_) => {
                self.counts.rolled_back += 1;
                let text = self.judge.text_of(id);
                self.say(p, || format!("{text} is rolled back"));
            }
            Told::Stuck { .. } => {
                self.counts.stuck += 1;
                let text = self.judge.text_of(id);
                self.say(p, || format!("can't undo all of {text}"));
                self.operator(p, s, id);
            }
            Told::Diverged { position, .. } => {
                self.violate(Invariant::NoDivergence, |_| format!("{id} at its place {position}"));
            }
            Told::Answered { replayed, .. } => self.counts.replayed += u64::from(replayed),
            Told::Completed { .. } => {
                let retained = self.processes[p].sides[s].server.transaction(id);
                let retained = retained.is_some_and(|view| {
                    view.calls().any(|(_, _, state, _)| matches!(state, OnState::Answered(_)))
                });
                self.counts.retained += u64::from(retained);
            }
            Told::CalledOn(_) | Told::Substituted { .. } | Told::CancelSent(_) | Told::CancelConfirmed(_) => {
            }
        }
    }

    /// An operator looks at it in a while.
    fn operator(&mut self, p: usize, s: usize, id: CallId) {
        let alias = self.processes[p].sides[s].alias;
        let after = self.chance(Lane::Users(alias)).between(20, 300) * MS;
        self.locally(after, p, Local::Decide { side: s, id });
    }

    pub(crate) fn handler_answered(&mut self, p: usize, s: usize, id: CallId, reply: Body) {
        let outcome = Outcome::Reply(reply);
        self.feed(p, s, Feed::Server(Input::HandlerAnswered { id, outcome }));
    }

    /// Lets a handler take its next step in a while.
    pub(crate) fn goes_on(&mut self, p: usize, s: usize, id: CallId, step: Step) {
        let side = &self.processes[p].sides[s];
        let (alias, Some(run)) = (side.alias, side.runs.get(&id).map(|run| run.number)) else { return };
        let chance = self.chance(Lane::Service(alias));
        let after = match chance.below(20) {
            0 => chance.between(2, 80) * MS,
            _ => chance.between(10, 1500) * US,
        };
        let after = if matches!(step, Step::Again(_)) { after + 20 * MS } else { after };
        self.locally(after, p, Local::Handler { side: s, id, run, step });
    }

    fn caller_effect(&mut self, p: usize, s: usize, effect: resend::Effect<Body>, next: &mut Vec<Feed>) {
        use resend::Effect;
        if !self.processes[p].alive {
            return;
        }
        match effect {
            Effect::Commit { incarnation, write } => self.submit_caller(p, s, incarnation, write, next),
            Effect::Send { port, request } => {
                let target = request.target;
                self.send(p, s, port, target, Message::Request(request));
            }
            Effect::SendCancel { port, request } => {
                let target = request.target;
                self.send(p, s, port, target, Message::Cancel(request));
            }
            Effect::SendMark { port, target, mark } => {
                self.counts.marks_told += 1;
                let source = crate::process::alias_id(self.processes[p].sides[s].alias);
                self.send(p, s, port, target, Message::Mark { source, target, mark });
            }
            Effect::Relay { id, news } => next.push(Feed::Server(server::Input::News { id, news })),
            Effect::Inquire { target } => {
                let inquiry = crate::queue::FtmEvent::Inquires { process: p, target };
                self.tell_ftm(p, inquiry);
            }
            effect => self.user_effect(p, s, effect),
        }
    }
}
