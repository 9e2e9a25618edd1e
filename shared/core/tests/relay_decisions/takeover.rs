//! What a takeover does with transactions that it finds half done.

use crate::bench::*;

#[test]
fn a_takeover_sends_the_same_call_again_and_runs_the_handler_over_the_journal() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.called(1, 1, STOCK, 7, reply(70));
    bench.call_on(1, 2, PAYMENTS, 8);
    bench.sync();
    let (mut bench, effects) = bench.taken_over();
    assert_eq!(effects, [Effect::SendOn { id: on(1002) }, execute(1)]);
    assert_eq!(bench.call_on(1, 1, STOCK, 7), [answered(1, 1, 70, true)], "from the journal");
    assert_eq!(bench.call_on(1, 2, PAYMENTS, 8), [], "it is under way");
    assert_eq!(bench.writing.len(), 0, "nothing is written for what the journal has");
    let news = News::Answered(reply(80));
    assert_eq!(bench.feed(Input::News { id: on(1002), news }), [answered(1, 2, 80, true)]);
    bench.returns(1, reply(150));
    assert_eq!(bench.sync(), [Effect::Settle { ids: vec![on(1001), on(1002)] }]);
}

#[test]
fn a_request_that_comes_again_before_the_downstream_answer_waits_for_it() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.call_on(1, 1, STOCK, 7);
    bench.sync();
    let (mut bench, _) = bench.taken_over();
    assert_eq!(bench.ask(request(1)), [], "held");
    bench.call_on(1, 1, STOCK, 7);
    bench.feed(Input::News { id: on(1001), news: News::Answered(reply(70)) });
    bench.returns(1, reply(71));
    assert!(bench.sync().contains(&answer(1, reply(71), true)));
}

#[test]
fn a_run_that_asks_for_something_else_than_the_journal_holds_needs_an_operator() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.called(1, 1, STOCK, 7, reply(70));
    let (mut bench, _) = bench.taken_over();
    let diverged = Given::Diverged { position: at(1), journal: (STOCK, 7), asked: Some((STOCK, 9)) };
    assert_eq!(bench.call_on(1, 1, STOCK, 9), [given(1, 1, diverged)], "both messages are named");
    assert_eq!(bench.returns(1, Outcome::Failed(0)), [], "that run is over, whatever it says");
    let resolution = Resolution::Rerun;
    assert_eq!(bench.feed(Input::Resolve { id: id(1), resolution }), [execute(1)], "the journal stays");
    bench.call_on(1, 1, PAYMENTS, 7);
    let effects = bench.feed(Input::Resolve { id: id(1), resolution: Resolution::RollBack });
    assert_eq!(effects, []);
    assert_eq!(bench.sync(), [Effect::CancelOn { id: on(1001) }]);
}

#[test]
fn a_run_that_ends_without_asking_for_what_the_journal_holds_needs_an_operator() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.called(1, 1, STOCK, 7, reply(70));
    let (mut bench, _) = bench.taken_over();
    bench.server.handle(Nanos(0), Input::Returned { id: id(1), outcome: reply(1) }, &mut Vec::new());
    let mut effects = Vec::new();
    bench.server.handle(Nanos(0), Input::Resolve { id: id(1), resolution: Resolution::Rerun }, &mut effects);
    assert!(effects.contains(&execute(1)), "it had diverged: {effects:?}");
}

#[test]
fn a_takeover_goes_on_backwards_with_what_was_going_backwards() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    bench.returns(1, Outcome::Failed(4));
    bench.sync();
    let (mut bench, effects) = bench.taken_over();
    assert_eq!(effects, [Effect::CancelOn { id: first }], "and not forward, as the policy says");
    bench.cancelled(first);
    assert_eq!(bench.sync(), [Effect::Settle { ids: vec![first] }]);
    assert_eq!(bench.ask(request(1)), [answer(1, Outcome::Failed(4), true)]);
}

