//! Packets that are late: held until their time, up to a limit.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use quinn::udp::EcnCodepoint;

/// So many packets are held in one direction; what comes beyond is lost, as where a queue of a network is full.
const HELD_MAX: usize = 4096;

/// A packet that is late.
#[derive(Debug)]
pub(super) struct Packet {
    /// Whom it comes from or goes to.
    pub(super) peer: SocketAddr,
    /// The address of this side, as far as it is known.
    pub(super) own: Option<IpAddr>,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) bytes: Vec<u8>,
}

/// The packets of one direction that are late, in the order in which they are due.
#[derive(Debug, Default)]
pub(super) struct Held {
    packets: BTreeMap<(Instant, u64), Packet>,
    number: u64,
}

impl Held {
    /// Holds a packet until it is due, or loses it.
    pub(super) fn hold(&mut self, due: Instant, packet: Packet) {
        if self.packets.len() < HELD_MAX {
            self.number += 1;
            self.packets.insert((due, self.number), packet);
        }
    }

    /// The next packet whose time has come.
    pub(super) fn take(&mut self, now: Instant) -> Option<Packet> {
        let entry = self.packets.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// When the next packet is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.packets.keys().next().map(|(due, _)| *due)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }
}
