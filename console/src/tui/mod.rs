//! The screens: a model, `update`, `view`, and the terminal around them.

mod act;
mod app;
mod at_rest;
mod available;
mod backend;
mod commands;
mod export;
mod filter;
mod inject;
mod keys;
mod matrix;
mod metrics;
mod msg;
mod panes;
mod pointer;
mod popup;
mod process;
mod redundancy;
mod relay;
mod resolve;
mod run;
mod screen;
mod sequence;
mod stable;
mod step;
mod table;
mod terminal;
mod theme;
mod tour;
mod update;
mod view;

#[cfg(test)]
mod tests;

pub use commands::reference;
#[doc(hidden)]
pub use filter::Filter;
pub use msg::Quit;
pub use run::{TuiError, TuiOptions, run};
