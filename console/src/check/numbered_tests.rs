//! Ledgers that number their answers: right ones are found right with any number of callers, and each kind of wrong one
//! wrong.

use proptest::prelude::*;
use serde_json::json;

use super::simulate::{Plan, Service, simulate};
use super::tests::{is_clean, is_violated, pick};
use super::{Kind, Verdict};
use crate::history::{History, Line, Status};

fn plan(calls: usize, callers: usize, seed: u64) -> Plan {
    Plan { numbered: true, unknown: 0, repeated: 0, ..Plan::of(Service::Ledger, calls, callers, seed) }
}

/// A ledger's history of one caller, changed.
fn changed(seed: u64, change: impl FnOnce(&mut [Line])) -> Verdict {
    let mut history = simulate(plan(200, 1, seed));
    let mut lines: Vec<Line> = history.lines.iter().map(|(_, line)| line.clone()).collect();
    lines.sort_by_key(|line| line.number);
    change(&mut lines);
    for ((_, place), line) in history.lines.iter_mut().zip(lines) {
        *place = line;
    }
    is_violated(&history)
}

#[test]
fn two_answers_with_one_number_are_found() {
    let verdict = changed(1, |lines| lines[7].number = Some(7));
    assert_eq!(verdict.violations[0].kind, Kind::LostEffect);
    assert_eq!(verdict.violations[0].lines.len(), 2);
}

#[test]
fn a_number_that_no_call_got_is_found() {
    let verdict =
        changed(2, |lines| lines[7..].iter_mut().for_each(|line| line.number = line.number.map(|n| n + 1)));
    assert_eq!(verdict.violations[0].kind, Kind::DoubledEffect);
    assert!(verdict.violations[0].text.contains("no call got the number before 9"), "{verdict:?}");
}

#[test]
fn numbers_against_time_are_found() {
    let verdict = changed(3, |lines| (lines[7].number, lines[8].number) = (lines[8].number, lines[7].number));
    assert_eq!(verdict.violations[0].kind, Kind::Order);
}

#[test]
fn a_wrong_answer_is_shown_with_what_touched_its_account_since_it_was_last_read() {
    let verdict = changed(4, |lines| {
        let reads: Vec<usize> = (0..lines.len()).filter(|&at| lines[at].op == "read").collect();
        let balance = &mut lines[reads[5]].result["a0"];
        *balance = json!(balance.as_i64().unwrap() + 1);
    });
    let violation = &verdict.violations[0];
    assert_eq!(violation.kind, Kind::DoubledEffect);
    let transfers = violation.lines.iter().filter(|shown| shown.line.op == "transfer");
    for shown in transfers.clone() {
        assert!([&shown.line.arg["from"], &shown.line.arg["to"]].contains(&&json!("a0")), "{violation:?}");
    }
    assert_eq!(
        violation.lines.len(),
        transfers.count() + 2,
        "two reads and what lies between: {violation:?}"
    );
}

#[test]
fn the_same_reply_under_another_number_is_another_reply() {
    let mut history = simulate(plan(20, 1, 5));
    let mut again = history.lines[3].clone();
    again.1.number = Some(21);
    history.lines.push(again);
    assert_eq!(is_violated(&history).violations[0].kind, Kind::TwoAnswers);
}

#[test]
fn more_numbers_may_not_be_missing_than_calls_are_without_an_answer() {
    let lose = |history: &mut History, number: u64| {
        let (_, line) = history.lines.iter_mut().find(|(_, line)| line.number == Some(number)).unwrap();
        (line.status, line.return_ns, line.number, line.result) = (Status::Info, None, None, json!(null));
    };
    let mut history = simulate(plan(100, 4, 6));
    lose(&mut history, 40);
    is_clean(&history);
    history.lines.retain(|(_, line)| line.number != Some(60));
    assert_eq!(is_violated(&history).violations[0].kind, Kind::DoubledEffect);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn what_a_right_ledger_answers_to_many_callers_is_clean(
        seed: u64, callers in 1_usize..100, unknown in 0_u32..20, amount_max in 1_i64..900
    ) {
        is_clean(&simulate(Plan { unknown, amount_max, repeated: 5, ..plan(2000, callers, seed) }));
    }

    #[test]
    fn any_wrong_answer_to_a_transfer_is_found(seed: u64, callers in 1_usize..100) {
        let mut history = simulate(plan(2000, callers, seed));
        let Some(at) = pick(&history, seed, |line| line.result.is_boolean()) else { return Ok(()) };
        let done = history.lines[at].1.result.as_bool().unwrap();
        history.lines[at].1.result = json!(!done);
        is_violated(&history);
    }

    #[test]
    fn an_effect_that_is_missing_or_doubled_is_found_with_many_callers(seed: u64, callers in 1_usize..100, doubled: bool) {
        let mut history = simulate(plan(2000, callers, seed));
        let moves = |line: &Line| {
            line.result == json!(true) && line.arg["from"] != line.arg["to"] && line.arg["amount"].as_i64() > Some(0)
        };
        let Some(at) = pick(&history, seed, moves) else { return Ok(()) };
        let done = history.lines[at].1.clone();
        let sign = if doubled { 1 } else { -1 } * done.arg["amount"].as_i64().unwrap();
        let later = history.lines.iter_mut().filter(|(_, line)| line.op == "read" && line.number > done.number);
        let mut seen = false;
        for (_, line) in later {
            for (account, change) in [(&done.arg["from"], -sign), (&done.arg["to"], sign)] {
                let balance = &mut line.result[account.as_str().unwrap()];
                *balance = json!(balance.as_i64().unwrap() + change);
            }
            seen = true;
        }
        if seen {
            is_violated(&history);
        }
    }
}
