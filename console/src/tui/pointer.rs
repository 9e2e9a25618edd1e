//! The mouse: headers sort, rows are chosen, the wheel scrolls, tabs switch.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::Position;

use super::app::{App, Pane, Spot};
use super::commands::Id;
use super::inject::CHOICES;
use super::keys;
use super::msg::Cmd;
use super::popup::Popup;
use super::update::{go, perform};

/// Rows that one notch of the wheel moves.
const NOTCH: usize = 3;

/// Something was done with the mouse.
pub(crate) fn moved(app: &mut App, event: MouseEvent) -> Vec<Cmd> {
    let at = Position { x: event.column, y: event.row };
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => clicked(app, at),
        MouseEventKind::ScrollDown | MouseEventKind::ScrollUp => {
            let down = event.kind == MouseEventKind::ScrollDown;
            wheel(app, at, down);
            Vec::new()
        }
        _ => Vec::new(),
    }
}

fn wheel(app: &mut App, at: Position, down: bool) {
    if !app.popups.is_empty() {
        let key = if down { "down" } else { "up" };
        (0..NOTCH).for_each(|_| {
            keys::in_popup(app, key);
        });
        return;
    }
    if let Some(pane) = pane_at(app, at) {
        focus(app, pane);
        (0..NOTCH).for_each(|_| keys::move_about(app, if down { Id::Down } else { Id::Up }));
    }
}

fn clicked(app: &mut App, at: Position) -> Vec<Cmd> {
    let spots = app.shown.spots.iter().rev();
    let Some(spot) = spots.map(|(area, spot)| (*area, *spot)).find(|(area, _)| area.contains(at)) else {
        return Vec::new();
    };
    app.note = None;
    match (spot.1, app.popups.is_empty()) {
        (Spot::Choice(choice), false) => choose(app, choice),
        // A click beside a popup is meant for the popup: nothing under it is hit by chance.
        (_, false) | (Spot::Choice(_), true) => Vec::new(),
        (Spot::Tab(screen), true) => perform(app, Id::Go(screen)),
        (Spot::Header(pane, column), true) => {
            focus(app, pane);
            app.look_mut(pane).sort_by(column);
            Vec::new()
        }
        (Spot::Row(pane, place), true) => {
            focus(app, pane);
            let table = app.table(pane);
            app.look_mut(pane).choose(&table, place);
            if matches!(pane, Pane::Log | Pane::Sequence) {
                app.follow = false;
            }
            Vec::new()
        }
        (Spot::Pane(pane), true) => {
            focus(app, pane);
            Vec::new()
        }
    }
}

fn choose(app: &mut App, choice: usize) -> Vec<Cmd> {
    match app.popups.last_mut() {
        Some(Popup::Menu { chosen, .. } | Popup::Palette { chosen, .. } | Popup::Help { chosen, .. }) => {
            *chosen = choice;
            keys::in_popup(app, "enter")
        }
        Some(Popup::Points(points)) => {
            points.chosen = choice;
            keys::in_popup(app, "enter")
        }
        Some(Popup::Defects(palette)) => {
            // A click chooses, a second one does: nothing happens by a slip of the hand.
            let clicked = CHOICES.get(choice).map(|(choice, ..)| *choice).unwrap_or_default();
            let again = palette.choice == clicked && !palette.in_ledger;
            (palette.choice, palette.in_ledger) = (clicked, false);
            if again { keys::in_popup(app, "enter") } else { Vec::new() }
        }
        _ => Vec::new(),
    }
}

fn pane_at(app: &App, at: Position) -> Option<Pane> {
    app.shown.spots.iter().rev().find_map(|(area, spot)| match spot {
        Spot::Pane(pane) if area.contains(at) => Some(*pane),
        _ => None,
    })
}

fn focus(app: &mut App, pane: Pane) {
    let screen = app.screen;
    if let Some(place) = screen.panes().iter().position(|other| *other == pane) {
        app.focus.insert(screen, place);
        go(app, screen);
    }
}