#[test]
fn a_takeover_that_rolls_back_has_the_request_performed_from_the_beginning() {
    let mut bench = Bench::with(Policy::RollBack);
    bench.ask(request(1));
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    let (mut bench, effects) = bench.taken_over();
    assert_eq!(effects, []);
    assert_eq!(bench.sync(), [Effect::CancelOn { id: first }]);
    assert_eq!(bench.ask(request(1)), [], "held while it goes back");
    assert_eq!(bench.cancelled(first), []);
    assert_eq!(bench.sync(), [Effect::Settle { ids: vec![first] }, execute(1)]);
    assert!(bench.stable.journal.is_empty() && bench.state(1).is_none());
    bench.call_on(1, 1, STOCK, 7);
    assert_eq!(bench.sync(), [Effect::SendOn { id: on(2001) }], "under a new id");
}

#[test]
fn a_request_that_comes_after_the_roll_back_is_performed_from_the_beginning() {
    let mut bench = Bench::with(Policy::RollBack);
    bench.ask(request(1));
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    let (mut bench, _) = bench.taken_over();
    bench.sync();
    bench.cancelled(first);
    bench.sync();
    assert_eq!(bench.ask(request(1)), [execute(1)]);
}

#[test]
fn a_substitute_takes_the_place_of_an_unanswered_call_which_is_cancelled_first() {
    let mut bench = Bench::with(Policy::Substitute);
    bench.ask(request(1));
    bench.call_on(1, 1, STOCK, 7);
    bench.sync();
    let (mut bench, effects) = bench.taken_over();
    let asked = Effect::AskSubstitute { id: id(1), request: 101, position: at(1), target: STOCK, body: 7 };
    assert_eq!(effects, [asked]);
    let by = Some(Substitute { target: PAYMENTS, body: 9, cancel_old: true });
    let effects = bench.feed(Input::Substituted { id: id(1), position: at(1), by });
    assert_eq!(effects, [], "what takes its place is durable first");
    assert_eq!(bench.sync(), [Effect::CancelOn { id: on(1001) }]);
    let (mut bench, effects) = bench.taken_over();
    assert_eq!(effects, [Effect::CancelOn { id: on(1001) }], "nobody is asked again");
    assert_eq!(bench.cancelled(on(1001)), [], "the new one is put into the journal first");
    let effects = bench.sync();
    assert_eq!(
        effects,
        [Effect::Settle { ids: vec![on(1001)] }, Effect::SendOn { id: on(2001) }, execute(1)]
    );
    assert_eq!(
        bench.call_on(1, 1, STOCK, 7),
        [],
        "the handler asks for the old one, and gets the new one's answer"
    );
    let news = News::Answered(reply(90));
    assert_eq!(bench.feed(Input::News { id: on(2001), news }), [answered(1, 1, 90, true)]);
}

#[test]
fn a_substitute_that_was_journaled_is_what_the_next_takeover_goes_on_with() {
    let mut bench = Bench::with(Policy::Substitute);
    bench.ask(request(1));
    bench.call_on(1, 1, STOCK, 7);
    bench.sync();
    let (mut bench, _) = bench.taken_over();
    let by = Some(Substitute { target: PAYMENTS, body: 9, cancel_old: false });
    bench.feed(Input::Substituted { id: id(1), position: at(1), by });
    bench.sync();
    let (mut bench, effects) = bench.taken_over();
    let asked = Effect::AskSubstitute { id: id(1), request: 101, position: at(1), target: PAYMENTS, body: 9 };
    assert_eq!(effects, [asked], "about the one that took the place");
    let effects = bench.feed(Input::Substituted { id: id(1), position: at(1), by: None });
    assert_eq!(effects, [Effect::SendOn { id: on(2001) }, execute(1)]);
    assert_eq!(
        bench.call_on(1, 1, STOCK, 7),
        [],
        "what the handler asks for is known, whatever took its place"
    );
}

#[test]
fn a_policy_that_is_set_holds_for_the_next_takeover() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.feed(Input::SetPolicy { id: id(1), policy: Policy::RollBack });
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    let (mut bench, effects) = bench.taken_over();
    assert_eq!(effects, []);
    assert_eq!(bench.sync(), [Effect::CancelOn { id: first }]);
}
