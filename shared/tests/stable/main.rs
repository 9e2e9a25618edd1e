//! Stable areas over real files.

mod atomic;
mod fencing;
mod files;
mod show;
mod support;
mod table;
