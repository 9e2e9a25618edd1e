//! The sequence chart: which call it follows, how it is folded, and how one comes to it.

use crate::sequence::{Chart, Wish, call_of};
use crate::world::Tone;

use super::app::{App, Pane, Past, Screen};
use super::msg::Cmd;
use super::update::drill;

/// Steps a chart has at most; what is older is a look into the past away.
const STEPS_MAX: usize = 400;
/// Times without events are folded from so long on, in microseconds: `z` goes round.
const FOLDS_US: [u64; 4] = [10_000, 100_000, 1_000_000, 1_000];

/// How the operator looks at the chart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ChartLook {
    /// The call that is followed; none: everything.
    pub follow: Option<String>,
    /// The place in the list of folds.
    fold: usize,
    /// Whether processes with which nothing happens have no lanes.
    pub busy_only: bool,
    /// The first lane in view, where not all fit.
    pub first_lane: usize,
}

impl ChartLook {
    /// From how long on a time without events is folded, in microseconds.
    #[must_use]
    pub(crate) fn fold_us(&self) -> u64 {
        FOLDS_US[self.fold]
    }

    /// Folds more, then less again.
    pub(crate) fn next_fold(&mut self) {
        self.fold = (self.fold + 1) % FOLDS_US.len();
    }
}

/// The chart on the screen.
#[must_use]
pub(crate) fn chart(app: &App) -> Chart {
    let wish = Wish {
        follow: app.chart.follow.clone(),
        fold_us: app.chart.fold_us(),
        steps_max: STEPS_MAX,
        idle_lanes: !app.chart.busy_only,
    };
    let events = app.history.oldest_first(app.moment());
    Chart::of(events, app.history.beginning(), app.world(), &wish)
}

/// The call that the chosen row is about.
pub(crate) fn chosen_call(app: &App) -> Result<String, String> {
    let pane = app.pane();
    let table = app.table(pane);
    let row = app.place(pane, &table).and_then(|place| table.rows.get(place)).ok_or("no row is chosen")?;
    let call = match pane {
        Pane::Redundancy | Pane::Relays | Pane::Journal => Some(row.key.clone()),
        Pane::Sequence => row.json["call"].as_str().map(str::to_owned),
        Pane::Log | Pane::LastEvents => serde_json::from_value(row.json.clone())
            .ok()
            .and_then(|event: palib::control::Event| call_of(&event.what).map(str::to_owned)),
        _ => None,
    };
    call.ok_or_else(|| "the chosen row is about no call".to_owned())
}

/// Shows the chart of the chosen call; of everything, where the chosen row is about none.
pub(crate) fn show(app: &mut App) -> Vec<Cmd> {
    let call = chosen_call(app).ok();
    if app.screen != Screen::Sequence {
        drill(app, Screen::Sequence);
    }
    follow(app, call);
    Vec::new()
}

fn follow(app: &mut App, call: Option<String>) {
    // A followed call is read from its beginning, everything from its end.
    app.follow = call.is_none();
    app.chart.follow = call;
    app.chart.first_lane = 0;
    let look = app.look_mut(Pane::Sequence);
    look.chosen = None;
    look.offset = 0;
}

/// Follows no call any more; false if none was followed.
pub(crate) fn let_go(app: &mut App) -> bool {
    let followed = app.chart.follow.is_some();
    if followed {
        follow(app, None);
    }
    followed
}

/// Shows the chart of everything as it was at a moment.
pub(crate) fn at(app: &mut App, moment: crate::world::Moment) {
    if app.screen != Screen::Sequence {
        drill(app, Screen::Sequence);
    }
    follow(app, None);
    app.past = Some(Past { moment, world: Box::new(app.history.world_at(moment)) });
    app.tell(Tone::Plain, "every screen is as it was at this moment; Space goes back to live");
}

/// Shows every screen as it was at the chosen step.
pub(crate) fn go_there(app: &mut App) {
    let table = app.table(Pane::Sequence);
    let Some(row) = app.place(Pane::Sequence, &table).and_then(|place| table.rows.get(place)) else { return };
    let moment = row.json["seq"].as_u64().and_then(|seq| app.history.moment_of(seq));
    if let Some(moment) = moment {
        app.past = Some(Past { moment, world: Box::new(app.history.world_at(moment)) });
        app.tell(Tone::Plain, "every screen is as it was at this step; Space goes back to live");
    }
}

/// Moves the view over the lanes, where not all fit.
pub(crate) fn shift(app: &mut App, right: bool) {
    let lanes = chart(app).lanes.len();
    let first = app.chart.first_lane;
    let next = if right { first + 1 } else { first.saturating_sub(1) };
    app.chart.first_lane = next.min(lanes.saturating_sub(1));
}
