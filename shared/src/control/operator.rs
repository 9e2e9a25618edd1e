//! Between the FTM and operators: the console and the commands.

use serde::{Deserialize, Serialize};

use super::{AliasRow, Answer, Event, Query};

/// From an operator to the FTM. Each request is answered under its number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToFtmFromOperator {
    /// The number of the request, chosen by the operator.
    pub number: u64,
    /// The request.
    pub request: OperatorRequest,
}

/// From the FTM to an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromFtmToOperator {
    /// The answer to a request, or why there is none.
    Answer {
        /// The number of the request.
        number: u64,
        /// The answer.
        answer: Result<OperatorAnswer, Refused>,
    },
    /// Events, after [`OperatorRequest::Subscribe`].
    Events {
        /// In the order of their numbers. A gap in the numbers means that the operator was too slow.
        events: Vec<Event>,
    },
}

/// Why an operator's request is not granted; the words say what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    /// It is wrong, and will be the next time.
    Mistake(String),
    /// It can't be granted at this moment, during a takeover for example; a while later it may be.
    NotNow(String),
}

impl From<String> for Refused {
    /// What is not known to pass by itself is a mistake.
    fn from(words: String) -> Self {
        Self::Mistake(words)
    }
}

/// What an operator may ask. Processes are named as the operator knows them: `counter-1`, or by an alias, which
/// means its member in service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorRequest {
    /// Send the events from this number on, and then each as it happens.
    Subscribe {
        /// The first number wanted; older ones that are not kept any more are left out.
        from_seq: u64,
    },
    /// The kept events from this number on, once.
    Events {
        /// The first number wanted.
        from_seq: u64,
        /// How many at most, the newest.
        limit: usize,
    },
    /// The port alias table.
    Aliases,
    /// All processes.
    Processes,
    /// SIGKILL a process.
    Kill {
        /// Which.
        process: String,
    },
    /// SIGSTOP a process.
    Hang {
        /// Which.
        process: String,
        /// SIGCONT it after so long; never, if none.
        for_ms: Option<u64>,
    },
    /// SIGCONT a process, whether it hangs or waits at a defect point.
    Resume {
        /// Which.
        process: String,
    },
    /// Arm a defect point: whoever passes it first for the so manieth time dies there, or stops and waits. Armed
    /// points are forgotten if the FTM dies.
    Arm {
        /// The alias.
        target: String,
        /// The name of the point (see [`Point`](crate::defect::Point)).
        point: String,
        /// At which time of passing it from now on, from 1; each process counts for itself.
        nth: u32,
        /// Whether to stop and wait there, instead of dying.
        pause: bool,
    },
    /// Make a fault of a link or of a disk, which lasts until its span is over or it is taken back. A restarted FTM
    /// goes on with it.
    Fault {
        /// What, in the language of defects, such as `cut counter-1 ftm` or `disk counter full for 2s`.
        spec: String,
    },
    /// The faults of links and disks that last.
    Faults,
    /// Take a defect back by its id in the ledger: a point is disarmed, a process that hangs or waits goes on, a link or
    /// a disk is whole again.
    Disarm {
        /// Its id, such as `P1`.
        id: String,
    },
    /// The defect points that are armed.
    Armed,
    /// Let a process go on that waits at a defect point.
    StepOn {
        /// Which.
        process: String,
    },
    /// Let a process end in good order; its backup takes over.
    Exit {
        /// Which.
        process: String,
    },
    /// Let a process end in good order and start it again, also if it is not being respawned.
    Restart {
        /// Which.
        process: String,
    },
    /// Add a member to an alias.
    AddBackup {
        /// The alias.
        alias: String,
    },
    /// Ask the process in service of an alias.
    Query {
        /// The alias.
        alias: String,
        /// The question.
        query: Query,
    },
    /// Ask a process by its name; an alias stands for its member in service.
    QueryProcess {
        /// The process.
        process: String,
        /// The question.
        query: Query,
    },
    /// Give me a port of my own to call from (`palib call`).
    OpenPort,
    /// Stop the cluster: all processes end, then the FTM.
    Down,
}

/// What the FTM answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperatorAnswer {
    /// Done; a sentence that says what.
    Done(String),
    /// To [`OperatorRequest::Events`].
    Events(Vec<Event>),
    /// To [`OperatorRequest::Aliases`].
    Aliases(Vec<AliasRow>),
    /// To [`OperatorRequest::Processes`].
    Processes(Vec<ProcessRow>),
    /// To [`OperatorRequest::Armed`] and [`OperatorRequest::Faults`], oldest first.
    Armed(Vec<ArmedRow>),
    /// To [`OperatorRequest::Query`] and [`OperatorRequest::QueryProcess`].
    Query(Answer),
    /// To [`OperatorRequest::OpenPort`]: the alias of operators, the port, and the incarnation.
    Port {
        /// The number of the alias `operator`.
        alias_id: u32,
        /// A port that was never given before.
        port: u32,
        /// The incarnation of the alias, risen for this port.
        incarnation: u64,
    },
}

/// A defect point that is armed, or a fault that lasts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArmedRow {
    /// Its id in the ledger, such as `P1`.
    pub id: String,
    /// What, in the language of defects.
    pub spec: String,
}

/// A process as operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessRow {
    /// Its name.
    pub process: String,
    /// The number of this run.
    pub process_id: u32,
    /// Its process id, once it was started.
    pub pid: Option<u32>,
    /// `starting`, `up`, `hung`, `stopped` (by an injected hang), `paused` (at a defect point), `dead`, `down` (told to end,
    /// and not started again unless it is asked for).
    pub state: String,
    /// Since when, in milliseconds of Unix time.
    pub since_unix_ms: u64,
    /// Why it is in this state.
    pub why: String,
    /// How often it was started.
    pub starts: u32,
    /// The aliases it has in service.
    pub in_service: Vec<String>,
    /// The aliases it is a backup of.
    pub backup: Vec<String>,
    /// Resident memory in bytes, as last heard.
    pub rss_bytes: u64,
    /// Processor time in milliseconds, as last heard.
    pub cpu_ms: u64,
    /// How long ago it was last heard, in milliseconds; none if never.
    pub heard_ms_ago: Option<u64>,
}
