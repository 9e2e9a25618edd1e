//! What a caller does with the calls of a relay, one decision at a time.

use palib_core::ids::{
    AliasId, CallId, IdForm, Incarnation, Mark, Nanos, Origin, PortId, TRANS_GRANT, TransId,
};
use palib_core::message::{CancelEnd, Outcome, Refusal, Request};
use palib_core::relay::News;
use palib_core::resend::{CallState, Caller, Effect, Input, Pending, Rejection, Route, Settings};

const RELAY: AliasId = AliasId(2);
const COUNTER: AliasId = AliasId(1);
const LEDGER: AliasId = AliasId(3);
const ACTIVE: PortId = PortId(10);
const BACKUP: PortId = PortId(11);
const WINDOW: u32 = 4;
const RESEND: u64 = 1000;
const INQUIRE: u64 = 100;
const MARK: u64 = 300;

const UNDONE: CancelEnd<u32> = CancelEnd::Cancelled { undone: true };

struct Bench {
    caller: Caller<u32>,
    now: u64,
}

impl Bench {
    /// Calls for its alias in incarnation 1, and knows who serves the counter.
    fn new() -> Self {
        let mut bench = Self::backup(IdForm::Incarnation);
        bench.promote(1, vec![]);
        bench
    }

    fn backup(form: IdForm) -> Self {
        let settings = Settings {
            source: RELAY,
            form,
            outbox: true,
            window: WINDOW,
            resend_after: Nanos(RESEND),
            inquire_after: Nanos(INQUIRE),
            mark_after: Nanos(MARK),
        };
        let mut bench = Self { caller: Caller::new(settings), now: 10_000 };
        bench.route(5, Some(ACTIVE));
        bench
    }

    fn promote(&mut self, incarnation: u64, held: Vec<Pending<u32>>) -> Vec<Effect<u32>> {
        let (incarnation, trans_base) = (Incarnation(incarnation), TransId(incarnation * TRANS_GRANT));
        self.feed(Input::Promoted { incarnation, port: PortId(20), trans_base, pending: vec![], held })
    }

    fn feed(&mut self, input: Input<u32>) -> Vec<Effect<u32>> {
        let mut effects = Vec::new();
        self.caller.handle(Nanos(self.now), input, &mut effects);
        effects
    }

    fn later(&mut self, after: u64) -> Vec<Effect<u32>> {
        self.now += after;
        self.feed(Input::Tick)
    }

    fn route(&mut self, incarnation: u64, port: Option<PortId>) -> Vec<Effect<u32>> {
        self.feed(Input::Route {
            target: COUNTER,
            route: Route { incarnation: Incarnation(incarnation), port },
        })
    }

    /// A call on that is put into the journal.
    fn reserved(&mut self) -> CallId {
        let effects = self.feed(Input::Reserve { token: 1, target: COUNTER, body: 42 });
        let [Effect::Started { token: 1, id }] = effects[..] else { panic!("not started: {effects:?}") };
        id
    }

    /// A call on that is waiting for its answer.
    fn sent(&mut self) -> CallId {
        let id = self.reserved();
        self.feed(Input::Stable { id });
        id
    }

    fn answered(&mut self) -> CallId {
        let id = self.sent();
        self.answer(id);
        id
    }

    fn cancelling(&mut self) -> CallId {
        let id = self.sent();
        self.feed(Input::Cancel { id });
        id
    }

    fn answer(&mut self, id: CallId) -> Vec<Effect<u32>> {
        self.feed(Input::Answer { id, outcome: Outcome::Reply(7) })
    }

    fn refuse(&mut self, id: CallId, refusal: Refusal) -> Vec<Effect<u32>> {
        self.feed(Input::Refused { id, port: ACTIVE, refusal })
    }

    fn state(&self, id: CallId) -> Option<CallState<'_, u32>> {
        self.caller.call_view(id).map(|view| view.state)
    }

    /// A user's call that is waiting for its answer.
    fn called(&mut self) -> CallId {
        let effects = self.feed(Input::Call { token: 2, target: COUNTER, body: 43, deadline: None });
        let Some(&Effect::Started { id, .. }) = effects.first() else { panic!("not started: {effects:?}") };
        self.feed(Input::Stable { id });
        id
    }
}

