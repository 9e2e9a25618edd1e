//! Relays under every schedule: aliases in a row, of which the first are clients and the others serve, by calls on
//! behalf of calls. A model checker goes through small worlds, seeded random walks through larger ones.

mod area;
mod callers;
mod feed;
mod guards;
mod heal;
mod ids;
mod model;
mod properties;
mod servers;
mod service;
mod setup;
mod stories;
mod takeover;
mod walks;
mod world;
