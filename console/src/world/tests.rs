use palib::control::{AliasStats, NodeStats, OperatorRequest, What};
use proptest::prelude::*;

use super::stage::{Stage, counter_row};
use super::*;

fn fold(stage: &Stage) -> World {
    let mut world = World::default();
    stage.events.iter().for_each(|event| world.apply(event));
    world
}

#[test]
fn a_kill_and_its_takeover_are_told_by_the_events_alone() {
    let world = fold(&Stage::counter_after_kill());
    assert_eq!(world.cluster.as_deref(), Some("counter"));
    assert_eq!(world.up(), (3, 4));
    assert_eq!(world.aliases["counter"].in_service().unwrap().process, "counter-2");
    assert_eq!(world.processes["counter-1"].life, Life::Dead);
    let takeover = world.last_takeover("counter").unwrap();
    assert!(takeover.in_service && takeover.answered);
    assert_eq!(takeover.timing.blackout_us, Some(3270));
    assert_eq!(world.active_defects().count(), 0, "a kill is over when it has happened");
    assert_eq!(world.role("caller"), Role::Client);
    assert_eq!(world.role("counter"), Role::Server);
    assert_eq!(world.missed, 0);
}

#[test]
fn an_ftm_that_was_started_since_takes_no_measurement_of_a_takeover_back() {
    let mut stage = Stage::counter_after_kill();
    let told = What::InService {
        alias: "counter".into(),
        incarnation: 2,
        member: "counter-2".into(),
        timing: TakeoverTiming::default(),
    };
    stage.wait(400).say("ftm", told);
    let world = fold(&stage);
    assert_eq!(world.last_takeover("counter").unwrap().timing.blackout_us, Some(3270));
}

#[test]
fn calls_per_second_come_from_the_counters_and_fall_to_nothing_when_calls_stop() {
    let mut stage = Stage::counter();
    stage.load(40);
    let world = fold(&stage);
    assert_eq!(world.calls_per_s("caller").round(), 40.0);
    assert_eq!(world.calls_per_s("counter").round(), 40.0);
    let edges = world.edges();
    assert_eq!((edges[0].from.as_str(), edges[0].to.as_str()), ("caller", "counter"));
    assert_eq!(edges[0].calls_per_s.unwrap().round(), 40.0);
    for _ in 0..6 {
        stage.wait(500).measure("caller-1", "caller", &[("issued", 80), ("acked", 80)]);
    }
    assert_eq!(fold(&stage).calls_per_s("caller"), 0.0);
}

#[test]
fn a_hang_stays_in_the_ledger_until_it_is_healed_or_its_process_dies() {
    let mut stage = Stage::counter();
    stage.say("ftm", What::Defect { id: "H1".into(), spec: "hang counter-1 3s".into() });
    assert_eq!(fold(&stage).active_defects().count(), 1);
    let mut healed = stage.clone();
    healed.say("ftm", What::Healed { id: "H1".into() });
    assert_eq!(fold(&healed).active_defects().count(), 0);
    stage.say("ftm", What::Exited { name: "counter-1".into(), pid: 1, how: "SIGKILL".into(), ordered: true });
    assert_eq!(fold(&stage).active_defects().count(), 0);
}

#[test]
fn an_armed_point_counts_until_it_has_fired_or_was_disarmed() {
    let mut stage = Stage::counter();
    let spec = "kill counter@after-block".to_owned();
    stage.say("ftm", What::Armed { id: "P1".into(), spec: spec.clone() });
    let world = fold(&stage);
    assert_eq!((world.active_defects().count(), world.defects[0].state()), (1, DefectState::Armed));
    assert_eq!(world.defects[0].remedy(), Some(OperatorRequest::Disarm { id: "P1".into() }));
    let mut disarmed = stage.clone();
    disarmed.say("ftm", What::Disarmed { id: "P1".into() });
    assert_eq!(fold(&disarmed).defects[0].state(), DefectState::Healed);
    stage.say("ftm", What::Defect { id: "P1".into(), spec });
    let world = fold(&stage);
    assert_eq!((world.defects.len(), world.defects[0].state()), (1, DefectState::Fired));
    assert_eq!(world.active_defects().count(), 0);
}

