//! The screens.

mod filter;
mod table;
mod theme;
