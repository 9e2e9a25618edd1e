//! What a server does with requests, handlers and what lies in its stable area, one decision at a time.

use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Nanos, Origin, PortId, Session, SlotKey, TransId};
use palib_core::message::{Outcome, Refusal, Request};
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::relay::Policy;
use palib_core::server::{
    Asker, CallState, Effect, Input, Note, OnFailure, Recovery, Resolution, Server, Settings, Then, Write,
};

const COUNTER: AliasId = AliasId(1);
const CALLER: AliasId = AliasId(2);
const WINDOW: u32 = 4;
const FIRST: Asker = Asker(1);
const SECOND: Asker = Asker(2);

/// A server, with a stable area that answers every load with what a test put there.
struct Bench {
    server: Server<u32>,
    rows: Vec<(SlotKey, Row<u32>)>,
    mark: Option<Mark>,
    loads: usize,
}

impl Bench {
    /// In service, in incarnation 5, over an empty area.
    fn new() -> Self {
        let mut bench = Self::backup(64, 8);
        assert_eq!(
            bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked: vec![], journal: vec![] }),
            [Effect::Ready]
        );
        bench
    }

    fn backup(calls_max: usize, sessions_max: usize) -> Self {
        let on_takeover = Policy::RollForward;
        let settings = Settings { alias: COUNTER, window: WINDOW, sessions_max, calls_max, on_takeover };
        Self { server: Server::new(settings), rows: vec![], mark: None, loads: 0 }
    }

    /// Feeds an input and what follows from its loads; the loads themselves are only counted.
    fn feed(&mut self, input: Input<u32>) -> Vec<Effect<u32>> {
        let mut effects = Vec::new();
        self.server.handle(Nanos(0), input, &mut effects);
        while let Some(place) = effects.iter().position(|effect| matches!(effect, Effect::Load { .. })) {
            let Effect::Load { key } = effects.remove(place) else { unreachable!() };
            self.loads += 1;
            assert!(self.loads < 100, "it looks for a row for ever");
            let row = self.rows.iter().find(|(there, _)| *there == key).map(|(_, row)| row.clone());
            self.server.handle(Nanos(0), Input::Loaded { key, row, mark: self.mark }, &mut effects);
        }
        effects
    }

    fn ask(&mut self, asker: Asker, request: Request<u32>) -> Vec<Effect<u32>> {
        let digest = u128::from(request.body);
        self.feed(Input::Request { asker, request, digest })
    }

    /// A whole call in atomic mode, from the request to its answer.
    fn serve(&mut self, request: Request<u32>) {
        let id = request.id;
        self.ask(FIRST, request);
        self.feed(Input::Atomic { id });
        let effects = self.feed(Input::Stable { id, outcome: Some(reply(7)) });
        assert_eq!(effects, [answer(FIRST, id, 7, false)]);
    }
}

fn session(born: u64) -> Session {
    Session { source: CALLER, born: Incarnation(born) }
}

fn key(born: u64, trans: u64) -> SlotKey {
    SlotKey::of(session(born), TransId(trans), WINDOW)
}

fn id(born: u64, trans: u64) -> CallId {
    CallId { source: CALLER, origin: Origin::Incarnation(Incarnation(born)), trans: TransId(trans) }
}

fn mark(born: u64, trans: u64) -> Mark {
    Mark { born: Incarnation(born), trans: TransId(trans) }
}

/// A request whose caller is done with nothing.
fn request(born: u64, trans: u64) -> Request<u32> {
    let (born, body) = (Incarnation(born), 100 + trans as u32);
    Request {
        id: id(born.0, trans),
        born,
        target: COUNTER,
        mark: mark(1, 0),
        attempt: 0,
        cancellable: false,
        body,
    }
}

fn row(born: u64, trans: u64, state: RowState<u32>) -> (SlotKey, Row<u32>) {
    (key(born, trans), Row { id: id(born, trans), digest: u128::from(100 + trans), state })
}