fn id(born: u64, nth: u64) -> CallId {
    CallId { source: RELAY, origin: Origin::Incarnation(Incarnation(born)), trans: trans(born, nth) }
}

fn trans(born: u64, nth: u64) -> TransId {
    TransId(born * TRANS_GRANT + nth)
}

fn mark(born: u64, nth: u64) -> Mark {
    Mark { born: Incarnation(born), trans: trans(born, nth) }
}

fn held(born: u64, nth: u64) -> Pending<u32> {
    Pending { id: id(born, nth), born: Incarnation(born), target: COUNTER, invoked: Nanos(3), body: 42 }
}

/// The request of a call on, which is the first one that is open.
fn request(id: CallId, attempt: u32) -> Request<u32> {
    let born = Incarnation(id.trans.0 / TRANS_GRANT);
    let mark = Mark { born, trans: id.trans };
    Request { id, born, target: COUNTER, mark, attempt, cancellable: true, body: 42 }
}

fn sending(id: CallId, port: PortId, attempt: u32) -> Effect<u32> {
    Effect::Send { port, request: request(id, attempt) }
}

fn cancellation(id: CallId, port: PortId, attempt: u32) -> Effect<u32> {
    Effect::SendCancel { port, request: request(id, attempt) }
}

fn told(id: CallId, news: News<u32>) -> [Effect<u32>; 1] {
    [Effect::Relay { id, news }]
}

#[test]
fn a_call_on_is_sent_only_after_the_journal_holds_it() {
    let mut bench = Bench::new();
    let id = bench.reserved();
    assert_eq!(bench.state(id), Some(CallState::Putting));
    assert_eq!(bench.route(6, Some(BACKUP)), []);
    assert_eq!(bench.caller.next_wakeup(), None);
    assert_eq!(bench.feed(Input::Stable { id }), [sending(id, BACKUP, 0)]);
    assert_eq!(bench.later(RESEND)[0], sending(id, BACKUP, 1));
}

#[test]
fn a_backup_and_a_fenced_member_call_nothing_on() {
    let rejected = [Effect::Rejected { token: 1, reason: Rejection::NotInService }];
    let reserve = Input::Reserve { token: 1, target: COUNTER, body: 42 };
    assert_eq!(Bench::backup(IdForm::Incarnation).feed(reserve.clone()), rejected);
    let mut bench = Bench::new();
    let (reserved, cancelling) = (bench.reserved(), bench.cancelling());
    bench.feed(Input::Fenced);
    assert_eq!(bench.feed(reserve), rejected);
    assert_eq!(bench.feed(Input::Stable { id: reserved }), []);
    assert_eq!(bench.feed(Input::Cancel { id: reserved }), []);
    assert_eq!(bench.feed(Input::CancelEnded { id: cancelling, end: UNDONE }), []);
    assert_eq!(bench.route(6, Some(BACKUP)), []);
    assert_eq!(bench.caller.next_wakeup(), None);
}

#[test]
fn only_the_calls_of_relays_are_cancellable() {
    let mut bench = Bench::new();
    bench.sent();
    bench.called();
    let effects = bench.route(6, Some(BACKUP));
    let cancellable = |effect: &Effect<u32>| match effect {
        Effect::Send { request, .. } => Some(request.cancellable),
        _ => None,
    };
    assert_eq!(effects.iter().filter_map(cancellable).collect::<Vec<_>>(), [true, false]);
}

#[test]
fn held_calls_of_a_predecessor_are_sent_only_when_they_are_let_go() {
    let mut bench = Bench::backup(IdForm::Incarnation);
    assert_eq!(bench.promote(3, vec![held(1, 8), held(2, 1)]), []);
    assert_eq!(bench.route(6, Some(BACKUP)), []);
    assert_eq!(bench.caller.mark(), mark(1, 8));
    assert!(bench.caller.calls().all(|view| view.journaled && view.sent == 1));
    assert_eq!(bench.feed(Input::Stable { id: id(1, 8) }), [sending(id(1, 8), BACKUP, 1)]);
    bench.feed(Input::Settled { id: id(1, 8) });
    assert_eq!(bench.caller.mark(), mark(2, 1));
    bench.feed(Input::Settled { id: id(2, 1) });
    assert_eq!(bench.caller.mark(), mark(3, 1));
}

