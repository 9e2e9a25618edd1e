//! Keys: each one in the table does what the table says, wherever it says so.

use palib::control::{AliasRow, MemberState};

use super::*;
use crate::tui::app::{Link, Pane, Screen};
use crate::tui::commands::{COMMANDS, Id, available, reference};
use crate::tui::keys::{found_by_letters, found_by_words};
use crate::tui::msg::Quit;
use crate::tui::popup::Popup;
use crate::world::stage::{member, row};

#[test]
fn every_command_is_in_the_table_once_and_its_keys_do_not_collide() {
    for (place, command) in COMMANDS.iter().enumerate() {
        assert!(!command.keys.is_empty() && !command.help.is_empty(), "{:?}", command.id);
        for other in &COMMANDS[place + 1..] {
            assert_ne!(command.id, other.id);
            let together = Screen::ALL.iter().any(|screen| command.is_on(*screen) && other.is_on(*screen));
            let shared: Vec<_> = command.keys.iter().filter(|key| other.keys.contains(key)).collect();
            assert!(!together || shared.is_empty(), "{:?} and {:?} share {shared:?}", command.id, other.id);
        }
    }
}

/// What can be seen of a console from outside.
fn seen(rig: &mut Rig) -> (String, Vec<Cmd>, String, bool, bool) {
    let picture = dump(&rig.picture());
    (picture, rig.out.clone(), format!("{:?}", rig.app.looks), rig.app.follow, rig.app.mouse)
}

#[test]
fn every_key_of_the_table_does_something_somewhere() {
    for command in COMMANDS {
        for key in command.keys {
            let does = Screen::ALL.iter().filter(|screen| command.is_on(**screen)).any(|screen| {
                // From the middle of a table, in the past as well as live, so that every direction is open.
                let stages = [Stage::counter_after_kill(), relay::stage()];
                let ways = stages.iter().flat_map(|stage| [".", "< ,", "j j"].map(|before| (stage, before)));
                ways.into_iter().any(|(stage, before)| {
                    let mut rig = Rig::on(stage.clone()).sized((120, 36));
                    rig.press(&screen.number().to_string()).press(before).ticks(1);
                    rig.app.note = None;
                    let old = seen(&mut rig);
                    rig.press(key);
                    seen(&mut rig) != old
                })
            });
            assert!(does, "{:?} by {key} does nothing anywhere", command.id);
        }
    }
}

#[test]
fn every_command_is_found_in_palette_and_help() {
    for command in COMMANDS {
        assert!(found_by_letters(command.name).iter().any(|it| it.id == command.id), "{}", command.name);
        assert!(found_by_words(command.help).iter().any(|it| it.id == command.id), "{}", command.help);
    }
    assert_eq!(found_by_letters("kl").first().map(|it| it.id), Some(Id::Kill));
}

#[test]
fn the_key_reference_in_the_docs_is_the_table() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/keys.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, reference()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/keys.md is not what the table says: run this test with UPDATE_DOCS=1"
    );
}

#[test]
fn two_keys_from_the_demos_a_cluster_is_asked_for_and_its_screen_is_shown() {
    let mut rig = Rig::without_cluster();
    rig.press("j enter");
    assert_eq!(rig.out, [Cmd::Spawn("files".into())]);
    assert_eq!((rig.app.screen, rig.app.link.clone()), (Screen::Cluster, Link::Starting("files".into())));
    rig.send(Msg::Note(crate::world::Tone::Bad, "cluster \"files\" did not come up".into()));
    assert_eq!((rig.app.screen, rig.app.link.clone()), (Screen::Demos, Link::None));
}

#[test]
fn a_kill_is_confirmed_with_what_it_takes_down_and_cancel_is_the_first_choice() {
    let mut rig = Rig::on(Stage::counter());
    rig.press("1 j j x k");
    let text = rig.text();
    assert!(
        text.contains("Kill counter-1, pid 4103?") && text.contains("counter: counter-2 takes over."),
        "{text}"
    );
    assert!(text.contains("[ Cancel ]"), "{text}");
    rig.press("enter");
    assert_eq!(rig.orders(), []);
    rig.press("x k tab enter");
    assert_eq!(rig.orders(), [OperatorRequest::Kill { process: "counter-1".into() }]);
}

#[test]
fn the_last_member_of_an_alias_is_killed_only_once_its_name_is_typed() {
    let mut rig = Rig::after_kill();
    rig.press("1 G x k enter");
    assert_eq!(rig.orders(), [], "Enter alone cancels");
    rig.press("x k c o u n t enter");
    assert!(rig.note().contains("type counter"), "{}", rig.note());
    rig.press("e r enter");
    assert_eq!(rig.orders(), [OperatorRequest::Kill { process: "counter-2".into() }]);
}

