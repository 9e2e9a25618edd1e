//! What was found in the serving machine, one story each, in as few steps as it takes.

use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Nanos, Origin, Session, SlotKey, TransId};
use palib_core::message::{CancelEnd, Outcome, Refusal, Request};
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::relay::{Course, Journaled, News, Policy, Position, Served, Substitute};
use palib_core::resend::Pending;
use palib_core::server::{Asker, Effect, Input, Recovery, Resolution, Server, Settings, Then, Write};

const RELAY: AliasId = AliasId(1);
const CLIENT: AliasId = AliasId(2);
const SERVER: AliasId = AliasId(3);

fn id(source: AliasId, nth: u64) -> CallId {
    CallId { source, origin: Origin::Incarnation(Incarnation(1)), trans: TransId(nth) }
}

fn key() -> SlotKey {
    SlotKey::of(Session { source: CLIENT, born: Incarnation(1) }, TransId(1), 4)
}

fn mark(nth: u64) -> Mark {
    Mark { born: Incarnation(1), trans: TransId(nth) }
}

fn request(mark: Mark, cancellable: bool) -> Request<u32> {
    let (id, born) = (id(CLIENT, 1), Incarnation(1));
    Request { id, born, target: RELAY, mark, attempt: 0, cancellable, body: 7 }
}

fn pending() -> Pending<u32> {
    Pending { id: id(RELAY, 1), born: Incarnation(1), target: SERVER, invoked: Nanos(0), body: 71 }
}

fn journaled() -> Journaled<u32> {
    let served = Served { id: id(CLIENT, 1), born: Incarnation(1) };
    let (position, call, answer) = (Position(vec![1]), pending(), Some(Outcome::Reply(710)));
    // What a handler asks for is known by target and message together.
    let digest = 71_u128.rotate_left(64) ^ u128::from(SERVER.0);
    Journaled { served, position, call, digest, answer, designated: None }
}

fn feed(server: &mut Server<u32>, input: Input<u32>) -> Vec<Effect<u32>> {
    let mut effects = Vec::new();
    server.handle(Nanos(0), input, &mut effects);
    effects
}

fn backup() -> Server<u32> {
    let on_takeover = Policy::RollForward;
    Server::new(Settings { alias: RELAY, window: 4, sessions_max: 8, calls_max: 64, on_takeover })
}

fn promoted(
    blocked: Vec<(SlotKey, Row<u32>)>,
    journal: Vec<Journaled<u32>>,
) -> (Server<u32>, Vec<Effect<u32>>) {
    let mut server = backup();
    let effects = feed(&mut server, Input::Promoted { incarnation: Incarnation(2), blocked, journal });
    (server, effects)
}

/// A relay that found a call past its roll-forward point, with a call on that was answered.
fn blocked() -> (Server<u32>, Vec<Effect<u32>>) {
    let row = Row { id: id(CLIENT, 1), digest: 7, state: RowState::Blocked { request: 7 } };
    promoted(vec![(key(), row)], vec![journaled()])
}

/// A relay that found a call under way, with this row in its journal.
fn relaying(policy: Policy, row: Journaled<u32>) -> (Server<u32>, Vec<Effect<u32>>) {
    let state = RowState::Relaying { request: 7, policy, course: Course::Forward, cancellable: false };
    promoted(vec![(key(), Row { id: id(CLIENT, 1), digest: 7, state })], vec![row])
}

/// A relay whose handler has made a call on that was answered, and runs.
fn running() -> Server<u32> {
    let (mut server, effects) = relaying(Policy::RollForward, journaled());
    assert!(effects.contains(&Effect::Execute { id: id(CLIENT, 1), body: 7 }));
    let (position, target) = (Position(vec![1]), SERVER);
    feed(&mut server, Input::CallOn { id: id(CLIENT, 1), position, target, body: 71, digest: 71 });
    server
}

fn commits(effects: &[Effect<u32>]) -> Vec<&Write<u32>> {
    let writes = effects.iter().filter_map(|effect| match effect {
        Effect::Commit { writes, .. } => Some(writes),
        _ => None,
    });
    writes.flatten().collect()
}

