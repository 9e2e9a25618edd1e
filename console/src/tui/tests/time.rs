//! Time: the past, what is read from elsewhere, and tours.

use super::*;
use crate::tui::app::{Link, Pane, Screen};
use crate::world::Tone;

#[test]
fn in_the_past_the_tables_are_as_they_were_and_actions_are_refused() {
    let mut rig = Rig::after_kill().sized((120, 36));
    rig.press("1");
    assert!(rig.text().contains("LIVE"));
    rig.press("<");
    while rig.app.world().up() != (4, 4) {
        rig.press(",");
    }
    let text = rig.text();
    assert!(text.contains("PAST") && text.contains("4/4 up"), "{text}");
    assert_eq!(rig.app.world().aliases["counter"].in_service().unwrap().process, "counter-1");
    rig.press("x");
    assert!(rig.note().contains("this is the past"), "{}", rig.note());
    rig.press("space");
    assert_eq!(rig.app.world().aliases["counter"].in_service().unwrap().process, "counter-2");
}

#[test]
fn steps_go_back_event_by_event_and_forward_into_the_present() {
    let mut rig = Rig::after_kill();
    rig.press("1 space");
    let end = rig.app.moment();
    rig.press(", , ,");
    assert_ne!(rig.app.moment(), end);
    rig.press(". . .");
    assert_eq!(rig.app.moment(), end);
    rig.press(".");
    assert_eq!(rig.app.moment(), None, "beyond the last event it is live");
}

#[test]
fn jumps_go_from_defect_to_defect() {
    let mut rig = Rig::after_kill();
    rig.press("1 <");
    let kinds = |rig: &Rig| rig.app.history.event(rig.app.moment().unwrap()).unwrap().what.clone();
    assert!(matches!(kinds(&rig), What::TakeoverStarted { .. }));
    rig.press("<");
    assert!(matches!(kinds(&rig), What::Defect { .. }));
    rig.press(">");
    assert!(matches!(kinds(&rig), What::TakeoverStarted { .. }));
}

#[test]
fn a_dead_owners_area_is_read_from_its_file_and_a_hung_owners_is_marked_stale() {
    let mut stage = Stage::counter();
    let mut rig = Rig::on(stage.clone()).sized((120, 36));
    rig.press("5").ticks(1);
    assert!(!rig.out.iter().any(|command| matches!(command, Cmd::ReadAtRest { .. })));
    let hung = later(&mut stage, What::Hung { name: "counter-1".into(), silent_ms: 600 });
    rig.send(Msg::Events(vec![hung]));
    rig.ticks(2).press("G");
    let text = rig.text();
    assert!(text.contains("counter-1 hangs: stale"), "{text}");
    let what = What::Exited { name: "counter-1".into(), pid: 1, how: "SIGKILL".into(), ordered: true };
    let died = later(&mut stage, what);
    rig.send(Msg::Events(vec![died]));
    rig.ticks(2);
    let reads = rig.out.iter().filter(|command| matches!(command, Cmd::ReadAtRest { .. })).count();
    assert!(reads > 0);
    assert!(rig.text().contains("its file"), "{}", rig.text());
}

#[test]
fn the_integrity_check_reads_every_table_and_names_what_is_damaged() {
    let mut rig = Rig::after_kill();
    rig.press("5").ticks(1).press("i");
    assert!(rig.note().contains("1 of 6 records damaged"), "{}", rig.note());
    assert_eq!(rig.app.note.as_ref().unwrap().tone, Tone::Bad);
}

#[test]
fn the_redundancy_table_of_the_past_is_the_one_that_was_read_then() {
    let mut rig = Rig::after_kill();
    rig.press("2").ticks(1);
    assert_eq!(rig.app.table(Pane::Redundancy).rows.len(), 5);
    rig.press("<");
    assert_eq!(rig.app.table(Pane::Redundancy).rows.len(), 0, "nothing was read then");
    assert!(rig.app.table(Pane::Redundancy).empty.contains("Not read then"));
}

/// The actions of tours that went out.
fn actions(rig: &Rig) -> Vec<String> {
    let performed = rig.out.iter().filter_map(|command| match command {
        Cmd::Perform { action, .. } => Some(action.to_string()),
        _ => None,
    });
    performed.collect()
}

