//! Menus and questions: what they were opened about is what is acted on, whatever happens meanwhile.

use palib::control::MemberState;

use super::*;
use crate::tui::app::Pane;
use crate::world::stage::{counter_row, member, row};

fn told(rig: &mut Rig, stage: &mut Stage, what: Vec<What>) {
    let events = what.into_iter().map(|what| later(stage, what)).collect();
    rig.send(Msg::Events(events));
}

fn exited(process: &str) -> What {
    What::Exited { name: process.into(), pid: 4103, how: "SIGKILL".into(), ordered: false }
}

/// `counter-1` dies and is started again, under another port and in another place of the table.
fn starts_again() -> Vec<What> {
    let members = vec![
        member("counter-2", 104, MemberState::InService, "took over from counter-1: killed"),
        member("counter-1", 105, MemberState::Backup, "joined"),
    ];
    let spawned = What::Spawned { name: "counter-1".into(), process_id: 3, pid: 4105 };
    let again = What::Alias { row: row("counter", 2, "counter", 2, members) };
    vec![exited("counter-1"), What::Alias { row: counter_row(2, true) }, spawned, again]
}

#[test]
fn a_menu_acts_on_the_process_in_its_title_whoever_is_chosen_by_then() {
    // On the Cluster screen the row moves; on the others, who serves is another one after the takeover.
    for screen in ["1 j j", "2", "5"] {
        let mut stage = Stage::counter();
        let mut rig = Rig::on(stage.clone()).sized((120, 36));
        rig.press(screen).ticks(1);
        if screen == "5" {
            rig.press("G");
        }
        rig.press("x");
        assert!(rig.text().contains("act on counter-1, of counter"), "{screen}: {}", rig.text());
        told(&mut rig, &mut stage, starts_again());
        rig.press("h");
        let hang = OperatorRequest::Hang { process: "counter-1".into(), for_ms: None };
        assert_eq!(rig.orders(), [hang], "{screen}");
    }
}

#[test]
fn a_menu_does_nothing_to_a_process_that_has_died_meanwhile() {
    let mut stage = Stage::counter();
    let mut rig = Rig::on(stage.clone());
    rig.press("2 x");
    told(&mut rig, &mut stage, vec![exited("counter-1"), What::Alias { row: counter_row(2, true) }]);
    rig.press("h");
    assert_eq!((rig.orders(), rig.note()), (Vec::new(), "counter-1 is dead"));
}

#[test]
fn a_chosen_process_stays_chosen_over_its_restart() {
    let mut stage = Stage::counter();
    let mut rig = Rig::on(stage.clone());
    rig.press("1 j j");
    told(&mut rig, &mut stage, starts_again());
    assert_eq!(rig.app.target(), Some(("counter-1".into(), "counter".into())));
    assert_eq!(rig.app.place(Pane::Aliases, &rig.app.table(Pane::Aliases)), Some(3));
}

#[test]
fn a_confirmed_kill_is_not_given_to_another_run_than_the_one_asked_about() {
    for keys in ["1 j j x k", "1 j j d k enter"] {
        let mut stage = Stage::counter();
        let mut rig = Rig::on(stage.clone());
        rig.press(keys);
        told(&mut rig, &mut stage, starts_again());
        rig.press("tab enter");
        assert_eq!(rig.orders(), [], "{keys}");
        assert!(rig.note().contains("now it is counter-1, pid 4105"), "{}", rig.note());
    }
}

#[test]
fn a_confirmed_kill_is_not_done_once_it_would_take_the_last_member_down() {
    let mut stage = Stage::counter();
    let mut rig = Rig::on(stage.clone());
    rig.press("1 j j x k");
    let alone = vec![
        member("counter-1", 103, MemberState::InService, "first start"),
        member("counter-2", 104, MemberState::Dead, "SIGKILL"),
    ];
    let row = row("counter", 2, "counter", 1, alone);
    told(&mut rig, &mut stage, vec![exited("counter-2"), What::Alias { row }]);
    rig.press("tab enter");
    assert_eq!(rig.orders(), []);
    assert!(rig.note().contains("counter would have nobody left now"), "{}", rig.note());
}
