//! The clocks the FTM reads: the pure machines never do.

use std::time::{SystemTime, UNIX_EPOCH};

use palib_core::ids::Nanos;
use rustix::time::{ClockId, clock_gettime};

/// The machine's monotonic clock, in nanoseconds; the same for all its processes.
#[must_use]
pub(crate) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// The same as the machines take it.
#[must_use]
pub(crate) fn now() -> Nanos {
    Nanos(now_ns())
}

/// Milliseconds of Unix time.
#[must_use]
pub(crate) fn unix_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// A monotonic moment as milliseconds of Unix time.
#[must_use]
pub(crate) fn unix_ms_of(moment: Nanos) -> u64 {
    unix_ms().saturating_sub(now_ns().saturating_sub(moment.0) / 1_000_000)
}
