//! What a server does with calls that it makes on behalf of calls, and with cancellations, one decision at a time.

use std::collections::{BTreeMap, VecDeque};

use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Nanos, Origin, Session, SlotKey, TransId};
use palib_core::message::{CancelEnd, Outcome, Refusal, Request};
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::relay::{Given, Journaled, News, Policy, Position, Step, Substitute};
use palib_core::resend::{Pending, Rejection};
use palib_core::server::{Asker, Effect, Input, Note, Resolution, Server, Settings, Then, Write};

const RELAY: AliasId = AliasId(1);
const CALLER: AliasId = AliasId(2);
const STOCK: AliasId = AliasId(3);
const PAYMENTS: AliasId = AliasId(4);
const ASKER: Asker = Asker(1);
const WINDOW: u32 = 4;

/// What lies in the stable area.
#[derive(Clone, Default)]
struct Stable {
    rows: BTreeMap<SlotKey, Row<u32>>,
    journal: BTreeMap<((Session, TransId), Position), Journaled<u32>>,
}

/// A server over an area, whose commits become durable when a test says so.
struct Bench {
    server: Server<u32>,
    stable: Stable,
    writing: VecDeque<(Vec<Write<u32>>, Vec<Then>)>,
    next: u64,
    rejected: Option<Rejection>,
}

impl Bench {
    fn new() -> Self {
        Self::with(Policy::RollForward)
    }

    /// Transactions keep the policy that they began with.
    fn with(on_takeover: Policy) -> Self {
        Self::over(Stable::default(), on_takeover).0
    }

    /// In service over what a predecessor left, and what it does about that.
    fn over(stable: Stable, on_takeover: Policy) -> (Self, Vec<Effect<u32>>) {
        let settings = Settings { alias: RELAY, window: WINDOW, sessions_max: 8, calls_max: 64, on_takeover };
        let server = Server::new(settings);
        let next = 1000 * (1 + stable.journal.len() as u64);
        let mut bench =
            Self { server, stable: stable.clone(), writing: VecDeque::new(), next, rejected: None };
        let open = |row: &Row<u32>| matches!(row.state, RowState::Blocked { .. } | RowState::Relaying { .. });
        let blocked = stable.rows.into_iter().filter(|(_, row)| open(row)).collect();
        let journal = stable.journal.into_values().collect();
        let effects = bench.feed(Input::Promoted { incarnation: Incarnation(5), blocked, journal });
        (bench, effects)
    }

    /// This process dies; what is durable is taken over.
    fn taken_over(self) -> (Self, Vec<Effect<u32>>) {
        Self::over(self.stable, Policy::RollForward)
    }

    /// Feeds an input, and what follows at once. What is left is for the handler, the network and the callers.
    fn feed(&mut self, input: Input<u32>) -> Vec<Effect<u32>> {
        let (mut inputs, mut out) = (VecDeque::from([input]), Vec::new());
        while let Some(input) = inputs.pop_front() {
            let mut effects = Vec::new();
            self.server.handle(Nanos(0), input, &mut effects);
            for effect in effects {
                match effect {
                    Effect::Load { key } => {
                        let row = self.stable.rows.get(&key).cloned();
                        inputs.push_back(Input::Loaded { key, row, mark: None });
                    }
                    Effect::Commit { writes, then, .. } => self.writing.push_back((writes, then)),
                    Effect::Allot { id, position, target, body } => {
                        let call = self.allot(target, body);
                        inputs.push_back(Input::Allotted { id, position, call });
                    }
                    Effect::Note(_) | Effect::Ready => {}
                    other => out.push(other),
                }
            }
        }
        out
    }

    fn allot(&mut self, target: AliasId, body: u32) -> Result<Pending<u32>, Rejection> {
        if let Some(reason) = self.rejected.take() {
            return Err(reason);
        }
        self.next += 1;
        let born = Incarnation(5);
        Ok(Pending { id: on(self.next), born, target, invoked: Nanos(0), body })
    }

    /// Makes everything durable that is being written, and what that leads to.
    fn sync(&mut self) -> Vec<Effect<u32>> {
        let mut out = Vec::new();
        while let Some((writes, then)) = self.writing.pop_front() {
            let outcome = self.stable.apply(writes);
            for then in then {
                out.extend(self.feed(told(then, outcome.clone())));
            }
        }
        out
    }

    fn ask(&mut self, request: Request<u32>) -> Vec<Effect<u32>> {
        let digest = u128::from(request.body);
        self.feed(Input::Request { asker: ASKER, request, digest })
    }

    fn cancel(&mut self, request: Request<u32>) -> Vec<Effect<u32>> {
        let digest = u128::from(request.body);
        self.feed(Input::Cancel { asker: ASKER, request, digest })
    }

    fn call_on(&mut self, trans: u64, place: u16, target: AliasId, body: u32) -> Vec<Effect<u32>> {
        let (id, position, digest) = (id(trans), at(place), u128::from(body));
        self.feed(Input::CallOn { id, position, target, body, digest })
    }

    /// Calls on, durably, and is answered.
    fn called(
        &mut self,
        trans: u64,
        place: u16,
        target: AliasId,
        body: u32,
        outcome: Outcome<u32>,
    ) -> CallId {
        self.call_on(trans, place, target, body);
        let sent = self.sync();
        let [Effect::SendOn { id }] = sent[..] else { panic!("one call is sent: {sent:?}") };
        self.feed(Input::News { id, news: News::Answered(outcome) });
        id
    }

