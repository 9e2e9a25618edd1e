//! Calls that their callers take back.

use crate::bench::*;

#[test]
fn a_cancelled_call_that_never_came_is_refused_when_it_comes() {
    let mut bench = Bench::new();
    assert_eq!(bench.cancel(request(1)), [], "not before the tombstone is durable");
    assert_eq!(bench.sync(), [cancel_end(1, false)]);
    let refused = Effect::Refuse { asker: ASKER, id: id(1), refusal: Refusal::Cancelled };
    assert_eq!(bench.ask(request(1)), std::slice::from_ref(&refused));
    assert_eq!(bench.cancel(request(1)), [cancel_end(1, false)], "once more the same end");
    let (mut bench, _) = bench.taken_over();
    assert_eq!(bench.ask(request(1)), [refused]);
}

#[test]
fn a_cancellation_waits_for_a_call_that_is_executed_and_then_has_it_undone() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    assert_eq!(bench.cancel(request(1)), []);
    bench.returns(1, reply(5));
    assert_eq!(bench.sync()[0], answer(1, reply(5), false));
    let red = RedProcess::AutoReply(reply(5));
    let undo =
        |interrupted| Effect::Undo { id: id(1), request: 101, red: red.clone(), relayed: false, interrupted };
    // The row that says so was made durable by the same sync.
    assert!(matches!(bench.state(1), Some(RowState::Undoing(_))));
    let (mut bench, _) = bench.taken_over();
    assert_eq!(bench.cancel(request(1)), [undo(true)], "undone again after a death");
    bench.feed(Input::UndoAtomic { id: id(1) });
    assert_eq!(bench.sync(), [cancel_end(1, true)]);
    assert_eq!(bench.cancel(request(1)), [cancel_end(1, true)]);
}

#[test]
fn a_call_that_failed_is_cancelled_without_being_undone() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.returns(1, Outcome::Failed(5));
    bench.sync();
    bench.cancel(request(1));
    assert_eq!(bench.sync(), [cancel_end(1, false)]);
}

#[test]
fn an_undo_that_fails_is_told_and_tried_again_when_it_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.returns(1, reply(5));
    bench.sync();
    bench.cancel(request(1));
    bench.sync();
    let effects = bench.feed(Input::Undone { id: id(1), result: Err(66) });
    assert_eq!(effects, [Effect::AnswerCancel { asker: ASKER, id: id(1), end: CancelEnd::NotUndone(66) }]);
    let effects = bench.cancel(request(1));
    assert!(matches!(effects[..], [Effect::Undo { .. }]), "{effects:?}");
    bench.feed(Input::Undone { id: id(1), result: Ok(()) });
    assert_eq!(bench.sync(), [cancel_end(1, true)]);
}

#[test]
fn what_a_cancellable_call_called_is_kept_until_its_callers_mark_has_passed_it() {
    let mut bench = Bench::new();
    let cancellable = Request { cancellable: true, ..request(1) };
    bench.ask(cancellable.clone());
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    bench.returns(1, reply(5));
    assert_eq!(bench.sync(), [answer(1, reply(5), false)], "nothing is settled");
    assert_eq!((bench.server.relays_len(), bench.server.retained_len()), (0, 1));
    let (mut bench, effects) = bench.taken_over();
    assert_eq!((effects, bench.server.retained_len()), (vec![], 1), "the next one keeps it, too");
    let mark = Mark { born: Incarnation(1), trans: TransId(2) };
    bench.feed(Input::Mark { source: CALLER, mark });
    assert_eq!(bench.sync(), [Effect::Settle { ids: vec![first] }]);
    assert!(bench.stable.journal.is_empty());
}

#[test]
fn a_cancelled_relay_has_what_it_called_undone_and_then_undoes_what_it_did_itself() {
    let mut bench = Bench::new();
    let cancellable = Request { cancellable: true, ..request(1) };
    bench.ask(cancellable.clone());
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    bench.returns(1, reply(5));
    bench.sync();
    assert_eq!(bench.cancel(cancellable.clone()), []);
    assert_eq!(bench.sync(), [Effect::CancelOn { id: first }]);
    let (mut bench, _) = bench.taken_over();
    assert_eq!(bench.cancel(cancellable), [Effect::CancelOn { id: first }], "survives a death");
    let effects = bench.cancelled(first);
    assert!(matches!(effects[..], [Effect::Undo { relayed: true, interrupted: true, .. }]), "{effects:?}");
    bench.feed(Input::Undone { id: id(1), result: Ok(()) });
    assert_eq!(bench.sync(), [Effect::Settle { ids: vec![first] }, cancel_end(1, true)]);
    assert!(bench.stable.journal.is_empty());
}
