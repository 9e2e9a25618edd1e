//! Exactly-once remote procedure calls: a call happens once although client, server or a relay between them may
//! crash, hang or be cut off at any instant.
//!
//! A process joins its cluster with [`Process::join`], serves a port alias with [`Process::serve`] and calls one
//! with [`Process::call`]. What must outlive the process lies in the alias's stable area; a backup takes it over.
//!
//! ```no_run
//! use palib::{Call, Reply};
//!
//! /// Counts greetings. Kill it mid-call: nobody is counted twice.
//! async fn greet(call: Call) -> palib::Result<Reply> {
//!     let name = call.text()?.to_owned();
//!     call.commit(move |area| {
//!         let greeted = area.get::<u64>("greeted")?.unwrap_or(0) + 1;
//!         area.put("greeted", &greeted)?;
//!         Ok(Reply::from(format!("hello {name}, greeting {greeted}")))
//!     })
//!     .await
//! }
//!
//! #[tokio::main]
//! async fn main() -> palib::Result<()> {
//!     palib::Process::join().await?.serve("greeter", greet).await
//! }
//! ```

mod agent;
mod announced;
mod area;
mod branch;
mod call;
mod calling;
mod client;
pub mod clock;
pub mod control;
pub mod defect;
mod directory;
mod error;
mod hashing;
mod inspect;
mod large;
mod last_words;
mod latency;
pub mod limits;
mod links;
mod membership;
mod policy;
mod process;
mod reply;
mod sampling;
mod service;
mod serving;
mod sink;
pub mod stable;
mod steps;
mod substitute;
pub mod tls;
mod trace;
pub mod transport;
mod turns;
mod undo;
pub mod wire;

pub use announced::connect_ftm;
pub use area::{Area, AreaTxn};
pub use branch::Branch;
pub use call::Call;
pub use client::{CallOptions, Client, Done, PendingCall};
pub use control::Policy;
pub use directory::parse_call_id;
pub use error::{Error, Result, refusal_text};
pub use last_words::take_last_words;
pub use palib_core as core;
pub use process::Process;
pub use reply::Reply;
pub use service::{InDoubt, Recovery, RedProcess, Service};
pub use sink::{EXIT_FENCED, EXIT_STABLE_AREA};
pub use substitute::{Substitute, Unanswered};
pub use undo::Undo;
