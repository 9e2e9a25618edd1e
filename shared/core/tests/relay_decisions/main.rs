//! What a server does with calls that it makes on behalf of calls, and with cancellations, one decision at a time.

mod bench;
mod cancel;
mod forward;
mod takeover;
