//! Cluster files: what an operator writes to say which processes a cluster has.
//!
//! ```toml
//! name = "counter"
//! title = "A call survives kill -9"
//!
//! [settings]
//! heartbeat = "100ms"
//! suspect_after = "600ms"
//!
//! [aliases.counter]
//! kind = "counter"                    # or command = ["./my-service"]
//! members = 2                         # processes counter-1 and counter-2
//!
//! [aliases.caller]
//! kind = "caller"
//! members = 2
//! options = { target = "counter" }
//! ```

mod demos;
mod expect;
mod fields;
mod parse;
mod processes;
#[cfg(test)]
mod tests;
mod tour;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use palib::control::Policy;

pub use demos::{DEMOS, Demo};
pub use expect::{Comparison, Expectation, Facts, Measure};
/// The stock services that a cluster file may name.
pub use palib_node::KINDS;
pub use tour::{Action, TourStep};

/// A cluster file, read and found in order.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusterFile {
    /// The cluster's name.
    pub name: String,
    /// What it shows, in one line.
    pub title: String,
    /// Times and habits of the FTM.
    pub settings: Settings,
    /// The aliases, in the order of the file.
    pub aliases: Vec<AliasSpec>,
    /// All processes, those that follow from `members` too.
    pub processes: Vec<ProcessSpec>,
    /// The guided tour.
    pub tour: Vec<TourStep>,
    /// The file as it was written.
    pub text: String,
}

/// Times and habits of the FTM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often a process says that it lives.
    pub heartbeat: Duration,
    /// After how long without a heartbeat a process is held to be hung.
    pub suspect_after: Duration,
    /// Whether a dead process is started again, as a backup.
    pub respawn: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(100),
            suspect_after: Duration::from_millis(600),
            respawn: true,
        }
    }
}

/// An alias, as the file describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct AliasSpec {
    /// Its name.
    pub name: String,
    /// The stock service that its members run; none for a command of the user's own.
    pub kind: Option<String>,
    /// The user's own command that its members run.
    pub command: Option<Vec<String>>,
    /// The process that is to be in service first; none: whichever joins first.
    pub active: Option<String>,
    /// True if ids of calls made by this alias are `{srcAlias, srcPort, transId}`, false for the incarnation form.
    pub id_by_port: bool,
    /// Within what transIds are unique.
    pub trans_scope: TransScope,
    /// Whether calls made by this alias are kept in its outbox.
    pub outbox: bool,
    /// What a takeover does with relay transactions that it finds half done.
    pub on_takeover: Policy,
    /// Settings of the service.
    pub options: BTreeMap<String, serde_json::Value>,
}

impl AliasSpec {
    /// What its members run, in words: the kind, or the command.
    #[must_use]
    pub fn runs(&self) -> String {
        match (&self.kind, &self.command) {
            (Some(kind), _) => kind.clone(),
            (None, Some(command)) => command.join(" "),
            (None, None) => "command".to_owned(),
        }
    }
}

/// Within what transIds are unique (R12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransScope {
    /// The site.
    Site,
    /// The alias.
    #[default]
    Alias,
    /// The process.
    Process,
}

impl TransScope {
    /// As cluster files and tickets write it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Alias => "alias",
            Self::Process => "process",
        }
    }
}

/// A process of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSpec {
    /// Its name.
    pub name: String,
    /// The aliases it is a member of.
    pub aliases: Vec<String>,
    /// The user's own command; none: a stock node.
    pub command: Option<Vec<String>>,
}

impl ClusterFile {
    /// Reads the text of a cluster file. The path is for messages only.
    ///
    /// # Errors
    /// All mistakes that were found, each with its place and what would be right.
    pub fn parse(path: impl AsRef<Path>, text: &str) -> Result<Self, ClusterFileError> {
        parse::parse(path.as_ref(), text)
    }

    /// Reads a cluster file, or the demo of that name if there is no such file.
    ///
    /// # Errors
    /// If there is neither, or there are mistakes in it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ClusterFileError> {
        let path = path.as_ref();
        let reason = match std::fs::read_to_string(path) {
            Ok(text) => return Self::parse(path, &text),
            Err(reason) => reason,
        };
        let name = path.to_string_lossy();
        if reason.kind() == std::io::ErrorKind::NotFound
            && let Some(demo) = Demo::find(&name)
        {
            return Self::parse(format!("demos/{}.toml", demo.name), demo.text);
        }
        let known: Vec<&str> = DEMOS.iter().map(|demo| demo.name).collect();
        Err(ClusterFileError {
            path: path.to_owned(),
            mistakes: vec![Mistake {
                line: 0,
                column: 0,
                what: format!("can't read this cluster file: {reason}"),
                hint: format!("give the path of a cluster file, or the name of a demo: {}", known.join(", ")),
                source: String::new(),
            }],
        })
    }

    /// An alias by its name.
    #[must_use]
    pub fn alias(&self, name: &str) -> Option<&AliasSpec> {
        self.aliases.iter().find(|alias| alias.name == name)
    }

    /// The names of the processes in an alias, the one to be in service first at the front.
    #[must_use]
    pub fn members(&self, alias: &str) -> Vec<&str> {
        let mut members: Vec<&str> = self
            .processes
            .iter()
            .filter(|process| process.aliases.iter().any(|name| name == alias))
            .map(|process| process.name.as_str())
            .collect();
        if let Some(active) = self.alias(alias).and_then(|alias| alias.active.as_deref()) {
            members.sort_by_key(|name| *name != active);
        }
        members
    }

    /// The names of the aliases whose members run this stock service.
    #[must_use]
    pub fn aliases_of_kind(&self, kind: &str) -> Vec<&str> {
        self.aliases
            .iter()
            .filter(|alias| alias.kind.as_deref() == Some(kind))
            .map(|alias| alias.name.as_str())
            .collect()
    }
}

/// What is wrong with a cluster file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterFileError {
    /// The file.
    pub path: PathBuf,
    /// The mistakes, from top to bottom; never empty.
    pub mistakes: Vec<Mistake>,
}

/// One mistake in a cluster file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong.
    pub what: String,
    /// What would be right.
    pub hint: String,
    /// The line's text.
    pub source: String,
}

impl std::error::Error for ClusterFileError {}

impl fmt::Display for ClusterFileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, mistake) in self.mistakes.iter().enumerate() {
            if at > 0 {
                writeln!(out)?;
            }
            let path = self.path.display();
            if mistake.line == 0 {
                write!(out, "{path}: {}", mistake.what)?;
            } else {
                let (line, column) = (mistake.line, mistake.column);
                write!(out, "{path}:{line}:{column}: {}", mistake.what)?;
                let number = line.to_string();
                let margin = " ".repeat(number.len());
                let indent = " ".repeat(column.saturating_sub(1));
                write!(out, "\n  {number} | {}\n  {margin} | {indent}^", mistake.source)?;
            }
            write!(out, "\n  {}", mistake.hint)?;
        }
        Ok(())
    }
}
