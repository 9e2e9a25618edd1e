use std::time::Duration;

use super::*;

/// What a file with mistakes is answered with.
fn mistakes(text: &str) -> String {
    ClusterFile::parse("demo.toml", text).expect_err("the file has a mistake").to_string()
}

fn good(text: &str) -> ClusterFile {
    ClusterFile::parse("demo.toml", text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

#[test]
fn every_embedded_demo_is_in_order_and_bears_its_own_name() {
    for demo in DEMOS {
        let file = ClusterFile::parse(demo.name, demo.text).unwrap_or_else(|mistakes| panic!("{mistakes}"));
        assert_eq!(file.name, demo.name);
    }
}

#[test]
fn every_step_of_a_tour_says_something_and_expects_that_nothing_is_lost_or_doubled() {
    for demo in DEMOS {
        let file = ClusterFile::parse(demo.name, demo.text).expect("it is in order");
        assert!(file.tour.len() > 1 && file.title != file.name, "{} has no tour", demo.name);
        for step in &file.tour {
            let always = step.expect.iter().filter(|expected| expected.must_hold_always()).count();
            assert_eq!(always, 2, "{}: {}", demo.name, step.say);
            let waits = step.expect.len() > always
                || matches!(step.action, Some(Action::Tell { .. } | Action::Call { .. }));
            assert!(waits, "{}: nothing is waited for after {}", demo.name, step.say);
        }
    }
}

#[test]
fn whom_relays_of_the_demos_call_is_in_their_files() {
    for demo in DEMOS {
        let file = ClusterFile::parse(demo.name, demo.text).expect("it is in order");
        let options = file.aliases.iter().flat_map(|alias| &alias.options);
        for (option, value) in
            options.filter(|(option, _)| ["to", "substitute", "target"].contains(&option.as_str()))
        {
            let named = value.as_str().expect("a name");
            assert!(file.alias(named).is_some(), "{}: {option} = {named}", demo.name);
        }
    }
}

#[test]
fn members_become_processes_and_defaults_are_filled_in() {
    let file = good(
        "name = \"c\"\n[aliases.counter]\nkind = \"counter\"\nmembers = 3\n[aliases.caller]\nkind = \"caller\"\n",
    );
    assert_eq!(file.members("counter"), ["counter-1", "counter-2", "counter-3"]);
    assert_eq!(file.members("caller"), ["caller-1", "caller-2"]);
    assert_eq!(file.settings, Settings::default());
    assert_eq!((file.aliases[0].outbox, file.aliases[1].outbox), (false, true));
    assert_eq!(file.aliases[0].name, "counter", "aliases keep the order of the file");
}

#[test]
fn figure_4_of_the_patent_can_be_written_down() {
    let file = good(
        "name = \"fig4\"
[aliases]
PA1 = { kind = \"counter\", active = \"process-2\" }
PA2 = { kind = \"counter\" }
PA3 = { kind = \"counter\" }
[[process]]
name = \"process-1\"
aliases = [\"PA1\", \"PA2\", \"PA3\"]
[[process]]
name = \"process-2\"
aliases = [\"PA1\"]
",
    );
    assert_eq!(file.members("PA1"), ["process-2", "process-1"], "the active one is at the front");
    assert_eq!(file.members("PA3"), ["process-1"]);
    assert_eq!(file.processes.len(), 2);
}

#[test]
fn options_and_settings_arrive_as_written() {
    let file = good(
        "name = \"c\"
title = \"T\"
[settings]
heartbeat = \"50ms\"
suspect_after = \"1s\"
respawn = false
[aliases.a]
command = [\"./a\", \"-x\"]
ids = \"port\"
transid = \"site\"
on_takeover = \"roll-back\"
options = { rate = 100, deep = { keys = [\"x\"], share = 0.5, on = true } }
",
    );
    assert_eq!(file.settings.heartbeat, Duration::from_millis(50));
    assert!(!file.settings.respawn);
    let alias = &file.aliases[0];
    assert!(alias.id_by_port && alias.trans_scope == TransScope::Site && alias.outbox);
    assert_eq!(alias.on_takeover, palib::control::Policy::RollBack);
    assert_eq!(alias.options["rate"], 100);
    assert_eq!(alias.options["deep"], serde_json::json!({ "keys": ["x"], "share": 0.5, "on": true }));
    assert_eq!(file.processes[0].command.as_deref(), Some(&["./a".to_owned(), "-x".to_owned()][..]));
}

#[test]
fn a_mistake_has_file_line_column_and_what_would_be_right() {
    let text = "name = \"c\"\n[aliases.counter]\n  kidn = \"counter\"\n";
    let answer = mistakes(text);
    assert!(
        answer.contains(
            "demo.toml:3:3: unknown key `kidn`\n  3 |   kidn = \"counter\"\n    |   ^\n  did you mean `kind`?"
        ),
        "{answer}"
    );
}

#[test]
fn several_mistakes_are_told_at_once_from_top_to_bottom() {
    let text = "name = \"My Cluster\"\n[settings]\nheartbeat = 100\n[aliases.counter]\nkind = \"conter\"\nmembers = 0\n";
    let error = ClusterFile::parse("demo.toml", text).expect_err("four mistakes");
    let places: Vec<(usize, usize)> =
        error.mistakes.iter().map(|mistake| (mistake.line, mistake.column)).collect();
    assert_eq!(places, [(1, 8), (3, 13), (5, 8), (6, 11)], "{error}");
}

#[test]
fn several_actions_may_happen_together() {
    use super::Action;
    let text = "kill caller and hang relay 2s and kill ftm";
    let action: Action = text.parse().expect("three actions");
    assert_eq!(action.targets(), ["caller", "relay", "ftm"]);
    assert_eq!(action.to_string(), text);
    // What a service is told or asked may have the word in it.
    assert!(matches!("call hello Ada and Bob".parse(), Ok(Action::Call { .. })));
    assert!("kill caller and dance".parse::<Action>().is_err());
}

#[test]
fn a_step_may_wait_for_its_defect_but_does_not_repeat_it() {
    use super::Action;
    assert!(matches!("after 2s kill counter".parse(), Ok(Action::Defect(_))));
    let refused = "every 2s kill counter".parse::<Action>().expect_err("a step happens once");
    assert!(refused.contains("leave `every` out"), "{refused}");
}

#[test]
fn each_kind_of_mistake_says_what_would_be_right() {
    let alias = "[aliases.counter]\nkind = \"counter\"\n";
    for (text, says) in [
        (String::new(), "the cluster has no name"),
        ("name = \"c\"".into(), "the cluster has no alias"),
        ("name = \"c\"\n[aliases.counter".into(), "this is no TOML"),
        (format!("name = \"C\"\n{alias}"), "write it in small letters: \"c\""),
        (format!("name = \"c d\"\n{alias}"), "such as \"c-d\""),
        (format!("name = \"{}\"\n{alias}", "c".repeat(65)), "at most 64 bytes"),
        ("name = \"c\"\n[aliases.ftm]\nkind = \"counter\"".into(), "have a meaning of their own"),
        ("name = \"c\"\n[aliases.counter]".into(), "neither a kind nor a command"),
        ("name = \"c\"\n[aliases.counter]\nkind = \"ledgre\"".into(), "did you mean \"ledger\"?"),
        (format!("name = \"c\"\n{alias}command = [\"x\"]"), "has a kind and a command"),
        ("name = \"c\"\n[aliases.x]\ncommand = []".into(), "`command` is empty"),
        (format!("name = \"c\"\n{alias}members = \"2\""), "it must be a whole number, without quotes"),
        (format!("name = \"c\"\n{alias}active = \"counter-7\""), "has no member \"counter-7\""),
        (format!("name = \"c\"\n{alias}ids = \"prot\""), "did you mean \"port\"?"),
        (format!("name = \"c\"\n{alias}on_takeover = \"rollback\""), "did you mean \"roll-back\"?"),
        (format!("name = \"c\"\n{alias}stable_area = \"etcd\""), "comes later: only redb on one machine"),
        (
            format!("name = \"c\"\n{alias}[settings]\nstable_area = \"etcd\""),
            "comes later: only redb on one machine",
        ),
        (
            format!("name = \"c\"\n{alias}[settings]\nheartbeat = \"1s\"\nsuspect_after = \"1s\""),
            "at least 2s",
        ),
        (format!("name = \"c\"\n{alias}[settings]\nheartbeat = \"fast\""), "is no duration"),
        (
            format!("name = \"c\"\n{alias}[[process]]\nname = \"p\"\naliases = [\"conter\"]"),
            "there is no alias \"conter\"",
        ),
        (format!("name = \"c\"\n{alias}[[process]]\naliases = [\"counter\"]"), "this process has no name"),
        (
            format!("name = \"c\"\n{alias}[[process]]\nname = \"counter\"\naliases = [\"counter\"]"),
            "would be unclear",
        ),
        (format!("name = \"c\"\n{alias}[[tour]]\nsay = \"x\"\ndo = \"kil counter\""), "did you mean `kill`?"),
        (
            format!("name = \"c\"\n{alias}[[tour]]\nsay = \"x\"\ndo = \"kill contre\""),
            "did you mean \"counter\"?",
        ),
        (
            format!("name = \"c\"\n{alias}[[tour]]\nsay = \"x\"\ndo = \"cut counter counter\""),
            "a link has two ends",
        ),
        (
            format!("name = \"c\"\n{alias}[[tour]]\nsay = \"x\"\nexpect = [\"lots = 0\"]"),
            "did you mean `lost`?",
        ),
        (format!("name = \"c\"\n{alias}[[tour]]\nwatch = \"x\""), "this step says nothing"),
    ] {
        let answer = mistakes(&text);
        assert!(answer.contains(says), "{text}\n----\n{answer}");
    }
}

#[test]
fn a_missing_file_is_answered_with_the_demos_there_are() {
    let answer = ClusterFile::load("no/such/file.toml").expect_err("there is no such file").to_string();
    assert!(answer.contains("no/such/file.toml") && answer.contains("counter"), "{answer}");
}

/// A process named `authority` was given the file of the authority's own certificate, and its key.
#[test]
fn no_process_gets_a_file_of_the_state_folder_that_is_anothers() {
    for name in ["ftm", "keeper", "operator", "authority"] {
        let text = format!(
            "name = \"c\"\n[aliases.counter]\nkind = \"counter\"\n[[process]]\nname = \"{name}\"\naliases = [\"counter\"]"
        );
        let answer = mistakes(&text);
        assert!(answer.contains(&format!("a process can't be named \"{name}\"")), "{answer}");
        assert!(answer.contains("ftm, keeper, operator, authority have a meaning of their own"), "{answer}");
    }
}

#[test]
fn a_demo_is_found_by_its_name_and_by_its_path() {
    assert_eq!(Demo::find("counter"), Demo::find("demos/counter.toml"));
    assert!(Demo::find("counter").is_some() && Demo::find("nothing").is_none());
}

#[test]
fn tours_are_read_and_print_as_they_were_written() {
    let file = good(
        "name = \"c\"
[aliases.counter]
kind = \"counter\"
[[tour]]
say = \"Now it dies.\"
do = \"kill counter\"
watch = \"the table\"
expect = [\"in service counter = counter-2\", \"lost = 0\", \"in doubt counter = 0\", \"acked grows\", \"takeovers counter >= 1\"]
[[tour]]
say = \"More.\"
do = \"tell counter rate 100\"
expect = \"doubled = 0\"
",
    );
    let step = &file.tour[0];
    assert_eq!(step.action.as_ref().map(ToString::to_string).as_deref(), Some("kill counter"));
    let expect: Vec<String> = step.expect.iter().map(ToString::to_string).collect();
    assert_eq!(
        expect,
        [
            "in service counter = counter-2",
            "lost = 0",
            "in doubt counter = 0",
            "acked grows",
            "takeovers counter >= 1"
        ]
    );
    assert_eq!(file.tour[1].expect.len(), 1);
}

#[test]
fn actions_and_expectations_read_back_what_they_print() {
    for text in [
        "heal",
        "wait 2s",
        "resume a-1",
        "restart a-1",
        "add backup a",
        "tell a rate 3",
        "call a inc k 1",
        "hang a 3s",
    ] {
        assert_eq!(text.parse::<Action>().map(|action| action.to_string()), Ok(text.to_owned()));
    }
    for text in ["resume", "tell a", "add a", "call a"] {
        assert!(text.parse::<Action>().is_err(), "{text}");
    }
    for text in ["rolled back relay >= 1", "transactions = 0", "undone counter grows", "substituted = 2"] {
        assert_eq!(text.parse::<Expectation>().map(|expected| expected.to_string()), Ok(text.to_owned()));
    }
    for text in ["lost", "lost =", "lost = x", "lost counter > 1 2", "in service counter"] {
        assert!(text.parse::<Expectation>().is_err(), "{text}");
    }
}

struct Now(u64);

impl Facts for Now {
    fn in_service(&self, alias: &str) -> Option<String> {
        (alias == "a").then(|| "a-1".to_owned())
    }
    fn measure(&self, measure: Measure, _: Option<&str>, _: u64) -> Option<u64> {
        Some(if measure == Measure::Acked { self.0 } else { 0 })
    }
}

#[test]
fn expectations_are_checked_against_what_is_seen() {
    let holds = |text: &str, now: u64| {
        let expectation: Expectation = text.parse().expect(text);
        expectation.holds(&Now(now), expectation.before(&Now(5)), 0)
    };
    assert!(
        holds("in service a = a-1", 0) && !holds("in service a = a-2", 0) && !holds("in service b = a-1", 0)
    );
    assert!(holds("acked grows", 6) && !holds("acked grows", 5));
    assert!(holds("acked >= 3", 3) && !holds("acked < 3", 3) && holds("lost = 0", 9));
}

#[test]
fn a_step_may_arm_a_defect_point_of_an_alias_and_of_nothing_else() {
    let file = |action: &str| {
        let text = format!(
            "name = \"a\"\n[aliases.relay]\nkind = \"relay\"\nmembers = 2\noptions = {{ to = \"counter\" }}\n\
             [aliases.counter]\nkind = \"counter\"\n[[tour]]\nsay = \"Now.\"\ndo = \"{action}\"\n"
        );
        ClusterFile::parse("a.toml", &text).map_err(|error| error.to_string())
    };
    let read = file("kill relay@after-journal").expect("an alias has points");
    assert_eq!(read.tour[0].action.as_ref().map(Action::armed), Some(vec!["relay"]));
    assert!(file("pause relay@after-journal and kill counter").is_ok());
    let refused = file("kill relay-1@after-journal").expect_err("a process has none");
    assert!(refused.contains("relay-1"), "{refused}");
    assert!(file("kill relay@after-jurnal").expect_err("no such point").contains("`after-journal`"));
}
