//! The screen of measurements.

use palib::control::{AliasStats, NodeStats, TakeoverTiming};

use super::*;
use crate::tui::app::{Pane, Screen};

/// Four seconds of calls, told by `caller-1` with how long they took, and by who serves the counter.
fn load(stage: &mut Stage, (from, each): (u64, u64), slow: u64, serving: &str) {
    for step in 1..=8 {
        let calls = from + each * step;
        let counters: BTreeMap<String, u64> = [("issued:counter", calls), ("acked:counter", calls)]
            .map(|(name, n)| (name.to_owned(), n))
            .into();
        let latency_us =
            vec![(320, calls / 4), (384, calls / 2), (448, calls / 5), (1024, calls / 20), (40_960, slow)];
        let caller = AliasStats {
            alias: "caller".into(),
            in_service: true,
            pending: 3,
            commits: calls * 2,
            commit_us_p50: 210,
            commit_us_p99: 940,
            latency_us: latency_us.into_iter().filter(|(_, calls)| *calls > 0).collect(),
            counters,
            ..AliasStats::default()
        };
        let at_ns = stage.wait(500).now_ns();
        let stats = NodeStats {
            at_ns,
            rss_bytes: 14 << 20,
            cpu_ms: at_ns / 10_000_000,
            links: 3,
            ..NodeStats::default()
        };
        stage.say("caller-1", What::Stats(NodeStats { aliases: vec![caller], ..stats.clone() }));
        let counter = AliasStats {
            alias: "counter".into(),
            in_service: true,
            executing: 1,
            commits: calls,
            commit_us_p50: 230,
            commit_us_p99: 1_200,
            counters: [("effects".to_owned(), calls)].into(),
            ..AliasStats::default()
        };
        stage.say(serving, What::Stats(NodeStats { aliases: vec![counter], ..stats }));
    }
}

fn takeover(stage: &mut Stage, incarnation: u64, from: &str, to: &str, cause: &str, scale: u64) {
    let (alias, member) = ("counter".to_owned(), to.to_owned());
    stage.say(
        "ftm",
        What::TakeoverStarted {
            alias: alias.clone(),
            incarnation,
            from: Some(from.into()),
            to: to.into(),
            cause: cause.into(),
        },
    );
    let timing = TakeoverTiming {
        detect_us: Some(640 * scale),
        fence_us: Some(1210),
        open_us: Some(9_290),
        recover_us: Some(80),
        mark_us: Some(2_150),
        first_reply_us: Some(3_900),
        blackout_us: Some(640 * scale + 1210 + 9_290 + 80 + 2_150 + 3_900),
    };
    stage.wait(20).say("ftm", What::InService { alias: alias.clone(), incarnation, member, timing });
    stage.say("ftm", What::FirstReply { alias, incarnation, asked_ns: None, timing });
}

/// A cluster with a kill, a hang and the death of a caller behind it.
fn stage() -> Stage {
    let mut stage = Stage::counter();
    load(&mut stage, (0, 50), 0, "counter-1");
    stage.wait(10).say("ftm", What::Defect { id: "K1".into(), spec: "kill counter-1".into() });
    takeover(&mut stage, 2, "counter-1", "counter-2", "killed", 1);
    load(&mut stage, (400, 40), 3, "counter-2");
    stage.wait(12_000).say("ftm", What::Defect { id: "H1".into(), spec: "hang counter-2".into() });
    stage.wait(600);
    takeover(&mut stage, 3, "counter-2", "counter-1", "hung", 900);
    stage.say("ftm", What::Healed { id: "H1".into() });
    load(&mut stage, (720, 60), 4, "counter-1");
    let (alias, from) = ("caller".to_owned(), Some("caller-1".to_owned()));
    stage.wait(800).say(
        "ftm",
        What::TakeoverStarted {
            alias: alias.clone(),
            incarnation: 2,
            from,
            to: "caller-2".into(),
            cause: "gone".into(),
        },
    );
    let timing = TakeoverTiming { open_us: Some(4_000), mark_us: Some(6_000), ..TakeoverTiming::default() };
    stage.wait(9).say("ftm", What::InService { alias, incarnation: 2, member: "caller-2".into(), timing });
    stage
}

