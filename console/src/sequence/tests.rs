//! Charts of small stories.

use palib::control::{Event, MemberState, TakeoverTiming, What};

use super::*;
use crate::world::World;
use crate::world::stage::{Stage, chart_story, member, row};

fn world(events: &[Event]) -> World {
    let mut world = World::default();
    events.iter().for_each(|event| world.apply(event));
    world
}

fn chart(stage: &Stage, wish: &Wish) -> Chart {
    Chart::of(stage.events.iter(), &World::default(), &world(&stage.events), wish)
}

fn follow(call: &str) -> Wish {
    Wish { follow: Some(call.to_owned()), ..Wish::default() }
}

/// The chart in lines: what, where, label.
fn lines(chart: &Chart) -> Vec<String> {
    let lane = |lane: usize| chart.lanes[lane].process.clone();
    let line = |line: &Line| match &line.shows {
        Shows::Gap(gap) => {
            format!("gap {} {}", gap.us, gap.blackout.clone().unwrap_or_default()).trim().to_owned()
        }
        Shows::Step(step) => match &step.shape {
            Shape::Arrow(arrow) => {
                let end = if arrow.lost { "-x" } else { "->" };
                format!("{} {end} {}: {}", lane(arrow.from), lane(arrow.to), step.label)
            }
            Shape::Mark { lane: at, sign } => format!("{sign:?} {}: {}", lane(*at), step.label),
            Shape::Across => format!("across: {}", step.label),
        },
    };
    chart.lines.iter().map(line).collect()
}

#[test]
fn a_call_is_followed_over_a_takeover() {
    let chart = chart(&chart_story(), &follow("caller/i1/120"));
    let expected = [
        "Stable caller-1: #120 in outbox",
        "caller-1 -> counter-1: #120 counter",
        "Note counter-1: #120 runs",
        "Stable counter-1: #120 outcome",
        "Injected counter-1: K1 kill counter-1",
        "Death counter-1: SIGKILL",
        "Takeover counter-2: takes over counter, i2",
        "gap 41000 counter",
        "Service counter-2: serves counter, i2",
        "caller-1 -> counter-2: #120 again, try 2",
        "Found counter-2: #120 known: AUTO_REPLY",
        "counter-2 -> caller-1: #120 reply, 48 ms",
    ];
    assert_eq!(lines(&chart), expected);
    let names: Vec<_> = chart.lanes.iter().map(|lane| lane.process.as_str()).collect();
    assert_eq!(names, ["caller-1", "caller-2", "counter-1", "counter-2"], "clients come first, backups wait");
    let last = &chart.lines.last().unwrap().stands;
    assert_eq!(*last, [Stand::Serves, Stand::Waits, Stand::Gone, Stand::Serves]);
}

/// A transaction of a relay in one call, rolled back and then run again.
fn relayed() -> Stage {
    let mut stage = Stage::new();
    for (alias, id, name) in [("caller", 1, "caller-1"), ("relay", 2, "relay-1"), ("stock", 3, "stock-1")] {
        let members = vec![member(name, 100 + id, MemberState::InService, "first start")];
        stage.say("ftm", What::Alias { row: row(alias, id, alias, 1, members) });
    }
    let (x, y) = ("caller/i1/7", "relay/i1/3");
    let text = str::to_owned;
    let asked = |call, target, to| What::Asked {
        call: text(call),
        target: text(target),
        to: text(to),
        outbox: false,
    };
    stage.wait(1).say("caller-1", asked(x, "relay", "relay-1"));
    let relayed = What::Relayed {
        call: text(x),
        alias: text("relay"),
        position: text("1"),
        downstream: text(y),
        target: text("stock"),
    };
    stage.wait(1).say("relay-1", relayed).say("relay-1", asked(y, "stock", "stock-1"));
    stage.wait(1).say("stock-1", What::Executing { call: text(y), alias: text("stock") });
    stage.wait(1).say(
        "relay-1",
        What::CancelSent {
            call: text(x),
            alias: text("relay"),
            position: text("1"),
            downstream: text(y),
            target: text("stock"),
        },
    );
    stage.wait(1).say("stock-1", What::Cancelled { call: text(y), alias: text("stock"), undone: true });
    stage.wait(1).say(
        "relay-1",
        What::CancelConfirmed {
            call: text(x),
            alias: text("relay"),
            position: text("1"),
            downstream: text(y),
            target: text("stock"),
        },
    );
    stage
}