#[test]
fn a_tour_goes_step_by_step_and_says_what_is() {
    let mut stage = Stage::counter();
    let mut rig = Rig::on(stage.clone()).sized((120, 36));
    rig.press("8 n").ticks(4);
    assert_eq!(rig.app.tour.as_ref().unwrap().done.len(), 1);
    rig.press("n").ticks(4);
    assert_eq!(actions(&rig), ["kill counter"]);
    assert!(rig.app.tour.as_ref().unwrap().running.is_some(), "counter-2 is not in service yet");
    rig.press("n");
    assert!(rig.note().contains("not over yet"), "{}", rig.note());
    let row = crate::world::stage::counter_row(2, true);
    let moved = later(&mut stage, What::Alias { row });
    rig.send(Msg::Events(vec![moved]));
    rig.ticks(1);
    let tour = rig.app.tour.clone().unwrap();
    assert!(tour.done.iter().all(|outcome| outcome.held), "{tour:?}");
    assert_eq!(tour.done[1].found[0], "counter-2");
    assert!(rig.press("1").text().contains("The tour is over"));
}

#[test]
fn a_step_is_judged_only_when_all_that_it_does_is_done() {
    let mut rig = Rig::on(Stage::counter());
    let does = "kill counter and wait 300ms and kill counter";
    let tour = &mut rig.app.demos[0].file.tour;
    tour.truncate(1);
    tour[0].action = Some(does.parse().unwrap());
    rig.acting = true;
    rig.press("8 n").ticks(200);
    assert_eq!(actions(&rig), [does], "whole, so that its parts follow each other as without a screen");
    assert!(rig.app.tour.as_ref().unwrap().running.is_some(), "an action may take any time");
    let answer = Ok(OperatorAnswer::Done(String::new()));
    rig.send(Msg::Answered { ticket: rig.app.ticket, answer });
    assert!(rig.app.tour.as_ref().unwrap().done.is_empty(), "what must not happen may yet happen");
    rig.ticks(3);
    assert!(rig.app.tour.as_ref().unwrap().done[0].held);
}

#[test]
fn a_step_that_cannot_be_done_says_why() {
    let mut rig = Rig::on(Stage::counter());
    rig.press("8 n").ticks(4);
    rig.acting = true;
    rig.press("n");
    rig.send(Msg::Answered { ticket: rig.app.ticket, answer: Err("counter-1 is dead".into()) });
    let done = &rig.app.tour.as_ref().unwrap().done[1];
    assert_eq!((done.held, &done.found[..]), (false, &["counter-1 is dead".to_owned()][..]));
}

#[test]
fn a_step_whose_expectation_never_comes_true_fails_in_time() {
    let mut rig = Rig::on(Stage::counter());
    rig.press("8 n").ticks(4).press("n").ticks(100);
    let tour = rig.app.tour.clone().unwrap();
    assert!(!tour.done[1].held);
    assert_eq!(tour.done[1].found[0], "counter-1", "it says what is instead");
}

#[test]
fn a_new_cluster_makes_the_old_one_forgotten() {
    let mut rig = Rig::after_kill();
    rig.press("8 j enter");
    assert!(rig.text().contains("counter goes down first"), "{}", rig.text());
    rig.press("tab enter");
    assert_eq!(rig.out.last(), Some(&Cmd::Spawn("files".into())));
    rig.send(Msg::Attached { cluster: "files".into(), owned: true });
    assert_eq!(rig.app.screen, Screen::Cluster);
    assert!(rig.app.world().aliases.is_empty());
}

#[test]
fn the_loss_of_the_ftm_and_its_return_are_told() {
    let mut rig = Rig::on(Stage::counter()).sized((120, 36));
    rig.send(Msg::Reached(false));
    assert!(rig.text().contains("NO FTM"));
    rig.press("1 x");
    assert!(rig.note().contains("being started again"), "{}", rig.note());
    rig.send(Msg::Reached(true));
    assert!(rig.note().contains("reached again"));
    rig.send(Msg::Gone("it was stopped".into()));
    assert_eq!(rig.app.link, Link::Gone("it was stopped".into()));
}

