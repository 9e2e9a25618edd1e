//! The little languages: defects, what tours do and expect, durations and ids of calls.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use palib_console::cluster::{Action, Expectation};
use palib_console::defect::Defect;
use palib_console::units;

/// Whatever is understood is written in a form that is understood in the same way.
pub(super) fn words(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else { return false };
    let mut understood = reads::<Defect>(text) | reads::<Action>(text) | reads::<Expectation>(text);
    if let Ok(rate) = units::parse_rate(text) {
        assert!(rate.is_finite() && rate >= 0.0, "{rate}");
        understood = true;
    }
    if let Ok(span) = units::parse_duration(text) {
        assert_eq!(units::parse_duration(&units::duration(span)), Ok(span), "`{text}`");
        understood = true;
    }
    understood | palib::parse_call_id(text, |_| Ok(palib::core::ids::AliasId(1))).is_ok()
}

fn reads<T: FromStr<Err: Display> + Display + Debug + PartialEq>(text: &str) -> bool {
    match text.parse::<T>() {
        Ok(value) => {
            let written = value.to_string();
            match written.parse::<T>() {
                Ok(again) => assert_eq!(again, value, "`{text}` is written as `{written}`"),
                Err(error) => panic!("`{text}` is written as `{written}`: {error}"),
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty(), "refused without a word");
            false
        }
    }
}
