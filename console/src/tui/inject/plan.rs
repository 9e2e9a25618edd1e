//! What a choice of the palette stands for: words of the language of defects, orders, and what they would do.

use palib::control::{MemberState, OperatorRequest};

use super::preview::{self, Sentence};
use super::{Choice, Palette};
use crate::defect::{Defect, DiskFault, Injury, When};
use crate::run::inject;
use crate::tui::app::App;

/// A defect before it is injected.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// It in words: the language of defects wherever that has words for it.
    pub text: String,
    /// What the FTM is asked.
    pub requests: Vec<OperatorRequest>,
    /// Whether it can be taken back, and is done without a question.
    pub gentle: bool,
    /// The alias that has nobody left afterwards: its name must be typed.
    pub last_of: Option<String>,
    /// What it would do.
    pub preview: Vec<Sentence>,
}

/// What a choice would do to the target.
///
/// # Errors
/// Why it can't be done.
pub(crate) fn plan(app: &App, palette: &Palette, choice: Choice) -> Result<Plan, String> {
    let (alias, process) = &palette.target;
    if process.is_empty() {
        return Err("there is no process yet".to_owned());
    }
    if choice == Choice::Restart {
        return Ok(restart(app, process));
    }
    let amount = palette.amount(choice);
    let text = match choice {
        Choice::Kill => format!("kill {process}"),
        Choice::Hang => format!("hang {process} {amount}"),
        Choice::Exit => format!("exit {process}"),
        Choice::KillBackup => format!("kill {}", backup(app, alias, process)?),
        Choice::KillAll => every_member(app, alias)?,
        Choice::Cut => format!("cut {process} {}", palette.other(app)),
        Choice::OneWay => format!("oneway {process} {}", palette.other(app)),
        Choice::Drop => format!("drop {process} {} {amount}", palette.other(app)),
        Choice::Delay => format!("delay {process} {} {amount}", palette.other(app)),
        Choice::Duplicate => format!("duplicate {process} {} {amount}", palette.other(app)),
        Choice::Reorder => format!("reorder {process} {}", palette.other(app)),
        Choice::FsyncError => format!("disk {} fsync-error", opened(app, palette)?),
        Choice::Full => format!("disk {} full", opened(app, palette)?),
        Choice::Torn => format!("disk {} torn", opened(app, palette)?),
        Choice::Slow => format!("disk {} slow {amount}", opened(app, palette)?),
        Choice::KillFtm => "kill ftm".to_owned(),
        Choice::KillAt | Choice::WaitAt => return Err("choose a point from the list".to_owned()),
        Choice::EveryPoint => return Ok(every_point(app, alias)),
        Choice::Restart => unreachable!("it was planned above"),
    };
    read(app, text.trim())
}

/// Reads a defect, or several with `and` between them, as they are written.
///
/// # Errors
/// What is wrong with it, or why it can't be done.
pub(crate) fn read(app: &App, text: &str) -> Result<Plan, String> {
    let mut plan =
        Plan { text: String::new(), requests: Vec::new(), gentle: true, last_of: None, preview: Vec::new() };
    let mut injuries = Vec::new();
    for part in text.split(" and ") {
        let defect: Defect = part.parse()?;
        if defect.when != When::default() {
            return Err("here a defect happens at once; `palib defect` waits and repeats".to_owned());
        }
        defect.check_possible()?;
        alive(app, &defect.injury)?;
        plan.requests.push(inject::request(&defect.injury));
        plan.gentle &= is_gentle(&defect.injury);
        injuries.push(defect.injury);
    }
    plan.text = injuries.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    let (preview, last_of) = preview::of(app, &injuries);
    (plan.preview, plan.last_of) = (preview, last_of);
    Ok(plan)
}

/// Whether a defect can be taken back so that nothing has happened but time.
fn is_gentle(injury: &Injury) -> bool {
    match injury {
        Injury::Hang { .. } | Injury::At { .. } | Injury::Link { .. } => true,
        Injury::Disk { fault, .. } => matches!(fault, DiskFault::Slow(_)),
        Injury::Kill(_) | Injury::Exit(_) => false,
    }
}

/// Nobody dies twice, and nobody hangs who hangs.
fn alive(app: &App, injury: &Injury) -> Result<(), String> {
    let world = app.history.live();
    let (Injury::Kill(target) | Injury::Exit(target) | Injury::Hang { target, .. }) = injury else {
        return Ok(());
    };
    let name = preview::serving(world, &target.0);
    match world.processes.get(&name) {
        Some(process) if process.life == crate::world::Life::Dead => Err(format!("{name} is dead")),
        None if name != "ftm" => Err(format!("there is no process {name}")),
        _ if matches!(injury, Injury::Hang { .. }) => {
            let hangs = world.active_defects().any(|it| it.hung_process() == Some(name.as_str()));
            if hangs { Err(format!("{name} hangs already")) } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

fn restart(app: &App, process: &str) -> Plan {
    let (preview, last_of) = preview::of(app, &[Injury::Exit(crate::defect::Target(process.to_owned()))]);
    Plan {
        text: format!("restart {process}"),
        requests: vec![OperatorRequest::Restart { process: process.to_owned() }],
        gentle: false,
        last_of,
        preview,
    }
}

fn every_point(app: &App, alias: &str) -> Plan {
    let points = super::every_point(app, alias).len();
    let told = [
        format!(
            "Whoever serves {alias} waits at each of {points} points that it comes by, one after the other."
        ),
        "n lets it go on; N lets it go on and arms the point again. U takes all of it back.".to_owned(),
        "Who waits is not taken for one that hangs: nobody takes over.".to_owned(),
    ];
    Plan {
        text: format!("pause {alias}@ each of its points"),
        requests: Vec::new(),
        gentle: true,
        last_of: None,
        preview: told.into_iter().map(Sentence::plain).collect(),
    }
}

/// A backup of an alias that lives.
fn backup(app: &App, alias: &str, process: &str) -> Result<String, String> {
    let members = app.history.live().aliases.get(alias).map_or(&[][..], |row| &row.members);
    let backups = || members.iter().filter(|member| member.state == MemberState::Backup);
    // The target if it is one; else the first.
    let found = backups().find(|member| member.process == process).or_else(|| backups().next());
    found.map(|member| member.process.clone()).ok_or_else(|| format!("{alias} has no backup that lives"))
}

fn every_member(app: &App, alias: &str) -> Result<String, String> {
    let members = app.history.live().aliases.get(alias).map_or(&[][..], |row| &row.members);
    let living = members.iter().filter(|member| member.state != MemberState::Dead);
    let kills: Vec<String> = living.map(|member| format!("kill {}", member.process)).collect();
    if kills.is_empty() { Err(format!("nobody of {alias} lives")) } else { Ok(kills.join(" and ")) }
}

/// The alias whose area the target has open: what has no owner has no disk to fail.
fn opened(app: &App, palette: &Palette) -> Result<String, String> {
    let (alias, process) = &palette.target;
    let row = app.history.live().aliases.get(alias);
    match row.and_then(palib::control::AliasRow::in_service) {
        Some(member) if member.process == *process => Ok(alias.clone()),
        _ => Err(format!("{process} does not serve {alias}: it has no stable area open")),
    }
}
