//! Control messages, and what else is JSON.

use palib::control::{Event, FromFtm, FromFtmToOperator, JoinTicket, ToFtm, ToFtmFromOperator};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Each kind of message reads it, as they all come in the same kind of frame.
pub(super) fn control(data: &[u8]) -> bool {
    let understood = [
        reads::<ToFtm>(data),
        reads::<FromFtm>(data),
        reads::<ToFtmFromOperator>(data),
        reads::<FromFtmToOperator>(data),
        reads::<Event>(data),
        reads::<JoinTicket>(data),
    ];
    understood.contains(&true)
}

/// What was understood is the same after it was written and read once more.
fn reads<T: Serialize + DeserializeOwned>(data: &[u8]) -> bool {
    let Ok(message) = serde_json::from_slice::<T>(data) else { return false };
    let text = serde_json::to_string(&message).expect("what was read can be written");
    let again: T = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(text, serde_json::to_string(&again).expect("and written again"));
    true
}
