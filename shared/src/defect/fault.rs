//! Faults of links and disks, and how the FTM orders them: each process enforces its own part of them.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A fault of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkFault {
    /// Nothing passes, either way.
    Cut,
    /// Nothing passes from the first to the second.
    OneWay,
    /// So many packets of a hundred are lost.
    Drop(Percent),
    /// Packets are late.
    Delay {
        /// By so much.
        by: Duration,
        /// More or less; so they may overtake each other, too.
        jitter: Duration,
    },
    /// So many packets of a hundred come twice.
    Duplicate(Percent),
    /// Packets overtake each other.
    Reorder,
}

/// Hundredths, with two decimals kept: 12.5% is `Percent(1250)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Percent(pub u32);

impl Percent {
    /// All of it.
    pub const ALL: Self = Self(10_000);
}

/// A fault of storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskFault {
    /// The next sync fails, once.
    FsyncError,
    /// The disk is full: nothing more can be written, for as long as the fault lasts.
    Full,
    /// Power is cut at the next sync, once: of what was written since the last one some sectors reach the disk.
    Torn,
    /// Each sync takes so much longer.
    Slow(Duration),
}

impl DiskFault {
    /// Whether it happens once and is over, instead of lasting until it is healed.
    #[must_use]
    pub const fn strikes_once(self) -> bool {
        matches!(self, Self::FsyncError | Self::Torn)
    }
}

/// One direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// What is sent to the peer.
    To,
    /// What comes from the peer.
    From,
}

/// A fault of one direction of the link to one peer, as one process enforces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkRule {
    /// Where the peer is.
    pub peer: SocketAddr,
    /// In which direction.
    pub way: Way,
    /// What happens there; a cut is one of this direction.
    pub fault: LinkFault,
}

/// A fault of the disk below the stable area of one alias, as one process enforces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskRule {
    /// Its id in the ledger, such as `D1`.
    pub id: String,
    /// The number of the alias.
    pub alias: u32,
    /// What happens.
    pub fault: DiskFault,
}

/// All faults that one process enforces: what is not among them is healed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faults {
    /// Of chance, for the process that enforces them.
    pub seed: u64,
    /// Of its links.
    pub links: Vec<LinkRule>,
    /// Of the disks below its stable areas.
    pub disks: Vec<DiskRule>,
}

impl fmt::Display for Percent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 100, self.0 % 100);
        match rest {
            0 => write!(out, "{whole}%"),
            _ if rest.is_multiple_of(10) => write!(out, "{whole}.{}%", rest / 10),
            _ => write!(out, "{whole}.{rest:02}%"),
        }
    }
}
