//! What can be done now, and if not, why not; the footer is made of that.

use super::app::{App, Link, Pane, Screen};
use super::commands::{COMMANDS, Command, Id, find};
use super::inject::{Choice, Group, Palette};
use super::popup::Popup;

use Screen::{Cluster, Metrics, Redundancy, Relay, Sequence, Stable};

/// Whether a command can be done now; if not, why not.
pub(crate) fn available(app: &App, id: Id) -> Result<(), String> {
    let command = find(id);
    if !command.is_on(app.screen) {
        let names: Vec<String> =
            command.screens.iter().map(|screen| format!("{} {}", screen.number(), screen.name())).collect();
        return Err(format!("only on screen {}", names.join(", ")));
    }
    match id {
        Id::Act => target(app).map(|_| ()),
        Id::Kill | Id::Hang | Id::HangFor | Id::Resume | Id::Exit | Id::Restart | Id::AddBackup => {
            target(app).and_then(|(process, _)| can_do_to(app, id, &process))
        }
        Id::Undo | Id::HealAll if may_act(app).is_err() => may_act(app),
        Id::Undo if app.undo.is_empty() => Err("nothing to undo: only what is reversible can be".into()),
        Id::HealAll if app.history.live().active_defects().next().is_none() => {
            Err("nothing hangs or waits, nothing is armed or disturbed".into())
        }
        Id::Undo | Id::HealAll => Ok(()),
        Id::Resolve | Id::ResolveReply | Id::ResolveRerun | Id::ResolveRollBack | Id::ResolveFail => {
            may_act(app)?;
            super::resolve::can_decide(app, id)
        }
        Id::Policy | Id::PolicyForward | Id::PolicySubstitute | Id::PolicyBack => {
            may_act(app)?;
            super::relay::can_set_policy(app, id)
        }
        Id::TourStep if super::step::waiting(app).is_some() => may_act(app),
        Id::TourStep => super::tour::can_step(app),
        Id::Sweep => super::matrix::can_open(app),
        Id::StepEach => super::step::can_step_each(app),
        Id::Defects if app.history.live().processes.is_empty() => may_ask(app),
        Id::TourEnd if app.tour.is_none() => Err("no tour is being taken".into()),
        Id::StepBack | Id::MarkBack | Id::Pause if app.history.newest().is_none() => {
            Err("nothing has happened yet".into())
        }
        Id::StepForward | Id::MarkForward if app.past.is_none() => Err("this is live".into()),
        Id::Check => super::stable::can_check(app),
        Id::Go(Cluster | Redundancy | Relay | Sequence | Stable | Metrics)
            if app.link == Link::None && app.history.newest().is_none() =>
        {
            Err("no cluster yet: spawn a demo with Enter".into())
        }
        Id::CopyCell | Id::CopyRow => {
            let pane = app.pane();
            app.place(pane, &app.table(pane)).map(|_| ()).ok_or_else(|| "no row is chosen".into())
        }
        _ => Ok(()),
    }
}

/// Whether orders may be given at all.
pub(crate) fn may_act(app: &App) -> Result<(), String> {
    if app.read_only {
        return Err("this console is read-only".into());
    }
    if app.past.is_some() {
        return Err("this is the past: Space goes back to live".into());
    }
    may_ask(app)
}

/// Whether the FTM can be asked at all.
pub(crate) fn may_ask(app: &App) -> Result<(), String> {
    match &app.link {
        Link::Up { reached: true, .. } => Ok(()),
        Link::Up { .. } => Err("the FTM is not reached; it is being started again".into()),
        Link::Starting(name) => Err(format!("{name} is being started")),
        Link::Gone(reason) => Err(format!("the cluster is gone: {reason}")),
        Link::None => Err("no cluster yet: spawn a demo on screen 8".into()),
    }
}

fn target(app: &App) -> Result<(String, String), String> {
    may_act(app)?;
    app.target().ok_or_else(|| "no process is chosen: choose one on screen 1".to_owned())
}

/// Whether a command can be done to this process.
pub(crate) fn can_do_to(app: &App, id: Id, process: &str) -> Result<(), String> {
    may_act(app)?;
    if id == Id::AddBackup {
        return Ok(());
    }
    let world = app.history.live();
    let injected = world.active_defects().any(|defect| defect.hung_process() == Some(process));
    let alive = world.processes.get(process).is_some_and(|it| it.life != crate::world::Life::Dead);
    match id {
        Id::Restart => Ok(()),
        _ if !alive => Err(format!("{process} is dead")),
        Id::Resume if !injected => Err(format!("{process} does not hang by an injected defect")),
        Id::Hang | Id::HangFor if injected => Err(format!("{process} hangs already")),
        _ => Ok(()),
    }
}

