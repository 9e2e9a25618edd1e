//! The port alias table (patent, Fig 4).

use palib::control::{AliasRow, MemberRow, MemberState};

use crate::tui::app::{App, Link};
use crate::tui::table::{Row, Table, number, plain, rest, text, toned};
use crate::world::{Tone, clock};

pub(super) fn table(app: &App) -> Table {
    let rows = app.world().aliases.values();
    let rows = rows.flat_map(|alias| alias.members.iter().map(|member| row(app, alias, member))).collect();
    Table {
        title: "port aliases".into(),
        columns: vec![
            text("ALIAS", 20),
            number("PORT", 10).spare(2),
            text("PROCESS", 20),
            text("MARK", 4).spare(3),
            number("PID", 8).spare(1),
            text("STATE", 26),
            number("INC", 5),
            text("SINCE", 10),
            rest("WHY"),
        ],
        rows,
        empty: match &app.link {
            Link::None => "No cluster. Press 8, choose a demo and press Enter.".into(),
            Link::Starting(name) => format!("{name} is being started."),
            Link::Gone(reason) => format!("The cluster is gone: {reason}"),
            Link::Up { .. } => "The FTM has told of no alias yet.".into(),
        },
        ..Table::default()
    }
}

fn row(app: &App, alias: &AliasRow, member: &MemberRow) -> Row {
    let world = app.world();
    let (tone, state) = state(app, member);
    // Only the incarnation of the member in service means something; the others have none yet.
    let incarnation = if member.in_service { alias.incarnation.to_string() } else { String::new() };
    let mark = if member.in_service { app.theme.pick("●", "*") } else { "" };
    Row {
        // Not by its port, which is another one after each start: the selection stays with the process.
        key: format!("{}/{}", alias.alias, member.process),
        first: false,
        cells: vec![
            plain(&alias.alias),
            plain(member.port.to_string()),
            plain(&member.process),
            toned(Tone::Good, mark),
            plain(member.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string())),
            toned(tone, format!("{} {state}", glyph(app, member.state))),
            plain(incarnation),
            plain(clock(member.since_unix_ms, world.zero_unix_ms)),
            plain(&member.why),
        ],
        json: serde_json::json!({
            "alias": alias.alias, "port": member.port, "process": member.process, "mark": member.in_service,
            "pid": member.pid, "state": state, "incarnation": alias.incarnation, "site": alias.site,
            "since_unix_ms": member.since_unix_ms, "why": member.why,
        }),
    }
}

/// The state of a member in a word; a hang that was asked for is told apart from one that was found.
pub(super) fn state(app: &App, member: &MemberRow) -> (Tone, String) {
    if let Some(point) = app.world().waits_at(&member.process)
        && member.state != MemberState::Dead
    {
        return (Tone::Injected, format!("paused at {point}"));
    }
    let hangs = app.world().active_defects().any(|it| it.hung_process() == Some(member.process.as_str()));
    let (tone, word) = match member.state {
        MemberState::Starting => (Tone::Warn, "starting"),
        MemberState::Promoting => (Tone::Warn, "promoting"),
        MemberState::Dead => (Tone::Bad, "dead"),
        _ if hangs => (Tone::Injected, "hung by you"),
        MemberState::Hung => (Tone::Warn, "hung"),
        MemberState::InService => (Tone::Good, "in service"),
        MemberState::Backup => (Tone::Standby, "backup"),
    };
    (tone, word.to_owned())
}

/// The glyph of a member's state.
pub(super) fn glyph(app: &App, state: MemberState) -> &'static str {
    let (unicode, ascii) = match state {
        MemberState::InService => ("●", "*"),
        MemberState::Backup => ("○", "o"),
        MemberState::Promoting => ("◐", "~"),
        MemberState::Starting => ("◌", "."),
        MemberState::Hung => ("▲", "!"),
        MemberState::Dead => ("✖", "x"),
    };
    app.theme.pick(unicode, ascii)
}

/// The glyph, tone and word of a member, for the topology.
pub(crate) fn standing(app: &App, member: &MemberRow) -> (Tone, &'static str, String) {
    let (tone, word) = state(app, member);
    (tone, glyph(app, member.state), word)
}