#[test]
fn a_hang_happens_at_once_and_is_undone() {
    let mut stage = Stage::counter();
    let mut rig = Rig::on(stage.clone());
    rig.press("1 j j x h");
    let hang = OperatorRequest::Hang { process: "counter-1".into(), for_ms: None };
    assert_eq!(rig.orders(), [hang]);
    let defect = later(&mut stage, What::Defect { id: "H1".into(), spec: "hang counter-1".into() });
    rig.send(Msg::Events(vec![defect]));
    rig.press("x h");
    assert!(rig.note().contains("hangs already"), "{}", rig.note());
    rig.press("esc u");
    assert_eq!(rig.orders().last(), Some(&OperatorRequest::Resume { process: "counter-1".into() }));
    rig.press("u");
    assert!(rig.note().contains("nothing to undo"), "{}", rig.note());
    rig.press("U");
    assert_eq!(rig.orders().len(), 3, "the ledger still has the hang, so heal all resumes it");
}

#[test]
fn a_hang_for_some_time_asks_how_long() {
    let mut rig = Rig::on(Stage::counter());
    rig.press("1 j j x s backspace backspace x enter");
    assert!(rig.note().contains("is no duration"), "{}", rig.note());
    rig.press("backspace 5 0 0 m s enter");
    let hang = OperatorRequest::Hang { process: "counter-1".into(), for_ms: Some(500) };
    assert_eq!(rig.orders(), [hang]);
}

#[test]
fn exit_restart_and_a_backup_reach_the_ftm() {
    let mut rig = Rig::on(Stage::counter());
    rig.press("1 x e tab enter x t tab enter x b");
    let (process, alias) = ("caller-1".to_owned(), "caller".to_owned());
    let expected = [
        OperatorRequest::Exit { process: process.clone() },
        OperatorRequest::Restart { process },
        OperatorRequest::AddBackup { alias },
    ];
    assert_eq!(rig.orders(), expected);
}

#[test]
fn what_the_ftm_refuses_is_told_with_its_reason() {
    let mut rig = Rig::on(Stage::counter());
    rig.refuse = Some("caller has as many members as ports".into());
    rig.press("1 x b");
    assert!(rig.note().contains("as many members as ports"), "{}", rig.note());
}

#[test]
fn a_call_in_doubt_comes_first_and_is_resolved_in_three_ways() {
    use palib::control::InDoubtDecision;
    let cases: [(&str, InDoubtDecision); 3] = [
        ("r r 4 2 enter", InDoubtDecision::Reply("42".into())),
        ("r e tab enter", InDoubtDecision::Rerun),
        ("r f n o enter", InDoubtDecision::Fail("no".into())),
    ];
    for (keys, expected) in cases {
        let mut rig = Rig::after_kill();
        rig.press("2").ticks(1).press(keys);
        let Some(OperatorRequest::Query { query: Query::Resolve { call, decision, alias }, .. }) =
            rig.orders().pop()
        else {
            panic!("{keys} resolved nothing");
        };
        assert_eq!((call.as_str(), alias.as_str(), decision), ("caller/i1/97", "counter", expected));
    }
    let mut rig = Rig::after_kill();
    rig.press("2").ticks(1).press("j r");
    assert!(rig.note().contains("is not in doubt"), "{}", rig.note());
}

#[test]
fn a_read_only_console_refuses_to_act_and_says_why() {
    let mut rig = Rig::on(Stage::counter());
    rig.app.read_only = true;
    for (keys, id) in [("1 x", Id::Kill), ("U", Id::HealAll), ("2 r", Id::Resolve)] {
        rig.press(keys);
        assert!(available(&rig.app, id).is_err(), "{id:?}");
        assert!(rig.app.popups.is_empty());
    }
    rig.press("8 enter");
    assert!(rig.note().contains("read-only"), "{}", rig.note());
    assert_eq!(rig.orders(), []);
    rig.press("q");
    assert_eq!(rig.out.last(), Some(&Cmd::Quit(Quit::LeaveUp)));
}

#[test]
fn escape_closes_the_popup_then_the_filter_then_goes_back_and_never_quits() {
    let mut rig = Rig::after_kill();
    rig.press("1 enter / i d enter ?");
    assert_eq!((rig.app.screen, rig.app.popups.len()), (Screen::Redundancy, 1));
    rig.press("esc");
    assert_eq!((rig.app.popups.len(), rig.app.look(Pane::Redundancy).filter.as_str()), (0, "id"));
    rig.press("esc");
    assert_eq!((rig.app.screen, rig.app.look(Pane::Redundancy).filter.as_str()), (Screen::Redundancy, ""));
    rig.press("esc");
    assert_eq!(rig.app.screen, Screen::Cluster);
    rig.press("esc esc esc");
    assert!(!rig.out.iter().any(|command| matches!(command, Cmd::Quit(_))));
}

