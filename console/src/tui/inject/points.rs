//! The list of defect points: searched by typing, armed with Enter.

use palib::control::OperatorRequest;
use palib::defect::{Part, Point};
use tui_input::Input;

use super::plan::read;
use crate::tui::act;
use crate::tui::app::{App, Purpose, Remedy, Undo};
use crate::tui::commands::may_act;
use crate::tui::msg::Cmd;
use crate::tui::popup::{Popup, edit};
use crate::world::{Role, Tone};

/// The list as it is open.
#[derive(Clone, Debug)]
pub(crate) struct Points {
    /// The alias.
    pub alias: String,
    /// Whether who passes stops and waits, instead of dying.
    pub pause: bool,
    /// At which time of passing it.
    pub nth: u32,
    /// What is typed.
    pub input: Input,
    /// The chosen one.
    pub chosen: usize,
}

impl Points {
    /// The list of an alias.
    pub(super) fn of(alias: &str, pause: bool) -> Points {
        Points { alias: alias.to_owned(), pause, nth: 1, input: Input::default(), chosen: 0 }
    }

    /// A point of the list in the language of defects.
    pub(crate) fn text(&self, point: Point) -> String {
        let verb = if self.pause { "pause" } else { "kill" };
        let target = if point.part() == Part::Ftm { "ftm" } else { &self.alias };
        let nth = if self.nth > 1 { format!("#{}", self.nth) } else { String::new() };
        format!("{verb} {target}@{point}{nth}")
    }
}

/// Whether who plays this part passes a point.
fn fits(role: Role, point: Point) -> bool {
    match point.part() {
        Part::Server => role != Role::Client,
        Part::Caller => role != Role::Server,
        Part::Relay => role == Role::Relay,
        Part::Takeover => true,
        Part::Ftm => false,
    }
}

/// The points that members of an alias pass, in the order in which they are passed.
pub(crate) fn every_point(app: &App, alias: &str) -> Vec<Point> {
    let role = app.world().role(alias);
    Point::ALL.iter().copied().filter(|point| fits(role, *point)).collect()
}

/// The points of the list that have all the words typed in their name or meaning; those of the FTM last.
pub(crate) fn candidates(app: &App, points: &Points) -> Vec<Point> {
    let words: Vec<String> = points.input.value().split_whitespace().map(str::to_lowercase).collect();
    let found = |point: &Point| {
        let text = format!("{} {}", point.name(), point.meaning()).to_lowercase();
        words.iter().all(|word| text.contains(word))
    };
    let ftm = Point::ALL.iter().copied().filter(|point| point.part() == Part::Ftm);
    every_point(app, &points.alias).into_iter().chain(ftm).filter(found).collect()
}

/// Gives a key to the list on top.
pub(crate) fn pressed(app: &mut App, key: &str) -> Vec<Cmd> {
    let Some(Popup::Points(points)) = app.popups.last().cloned() else { return Vec::new() };
    let found = candidates(app, &points);
    if key == "enter" {
        let Some(point) = found.get(points.chosen.min(found.len().saturating_sub(1))) else {
            return Vec::new();
        };
        let text = points.text(*point);
        return match may_act(app).and_then(|()| read(app, &text)) {
            Ok(plan) => {
                app.popups.pop();
                super::carry_out(app, plan)
            }
            Err(reason) => {
                app.tell(Tone::Warn, reason);
                Vec::new()
            }
        };
    }
    let Some(Popup::Points(points)) = app.popups.last_mut() else { return Vec::new() };
    let last = found.len().saturating_sub(1);
    match key {
        "esc" => {
            app.popups.pop();
        }
        "tab" | "backtab" => points.pause = !points.pause,
        "right" => points.nth = (points.nth + 1).min(999),
        "left" => points.nth = (points.nth - 1).max(1),
        "down" => points.chosen = (points.chosen + 1).min(last),
        "up" => points.chosen = points.chosen.min(last).saturating_sub(1),
        "pagedown" => points.chosen = (points.chosen + 10).min(last),
        "pageup" => points.chosen = points.chosen.min(last).saturating_sub(10),
        _ => {
            if edit(&mut points.input, key) {
                points.chosen = 0;
            }
        }
    }
    Vec::new()
}

/// Arms every point of an alias to wait there, so that it is stepped from point to point.
pub(crate) fn arm_every(app: &mut App, alias: &str) -> Vec<Cmd> {
    let world = app.history.live();
    let known = |point: &Point| {
        let spec = format!("pause {alias}@{point}");
        world.active_defects().any(|it| it.spec == spec && it.state() == crate::world::DefectState::Armed)
    };
    let missing: Vec<Point> = every_point(app, alias).into_iter().filter(|point| !known(point)).collect();
    let what = format!("{alias} is not stepped any more");
    app.undo.retain(|undo| undo.what != what);
    app.undo.push(Undo { what, by: Remedy::Steps(alias.to_owned()) });
    app.tell(
        Tone::Injected,
        format!("whoever serves {alias} waits at its next point; N goes on to the one after, U ends it"),
    );
    let arm = missing.into_iter().map(|point| {
        let request = OperatorRequest::Arm {
            target: alias.to_owned(),
            point: point.name().to_owned(),
            nth: 1,
            pause: true,
        };
        // One line for all of them was told already; only what goes wrong is told of each.
        let ticket = app.next_ticket(Purpose::Quiet(format!("pause {alias}@{point}")));
        Cmd::Ask { ticket, request }
    });
    arm.collect()
}

/// Ends stepping: every point of the alias that is armed to wait is disarmed, and who waits goes on.
pub(crate) fn disarm_every(app: &mut App, alias: &str) -> Vec<Cmd> {
    let begins = format!("pause {alias}@");
    let world = app.history.live();
    let lasting = world.active_defects().filter(|it| it.spec.starts_with(&begins));
    let remedies: Vec<_> = lasting.filter_map(|it| Some((it.id.clone(), it.remedy()?))).collect();
    let over =
        remedies.into_iter().map(|(id, remedy)| act::order(app, format!("{id} is over"), remedy, None));
    over.flatten().collect()
}
