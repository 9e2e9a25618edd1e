//! Another call in the place of one that was not answered (patent, claim 26).

use bytes::Bytes;

/// A call that a relay's predecessor made and that has no answer: what
/// [`Service::substitute`](crate::Service::substitute) has to go by.
#[derive(Clone, Debug)]
pub struct Unanswered {
    /// The id of the call that is served (mes X), as `alias/origin/transId`.
    pub id_text: String,
    /// What was asked of the relay (mes X).
    pub request: Bytes,
    /// Where in the handler the call was made: `2`, or `2.1` for the first one in the branch at position 2.
    pub position: String,
    /// The alias that was called.
    pub target: String,
    /// What was asked there (mes Y).
    pub body: Bytes,
}

/// A call that takes the place of an unanswered one. The handler that is run again gets its answer at that position,
/// whatever it asks for there.
#[derive(Clone, Debug)]
pub struct Substitute {
    /// The alias that is called.
    pub target: String,
    /// What is asked.
    pub body: Bytes,
    /// Whether the old call is cancelled first: then exactly one of the two has an effect. If not, nobody knows whether
    /// the old one had its effect.
    pub cancel_old: bool,
}
