//! What each pane shows, as data: no pane knows where on the terminal it will stand.

mod aliases;
mod areas;
mod demos;
mod events;
mod ledger;
mod metrics;
mod redundancy;
mod relay;
mod sequence;

use super::app::{App, Owner, Pane, Reading};
use super::table::Table;
use crate::world::clock;

pub(crate) use areas::{record, value_lines};
pub(crate) use demos::{demo, standing};
pub(crate) use redundancy::{age_line, state_words};

/// The table of a pane, filtered and sorted as the operator looks at it.
pub(crate) fn table(app: &App, pane: Pane) -> Table {
    let mut table = match pane {
        Pane::Aliases => aliases::table(app),
        Pane::LastEvents => events::last(app),
        Pane::Redundancy => redundancy::table(app),
        Pane::Relays => relay::transactions(app),
        Pane::Journal => relay::journal(app),
        Pane::Sequence => sequence::table(app),
        Pane::Areas => areas::areas(app),
        Pane::Records => areas::records(app),
        Pane::Log => events::log(app),
        Pane::Takeovers => metrics::takeovers(app),
        Pane::Gauges => metrics::gauges(app),
        Pane::Ledger => ledger::table(app),
        Pane::Demos => demos::demos(app),
        Pane::Steps => demos::steps(app),
    };
    match app.looks.get(&pane) {
        Some(look) => table.arrange(look),
        None => table.all = table.rows.len(),
    }
    table
}

/// Who told what is shown of an alias, and as of when, if it is not as it is now.
fn as_of<T>(app: &App, alias: &str, reading: Option<&Reading<T>>) -> String {
    let as_of = reading.map(|it| clock(it.unix_ms, app.world().zero_unix_ms)).unwrap_or_default();
    match app.owner(alias) {
        _ if app.past.is_some() && reading.is_some() => format!("as read at {as_of}"),
        Owner::Serves(process) => format!("of {process}, in service"),
        Owner::Hangs(process) => format!("{process} hangs: stale, as of {as_of}"),
        Owner::Dead if reading.is_some() => format!("nobody in service: stale, as of {as_of}"),
        Owner::Dead => "nobody in service".into(),
    }
}