fn replied(born: u64, trans: u64) -> (SlotKey, Row<u32>) {
    row(born, trans, RowState::Registered(RedProcess::AutoReply(reply(7))))
}

fn reply(number: u32) -> Outcome<u32> {
    Outcome::Reply(number)
}

fn answer(asker: Asker, id: CallId, number: u32, redundant: bool) -> Effect<u32> {
    Effect::Answer { asker, id, outcome: reply(number), redundant }
}

fn refused(asker: Asker, id: CallId, refusal: Refusal) -> Effect<u32> {
    Effect::Refuse { asker, id, refusal }
}

fn put(born: u64, trans: u64, state: RowState<u32>) -> Write<u32> {
    let (key, row) = row(born, trans, state);
    Write::PutRow { key, row }
}

fn auto_reply(outcome: Outcome<u32>) -> RowState<u32> {
    RowState::Registered(RedProcess::AutoReply(outcome))
}

fn stale(asker: Asker, id: CallId) -> [Effect<u32>; 2] {
    [Effect::Note(Note::Stale { id }), refused(asker, id, Refusal::Stale)]
}

fn writes_of(effects: &[Effect<u32>]) -> &[Write<u32>] {
    let [Effect::Commit { writes, .. }] = effects else { panic!("one commit, and not {effects:?}") };
    writes
}

#[test]
fn a_backup_refuses_every_request() {
    let mut bench = Bench::backup(64, 8);
    let effects = bench.ask(FIRST, request(1, 1));
    assert_eq!(effects, [refused(FIRST, id(1, 1), Refusal::NotInService)]);
}

#[test]
fn an_outcome_is_sent_only_after_its_commit() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(FIRST, request(1, 1)), [Effect::Execute { id: id(1, 1), body: 101 }]);
    let effects = bench.feed(Input::Returned { id: id(1, 1), outcome: reply(7) });
    let writes = vec![put(1, 1, auto_reply(reply(7))), Write::PutMark { source: CALLER, mark: mark(1, 0) }];
    let then = Some(Then::Stable { id: id(1, 1) });
    assert_eq!(effects, [Effect::Commit { incarnation: Incarnation(5), writes, then }]);
    let effects = bench.feed(Input::Stable { id: id(1, 1), outcome: Some(reply(7)) });
    assert_eq!(effects, [answer(FIRST, id(1, 1), 7, false)]);
    assert_eq!(bench.server.calls_len(), 0);
}

#[test]
fn a_resent_request_gets_the_registered_reply() {
    let mut bench = Bench::new();
    bench.serve(request(1, 1));
    bench.rows.push(replied(1, 1));
    let effects = bench.ask(SECOND, request(1, 1));
    assert_eq!(effects, [Effect::Note(Note::Redundant { id: id(1, 1) }), answer(SECOND, id(1, 1), 7, true)]);
    assert_eq!(bench.server.hits(id(1, 1)), 1);
}

#[test]
fn a_new_active_answers_from_the_table_of_its_predecessor() {
    let mut bench = Bench::new();
    bench.rows.push(replied(1, 1));
    assert_eq!(bench.ask(FIRST, request(1, 1)).last(), Some(&answer(FIRST, id(1, 1), 7, true)));
}

#[test]
fn warm_operation_loads_nothing() {
    let mut bench = Bench::new();
    for trans in 1..=u64::from(WINDOW) {
        bench.serve(request(1, trans));
    }
    assert_eq!(bench.loads, WINDOW as usize);
    for trans in 5..100 {
        bench.serve(request(1, trans));
    }
    assert_eq!(bench.loads, WINDOW as usize);
}

#[test]
fn a_request_whose_call_is_executed_is_held_and_everybody_is_answered_once() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    for asker in [FIRST, SECOND, SECOND] {
        assert_eq!(bench.ask(asker, request(1, 1)), [Effect::Note(Note::Held { id: id(1, 1) })]);
    }
    bench.feed(Input::Atomic { id: id(1, 1) });
    let effects = bench.feed(Input::Stable { id: id(1, 1), outcome: Some(reply(7)) });
    assert_eq!(effects, [answer(FIRST, id(1, 1), 7, true), answer(SECOND, id(1, 1), 7, true)]);
}

