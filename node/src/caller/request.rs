//! What is asked: chosen by a seed, sent as text, written into the history as data.

use palib::Reply;
use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

/// What a piece of the stock costs, unless its cluster file says otherwise.
const PIECE_COSTS: u64 = 10;

/// What an alias serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Counter,
    /// A counter that is only added to: its answers tell nothing of others.
    Sums,
    Ledger,
    Files,
    Orders,
}

/// What a stock service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// `result` of the history.
    pub(super) result: Value,
    /// The how manieth request it was, where the service says so.
    pub(super) number: Option<u64>,
}

/// A request to one of the stock services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Inc { key: String, amount: u64 },
    Add { key: String, amount: u64 },
    ReadCounter { key: String },
    Transfer { from: String, to: String, amount: u64 },
    ReadLedger,
    Create { name: String },
    Delete { name: String },
    Order { item: String, quantity: u64, amount: u64 },
}

impl Service {
    pub(super) fn of(word: &str) -> Option<Self> {
        match word {
            "counter" => Some(Self::Counter),
            "sums" => Some(Self::Sums),
            "ledger" => Some(Self::Ledger),
            "files" => Some(Self::Files),
            "orders" => Some(Self::Orders),
            _ => None,
        }
    }
}

impl Request {
    /// The request of this number: the same each time for the same seed, whoever makes it.
    pub(super) fn chosen(service: Service, seed: u64, number: u64, keys: u64) -> Self {
        // Far apart for numbers that are close, which a plain sum would not be.
        let mut random = SmallRng::seed_from_u64(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        let key = random.random_range(0..keys);
        match service {
            // Mostly changes: a read shows no doubled effect.
            Service::Counter if random.random_ratio(1, 8) => Self::ReadCounter { key: format!("k{key}") },
            Service::Counter => Self::Inc { key: format!("k{key}"), amount: random.random_range(1..10) },
            Service::Sums => Self::Add { key: format!("k{key}"), amount: random.random_range(1..10) },
            Service::Ledger if random.random_ratio(1, 8) => Self::ReadLedger,
            Service::Ledger => {
                let to = random.random_range(0..keys);
                let amount = random.random_range(1..200);
                Self::Transfer { from: format!("a{key}"), to: format!("a{to}"), amount }
            }
            Service::Files if random.random_ratio(1, 2) => Self::Create { name: format!("file-{key}") },
            Service::Files => Self::Delete { name: format!("file-{key}") },
            Service::Orders => {
                let quantity = random.random_range(1..4);
                // Some offer less than it costs, and are told so.
                let piece = if random.random_ratio(1, 16) { PIECE_COSTS - 1 } else { PIECE_COSTS };
                Self::Order { item: format!("i{key}"), quantity, amount: quantity * piece }
            }
        }
    }

    /// Reads the request from its text: of a call that a predecessor made, only that is there.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let owned = |word: &str| word.to_owned();
        Some(match words[..] {
            ["inc", key, amount] => Self::Inc { key: owned(key), amount: amount.parse().ok()? },
            ["add", key, amount] => Self::Add { key: owned(key), amount: amount.parse().ok()? },
            ["read", key] => Self::ReadCounter { key: owned(key) },
            ["transfer", from, to, amount] => {
                Self::Transfer { from: owned(from), to: owned(to), amount: amount.parse().ok()? }
            }
            ["read"] => Self::ReadLedger,
            ["create", name] => Self::Create { name: owned(name) },
            ["delete", name] => Self::Delete { name: owned(name) },
            ["order", item, quantity, amount] => Self::Order {
                item: owned(item),
                quantity: quantity.parse().ok()?,
                amount: amount.parse().ok()?,
            },
            _ => return None,
        })
    }

    /// The text that is sent.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Inc { key, amount } => format!("inc {key} {amount}"),
            Self::Add { key, amount } => format!("add {key} {amount}"),
            Self::ReadCounter { key } => format!("read {key}"),
            Self::Transfer { from, to, amount } => format!("transfer {from} {to} {amount}"),
            Self::ReadLedger => "read".to_owned(),
            Self::Create { name } => format!("create {name}"),
            Self::Delete { name } => format!("delete {name}"),
            Self::Order { item, quantity, amount } => format!("order {item} {quantity} {amount}"),
        }
    }

    /// `op`, `key` and `arg` of the history.
    pub(super) fn shown(&self) -> (&'static str, Option<&str>, Value) {
        match self {
            Self::Inc { key, amount } => ("inc", Some(key), json!(amount)),
            Self::Add { key, amount } => ("add", Some(key), json!(amount)),
            Self::ReadCounter { key } => ("read", Some(key), Value::Null),
            Self::Transfer { from, to, amount } => {
                ("transfer", None, json!({ "from": from, "to": to, "amount": amount }))
            }
            Self::ReadLedger => ("read", None, Value::Null),
            Self::Create { name } => ("create", Some(name), Value::Null),
            Self::Delete { name } => ("delete", Some(name), Value::Null),
            Self::Order { item, quantity, amount } => {
                ("order", None, json!({ "item": item, "quantity": quantity, "amount": amount }))
            }
        }
    }
}

impl Answer {
    /// Reads an answer: numbers, booleans and balances are what they look like, all else is text.
    pub(super) fn of(reply: &Reply) -> Self {
        let text = String::from_utf8_lossy(reply.bytes());
        let numbered =
            text.rsplit_once(" #").and_then(|(result, number)| Some((result, number.parse().ok()?)));
        let (result, number) = numbered.map_or((&*text, None), |(result, number)| (result, Some(number)));
        let result = serde_json::from_str(result).unwrap_or_else(|_| Value::String(result.to_owned()));
        Self { result, number }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_back_from_its_text() {
        let services = [Service::Counter, Service::Sums, Service::Ledger, Service::Files, Service::Orders];
        for service in services {
            for number in 0..200 {
                let request = Request::chosen(service, 7, number, 4);
                assert_eq!(Request::parse(&request.text()), Some(request));
            }
        }
    }

    #[test]
    fn a_seed_chooses_the_same_requests_each_time() {
        let chosen = |seed| -> Vec<Request> {
            (0..50).map(|number| Request::chosen(Service::Counter, seed, number, 8)).collect()
        };
        assert_eq!(chosen(3), chosen(3));
        assert_ne!(chosen(3), chosen(4));
    }

    #[test]
    fn replies_are_written_as_what_they_are() {
        let read = |text: &str| {
            let Answer { result, number } = Answer::of(&Reply::from(text.to_owned()));
            (result, number)
        };
        assert_eq!(read("12"), (json!(12), None));
        assert_eq!(read("true"), (json!(true), None));
        assert_eq!(read("true #17"), (json!(true), Some(17)));
        assert_eq!(read("{\"a0\":5} #3"), (json!({ "a0": 5 }), Some(3)));
        assert_eq!(read("hello"), (json!("hello"), None));
        assert_eq!(read("hello #you"), (json!("hello #you"), None));
    }
}
