//! The palette of defects and its ledger.

use super::*;
use crate::tui::app::{Pane, Screen};
use crate::tui::popup::Popup;

fn arm(target: &str, point: &str, nth: u32, pause: bool) -> OperatorRequest {
    OperatorRequest::Arm { target: target.into(), point: point.into(), nth, pause }
}

/// A cluster in which something of every state stands in the ledger.
fn stage() -> Stage {
    let mut stage = Stage::counter_after_kill();
    stage.wait(1500).measure("caller-1", "caller", &[("issued", 90), ("acked", 90)]);
    stage.measure("counter-2", "counter", &[("effects", 90)]);
    stage.wait(5).measure("caller-1", "caller", &[("issued", 90), ("acked", 90)]);
    stage.wait(200).say("ftm", What::Defect { id: "H1".into(), spec: "hang caller-2 3s".into() });
    stage.wait(400).say("ftm", What::Armed { id: "P1".into(), spec: "kill counter@after-commit#2".into() });
    stage
        .wait(300)
        .say("ftm", What::Defect { id: "L1".into(), spec: "delay counter-2 caller-1 20ms".into() });
    stage
}

/// The same, and a member of the counter waits at a point.
fn paused_stage() -> Stage {
    let mut stage = Stage::counter();
    stage.load(40);
    for (id, point) in [("P1", "after-commit"), ("P2", "before-reply"), ("P3", "after-reply")] {
        stage.say("ftm", What::Armed { id: id.into(), spec: format!("pause counter@{point}") });
    }
    let (name, point, id) = ("counter-1".into(), "after-commit".into(), "P1".into());
    stage.wait(500).say("ftm", What::Paused { name, point, id });
    stage
}

#[test]
fn a_letter_chooses_enter_asks_and_cancel_is_the_first_choice() {
    let mut rig = Rig::on(Stage::counter()).sized((120, 36));
    rig.press("1 j j d");
    let text = rig.text();
    assert!(text.contains("inject a defect into counter-1") && text.contains("kill counter-1"), "{text}");
    assert!(text.contains("counter-2 takes over") && text.contains("was not measured yet"), "{text}");
    rig.press("enter enter");
    assert_eq!(rig.orders(), [], "Cancel is chosen first");
    rig.press("enter tab enter");
    assert_eq!(rig.orders(), [OperatorRequest::Kill { process: "counter-1".into() }]);
    rig.press("b enter tab enter");
    assert_eq!(rig.orders().last(), Some(&OperatorRequest::Kill { process: "counter-2".into() }));
}

#[test]
fn the_last_of_an_alias_is_only_killed_once_its_name_is_typed_here_too() {
    let mut rig = Rig::after_kill();
    rig.press("1 G d a enter enter");
    assert_eq!(rig.orders(), []);
    rig.press("a enter c o u n t e r enter");
    assert_eq!(rig.orders(), [OperatorRequest::Kill { process: "counter-2".into() }]);
    let mut rig = Rig::on(Stage::counter());
    rig.press("1 G d a enter c o u n t e r enter");
    assert_eq!(rig.orders().len(), 2, "both of them at once");
}