#[test]
fn a_connection_that_is_gone_is_not_answered() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    bench.feed(Input::AskerGone { asker: FIRST });
    bench.feed(Input::Atomic { id: id(1, 1) });
    assert_eq!(bench.feed(Input::Stable { id: id(1, 1), outcome: Some(reply(7)) }), []);
}

#[test]
fn the_same_id_with_another_body_is_refused() {
    let mut bench = Bench::new();
    bench.rows.push(replied(1, 2));
    bench.ask(FIRST, request(1, 1));
    for trans in [1, 2] {
        let other = Request { body: 999, ..request(1, trans) };
        assert_eq!(bench.ask(SECOND, other), [refused(SECOND, id(1, trans), Refusal::DifferentBody)]);
    }
}

#[test]
fn an_id_whose_incarnations_differ_is_never_executed() {
    let mut bench = Bench::new();
    let astray = Request { born: Incarnation(2), ..request(1, 1) };
    assert_eq!(bench.ask(FIRST, astray), stale(FIRST, id(1, 1)));
}

#[test]
fn a_call_whose_slot_holds_an_open_one_exceeds_the_window() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    let effects = bench.ask(FIRST, request(1, 5));
    assert_eq!(effects, [refused(FIRST, id(1, 5), Refusal::WindowExceeded)]);
}

#[test]
fn a_straggler_of_a_slot_that_was_used_again_is_stale() {
    let mut bench = Bench::new();
    bench.serve(request(1, 5));
    assert_eq!(bench.ask(FIRST, request(1, 1)), stale(FIRST, id(1, 1)));
    bench.rows.push(replied(1, 6));
    assert_eq!(bench.ask(FIRST, request(1, 2)), stale(FIRST, id(1, 2)));
}

#[test]
fn a_straggler_below_the_stored_mark_is_stale() {
    let mut bench = Bench::new();
    bench.mark = Some(mark(3, 10));
    assert_eq!(bench.ask(FIRST, request(2, 1)), stale(FIRST, id(2, 1)));
    assert_eq!(bench.ask(FIRST, request(3, 9)), stale(FIRST, id(3, 9)));
    assert_eq!(bench.ask(FIRST, request(3, 10)), [Effect::Execute { id: id(3, 10), body: 110 }]);
}

#[test]
fn a_risen_mark_is_stored_once_with_the_next_row_of_its_source() {
    let mut bench = Bench::new();
    bench.serve(request(1, 1));
    bench.serve(request(1, 2));
    bench.ask(FIRST, Request { mark: mark(2, 3), ..request(2, 3) });
    let effects = bench.feed(Input::Atomic { id: id(2, 3) });
    let atomic = Write::Atomic { key: key(2, 3), id: id(2, 3), digest: 103, failure: OnFailure::Register };
    assert_eq!(writes_of(&effects), [atomic, Write::PutMark { source: CALLER, mark: mark(2, 3) }]);
    bench.feed(Input::Stable { id: id(2, 3), outcome: Some(reply(7)) });
    bench.ask(FIRST, Request { mark: mark(2, 4), ..request(2, 4) });
    assert_eq!(writes_of(&bench.feed(Input::Atomic { id: id(2, 4) })).len(), 1);
    assert_eq!(bench.ask(FIRST, request(1, 2)), stale(FIRST, id(1, 2)));
}

/// Without an outbox a client's mark passes calls that are still executed. Their rows would never be pruned.
#[test]
fn a_row_of_a_session_below_the_mark_goes_with_the_commit_that_puts_it() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    bench.ask(FIRST, Request { mark: mark(2, 3), ..request(2, 3) });
    bench.feed(Input::Atomic { id: id(2, 3) });
    let effects = bench.feed(Input::Atomic { id: id(1, 1) });
    assert_eq!(writes_of(&effects)[1], Write::PutMark { source: CALLER, mark: mark(2, 3) });
}

