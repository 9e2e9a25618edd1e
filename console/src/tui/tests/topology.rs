//! The lines of the topology: each link is seen in the picture, or told beside its title.

use palib::control::{AliasStats, NodeStats};

use super::*;
use crate::world::stage::{member, row};

/// A call goes through as many relays, one below the other, to a counter.
fn chain(relays: u32) -> Stage {
    let hops = (1..=relays).map(|number| format!("hop-{number}"));
    let names: Vec<String> =
        ["caller".to_owned()].into_iter().chain(hops).chain(["counter".into()]).collect();
    let mut stage = Stage::new();
    let (cluster, processes) = ("chain".into(), Vec::new());
    stage.say("ftm", What::FtmStarted { pid: 4100, cluster, adopted: 0, starts: 1, processes });
    for (number, alias) in names.iter().enumerate() {
        use palib::control::MemberState::{Backup, InService};
        let port = number as u32 * 2 + 1;
        let members = vec![
            member(&format!("{alias}-1"), port, InService, "first start"),
            member(&format!("{alias}-2"), port + 1, Backup, "joined"),
        ];
        let kind = alias.split('-').next().unwrap_or_default().replace("hop", "relay");
        stage.say("ftm", What::Alias { row: row(alias, number as u32 + 1, &kind, 1, members) });
    }
    for pair in names.windows(2) {
        let (call, target) = (format!("{}/i1/1", pair[0]), pair[1].clone());
        let resent = What::Resent { call, target, attempt: 1, to: String::new() };
        stage.say(&format!("{}-1", pair[0]), resent);
    }
    for step in 0..3 {
        for alias in &names {
            let of_alias = AliasStats {
                alias: alias.clone(),
                in_service: true,
                received: step * 10,
                ..AliasStats::default()
            };
            let stats = NodeStats { at_ns: stage.now_ns(), aliases: vec![of_alias], ..NodeStats::default() };
            stage.say(&format!("{alias}-1"), What::Stats(stats));
        }
        stage.wait(500);
    }
    stage
}

fn cut(mut stage: Stage, between: &str) -> Stage {
    stage.say("ftm", What::Defect { id: "L1".into(), spec: format!("cut {between}") });
    stage
}

#[test]
fn a_link_between_relays_is_drawn_beside_their_column() {
    let mut rig = Rig::on(cut(chain(3), "hop-1-1 hop-2-1")).sized((120, 36));
    let text = rig.press("1").text();
    assert!(text.contains("─┐ ╳ cut L1 ") && !text.contains("╳ cut L1: "), "{text}");
    assert!(text.contains("─┐ 20/s ") && text.matches("◀┘").count() == 2, "{text}");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!("topology_chain_120x36", dump(&rig.picture())));
}

#[test]
fn what_is_disturbed_is_told_at_every_size_and_where_it_is_not_drawn_beside_the_title() {
    for size in [(80, 24), (100, 30), (120, 36), (200, 50)] {
        for between in ["caller hop-1", "hop-1-1 hop-2-1", "hop-4 hop-5", "hop-5 counter", "hop-3 ftm"] {
            let mut rig = Rig::on(cut(chain(5), between)).sized(size);
            let text = rig.press("1").text();
            assert!(text.contains("cut L1"), "{between} at {size:?}:\n{text}");
        }
    }
}

#[test]
fn links_of_aliases_without_a_box_are_listed_with_their_rates() {
    let mut rig = Rig::on(chain(5)).sized((160, 24));
    let text = rig.press("1").text();
    assert!(text.contains("more in the table below"), "{text}");
    assert!(text.contains("not drawn: hop-1 to hop-2 20/s, hop-2 to hop-3 20/s"), "{text}");
}

#[test]
fn relays_that_call_each_other_across_others_keep_their_lines_apart() {
    let mut stage = chain(3);
    for (from, to) in [("hop-1", "hop-3"), ("hop-3", "hop-1")] {
        let (call, target) = (format!("{from}/i1/2"), to.to_owned());
        stage.say(&format!("{from}-1"), What::Resent { call, target, attempt: 1, to: String::new() });
    }
    let mut rig = Rig::on(stage).sized((200, 50));
    let text = rig.press("1").text();
    let arrows: Vec<&str> =
        text.matches("◀┬").chain(text.matches("◀┘")).chain(text.matches("◀┴─┴─┘")).collect();
    assert_eq!(arrows.len(), 3, "two of them enter hop-3 by one arrow: {text}");
    assert!(!text.contains("not drawn"), "{text}");
}

#[test]
fn a_narrow_box_names_its_members_in_full() {
    let mut rig = Rig::on(chain(1)).sized((80, 24));
    let text = rig.press("1").text();
    assert!(text.contains("│● counter-1     │") && !text.contains("…│"), "{text}");
}

#[test]
fn the_picture_takes_no_line_that_it_does_not_need() {
    let mut rig = Rig::on(chain(5)).sized((120, 36));
    let text = rig.press("1").text();
    let lines: Vec<&str> = text.lines().collect();
    let foot = lines.iter().position(|line| line.contains("more in the table below")).unwrap();
    assert!(lines[foot - 1].contains('└') && lines[foot + 1].contains("port aliases"), "{text}");
}

#[test]
fn lines_with_verticals_show_where_they_turn() {
    let mut stage = chain(1);
    let members = vec![member("stock-1", 9, palib::control::MemberState::InService, "first start")];
    stage.say("ftm", What::Alias { row: row("stock", 9, "ledger", 1, members) });
    let (call, target) = ("hop-1/i1/2".into(), "stock".into());
    stage.say("hop-1-1", What::Resent { call, target, attempt: 1, to: String::new() });
    let text = Rig::on(stage).sized((120, 36)).press("1").text();
    assert!(
        text.contains("─┬──── 20/s ──│● counter-1") && text.contains("└───── 0/s ──│● stock-1"),
        "{text}"
    );
}

#[test]
fn no_size_of_the_picture_panics() {
    let mut rig = Rig::on(cut(chain(5), "hop-1-1 hop-2-1"));
    rig.press("1");
    for columns in (40..=130).chain([160, 200]) {
        for lines in (20..=40).chain([50]) {
            rig.app.size = (columns, lines);
            rig.picture();
        }
    }
}
