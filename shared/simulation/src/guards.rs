//! Where the guards are taken away: in what stands around the machines, so that these carry no switches.

use palib_core::ids::{CallId, Incarnation};
use palib_core::message::{CancelEnd, Message, Request};
use palib_core::redundancy::{Row, RowState};
use palib_core::relay::Served;
use palib_core::resend;
use palib_core::server::{Asker, Input, OnFailure, Server, Then, Write};

use crate::area::{Closure, Job};
use crate::body::Body;
use crate::cluster::Cluster;
use crate::disk::stable;
use crate::feed::Feed;
use crate::guard::Guard;

impl Cluster<'_> {
    /// Gives a job of the server machine to the writer.
    pub(crate) fn submit_server(&mut self, p: usize, s: usize, mut job: Job, next: &mut Vec<Feed>) {
        if let Some(guard) = self.guard {
            let outcome = self.early_outcome(p, s, &job, guard);
            let (first, told) = early(guard, &self.processes[p].sides[s].server, &mut job, outcome);
            next.extend(told);
            if let Some(first) = first {
                self.submit(p, s, first);
            }
        }
        if self.processes[p].alive {
            self.submit(p, s, job);
        }
    }

    /// The outcome that a job will register, as a server without the guard tells it before that is stable.
    fn early_outcome(
        &self,
        p: usize,
        s: usize,
        job: &Job,
        guard: Guard,
    ) -> Option<palib_core::message::Outcome<Body>> {
        if guard != Guard::StableBeforeReply {
            return None;
        }
        let alias = self.processes[p].sides[s].alias;
        self.areas[alias].clone().apply(job, true).outcome
    }

    /// Gives a job of the caller machine to the writer.
    pub(crate) fn submit_caller(
        &mut self,
        p: usize,
        s: usize,
        incarnation: Incarnation,
        write: resend::Write<Body>,
        next: &mut Vec<Feed>,
    ) {
        let (early, id) = match &write {
            resend::Write::Put(pending) => (Guard::OutboxBeforeSend, pending.id),
            resend::Write::Drop(id) => (Guard::DropBeforeMark, *id),
        };
        let told = self.lacks(early);
        if told {
            next.push(Feed::Caller(resend::Input::Stable { id }));
        }
        self.submit(p, s, Job::Caller { incarnation, write, told });
    }

    /// Without the guard, the cancellation of a call that is being executed does not wait for it.
    pub(crate) fn confirms_early(
        &mut self,
        p: usize,
        s: usize,
        asker: Asker,
        request: &Request<Body>,
    ) -> bool {
        let id = request.id;
        if !self.processes[p].sides[s].runs.contains_key(&id) {
            return false;
        }
        let end = CancelEnd::Cancelled { undone: false };
        self.send_back(p, s, asker, id.source, Message::CancelEnded { id, end });
        true
    }

    /// What a server without the guard does with a request for a call that is being executed.
    pub(crate) fn execute_again(&mut self, p: usize, s: usize, id: CallId) {
        let server = &self.processes[p].sides[s].server;
        let Some(view) = server.call(id) else { return };
        let writes =
            vec![Write::Atomic { key: view.key, id, digest: view.digest, failure: OnFailure::Register }];
        let (incarnation, closure) = (server.incarnation(), Closure { body: *view.body, fails: false });
        self.submit(p, s, Job::Server { incarnation, writes, then: None, closure: Some(closure) });
    }

    /// Without the guard, a slot that holds a later call looks empty to an earlier one.
    pub(crate) fn hide_later_call(&self, loaded: &mut Input<Body>) {
        if !self.lacks(Guard::LaterCallInSlot) {
            return;
        }
        if let Input::Loaded { row, .. } = loaded {
            let asked = self.asked;
            *row = row.take().filter(|row| asked.is_none_or(|trans| row.id.trans <= trans));
        }
    }
}

/// What a shell without a guard commits before a job, and what it tells the machines before the job is durable.
fn early(
    guard: Guard,
    server: &Server<Body>,
    job: &mut Job,
    outcome: Option<palib_core::message::Outcome<Body>>,
) -> (Option<Job>, Vec<Feed>) {
    let Job::Server { incarnation, writes, then, .. } = job else { return (None, Vec::new()) };
    let incarnation = *incarnation;
    let mut feeds = Vec::new();
    let designates = writes.iter().any(is_designation);
    let mut tell_early = |early: &dyn Fn(&Then) -> bool| {
        let told_early = then.take_if(|then| early(then));
        feeds.extend(told_early.map(|then| Feed::Server(stable(then, outcome.clone()))));
    };
    match guard {
        Guard::StableBeforeReply => {
            tell_early(&|then| matches!(then, Then::Stable { .. }) && outcome.is_some());
        }
        Guard::StableBeforeResume => tell_early(&|then| matches!(then, Then::StableBlock { .. })),
        Guard::JournalBeforeSend => {
            tell_early(&|then| matches!(then, Then::StableCall { .. }) && !designates);
        }
        Guard::SubstituteBeforeCancel => {
            tell_early(&|then| matches!(then, Then::StableCall { .. }) && designates);
        }
        Guard::CourseBeforeCancel => tell_early(&|then| matches!(then, Then::StableCourse { .. })),
        Guard::StableBeforeUndo => tell_early(&|then| matches!(then, Then::StableUndoing { .. })),
        Guard::StableBeforeConfirm => {
            let atomic = writes.iter().any(|write| matches!(write, Write::AtomicUndo { .. }));
            tell_early(&|then| matches!(then, Then::StableCancelled { .. }) && !atomic);
        }
        Guard::Tombstone => writes.retain(|write| !is_tombstone(write)),
        Guard::CloseBeforeSettle => {
            feeds.extend(writes.iter().flat_map(|write| settled(server, write)));
        }
        Guard::Retention => {
            let close = writes.iter().find_map(|write| completed(server, write));
            writes.extend(close);
        }
        Guard::OneCommit => {
            let close = |write: &Write<Body>| matches!(write, Write::CloseJournal { .. });
            if let Some(at) = writes.iter().position(close).filter(|_| writes.len() > 1) {
                let writes = vec![writes.remove(at)];
                return (Some(Job::Server { incarnation, writes, then: None, closure: None }), feeds);
            }
        }
        _ => {}
    }
    (None, feeds)
}

fn is_designation(write: &Write<Body>) -> bool {
    matches!(write, Write::PutJournal { row } if row.designated.is_some())
}

fn is_tombstone(write: &Write<Body>) -> bool {
    matches!(write, Write::PutRow { row: Row { state: RowState::Cancelled { undone: false }, .. }, .. })
}

/// The calls on of a journal that is closed.
fn settled(server: &Server<Body>, write: &Write<Body>) -> Vec<Feed> {
    let Write::CloseJournal { served } = write else { return Vec::new() };
    let calls = server.transaction(served.id);
    let ids = calls.iter().flat_map(|open| open.calls().map(|(_, call, ..)| call.id));
    ids.map(|id| Feed::Caller(resend::Input::Settled { id })).collect()
}

/// The end of the journal of a call that gets its outcome.
fn completed(server: &Server<Body>, write: &Write<Body>) -> Option<Write<Body>> {
    let id = match write {
        Write::PutRow { row: Row { id, state: RowState::Registered(_), .. }, .. } => *id,
        Write::Atomic { id, .. } => *id,
        _ => return None,
    };
    let born = server.call(id)?.key.session.born;
    server.transaction(id)?;
    Some(Write::CloseJournal { served: Served { id, born } })
}