#[test]
fn a_call_is_followed_through_a_relay_and_back() {
    let expected = [
        "caller-1 -> relay-1: #7 relay",
        "Stable relay-1: #7 > #3 stock, in journal",
        "relay-1 -> stock-1: #3 stock",
        "Note stock-1: #3 runs",
        "relay-1 -> stock-1: cancel #3",
        "Stable stock-1: #3 undone, tombstone",
        "stock-1 -> relay-1: #3 cancelled",
    ];
    for call in ["caller/i1/7", "relay/i1/3"] {
        let chart = chart(&relayed(), &follow(call));
        assert_eq!(lines(&chart), expected, "followed from {call}");
        assert_eq!(chart.calls, ["caller/i1/7", "relay/i1/3"]);
        let names: Vec<_> = chart.lanes.iter().map(|lane| lane.process.as_str()).collect();
        assert_eq!(names, ["caller-1", "relay-1", "stock-1"], "clients, relays, servers");
    }
}

#[test]
fn a_message_to_the_dead_is_not_seen_to_arrive() {
    let mut stage = Stage::counter();
    stage.asked("caller/i1/7", "counter-1");
    stage.wait(1).say(
        "ftm",
        What::Exited { name: "counter-1".into(), pid: 4103, how: "SIGKILL".into(), ordered: false },
    );
    let lines = lines(&chart(&stage, &follow("caller/i1/7")));
    assert_eq!(lines[1], "caller-1 -x counter-1: #7 counter");
    assert_eq!(lines.last().unwrap(), "Death counter-1: SIGKILL", "a call that is open goes on until now");
}

#[test]
fn an_arrival_without_its_sending_is_an_arrow_all_the_same() {
    let mut stage = Stage::counter();
    stage.say(
        "counter-1",
        What::Received {
            call: "operator/p1/1".into(),
            alias: "counter".into(),
            from: "operator".into(),
            attempt: 0,
        },
    );
    let chart = chart(&stage, &follow("operator/p1/1"));
    assert_eq!(lines(&chart), ["operator -> counter-1: #1"]);
    assert_eq!(chart.lanes[0].process, "operator", "operators call from the left");
}

#[test]
fn events_that_come_late_find_their_place() {
    let mut stage = chart_story();
    let right = lines(&chart(&stage, &follow("caller/i1/120")));
    stage.events.reverse();
    assert_eq!(lines(&chart(&stage, &follow("caller/i1/120"))), right);
}

#[test]
fn of_everything_the_newest_is_kept_and_the_rest_is_counted() {
    let stage = chart_story();
    let all = chart(&stage, &Wish { fold_us: u64::MAX, ..Wish::default() });
    assert_eq!(all.left_out, 0);
    let few = chart(&stage, &Wish { fold_us: u64::MAX, steps_max: 4, ..Wish::default() });
    assert_eq!(few.lines.len(), 4);
    assert_eq!(few.lines[..], all.lines[all.lines.len() - 4..]);
    assert!(few.left_out > 0);
}

#[test]
fn lanes_without_anything_can_be_hidden() {
    let wish = Wish { idle_lanes: false, ..follow("caller/i1/120") };
    let names: Vec<String> =
        chart(&chart_story(), &wish).lanes.into_iter().map(|lane| lane.process).collect();
    assert_eq!(names, ["caller-1", "counter-1", "counter-2"]);
}

#[test]
fn a_hung_process_is_shown_hanging_until_it_is_resumed() {
    let mut stage = Stage::counter();
    stage.wait(5).say("ftm", What::Defect { id: "H1".into(), spec: "hang counter 3s".into() });
    stage.wait(5).say("ftm", What::Healed { id: "H1".into() });
    assert_eq!(stands_at(&stage, ["H1 hang", "H1 is over"]), [Stand::Hangs, Stand::Serves]);
}

