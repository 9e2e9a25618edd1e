//! Options of a service, as the cluster file gives them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use palib::control::{JoinTicket, TicketAlias};
use serde_json::Value;

use crate::NodeError;

/// The options of one alias.
pub(crate) struct Options<'a> {
    alias: &'a str,
    values: &'a BTreeMap<String, Value>,
}

impl<'a> Options<'a> {
    pub(crate) fn of(alias: &'a TicketAlias) -> Self {
        Self { alias: &alias.alias, values: &alias.options }
    }

    /// Refuses options that the service does not know: a mistyped name must not be passed over in silence.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), NodeError> {
        let unknown = self.values.keys().find(|name| !known.contains(&name.as_str()));
        unknown.map_or(Ok(()), |name| {
            Err(self.wrong(name, format!("is not known here; there are {}", known.join(", "))))
        })
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, NodeError> {
        self.read(name, "must be a whole number, not below 0", Value::as_u64)
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, NodeError> {
        self.read(name, "must be true or false", Value::as_bool)
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<String>, NodeError> {
        self.read(name, "must be a text in quotes", |value| value.as_str().map(str::to_owned))
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, NodeError> {
        let texts =
            |value: &Value| value.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect();
        self.read(name, "must be a list of texts, such as [\"counter\"]", texts)
    }

    /// A number of calls a second: `200`, or as it is written elsewhere, `"200/s"`.
    pub(crate) fn rate(&self, name: &str) -> Result<Option<f64>, NodeError> {
        self.read(name, "must be a number of calls a second, such as 200 or \"200/s\"", rate)
    }

    /// A time in milliseconds: `20`, or `"20ms"`, or `"2s"`.
    pub(crate) fn time(&self, name: &str) -> Result<Option<Duration>, NodeError> {
        self.read(name, "must be a time, such as \"20ms\" or \"2s\"", time)
    }

    pub(crate) fn wrong(&self, option: &str, reason: impl Into<String>) -> NodeError {
        NodeError::Option { alias: self.alias.to_owned(), option: option.to_owned(), reason: reason.into() }
    }

    fn read<T>(
        &self,
        name: &str,
        wanted: &str,
        take: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>, NodeError> {
        let Some(value) = self.values.get(name) else { return Ok(None) };
        match take(value) {
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong(name, format!("is {value}; it {wanted}"))),
        }
    }
}

/// The folder of the cluster's state, in which the areas' folder lies.
pub(crate) fn state_folder(ticket: &JoinTicket) -> PathBuf {
    ticket.areas.parent().map_or_else(|| ticket.areas.clone(), PathBuf::from)
}

pub(crate) fn rate(value: &Value) -> Option<f64> {
    let rate = match value {
        Value::String(text) => text.strip_suffix("/s").unwrap_or(text).trim().parse().ok()?,
        other => other.as_f64()?,
    };
    (rate.is_finite() && rate >= 0.0).then_some(rate)
}

pub(crate) fn time(value: &Value) -> Option<Duration> {
    let ms = match value {
        Value::String(text) => {
            let (number, unit) = match text.strip_suffix("ms") {
                Some(number) => (number, 1.0),
                None => (text.strip_suffix('s')?, 1000.0),
            };
            number.trim().parse::<f64>().ok()? * unit
        }
        other => other.as_f64()?,
    };
    (ms.is_finite() && ms >= 0.0).then(|| Duration::from_micros((ms * 1000.0) as u64))
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    /// A membership with these options.
    pub(crate) fn alias(name: &str, options: Value) -> TicketAlias {
        TicketAlias {
            alias: name.to_owned(),
            alias_id: 1,
            port: 1,
            kind: None,
            id_by_port: false,
            trans_scope: "alias".to_owned(),
            outbox: false,
            on_takeover: palib::control::Policy::default(),
            options: options.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }

    #[test]
    fn times_and_rates_are_read_as_numbers_or_with_their_unit() {
        assert_eq!(time(&json!("20ms")), Some(Duration::from_millis(20)));
        assert_eq!(time(&json!("1.5s")), Some(Duration::from_millis(1500)));
        assert_eq!(time(&json!(20)), Some(Duration::from_millis(20)));
        assert_eq!(time(&json!("soon")), None);
        assert_eq!(rate(&json!("200/s")), Some(200.0));
        assert_eq!(rate(&json!(0.5)), Some(0.5));
        assert_eq!(rate(&json!("-1/s")), None);
    }
}
