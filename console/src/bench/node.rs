//! The processes of the cluster that is measured: a service in atomic mode and its caller.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use palib::{Call, Client, Error, Process, Reply, Result, clock};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::limit::BODY_BYTES;
use super::load::{Load, Measured, Meter};

/// The alias of the service.
pub(super) const SERVICE: &str = "service";
/// The alias of its caller.
pub(super) const CALLER: &str = "caller";

/// What the bench tells the caller, as JSON.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// Begin to call.
    Load(Load),
    /// Begin to call, and look for the first reply of another process than this one.
    UntilNot(u32),
    /// What came of it; null as long as it is not over.
    Result,
}

/// Counts, durably, and answers with its process id: so a caller sees that another process has taken over.
pub(super) async fn service() -> Result<()> {
    let pid = std::process::id();
    let count = move |call: Call| async move {
        call.commit(move |area| {
            let count = area.get::<u64>("count")?.unwrap_or(0) + 1;
            area.put("count", &count)?;
            // Made for each call, as services do. Copies of one reply that share a count of their holders would have the
            // threads wait for each other at that count.
            Ok(Reply::from(pid.to_string()))
        })
        .await
    };
    Process::join().await?.serve(SERVICE, count).await
}

/// Calls as it is told to.
pub(super) async fn caller() -> Result<()> {
    let process = Process::join().await?;
    let client = process.client(CALLER).await?;
    let caller = Caller { client: client.clone(), result: Arc::default() };
    client.on_command(move |command| {
        let caller = caller.clone();
        async move { caller.take(&command) }
    });
    process.ended().await;
    Ok(())
}

#[derive(Clone)]
struct Caller {
    client: Client,
    result: Arc<Mutex<Option<Result<Measured, String>>>>,
}

impl Caller {
    fn take(&self, command: &str) -> Result<String> {
        let order = serde_json::from_str(command).map_err(|error| Error::failed(error.to_string()))?;
        if let Order::Result = order {
            let measured = self.result.lock().clone().transpose().map_err(Error::failed)?;
            return serde_json::to_string(&measured).map_err(|error| Error::failed(error.to_string()));
        }
        *self.result.lock() = None;
        let caller = self.clone();
        tokio::spawn(async move {
            let measured = match order {
                Order::Load(load) => run(&caller.client, load).await,
                Order::UntilNot(pid) => until_not(&caller.client, pid).await,
                Order::Result => return,
            };
            *caller.result.lock() = Some(measured.map_err(|error| error.to_string()));
        });
        Ok(String::new())
    }
}

async fn call(client: &Client) -> Result<Reply> {
    client.call(SERVICE, Bytes::from_static(&[7; BODY_BYTES])).await?.into_reply()
}

async fn run(client: &Client, load: Load) -> Result<Measured> {
    // One for all: a histogram each would push everything else out of the processor's caches.
    let meter = Arc::new(Mutex::new(Meter::start(load)));
    let callers: Vec<_> = (0..load.in_flight)
        .map(|_| {
            let (client, meter) = (client.clone(), meter.clone());
            tokio::spawn(async move {
                // One look at the clock for each call, as the limit's client has it.
                let (mut now, mut over) = (Instant::now(), false);
                while !over {
                    call(&client).await?;
                    let mut meter = meter.lock();
                    now = meter.note(now);
                    over = meter.is_over_at(now);
                }
                Ok::<(), Error>(())
            })
        })
        .collect();
    for caller in callers {
        caller.await.map_err(|error| Error::failed(error.to_string()))??;
    }
    let measured = meter.lock().measured();
    Ok(measured)
}

/// Calls, one after another, until a reply comes from another process than this one.
async fn until_not(client: &Client, pid: u32) -> Result<Measured> {
    let pid = pid.to_string();
    while call(client).await?.text()? == pid {}
    Ok(Measured { first_reply_ns: clock::monotonic_ns(), ..Measured::default() })
}