#[test]
fn who_waits_at_a_defect_point_is_shown_there_until_it_goes_on() {
    let mut stage = Stage::counter();
    stage.wait(5).say("ftm", What::Armed { id: "P1".into(), spec: "pause counter@after-commit".into() });
    let (name, point) = ("counter-1".into(), "after-commit".into());
    stage.wait(5).say("ftm", What::Paused { name, point, id: "P1".into() });
    stage.wait(5).say("ftm", What::Healed { id: "P1".into() });
    let stands = stands_at(&stage, ["P1 armed", "P1 waits at after-commit", "P1 is over"]);
    assert_eq!(stands, [Stand::Serves, Stand::Hangs, Stand::Serves]);
}

#[test]
fn points_that_are_armed_together_are_one_step() {
    let mut stage = Stage::counter();
    let arm = |stage: &mut Stage, number: u32| {
        let spec = format!("pause counter@after-commit#{number}");
        stage.say("ftm", What::Armed { id: format!("P{number}"), spec });
    };
    (1..=9).for_each(|number| arm(&mut stage, number));
    stage.wait(500);
    (10..=12).for_each(|number| arm(&mut stage, number));
    let chart = chart(&stage, &Wish::default());
    let labels: Vec<&str> = chart
        .lines
        .iter()
        .filter_map(|line| match &line.shows {
            Shows::Step(step) if step.label.contains("armed") => Some(step.label.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(labels.len(), 4, "{labels:?}");
    assert_eq!(labels[0], "P1 to P9: 9 points armed");
    assert!(labels[3].starts_with("P12 armed: pause counter"), "three are not many: {labels:?}");
}

/// How `counter-1` is at the steps whose labels begin so.
fn stands_at<const N: usize>(stage: &Stage, labels: [&str; N]) -> [Stand; N] {
    let chart = chart(stage, &Wish::default());
    labels.map(|label| {
        let place = chart
            .lines
            .iter()
            .position(|line| matches!(&line.shows, Shows::Step(step) if step.label.starts_with(label)));
        chart.lines[place.unwrap_or_else(|| panic!("{label}"))].stands[2]
    })
}

#[test]
fn a_long_blackout_is_told_where_it_is_folded() {
    let mut stage = Stage::counter_after_kill();
    stage.wait(700).say(
        "ftm",
        What::TakeoverStarted {
            alias: "counter".into(),
            incarnation: 3,
            from: Some("counter-2".into()),
            to: "counter-1".into(),
            cause: "hung".into(),
        },
    );
    stage.wait(30).say(
        "ftm",
        What::InService {
            alias: "counter".into(),
            incarnation: 3,
            member: "counter-1".into(),
            timing: TakeoverTiming::default(),
        },
    );
    let lines = lines(&chart(&stage, &Wish::default()));
    assert!(lines.contains(&"gap 30000 counter".to_owned()), "{lines:#?}");
    assert!(lines.contains(&"gap 700000".to_owned()), "{lines:#?}");
}

#[test]
fn times_are_on_the_clock_of_the_screens() {
    let chart = Chart { zero_ns: 1_000_000_000, ..Chart::default() };
    assert_eq!(chart.clock(1_000_000_000 + 98_347_600_000), "01:38.3476");
    assert_eq!(chart.clock(999_900_000), "-00:00.0001");
}

#[test]
fn the_exports_look_as_they_were_approved() {
    let chart = chart(&chart_story(), &follow("caller/i1/120"));
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("chart_mermaid", mermaid(&chart));
        insta::assert_snapshot!("chart_shiviz", shiviz(&chart));
        insta::assert_snapshot!("chart_svg", svg(&chart));
    });
}

#[test]
fn names_can_break_out_of_no_export() {
    let mut stage = Stage::counter();
    stage.say("ftm", What::Defect { id: "<K1>".into(), spec: "kill </svg>;#\n".into() });
    let chart = chart(&stage, &Wish::default());
    assert!(!svg(&chart).contains("</svg>;"));
    let mermaid = mermaid(&chart);
    assert!(mermaid.lines().all(|line| line.starts_with("    ") || line == "sequenceDiagram"), "{mermaid}");
    assert!(!mermaid.contains("<K1>"));
}