#[test]
fn held_calls_take_no_slot_of_the_new_session_and_are_found_by_the_port_in_their_ids() {
    let mut bench = Bench::backup(IdForm::SourcePort);
    let old = |nth| CallId { origin: Origin::Port(PortId(90)), ..id(1, nth) };
    bench.promote(2, (1..=4).map(|nth| Pending { id: old(nth), ..held(1, nth) }).collect());
    for nth in 1..=u64::from(WINDOW) {
        assert_eq!(bench.reserved().trans, trans(2, nth));
    }
    assert_eq!(bench.feed(Input::Stable { id: old(2) }).len(), 1);
    assert_eq!(bench.answer(old(2)), told(old(2), News::Answered(Outcome::Reply(7))));
}

#[test]
fn what_became_of_a_call_on_is_told_to_its_relay_once() {
    let mut bench = Bench::new();
    let (first, second) = (bench.sent(), bench.sent());
    assert_eq!(bench.answer(first), told(first, News::Answered(Outcome::Reply(7))));
    assert_eq!(bench.answer(first), []);
    assert_eq!(bench.refuse(second, Refusal::Stale), told(second, News::Refused(Refusal::Stale)));
    assert_eq!(bench.refuse(second, Refusal::Stale), []);
    assert_eq!(bench.caller.next_wakeup(), None);
}

#[test]
fn a_user_neither_waits_for_a_call_on_nor_ends_it() {
    let mut bench = Bench::new();
    for id in [bench.reserved(), bench.sent(), bench.answered(), bench.cancelling()] {
        assert_eq!(bench.feed(Input::Await { id, deadline: Some(Nanos(1)) }), [Effect::NotPending { id }]);
        assert_eq!(bench.feed(Input::Consumed { id }), []);
        assert!(bench.caller.call_view(id).is_some());
    }
}

#[test]
fn a_relay_does_not_cancel_or_settle_the_call_of_a_user() {
    let mut bench = Bench::new();
    let id = bench.called();
    assert_eq!(bench.feed(Input::Cancel { id }), []);
    assert_eq!(bench.feed(Input::Settled { id }), []);
    assert_eq!(bench.state(id), Some(CallState::Waiting));
}

#[test]
fn a_settled_call_frees_its_slot_and_lets_the_mark_rise() {
    let mut bench = Bench::new();
    let id = bench.answered();
    assert_eq!(bench.caller.mark(), mark(1, 1));
    assert_eq!(bench.feed(Input::Settled { id }), []);
    assert_eq!(bench.caller.mark(), mark(1, 2));
    assert_eq!(bench.caller.calls_len(), 0);
}

#[test]
fn a_call_is_settled_in_whatever_state_it_is_and_nothing_is_left_of_it() {
    let in_state: [fn(&mut Bench) -> CallId; 6] = [
        Bench::reserved,
        Bench::sent,
        Bench::answered,
        Bench::cancelling,
        |bench| {
            let id = bench.sent();
            bench.refuse(id, Refusal::TooLarge);
            id
        },
        |bench| {
            let id = bench.cancelling();
            bench.feed(Input::CancelEnded { id, end: UNDONE });
            id
        },
    ];
    for reach in in_state {
        let mut bench = Bench::new();
        let id = reach(&mut bench);
        bench.feed(Input::Settled { id });
        bench.later(MARK);
        assert_eq!(bench.caller.next_wakeup(), None);
        // Were it counted as out still, the port that is lost would be inquired for.
        assert_eq!(bench.feed(Input::PortGone { port: ACTIVE }), []);
    }
}

#[test]
fn a_window_full_of_kept_calls_rejects_the_next_one_until_one_is_settled() {
    let mut bench = Bench::new();
    let kept: Vec<CallId> = (0..WINDOW).map(|_| bench.answered()).collect();
    let reserve = Input::Reserve { token: 5, target: COUNTER, body: 42 };
    let rejected = Effect::Rejected { token: 5, reason: Rejection::WindowFull };
    assert_eq!(bench.feed(reserve.clone()), [rejected]);
    bench.feed(Input::Settled { id: kept[2] });
    assert_eq!(bench.feed(reserve), [Effect::Started { token: 5, id: id(1, 7) }]);
}

