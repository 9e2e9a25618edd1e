//! The port alias table as it is told to processes and operators (patent, Fig 4).

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// What the FTM knows of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemberState {
    /// Its process was started and has not joined yet.
    Starting,
    /// It is being promoted: it opens the stable area and recovers.
    Promoting,
    /// It has the mark of service.
    InService,
    /// It waits to take over.
    Backup,
    /// It missed its heartbeats.
    Hung,
    /// Its process is gone.
    Dead,
}

/// One row: a member of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// The port.
    pub port: u32,
    /// The process that holds it.
    pub process: String,
    /// The number of that run of the process.
    pub process_id: u32,
    /// Its operating system's process id, once it was started.
    pub pid: Option<u32>,
    /// Where it is reached, once it has joined.
    pub address: Option<SocketAddr>,
    /// The mark of service.
    pub in_service: bool,
    /// Its state.
    pub state: MemberState,
    /// Since when, in milliseconds of Unix time.
    pub since_unix_ms: u64,
    /// Why it is in this state, in words.
    pub why: String,
}

/// All rows of one alias.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasRow {
    /// Its name.
    pub alias: String,
    /// Its number.
    pub alias_id: u32,
    /// The stock service, or the user's command in words.
    pub kind: String,
    /// The incarnation of its member in service, or of the one being promoted.
    pub incarnation: u64,
    /// The number of the site its FTM runs on.
    pub site: u32,
    /// Its members.
    pub members: Vec<MemberRow>,
}

impl AliasRow {
    /// The member with the mark of service, if there is one.
    #[must_use]
    pub fn in_service(&self) -> Option<&MemberRow> {
        self.members.iter().find(|member| member.in_service)
    }
}

/// Rows that changed, whole alias by whole alias; the first one a process gets has all aliases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableChange {
    /// Rows that a restarted FTM is not sure of yet, because who was in service has not joined again: what a process knows
    /// of these aliases is better. One that knows nothing learns at least that they are there.
    pub unsure: Vec<AliasRow>,
    /// Rises with each change. A restarted FTM goes on above where it was.
    pub version: u64,
    /// The aliases that changed, with all their rows.
    pub aliases: Vec<AliasRow>,
    /// Aliases that exist no longer, each with the last incarnation that it had.
    pub gone: Vec<(u32, u64)>,
}
