//! The only place where the state changes: a message in, commands out, nothing else touched.

use std::collections::BTreeSet;

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use palib::control::{OperatorAnswer, OperatorRequest, What};

use crate::world::{History, Tone, is_measurement};

use super::app::{App, Link, Pane, Past, Purpose, Screen};
use super::commands::{self, Id};
use super::msg::{Cmd, Msg};
use super::{act, keys, pointer, redundancy, relay, sequence, stable, step, tour};

/// Changes the state by what happened, and says what is to be done.
pub(crate) fn update(app: &mut App, msg: Msg) -> Vec<Cmd> {
    match msg {
        Msg::Key(key) => match key_name(&key) {
            Some(name) => pressed(app, &name),
            None => Vec::new(),
        },
        Msg::Paste(text) => {
            // Only where text is typed: pasted text must never act as keys.
            if app.popups.last().is_some_and(super::popup::Popup::takes_text) {
                for c in text.chars().filter(|c| !c.is_control()).take(4096) {
                    keys::in_popup(app, &c.to_string());
                }
            }
            Vec::new()
        }
        Msg::Mouse(event) => pointer::moved(app, event),
        Msg::Resize(columns, lines) => {
            app.size = (columns, lines);
            vec![Cmd::Repaint]
        }
        Msg::Events(events) => {
            let missed = app.history.live().missed;
            for event in events {
                told_of_alias(app, &event.what);
                app.history.apply(event);
            }
            tour::judge(app);
            // What was missed may have been a change of the table, which nobody tells again.
            let asks = app.awaited.values().any(|purpose| matches!(purpose, Purpose::Seed(_)));
            match app.history.live().missed > missed && !asks && app.cluster().is_some() {
                true => vec![ask_for_table(app)],
                false => Vec::new(),
            }
        }
        Msg::Answered { ticket, answer } => answered(app, ticket, answer),
        Msg::Swept { cluster, matrix } => {
            super::matrix::read(app, &cluster, matrix);
            Vec::new()
        }
        Msg::Attached { cluster, owned } => attached(app, cluster, owned),
        Msg::Reached(now) => {
            if let Link::Up { reached, .. } = &mut app.link
                && *reached != now
            {
                *reached = now;
                match now {
                    true => app.tell(Tone::Good, "the FTM is reached again"),
                    false => app.tell(Tone::Warn, "the FTM is not reached; calls go on without it"),
                }
            }
            Vec::new()
        }
        Msg::Gone(reason) => {
            app.tell(Tone::Bad, format!("the cluster is gone: {reason}"));
            app.link = Link::Gone(reason);
            app.awaited.clear();
            app.undo.clear();
            Vec::new()
        }
        Msg::Note(tone, text) => {
            if tone == Tone::Bad && matches!(app.link, Link::Starting(_)) {
                app.link = Link::None;
                app.screen = Screen::Demos;
            }
            app.tell(tone, text);
            Vec::new()
        }
        Msg::Tick => {
            app.ticks += 1;
            tour::judge(app);
            let mut commands = refresh(app);
            commands.extend(super::matrix::refresh(app));
            commands
        }
    }
}

/// Asks for what the screen shows and no event tells.
fn refresh(app: &mut App) -> Vec<Cmd> {
    match app.screen {
        Screen::Redundancy => redundancy::refresh(app),
        Screen::Relay => relay::refresh(app),
        Screen::Stable => stable::refresh(app),
        _ => Vec::new(),
    }
}

/// Whether time must pass for something: only then are ticks sent.
#[must_use]
pub(crate) fn wants_ticks(app: &App) -> bool {
    let reads = matches!(app.screen, Screen::Redundancy | Screen::Relay | Screen::Stable);
    let polls = reads && app.past.is_none();
    let sweep = matches!(app.popups.last(), Some(super::popup::Popup::Sweep(_)));
    polls || sweep || app.tour.as_ref().is_some_and(|tour| tour.running.is_some())
}

fn pressed(app: &mut App, key: &str) -> Vec<Cmd> {
    // These work over everything: whoever presses ^c means it.
    if let "ctrl-c" | "ctrl-z" | "ctrl-l" = key {
        let command = commands::by_key(key, app.screen).expect("these keys are for all screens");
        return perform(app, command.id);
    }
    app.note = None;
    if !app.popups.is_empty() {
        return keys::in_popup(app, key);
    }
    match commands::by_key(key, app.screen) {
        Some(command) => perform(app, command.id),
        None => Vec::new(),
    }
}

