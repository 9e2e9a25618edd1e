//! Load that is measured: no outbox, no history, a fixed number of calls in flight.
//!
//! `{"bench": {"target": "counter", "in_flight": 64, "seconds": 2, "warm_up_ms": 300, "keys": 64}}` begins a
//! measurement and answers at once; `result` answers what came of it, or that it still runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use palib::control::TicketAlias;
use palib::{Client, Error, Process, Result};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::NodeError;
use crate::options::Options;

/// What is measured.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    target: String,
    in_flight: usize,
    seconds: f64,
    #[serde(default)]
    warm_up_ms: u64,
    #[serde(default = "one")]
    keys: u64,
}

fn one() -> u64 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    bench: Order,
}

/// What the loops share.
struct Meter {
    measuring: AtomicBool,
    ended: AtomicBool,
    number: AtomicU64,
    latencies_ns: Mutex<Histogram<u64>>,
    failures: AtomicU64,
}

/// Works for an alias of measuring callers until the process is told to end.
pub(crate) async fn run(process: Process, alias: &TicketAlias) -> Result<(), NodeError> {
    Options::of(alias).only(&[])?;
    let client = match process.client(&alias.alias).await {
        Ok(client) => client,
        Err(Error::Ended) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let last: Arc<Mutex<Value>> = Arc::new(Mutex::new(json!({ "running": false })));
    let caller = client.clone();
    client.on_command(move |text| {
        let (client, last) = (caller.clone(), last.clone());
        async move { answer(&client, &last, &text) }
    });
    process.ended().await;
    Ok(())
}

fn answer(client: &Client, last: &Arc<Mutex<Value>>, text: &str) -> Result<String> {
    if text.trim() == "result" {
        return Ok(last.lock().to_string());
    }
    let Command { bench: order } = serde_json::from_str(text).map_err(|error| {
        let known = "{\"bench\": {\"target\", \"in_flight\", \"seconds\"}} or result";
        Error::failed(format!("{error}; this caller knows {known}"))
    })?;
    let running = json!({ "running": true });
    let mut now = last.lock();
    if *now == running {
        return Err(Error::failed("a measurement runs; ask for its result first"));
    }
    *now = running;
    let (client, last) = (client.clone(), last.clone());
    tokio::spawn(async move {
        let result = measure(&client, order).await;
        *last.lock() = result;
    });
    Ok(now.to_string())
}

async fn measure(client: &Client, order: Order) -> Value {
    let Ok(histogram) = Histogram::new(3) else { return json!({ "error": "no histogram" }) };
    let meter = Arc::new(Meter {
        measuring: AtomicBool::new(false),
        ended: AtomicBool::new(false),
        number: AtomicU64::new(0),
        latencies_ns: Mutex::new(histogram),
        failures: AtomicU64::new(0),
    });
    let loops: Vec<_> = (0..order.in_flight)
        .map(|_| tokio::spawn(call_again_and_again(client.clone(), order.clone(), meter.clone())))
        .collect();
    tokio::time::sleep(Duration::from_millis(order.warm_up_ms)).await;
    let start = Instant::now();
    meter.measuring.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs_f64(order.seconds.clamp(0.0, 3600.0))).await;
    meter.measuring.store(false, Ordering::Relaxed);
    let elapsed = start.elapsed();
    meter.ended.store(true, Ordering::Relaxed);
    for each in loops {
        let _ = each.await;
    }
    let latencies = meter.latencies_ns.lock();
    let us = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    json!({
        "running": false, "in_flight": order.in_flight, "calls": latencies.len(),
        "seconds": elapsed.as_secs_f64(), "calls_per_second": latencies.len() as f64 / elapsed.as_secs_f64(),
        "failures": meter.failures.load(Ordering::Relaxed),
        "latency_us": { "p50": us(0.5), "p99": us(0.99), "max": latencies.max() as f64 / 1000.0 },
    })
}

async fn call_again_and_again(client: Client, order: Order, meter: Arc<Meter>) {
    while !meter.ended.load(Ordering::Relaxed) {
        let number = meter.number.fetch_add(1, Ordering::Relaxed);
        let body = format!("inc k{} 1", number % order.keys.max(1));
        let start = Instant::now();
        let ended = client.call(&order.target, body).await.and_then(palib::Done::into_reply);
        match ended {
            Ok(_) if meter.measuring.load(Ordering::Relaxed) => {
                let _ = meter.latencies_ns.lock().record(start.elapsed().as_nanos() as u64);
            }
            Ok(_) => {}
            Err(Error::Ended) => return,
            Err(_) => {
                meter.failures.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
}