/// The commit of atomic mode was under way when somebody set another policy: the row that says the call is under way
/// came to lie over its outcome, and the next takeover performed it again, without its journal.
#[test]
fn a_policy_that_is_set_while_the_outcome_is_committed_writes_nothing() {
    let mut server = running();
    let atomic = feed(&mut server, Input::Atomic { id: id(CLIENT, 1) });
    assert!(commits(&atomic).iter().any(|write| matches!(write, Write::Atomic { .. })));
    let effects = feed(&mut server, Input::SetPolicy { id: id(CLIENT, 1), policy: Policy::RollBack });
    assert!(commits(&effects).is_empty(), "{effects:?}");
}

/// The same with an operator who rolled it back: its own effect was durable, and what it had called was undone.
#[test]
fn a_call_whose_outcome_is_being_committed_is_not_rolled_back_by_an_operator() {
    let mut server = running();
    feed(&mut server, Input::Atomic { id: id(CLIENT, 1) });
    let roll_back = Input::Resolve { id: id(CLIENT, 1), resolution: Resolution::RollBack };
    assert_eq!(feed(&mut server, roll_back), []);
}

/// `recover` said that the call had failed. What it had called stayed in effect; and the stable outcome was taken for a
/// closure that had failed, so nobody was ever answered.
#[test]
fn a_call_that_recover_says_has_failed_is_undone_and_then_answered() {
    let (mut server, effects) = blocked();
    assert!(effects.contains(&Effect::Recover { id: id(CLIENT, 1), request: 7 }));
    let recovery = Recovery::Completed(Outcome::Failed(9));
    let effects = feed(&mut server, Input::Recovered { id: id(CLIENT, 1), recovery });
    assert!(matches!(
        commits(&effects)[..],
        [Write::PutRow { row: Row { state: RowState::Relaying { .. }, .. }, .. }]
    ));
    let effects = feed(&mut server, Input::StableCourse { id: id(CLIENT, 1) });
    assert!(effects.contains(&Effect::CancelOn { id: id(RELAY, 1) }));
}

/// An operator knew that a call in doubt had failed: the same silence.
#[test]
fn a_call_in_doubt_that_an_operator_lets_fail_ends() {
    let (mut server, _) = blocked();
    feed(&mut server, Input::Recovered { id: id(CLIENT, 1), recovery: Recovery::Unknown });
    let resolution = Resolution::Outcome(Outcome::Failed(9));
    let effects = feed(&mut server, Input::Resolve { id: id(CLIENT, 1), resolution });
    assert!(commits(&effects).iter().any(|write| matches!(write, Write::CloseJournal { .. })));
    feed(&mut server, Input::Stable { id: id(CLIENT, 1), outcome: Some(Outcome::Failed(9)) });
    assert_eq!((server.calls_len(), server.relays_len()), (0, 0));
}

/// A handler that returned while its roll-forward point was being committed had its failure registered, and what it
/// had called stayed in effect.
#[test]
fn a_handler_that_fails_while_its_roll_forward_point_is_committed_is_undone() {
    let mut server = running();
    feed(&mut server, Input::BlockRequest { id: id(CLIENT, 1) });
    let effects = feed(&mut server, Input::Returned { id: id(CLIENT, 1), outcome: Outcome::Failed(9) });
    assert!(effects.iter().any(|effect| matches!(
        effect,
        Effect::Commit { then, .. } if *then == Some(Then::StableCourse { id: id(CLIENT, 1) })
    )));
}

/// The row of a roll-forward point does not say whether the call may still be cancelled. Its journal was dropped with
/// its outcome, and a later cancellation undid the call without what it had called.
#[test]
fn the_journal_of_a_call_that_was_found_past_its_roll_forward_point_is_retained() {
    let (mut server, _) = blocked();
    let recovery = Recovery::Completed(Outcome::Reply(9));
    let effects = feed(&mut server, Input::Recovered { id: id(CLIENT, 1), recovery });
    assert!(
        !commits(&effects).iter().any(|write| matches!(write, Write::CloseJournal { .. })),
        "{effects:?}"
    );
}

/// A late request, with an old mark, made the server load the mark that is stored. When the mark itself came it was no
/// news, and what is retained below it stayed for ever.
#[test]
fn a_mark_that_is_loaded_releases_what_is_retained() {
    let (mut server, _) = promoted(vec![], vec![journaled()]);
    assert_eq!(server.retained_len(), 1);
    let (asker, request) = (Asker(1), request(mark(1), true));
    feed(&mut server, Input::Request { asker, request, digest: 7 });
    let state = RowState::Registered(RedProcess::AutoReply(Outcome::Reply(9)));
    let row = Some(Row { id: id(CLIENT, 1), digest: 7, state });
    feed(&mut server, Input::Loaded { key: key(), row, mark: Some(mark(2)) });
    feed(&mut server, Input::Mark { source: CLIENT, mark: mark(2) });
    assert_eq!(server.retained_len(), 0);
}

