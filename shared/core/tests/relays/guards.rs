//! The guards are taken away in the shell, so that the machines carry no switches; and each is shown to be needed.

use palib_core::redundancy::{Row, RowState};
use palib_core::relay::Policy;
use palib_core::resend;
use palib_core::server::{Server, Then, Write};

use crate::area::Job;
use crate::feed::Feed;
use crate::model::{FORWARD, breaks, chain, one_call};
use crate::properties::{ACKNOWLEDGED, HEALS, NET_EFFECT};
use crate::servers::told;
use crate::setup::{Body, Ends, Service, Setup, Without};

/// What a shell without a guard commits before a job, and what it tells the machines before the job is durable.
pub(crate) fn early(setup: &Setup, server: &Server<Body>, job: &mut Job) -> (Option<Job>, Vec<Feed>) {
    let Job::Server { incarnation, writes, then, .. } = job else { return (None, Vec::new()) };
    let incarnation = *incarnation;
    let mut feeds = Vec::new();
    let mut tell_early = |early: fn(&Then) -> bool| {
        let told_early = then.take_if(|then| early(then));
        feeds.extend(told_early.map(|then| Feed::Server(told(then, None))));
    };
    match setup.without {
        Some(Without::JournalBeforeSend) => tell_early(|then| matches!(then, Then::StableCall { .. })),
        Some(Without::CourseBeforeCancel) => tell_early(|then| matches!(then, Then::StableCourse { .. })),
        Some(Without::Tombstone) => writes.retain(|write| !is_tombstone(write)),
        Some(Without::CloseBeforeSettle) => {
            feeds.extend(writes.iter().flat_map(|write| settled(server, write)))
        }
        Some(Without::Retention) => {
            let close = writes.iter().find_map(|write| completed(server, write));
            writes.extend(close);
        }
        Some(Without::OneCommit) => {
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
    Some(Write::CloseJournal { served: palib_core::relay::Served { id, born } })
}

#[test]
fn without_the_journal_before_the_request_a_call_on_is_made_twice() {
    breaks(one_call(Ends::Atomic, FORWARD).dies(1), Without::JournalBeforeSend, &[NET_EFFECT, HEALS]);
}

#[test]
fn without_one_commit_for_outcome_and_journal_a_call_on_is_made_twice() {
    breaks(one_call(Ends::Atomic, FORWARD).dies(1), Without::OneCommit, &[NET_EFFECT, HEALS]);
}

/// The first run fails because no slot is free, and the next one, in a new session, would not.
#[test]
fn without_a_stable_course_before_the_cancellation_a_call_succeeds_and_is_undone() {
    let relay = Service::relay(&[2, 2], Ends::Returns, FORWARD);
    let setup = Setup { outbox: false, window: 2, ..Setup::of(vec![relay, Service::leaf()], 2).dies(1) };
    breaks(setup, Without::CourseBeforeCancel, &[HEALS]);
}

/// A relay that was thought dead sends again to the server that took over.
#[test]
fn without_a_tombstone_a_late_request_is_performed_after_its_cancellation() {
    let setup = Setup { zombies: 1, ..one_call(Ends::FailsAfter(1), Policy::RollBack).dies(1).dies(2) };
    breaks(setup, Without::Tombstone, &[NET_EFFECT, ACKNOWLEDGED, HEALS]);
}

#[test]
fn without_waiting_for_the_call_a_cancellation_is_confirmed_and_the_call_takes_effect() {
    breaks(
        one_call(Ends::Returns, Policy::RollBack).dies(1),
        Without::CancelWaits,
        &[NET_EFFECT, ACKNOWLEDGED],
    );
}

#[test]
fn without_the_journal_a_new_run_calls_on_with_fresh_ids() {
    breaks(one_call(Ends::Atomic, FORWARD).dies(1), Without::Journal, &[NET_EFFECT]);
}

#[test]
fn without_the_retained_journal_an_undone_relay_leaves_what_it_called() {
    breaks(chain(Ends::FailsAfter(1), FORWARD).dies(2), Without::Retention, &[ACKNOWLEDGED, HEALS]);
}

#[test]
fn without_a_stable_close_before_calls_on_are_done_they_are_refused_as_stale() {
    let setup = Setup { resend: true, ..one_call(Ends::Atomic, FORWARD).dies(1) };
    breaks(setup, Without::CloseBeforeSettle, &[NET_EFFECT, ACKNOWLEDGED, HEALS]);
}