/// The commands of the footer for what is on top now, in order.
#[must_use]
pub(crate) fn footer(app: &App) -> Vec<(&'static str, &'static str)> {
    if let Some(popup) = app.popups.last() {
        return popup_footer(popup);
    }
    let mut commands: Vec<&Command> = COMMANDS
        .iter()
        .filter(|command| command.footer > 0 && command.is_on(app.screen))
        .filter(|command| {
            match command.id {
                // Where there is nothing to step, the key would only stand in the way of others.
                Id::StepEach => super::step::waiting(app).is_some() && available(app, command.id).is_ok(),
                Id::TourStep | Id::Resolve | Id::Policy => available(app, command.id).is_ok(),
                _ => true,
            }
        })
        .collect();
    commands.sort_by_key(|command| command.footer);
    let shown = commands.into_iter().map(|command| {
        let name = match command.id {
            Id::Enter => enter_does(app),
            Id::TourStep if super::step::waiting(app).is_some() => "step on",
            Id::Pause if app.past.is_some() => "live",
            Id::Follow if app.follow => "stop following",
            _ => command.name,
        };
        (command.keys[0], name)
    });
    shown.collect()
}

/// What `Enter` does here, in one or two words.
fn enter_does(app: &App) -> &'static str {
    match app.pane() {
        Pane::Aliases => "its table",
        Pane::Sequence => "go there",
        Pane::Relays | Pane::Journal => "chart",
        Pane::LastEvents | Pane::Log if super::sequence::chosen_call(app).is_ok() => "chart",
        Pane::LastEvents | Pane::Log | Pane::Redundancy => "details",
        Pane::Areas => "records",
        Pane::Records => "value",
        Pane::Ledger | Pane::Takeovers => "go there",
        Pane::Gauges => "details",
        Pane::Demos => "spawn",
        Pane::Steps => "text",
    }
}

fn popup_footer(popup: &Popup) -> Vec<(&'static str, &'static str)> {
    match popup {
        Popup::Filter { .. } => vec![("enter", "keep"), ("esc", "drop")],
        Popup::Detail { .. } => vec![("j k", "scroll"), ("y", "copy"), ("esc", "close")],
        Popup::Confirm(confirm) if confirm.typed.is_some() => vec![("enter", "do it"), ("esc", "cancel")],
        Popup::Confirm(_) => vec![("tab", "choose"), ("enter", "do it"), ("esc", "cancel")],
        Popup::Ask { .. } => vec![("enter", "do it"), ("esc", "cancel")],
        Popup::Defects(palette) => palette_footer(palette),
        Popup::Sweep(_) => vec![
            ("h j k l", "choose"),
            ("n", "next that is wrong"),
            ("y", "copy the command"),
            ("esc", "close"),
        ],
        Popup::Points(_) => vec![
            ("type", "search"),
            ("tab", "kill or wait"),
            ("left right", "which time"),
            ("enter", "arm"),
            ("esc", "close"),
        ],
        Popup::Menu { .. } => vec![("j k", "choose"), ("enter", "do it"), ("esc", "close")],
        Popup::Palette { .. } | Popup::Help { .. } => {
            vec![("type", "search"), ("up down", "choose"), ("enter", "run"), ("esc", "close")]
        }
    }
}

fn palette_footer(palette: &Palette) -> Vec<(&'static str, &'static str)> {
    if palette.in_ledger {
        return vec![
            ("enter", "go there"),
            ("u", "take back"),
            ("U", "heal all"),
            ("s", "save"),
            ("esc", "close"),
        ];
    }
    let mut keys = vec![("enter", "inject"), ("tab", "target")];
    if palette.choice.group() == Group::Network {
        keys.push(("]", "other end"));
    }
    if !palette.amount(palette.choice).is_empty() || palette.choice == Choice::Hang {
        keys.push(("+ -", "amount"));
    }
    keys.extend([(":", "in words"), ("u", "undo"), ("U", "heal all"), ("s", "save"), ("esc", "close")]);
    keys
}
