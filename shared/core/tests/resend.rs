//! What a caller does with its calls, routes and time, one decision at a time.

use palib_core::ids::{
    AliasId, CallId, IdForm, Incarnation, Mark, Nanos, Origin, PortId, TRANS_GRANT, TransId,
};
use palib_core::message::{Outcome, Refusal, Request};
use palib_core::resend::{CallState, Caller, Effect, Input, Pending, Rejection, Route, Settings, Write};

const CALLER: AliasId = AliasId(2);
const COUNTER: AliasId = AliasId(1);
const LEDGER: AliasId = AliasId(3);
const ACTIVE: PortId = PortId(10);
const BACKUP: PortId = PortId(11);
const RESEND: u64 = 1000;
const INQUIRE: u64 = 100;
const MARK: u64 = 300;

struct Bench {
    caller: Caller<u32>,
    now: u64,
}

impl Bench {
    /// Calls for its alias in incarnation 1, and knows who serves the counter.
    fn new(outbox: bool) -> Self {
        let mut bench = Self::backup(outbox, IdForm::Incarnation);
        bench.promote(1, 20, vec![]);
        assert_eq!(bench.feed(route(COUNTER, 5, Some(ACTIVE))), []);
        bench
    }

    fn backup(outbox: bool, form: IdForm) -> Self {
        let settings = Settings {
            source: CALLER,
            form,
            outbox,
            window: 4,
            resend_after: Nanos(RESEND),
            inquire_after: Nanos(INQUIRE),
            mark_after: Nanos(MARK),
        };
        Self { caller: Caller::new(settings), now: 10_000 }
    }