#[test]
fn the_service_passes_its_roll_forward_point_only_when_that_is_stable() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    let effects = bench.feed(Input::BlockRequest { id: id(1, 1) });
    assert_eq!(writes_of(&effects)[0], put(1, 1, RowState::Blocked { request: 101 }));
    assert_eq!(bench.feed(Input::StableBlock { id: id(1, 1) }), [Effect::Resume { id: id(1, 1) }]);
    assert_eq!(bench.server.call(id(1, 1)).map(|call| call.state), Some(CallState::Blocked));
}

#[test]
fn with_a_handler_registered_the_outcome_is_sent_when_both_are_there() {
    let red = RedProcess::Handler { index: 2, arg: 9 };
    for stable_first in [true, false] {
        let mut bench = Bench::new();
        bench.ask(FIRST, request(1, 1));
        bench.feed(Input::SetRedProcess { id: id(1, 1), red: red.clone() });
        let mut inputs = [
            Input::Stable { id: id(1, 1), outcome: None },
            Input::Returned { id: id(1, 1), outcome: reply(7) },
        ];
        if !stable_first {
            inputs.reverse();
        }
        let [first, second] = inputs;
        let mut effects = bench.feed(first);
        assert!(!effects.contains(&answer(FIRST, id(1, 1), 7, false)));
        effects.extend(bench.feed(second));
        assert_eq!(effects, [Effect::Resume { id: id(1, 1) }, answer(FIRST, id(1, 1), 7, false)]);

        bench.rows.push(row(1, 1, RowState::Registered(red.clone())));
        let effects = bench.ask(SECOND, request(1, 1));
        assert_eq!(
            effects.last(),
            Some(&Effect::CallHandler { id: id(1, 1), index: 2, arg: 9, request: 101 })
        );
        let effects = bench.feed(Input::HandlerAnswered { id: id(1, 1), outcome: reply(8) });
        assert_eq!(effects, [answer(SECOND, id(1, 1), 8, true)]);
    }
}

#[test]
fn whoever_waits_for_a_call_abandoned_with_a_handler_is_answered_by_the_handler() {
    let mut bench = Bench::new();
    let red = RedProcess::Handler { index: 2, arg: 9 };
    bench.ask(FIRST, request(1, 1));
    bench.feed(Input::SetRedProcess { id: id(1, 1), red: red.clone() });
    assert_eq!(bench.feed(Input::Abandoned { id: id(1, 1), failure: 0 }), []);
    bench.rows.push(row(1, 1, RowState::Registered(red)));
    let effects = bench.feed(Input::Stable { id: id(1, 1), outcome: None });
    assert_eq!(effects.last(), Some(&Effect::CallHandler { id: id(1, 1), index: 2, arg: 9, request: 101 }));
}

#[test]
fn a_handler_may_be_followed_by_the_reply_itself() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    bench.feed(Input::SetRedProcess { id: id(1, 1), red: RedProcess::Handler { index: 2, arg: 9 } });
    bench.feed(Input::SetRedProcess { id: id(1, 1), red: RedProcess::AutoReply(reply(7)) });
    assert_eq!(bench.feed(Input::Stable { id: id(1, 1), outcome: None }), [Effect::Resume { id: id(1, 1) }]);
    let effects = bench.feed(Input::Stable { id: id(1, 1), outcome: Some(reply(7)) });
    assert_eq!(effects, [Effect::Resume { id: id(1, 1) }, answer(FIRST, id(1, 1), 7, false)]);
}

