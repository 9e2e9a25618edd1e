//! Between the FTM and the processes.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{
    AreaSummary, BrowseRow, Event, InDoubtDecision, NodeStats, Page, Policy, Relays, TableChange, TableRow,
    TakeoverTiming,
};
use crate::defect::Faults;

/// From a process to the FTM.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToFtm {
    /// The first message on a connection.
    Join {
        /// The number of this run of the process, from its ticket.
        process_id: u32,
        /// Its operating system's process id.
        pid: u32,
        /// Where it takes calls.
        address: SocketAddr,
        /// What it has in service already, as `(alias, incarnation)`: so a restarted FTM learns it.
        in_service: Vec<(u32, u64)>,
    },
    /// The process lives: this passed through its core loop and through the writers of its stable areas.
    Heartbeat {
        /// Counts up.
        seq: u64,
        /// What it measured.
        stats: NodeStats,
    },
    /// Who is in service? Answered by [`FromFtm::Table`].
    Inquire {
        /// The number of the alias.
        alias: u32,
    },
    /// Recovery is done; the mark of service may move here (R10).
    Promoted {
        /// Which alias.
        alias: u32,
        /// In which incarnation.
        incarnation: u64,
        /// How long the parts took (`open_us` and `recover_us` are filled).
        timing: TakeoverTiming,
    },
    /// The promotion failed, for example because the stable area is damaged.
    PromotionFailed {
        /// Which alias.
        alias: u32,
        /// In which incarnation.
        incarnation: u64,
        /// Why, and what to do.
        reason: String,
    },
    /// Events, in order. Their `seq` counts per process.
    Events {
        /// The events.
        events: Vec<Event>,
    },
    /// The answer to [`FromFtm::Query`].
    Answer {
        /// The number of the query.
        query: u64,
        /// The answer, or what went wrong.
        answer: Result<Answer, String>,
    },
    /// The process ends by itself, and why.
    Leaving {
        /// The reason.
        reason: String,
    },
}

/// From the FTM to a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromFtm {
    /// Rows of the port alias table: all at joining, then each change as it happens.
    Table(TableChange),
    /// Take over this alias: open its stable area, recover, say [`ToFtm::Promoted`].
    Promote {
        /// Which alias.
        alias: u32,
        /// In which incarnation.
        incarnation: u64,
        /// The transId before the first one that calls of this alias may have from now on.
        trans_base: u64,
    },
    /// A question.
    Query {
        /// Its number.
        query: u64,
        /// The question.
        body: Query,
    },
    /// Arm a defect point. Said again over each new link, and then means the same.
    Arm {
        /// Its id in the ledger.
        id: String,
        /// The number of the alias whose points are meant.
        alias: u32,
        /// The name of the point (see [`Point`](crate::defect::Point)).
        point: String,
        /// At which time of passing it from now on, from 1.
        nth: u32,
        /// Whether to stop and wait there, instead of dying.
        pause: bool,
    },
    /// Disarm a defect point. Nothing happens if it has fired or was never armed.
    Disarm {
        /// Its id in the ledger.
        id: String,
    },
    /// The faults of links and disks that the process enforces from now on; those not named are healed. Said at joining,
    /// and whenever they change.
    Faults(Faults),
    /// End yourself in good order.
    Exit {
        /// Why.
        reason: String,
    },
}

/// What may be asked of a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Query {
    /// Rows of the redundancy table of an alias; those in doubt first.
    Table {
        /// The alias's name.
        alias: String,
        /// Only rows whose id contains this text.
        filter: String,
        /// Where to go on.
        after: Option<String>,
        /// How many rows at most.
        limit: usize,
    },
    /// A stable area at a glance.
    Area {
        /// The alias's name.
        alias: String,
    },
    /// Rows of a table of a stable area.
    Browse {
        /// The alias's name.
        alias: String,
        /// The table's name.
        table: String,
        /// Where to go on.
        after: Option<String>,
        /// How many rows at most.
        limit: usize,
    },
    /// The open transactions of a relay.
    Relays {
        /// The alias that serves them.
        alias: String,
        /// Only those whose id, or the id of a call made on their behalf, contains this text.
        filter: String,
        /// How many at most.
        limit: usize,
    },
    /// Change what a takeover does with one transaction.
    SetPolicy {
        /// The alias that serves it.
        alias: String,
        /// The call that is served.
        call: String,
        /// The policy from now on, also of later runs.
        policy: Policy,
    },
    /// Decide about a call in doubt, or about a transaction of a relay.
    Resolve {
        /// The alias that was called.
        alias: String,
        /// The call, as `alias/origin/transId`.
        call: String,
        /// The decision.
        decision: InDoubtDecision,
    },
    /// A command for the service itself (`Service::command`), for example a caller's load.
    Service {
        /// The alias's name.
        alias: String,
        /// The command, in words of the service's own.
        command: String,
    },
}

/// What a process answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Query::Table`].
    Table(Page<TableRow>),
    /// To [`Query::Area`].
    Area(AreaSummary),
    /// To [`Query::Browse`].
    Browse(Page<BrowseRow>),
    /// To [`Query::Relays`].
    Relays(Relays),
    /// To [`Query::Resolve`] and [`Query::SetPolicy`].
    Resolved,
    /// To [`Query::Service`].
    Service(String),
}
