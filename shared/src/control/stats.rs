//! What a process measures of itself and sends with each heartbeat.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The measurements of a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStats {
    /// When they were read, on the machine's monotonic clock, in nanoseconds.
    // Measurements lie flat inside an event, which has an `at_ns` of its own.
    #[serde(rename = "read_at_ns")]
    pub at_ns: u64,
    /// Resident memory, in bytes.
    pub rss_bytes: u64,
    /// Processor time used so far, in milliseconds.
    pub cpu_ms: u64,
    /// Links that are open.
    pub links: u32,
    /// Events dropped because the queue to the FTM was full, so far.
    pub events_dropped: u64,
    /// Of the calls that pass through, one in so many is traced step by step (re-sent ones always, as far as there
    /// are not too many at once); 1 means every call.
    #[serde(default)]
    pub traced_one_in: u64,
    /// Per alias.
    pub aliases: Vec<AliasStats>,
}

/// The measurements of one membership. Counts are of this process's run unless they say otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasStats {
    /// The alias's name.
    pub alias: String,
    /// Whether this member is in service.
    pub in_service: bool,
    /// Requests received.
    pub received: u64,
    /// Requests given to the service.
    pub executed: u64,
    /// Requests recognised as redundantly sent.
    pub redundant: u64,
    /// Requests refused.
    pub refused: u64,
    /// Requests being executed now.
    pub executing: u32,
    /// Requests held now.
    pub held: u32,
    /// Calls in doubt now.
    pub in_doubt: u32,
    /// Transactions of relays that are open now.
    #[serde(default)]
    pub relays: u32,
    /// Of these, how many need an operator.
    #[serde(default)]
    pub relays_stuck: u32,
    /// Completed transactions that are kept with what they called, because their callers may still cancel them.
    #[serde(default)]
    pub relays_retained: u32,
    /// Calls made and not consumed yet.
    pub pending: u32,
    /// Requests sent again.
    pub resent: u64,
    /// How long calls made here took, from first sending to outcome: `(bound, calls)`, so many took less than the bound
    /// in microseconds and not less than the bound before. Bounds without a call are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency_us: Vec<(u64, u64)>,
    /// Durable commits.
    pub commits: u64,
    /// The median duration of the last commits, in microseconds.
    pub commit_us_p50: u64,
    /// Their 99th percentile, in microseconds.
    pub commit_us_p99: u64,
    /// The service's own counters. The stock nodes report, from durable state of the alias (not of the process):
    /// servers `effects`; callers `issued` (put into the outbox), `acked` (consumed with an outcome), `failed`.
    pub counters: BTreeMap<String, u64>,
}