#[test]
fn a_handler_that_asks_for_what_can_no_longer_be_is_told_so() {
    let mut bench = Bench::new();
    let over = [Effect::Over { id: id(1, 1) }];
    let asks = [
        Input::BlockRequest { id: id(1, 1) },
        Input::Atomic { id: id(1, 1) },
        Input::SetRedProcess { id: id(1, 1), red: RedProcess::AutoReply(reply(8)) },
    ];
    let [block, atomic, reply_again] = asks.clone();
    bench.ask(FIRST, request(1, 1));
    bench.feed(Input::SetRedProcess { id: id(1, 1), red: RedProcess::Handler { index: 2, arg: 9 } });
    bench.feed(Input::Stable { id: id(1, 1), outcome: None });
    assert_eq!(bench.feed(block), over, "a handler for redundant requests is registered");
    assert_eq!(bench.feed(atomic), over);
    bench.feed(Input::SetRedProcess { id: id(1, 1), red: RedProcess::AutoReply(reply(7)) });
    assert_eq!(bench.feed(reply_again), over, "its reply is on its way");
    bench.feed(Input::Stable { id: id(1, 1), outcome: Some(reply(7)) });
    for ask in asks {
        assert_eq!(bench.feed(ask), over, "it has its outcome");
    }
}

#[test]
fn a_panic_before_the_roll_forward_point_is_the_outcome() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    let effects = bench.feed(Input::Abandoned { id: id(1, 1), failure: 13 });
    assert_eq!(writes_of(&effects)[0], put(1, 1, auto_reply(Outcome::Failed(13))));
}

#[test]
fn a_panic_after_the_roll_forward_point_is_recovered_like_a_death() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    bench.feed(Input::BlockRequest { id: id(1, 1) });
    bench.feed(Input::StableBlock { id: id(1, 1) });
    let effects = bench.feed(Input::Abandoned { id: id(1, 1), failure: 13 });
    assert_eq!(effects, [Effect::Recover { id: id(1, 1), request: 101 }]);
}

/// A server with one call blocked by its predecessor, whose `recover` was asked.
fn with_blocked_call() -> Bench {
    let mut bench = Bench::backup(64, 8);
    let blocked = vec![row(1, 1, RowState::Blocked { request: 101 })];
    let effects = bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked, journal: vec![] });
    assert_eq!(effects, [Effect::Recover { id: id(1, 1), request: 101 }]);
    bench
}

#[test]
fn requests_before_the_recovery_is_through_are_held_in_their_order() {
    let mut bench = with_blocked_call();
    assert_eq!(bench.ask(FIRST, request(1, 2)), []);
    assert_eq!(bench.ask(SECOND, request(1, 1)), []);
    let effects = bench.feed(Input::Recovered { id: id(1, 1), recovery: Recovery::NotExecuted });
    let expected = [
        Effect::Execute { id: id(1, 1), body: 101 },
        Effect::Ready,
        Effect::Note(Note::Held { id: id(1, 1) }),
        Effect::Execute { id: id(1, 2), body: 102 },
    ];
    assert!(expected.iter().all(|effect| effects.contains(effect)), "{effects:?}");
    assert_eq!(effects.len(), 4);
}

#[test]
fn a_call_that_recover_knows_is_registered_and_answered() {
    let mut bench = with_blocked_call();
    bench.ask(FIRST, request(1, 1));
    let effects = bench.feed(Input::Recovered { id: id(1, 1), recovery: Recovery::Completed(reply(7)) });
    assert!(effects.contains(&Effect::Ready), "{effects:?}");
    let effects = bench.feed(Input::Stable { id: id(1, 1), outcome: Some(reply(7)) });
    assert_eq!(effects, [answer(FIRST, id(1, 1), 7, true)]);
}

