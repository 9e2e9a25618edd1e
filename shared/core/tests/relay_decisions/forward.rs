//! Calls that are made on behalf of calls, forward and back.

use crate::bench::*;

#[test]
fn a_call_on_is_sent_only_when_both_calls_are_in_the_journal() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    assert_eq!(bench.call_on(1, 1, STOCK, 7), [], "nothing goes out before it is durable");
    assert!(bench.stable.journal.is_empty());
    assert_eq!(bench.sync(), [Effect::SendOn { id: on(1001) }]);
    let row = bench.stable.journal.values().next().expect("a row");
    assert_eq!((row.served.id, &row.position, row.call.id, row.call.body), (id(1), &at(1), on(1001), 7));
    assert!(matches!(bench.state(1), Some(RowState::Relaying { request: 101, .. })));
}

#[test]
fn the_outcome_and_the_end_of_the_journal_are_one_commit_and_then_the_slots_are_free() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    let second = bench.called(1, 2, PAYMENTS, 8, reply(80));
    assert_eq!(bench.returns(1, reply(150)), []);
    assert_eq!(bench.writing.len(), 1, "outcome and journal in one");
    assert_eq!(bench.sync(), [Effect::Settle { ids: vec![first, second] }, answer(1, reply(150), false)]);
    assert!(bench.stable.journal.is_empty());
    assert_eq!(bench.ask(request(1)), [answer(1, reply(150), true)], "from the table");
}

#[test]
fn the_answer_of_a_call_on_is_put_with_the_next_one() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.called(1, 1, STOCK, 7, reply(70));
    assert_eq!(bench.writing.len(), 0, "an answer alone costs no commit");
    bench.call_on(1, 2, PAYMENTS, 8);
    bench.sync();
    let answers: Vec<_> = bench.stable.journal.values().map(|row| row.answer.clone()).collect();
    assert_eq!(answers, [Some(reply(70)), None]);
}

#[test]
fn a_handler_that_fails_has_its_calls_undone_last_first_before_its_failure_is_told() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    let second = bench.called(1, 2, PAYMENTS, 8, reply(80));
    assert_eq!(bench.returns(1, Outcome::Failed(4)), []);
    assert_eq!(bench.sync(), [Effect::CancelOn { id: second }], "its course is durable first");
    assert_eq!(bench.cancelled(second), [Effect::CancelOn { id: first }]);
    assert_eq!(bench.cancelled(first), []);
    assert_eq!(
        bench.sync(),
        [Effect::Settle { ids: vec![first, second] }, answer(1, Outcome::Failed(4), false)]
    );
    assert!(bench.stable.journal.is_empty());
}

#[test]
fn calls_that_failed_or_were_refused_need_no_undoing() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.called(1, 1, STOCK, 7, Outcome::Failed(3));
    assert_eq!(bench.returns(1, Outcome::Failed(4)), []);
    assert!(bench.sync().contains(&answer(1, Outcome::Failed(4), false)));
}

#[test]
fn a_call_that_cannot_be_made_now_may_be_asked_for_again_at_its_position() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.rejected = Some(Rejection::WindowFull);
    assert_eq!(bench.call_on(1, 1, STOCK, 7), [given(1, 1, Given::Rejected(Rejection::WindowFull))]);
    bench.call_on(1, 1, STOCK, 7);
    assert_eq!(bench.sync(), [Effect::SendOn { id: on(1001) }]);
}

#[test]
fn what_a_handler_no_longer_waits_for_is_cancelled_before_its_outcome_is_registered() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.call_on(1, 1, STOCK, 7);
    bench.sync();
    assert_eq!(bench.returns(1, reply(5)), []);
    assert_eq!(bench.sync(), [Effect::CancelOn { id: on(1001) }], "that it does without is durable first");
    assert!(bench.writing.is_empty());
    bench.cancelled(on(1001));
    assert!(bench.sync().contains(&answer(1, reply(5), false)));
}

