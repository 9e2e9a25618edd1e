//! Taking a guided tour: one step at a time, each with what it expects and what is.

use crate::cluster::{ClusterFile, TourStep};
use crate::world::World;

use super::app::{App, Link, Purpose};
use super::commands::may_act;
use super::msg::Cmd;

/// Ticks (quarters of a second) after which an expectation that does not hold has failed: as long as without a screen.
const PATIENCE_TICKS: u64 = 80;

/// A tour being taken.
#[derive(Clone, Debug)]
pub(crate) struct Tour {
    /// The demo.
    pub demo: String,
    /// What became of the steps done so far.
    pub done: Vec<Outcome>,
    /// The step that waits for its expectations.
    pub running: Option<Running>,
}

/// What became of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Whether everything expected was found.
    pub held: bool,
    /// What was found, expectation by expectation, or what went wrong.
    pub found: Vec<String>,
}

/// A step under way.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    /// The numbers that expectations are about, read before the action.
    before: Vec<Option<u64>>,
    /// When the action was done, on the machine's monotonic clock.
    acted_ns: u64,
    /// Whether each expectation that may never fail has held so far.
    unbroken: Vec<bool>,
    /// When the action was done, in ticks; none while it is not. An action may take any time: it may have to wait.
    acted: Option<u64>,
    /// Why the action can't be done.
    wrong: Option<String>,
}

/// The cluster file of a demo.
pub(crate) fn file<'a>(app: &'a App, demo: &str) -> Option<&'a ClusterFile> {
    app.demos.iter().find(|card| card.name == demo).map(|card| &card.file)
}

/// The step that comes next, and its place.
pub(crate) fn next<'a>(app: &'a App, tour: &Tour) -> Option<(usize, &'a TourStep)> {
    let place = tour.done.len();
    file(app, &tour.demo)?.tour.get(place).map(|step| (place, step))
}

/// Begins the tour of a demo, if it has one.
pub(crate) fn begin(app: &mut App, demo: &str) {
    let has_one = file(app, demo).is_some_and(|file| !file.tour.is_empty());
    app.tour = has_one.then(|| Tour { demo: demo.to_owned(), done: Vec::new(), running: None });
}

/// Whether the next step can be done now.
pub(crate) fn can_step(app: &App) -> Result<(), String> {
    let Some(tour) = &app.tour else {
        return Err(match app.link {
            Link::None => "no tour yet: spawn a demo with Enter".into(),
            _ => "no tour is being taken: its demo must be spawned from screen 8".into(),
        });
    };
    may_act(app)?;
    if tour.running.is_some() {
        return Err("the step before is not over yet".into());
    }
    next(app, tour).map(|_| ()).ok_or_else(|| "the tour is over".to_owned())
}

/// Does the next step.
pub(crate) fn step(app: &mut App) -> Vec<Cmd> {
    let Some((_, step)) =
        app.tour.clone().and_then(|tour| next(app, &tour).map(|(at, step)| (at, step.clone())))
    else {
        return Vec::new();
    };
    let world = app.history.live();
    let running = Running {
        before: step.expect.iter().map(|expectation| expectation.before(world)).collect(),
        acted_ns: 0,
        unbroken: vec![true; step.expect.len()],
        acted: step.action.is_none().then_some(app.ticks),
        wrong: None,
    };
    if let Some(tour) = &mut app.tour {
        tour.running = Some(running);
    }
    judge(app);
    let perform = |action| Cmd::Perform { ticket: app.next_ticket(Purpose::Step), action };
    step.action.map(perform).into_iter().collect()
}

/// The action of the step is done, or can't be.
pub(crate) fn answered(app: &mut App, answer: Result<String, String>) {
    // The screen has no clock of its own; what was measured before the answer is as old as this or older.
    let measured_ns = app.history.live().measured_ns();
    let Some(running) = app.tour.as_mut().and_then(|tour| tour.running.as_mut()) else { return };
    running.acted = Some(app.ticks);
    running.acted_ns = measured_ns;
    if let Err(wrong) = answer {
        running.wrong = Some(wrong);
    }
    judge(app);
}

/// Looks whether the running step is over. Called after each change of the world and each tick.
pub(crate) fn judge(app: &mut App) {
    let Some(mut tour) = app.tour.take() else { return };
    let step = next(app, &tour).map(|(_, step)| step.clone());
    if let (Some(running), Some(step)) = (&mut tour.running, &step) {
        let outcome = running.outcome(step, app.history.live(), app.ticks);
        if let Some(outcome) = outcome {
            tour.running = None;
            tour.done.push(outcome);
        }
    }
    app.tour = Some(tour);
}

impl Running {
    /// Whether its action is not done yet.
    pub(crate) fn acts(&self) -> bool {
        self.acted.is_none()
    }

    fn outcome(&mut self, step: &TourStep, world: &World, ticks: u64) -> Option<Outcome> {
        if let Some(wrong) = &self.wrong {
            return Some(Outcome { held: false, found: vec![wrong.clone()] });
        }
        let holds: Vec<bool> = step
            .expect
            .iter()
            .zip(&self.before)
            .map(|(expectation, before)| expectation.holds(world, *before, self.acted_ns))
            .collect();
        let mut all = true;
        for (place, expectation) in step.expect.iter().enumerate() {
            if expectation.must_hold_always() && !holds[place] {
                self.unbroken[place] = false;
            }
            all &= holds[place] && self.unbroken[place];
        }
        let acted = self.acted?;
        let broken = self.unbroken.contains(&false);
        // What grows needs a little time to; what must not happen needs a little time in which it could.
        let settled = ticks > acted + 2;
        let late = ticks >= acted + PATIENCE_TICKS;
        let over = broken || late || (all && settled);
        if !over {
            return None;
        }
        let found = step.expect.iter().map(|expectation| expectation.found(world, self.acted_ns)).collect();
        Some(Outcome { held: all, found })
    }
}
