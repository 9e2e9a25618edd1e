//! What load a caller makes. The order for it is durable in the caller's area, so a backup carries on with it.

use std::time::Duration;

use palib::control::TicketAlias;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::request::Service;
use crate::NodeError;
use crate::options::{self, Options};

/// More loops than this are a mistyped number: the window of a session is 1024 calls.
const CALLERS_MAX: u64 = 1000;

/// The options that a cluster file may give.
const OPTIONS: [&str; 12] = [
    "target", "targets", "service", "rate", "callers", "calls", "seed", "keys", "start", "deadline",
    "history", "collect",
];

/// Whom a caller calls, and how it does so if nobody says otherwise.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// The aliases called, and what they serve.
    pub(super) targets: Vec<(String, Service)>,
    /// Whether the calls of a predecessor wait until an operator has them collected (patent, Fig 7).
    pub(super) by_hand: bool,
    /// Whether what is called is written down.
    pub(super) history: bool,
    /// The load of the cluster file.
    pub(super) load: Load,
}

/// An order for load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Load {
    /// Whether new calls are made.
    pub(super) running: bool,
    /// Calls a second; none: each loop calls again as soon as it has its answer.
    pub(super) rate: Option<f64>,
    /// Calls at the same time.
    pub(super) callers: u64,
    /// How many calls this order makes in all; none: no end.
    pub(super) calls: Option<u64>,
    /// Decides what is called.
    pub(super) seed: u64,
    /// How many counters, files or accounts are called.
    pub(super) keys: u64,
    /// How long a loop waits for an answer, in milliseconds; then it goes on, and the answer is collected when it
    /// comes.
    pub(super) deadline_ms: Option<u64>,
    /// How many calls had been made when this order was given.
    pub(super) from: u64,
}

impl Plan {
    pub(super) fn of(alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&OPTIONS)?;
        let mut names = options.texts("targets")?.unwrap_or_default();
        names.extend(options.text("target")?);
        if names.is_empty() {
            return Err(
                options.wrong("target", "is missing: name the alias to call, such as target = \"counter\"")
            );
        }
        let service = options.text("service")?;
        let mut targets = Vec::new();
        for name in names {
            let words = service.as_deref().unwrap_or(&name);
            let service = Service::of(words).ok_or_else(|| {
                let services = "counter, sums, ledger, files or orders";
                options.wrong("service", format!("must say what {name} serves: {services}"))
            })?;
            targets.push((name, service));
        }
        let load = Load {
            running: options.flag("start")?.unwrap_or(true),
            rate: options.rate("rate")?.or(Some(100.0)).filter(|rate| *rate > 0.0),
            callers: options.number("callers")?.unwrap_or(4).clamp(1, CALLERS_MAX),
            calls: options.number("calls")?,
            seed: options.number("seed")?.unwrap_or(1),
            keys: options.number("keys")?.unwrap_or(8).max(1),
            deadline_ms: options.time("deadline")?.map(|time| time.as_millis() as u64),
            from: 0,
        };
        let by_hand = match options.text("collect")?.as_deref() {
            None | Some("at once") => false,
            Some("by hand") => true,
            Some(_) => return Err(options.wrong("collect", "must be \"at once\" or \"by hand\"")),
        };
        Ok(Self { targets, by_hand, history: options.flag("history")?.unwrap_or(true), load })
    }
}

impl Load {
    /// Changes what a command names; a rate of 0 means as fast as answers come, `null` calls mean no end.
    pub(super) fn ordered(&self, order: &Value, made: u64) -> Result<Self, String> {
        let order = order.as_object().ok_or("load needs an object, such as {\"load\": {\"rate\": 100}}")?;
        let mut load = Self { running: true, from: made, calls: None, ..self.clone() };
        for (name, value) in order {
            let wrong = |wanted: &str| format!("load: {name} is {value}; it must be {wanted}");
            let number = || value.as_u64().ok_or_else(|| wrong("a whole number, not below 0"));
            match name.as_str() {
                _ if value.is_null() => match name.as_str() {
                    "rate" => load.rate = None,
                    "deadline_ms" => load.deadline_ms = None,
                    _ => {}
                },
                "rate" => {
                    let rate = options::rate(value).ok_or_else(|| wrong("a number of calls a second"))?;
                    load.rate = (rate > 0.0).then_some(rate);
                }
                "callers" => load.callers = number()?.clamp(1, CALLERS_MAX),
                "calls" => load.calls = Some(number()?),
                "seed" => load.seed = number()?,
                "keys" => load.keys = number()?.max(1),
                "deadline_ms" => load.deadline_ms = Some(number()?),
                _ => {
                    return Err(format!(
                        "load: {name:?} is not known; there are rate, callers, calls, seed, keys, deadline_ms"
                    ));
                }
            }
        }
        Ok(load)
    }

    /// How many calls this order still makes; none: no end.
    pub(super) fn left(&self, made: u64) -> Option<u64> {
        self.calls.map(|calls| (self.from + calls).saturating_sub(made))
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.deadline_ms.map(Duration::from_millis)
    }

    /// The time between two calls.
    pub(super) fn interval(&self) -> Option<Duration> {
        self.rate.map(|rate| Duration::from_secs_f64(1.0 / rate))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn load() -> Load {
        Load {
            running: false,
            rate: Some(10.0),
            callers: 2,
            calls: None,
            seed: 1,
            keys: 8,
            deadline_ms: None,
            from: 0,
        }
    }

    #[test]
    fn an_order_changes_what_it_names_and_starts_the_load() {
        let ordered = load().ordered(&json!({ "rate": "50/s", "calls": 7 }), 100).unwrap();
        let expected = Load { running: true, rate: Some(50.0), calls: Some(7), from: 100, ..load() };
        assert_eq!(ordered, expected);
        assert_eq!(ordered.left(103), Some(4));
        assert_eq!(ordered.left(110), Some(0));
    }

    #[test]
    fn a_rate_of_nothing_means_as_fast_as_answers_come() {
        assert_eq!(load().ordered(&json!({ "rate": 0 }), 0).unwrap().interval(), None);
        assert_eq!(load().ordered(&json!({ "rate": null }), 0).unwrap().interval(), None);
    }

    #[test]
    fn a_mistyped_order_is_refused() {
        assert!(load().ordered(&json!({ "rat": 5 }), 0).unwrap_err().contains("rate"));
        assert!(load().ordered(&json!({ "callers": "many" }), 0).is_err());
        assert!(load().ordered(&json!(5), 0).is_err());
    }
}
