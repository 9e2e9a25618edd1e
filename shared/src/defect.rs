//! What an operator can break: named defect points, links, disks.
//!
//! A defect point is a place in the library at which a process can be told to die, or to stop and wait.
//! A point is armed for an alias by the FTM ([`FromFtm::Arm`](crate::control::FromFtm::Arm)) and fires once, when a
//! process passes it for the so manieth time. Faults of links and disks last until they are healed; the FTM tells each
//! process all that it enforces ([`FromFtm::Faults`](crate::control::FromFtm::Faults)), whenever that changes and whenever
//! the process joins, so that no fault outlives what is known of it. What is armed nowhere costs one relaxed load
//! where it is passed.

mod disk;
mod fate;
mod fault;
mod fired;
mod point;
mod points;

pub use disk::DiskFaults;
pub(crate) use fate::{Fate, fate};
pub use fault::{DiskFault, DiskRule, Faults, LinkFault, LinkRule, Percent, Way};
pub use fired::Fired;
pub use point::{Part, Point};
pub use points::{Armed, Points};
