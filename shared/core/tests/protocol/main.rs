//! The protocol under every schedule: a model checker over small worlds, seeded random walks through larger ones.

mod areas;
mod cluster;
mod model;
mod properties;
mod shell;
mod takeover;
mod walks;
mod world;
