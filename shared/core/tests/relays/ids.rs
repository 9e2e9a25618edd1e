//! How the things of a world are numbered towards the machines.

use palib_core::ids::{AliasId, PortId};
use palib_core::server::Asker;

/// A process: the number of its alias, and its number in that, in the order of the promotions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place(pub(crate) usize, pub(crate) usize);

impl Place {
    pub(crate) fn port(self) -> PortId {
        PortId((self.0 * 100 + self.1 + 1) as u32)
    }

    pub(crate) fn of_port(port: PortId) -> Self {
        let number = port.0 as usize - 1;
        Self(number / 100, number % 100)
    }

    pub(crate) fn asker(self) -> Asker {
        Asker(u64::from(self.port().0))
    }

    pub(crate) fn of_asker(asker: Asker) -> Self {
        Self::of_port(PortId(asker.0 as u32))
    }
}

pub(crate) fn alias_id(alias: usize) -> AliasId {
    AliasId(alias as u32 + 1)
}
