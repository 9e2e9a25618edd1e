//! What operators and tests tell a caller: JSON, or the same in words.
//!
//! | JSON | words | does |
//! |---|---|---|
//! | `{"load": {"rate": 100, "callers": 4, "calls": null, "seed": 1, "keys": 8, "deadline_ms": null}}` | `rate 100/s`, `callers 4`, `calls 1000` | orders load; what is not named stays |
//! | `{"pause": true}` | `pause` | no new calls |
//! | `{"resume": true}` | `resume` | goes on |
//! | `{"drain": true}` | `drain` | no new calls, waits until every outcome is known |
//! | `{"collect": true}` | `collect` | collects what a predecessor left, where that is done by hand |
//! | `{"status": true}` | `status` | answers what all of them answer |

use std::sync::Arc;
use std::time::Duration;

use palib::{Error, Result};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::counts::Counts;
use super::load::Load;
use super::work::{Caller, LOAD};

/// How long a drain waits before it says how far it has come. Whoever asked may ask again.
const DRAIN_WAIT: Duration = Duration::from_secs(3);

enum Command {
    Load(Value),
    Run(bool),
    Drain,
    Collect,
    Status,
}

/// Answers commands from now on.
pub(super) fn attend(caller: &Arc<Caller>) {
    // The library holds the handler as long as the process lives, and the caller holds the library's client.
    let weak = Arc::downgrade(caller);
    caller.client.on_command(move |text| {
        let caller = weak.upgrade();
        async move {
            let caller = caller.ok_or(Error::Ended)?;
            answer(&caller, &text).await
        }
    });
}

async fn answer(caller: &Caller, text: &str) -> Result<String> {
    match parse(text)? {
        Command::Load(order) => {
            let load = caller.load.borrow().ordered(&order, caller.made()).map_err(Error::Failed)?;
            set(caller, load).await?;
        }
        Command::Run(running) => {
            let load = Load { running, ..caller.load.borrow().clone() };
            set(caller, load).await?;
        }
        Command::Drain => {
            let load = Load { running: false, ..caller.load.borrow().clone() };
            set(caller, load).await?;
            caller.collect_now.notify_one();
            let until = Instant::now() + DRAIN_WAIT;
            while !is_drained(caller)? && Instant::now() < until {
                sleep(Duration::from_millis(5)).await;
            }
        }
        Command::Collect => caller.collect_now.notify_one(),
        Command::Status => {}
    }
    status(caller)
}

/// The order is durable before anything is done about it: a backup must not go on with an older one.
async fn set(caller: &Caller, load: Load) -> Result<()> {
    let stored = load.clone();
    caller.client.commit(move |area| area.put(LOAD, &stored)).await?;
    caller.load.send_replace(load);
    Ok(())
}

fn is_drained(caller: &Caller) -> Result<bool> {
    let counts = Counts::read(caller.client.area())?;
    Ok(caller.client.pending().is_empty() && counts.issued == counts.acked + counts.failed)
}

fn status(caller: &Caller) -> Result<String> {
    let counts = Counts::read(caller.client.area())?;
    let load = caller.load.borrow().clone();
    let answer = json!({
        "running": load.running, "issued": counts.issued, "acked": counts.acked, "failed": counts.failed,
        "unknown": caller.client.pending().len(), "left": load.left(caller.made()),
        "drained": !load.running && is_drained(caller)?,
        "load": {
            "rate": load.rate, "callers": load.callers, "calls": load.calls, "seed": load.seed, "keys": load.keys,
            "deadline_ms": load.deadline_ms,
        },
    });
    Ok(answer.to_string())
}

fn parse(text: &str) -> Result<Command> {
    let text = text.trim();
    let command = if text.starts_with('{') { from_json(text) } else { from_words(text) };
    command.ok_or_else(|| {
        Error::failed(format!(
            "a caller knows {{\"load\": {{…}}}}, pause, resume, drain, collect and status, and not {text:?}"
        ))
    })
}

fn from_json(text: &str) -> Option<Command> {
    let value: Value = serde_json::from_str(text).ok()?;
    let object = value.as_object().filter(|object| object.len() == 1)?;
    let (name, what) = object.iter().next()?;
    match (name.as_str(), what) {
        ("load", order) => Some(Command::Load(order.clone())),
        (word, Value::Bool(true)) => from_words(word),
        _ => None,
    }
}

fn from_words(text: &str) -> Option<Command> {
    match text.split_ascii_whitespace().collect::<Vec<_>>()[..] {
        ["pause"] => Some(Command::Run(false)),
        ["resume"] => Some(Command::Run(true)),
        ["drain"] => Some(Command::Drain),
        ["collect"] => Some(Command::Collect),
        ["status"] => Some(Command::Status),
        ["rate", rate] => Some(Command::Load(json!({ "rate": rate }))),
        [name @ ("callers" | "calls" | "seed" | "keys"), number] => {
            let number: u64 = number.parse().ok()?;
            Some(Command::Load(json!({ name: number })))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_taken_as_json_and_in_words() {
        assert!(matches!(parse("{\"drain\": true}"), Ok(Command::Drain)));
        assert!(matches!(parse(" pause "), Ok(Command::Run(false))));
        assert!(matches!(parse("{\"load\": {\"rate\": 5}}"), Ok(Command::Load(_))));
        assert!(
            matches!(parse("rate 500/s"), Ok(Command::Load(order)) if order == json!({ "rate": "500/s" }))
        );
        assert!(matches!(parse("callers 8"), Ok(Command::Load(order)) if order == json!({ "callers": 8 })));
    }

    #[test]
    fn what_is_no_command_is_refused() {
        for wrong in
            ["", "stop", "{\"drain\": false}", "{\"pause\": true, \"drain\": true}", "callers many", "{"]
        {
            assert!(parse(wrong).is_err(), "{wrong:?} is taken for a command");
        }
    }
}