#[test]
fn what_can_be_taken_back_happens_at_once_and_by_the_amount_chosen() {
    let mut rig = Rig::on(Stage::counter());
    rig.press("1 j j d h enter + enter - - - enter");
    let spans: Vec<_> = rig
        .orders()
        .into_iter()
        .map(|order| match order {
            OperatorRequest::Hang { process, for_ms } if process == "counter-1" => for_ms,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(spans, [Some(3000), Some(10_000), Some(200)]);
    rig.press("- enter");
    assert_eq!(
        rig.orders().last(),
        Some(&OperatorRequest::Hang { process: "counter-1".into(), for_ms: None })
    );
    rig.press("u");
    assert_eq!(rig.orders().last(), Some(&OperatorRequest::Resume { process: "counter-1".into() }));
}

#[test]
fn tab_takes_the_next_member_for_the_target_and_brackets_the_other_end() {
    let mut stage = Stage::counter();
    let mut rig = Rig::on(stage.load(40).clone()).sized((120, 36));
    rig.press("1 j j d c");
    assert!(rig.text().contains("cut") && rig.text().contains("into counter-1"));
    let text_of = |rig: &Rig| match rig.app.popups.last() {
        Some(Popup::Defects(palette)) => (palette.target.1.clone(), palette.other(&rig.app)),
        _ => panic!("no palette"),
    };
    assert_eq!(text_of(&rig), ("counter-1".into(), "caller-1".into()), "who calls it is the other end");
    rig.press("]");
    assert_eq!(text_of(&rig).1, "caller-2");
    rig.press("] ]");
    assert_eq!(text_of(&rig).1, "ftm");
    rig.press("[ tab");
    assert_eq!(text_of(&rig), ("counter-2".into(), "caller-1".into()), "nobody is cut from itself");
    rig.press("tab tab backtab");
    assert_eq!(text_of(&rig).0, "caller-1");
}

#[test]
fn a_point_is_found_by_typing_and_armed_to_kill_or_to_wait() {
    let mut rig = Rig::on(Stage::counter()).sized((120, 36));
    rig.press("1 j j d p");
    let text = rig.text();
    assert!(
        text.contains("after-commit") && !text.contains("after-outbox"),
        "a counter calls nobody: {text}"
    );
    rig.press("a f t e r - c o m enter");
    rig.press("n a f t e r - c o m right enter");
    rig.press("n a f t e r - c o m tab enter");
    let expected = [
        arm("counter", "after-commit", 1, false),
        arm("counter", "after-commit", 2, true),
        arm("counter", "after-commit", 1, false),
    ];
    assert_eq!(rig.orders(), expected);
}

#[test]
fn a_defect_in_words_is_read_as_the_commands_read_it() {
    let mut rig = Rig::on(Stage::counter());
    rig.press("1 j j d :");
    rig.press("ctrl-u");
    rig.send(Msg::Paste("kil counter-1".into()));
    rig.press("enter");
    assert!(rig.note().contains("did you mean `kill`"), "{}", rig.note());
    rig.press("ctrl-u");
    rig.send(Msg::Paste("after 2s hang counter-1".into()));
    rig.press("enter");
    assert!(rig.note().contains("happens at once"), "{}", rig.note());
    rig.press("ctrl-u");
    rig.send(Msg::Paste("hang counter 250ms".into()));
    rig.press("enter");
    assert_eq!(rig.orders(), [OperatorRequest::Hang { process: "counter".into(), for_ms: Some(250) }]);
}

#[test]
fn read_only_and_the_past_show_the_palette_and_refuse_everything_in_it() {
    for (keys, reason) in [("1 d", "read-only"), ("1 , d", "this is the past")] {
        let mut rig = Rig::on(stage()).sized((120, 36));
        rig.app.read_only = reason == "read-only";
        rig.press(keys);
        assert!(rig.text().contains(reason), "{}", rig.text());
        for refused in ["enter", "h enter", "p", "i enter", "F enter", ":", "u", "U", "down u"] {
            rig.press(refused);
            assert!(rig.note().contains(reason), "{refused}: {}", rig.note());
        }
        assert_eq!(rig.orders(), []);
        assert_eq!(rig.app.popups.len(), 1);
    }
}

#[test]
fn the_ledger_tells_what_was_expected_and_what_was_measured() {
    let mut rig = Rig::on(stage()).sized((200, 50));
    rig.press("1 G d");
    let ledger = rig.app.table(Pane::Ledger);
    let row = |id: &str| ledger.rows.iter().find(|row| row.key == id).unwrap().json.clone();
    assert_eq!(ledger.rows[0].key, "L1", "the newest first");
    let kill = row("K1");
    assert_eq!((kill["blackout_us"].as_u64(), kill["resent"].as_u64()), (Some(3270), Some(1)));
    assert_eq!((kill["lost"].as_u64(), kill["takeovers"][0].as_str()), (Some(0), Some("counter-2 counter")));
    assert_eq!((row("P1")["state"].as_str(), row("L1")["state"].as_str()), (Some("armed"), Some("active")));
    assert!(rig.text().contains("✔ 0 lost 0 doubled"), "{}", rig.text());
    let mut stage = stage();
    stage.say("ftm", What::Joined { name: "counter-1".into() });
    stage.say("ftm", What::Alias { row: crate::world::stage::counter_row(1, false) });
    let mut rig = Rig::on(stage).sized((120, 36));
    let text = rig.press("1 j j d").text();
    assert!(text.contains("3.3 ms, as measured once"), "{text}");
}

#[test]
fn a_line_of_the_ledger_is_taken_back_and_all_of_them_are() {
    let mut rig = Rig::on(stage()).sized((120, 36));
    rig.press("1 d end j down u");
    assert_eq!(rig.orders(), [OperatorRequest::Disarm { id: "P1".into() }]);
    rig.press("U");
    let expected = [
        OperatorRequest::Disarm { id: "P1".into() },
        OperatorRequest::Resume { process: "caller-2".into() },
        OperatorRequest::Disarm { id: "P1".into() },
        OperatorRequest::Disarm { id: "L1".into() },
    ];
    assert_eq!(rig.orders(), expected);
}

#[test]
fn enter_in_the_ledger_shows_the_moment_on_the_chart() {
    let mut rig = Rig::on(stage()).sized((120, 36));
    rig.press("1 d end end enter");
    assert_eq!(rig.app.screen, Screen::Sequence);
    let moment = rig.app.moment().unwrap();
    assert!(matches!(&rig.app.history.event(moment).unwrap().what, What::Defect { id, .. } if id == "K1"));
    rig.press("esc");
    assert_eq!(rig.app.screen, Screen::Cluster, "Esc leads back to where the palette was opened");
}

#[test]
fn what_was_injected_is_written_as_a_run_that_does_it_again() {
    let mut rig = Rig::on(stage());
    rig.press("1 d s");
    let Some(Cmd::Save { stem, content, .. }) = rig.out.last() else { panic!("nothing was saved") };
    assert_eq!(stem, "palib-scenario");
    assert!(content.contains("--defect 'after 1s kill counter-1'"), "{content}");
    assert!(
        content.contains("hang caller-2 3s'") && content.contains("kill counter@after-commit#2'"),
        "{content}"
    );
    for line in content.lines().filter_map(|line| line.trim().strip_prefix("--defect '")) {
        let spec = line.trim_end_matches(['\\', ' ', '\'']);
        assert!(spec.parse::<crate::defect::Defect>().is_ok(), "{spec}");
    }
}

#[test]
fn who_waits_at_a_point_is_told_so_and_n_lets_it_go_on() {
    let mut rig = Rig::on(paused_stage()).sized((120, 36));
    rig.press("1");
    let text = rig.text();
    assert!(text.contains("paused at after-commit") && !text.contains("hung by you"), "{text}");
    assert!(text.contains("n step on") && text.contains("N to the next point"), "{text}");
    rig.press("n");
    assert_eq!(rig.orders(), [OperatorRequest::StepOn { process: "counter-1".into() }]);
    assert!(rig.press("4").text().contains("waits at after-commit"), "{}", rig.text());
}

#[test]
fn a_big_n_arms_what_is_not_armed_yet_and_then_lets_go_on() {
    let mut rig = Rig::on(paused_stage());
    rig.press("1 N");
    let orders = rig.orders();
    let armed: Vec<&str> = orders
        .iter()
        .filter_map(|order| match order {
            OperatorRequest::Arm { point, pause: true, target, .. } if target == "counter" => {
                Some(point.as_str())
            }
            _ => None,
        })
        .collect();
    assert!(armed.contains(&"after-commit") && armed.contains(&"after-receive"), "{armed:?}");
    assert!(!armed.contains(&"before-reply") && !armed.contains(&"before-outbox"), "{armed:?}");
    assert_eq!(orders.last(), Some(&OperatorRequest::StepOn { process: "counter-1".into() }));
    rig.press("u");
    let back = &rig.orders()[orders.len()..];
    assert!(back.contains(&OperatorRequest::Disarm { id: "P2".into() }), "{back:?}");
    assert!(back.contains(&OperatorRequest::Resume { process: "counter-1".into() }), "{back:?}");
}

#[test]
fn points_that_are_armed_for_stepping_stand_on_one_line() {
    let mut rig = Rig::on(paused_stage()).sized((120, 36));
    let keys: Vec<String> =
        rig.press("1 d").app.table(Pane::Ledger).rows.into_iter().map(|row| row.key).collect();
    assert_eq!(keys, ["armed counter", "P1"]);
}

#[test]
fn a_disturbed_link_is_seen_in_the_topology() {
    let mut rig = Rig::on(stage()).sized((120, 36));
    assert!(rig.press("1").text().contains("! delay L1"), "{}", rig.text());
    let mut cut = stage();
    cut.say("ftm", What::Defect { id: "L2".into(), spec: "cut counter-2 ftm".into() });
    let mut rig = Rig::on(cut).sized((120, 36));
    assert!(rig.press("1").text().contains("╳ cut L2: counter ftm"), "{}", rig.text());
}

/// The name of a picture, what is on stage, the size, the theme, and the keys that lead there.
type Picture = (&'static str, Stage, (u16, u16), Theme, &'static str);

#[test]
fn the_palette_looks_as_it_was_approved() {
    let cases: &[Picture] = &[
        ("defects_80x24", stage(), (80, 24), UNICODE, "1 G d"),
        ("defects_120x36", stage(), (120, 36), UNICODE, "1 G d l"),
        ("defects_200x50", stage(), (200, 50), UNICODE, "1 G d h"),
        (
            "defects_no_colour",
            stage(),
            (80, 24),
            pictures::NO_COLOUR,
            "1 G d down down down down down down down",
        ),
        ("defects_ascii", stage(), (80, 24), pictures::ASCII, "1 G d c"),
        ("defects_small_60x12", stage(), (60, 12), UNICODE, "1 G d"),
        ("defects_confirm_80x24", stage(), (80, 24), UNICODE, "1 G d k enter"),
        ("defects_past_120x36", stage(), (120, 36), UNICODE, "1 < < d"),
        ("points_120x36", stage(), (120, 36), UNICODE, "1 G d n"),
        ("paused_120x36", paused_stage(), (120, 36), UNICODE, "1"),
        ("disturbed_120x36", stage(), (120, 36), UNICODE, "1"),
    ];
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, stage, size, theme, keys) in cases {
            let mut rig = Rig::on(stage.clone());
            rig.app.theme = *theme;
            let mut rig = rig.sized(*size);
            rig.press(keys);
            insta::assert_snapshot!(*name, dump(&rig.picture()));
        }
    });
}

#[test]
fn no_size_of_the_palette_panics_and_ascii_stays_ascii() {
    for keys in ["1 d", "1 d down down down down down down down", "1 d n", "1 d :", "1 d k enter"] {
        let mut rig = Rig::on(stage());
        rig.app.theme = pictures::ASCII;
        let mut rig = rig.sized((120, 36));
        let text = rig.press(keys).text();
        let strange: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
        assert!(strange.is_empty(), "{keys}: {strange:?}\n{text}");
        for columns in (1..=30).chain([39, 40, 41, 60, 75, 76, 79, 80, 81, 119, 120, 200]) {
            for lines in (1..=14).chain([17, 18, 19, 20, 23, 24, 25, 36, 50]) {
                rig.app.size = (columns, lines);
                rig.picture();
            }
        }
    }
}