#[test]
fn who_waits_at_a_point_can_be_let_go_on_and_is_up_again() {
    let mut stage = Stage::counter();
    stage.say("ftm", What::Armed { id: "P1".into(), spec: "pause counter@after-commit".into() });
    stage
        .say("ftm", What::Paused { name: "counter-1".into(), point: "after-commit".into(), id: "P1".into() });
    let world = fold(&stage);
    assert_eq!(world.defects[0].state(), DefectState::Active);
    assert_eq!(world.processes["counter-1"].life, Life::Paused);
    assert_eq!(world.processes["counter-1"].why, "paused at after-commit (P1)");
    assert_eq!(world.defects[0].remedy(), Some(OperatorRequest::Resume { process: "counter-1".into() }));
    stage.say("ftm", What::Healed { id: "P1".into() });
    let world = fold(&stage);
    assert_eq!(
        (world.defects[0].state(), world.processes["counter-1"].life),
        (DefectState::Healed, Life::Up)
    );
}

#[test]
fn a_gap_in_the_numbers_is_counted_as_missed() {
    let mut stage = Stage::counter();
    let whole = stage.events.len();
    stage.say("ftm", What::Joined { name: "counter-1".into() });
    stage.events.remove(whole - 1);
    assert_eq!(fold(&stage).missed, 1);
}

/// What the counters of `caller-1` and the counters of `counter-1` say, at a time each.
enum Read {
    Caller(u64, u64),
    Server(u64),
}

fn verdict(reads: &[Read]) -> Verdict {
    let mut stage = Stage::counter();
    for read in reads {
        stage.wait(50);
        match read {
            Read::Caller(issued, acked) => {
                stage.measure("caller-1", "caller", &[("issued", *issued), ("acked", *acked)])
            }
            Read::Server(effects) => stage.measure("counter-1", "counter", &[("effects", *effects)]),
        };
    }
    fold(&stage).verdict()
}

#[test]
fn readings_at_different_times_under_load_are_no_false_alarm() {
    // The server is read before the caller acknowledged more, then the caller before the server did more.
    let clean = verdict(&[
        Read::Server(10),
        Read::Caller(70, 60),
        Read::Server(65),
        Read::Caller(90, 80),
        Read::Server(200),
        Read::Caller(300, 290),
    ]);
    assert!(clean.is_clean(), "{clean:?}");
    assert_eq!((clean.issued, clean.acked, clean.effects), (300, 290, 200));
}

#[test]
fn an_acknowledged_call_without_effect_is_lost() {
    assert_eq!(verdict(&[Read::Caller(60, 60), Read::Server(59)]).lost, 1);
}

#[test]
fn an_effect_that_nobody_issued_is_doubled_and_stays_so() {
    let reads =
        [Read::Server(61), Read::Caller(60, 60), Read::Server(61), Read::Caller(100, 61), Read::Server(100)];
    assert_eq!(verdict(&reads).doubled, 1);
}

#[test]
fn a_process_that_was_taken_over_does_not_speak_for_its_alias() {
    let mut stage = Stage::counter();
    stage.say("ftm", What::Alias { row: counter_row(2, true) });
    stage.wait(10).measure("caller-1", "caller", &[("issued", 60), ("acked", 60)]);
    stage.wait(10).measure("counter-1", "counter", &[("effects", 3)]);
    assert!(fold(&stage).verdict().is_clean());
}

#[test]
fn effects_that_callers_name_are_judged_alias_by_alias() {
    let mut stage = Stage::counter();
    stage.wait(10).measure("caller-1", "caller", &[("issued:counter", 9), ("acked:counter", 9)]);
    stage.wait(10).measure("counter-1", "counter", &[("effects", 7)]);
    let verdict = fold(&stage).verdict();
    assert_eq!(verdict.aliases["counter"].lost, 2);
    assert_eq!(verdict.lost, 2);
}

