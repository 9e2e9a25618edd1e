//! The ledger of defects: what was injected, where it stands, what it was expected to do and did.

use std::collections::BTreeSet;

use crate::tui::app::App;
use crate::tui::inject::{waits_alike, waits_for};
use crate::tui::table::{Cell, Row, Table, number, plain, text, toned};
use crate::world::{DefectState, DefectView, Tone, clock, duration_us};

pub(super) fn table(app: &App) -> Table {
    let world = app.world();
    let mut rows = Vec::new();
    let mut told: BTreeSet<String> = BTreeSet::new();
    for defect in world.defects.iter().rev() {
        let alike = waits_for(defect).map(|alias| waits_alike(app, &alias, defect.state()));
        match alike.filter(|ids| ids.len() > 1) {
            // The newest of them stands for all.
            Some(ids) if !told.contains(&defect.id) => {
                rows.push(steps(app, defect, &ids));
                told.extend(ids);
            }
            Some(_) => {}
            None => rows.push(row(app, defect)),
        }
    }
    let lasting = world.active_defects().count();
    Table {
        title: "ledger".into(),
        remark: match lasting {
            0 => String::new(),
            1 => "1 lasts".to_owned(),
            n => format!("{n} last"),
        },
        columns: vec![
            text("ID", 5),
            text("TIME", 10).spare(4),
            text("DEFECT", 30),
            text("STATE", 9),
            number("EXPECTED", 8),
            number("BLACKOUT", 8),
            number("AGAIN", 6).spare(3),
            number("KNOWN", 6).spare(3),
            text("TOOK OVER", 30).spare(2),
            text("VERDICT", 26),
        ],
        rows,
        empty: "Nothing was injected yet.".into(),
        ..Table::default()
    }
}

fn state(defect: &DefectView) -> (Tone, String) {
    match (defect.state(), defect.waiting()) {
        (DefectState::Armed, _) => (Tone::Injected, "armed".to_owned()),
        (DefectState::Active, Some(_)) => (Tone::Injected, "waits".to_owned()),
        (DefectState::Active, None) => (Tone::Injected, "active".to_owned()),
        (DefectState::Fired, _) => (Tone::Plain, "fired".to_owned()),
        (DefectState::Healed, _) => (Tone::Past, "over".to_owned()),
    }
}

fn row(app: &App, defect: &DefectView) -> Row {
    let world = app.world();
    let deeds = &defect.deeds;
    let (tone, state) = state(defect);
    let takeovers: Vec<String> = deeds.takeovers.iter().map(|it| took_over(app, it)).collect();
    let us = |us: Option<u64>| match us {
        Some(us) => plain(duration_us(us)).by(us),
        None => toned(Tone::Past, "-").by(0),
    };
    Row {
        key: defect.id.clone(),
        first: false,
        cells: vec![
            toned(Tone::Injected, &defect.id),
            toned(Tone::Past, clock(defect.at_unix_ms, world.zero_unix_ms)),
            plain(&defect.spec),
            toned(tone, state),
            us(deeds.expected_us),
            us(world.blackout_us(deeds)),
            plain(deeds.resent.to_string()),
            plain(deeds.redundant.to_string()),
            plain(if takeovers.is_empty() { "-".to_owned() } else { takeovers.join(", ") }),
            verdict(app, defect),
        ],
        json: serde_json::json!({
            "ids": [defect.id], "spec": defect.spec, "state": format!("{:?}", defect.state()).to_lowercase(),
            "at_unix_ms": defect.at_unix_ms, "healed_unix_ms": defect.healed_unix_ms,
            "expected_us": deeds.expected_us, "blackout_us": world.blackout_us(deeds), "resent": deeds.resent,
            "redundant": deeds.redundant, "takeovers": takeovers, "lost": deeds.verdict.map(|it| it.0),
            "doubled": deeds.verdict.map(|it| it.1),
        }),
    }
}

/// Points at which members of an alias are to wait, as one line.
fn steps(app: &App, newest: &DefectView, ids: &[String]) -> Row {
    let none = || toned(Tone::Past, "-").by(0);
    let alias = waits_for(newest).unwrap_or_default();
    let (tone, state) = state(newest);
    let spec = format!("pause {alias}@ {} points", ids.len());
    Row {
        key: format!("{state} {alias}"),
        first: false,
        cells: vec![
            toned(
                Tone::Injected,
                ids.first().map(|id| format!("{id}{}", app.theme.ellipsis())).unwrap_or_default(),
            ),
            toned(Tone::Past, clock(newest.at_unix_ms, app.world().zero_unix_ms)),
            plain(&spec),
            toned(tone, &state),
            none(),
            none(),
            none(),
            none(),
            plain("-"),
            verdict(app, newest),
        ],
        json: serde_json::json!({ "ids": ids, "spec": spec, "state": state }),
    }
}

fn took_over(app: &App, (alias, incarnation): &(String, u64)) -> String {
    let newest_first = app.world().takeovers.iter().rev();
    let mut found = newest_first.filter(|it| it.alias == *alias && it.incarnation == *incarnation);
    match found.next() {
        Some(it) if it.in_service => format!("{} {alias}", it.to),
        Some(it) => format!("{} tries {alias}", it.to),
        None => format!("{alias} i{incarnation}"),
    }
}

fn verdict(app: &App, defect: &DefectView) -> Cell {
    let theme = &app.theme;
    match defect.deeds.verdict {
        Some((0, 0)) => toned(Tone::Good, format!("{} 0 lost 0 doubled", theme.pick("✔", "+"))),
        Some((lost, doubled)) => {
            toned(Tone::Bad, format!("{} {lost} lost {doubled} doubled", theme.pick("✖", "x")))
        }
        None if defect.lasts() => toned(Tone::Past, "-"),
        None if defect.state() == DefectState::Healed && defect.deeds.hit.is_empty() => {
            toned(Tone::Past, "taken back")
        }
        None => toned(Tone::Past, "not audited yet"),
    }
}
