//! The sequence chart: how one comes to it, moves in it and leaves it.

use super::*;
use crate::tui::app::Screen;

fn followed(rig: &Rig) -> Option<&str> {
    rig.app.chart.follow.as_deref()
}

#[test]
fn enter_on_a_call_in_the_log_follows_it_and_esc_leads_back() {
    let mut rig = Rig::with_chart().sized((120, 36));
    rig.press("7 / r e d u n d a n t enter enter");
    assert_eq!((rig.app.screen, followed(&rig)), (Screen::Sequence, Some("caller/i1/120")));
    let text = rig.text();
    assert!(text.contains("sequence of caller/i1/120") && text.contains("known: AUTO_REPLY"), "{text}");
    assert!(!text.contains("#119"), "another call's steps are not shown: {text}");
    rig.press("esc");
    assert_eq!((rig.app.screen, followed(&rig)), (Screen::Log, None));
}

#[test]
fn a_call_of_the_redundancy_table_and_of_the_first_screen_is_followed_with_c() {
    let mut rig = Rig::with_chart().sized((120, 36));
    rig.press("2").ticks(1).press("j c");
    assert_eq!(followed(&rig), Some("caller/i1/118"));
    assert!(rig.text().contains("No event tells of caller/i1/118"), "{}", rig.text());
    let mut rig = Rig::with_chart().sized((120, 36));
    rig.press("1 c");
    assert_eq!((rig.app.screen, followed(&rig)), (Screen::Sequence, None), "an alias is no call: everything");
    rig.press("g G k k c");
    assert_eq!(followed(&rig), Some("caller/i1/120"), "and from there a call is followed");
    rig.press("esc");
    assert_eq!((rig.app.screen, followed(&rig)), (Screen::Cluster, None));
}

#[test]
fn in_the_past_the_chart_ends_where_one_looks_and_grows_step_by_step() {
    let mut rig = Rig::with_chart().sized((120, 36));
    rig.press("4 g");
    while !rig.text().contains("> 00:00.6990") {
        rig.press("j");
    }
    rig.press("enter");
    let text = rig.text();
    assert!(text.contains("PAST") && !text.contains("SIGKILL"), "{text}");
    assert_eq!(rig.app.world().aliases["counter"].in_service().unwrap().process, "counter-1");
    let mut steps = 0;
    while !rig.text().contains("SIGKILL") {
        rig.press(".");
        steps += 1;
    }
    // The outcome is durable, the kill and the death: measurements are no steps.
    assert_eq!(steps, 3, "{}", rig.text());
    rig.press("space");
    assert!(rig.text().contains("LIVE"));
}

#[test]
fn the_chart_is_exported_as_picture_mermaid_and_shiviz() {
    let mut rig = Rig::with_chart();
    rig.press("7 enter e s e m e v e j");
    let saved = rig.out.iter().filter_map(|command| match command {
        Cmd::Save { stem, extension, content } => Some((stem.as_str(), *extension, content.clone())),
        _ => None,
    });
    let saved: Vec<_> = saved.collect();
    let kinds: Vec<_> = saved.iter().map(|(stem, extension, _)| (*stem, *extension)).collect();
    assert_eq!(kinds, ["svg", "mmd", "log", "json"].map(|extension| ("palib-sequence", extension)));
    assert!(saved[0].2.contains("<svg") && saved[0].2.contains("#120 again, try 2"));
    assert!(saved[1].2.starts_with("sequenceDiagram"));
    assert!(saved[2].2.contains("counter-2 {"));
}

#[test]
fn lanes_that_do_not_fit_are_scrolled_to() {
    let mut rig = Rig::with_chart().sized((80, 24));
    let heads = |rig: &mut Rig| rig.text().lines().nth(3).unwrap_or_default().to_owned();
    let mut stage = chart_story();
    for number in 1..=9 {
        let name = format!("extra-{number}");
        stage.say("ftm", What::Spawned { name: name.clone(), process_id: 10 + number, pid: 4200 + number });
    }
    rig.send(Msg::Events(stage.events));
    rig.press("4");
    assert!(rig.text().contains("more"), "{}", rig.text());
    assert!(heads(&mut rig).contains("caller-1") && !heads(&mut rig).contains("extra-9"));
    rig.press(&"l ".repeat(12));
    assert!(heads(&mut rig).contains("extra-9") && !heads(&mut rig).contains("caller-1"));
}

#[test]
fn the_chart_follows_what_happens_until_one_moves_in_it() {
    let mut rig = Rig::with_chart().sized((80, 24));
    rig.press("4");
    let mut stage = chart_story();
    let next = later(&mut stage, What::Defect { id: "K2".into(), spec: "kill caller-1".into() });
    rig.send(Msg::Events(vec![next]));
    assert!(rig.text().contains("K2 kill caller-1"), "the newest is in view");
    rig.press("g");
    let next = later(&mut stage, What::Defect { id: "K3".into(), spec: "kill caller-1".into() });
    rig.send(Msg::Events(vec![next]));
    assert!(!rig.text().contains("K3"), "who looks at the beginning is left there");
    rig.press("f");
    assert!(rig.text().contains("K3"));
}