#[test]
fn a_transaction_whose_call_cannot_be_undone_needs_an_operator() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    bench.returns(1, Outcome::Failed(4));
    bench.sync();
    bench.feed(Input::News { id: first, news: News::Cancel(CancelEnd::NotUndone(66)) });
    assert_eq!(bench.ask(request(1)), [], "held");
    let again = bench.feed(Input::Resolve { id: id(1), resolution: Resolution::Rerun });
    assert_eq!(again, [Effect::CancelOn { id: first }]);
    bench.feed(Input::News { id: first, news: News::Cancel(CancelEnd::NotUndone(66)) });
    bench.feed(Input::Resolve { id: id(1), resolution: Resolution::Outcome(reply(1)) });
    assert!(bench.sync().contains(&answer(1, reply(1), true)));
    assert!(bench.stable.journal.is_empty());
}

#[test]
fn a_handler_may_end_in_atomic_mode_only_when_it_waits_for_nothing() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.call_on(1, 1, STOCK, 7);
    bench.sync();
    bench.feed(Input::Atomic { id: id(1) });
    assert!(bench.writing.is_empty(), "a call is under way");
    bench.feed(Input::News { id: on(1001), news: News::Answered(reply(70)) });
    bench.feed(Input::Atomic { id: id(1) });
    assert_eq!(bench.writing.len(), 1);
    let stable = Input::Stable { id: id(1), outcome: Some(Outcome::Failed(3)) };
    bench.writing.clear();
    assert_eq!(bench.feed(stable), [], "nothing was written: the handler goes on");
    bench.returns(1, Outcome::Failed(3));
    assert_eq!(bench.sync(), [Effect::CancelOn { id: on(1001) }], "and fails, which undoes what it called");
}

#[test]
fn a_relay_registers_nothing_while_it_waits_for_a_call_on() {
    for red in [RedProcess::AutoReply(reply(5)), RedProcess::Handler { index: 1, arg: 2 }] {
        let mut bench = Bench::new();
        bench.ask(request(1));
        bench.call_on(1, 1, STOCK, 7);
        bench.sync();
        let register = Input::SetRedProcess { id: id(1), red };
        assert_eq!(bench.feed(register.clone()), [Effect::Over { id: id(1) }]);
        assert!(bench.writing.is_empty(), "else the journal would be closed over a call that is under way");
        bench.feed(Input::News { id: on(1001), news: News::Answered(reply(70)) });
        assert_eq!(bench.feed(register), []);
        assert!(bench.sync().contains(&Effect::Settle { ids: vec![on(1001)] }));
    }
}

#[test]
fn a_run_that_registers_without_asking_for_what_its_journal_holds_has_diverged() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.called(1, 1, STOCK, 7, reply(70));
    let (mut bench, _) = bench.taken_over();
    bench.feed(Input::SetRedProcess { id: id(1), red: RedProcess::AutoReply(reply(5)) });
    assert_eq!(bench.server.call(id(1)).map(|call| call.state), Some(CallState::Diverged));
}

#[test]
fn an_operator_may_roll_back_what_is_under_way_and_the_handler_is_told() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.call_on(1, 1, STOCK, 7);
    bench.sync();
    let effects = bench.feed(Input::Resolve { id: id(1), resolution: Resolution::RollBack });
    assert_eq!(effects, [given(1, 1, Given::Over)]);
    assert_eq!(bench.call_on(1, 2, STOCK, 8), [given(1, 2, Given::Over)]);
    assert_eq!(bench.sync(), [Effect::CancelOn { id: on(1001) }]);
}

#[test]
fn steps_are_told_to_operators() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.call_on(1, 1, STOCK, 7);
    bench.sync();
    let mut effects = Vec::new();
    let news = News::Answered(reply(70));
    bench.server.handle(Nanos(0), Input::News { id: on(1001), news }, &mut effects);
    let told = |effect: &Effect<u32>| {
        matches!(
            effect,
            Effect::Note(Note::Relay { step: Step::Answered { replayed: false, failed: false, .. }, .. })
        )
    };
    assert!(effects.iter().any(told), "{effects:?}");
}
