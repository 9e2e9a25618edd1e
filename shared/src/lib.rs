//! Exactly-once remote procedure calls: a call happens once although client, server or a relay between them may
//! crash, hang or be cut off at any instant.
//!
//! A process joins its cluster with [`Process::join`], serves a port alias with [`Process::serve`] and calls one
//! with [`Process::call`].

pub mod control;
pub mod limits;
pub mod stable;
pub mod tls;
pub mod transport;
pub mod wire;

pub use palib_core as core;
