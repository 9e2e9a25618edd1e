//! The screens: a model, `update`, `view`, and the terminal around them.

mod act;
mod app;
mod commands;
mod export;
mod filter;
mod keys;
mod msg;
mod panes;
mod pointer;
mod popup;
mod redundancy;
mod stable;
mod table;
mod theme;
mod tour;
mod update;
mod view;

use app::{App, DemoCard};
pub use msg::Quit;
use msg::{Cmd, Msg};
use theme::Theme;
use update::update;
use view::view;
