//! Guided tours: what is done, what to watch, what is expected.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Expectation;
use crate::defect::Defect;
use crate::units::{self, parse_duration};

/// One step of a tour.
#[derive(Clone, Debug, PartialEq)]
pub struct TourStep {
    /// What the operator is told.
    pub say: String,
    /// What happens.
    pub action: Option<Action>,
    /// What to look at.
    pub watch: String,
    /// What must be true at the end of the step.
    pub expect: Vec<Expectation>,
}

/// What a step of a tour does: a defect, or one of the operator's other actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A defect, such as `kill counter`.
    Defect(Defect),
    /// `resume PROC`: let a hung process go on.
    Resume(String),
    /// `restart PROC`: let it end in good order and start it again.
    Restart(String),
    /// `add backup ALIAS`.
    AddBackup(String),
    /// `heal`: take back everything that can be, and start again who was told to end.
    Heal,
    /// `tell ALIAS COMMAND…`: a command for the service in service.
    Tell {
        /// The alias.
        alias: String,
        /// The command, in words of the service's own.
        command: String,
    },
    /// `call ALIAS PAYLOAD…`: one exactly-once call of the operator's own.
    Call {
        /// The alias.
        alias: String,
        /// The payload.
        payload: String,
    },
    /// `wait 2s`.
    Wait(Duration),
    /// `kill caller and kill relay`: each as soon as the one before it is done.
    Together(Vec<Action>),
}

impl Action {
    /// The processes and aliases it names.
    #[must_use]
    pub fn targets(&self) -> Vec<&str> {
        match self {
            Self::Defect(defect) => defect.targets().iter().map(|target| target.0.as_str()).collect(),
            Self::Resume(name) | Self::Restart(name) | Self::AddBackup(name) => vec![name],
            Self::Tell { alias, .. } | Self::Call { alias, .. } => vec![alias],
            Self::Heal | Self::Wait(_) => Vec::new(),
            Self::Together(actions) => actions.iter().flat_map(Self::targets).collect(),
        }
    }
}

impl Action {
    /// The aliases whose defect points or disks it breaks.
    #[must_use]
    pub fn armed(&self) -> Vec<&str> {
        match self {
            Self::Defect(defect) => defect.injury.alias().into_iter().collect(),
            Self::Together(actions) => actions.iter().flat_map(Self::armed).collect(),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Defect(defect) => defect.fmt(out),
            Self::Resume(process) => write!(out, "resume {process}"),
            Self::Restart(process) => write!(out, "restart {process}"),
            Self::AddBackup(alias) => write!(out, "add backup {alias}"),
            Self::Heal => out.write_str("heal"),
            Self::Tell { alias, command } => write!(out, "tell {alias} {command}"),
            Self::Call { alias, payload } => write!(out, "call {alias} {payload}"),
            Self::Wait(span) => write!(out, "wait {}", units::duration(*span)),
            Self::Together(actions) => {
                let words: Vec<String> = actions.iter().map(ToString::to_string).collect();
                out.write_str(&words.join(" and "))
            }
        }
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        // What a service is told or asked may well have an "and" in it.
        if words.contains(&"and") && !matches!(words[0], "tell" | "call") {
            // Word by word: a text that is cut at the letters " and " may have none of them, and be cut without end.
            let parts = words.split(|word| *word == "and").map(|part| part.join(" ").parse());
            return parts.collect::<Result<_, _>>().map(Self::Together);
        }
        match words[..] {
            ["resume", process] => Ok(Self::Resume(process.to_owned())),
            ["restart", process] => Ok(Self::Restart(process.to_owned())),
            ["add", "backup", alias] => Ok(Self::AddBackup(alias.to_owned())),
            ["heal"] => Ok(Self::Heal),
            ["wait", span] => Ok(Self::Wait(parse_duration(span)?)),
            ["tell", alias, _, ..] => {
                Ok(Self::Tell { alias: alias.to_owned(), command: words[2..].join(" ") })
            }
            ["call", alias, _, ..] => {
                Ok(Self::Call { alias: alias.to_owned(), payload: words[2..].join(" ") })
            }
            ["tell" | "call", ..] => {
                Err(format!("`{text}` is not whole; write it as: {} ALIAS WORDS…", words[0]))
            }
            ["resume" | "restart", ..] => {
                Err(format!("`{text}` needs one process; write it as: {} PROC", words[0]))
            }
            ["add", ..] => Err("write it as: add backup ALIAS".to_owned()),
            _ => {
                let defect: Defect = text.parse().map_err(|wrong: String| {
                    format!("{wrong} (other actions: resume, restart, add backup, heal, tell, call, wait)")
                })?;
                defect.check_possible()?;
                if defect.when.every.is_some() {
                    return Err(format!("a step happens once; leave `every` out of `{text}`"));
                }
                Ok(Self::Defect(defect))
            }
        }
    }
}