#[test]
fn any_moment_of_the_past_is_the_world_folded_up_to_it() {
    let mut stage = Stage::counter_after_kill();
    for n in 0..2000u64 {
        stage.wait(1).say("ftm", What::Log { level: "info".into(), text: format!("line {n}") });
    }
    let mut history = History::default();
    stage.events.iter().cloned().for_each(|event| history.apply(event));
    let mut moment = history.newest();
    let mut steps = 0;
    while let Some(at) = moment {
        let event = history.event(at).unwrap();
        let expected = {
            let mut world = World::default();
            stage
                .events
                .iter()
                .take_while(|other| other.seq <= event.seq)
                .for_each(|other| world.apply(other));
            world
        };
        let seen = history.world_at(at);
        assert_eq!(seen.aliases, expected.aliases);
        assert_eq!(seen.last_seq, expected.last_seq);
        assert_eq!(seen.up(), expected.up());
        let counts = |what: &What| !is_measurement(what);
        moment = history.back(moment, counts);
        if let Some(before) = moment {
            assert_eq!(history.forward(before, counts), Some(at));
        }
        steps += 1;
    }
    assert_eq!(steps, stage.events.iter().filter(|event| !is_measurement(&event.what)).count());
}

#[test]
fn the_history_is_bounded_and_its_oldest_moment_is_still_right() {
    let mut stage = Stage::counter_after_kill();
    for n in 0..40_000u64 {
        stage.say("ftm", What::Log { level: "info".into(), text: format!("line {n}") });
    }
    let mut history = History::default();
    stage.events.into_iter().for_each(|event| history.apply(event));
    let kept = history.newest_first(None).count();
    assert!((32_000..=33_100).contains(&kept), "{kept}");
    let (oldest, _) = history.newest_first(None).last().unwrap();
    assert_eq!(history.world_at(oldest).up(), (3, 4));
}

proptest! {
    /// An honest cluster: effects lie between acknowledged and issued at every instant, and each reading is of its
    /// own instant. No order of readings may raise an alarm.
    #[test]
    fn an_honest_cluster_is_never_accused(steps in proptest::collection::vec((0u8..4, any::<bool>()), 1..200)) {
        let (mut issued, mut effects, mut acked) = (0, 0, 0);
        let mut stage = Stage::counter();
        for (step, read) in steps {
            match step {
                0 => issued += 3,
                1 => effects = issued.min(effects + 2),
                2 => acked = effects.min(acked + 2),
                _ => {}
            }
            stage.wait(10);
            if read {
                stage.measure("caller-1", "caller", &[("issued", issued), ("acked", acked)]);
            } else {
                stage.measure("counter-1", "counter", &[("effects", effects)]);
            }
        }
        prop_assert!(fold(&stage).verdict().is_clean());
    }
}

/// What is told of a relay between caller and counter.
enum Told {
    Caller(u64, u64),
    /// Its effects, what it acknowledges for them, and calls of operators.
    Relay(u64, u64, u64),
    /// Effects, and how many of them are undone.
    Counter(u64, u64),
}

fn behind_a_relay(told: &[Told]) -> Verdict {
    let mut stage = Stage::counter();
    stage.say("ftm", What::Alias { row: relay_row() });
    for told in told {
        stage.wait(50);
        match *told {
            Told::Caller(issued, acked) => {
                let counters = [("issued:relay", issued), ("acked:relay", acked)];
                stage.measure("caller-1", "caller", &counters)
            }
            Told::Relay(effects, acked, operators) => {
                let counters = [
                    ("effects", effects),
                    ("each:counter", 1),
                    ("acked:counter", acked),
                    ("operators", operators),
                ];
                stage.measure("relay-1", "relay", &counters)
            }
            Told::Counter(effects, undone) => {
                let counters = [("effects", effects), ("undone", undone)];
                stage.measure("counter-1", "counter", &counters)
            }
        };
    }
    fold(&stage).verdict()
}

fn relay_row() -> AliasRow {
    let mut row = counter_row(1, false);
    row.alias = "relay".into();
    row.kind = "relay".into();
    row.alias_id = 3;
    for member in &mut row.members {
        member.process = member.process.replace("counter", "relay");
    }
    row
}

