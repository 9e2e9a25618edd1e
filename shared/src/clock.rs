//! The machine's monotonic clock, which all its processes share.

use std::time::{SystemTime, UNIX_EPOCH};

use palib_core::ids::Nanos;

/// Now, in nanoseconds of CLOCK_MONOTONIC: comparable between the processes of one machine.
#[must_use]
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    // Monotonic time starts at boot and is never negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Now, for the state machines.
#[must_use]
pub fn now() -> Nanos {
    Nanos(monotonic_ns())
}

/// Now, in milliseconds of Unix time.
#[must_use]
pub fn unix_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