#[test]
fn takeovers_are_told_with_their_parts_their_cause_and_their_percentiles() {
    let mut rig = Rig::on(stage()).sized((200, 50));
    let text = rig.press("6").text();
    let table = rig.app.table(Pane::Takeovers);
    let rows: Vec<_> = table.rows.iter().map(|row| (row.key.as_str(), row.json["defect"].as_str())).collect();
    assert_eq!(rows, [("caller/2", None), ("counter/3", Some("H1")), ("counter/2", Some("K1"))]);
    assert_eq!(table.rows[2].json["open_us"].as_u64(), Some(9_290));
    assert!(table.remark.contains("max 593 ms"), "{}", table.remark);
    let strip = &table.rows[2].cells.last().unwrap().text;
    assert!(strip.starts_with('↯') && strip.contains("ooooo") && strip.ends_with('●'), "{strip}");
    assert!(text.contains("nobody has asked since"), "{text}");
}

#[test]
fn strips_are_made_finer_and_coarser_within_bounds() {
    let mut rig = Rig::on(stage()).sized((120, 36));
    rig.press("6");
    let cell = |rig: &Rig| crate::tui::metrics::cell_us(&rig.app);
    let first = cell(&rig);
    rig.press("Z");
    assert!(cell(&rig) > first);
    rig.press("z z");
    assert!(cell(&rig) < first);
    rig.press("z z z z z z z z z z z z z z z z Z");
    assert_eq!(cell(&rig), 200, "what is pressed in vain is not remembered");
}

#[test]
fn enter_shows_the_defect_of_a_takeover_on_the_chart_and_escape_leads_back() {
    let mut rig = Rig::on(stage()).sized((120, 36));
    rig.press("6 G enter");
    assert_eq!(rig.app.screen, Screen::Sequence);
    let event = rig.app.history.event(rig.app.moment().unwrap()).unwrap();
    assert!(matches!(&event.what, What::Defect { id, .. } if id == "K1"));
    rig.press("esc");
    assert_eq!(rig.app.screen, Screen::Metrics);
    rig.press("space g enter");
    let event = rig.app.history.event(rig.app.moment().unwrap()).unwrap();
    assert!(matches!(&event.what, What::TakeoverStarted { alias, .. } if alias == "caller"));
}

#[test]
fn calls_with_a_defect_are_told_apart_from_those_in_peace() {
    let mut rig = Rig::on(stage());
    let (calm, stirred) = rig.app.world().latencies();
    assert!(calm.below_us(1.0).unwrap() < 41_000 && calm.calls() > 300, "{calm:?}");
    assert_eq!(stirred.below_us(1.0), Some(40_960));
    let answered: u64 = rig.app.world().answered().map(|second| second.calls).sum();
    assert!(answered > 1_000, "{answered}");
    rig.press("6 <");
    let then: u64 = rig.app.world().answered().map(|second| second.calls).sum();
    assert!(then < answered, "the past has the load as it was then");
}

#[test]
fn what_was_not_measured_is_not_shown() {
    let mut rig = Rig::on(Stage::counter()).sized((120, 36));
    let text = rig.press("6").text();
    for absent in ["Nothing was taken over yet", "No call was answered yet", "No caller has told of any yet"]
    {
        assert!(text.contains(absent), "{absent}: {text}");
    }
    assert!(!text.contains("0 MB") && !text.contains("p50"), "{text}");
}

#[test]
fn measurements_look_as_they_were_approved() {
    type Case = (&'static str, (u16, u16), Theme, &'static str);
    let cases: &[Case] = &[
        ("metrics_80x24", (80, 24), UNICODE, "6"),
        ("metrics_120x36", (120, 36), UNICODE, "6"),
        ("metrics_200x50", (200, 50), UNICODE, "6 tab"),
        ("metrics_ascii", (80, 24), pictures::ASCII, "6"),
        ("metrics_no_colour", (120, 36), pictures::NO_COLOUR, "6"),
        ("metrics_past_120x36", (120, 36), UNICODE, "6 < < <"),
        ("metrics_small_60x12", (60, 12), UNICODE, "6"),
    ];
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, size, theme, keys) in cases {
            let mut rig = Rig::on(stage());
            rig.app.theme = *theme;
            let mut rig = rig.sized(*size);
            rig.press(keys);
            insta::assert_snapshot!(*name, dump(&rig.picture()));
        }
    });
}

#[test]
fn no_size_panics_and_ascii_stays_ascii() {
    let mut rig = Rig::on(stage());
    rig.app.theme = pictures::ASCII;
    let mut rig = rig.sized((120, 36));
    let text = rig.press("6").text();
    assert!(text.is_ascii(), "{text}");
    for columns in (1..=30).chain([39, 40, 41, 60, 79, 80, 81, 119, 120, 200]) {
        for lines in (1..=14).chain([17, 18, 19, 20, 23, 24, 25, 36, 50]) {
            rig.app.size = (columns, lines);
            rig.picture();
        }
    }
}