#[test]
fn calls_that_are_undone_and_done_again_are_neither_lost_nor_doubled() {
    use Told::{Caller, Counter, Relay};
    let verdict = behind_a_relay(&[
        Counter(9, 4),
        Relay(3, 3, 0),
        Caller(5, 3),
        Counter(12, 7),
        Relay(5, 5, 0),
        Caller(5, 5),
        Counter(12, 7),
    ]);
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!((verdict.issued, verdict.acked), (5, 5), "what a relay calls is no call of its own");
    assert_eq!(verdict.aliases["counter"].effects, 5);
}

#[test]
fn a_call_that_a_relay_makes_twice_is_doubled() {
    use Told::{Caller, Counter, Relay};
    let told = [Counter(6, 0), Relay(5, 5, 0), Caller(5, 5)];
    let verdict = behind_a_relay(&told);
    assert_eq!((verdict.doubled, verdict.aliases["counter"].doubled), (1, 1));
    // Had an operator called it, too, that would be its effect.
    assert!(behind_a_relay(&[Counter(6, 0), Relay(5, 6, 1), Caller(5, 5)]).is_clean());
}

#[test]
fn what_a_relay_acknowledges_without_an_effect_is_lost() {
    use Told::{Caller, Counter, Relay};
    let verdict = behind_a_relay(&[Relay(5, 5, 0), Counter(4, 0), Caller(5, 5)]);
    assert_eq!((verdict.lost, verdict.aliases["counter"].lost, verdict.aliases["relay"].lost), (1, 1, 0));
}

#[test]
fn targets_that_may_stand_for_one_another_are_judged_together() {
    let targets = ["a|b".to_owned(), "c".to_owned(), "b".to_owned(), "c|d".to_owned()];
    let names: Vec<String> = groups(targets.iter()).into_iter().map(|group| group.name).collect();
    assert_eq!(names, ["a|b", "c|d"]);
}

/// A relay and the two servers it may call, one in the place of the other.
fn with_a_substitute() -> Stage {
    let mut stage = Stage::counter();
    stage.say("ftm", What::Alias { row: relay_row() });
    for (name, alias_id) in [("main", 4), ("spare", 5)] {
        let mut row = AliasRow { alias: name.into(), alias_id, ..counter_row(1, false) };
        for member in &mut row.members {
            member.process = member.process.replace("counter", name);
        }
        stage.say("ftm", What::Alias { row });
    }
    stage
}

/// A sweep called calls lost: the substitute had done them, and was not read before.
#[test]
fn what_a_substitute_did_before_it_was_read_is_not_lost() {
    let mut stage = with_a_substitute();
    let acked = [("effects", 3), ("each:main|spare", 1), ("acked:main|spare", 3)];
    stage.wait(50).measure("relay-1", "relay", &acked);
    stage.wait(50).measure("main-1", "main", &[("effects", 1), ("undone", 0)]);
    assert_eq!(fold(&stage).verdict().lost, 0, "the other two may be at spare");
    stage.wait(50).measure("spare-1", "spare", &[("effects", 1), ("undone", 0)]);
    stage.wait(50).measure("main-1", "main", &[("effects", 1), ("undone", 0)]);
    assert_eq!(fold(&stage).verdict().lost, 1, "it was read, and has one of them");
}

/// A storm over substitutes was called doubled: main was read before an effect was undone there, and spare after it
/// was done there instead.
#[test]
fn an_effect_that_moves_to_a_substitute_between_two_readings_is_not_doubled() {
    let mut stage = with_a_substitute();
    stage.wait(50).measure("main-1", "main", &[("effects", 3), ("undone", 0)]);
    stage.wait(50).measure("spare-1", "spare", &[("effects", 3), ("undone", 0)]);
    stage.wait(50).measure(
        "relay-1",
        "relay",
        &[("effects", 3), ("each:main|spare", 1), ("acked:main|spare", 3)],
    );
    stage.wait(50).measure("caller-1", "caller", &[("issued:relay", 3), ("acked:relay", 3)]);
    let verdict = fold(&stage).verdict();
    assert!(verdict.is_measured() && verdict.is_clean(), "{verdict:?}");
    stage.wait(50).measure("spare-1", "spare", &[("effects", 4), ("undone", 0)]);
    stage.wait(50).measure(
        "relay-1",
        "relay",
        &[("effects", 3), ("each:main|spare", 1), ("acked:main|spare", 3)],
    );
    stage.wait(50).measure("caller-1", "caller", &[("issued:relay", 3), ("acked:relay", 3)]);
    assert_eq!(fold(&stage).verdict().doubled, 1, "one place alone can have too many");
}

