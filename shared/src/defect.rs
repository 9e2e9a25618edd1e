//! Named defect points: places in the library at which a process can be told to die, or to stop and wait.
//!
//! A point is armed for an alias by the FTM ([`FromFtm::Arm`](crate::control::FromFtm::Arm)) and fires once, when a
//! process passes it for the so manieth time. What is armed nowhere costs one relaxed load where it is passed.

mod fired;
mod point;
mod points;

pub use fired::Fired;
pub use point::{Part, Point};
pub use points::{Armed, Points};