#[test]
fn a_call_in_doubt_is_held_until_an_operator_decides() {
    for (resolution, registered) in [
        (Resolution::Outcome(reply(7)), true),
        (Resolution::Outcome(Outcome::Failed(3)), true),
        (Resolution::Rerun, false),
    ] {
        let mut bench = with_blocked_call();
        let effects = bench.feed(Input::Recovered { id: id(1, 1), recovery: Recovery::Unknown });
        assert_eq!(effects, [Effect::Note(Note::InDoubt { id: id(1, 1) }), Effect::Ready]);
        assert_eq!(bench.ask(FIRST, request(1, 1)), [Effect::Note(Note::Held { id: id(1, 1) })]);
        assert_eq!(bench.server.call(id(1, 1)).map(|call| call.state), Some(CallState::InDoubt));
        let effects = bench.feed(Input::Resolve { id: id(1, 1), resolution: resolution.clone() });
        if let (true, Resolution::Outcome(outcome)) = (registered, resolution) {
            assert_eq!(writes_of(&effects)[0], put(1, 1, auto_reply(outcome)));
        } else {
            assert_eq!(effects, [Effect::Execute { id: id(1, 1), body: 101 }]);
            // It is blocked already: nothing is committed for the roll-forward point.
            let effects = bench.feed(Input::BlockRequest { id: id(1, 1) });
            assert_eq!(effects, [Effect::Resume { id: id(1, 1) }]);
        }
    }
}

#[test]
fn a_blocked_row_that_nobody_named_is_no_less_in_doubt() {
    let mut bench = Bench::new();
    bench.rows.push(row(1, 1, RowState::Blocked { request: 101 }));
    let effects = bench.ask(FIRST, request(1, 1));
    assert_eq!(effects[0], Effect::Recover { id: id(1, 1), request: 101 });
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Execute { .. })));
}

#[test]
fn a_fenced_server_is_silent() {
    let mut bench = Bench::new();
    bench.ask(FIRST, request(1, 1));
    bench.feed(Input::Atomic { id: id(1, 1) });
    assert_eq!(bench.feed(Input::Fenced), []);
    assert_eq!(bench.feed(Input::Stable { id: id(1, 1), outcome: Some(reply(7)) }), []);
    assert_eq!(bench.ask(FIRST, request(1, 2)), []);
}

/// Found by the model: a member that was fenced and not told yet knows a row in memory that its successor has
/// overwritten with a later call's. It asked the area for it again and again.
#[test]
fn a_member_that_does_not_know_it_is_fenced_does_not_look_for_a_row_for_ever() {
    let mut bench = Bench::new();
    bench.serve(request(1, 1));
    bench.rows.push(replied(1, 5));
    assert_eq!(bench.ask(FIRST, request(1, 1)), stale(FIRST, id(1, 1)));
}

#[test]
fn a_row_that_memory_knows_and_the_area_lost_is_not_executed_again() {
    let mut bench = Bench::new();
    bench.serve(request(1, 5));
    assert_eq!(bench.ask(FIRST, request(1, 5)), stale(FIRST, id(1, 5)));
    bench.rows.push(replied(1, 1));
    assert_eq!(bench.ask(FIRST, request(1, 5)), stale(FIRST, id(1, 5)));
}

#[test]
fn what_belongs_to_an_alias_that_is_gone_is_dropped_and_stays_stale() {
    let mut bench = Bench::new();
    bench.serve(request(1, 1));
    bench.ask(FIRST, request(1, 2));
    let dropped = Write::PutMark { source: CALLER, mark: mark(4, 0) };
    let gone = || Input::AliasesGone { aliases: vec![(CALLER, Incarnation(3))] };
    assert_eq!(writes_of(&bench.feed(gone())), std::slice::from_ref(&dropped));
    assert_eq!(bench.feed(gone()), []);
    assert_eq!(bench.ask(FIRST, request(1, 1)), stale(FIRST, id(1, 1)));
    assert_eq!(writes_of(&bench.feed(Input::Atomic { id: id(1, 2) }))[1], dropped);
}

