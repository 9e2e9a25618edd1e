//! What the tests of the binary share: a state folder of their own, and a way to see that nobody is left.

#![allow(dead_code, unreachable_pub)]

pub mod pair;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A place to run `palib` in. Dropping it stops what is still running there.
pub struct Site {
    folder: TempDir,
}

/// What a command printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Site {
    pub fn new() -> Self {
        Self { folder: tempfile::Builder::new().prefix("palib-test-").tempdir().expect("a temporary folder") }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A command of this site, not run yet.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_palib")), arguments)
    }

    /// The same of another file of the program.
    pub fn command_of(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("PALIB_STATE", self.state()).env("TMPDIR", self.folder.path());
        command.current_dir(self.folder.path());
        command
    }

    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub fn palib(&self, arguments: &[&str]) -> Ran {
        self.command(arguments).output().expect("palib can be run").into()
    }

    /// Writes a file into the site and gives its name.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).expect("a writable folder");
        path.to_string_lossy().into_owned()
    }

    /// Processes that have this site in their command line or environment.
    pub fn processes(&self) -> Vec<String> {
        let needle = self.folder.path().to_string_lossy().into_owned();
        let own = std::process::id().to_string();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").filter_map(Result::ok) {
            let pid = entry.file_name().to_string_lossy().into_owned();
            if pid == own || !pid.bytes().all(|b| b.is_ascii_digit()) {
                continue;
            }
            let text = |name: &str| {
                let bytes = std::fs::read(entry.path().join(name)).unwrap_or_default();
                String::from_utf8_lossy(&bytes).replace('\0', " ")
            };
            if text("cmdline").contains(&needle) || text("environ").contains(&needle) {
                found.push(format!("{pid} {}", text("cmdline")));
            }
        }
        found
    }

    /// Waits until no process of this site is left.
    pub fn assert_nobody_is_left(&self) {
        eventually("nobody is left", || {
            self.processes().is_empty().then_some(()).ok_or_else(|| self.processes().join("; "))
        });
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.command(&["down", "--all"]).output();
    }
}

impl Site {
    /// The summary of a run that must be clean. Its events are in `out` then.
    pub fn clean_run(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["run"];
        all.extend(arguments);
        all.extend(["--out", "out", "--json"]);
        let summary = self.palib(&all).ok().json();
        assert_eq!(summary["verdict"], "clean", "{summary}");
        assert_eq!((&summary["lost"], &summary["doubled"]), (&0.into(), &0.into()), "{summary}");
        summary
    }

    /// The events of a kind that the last run has left, oldest first.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path().join("out/events.jsonl")).expect("events");
        let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
        events.filter(|event| event["kind"] == kind).collect()
    }

    /// In the last run no alias ever had two members with the mark of service.
    pub fn assert_never_two_in_service(&self) {
        let tables = self.events("alias");
        assert!(!tables.is_empty());
        for event in tables {
            let members = event["row"]["members"].as_array().expect("members");
            let marked = members.iter().filter(|member| member["in_service"] == true).count();
            assert!(marked <= 1, "{event}");
        }
    }
}

/// Waits until a condition holds; the error says what is there instead.
pub fn eventually<T>(what: &str, mut is: impl FnMut() -> Result<T, String>) -> T {
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        match is() {
            Ok(value) => return value,
            Err(instead) => assert!(Instant::now() < until, "waited in vain until {what}: {instead}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}
