//! Peers that mean no good: what they can make a process hold is bounded by the stated limits, measured from outside, and
//! honest callers are served meanwhile.

#[allow(dead_code, reason = "shared with the tests of calls, which need more of it")]
#[path = "../calls/support.rs"]
mod support;

mod attacker;
mod flood;
mod greed;
mod victim;