#[test]
fn a_cancellation_takes_the_place_of_its_request() {
    let mut bench = Bench::new();
    let id = bench.sent();
    assert_eq!(bench.feed(Input::Cancel { id }), [cancellation(id, ACTIVE, 0)]);
    assert_eq!(bench.feed(Input::Cancel { id }), [], "it is out already");
    assert_eq!(bench.state(id), Some(CallState::Cancelling));
    assert_eq!(bench.later(RESEND), [cancellation(id, ACTIVE, 1), Effect::Inquire { target: COUNTER }]);
    let ended = Input::CancelEnded { id, end: UNDONE };
    assert_eq!(bench.feed(ended.clone()), told(id, News::Cancel(UNDONE)));
    assert_eq!(bench.feed(ended), [], "it is told once");
    assert_eq!(bench.state(id), Some(CallState::Cancelled(&UNDONE)));
    assert_eq!(bench.caller.next_wakeup(), None);
    assert_eq!(bench.caller.mark(), mark(1, 1), "it is not settled");
}

#[test]
fn a_cancellation_is_sent_again_to_the_new_active() {
    let mut bench = Bench::new();
    let id = bench.cancelling();
    assert_eq!(bench.feed(Input::PortGone { port: ACTIVE }), [Effect::Inquire { target: COUNTER }]);
    assert_eq!(bench.later(INQUIRE), [Effect::Inquire { target: COUNTER }]);
    assert_eq!(bench.route(6, Some(BACKUP)), [cancellation(id, BACKUP, 1)]);
    bench.feed(Input::CancelEnded { id, end: UNDONE });
    assert_eq!(bench.route(7, Some(ACTIVE)), []);
}

#[test]
fn a_call_that_was_never_sent_is_cancelled_too() {
    let mut bench = Bench::new();
    let id = bench.reserved();
    assert_eq!(bench.feed(Input::Cancel { id }), [cancellation(id, ACTIVE, 0)]);
    assert_eq!(bench.feed(Input::Stable { id }), [], "nothing is sent any more but the cancellation");
    assert_eq!(bench.feed(Input::CancelEnded { id, end: UNDONE }), told(id, News::Cancel(UNDONE)));
}

#[test]
fn a_call_that_has_its_outcome_is_cancelled_too() {
    let mut bench = Bench::new();
    let answered = bench.answered();
    assert_eq!(bench.feed(Input::Cancel { id: answered }), [cancellation(answered, ACTIVE, 0)]);
    bench.feed(Input::Settled { id: answered });
    let refused = bench.sent();
    bench.refuse(refused, Refusal::TooLarge);
    assert_eq!(bench.feed(Input::Cancel { id: refused }), [cancellation(refused, ACTIVE, 0)]);
}

#[test]
fn a_cancellation_without_a_route_goes_out_when_there_is_one() {
    let mut bench = Bench::new();
    bench.feed(Input::PortGone { port: ACTIVE });
    let id = bench.reserved();
    assert_eq!(bench.feed(Input::Cancel { id }), [Effect::Inquire { target: COUNTER }]);
    assert_eq!(bench.later(INQUIRE), [Effect::Inquire { target: COUNTER }]);
    assert_eq!(bench.route(6, Some(BACKUP)), [cancellation(id, BACKUP, 0)]);
}

#[test]
fn an_answer_that_comes_while_a_cancellation_is_out_is_not_told() {
    let mut bench = Bench::new();
    let id = bench.cancelling();
    assert_eq!(bench.answer(id), []);
    assert_eq!(bench.state(id), Some(CallState::Cancelling));
    bench.feed(Input::CancelEnded { id, end: UNDONE });
    assert_eq!(bench.answer(id), []);
}

#[test]
fn the_end_of_a_cancellation_that_was_not_sent_is_not_told() {
    let mut bench = Bench::new();
    for id in [bench.reserved(), bench.sent(), bench.answered()] {
        assert_eq!(bench.feed(Input::CancelEnded { id, end: UNDONE }), []);
    }
}

