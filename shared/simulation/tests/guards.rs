//! Each guard of the protocol is needed: without it, a schedule breaks an invariant, and is found soon.

use palib_simulation::{Guard, Schedule, run};

/// Within so many schedules what a missing guard lets through is found.
const WITHIN: u64 = 10_000;

fn is_needed(guard: Guard) {
    let found = (1..=WITHIN).find_map(|seed| {
        let violation = run(&Schedule::from_seed(seed), Some(guard)).violation?;
        Some((seed, violation))
    });
    let Some((seed, violation)) = found else {
        panic!("{WITHIN} schedules do not show that {guard} is needed")
    };
    println!("without {guard}: found after {seed} schedules: {violation}");
}

macro_rules! needed {
    ($($test:ident: $guard:ident;)*) => {
        $(#[test]
        fn $test() {
            is_needed(Guard::$guard);
        })*

        #[test]
        fn every_guard_is_taken_away_once() {
            assert_eq!([$(Guard::$guard),*], Guard::ALL);
        }
    };
}

needed! {
    without_a_stable_commit_before_the_reply_something_breaks: StableBeforeReply;
    without_the_check_of_the_incarnation_something_breaks: IncarnationCheck;
    without_the_fence_before_the_promotion_something_breaks: FenceBeforePromotion;
    without_a_death_before_the_promotion_something_breaks: DeadBeforePromotion;
    without_persisting_before_an_order_something_breaks: PersistBeforeOrder;
    without_durable_incarnations_something_breaks: DurableIncarnation;
    without_the_stored_mark_something_breaks: StoredMark;
    without_looking_at_a_later_call_in_the_slot_something_breaks: LaterCallInSlot;
    without_holding_what_is_executed_something_breaks: Hold;
    without_a_stable_roll_forward_point_something_breaks: StableBeforeResume;
    without_asking_recover_something_breaks: Recover;
    without_the_outbox_before_the_request_something_breaks: OutboxBeforeSend;
    without_reading_the_outbox_something_breaks: OutboxRead;
    without_a_stable_drop_before_the_mark_something_breaks: DropBeforeMark;
    without_fresh_ids_something_breaks: FreshIds;
    without_the_journal_before_the_request_something_breaks: JournalBeforeSend;
    without_reading_the_journal_something_breaks: JournalRead;
    without_one_commit_for_outcome_and_journal_something_breaks: OneCommit;
    without_a_stable_course_before_the_cancellation_something_breaks: CourseBeforeCancel;
    without_a_stable_substitute_before_the_cancellation_something_breaks: SubstituteBeforeCancel;
    without_a_tombstone_something_breaks: Tombstone;
    without_a_stable_end_before_the_confirmation_something_breaks: StableBeforeConfirm;
    without_a_stable_mark_before_the_undoing_something_breaks: StableBeforeUndo;
    without_waiting_with_a_cancellation_something_breaks: CancelWaits;
    without_retaining_the_journal_something_breaks: Retention;
    without_a_stable_close_before_calls_are_done_something_breaks: CloseBeforeSettle;
}
