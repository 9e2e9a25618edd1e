//! A cluster that most tests of takeovers need: one counter, one backup, nobody who calls.

use std::path::PathBuf;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Site, eventually};

/// A running counter with a backup, and nobody who calls it.
pub struct Counter {
    pub site: Site,
}

const FILE: &str = r#"
name = "pair"
[aliases.counter]
kind = "counter"
members = 2
active = "counter-1"
"#;

impl Counter {
    pub fn up(environment: &[(&str, &str)]) -> Self {
        let site = Site::new();
        let mut command = site.command(&[]);
        command.envs(environment.iter().copied());
        Self::up_by(site, command)
    }

    /// Started by a command of the program that has no arguments yet.
    pub fn up_by(site: Site, mut command: Command) -> Self {
        let file = site.file("pair.toml", FILE);
        let started = command.args(["up", &file, "--detach", "--json"]).output().expect("palib can be run");
        assert!(started.status.success(), "{started:?}");
        let counter = Self { site };
        counter.until("counter-1 is in service with a backup", |rows| {
            state_of(rows, "counter-1") == "in_service" && state_of(rows, "counter-2") == "backup"
        });
        counter
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut arguments = arguments.to_vec();
        arguments.push("--json");
        self.site.palib(&arguments).ok().json()
    }

    pub fn until(&self, what: &str, is: impl Fn(&Value) -> bool) {
        eventually(what, || {
            let ran = self.site.palib(&["aliases", "counter", "--json"]);
            if ran.code == Some(0) && is(&ran.json()) { Ok(()) } else { Err(format!("{ran:?}")) }
        });
    }

    /// The events of a kind, oldest first.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let all = self.json(&["events", "--limit", "100000"]);
        all.as_array().into_iter().flatten().filter(|event| event["kind"] == kind).cloned().collect()
    }

    pub fn folder(&self, name: &str) -> PathBuf {
        self.site.state().join("pair").join(name)
    }

    pub fn pid_in(&self, file: &str) -> Pid {
        let text = std::fs::read_to_string(self.folder(file)).expect("the file is there");
        pid(text.split_whitespace().next().and_then(|pid| pid.parse().ok()).expect("it begins with a pid"))
    }

    pub fn pid_of(&self, process: &str) -> Pid {
        let rows = self.json(&["ps"]);
        let row = rows.as_array().into_iter().flatten().find(|row| row["process"] == process);
        pid(row.and_then(|row| row["pid"].as_u64()).and_then(|pid| i32::try_from(pid).ok()).expect("it runs"))
    }

    pub fn down(&self) {
        self.site.palib(&["down", "pair"]).ok();
        self.site.assert_nobody_is_left();
    }
}

fn pid(number: i32) -> Pid {
    Pid::from_raw(number).expect("a process id")
}

pub fn signal(pid: Pid, signal: Signal) {
    kill_process(pid, signal).expect("it lives");
}

pub fn state_of<'a>(rows: &'a Value, process: &str) -> &'a str {
    let row = rows.as_array().into_iter().flatten().find(|row| row["process"] == process);
    row.and_then(|row| row["state"].as_str()).unwrap_or_default()
}