/// Does a command, or says why it can't be done.
pub(crate) fn perform(app: &mut App, id: Id) -> Vec<Cmd> {
    if let Err(reason) = commands::available(app, id) {
        app.tell(Tone::Warn, format!("{}: {reason}", commands::find(id).name));
        return Vec::new();
    }
    match id {
        Id::Down | Id::Up | Id::Top | Id::Bottom | Id::HalfDown | Id::HalfUp | Id::Left | Id::Right => {
            keys::move_about(app, id);
            refresh(app)
        }
        Id::NextPane | Id::PreviousPane => {
            let panes = app.screen.panes().len();
            let now = app.screen.panes().iter().position(|pane| *pane == app.pane()).unwrap_or(0);
            let next = if id == Id::NextPane { now + 1 } else { now + panes - 1 } % panes;
            app.focus.insert(app.screen, next);
            Vec::new()
        }
        Id::Enter => act::enter(app),
        Id::Back => {
            back(app);
            refresh(app)
        }
        Id::Go(screen) => {
            go(app, screen);
            app.back.clear();
            refresh(app)
        }
        Id::Follow => {
            app.follow = !app.follow;
            Vec::new()
        }
        Id::Chart => sequence::show(app),
        Id::Fold => {
            app.chart.next_fold();
            Vec::new()
        }
        Id::Finer | Id::Coarser => {
            super::metrics::zoom(app, id == Id::Finer);
            Vec::new()
        }
        Id::BusyLanes => {
            app.chart.busy_only = !app.chart.busy_only;
            Vec::new()
        }
        Id::NextAlias | Id::PreviousAlias => {
            let by = if id == Id::NextAlias { 1 } else { -1 };
            if app.screen == Screen::Relay { relay::turn(app, by) } else { redundancy::turn(app, by) }
        }
        Id::Pause | Id::StepBack | Id::StepForward | Id::MarkBack | Id::MarkForward => {
            travel(app, id);
            refresh(app)
        }
        Id::Check => stable::check(app),
        Id::TourStep => step::on(app),
        Id::StepEach => step::each(app),
        Id::TourEnd => {
            app.tour = None;
            app.tell(Tone::Plain, "the tour is over; the cluster stays");
            Vec::new()
        }
        _ => act::perform(app, id),
    }
}

/// Shows a screen.
pub(crate) fn go(app: &mut App, screen: Screen) {
    app.screen = screen;
}

/// Shows a screen that `Esc` comes back from.
pub(crate) fn drill(app: &mut App, screen: Screen) {
    app.back.push(app.screen);
    go(app, screen);
}

/// One step back: the filter, then the screen. True if there was something to go back from.
pub(crate) fn back(app: &mut App) -> bool {
    let pane = app.pane();
    if !app.look(pane).filter.is_empty() {
        app.look_mut(pane).filter.clear();
        return true;
    }
    if matches!(pane, Pane::Records | Pane::Journal) {
        app.focus.insert(app.screen, 0);
        return true;
    }
    let let_go = app.screen == Screen::Sequence && sequence::let_go(app);
    match app.back.pop() {
        Some(screen) => {
            go(app, screen);
            true
        }
        None => let_go,
    }
}

fn travel(app: &mut App, id: Id) {
    let now = app.moment();
    // The chart shows the steps of calls, so there one goes from step to step.
    let on_chart = app.screen == Screen::Sequence;
    let counts = |what: &What| if on_chart { !matches!(what, What::Stats(_)) } else { !is_measurement(what) };
    let is_mark = |what: &What| super::view::timeline::is_mark(what);
    let moment = match id {
        Id::Pause if app.past.is_some() => None,
        Id::Pause => app.history.newest(),
        Id::StepBack => app.history.back(now.or_else(|| app.history.newest()), counts).or(now),
        Id::MarkBack => app.history.back(now, is_mark).or(now),
        Id::StepForward => now.and_then(|now| app.history.forward(now, counts)),
        Id::MarkForward => now.and_then(|now| app.history.forward(now, is_mark)),
        _ => now,
    };
    if moment.is_none() && id != Id::Pause {
        app.tell(Tone::Plain, "live again");
    }
    app.past = moment.map(|moment| Past { moment, world: Box::new(app.history.world_at(moment)) });
}

