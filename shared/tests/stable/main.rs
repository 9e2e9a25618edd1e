//! Stable areas over real files.

mod atomic;
mod faults;
mod fencing;
mod files;
mod inspect;
mod power_loss;
mod relay;
mod show;
mod support;
mod table;
mod takeover;
