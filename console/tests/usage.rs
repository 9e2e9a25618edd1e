//! What commands say and how they end when something is not as it should be. No cluster is started here.

mod support;

use std::process::Stdio;

use support::{Ran, Site, eventually};

#[test]
fn a_mistake_in_a_cluster_file_ends_with_2_and_says_where() {
    let site = Site::new();
    let file = site.file("bad.toml", "name = \"bad\"\n[aliases.counter]\nkidn = \"counter\"\nmembers = 0\n");
    for command in [&["up", &file, "--detach"][..], &["run", &file], &["demo", &file]] {
        let ran = site.palib(command);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.starts_with(&format!("{file}:2:10: ")), "{ran:?}");
        assert!(
            ran.err.contains(":3:1: unknown key `kidn`") && ran.err.contains("did you mean `kind`?"),
            "{ran:?}"
        );
        assert_eq!(ran.out, "", "errors do not go to standard output");
    }
    site.assert_nobody_is_left();
}

#[test]
fn without_a_cluster_commands_end_with_3_and_say_what_to_do() {
    let site = Site::new();
    for command in [
        &["ps"][..],
        &["aliases"],
        &["relays"],
        &["relays", "orders", "--filter", "i1/7", "--limit", "0", "--json"],
        &["policy", "caller/i1/7", "roll-back"],
        &["resolve", "caller/i1/7", "--roll-back"],
        &["events"],
        &["kill", "counter"],
        &["down"],
        &["--cluster", "x", "ps"],
    ] {
        let ran = site.palib(command);
        assert_eq!(ran.code, Some(3), "{command:?}: {ran:?}");
        assert!(ran.err.contains("palib up") || ran.err.contains("palib ls"), "{command:?}: {ran:?}");
    }
    assert_eq!(site.palib(&["ls", "--json"]).ok().json(), serde_json::json!([]));
    assert_eq!(site.palib(&["down", "--all", "--json"]).ok().json(), serde_json::json!([]));
}

#[test]
fn wrong_usage_ends_with_2() {
    let site = Site::new();
    for (command, says) in [
        (&["no-such-command"][..], "unrecognized subcommand"),
        (&["simulate", "--seeds", "0"], "0 is not in 1.."),
        (&["--read-only", "kill", "counter"], "opens none"),
        (&["down", "a", "--all"], "cannot be used with"),
        (&["--cluster", "a", "down", "--all"], "can't both be meant"),
        (&["down", "--all", "--cluster", "a"], "can't both be meant"),
        (&["attach", "a", "--cluster", "b"], "two clusters are named"),
        (&["run", "counter", "--for", "soon"], "is no duration"),
        (&["run", "counter", "--storm", "0/s"], "is no rate"),
        (&["run", "counter", "--defect", "cut a b"], "nothing is named `a` in counter"),
        (&["run", "counter", "--defect", "cut counter counter"], "a link has two ends"),
        (&["run", "counter", "--defect", "kil counter"], "did you mean `kill`?"),
        (&["run", "counter", "--defect", "kill conter"], "did you mean `counter`?"),
        (&["run", "no-such-file.toml"], "the name of a demo: "),
        (&["resolve", "caller/i1/1"], "--reply"),
        (&["resolve", "caller/i1/1", "--roll-back", "--rerun"], "cannot be used with"),
        (&["policy", "caller/i1/1", "forward"], "possible values: roll-forward, substitute, roll-back"),
        (&["policy", "caller/i1/1"], "<POLICY>"),
        (&["completions", "latin"], "possible values"),
    ] {
        let ran = site.palib(command);
        assert_eq!(ran.code, Some(2), "{command:?}: {ran:?}");
        assert!(ran.err.contains(says), "{command:?}: {ran:?}");
    }
}

