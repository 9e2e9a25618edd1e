//! Headless runs: spawn, load, injure, verify, sum up.

pub mod inject;