    fn cancelled(&mut self, id: CallId) -> Vec<Effect<u32>> {
        self.feed(Input::News { id, news: News::Cancel(CancelEnd::Cancelled { undone: true }) })
    }

    fn returns(&mut self, trans: u64, outcome: Outcome<u32>) -> Vec<Effect<u32>> {
        self.feed(Input::Returned { id: id(trans), outcome })
    }

    fn state(&self, trans: u64) -> Option<&RowState<u32>> {
        self.stable.rows.get(&key(trans)).map(|row| &row.state)
    }
}

impl Stable {
    fn apply(&mut self, writes: Vec<Write<u32>>) -> Option<Outcome<u32>> {
        let mut registered = None;
        for write in writes {
            match write {
                Write::PutRow { key, row } => {
                    if let RowState::Registered(RedProcess::AutoReply(outcome)) = &row.state {
                        registered = Some(outcome.clone());
                    }
                    self.rows.insert(key, row);
                }
                Write::DropRow { key } => _ = self.rows.remove(&key),
                Write::PutJournal { row } => {
                    self.journal.insert((row.served.place(), row.position.clone()), row);
                }
                Write::CloseJournal { served } => {
                    self.journal.retain(|(place, _), _| *place != served.place());
                }
                Write::AtomicUndo { key, id, digest } => {
                    let state = RowState::Cancelled { undone: true };
                    self.rows.insert(key, Row { id, digest, state });
                }
                Write::Atomic { .. } | Write::PutMark { .. } | Write::DropSource { .. } => {}
            }
        }
        registered
    }
}

fn told(then: Then, outcome: Option<Outcome<u32>>) -> Input<u32> {
    match then {
        Then::StableBlock { id } => Input::StableBlock { id },
        Then::Stable { id } => Input::Stable { id, outcome },
        Then::StableCall { id } => Input::StableCall { id },
        Then::StableCourse { id } => Input::StableCourse { id },
        Then::StableUndoing { id } => Input::StableUndoing { id },
        Then::StableCancelled { id } => Input::StableCancelled { id, outcome: None },
        Then::Closed { id, rolled_back } => Input::Closed { id, rolled_back },
    }
}

fn session() -> Session {
    Session { source: CALLER, born: Incarnation(1) }
}

fn key(trans: u64) -> SlotKey {
    SlotKey::of(session(), TransId(trans), WINDOW)
}

fn id(trans: u64) -> CallId {
    CallId { source: CALLER, origin: Origin::Incarnation(Incarnation(1)), trans: TransId(trans) }
}

/// The id of a call on.
fn on(trans: u64) -> CallId {
    CallId { source: RELAY, origin: Origin::Incarnation(Incarnation(5)), trans: TransId(trans) }
}

fn at(place: u16) -> Position {
    Position(vec![place])
}

fn request(trans: u64) -> Request<u32> {
    let (born, mark) = (Incarnation(1), Mark { born: Incarnation(1), trans: TransId(0) });
    let body = 100 + trans as u32;
    Request { id: id(trans), born, target: RELAY, mark, attempt: 0, cancellable: false, body }
}

fn reply(number: u32) -> Outcome<u32> {
    Outcome::Reply(number)
}

fn given(trans: u64, place: u16, given: Given<u32>) -> Effect<u32> {
    Effect::Give { id: id(trans), position: at(place), given }
}

fn answered(trans: u64, place: u16, number: u32, replayed: bool) -> Effect<u32> {
    given(trans, place, Given::Answer { outcome: reply(number), replayed })
}

fn answer(trans: u64, outcome: Outcome<u32>, redundant: bool) -> Effect<u32> {
    Effect::Answer { asker: ASKER, id: id(trans), outcome, redundant }
}

fn execute(trans: u64) -> Effect<u32> {
    Effect::Execute { id: id(trans), body: 100 + trans as u32 }
}

fn cancel_end(trans: u64, undone: bool) -> Effect<u32> {
    Effect::AnswerCancel { asker: ASKER, id: id(trans), end: CancelEnd::Cancelled { undone } }
}

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
    assert_eq!(bench.call_on(1, 1, STOCK, 9), [given(1, 1, Given::Diverged)]);
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
fn calls_that_failed_or_were_refused_need_no_undoing() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.called(1, 1, STOCK, 7, Outcome::Failed(3));
    assert_eq!(bench.returns(1, Outcome::Failed(4)), []);
    assert!(bench.sync().contains(&answer(1, Outcome::Failed(4), false)));
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
    assert_eq!(effects, [Effect::CancelOn { id: on(1001) }]);
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
    assert_eq!(bench.returns(1, reply(5)), [Effect::CancelOn { id: on(1001) }]);
    assert!(bench.writing.is_empty());
    bench.cancelled(on(1001));
    assert!(bench.sync().contains(&answer(1, reply(5), false)));
}

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
fn a_policy_that_is_set_holds_for_the_next_takeover() {
    let mut bench = Bench::new();
    bench.ask(request(1));
    bench.feed(Input::SetPolicy { id: id(1), policy: Policy::RollBack });
    let first = bench.called(1, 1, STOCK, 7, reply(70));
    let (mut bench, effects) = bench.taken_over();
    assert_eq!(effects, []);
    assert_eq!(bench.sync(), [Effect::CancelOn { id: first }]);
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
