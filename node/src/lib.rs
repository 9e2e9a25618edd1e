//! The stock node process: it serves and calls for all aliases that its ticket names, each with the stock service the
//! cluster file chose.
//!
//! | kind | what it is |
//! |---|---|
//! | `counter` | counters in the stable area (atomic mode) |
//! | `ledger` | accounts in the stable area (atomic mode) |
//! | `files` | real files in a folder: an effect outside the stable area |
//! | `relay` | passes calls on to another alias, on behalf of the call it serves |
//! | `orders` | a relay that has stock reserved, a payment taken and a parcel shipped for each order |
//! | `stock`, `payments`, `shipping` | those three (atomic mode); they refuse now and then, and can undo |
//! | `caller` | load on another alias, with an outbox and a history |

mod caller;
mod counter;
mod effects;
mod error;
mod files;
mod ledger;
mod options;
mod relay;
mod relayed;
mod shop;

use std::process::ExitCode;

use palib::Process;
use palib::control::TicketAlias;
use tokio::task::JoinSet;

pub use error::NodeError;

/// The stock services.
pub const KINDS: [&str; 9] =
    ["caller", "counter", "files", "ledger", "orders", "payments", "relay", "shipping", "stock"];

/// The alias under which operators call. Their calls are no part of a load, so they are counted apart.
pub(crate) const OPERATOR: &str = "operator";

/// Joins the cluster that the environment names and works for it until told to end. This is all of `palib node`.
#[must_use]
pub fn main() -> ExitCode {
    // One thread for the protocol: a call crosses no other, which was measured to be faster under load.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("palib node: no runtime: {error}");
            return ExitCode::from(3);
        }
    };
    let ran = runtime.block_on(async { run(Process::join().await?).await });
    // A file operation that hangs in a thread of its own must not keep the process.
    runtime.shutdown_background();
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("palib node: {error}");
            ExitCode::from(3)
        }
    }
}

/// Works for all aliases of a process that has joined, until it is told to end.
///
/// # Errors
/// If a service can't do its work any more; the process must end then, and its backups take over.
pub async fn run(process: Process) -> Result<(), NodeError> {
    let mut tasks = JoinSet::new();
    for alias in process.ticket().aliases.clone() {
        let process = process.clone();
        tasks.spawn(async move { member(process, alias).await });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|panic| NodeError::Panicked(panic.to_string()))??;
    }
    Ok(())
}

/// Works for one alias.
async fn member(process: Process, alias: TicketAlias) -> Result<(), NodeError> {
    let name = alias.alias.as_str();
    match alias.kind.as_deref() {
        Some("counter") => process.serve(name, counter::Counter::new(&alias)?).await?,
        Some("ledger") => process.serve(name, ledger::Ledger::new(&alias)?).await?,
        Some("files") => process.serve(name, files::Files::new(process.ticket(), &alias)?).await?,
        Some("relay") => process.serve(name, relay::Relay::new(&alias)?).await?,
        Some("orders") => process.serve(name, shop::Orders::new(&alias)?).await?,
        Some("stock") => process.serve(name, shop::Stock::new(&alias)?).await?,
        Some("payments") => process.serve(name, shop::Payments::new(&alias)?).await?,
        Some("shipping") => process.serve(name, shop::Shipping::new(&alias)?).await?,
        Some("caller") => caller::run(process.clone(), &alias).await?,
        other => {
            return Err(NodeError::Kind {
                alias: alias.alias.clone(),
                kind: other.unwrap_or("none").to_owned(),
            });
        }
    }
    Ok(())
}
