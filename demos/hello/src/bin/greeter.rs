//! A service of a user's own: greets, and counts its greetings.

use palib::{Call, Process, Reply, Result};

/// Kill it mid-call: nobody is counted twice.
async fn greet(call: Call) -> Result<Reply> {
    let name = call.text()?.to_owned();
    // State and answer become durable together, or not at all.
    call.commit(move |area| {
        let greetings = area.get::<u64>("greetings")?.unwrap_or(0) + 1;
        area.put("greetings", &greetings)?;
        Ok(Reply::from(format!("hello {name}, greeting {greetings}")))
    })
    .await
}

#[tokio::main]
async fn main() -> Result<()> {
    // The FTM that started this process has told it who it is.
    Process::join().await?.serve("greeter", greet).await
}
