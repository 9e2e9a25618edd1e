//! Links between processes: QUIC connections with certificates on both sides, and one stream of frames each.
//!
//! Two processes share one connection and on it one long-lived stream each way, with all their frames one after
//! another: four times the throughput of a stream per call. Messages with a large body go on a second stream, so
//! that a small one never waits behind them; what is sent on the two may overtake each other. Control messages
//! always go on the first and keep their order.
//!
//! Neither 0-RTT (an attacker could replay it) nor migration (nobody moves) is used. What one peer can make
//! another hold in memory is bounded: see [`crate::limits`] and `config`.
//!
//! Processes should run on a `current_thread` runtime: under load it is a third faster here. All types are `Send`
//! and `Sync`, and frames may be sent from any thread.

mod bulk;
mod config;
mod doorman;
mod endpoint;
mod error;
mod faults;
mod held;
mod inbound;
mod link;
mod outbound;

#[doc(hidden)]
pub use config::QuicConfigs;
pub use endpoint::{Endpoint, Refused};
pub use error::LinkError;
pub use link::Link;