#[test]
fn what_could_not_be_undone_can_be_cancelled_again() {
    let mut bench = Bench::new();
    let id = bench.cancelling();
    let not_undone = CancelEnd::NotUndone(9);
    let ended = Input::CancelEnded { id, end: not_undone.clone() };
    assert_eq!(bench.feed(ended), told(id, News::Cancel(not_undone)));
    assert_eq!(bench.feed(Input::Cancel { id }), [cancellation(id, ACTIVE, 0)]);
    assert_eq!(bench.feed(Input::CancelEnded { id, end: UNDONE }), told(id, News::Cancel(UNDONE)));
    assert_eq!(bench.feed(Input::Cancel { id }), told(id, News::Cancel(UNDONE)), "it is undone already");
}

#[test]
fn a_cancellation_is_refused_as_a_request_is() {
    let mut bench = Bench::new();
    let id = bench.cancelling();
    for refusal in [Refusal::Busy, Refusal::WindowExceeded] {
        assert_eq!(bench.refuse(id, refusal), []);
        assert_eq!(bench.later(RESEND / 4).len(), 2);
    }
    assert_eq!(bench.later(INQUIRE), []);
    assert_eq!(bench.refuse(id, Refusal::UnknownAlias), [Effect::Inquire { target: COUNTER }]);
    assert_eq!(bench.route(6, Some(BACKUP)), [cancellation(id, BACKUP, 3)]);
    assert_eq!(bench.refuse(id, Refusal::Stale), told(id, News::Refused(Refusal::Stale)));
    assert_eq!(bench.state(id), Some(CallState::Refused(Refusal::Stale)));
    assert_eq!(bench.feed(Input::Cancel { id }), [cancellation(id, BACKUP, 0)]);
}

/// The request was overtaken by its cancellation, and is refused for it. Were that taken for the cancellation's end,
/// the relay would believe that nothing was undone while the undoing goes on.
#[test]
fn the_refusal_of_a_request_that_came_after_its_cancellation_ends_nothing() {
    let mut bench = Bench::new();
    let id = bench.cancelling();
    assert_eq!(bench.refuse(id, Refusal::Cancelled), []);
    assert_eq!(bench.state(id), Some(CallState::Cancelling));
    let waiting = bench.sent();
    assert_eq!(bench.refuse(waiting, Refusal::Cancelled), told(waiting, News::Refused(Refusal::Cancelled)));
}

fn push(port: PortId, mark: Mark) -> Effect<u32> {
    Effect::SendMark { port, target: COUNTER, mark }
}

#[test]
fn a_target_that_no_request_tells_of_the_mark_is_told_once() {
    let mut bench = Bench::new();
    let id = bench.answered();
    bench.feed(Input::Settled { id });
    assert_eq!(bench.later(MARK - 1), []);
    assert_eq!(bench.later(1), [push(ACTIVE, mark(1, 2))]);
    assert_eq!(bench.caller.next_wakeup(), None);
}

#[test]
fn a_target_with_an_open_call_is_told_the_mark_when_that_is_done() {
    let mut bench = Bench::new();
    let (first, second) = (bench.answered(), bench.answered());
    bench.feed(Input::Settled { id: first });
    assert_eq!(bench.later(MARK), []);
    assert_eq!(bench.caller.next_wakeup(), None, "nobody waits for the end of that call");
    bench.feed(Input::Settled { id: second });
    assert_eq!(bench.later(MARK), [push(ACTIVE, mark(1, 3))]);
}

#[test]
fn a_call_of_a_user_tells_the_mark_and_puts_off_the_push() {
    let mut bench = Bench::new();
    let first = bench.answered();
    bench.feed(Input::Settled { id: first });
    // While it is in the outbox the mark does not rise above it.
    let id = bench.called();
    bench.answer(id);
    assert_eq!(bench.later(MARK), []);
    bench.feed(Input::Consumed { id });
    bench.feed(Input::Stable { id });
    assert_eq!(bench.later(MARK), [push(ACTIVE, mark(1, 3))]);
}

