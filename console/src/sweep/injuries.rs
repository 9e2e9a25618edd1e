//! The defects of a sweep that strike at no named point: of processes, links and disks.

use super::plan::FTM;
use super::reach::{callers, edges};
use crate::cluster::{AliasSpec, ClusterFile};
use crate::defect::Defect;

/// How long faults of links and of disks that end by themselves last, in milliseconds: longer than a process may be
/// silent in most clusters.
const LASTING_MS: u64 = 900;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    /// `process`, `link` or `disk`.
    pub(super) part: &'static str,
    /// What happens, without whom it hits.
    pub(super) row: String,
    /// The alias it hits, or `ftm`.
    pub(super) column: String,
    /// The same in the language of defects.
    pub(super) spec: String,
}

/// All of them that this version can do, a row after another.
pub(super) fn all(file: &ClusterFile) -> Vec<Plain> {
    let mut found = Vec::new();
    for alias in &file.aliases {
        found.extend(of_process(file, alias));
        found.extend(of_link(file, alias));
        found.extend(of_disk(alias));
    }
    found.push(plain("process", "kill", FTM, format!("kill {FTM}")));
    let possible = |plain: &Plain| plain.spec.parse::<Defect>().is_ok_and(|it| it.check_possible().is_ok());
    found.retain(possible);
    found
}

fn plain(part: &'static str, row: impl Into<String>, column: &str, spec: String) -> Plain {
    Plain { part, row: row.into(), column: column.to_owned(), spec }
}

fn of_process(file: &ClusterFile, alias: &AliasSpec) -> Vec<Plain> {
    let name = alias.name.as_str();
    // One too short to be suspected, one that is fenced before it is over.
    let suspect_ms = file.settings.suspect_after.as_millis() as u64;
    let (short, long) = (suspect_ms / 3, suspect_ms * 2);
    let mut found = vec![
        plain("process", "kill", name, format!("kill {name}")),
        plain("process", "hang, short", name, format!("hang {name} {short}ms")),
        plain("process", "hang, long", name, format!("hang {name} {long}ms")),
        plain("process", "exit", name, format!("exit {name}")),
    ];
    if let Some(backup) = file.members(name).get(1) {
        found.push(plain("process", "kill a backup", name, format!("kill {backup}")));
        found.push(plain("process", "hang a backup", name, format!("hang {backup} {long}ms")));
    }
    found
}

fn of_link(file: &ClusterFile, alias: &AliasSpec) -> Vec<Plain> {
    let name = alias.name.as_str();
    let link = |row: &str, spec: String| plain("link", row, name, format!("{spec} for {LASTING_MS}ms"));
    let mut found = vec![
        link("cut from the FTM", format!("cut {name} {FTM}")),
        link("oneway to the FTM", format!("oneway {name} {FTM}")),
        link("oneway from the FTM", format!("oneway {FTM} {name}")),
    ];
    if let [active, backup, ..] = file.members(name)[..] {
        found.push(link("cut from a backup", format!("cut {active} {backup}")));
    }
    // Whoever calls it, or else whom it calls.
    let called = edges(file).into_iter().find(|(from, _)| from == name).map(|(_, to)| to);
    let peer = callers(file, name).first().map(|caller| caller.name.clone()).or(called);
    if let Some(peer) = peer {
        found.extend([
            link("cut from a peer", format!("cut {name} {peer}")),
            link("oneway to a peer", format!("oneway {name} {peer}")),
            link("oneway from a peer", format!("oneway {peer} {name}")),
            link("drop 20%", format!("drop {name} {peer} 20%")),
            link("delay 20ms±10ms", format!("delay {name} {peer} 20ms±10ms")),
            link("duplicate 20%", format!("duplicate {name} {peer} 20%")),
            link("reorder", format!("reorder {name} {peer}")),
        ]);
    }
    found
}

fn of_disk(alias: &AliasSpec) -> Vec<Plain> {
    let name = alias.name.as_str();
    let disk = |fault: &str, spec: String| plain("disk", fault, name, spec);
    vec![
        disk("fsync-error", format!("disk {name} fsync-error")),
        disk("torn", format!("disk {name} torn")),
        disk("full", format!("disk {name} full for {LASTING_MS}ms")),
        disk("slow 300ms", format!("disk {name} slow 300ms for {LASTING_MS}ms")),
    ]
}
