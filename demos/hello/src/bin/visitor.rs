//! A client of a user's own: is greeted once a second, whoever dies.

use std::time::Duration;

use palib::{Process, Result};

#[tokio::main]
async fn main() -> Result<()> {
    let process = Process::join().await?;
    // A backup waits here until it is the one that visits.
    let visitor = process.client("visitor").await?;
    for call in visitor.pending() {
        // What the visitor before this one had asked is answered to this one.
        println!("{}", visitor.outcome(call.id, None).await?.into_reply()?.text()?);
    }
    loop {
        println!("{}", visitor.call("greeter", "Ada").await?.into_reply()?.text()?);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = process.ended() => return Ok(()),
        }
    }
}