#[test]
fn the_end_of_a_call_to_one_target_is_told_to_another_that_it_held_the_mark_down_for() {
    let mut bench = Bench::new();
    let route = Route { incarnation: Incarnation(5), port: Some(BACKUP) };
    bench.feed(Input::Route { target: LEDGER, route });
    bench.feed(Input::Reserve { token: 1, target: LEDGER, body: 42 });
    let counted = bench.answered();
    bench.feed(Input::Settled { id: counted });
    assert_eq!(bench.later(MARK), [], "the mark has not risen");
    bench.feed(Input::Settled { id: id(1, 1) });
    assert_eq!(bench.later(MARK), [push(ACTIVE, mark(1, 3))], "the ledger was never sent anything");
}

#[test]
fn callers_that_relay_nothing_push_no_mark() {
    let mut bench = Bench::new();
    let id = bench.called();
    bench.answer(id);
    bench.feed(Input::Consumed { id });
    bench.feed(Input::Stable { id });
    assert_eq!(bench.caller.next_wakeup(), None);
}

/// The relay had nothing else to ask the PAM for, so it never learned of a route, and what was retained stayed until the
/// next call.
#[test]
fn for_a_mark_with_no_route_the_pam_is_asked_until_there_is_one() {
    for (incarnation, port) in [(5, ACTIVE), (6, BACKUP)] {
        let mut bench = Bench::new();
        let id = bench.answered();
        bench.feed(Input::PortGone { port: ACTIVE });
        bench.feed(Input::Settled { id });
        assert_eq!(bench.later(MARK), [Effect::Inquire { target: COUNTER }]);
        assert_eq!(bench.later(MARK), [Effect::Inquire { target: COUNTER }]);
        bench.route(incarnation, Some(port));
        assert_eq!(bench.later(MARK), [push(port, mark(1, 2))]);
        assert_eq!(bench.caller.next_wakeup(), None);
    }
}

/// A simulated link broke after the mark had been sent over it: nobody sent it again.
#[test]
fn a_mark_that_may_be_lost_with_its_link_is_told_again() {
    let mut bench = Bench::new();
    let id = bench.answered();
    bench.feed(Input::Settled { id });
    assert_eq!(bench.later(MARK), [push(ACTIVE, mark(1, 2))]);
    assert_eq!(bench.feed(Input::PortGone { port: ACTIVE }), []);
    assert_eq!(bench.later(MARK), [Effect::Inquire { target: COUNTER }]);
    bench.route(5, Some(ACTIVE));
    assert_eq!(bench.later(MARK), [push(ACTIVE, mark(1, 2))]);
}

/// What the active was told may have died with it, and its backup has taken over all that it kept.
#[test]
fn a_new_active_is_told_the_mark_anew() {
    let mut bench = Bench::new();
    let id = bench.answered();
    bench.feed(Input::Settled { id });
    bench.later(MARK);
    bench.route(6, Some(BACKUP));
    assert_eq!(bench.later(MARK), [push(BACKUP, mark(1, 2))]);
    bench.route(6, Some(BACKUP));
    assert_eq!(bench.caller.next_wakeup(), None);
}

#[test]
fn the_targets_of_held_calls_are_told_the_mark_although_nothing_was_sent_to_them() {
    let mut bench = Bench::backup(IdForm::Incarnation);
    bench.promote(2, vec![held(1, 8)]);
    bench.feed(Input::Settled { id: id(1, 8) });
    assert_eq!(bench.later(MARK), [push(ACTIVE, mark(2, 1))]);
}

/// Its predecessor had settled all calls and died before it told so: what targets retain would have stayed for ever.
#[test]
fn whoever_takes_over_tells_the_mark_to_everybody_once() {
    let mut bench = Bench::backup(IdForm::Incarnation);
    assert_eq!(bench.promote(2, vec![]), []);
    assert_eq!(bench.later(MARK), [push(ACTIVE, mark(2, 1))]);
    assert_eq!(bench.later(MARK), []);
}

/// The timer ran out while nobody was in service. Whoever then came had the incarnation that was known already, and
/// was never told.
#[test]
fn whoever_comes_into_service_is_told_the_mark_that_was_due_while_nobody_was() {
    let mut bench = Bench::new();
    let id = bench.answered();
    bench.feed(Input::Settled { id });
    bench.route(6, None);
    assert_eq!(bench.later(MARK), [Effect::Inquire { target: COUNTER }]);
    bench.route(6, Some(PortId(8)));
    assert!(matches!(bench.later(MARK)[..], [Effect::SendMark { port: PortId(8), .. }]));
}