#[test]
fn a_file_that_is_no_stable_area_ends_with_2_and_stays_as_it_is() {
    let site = Site::new();
    // As long as a real one, and shorter than its header.
    for (name, bytes) in [("foreign.redb", vec![7; 65_536]), ("truncated.redb", b"redb".to_vec())] {
        let path = site.path().join(name);
        std::fs::write(&path, &bytes).expect("a writable folder");
        let ran = site.palib(&["inspect", name]);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(name) && ran.err.contains("not a readable stable area"), "{ran:?}");
        assert_eq!(std::fs::read(&path).expect("it is still there"), bytes);
    }
    let missing = site.palib(&["inspect", "none.redb"]);
    assert_eq!(missing.code, Some(3), "{missing:?}");
}

#[test]
fn nobody_who_calls_means_nothing_to_verify() {
    let site = Site::new();
    let file = site.file("still.toml", "name = \"still\"\n[aliases.counter]\nkind = \"counter\"\n");
    let ran = site.palib(&["run", &file]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.err.contains("kind = \"caller\""), "{ran:?}");
}

#[test]
fn demos_are_listed_and_completions_and_manual_pages_are_printed() {
    let site = Site::new();
    let demos = site.palib(&["demo", "--json"]).ok().json();
    assert!(
        demos.as_array().is_some_and(|demos| demos.iter().any(|demo| demo["demo"] == "counter")),
        "{demos}"
    );
    assert!(site.palib(&["completions", "bash"]).ok().out.contains("_palib"));
    assert!(site.palib(&["--help"]).ok().out.contains("Exit codes"));
    assert!(site.palib(&["man"]).ok().out.contains(".TH palib 1"));
    site.palib(&["man", "pages"]).ok();
    for page in ["palib.1", "palib-run.1", "palib-relays.1", "palib-policy.1", "palib-man.1"] {
        assert!(site.path().join("pages").join(page).is_file(), "{page} is missing");
    }
    assert!(
        !site.path().join("pages/palib-keep.1").exists(),
        "the parts that palib starts are nobody's to read"
    );
}

#[test]
fn a_history_is_judged() {
    let site = Site::new();
    let line = |id: u32, result: u32, at: u32| {
        format!(
            "{{\"process\":\"c\",\"target\":\"counter\",\"op\":\"inc\",\"key\":\"k\",\"arg\":1,\"result\":{result},\
             \"id\":\"c/i1/{id}\",\"invoke_ns\":{at},\"return_ns\":{},\"status\":\"ok\"}}\n",
            at + 5
        )
    };
    let clean = site.file("clean.jsonl", &(line(1, 1, 10) + &line(2, 2, 20)));
    assert_eq!(site.palib(&["check", &clean, "--json"]).ok().json()["verdict"], "clean");
    let doubled = site.file("doubled.jsonl", &(line(1, 1, 10) + &line(2, 3, 20)));
    let ran = site.palib(&["check", &doubled, "--json"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(ran.json()["verdict"], "violated");
    let empty = site.file("empty.jsonl", "");
    let ran = site.palib(&["check", &empty]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("undecided") && ran.out.contains("nothing was acknowledged"), "{ran:?}");
    let nonsense = site.file("nonsense.jsonl", "not json\n");
    assert_eq!(site.palib(&["check", &nonsense]).code, Some(2));
}

#[test]
fn a_simulation_that_is_interrupted_is_not_clean() {
    let site = Site::new();
    let mut command = site.command(&["simulate", "--seeds", "1000000000", "--jobs", "1", "--json"]);
    let mut simulation =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("palib can be run");
    // Before it listens to signals, one would just end it.
    let status = format!("/proc/{}/status", simulation.id());
    eventually("it listens", || {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default().trim();
        let caught = u64::from_str_radix(caught, 16).unwrap_or(0);
        (caught & 0b10 != 0).then_some(()).ok_or(text)
    });
    let pid = rustix::process::Pid::from_child(&simulation);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal to our own child");
    simulation.wait().expect("it ends");
    let ran = Ran::from(simulation.wait_with_output().expect("it has ended"));
    assert_eq!((ran.code, &ran.json()["interrupted"]), (Some(3), &true.into()), "{ran:?}");
    assert!(ran.err.contains("interrupted"), "{ran:?}");
}