/// An alias was taken out of the cluster and put back. Its outbox may hold calls whose rows were dropped: executed again,
/// they would count twice.
#[test]
fn an_alias_that_is_back_is_heard_from_its_next_incarnation_on() {
    let mut bench = Bench::backup(8, 64);
    bench.feed(Input::AliasesGone { aliases: vec![(CALLER, Incarnation(3))] });
    let effects =
        bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked: vec![], journal: vec![] });
    let stored = Write::PutMark { source: CALLER, mark: mark(4, 0) };
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Commit { writes, .. } if writes[..] == [stored.clone()])),
        "{effects:?}"
    );
    assert_eq!(bench.ask(FIRST, request(3, 7)), stale(FIRST, id(3, 7)));
    let executed = Effect::Execute { id: id(4, 1), body: 101 };
    assert!(bench.ask(FIRST, request(4, 1)).contains(&executed));
}

#[test]
fn a_server_with_its_hands_full_is_busy_for_new_calls_only() {
    let mut bench = Bench::backup(1, 8);
    bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked: vec![], journal: vec![] });
    bench.ask(FIRST, request(1, 1));
    assert_eq!(bench.ask(FIRST, request(1, 2)), [refused(FIRST, id(1, 2), Refusal::Busy)]);
    assert_eq!(bench.ask(SECOND, request(1, 1)), [Effect::Note(Note::Held { id: id(1, 1) })]);
}

/// A caller whose requests never end must not keep all others out.
#[test]
fn a_greedy_source_leaves_room_for_others() {
    let mut bench = Bench::backup(8, 64);
    bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked: vec![], journal: vec![] });
    let mut begun = |source: AliasId| {
        let begins = |effect: &Effect<u32>| matches!(effect, Effect::Execute { .. });
        let taken = (1..=8).filter(|born| {
            let mut request = request(*born, 1);
            request.id.source = source;
            bench.ask(FIRST, request).iter().any(begins)
        });
        taken.count()
    };
    assert_eq!(begun(AliasId(77)), 5, "as many as are left, and one");
    assert_eq!(begun(AliasId(78)), 2);
    assert_eq!(begun(AliasId(79)), 1);
}

#[test]
fn an_idle_session_is_forgotten_for_a_new_one_and_loaded_when_it_comes_back() {
    let mut bench = Bench::backup(64, 1);
    bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked: vec![], journal: vec![] });
    bench.serve(request(1, 1));
    bench.rows.push(replied(1, 1));
    bench.serve(Request { id: CallId { source: AliasId(3), ..id(1, 1) }, ..request(1, 1) });
    let loads = bench.loads;
    assert_eq!(bench.ask(FIRST, request(1, 1)).last(), Some(&answer(FIRST, id(1, 1), 7, true)));
    assert_eq!(bench.loads, loads + 1);
}

#[test]
fn a_session_with_a_call_in_hand_is_not_forgotten() {
    let mut bench = Bench::backup(64, 1);
    bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked: vec![], journal: vec![] });
    bench.ask(FIRST, request(1, 1));
    bench.serve(Request { id: CallId { source: AliasId(3), ..id(1, 1) }, ..request(1, 1) });
    assert_eq!(bench.ask(SECOND, request(1, 1)), [Effect::Note(Note::Held { id: id(1, 1) })]);
}

#[test]
fn ids_with_a_port_lie_in_the_session_of_the_incarnation_they_were_given_in() {
    let mut bench = Bench::new();
    let ported = |port, born, trans| {
        let origin = Origin::Port(PortId(port));
        Request { id: CallId { origin, ..id(born, trans) }, ..request(born, trans) }
    };
    // The takeover went from port 9 to port 4: the sessions are ordered by incarnation all the same.
    bench.ask(FIRST, ported(9, 1, 1));
    let second = Request { mark: mark(2, 2), ..ported(4, 2, 2) };
    assert!(matches!(bench.ask(FIRST, second)[..], [Effect::Execute { .. }]));
    assert_eq!(bench.ask(FIRST, ported(9, 1, 3)), stale(FIRST, ported(9, 1, 3).id));
    // A port that does not belong to the incarnation is not its caller.
    assert_eq!(bench.ask(FIRST, ported(5, 2, 3)), stale(FIRST, ported(5, 2, 3).id));
}