#[test]
fn q_backs_out_and_then_asks_whether_the_cluster_stays_up() {
    let cases = [
        ("enter", None),
        ("tab enter", Some(Quit::LeaveUp)),
        ("tab tab enter", Some(Quit::Down)),
        ("t enter", Some(Quit::Down)),
        ("esc", None),
    ];
    for (keys, expected) in cases {
        let mut rig = Rig::after_kill();
        rig.press("1 enter q");
        assert_eq!(rig.app.screen, Screen::Cluster, "q backs out first");
        rig.press("q").press(keys);
        let quit = rig.out.iter().find_map(|command| match command {
            Cmd::Quit(quit) => Some(*quit),
            _ => None,
        });
        assert_eq!(quit, expected, "{keys}");
    }
    let mut rig = Rig::without_cluster();
    rig.press("q");
    assert_eq!(rig.out, [Cmd::Quit(Quit::AtOnce)], "without a cluster there is nothing to ask");
}

#[test]
fn control_c_quits_over_everything() {
    for keys in ["", "x k", ": a", "/ a", "?"] {
        let mut rig = Rig::after_kill();
        rig.press("1").press(keys).press("ctrl-c");
        assert_eq!(rig.out.last(), Some(&Cmd::Quit(Quit::AtOnce)), "{keys}");
    }
}

#[test]
fn the_palette_runs_what_is_found_and_says_why_it_cannot() {
    let mut rig = Rig::after_kill();
    rig.press("1 : s t a b l e enter");
    assert_eq!(rig.app.screen, Screen::Stable);
    rig.press("1 : r e s u m e enter");
    assert!(rig.note().contains("does not hang by an injected defect"), "{}", rig.note());
    assert!(matches!(rig.app.popups.last(), Some(Popup::Palette { .. })), "the list stays open");
}

#[test]
fn a_filter_acts_while_it_is_typed_and_escape_brings_the_old_one_back() {
    let mut rig = Rig::after_kill();
    rig.press("1 / s t a t e : d e a d");
    assert_eq!(rig.app.table(Pane::Aliases).rows.len(), 1);
    rig.press("esc");
    assert_eq!(rig.app.table(Pane::Aliases).rows.len(), 4);
    rig.press("/ a (");
    assert!(rig.text().contains("unclosed group"));
}

#[test]
fn copies_go_out_as_the_cell_and_as_json() {
    let mut rig = Rig::after_kill();
    rig.press("1 l l y Y");
    let copies: Vec<&String> = rig
        .out
        .iter()
        .filter_map(|command| match command {
            Cmd::Copy(text) => Some(text),
            _ => None,
        })
        .collect();
    assert_eq!(copies[0], "caller-1");
    let json: serde_json::Value = serde_json::from_str(copies[1]).unwrap();
    assert_eq!(json["alias"], "caller");
}

#[test]
fn screens_and_tables_are_written_to_files() {
    let mut rig = Rig::after_kill();
    rig.press("1 S t S s e j e c");
    let saved: Vec<_> = rig
        .out
        .iter()
        .filter_map(|command| match command {
            Cmd::Save { stem, extension, content } => Some((stem.as_str(), *extension, content.clone())),
            _ => None,
        })
        .collect();
    let names: Vec<_> = saved.iter().map(|(stem, extension, _)| (*stem, *extension)).collect();
    assert_eq!(
        names,
        [
            ("palib-cluster", "txt"),
            ("palib-cluster", "svg"),
            ("palib-cluster", "json"),
            ("palib-cluster", "csv")
        ]
    );
    assert!(saved[0].2.contains("port aliases") && !saved[0].2.contains("screenshot"), "{}", saved[0].2);
    assert!(saved[1].2.starts_with("<svg"));
    assert!(saved[3].2.starts_with("alias,port,process"));
}

#[test]
fn pasted_text_is_typed_where_text_is_typed_and_acts_nowhere() {
    let mut rig = Rig::after_kill();
    rig.press("1");
    rig.send(Msg::Paste("xk\nq".into()));
    assert!(rig.app.popups.is_empty() && rig.orders().is_empty());
    rig.press("/");
    rig.send(Msg::Paste("dead\n".into()));
    assert_eq!(rig.app.look(Pane::Aliases).filter, "dead");
}