#[test]
fn what_became_of_transactions_is_counted_by_alias() {
    use crate::cluster::{Facts as _, Measure};
    let mut stage = Stage::counter();
    let (call, alias) = ("caller/i1/7".to_owned(), "relay".to_owned());
    stage.say(
        "relay-2",
        What::RolledForward { call: call.clone(), alias: alias.clone(), answered: 0, resent: 1 },
    );
    stage.say("relay-2", What::RolledBack { call, alias, then: "run again".into() });
    let world = fold(&stage);
    assert_eq!(world.turns["relay"], Turns { forward: 1, back: 1, substituted: 0 });
    assert_eq!(world.measure(Measure::RolledBack, Some("relay"), 0), Some(1));
    assert_eq!(world.measure(Measure::RolledBack, Some("counter"), 0), Some(0));
    assert_eq!(world.measure(Measure::RolledForward, None, 0), Some(1));
}

#[test]
fn what_a_backup_measured_tells_nothing_of_what_it_has_taken_over() {
    use crate::cluster::{Expectation, Facts as _, Measure};
    let none_open: Expectation = "transactions counter = 0".parse().expect("an expectation");
    let before = none_open.before(&World::default());
    let measured = |stage: &mut Stage, relays: u32, in_service: bool| {
        let (alias, at_ns) = ("counter".to_owned(), 1_000 + stage.events.len() as u64);
        let of_alias = AliasStats { alias, in_service, relays, ..AliasStats::default() };
        let stats = NodeStats { at_ns, aliases: vec![of_alias], ..NodeStats::default() };
        stage.say("counter-2", What::Stats(stats));
        at_ns
    };
    let mut stage = Stage::counter();
    measured(&mut stage, 0, false);
    stage.say("ftm", What::Alias { row: counter_row(2, true) });
    let taken_over = fold(&stage);
    assert_eq!(taken_over.in_service("counter").as_deref(), Some("counter-2"));
    assert!(!none_open.holds(&taken_over, before, 0), "it has a transaction open, and has not said so yet");
    assert_eq!(none_open.found(&taken_over, 0), "not measured yet");
    let at_ns = measured(&mut stage, 1, true);
    assert_eq!(fold(&stage).measure(Measure::Transactions, Some("counter"), 0), Some(1));
    assert_eq!(
        fold(&stage).measure(Measure::Transactions, Some("counter"), at_ns),
        None,
        "older than the action"
    );
    measured(&mut stage, 0, true);
    assert!(none_open.holds(&fold(&stage), before, 0));
}

#[test]
fn a_count_that_goes_on_over_a_takeover_does_not_seem_to_begin_again() {
    use crate::cluster::Expectation;
    let grows: Expectation = "effects counter grows".parse().expect("an expectation");
    let mut stage = Stage::counter_after_kill();
    let before = grows.before(&fold(&stage));
    assert!(!grows.holds(&fold(&stage), before, 0), "the successor has told nothing yet");
    stage.measure("counter-2", "counter", &[("effects", 1)]);
    assert!(!grows.holds(&fold(&stage), before, 0), "fewer than were counted before");
    stage.measure("counter-2", "counter", &[("effects", 1000)]);
    assert!(grows.holds(&fold(&stage), before, 0));
}

/// Both sides are read again, some time later.
fn read_again(stage: &mut Stage, calls: u64) {
    stage.wait(1500).measure("caller-1", "caller", &[("issued", calls), ("acked", calls)]);
    stage.measure("counter-2", "counter", &[("effects", calls)]);
    stage.wait(10).measure("caller-1", "caller", &[("issued", calls), ("acked", calls)]);
}