fn attached(app: &mut App, cluster: String, owned: bool) -> Vec<Cmd> {
    let spawned = matches!(&app.link, Link::Starting(_)) || app.screen == Screen::Demos;
    app.history = History::default();
    app.past = None;
    app.redundancy.clear();
    app.relays.clear();
    app.areas.clear();
    app.records.clear();
    app.awaited.clear();
    app.undo.clear();
    app.alias = None;
    sequence::let_go(app);
    app.link = Link::Up { cluster: cluster.clone(), owned, reached: true };
    tour::begin(app, &cluster);
    if spawned {
        app.back.clear();
        go(app, Screen::Cluster);
    }
    vec![ask_for_table(app)]
}

fn ask_for_table(app: &mut App) -> Cmd {
    let ticket = app.next_ticket(Purpose::Seed(BTreeSet::new()));
    Cmd::Ask { ticket, request: OperatorRequest::Aliases }
}

fn told_of_alias(app: &mut App, what: &What) {
    let What::Alias { row } = what else { return };
    for purpose in app.awaited.values_mut() {
        if let Purpose::Seed(told) = purpose {
            told.insert(row.alias.clone());
        }
    }
}

fn answered(app: &mut App, ticket: u64, answer: Result<OperatorAnswer, String>) -> Vec<Cmd> {
    let Some(purpose) = app.awaited.remove(&ticket) else { return Vec::new() };
    match purpose {
        Purpose::Seed(told) => {
            if let Ok(OperatorAnswer::Aliases(mut rows)) = answer {
                rows.retain(|row| !told.contains(&row.alias));
                app.history.seed(rows);
            }
        }
        Purpose::Redundancy(alias) => redundancy::answered(app, alias, answer),
        Purpose::Relays(alias) => relay::answered(app, alias, answer),
        Purpose::Area { alias, at_rest } => stable::area_answered(app, alias, at_rest, answer),
        Purpose::Records { alias, table, at_rest } => {
            stable::records_answered(app, (alias, table), at_rest, answer);
        }
        Purpose::Order { what, undo } => match answer {
            Ok(OperatorAnswer::Done(done)) if !done.is_empty() => {
                app.undo.extend(undo);
                app.tell(Tone::Injected, done);
            }
            Ok(_) => {
                app.undo.extend(undo);
                app.tell(Tone::Injected, what);
            }
            Err(reason) => app.tell(Tone::Bad, format!("{what}: {reason}")),
        },
        Purpose::Quiet(what) => {
            if let Err(reason) = answer {
                app.tell(Tone::Bad, format!("{what}: {reason}"));
            }
        }
        Purpose::Step => tour::answered(app, answer.map(|_| String::new())),
        Purpose::Check(check) => return stable::checked(app, *check, answer),
    }
    Vec::new()
}

/// The name of a key, as the table of commands writes it.
#[must_use]
pub(crate) fn key_name(key: &KeyEvent) -> Option<String> {
    if key.kind == KeyEventKind::Release {
        return None;
    }
    let name = match key.code {
        KeyCode::Char(' ') => "space".to_owned(),
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => {
            return Some(format!("ctrl-{}", c.to_ascii_lowercase()));
        }
        // A letter with Alt is not that letter.
        KeyCode::Char(_) if key.modifiers.contains(KeyModifiers::ALT) => return None,
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => "enter".to_owned(),
        KeyCode::Esc => "esc".to_owned(),
        KeyCode::Tab => "tab".to_owned(),
        KeyCode::BackTab => "backtab".to_owned(),
        KeyCode::Backspace => "backspace".to_owned(),
        KeyCode::Delete => "delete".to_owned(),
        KeyCode::Up => "up".to_owned(),
        KeyCode::Down => "down".to_owned(),
        KeyCode::Left => "left".to_owned(),
        KeyCode::Right => "right".to_owned(),
        KeyCode::Home => "home".to_owned(),
        KeyCode::End => "end".to_owned(),
        KeyCode::PageUp => "pageup".to_owned(),
        KeyCode::PageDown => "pagedown".to_owned(),
        _ => return None,
    };
    Some(name)
}