#[test]
fn the_mouse_sorts_by_headers_chooses_rows_scrolls_and_switches_screens() {
    use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
    let mut rig = Rig::after_kill().sized((120, 36));
    rig.press("1");
    let find = |rig: &mut Rig, text: &str| {
        let lines = rig.text();
        let (row, line) = lines.lines().enumerate().find(|(_, line)| line.contains(text)).unwrap();
        let before = &line[..line.find(text).unwrap()];
        (before.chars().count() as u16, row as u16)
    };
    let mouse = |rig: &mut Rig, kind, (column, row)| {
        rig.send(Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }));
        rig.picture();
    };
    let click = MouseEventKind::Down(MouseButton::Left);
    let header = find(&mut rig, "PROCESS");
    mouse(&mut rig, click, header);
    assert_eq!(rig.app.look(Pane::Aliases).sort, Some((2, false)));
    mouse(&mut rig, click, header);
    assert_eq!(rig.app.look(Pane::Aliases).sort, Some((2, true)));
    let (column, row) = find(&mut rig, "WHY");
    mouse(&mut rig, click, (column, row + 1));
    assert_eq!(rig.app.target().unwrap().0, "counter-2", "sorted downwards, it is the first row");
    mouse(&mut rig, MouseEventKind::ScrollDown, (column, row + 1));
    assert_eq!(rig.app.target().unwrap().0, "caller-1");
    let tab = find(&mut rig, "7 Log");
    mouse(&mut rig, click, tab);
    assert_eq!(rig.app.screen, Screen::Log);
    rig.press("%");
    assert_eq!(rig.out.last(), Some(&Cmd::Mouse(false)));
}

/// Fig 4: process 1 is a member of all three aliases, in service in one and a backup in the others.
#[test]
fn the_table_of_figure_4_can_be_read_off_the_screen() {
    let members = |first: MemberState, second: MemberState, port| {
        vec![member("process-1", port, first, "joined"), member("process-2", port + 1, second, "joined")]
    };
    let rows: Vec<AliasRow> = vec![
        row("PA1", 1, "counter", 1, members(MemberState::InService, MemberState::Backup, 11)),
        row("PA2", 2, "counter", 1, members(MemberState::Backup, MemberState::InService, 21)),
        row("PA3", 3, "counter", 1, members(MemberState::Backup, MemberState::InService, 31)),
    ];
    let mut stage = Stage::new();
    let (cluster, processes) = ("fig4".into(), Vec::new());
    stage.say("ftm", What::FtmStarted { pid: 1, cluster, adopted: 0, starts: 1, processes });
    for row in rows {
        stage.say("ftm", What::Alias { row });
    }
    let mut rig = Rig::on(stage).sized((120, 36));
    let text = rig.press("1").text();
    let in_service: Vec<&str> =
        text.lines().filter(|line| line.contains("PA") && line.contains("●")).collect();
    assert!(in_service.len() >= 3, "{text}");
    rig.press("x k");
    let text = rig.text();
    assert!(text.contains("PA1: process-2 takes over."), "{text}");
    assert!(text.contains("PA2: process-2 goes on; its backup is gone"), "{text}");
}

#[test]
fn a_long_reply_in_one_line_can_be_read_to_its_end() {
    for reply in ["a".repeat(4096) + "Ω", "漢".repeat(2000) + "Ω"] {
        let mut rig = Rig::after_kill();
        rig.rows = vec![table_row("caller/i1/118", "auto_reply", "AUTO_REPLY", 1, &reply)];
        rig.press("2").ticks(1).press("enter");
        assert!(!rig.text().contains('Ω'));
        rig.press("G");
        let text = rig.text();
        assert!(text.contains('Ω') && text.contains("what the events tell of it"), "{text}");
        assert!(text.lines().last().unwrap_or_default().contains("close"), "the keys stay in view: {text}");
        rig.press("g");
        assert!(rig.text().contains("lines 1 to"), "{}", rig.text());
    }
}

#[test]
fn calls_in_doubt_are_counted_by_who_has_them_and_not_by_what_was_told_of_them() {
    let mut stage = Stage::counter_after_kill();
    let stats = palib::control::AliasStats {
        alias: "counter".into(),
        in_service: true,
        in_doubt: 3,
        ..Default::default()
    };
    let at_ns = stage.now_ns();
    let stats = palib::control::NodeStats { at_ns, aliases: vec![stats], ..Default::default() };
    stage.wait(100).say("counter-2", What::Stats(stats));
    let mut rig = Rig::on(stage).sized((120, 36));
    assert!(rig.press("2").ticks(1).text().contains("in doubt 3"), "{}", rig.text());
}
