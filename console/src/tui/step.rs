//! Stepping: who waits at a defect point goes on, to the next point if wanted.

use palib::control::OperatorRequest;

use super::act::order;
use super::app::App;
use super::commands::may_act;
use super::inject;
use super::msg::Cmd;
use super::tour;

/// The process that `n` lets go on: the chosen one if it waits, else the one that has waited longest.
#[must_use]
pub(crate) fn waiting(app: &App) -> Option<String> {
    let world = app.history.live();
    let chosen = app.target().map(|(process, _)| process).filter(|it| world.waits_at(it).is_some());
    chosen.or_else(|| {
        let waits = world.defects.iter().filter(|defect| defect.waiting().is_some());
        let longest = waits.min_by_key(|defect| defect.at_unix_ms)?;
        longest.waiting().map(|(process, _)| process.to_owned())
    })
}

/// Lets who waits go on; if nobody does, the tour takes its next step.
pub(crate) fn on(app: &mut App) -> Vec<Cmd> {
    match waiting(app) {
        Some(process) => {
            let what = format!("{process} goes on");
            order(app, what, OperatorRequest::StepOn { process }, None)
        }
        None => tour::step(app),
    }
}

/// The alias that would be stepped from point to point: that of who waits, or else the chosen one.
fn subject(app: &App) -> Option<String> {
    let world = app.history.live();
    match waiting(app) {
        Some(process) => {
            let all = world.memberships(&process);
            // Whoever waits does so for an alias that it serves, or is about to.
            let alias = all.iter().find(|(_, serves)| *serves).or_else(|| all.first());
            alias.map(|(alias, _)| (*alias).to_owned())
        }
        None => app.target().map(|(_, alias)| alias),
    }
}

/// Whether an alias can be stepped from point to point.
pub(crate) fn can_step_each(app: &App) -> Result<(), String> {
    may_act(app)?;
    subject(app)
        .map(|_| ())
        .ok_or_else(|| "nobody waits, and no process is chosen: choose one on screen 1".into())
}

/// Lets who waits go on to the next point of its alias, and waits there.
pub(crate) fn each(app: &mut App) -> Vec<Cmd> {
    let Some(alias) = subject(app) else { return Vec::new() };
    // Armed first: the process must not run past the next point before its FTM has told it.
    let mut commands = inject::arm_every(app, &alias);
    if let Some(process) = waiting(app) {
        let what = format!("{process} goes on to its next point");
        commands.extend(order(app, what, OperatorRequest::StepOn { process }, None));
    }
    commands
}
