//! The operator's side of palib: FTM and PAM, supervisor, screens and commands. A library, so that tests can reach
//! what the binary `palib` is made of.

pub mod bench;
pub mod check;
pub mod claims;
pub mod cli;
pub mod cluster;
pub mod defect;
pub mod ftm;
pub mod history;
pub mod keeper;
pub mod operator;
pub mod report;
pub mod run;
pub mod sequence;
pub mod simulate;
pub mod state;
pub mod sweep;
pub mod tui;
pub mod units;
pub mod world;
