//! How a world is healed: everything happens that was lost or late, without new defects.

use std::collections::BTreeSet;

use palib_core::redundancy::RowState;

use crate::ids::Place;
use crate::properties::{ALWAYS, PLAIN, has_none, is_done};
use crate::setup::{Body, Setup};
use crate::world::{Action, World};

const ROUNDS: usize = 60;

/// Lets everything happen until nothing is under way any more.
///
/// # Errors
/// If it never comes to rest, a call is refused, or what it comes to is wrong.
pub(crate) fn heal(setup: &Setup, world: &World) -> Result<World, String> {
    let mut world = world.clone();
    for _ in 0..ROUNDS {
        round(setup, &mut world);
        if restless(&world).is_none() {
            return settled(setup, &world).map(|()| world);
        }
    }
    let why = restless(&world).unwrap_or_default();
    Err(format!("after {ROUNDS} rounds: {why}"))
}

fn round(setup: &Setup, world: &mut World) {
    for alias in (0..world.aliases.len()).rev() {
        if world.aliases[alias].seat.vacant {
            world.act(setup, &Action::Promote(alias));
        }
    }
    world.learn_all(setup);
    let places: Vec<Place> = world.alive().map(|(place, _)| place).collect();
    for place in places {
        world.act(setup, &Action::Tick(place));
    }
    decide(setup, world);
    let mut arrived = BTreeSet::new();
    loop {
        let Some(envelope) = world.arriving().find(|envelope| !arrived.contains(*envelope)).cloned() else {
            return;
        };
        arrived.insert(envelope.clone());
        world.act(setup, &Action::Deliver(envelope));
        go_on(setup, world);
    }
}

/// A handler may ask again, and an operator decide, once in a round; or one would wait for the other for ever.
fn is_decision(action: &Action) -> bool {
    matches!(action, Action::Again(..) | Action::Resolve(..))
}

fn decide(setup: &Setup, world: &mut World) {
    for action in world.local_actions(setup).into_iter().filter(is_decision) {
        world.act(setup, &action);
    }
    go_on(setup, world);
}

fn go_on(setup: &Setup, world: &mut World) {
    let goes_on = |action: &Action| !action.is_new() && !is_decision(action);
    while let Some(action) = world.local_actions(setup).into_iter().find(|action| goes_on(action)) {
        world.act(setup, &action);
    }
}

/// What is not at rest, if anything is not.
fn restless(world: &World) -> Option<String> {
    world.aliases.iter().enumerate().find_map(|(index, alias)| {
        let active = alias.seat.active.map(|active| &alias.processes[active]);
        let Some(active) = active else { return Some(format!("alias {index} is not served")) };
        let open =
            |state: &RowState<Body>| !matches!(state, RowState::Registered(_) | RowState::Cancelled { .. });
        let row = alias.area.rows.values().find(|row| open(&row.state));
        let left = [
            (!alias.area.outbox.is_empty(), "the outbox is not empty"),
            (!alias.area.journal.is_empty(), "the journal is not empty"),
            (active.caller.calls_len() > 0, "a slot is taken"),
            (active.server.calls_len() > 0, "a call is in hand"),
            (active.server.relays_len() > 0, "a transaction is open"),
            (active.server.retained_len() > 0, "a transaction is retained"),
        ];
        let left = left.into_iter().find(|(left, _)| *left).map(|(_, what)| format!("alias {index}: {what}"));
        left.or_else(|| row.map(|row| format!("alias {index}: {row:?}")))
    })
}

fn settled(setup: &Setup, world: &World) -> Result<(), String> {
    if let Some((operation, refusal)) = world.ghost.refused.first() {
        return Err(format!("operation {operation} was refused: {refusal:?}"));
    }
    for operation in 1..=world.started {
        let told = world.ghost.outcomes.contains_key(&operation);
        if !told && !has_none(world, operation) {
            let half = !is_done(setup, world, 1, operation);
            if setup.outbox || half {
                return Err(format!("operation {operation} took effect, half: {half}, and nobody was told"));
            }
        }
    }
    let wrong = ALWAYS.iter().take(PLAIN).find(|(_, holds)| !holds(setup, world));
    wrong.map_or(Ok(()), |(name, _)| Err(format!("after healing: {name}")))
}
