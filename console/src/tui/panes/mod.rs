//! What each pane shows, as data: no pane knows where on the terminal it will stand.

mod aliases;
mod areas;
mod demos;
mod events;
mod redundancy;
mod sequence;

use super::app::{App, Pane};
use super::table::Table;

pub(crate) use areas::{record, value_lines};
pub(crate) use demos::standing;
pub(crate) use redundancy::{age_line, state_words};

/// The table of a pane, filtered and sorted as the operator looks at it.
pub(crate) fn table(app: &App, pane: Pane) -> Table {
    let mut table = match pane {
        Pane::Aliases => aliases::table(app),
        Pane::LastEvents => events::last(app),
        Pane::Redundancy => redundancy::table(app),
        Pane::Sequence => sequence::table(app),
        Pane::Areas => areas::areas(app),
        Pane::Records => areas::records(app),
        Pane::Log => events::log(app),
        Pane::Demos => demos::demos(app),
        Pane::Steps => demos::steps(app),
    };
    match app.looks.get(&pane) {
        Some(look) => table.arrange(look),
        None => table.all = table.rows.len(),
    }
    table
}
