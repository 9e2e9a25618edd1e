//! What a process must know to join its cluster; the FTM writes it to a file and names the file in the environment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Policy;

/// The environment variable that names the ticket's file.
pub const TICKET_VARIABLE: &str = "PALIB_TICKET";

/// A process's way into its cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JoinTicket {
    /// The name of the cluster.
    pub cluster: String,
    /// The number of the site.
    pub site: u32,
    /// The name of the process, such as `counter-1`.
    pub process: String,
    /// The number of this run of the process.
    pub process_id: u32,
    /// The file in which the FTM keeps its address (`127.0.0.1:4711`); read again at each attempt to connect.
    pub ftm_address_file: PathBuf,
    /// The certificate of the process (PEM).
    pub certificate: PathBuf,
    /// Its private key (PEM, mode 0600).
    pub key: PathBuf,
    /// The certificate of the cluster's own authority (PEM).
    pub authority: PathBuf,
    /// The folder of the stable areas: `<alias>.redb`, and `<alias>.incarnation` beside it.
    pub areas: PathBuf,
    /// The aliases this process is a member of.
    pub aliases: Vec<TicketAlias>,
    /// The file in which the process tells which defect point it is about to die or to wait at.
    #[serde(default)]
    pub fired: PathBuf,
    /// How often the process says that it lives, in milliseconds.
    pub heartbeat_ms: u64,
}

/// One membership of a process.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketAlias {
    /// The alias's name.
    pub alias: String,
    /// Its number.
    pub alias_id: u32,
    /// The port of this process in it.
    pub port: u32,
    /// The stock service of it (`counter`, `caller`, …), or none for a command of the user's own.
    pub kind: Option<String>,
    /// True if ids of calls made by this alias are `{srcAlias, srcPort, transId}`, false for the incarnation form.
    pub id_by_port: bool,
    /// `site`, `alias` or `process`: within what transIds are unique.
    pub trans_scope: String,
    /// Whether calls made by this alias are kept in its outbox.
    pub outbox: bool,
    /// What a takeover does with transactions of this alias that it finds half done, unless the service says
    /// otherwise for one of them.
    #[serde(default)]
    pub on_takeover: Policy,
    /// Settings of the service, from the cluster file.
    pub options: BTreeMap<String, serde_json::Value>,
}