#[test]
fn a_kill_answers_for_its_takeover_for_what_was_sent_again_and_for_the_verdict_after() {
    let mut stage = Stage::counter_after_kill();
    let deeds = fold(&stage).defects[0].deeds.clone();
    assert_eq!(deeds.takeovers, [("counter".to_owned(), 2)]);
    assert_eq!((deeds.resent, deeds.redundant), (1, 1));
    assert_eq!(
        (deeds.expected_us, deeds.verdict),
        (None, None),
        "nothing was measured before, nor audited since"
    );
    read_again(&mut stage, 80);
    let world = fold(&stage);
    assert_eq!(world.blackout_us(&world.defects[0].deeds), Some(3270));
    assert_eq!(world.cause_of("counter", 2), Some("K1"));
    assert_eq!(world.defects[0].deeds.verdict, Some((0, 0)));
    stage.say("ftm", What::Defect { id: "K2".into(), spec: "kill counter-2".into() });
    assert_eq!(fold(&stage).defects[1].deeds.expected_us, Some(3270), "what was measured is expected again");
}

#[test]
fn a_defect_under_which_a_call_is_lost_is_told_so_and_the_next_one_is_not() {
    let mut stage = Stage::counter_after_kill();
    stage.wait(1500).measure("caller-1", "caller", &[("issued", 90), ("acked", 90)]);
    stage.wait(5).measure("counter-2", "counter", &[("effects", 89)]);
    stage.wait(5).measure("caller-1", "caller", &[("issued", 90), ("acked", 90)]);
    assert_eq!(fold(&stage).defects[0].deeds.verdict, Some((1, 0)));
    stage.wait(5).say("ftm", What::Defect { id: "K2".into(), spec: "kill caller-2".into() });
    stage.wait(3000).measure("caller-1", "caller", &[("issued", 90), ("acked", 90)]);
    for _ in 0..3 {
        stage.wait(5).measure("counter-2", "counter", &[("effects", 89)]);
        stage.wait(5).measure("caller-1", "caller", &[("issued", 90), ("acked", 90)]);
    }
    let deeds = fold(&stage).defects[1].deeds.clone();
    assert_eq!((deeds.takeovers.len(), deeds.verdict), (0, Some((0, 0))));
}

#[test]
fn silence_is_not_expected_to_be_as_short_as_a_death() {
    let mut stage = Stage::counter_after_kill();
    stage.wait(3000).say("ftm", What::Defect { id: "H1".into(), spec: "hang counter-2".into() });
    let world = fold(&stage);
    assert_eq!(world.defects[1].deeds.expected_us, None);
    assert_eq!(world.usual_blackout_us("counter", Way::Death), Some((3270, 1)));
    assert_eq!(world.usual_blackout_us("counter", Way::Silence), None);
}

#[test]
fn a_link_or_a_disk_is_disturbed_until_it_is_healed() {
    let mut stage = Stage::counter();
    stage.say("ftm", What::Defect { id: "L1".into(), spec: "cut counter-1 caller-1".into() });
    stage.say("ftm", What::Defect { id: "D1".into(), spec: "disk counter full".into() });
    let world = fold(&stage);
    assert_eq!(world.active_defects().count(), 2);
    assert!(world.defects[0].link().is_some() && world.defects[1].link().is_none());
    assert_eq!(world.defects[0].remedy(), Some(OperatorRequest::Disarm { id: "L1".into() }));
    assert_eq!(world.defects[1].deeds.hit, ["counter-1"], "an alias stands for who is in service");
    stage.say("ftm", What::Healed { id: "L1".into() });
    assert_eq!(fold(&stage).active_defects().count(), 1);
}

/// A process that was taken out of the cluster file was counted as one that is down for as long as events told of it.
#[test]
fn who_is_not_in_the_cluster_any_more_is_not_counted() {
    let mut stage = Stage::counter();
    for what in [
        What::Spawned { name: "caller-3".into(), process_id: 9, pid: 4109 },
        What::Exited { name: "caller-3".into(), pid: 4109, how: "exit 0".into(), ordered: true },
    ] {
        stage.say("ftm", what);
    }
    assert_eq!(fold(&stage).up(), (4, 5));
    stage.ftm_started(4200, 2);
    let world = fold(&stage);
    assert_eq!(world.up(), (4, 4));
    assert!(!world.processes.contains_key("caller-3"));
}