#[test]
fn the_title_tells_where_the_console_is() {
    let mut rig = Rig::after_kill();
    rig.press("2").ticks(1);
    let title = crate::tui::run::title(&rig.app);
    assert_eq!(title, "palib:/redundancy/counter?sel=caller/i1/97&t=live#19");
}

#[test]
fn events_that_were_missed_make_the_table_be_asked_for_again() {
    let mut stage = Stage::counter();
    let mut rig = Rig::on(stage.clone());
    let asked = |rig: &Rig| {
        let is_asked = |command: &&Cmd| matches!(command, Cmd::Ask { request: OperatorRequest::Aliases, .. });
        rig.out.iter().filter(is_asked).count()
    };
    let before = asked(&rig);
    let next = later(&mut stage, What::Joined { name: "counter-1".into() });
    rig.send(Msg::Events(vec![next.clone()]));
    assert_eq!(asked(&rig), before, "nothing was missed");
    rig.send(Msg::Events(vec![palib::control::Event { seq: next.seq + 7, ..next }]));
    assert_eq!(asked(&rig), before + 1);
}

#[test]
fn the_tour_says_all_that_it_says_where_there_is_room() {
    let mut rig = Rig::on(Stage::counter()).sized((120, 36));
    rig.app.demos[0].file.tour[0].say = "word ".repeat(60) + "end.";
    assert!(rig.press("1").text().contains("end."), "{}", rig.text());
    rig.app.size = (120, 28);
    let text = rig.text();
    assert!(!text.contains("end.") && text.contains("n go on"), "{text}");
}

#[test]
fn a_step_tells_whether_it_is_still_being_done() {
    let mut rig = Rig::on(Stage::counter()).sized((120, 36));
    rig.press("1 n").ticks(4);
    rig.acting = true;
    assert!(rig.press("n").text().contains("being done   watch"), "{}", rig.text());
    rig.send(Msg::Answered { ticket: rig.app.ticket, answer: Ok(OperatorAnswer::Done(String::new())) });
    assert!(rig.text().contains("waiting for what is expected"), "{}", rig.text());
}

#[test]
fn what_is_now_is_told_only_of_the_tour_that_is_taken() {
    let mut rig = Rig::on(Stage::counter()).sized((120, 36));
    rig.app.demos[1].file.tour = rig.app.demos[0].file.tour.clone();
    assert!(rig.press("8").text().contains("now 0"), "{}", rig.text());
    let other = rig.press("j").text();
    assert!(other.contains("tour of files") && !other.contains("now "), "{other}");
}

#[test]
fn a_table_that_is_answered_late_overrides_no_row_that_events_told_of_since() {
    use crate::world::stage::{caller_row, counter_row};
    let mut rig = Rig::without_cluster();
    let asked = update(&mut rig.app, Msg::Attached { cluster: "counter".into(), owned: true });
    let [Cmd::Ask { ticket, request: OperatorRequest::Aliases }] = asked[..] else { panic!("{asked:?}") };
    let mut stage = Stage::new();
    let moved = later(&mut stage, What::Alias { row: counter_row(2, true) });
    rig.send(Msg::Events(vec![moved]));
    let rows = vec![caller_row(1), counter_row(1, false)];
    rig.send(Msg::Answered { ticket, answer: Ok(OperatorAnswer::Aliases(rows)) });
    let serves = |alias: &str| rig.app.world().aliases[alias].in_service().unwrap().process.clone();
    assert_eq!((serves("counter"), serves("caller")), ("counter-2".into(), "caller-1".into()));
}

#[test]
fn a_step_that_is_shown_in_part_says_where_the_rest_is() {
    let mut rig = Rig::on(Stage::counter()).sized((80, 24));
    rig.app.demos[0].file.tour[0].say = "word ".repeat(200);
    let text = rig.press("8").text();
    assert!(text.contains("more lines: Tab, then Enter shows all"), "{text}");
    assert!(rig.press("tab enter G").text().contains("expect  lost = 0"), "{}", rig.text());
}