    fn promote(&mut self, incarnation: u64, port: u32, pending: Vec<Pending<u32>>) -> Vec<Effect<u32>> {
        let (incarnation, trans_base) = (Incarnation(incarnation), TransId(incarnation * TRANS_GRANT));
        self.feed(Input::Promoted { incarnation, port: PortId(port), trans_base, pending, held: vec![] })
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

    fn call(&mut self, body: u32) -> Vec<Effect<u32>> {
        self.feed(Input::Call { token: u64::from(body), target: COUNTER, body, deadline: None })
    }

    /// A call that is waiting for its answer.
    fn sent(&mut self, body: u32) -> CallId {
        let id = started(&self.call(body));
        self.feed(Input::Stable { id });
        id
    }

    /// A call from its beginning to its end.
    fn whole(&mut self, body: u32) {
        let id = self.sent(body);
        self.feed(Input::Answer { id, outcome: Outcome::Reply(7) });
        self.feed(Input::Consumed { id });
        self.feed(Input::Stable { id });
    }
}

fn route(target: AliasId, incarnation: u64, port: Option<PortId>) -> Input<u32> {
    Input::Route { target, route: Route { incarnation: Incarnation(incarnation), port } }
}

fn id(born: u64, nth: u64) -> CallId {
    CallId { source: CALLER, origin: Origin::Incarnation(Incarnation(born)), trans: trans(born, nth) }
}

fn trans(born: u64, nth: u64) -> TransId {
    TransId(born * TRANS_GRANT + nth)
}

fn mark(born: u64, nth: u64) -> Mark {
    Mark { born: Incarnation(born), trans: trans(born, nth) }
}

fn started(effects: &[Effect<u32>]) -> CallId {
    let Some(Effect::Started { id, .. }) = effects.first() else { panic!("not started: {effects:?}") };
    *id
}

/// Ports and attempts of all requests in the effects.
fn sendings(effects: &[Effect<u32>]) -> Vec<(CallId, PortId, u32)> {
    let sending = |effect: &Effect<u32>| match effect {
        Effect::Send { port, request } => Some((request.id, *port, request.attempt)),
        _ => None,
    };
    effects.iter().filter_map(sending).collect()
}

#[test]
fn a_request_is_sent_only_after_it_is_in_the_outbox() {
    let mut bench = Bench::new(true);
    let pending =
        Pending { id: id(1, 1), born: Incarnation(1), target: COUNTER, invoked: Nanos(10_000), body: 42 };
    let write = Write::Put(pending);
    let expected =
        [Effect::Started { token: 42, id: id(1, 1) }, Effect::Commit { incarnation: Incarnation(1), write }];
    assert_eq!(bench.call(42), expected);
    let effects = bench.feed(Input::Stable { id: id(1, 1) });
    let (id, born) = (id(1, 1), Incarnation(1));
    let request =
        Request { id, born, target: COUNTER, mark: mark(1, 1), attempt: 0, cancellable: false, body: 42 };
    assert_eq!(effects, [Effect::Send { port: ACTIVE, request }]);
}

#[test]
fn without_an_outbox_a_request_is_sent_and_done_at_once() {
    let mut bench = Bench::new(false);
    let effects = bench.call(1);
    assert_eq!(sendings(&effects), [(id(1, 1), ACTIVE, 0)]);
    bench.feed(Input::Answer { id: id(1, 1), outcome: Outcome::Reply(7) });
    assert_eq!(bench.feed(Input::Consumed { id: id(1, 1) }), []);
    assert_eq!(bench.caller.calls_len(), 0);
    assert_eq!(bench.caller.mark(), mark(1, 2));
}

#[test]
fn an_answer_that_comes_twice_is_delivered_once_and_kept_until_it_is_consumed() {
    let mut bench = Bench::new(true);
    let id = bench.sent(1);
    let delivered = [Effect::Deliver { id, outcome: Outcome::Reply(7) }];
    assert_eq!(bench.feed(Input::Answer { id, outcome: Outcome::Reply(7) }), delivered);
    assert_eq!(bench.feed(Input::Answer { id, outcome: Outcome::Reply(7) }), []);
    assert_eq!(bench.caller.next_wakeup(), None);
    assert_eq!(bench.feed(Input::Await { id, deadline: None }), delivered);
    bench.feed(Input::Consumed { id });
    assert_eq!(bench.feed(Input::Await { id, deadline: None }), [Effect::NotPending { id }]);
}

/// Found while the mark was designed: had it risen before the drop was stable, a crash would leave a call in the
/// outbox that the servers refuse as stale.
#[test]
fn the_mark_rises_only_when_the_drop_is_stable() {
    let mut bench = Bench::new(true);
    let id = bench.sent(1);
    bench.feed(Input::Answer { id, outcome: Outcome::Reply(7) });
    let effects = bench.feed(Input::Consumed { id });
    assert_eq!(effects, [Effect::Commit { incarnation: Incarnation(1), write: Write::Drop(id) }]);
    assert_eq!(bench.caller.mark(), mark(1, 1));
    bench.feed(Input::Stable { id });
    assert_eq!(bench.caller.mark(), mark(1, 2));
}

#[test]
fn a_trans_id_whose_slot_is_pending_is_skipped() {
    let mut bench = Bench::new(true);
    assert_eq!(bench.sent(1), id(1, 1));
    for body in 2..=4 {
        bench.whole(body);
    }
    assert_eq!(bench.sent(5), id(1, 6), "id 5 would lie in the slot of id 1");
}

#[test]
fn with_every_slot_pending_no_call_is_made() {
    let mut bench = Bench::new(true);
    for body in 1..=4 {
        bench.sent(body);
    }
    let rejected = Effect::Rejected { token: 5, reason: Rejection::WindowFull };
    assert_eq!(bench.call(5), [rejected]);
    let second = id(1, 2);
    bench.feed(Input::Answer { id: second, outcome: Outcome::Reply(7) });
    bench.feed(Input::Consumed { id: second });
    bench.feed(Input::Stable { id: second });
    assert_eq!(started(&bench.call(5)), id(1, 6));
}

#[test]
fn a_backup_and_a_fenced_member_make_no_calls() {
    let rejected = [Effect::Rejected { token: 1, reason: Rejection::NotInService }];
    assert_eq!(Bench::backup(true, IdForm::Incarnation).call(1), rejected);
    let mut bench = Bench::new(true);
    let id = started(&bench.call(9));
    bench.feed(Input::Fenced);
    assert_eq!(bench.call(1), rejected);
    assert_eq!(bench.feed(Input::Stable { id }), []);
    assert_eq!(bench.feed(route(COUNTER, 6, Some(BACKUP))), []);
    assert_eq!(bench.caller.next_wakeup(), None);
}

#[test]
fn a_new_route_gets_every_pending_call_of_its_target_at_once() {
    let mut bench = Bench::new(true);
    let (first, second) = (bench.sent(1), bench.sent(2));
    bench.feed(Input::Answer { id: first, outcome: Outcome::Reply(7) });
    let effects = bench.feed(route(COUNTER, 6, Some(BACKUP)));
    assert_eq!(sendings(&effects), [(second, BACKUP, 1)]);
    assert_eq!(bench.feed(route(COUNTER, 6, Some(BACKUP))), [], "it is no news");
    assert_eq!(bench.feed(route(LEDGER, 9, Some(ACTIVE))), [], "nothing is pending there");
}

#[test]
fn a_route_with_a_lower_incarnation_is_never_taken() {
    let mut bench = Bench::new(true);
    bench.feed(route(COUNTER, 6, Some(BACKUP)));
    let id = bench.sent(1);
    for late in [route(COUNTER, 5, Some(ACTIVE)), route(COUNTER, 6, None)] {
        assert_eq!(bench.feed(late), []);
    }
    assert_eq!(sendings(&bench.later(RESEND)), [(id, BACKUP, 1)]);
}

#[test]
fn a_refused_or_lost_port_is_inquired_for_but_not_more_often_than_stated() {
    let mut bench = Bench::new(true);
    let id = bench.sent(1);
    assert_eq!(bench.feed(Input::PortGone { port: ACTIVE }), [Effect::Inquire { target: COUNTER }]);
    // The PAM does not know yet either.
    let effects = bench.feed(route(COUNTER, 5, Some(ACTIVE)));
    assert_eq!(sendings(&effects), [(id, ACTIVE, 1)]);
    let refused = Input::Refused { id, port: ACTIVE, refusal: Refusal::NotInService };
    assert_eq!(bench.feed(refused), []);
    assert_eq!(bench.caller.next_wakeup(), Some(Nanos(10_000 + INQUIRE)));
    for _ in 0..3 {
        assert_eq!(bench.later(INQUIRE), [Effect::Inquire { target: COUNTER }]);
    }
    assert_eq!(sendings(&bench.feed(route(COUNTER, 6, Some(BACKUP)))), [(id, BACKUP, 2)]);
}

#[test]
fn a_refusal_by_a_port_that_is_left_already_changes_nothing() {
    let mut bench = Bench::new(true);
    let id = bench.sent(1);
    bench.feed(route(COUNTER, 6, Some(BACKUP)));
    assert_eq!(bench.feed(Input::Refused { id, port: ACTIVE, refusal: Refusal::NotInService }), []);
    assert_eq!(bench.caller.route_to(COUNTER).and_then(|route| route.port), Some(BACKUP));
}

#[test]
fn without_a_route_the_pam_is_asked_and_the_call_goes_out_when_there_is_one() {
    let mut bench = Bench::backup(true, IdForm::Incarnation);
    bench.promote(1, 20, vec![]);
    let id = started(&bench.call(1));
    assert_eq!(bench.feed(Input::Stable { id }), [Effect::Inquire { target: COUNTER }]);
    assert_eq!(bench.feed(route(COUNTER, 5, None)), []);
    assert_eq!(sendings(&bench.feed(route(COUNTER, 5, Some(ACTIVE)))), [(id, ACTIVE, 0)]);
}

#[test]
fn a_request_without_an_answer_is_sent_again_and_again() {
    let mut bench = Bench::new(true);
    let id = bench.sent(1);
    assert_eq!(bench.later(RESEND - 1), []);
    for (attempt, after) in [(1, 1), (2, RESEND), (3, RESEND)] {
        let effects = bench.later(after);
        assert_eq!(sendings(&effects), [(id, ACTIVE, attempt)]);
        assert_eq!(effects.last(), Some(&Effect::Inquire { target: COUNTER }));
    }
}

#[test]
fn a_busy_server_is_asked_again_later() {
    for refusal in [Refusal::Busy, Refusal::WindowExceeded] {
        let mut bench = Bench::new(true);
        let id = bench.sent(1);
        assert_eq!(bench.feed(Input::Refused { id, port: ACTIVE, refusal }), []);
        assert_eq!(sendings(&bench.later(RESEND / 4)), [(id, ACTIVE, 1)]);
    }
}

#[test]
fn a_call_refused_for_good_is_told_and_leaves_the_outbox_when_consumed() {
    let mut bench = Bench::new(true);
    let id = bench.sent(1);
    let refusal = Refusal::DifferentBody;
    assert_eq!(bench.feed(Input::Refused { id, port: ACTIVE, refusal }), [Effect::Refused { id, refusal }]);
    assert_eq!(bench.feed(Input::Refused { id, port: ACTIVE, refusal }), []);
    let effects = bench.feed(Input::Consumed { id });
    assert_eq!(effects, [Effect::Commit { incarnation: Incarnation(1), write: Write::Drop(id) }]);
}

#[test]
fn at_its_deadline_a_call_is_unknown_and_can_be_asked_for_again() {
    let mut bench = Bench::new(true);
    let deadline = Some(Nanos(bench.now + 50));
    let id = started(&bench.feed(Input::Call { token: 1, target: COUNTER, body: 1, deadline }));
    bench.feed(Input::Stable { id });
    assert_eq!(bench.later(50), [Effect::DeadlinePassed { id }]);
    assert_eq!(bench.feed(Input::Await { id, deadline: Some(Nanos(bench.now + 50)) }), []);
    let outcome = Outcome::Reply(7);
    assert_eq!(bench.feed(Input::Answer { id, outcome: outcome.clone() }), [Effect::Deliver { id, outcome }]);
    assert_eq!(bench.later(50), []);
}

#[test]
fn an_outcome_nobody_waited_for_is_delivered_when_it_is_asked_for() {
    let mut bench = Bench::new(true);
    let id = bench.sent(1);
    bench.feed(Input::Answer { id, outcome: Outcome::Failed(3) });
    let state = bench.caller.call_view(id).map(|view| view.state == CallState::Answered(&Outcome::Failed(3)));
    assert_eq!(state, Some(true));
    let effects = bench.feed(Input::Await { id, deadline: Some(Nanos(0)) });
    assert_eq!(effects, [Effect::Deliver { id, outcome: Outcome::Failed(3) }]);
}

#[test]
fn a_new_active_client_sends_what_its_predecessor_left_under_the_first_ids() {
    let mut bench = Bench::backup(true, IdForm::Incarnation);
    // Hints are learnt as a backup.
    bench.feed(route(COUNTER, 5, Some(ACTIVE)));
    let left = |born, nth| Pending {
        id: id(born, nth),
        born: Incarnation(born),
        target: COUNTER,
        invoked: Nanos(3),
        body: 1,
    };
    let effects = bench.promote(3, 21, vec![left(1, 8), left(2, 1)]);
    assert_eq!(sendings(&effects), [(id(1, 8), ACTIVE, 1), (id(2, 1), ACTIVE, 1)]);
    assert_eq!(bench.caller.mark(), mark(1, 8));
    assert_eq!(bench.sent(5), id(3, 1));
    for old in [id(1, 8), id(2, 1)] {
        bench.feed(Input::Answer { id: old, outcome: Outcome::Reply(7) });
        bench.feed(Input::Consumed { id: old });
        bench.feed(Input::Stable { id: old });
    }
    assert_eq!(bench.caller.mark(), mark(3, 1));
}

/// A takeover may go from a higher port to a lower one. The mark follows the incarnations.
#[test]
fn calls_with_a_port_in_their_id_are_ordered_by_the_incarnation_they_were_made_in() {
    let mut bench = Bench::backup(true, IdForm::SourcePort);
    bench.feed(route(COUNTER, 5, Some(ACTIVE)));
    let old = CallId { origin: Origin::Port(PortId(90)), ..id(1, 8) };
    let left = Pending { id: old, born: Incarnation(1), target: COUNTER, invoked: Nanos(3), body: 1 };
    bench.promote(2, 40, vec![left]);
    let new = bench.sent(1);
    assert_eq!(new, CallId { origin: Origin::Port(PortId(40)), ..id(2, 1) });
    assert_eq!(bench.caller.mark(), mark(1, 8));
    bench.feed(Input::Answer { id: old, outcome: Outcome::Reply(7) });
    bench.feed(Input::Consumed { id: old });
    bench.feed(Input::Stable { id: old });
    assert_eq!(bench.caller.mark(), mark(2, 1));
}

#[test]
fn a_call_that_a_predecessor_left_takes_no_slot_of_the_new_session() {
    let mut bench = Bench::backup(true, IdForm::Incarnation);
    bench.feed(route(COUNTER, 5, Some(ACTIVE)));
    let left = (1..=4).map(|nth| Pending {
        id: id(1, nth),
        born: Incarnation(1),
        target: COUNTER,
        invoked: Nanos(3),
        body: 1,
    });
    bench.promote(2, 21, left.collect());
    for nth in 1..=4 {
        assert_eq!(bench.sent(nth as u32), id(2, nth));
    }
}
