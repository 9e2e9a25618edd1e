//! Headless runs: spawn, load, injure, verify, sum up.