/// An alias was deleted before this member was promoted: nobody would tell its mark any more.
#[test]
fn what_is_retained_of_an_alias_that_is_gone_is_released_at_the_promotion() {
    let mut server = backup();
    feed(&mut server, Input::AliasesGone { aliases: vec![(CLIENT, Incarnation(2))] });
    let journal = vec![journaled()];
    feed(&mut server, Input::Promoted { incarnation: Incarnation(2), blocked: vec![], journal });
    assert_eq!(server.retained_len(), 0);
}

/// A relay that took over asked again for a call whose cancellation had been interrupted by a death. It was told that
/// the call is cancelled and was done with it, and nobody ever undid it.
#[test]
fn a_request_that_finds_an_interrupted_undo_is_refused_when_that_has_ended() {
    let (mut server, _) = promoted(vec![], vec![]);
    let (asker, request) = (Asker(1), request(mark(1), true));
    feed(&mut server, Input::Request { asker, request, digest: 7 });
    let state = RowState::Undoing(RedProcess::AutoReply(Outcome::Reply(9)));
    let row = Some(Row { id: id(CLIENT, 1), digest: 7, state });
    let effects = feed(&mut server, Input::Loaded { key: key(), row, mark: None });
    assert!(
        effects.iter().any(|effect| matches!(effect, Effect::Undo { interrupted: true, .. })),
        "{effects:?}"
    );
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Refuse { .. })), "{effects:?}");
    feed(&mut server, Input::UndoAtomic { id: id(CLIENT, 1) });
    let outcome = Some(Outcome::Reply(0));
    let effects = feed(&mut server, Input::StableCancelled { id: id(CLIENT, 1), outcome });
    let refusal = Refusal::Cancelled;
    assert!(effects.contains(&Effect::Refuse { asker, id: id(CLIENT, 1), refusal }), "{effects:?}");
}

/// The old call of a substitute could not be undone. It was sent again, and the handler waited for an answer that
/// nobody would give.
#[test]
fn a_transaction_turns_back_when_the_old_call_of_a_substitute_cannot_be_undone() {
    let (mut server, effects) = relaying(Policy::Substitute, Journaled { answer: None, ..journaled() });
    assert!(effects.iter().any(|effect| matches!(effect, Effect::AskSubstitute { .. })));
    let by = Some(Substitute { target: SERVER, body: 76, cancel_old: true });
    feed(&mut server, Input::Substituted { id: id(CLIENT, 1), position: Position(vec![1]), by });
    feed(&mut server, Input::StableCall { id: id(RELAY, 1) });
    let news = News::Cancel(CancelEnd::NotUndone(9));
    let effects = feed(&mut server, Input::News { id: id(RELAY, 1), news });
    let [Write::PutRow { row, .. }] = commits(&effects)[..] else { panic!("{effects:?}") };
    assert!(matches!(&row.state, RowState::Relaying { course: Course::Back, .. }));
}

/// The client died without an outbox, so its mark rose over its call. When another call of it was registered, the row
/// of the one under way was dropped with its session; the next takeover took the journal for that of a completed call.
#[test]
fn the_mark_is_not_stored_over_a_transaction_that_is_under_way() {
    let mut server = running();
    let risen = Mark { born: Incarnation(2), trans: TransId(1) };
    let id = CallId { source: CLIENT, origin: Origin::Incarnation(Incarnation(2)), trans: TransId(1) };
    let request = Request { id, born: Incarnation(2), ..request(risen, false) };
    feed(&mut server, Input::Request { asker: Asker(1), request, digest: 7 });
    let key = SlotKey::of(Session { source: CLIENT, born: Incarnation(2) }, TransId(1), 4);
    feed(&mut server, Input::Loaded { key, row: None, mark: None });
    let effects = feed(&mut server, Input::Returned { id, outcome: Outcome::Reply(9) });
    let stored = commits(&effects).into_iter().find_map(|write| match write {
        Write::PutMark { mark, .. } => Some(mark.born),
        _ => None,
    });
    assert!(stored.is_none_or(|born| born <= Incarnation(1)), "{effects:?}");
}
