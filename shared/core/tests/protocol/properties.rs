//! What must hold in every world, and how a world is healed.

use palib_core::message::Outcome;

use crate::areas::Body;
use crate::world::{Action, Mode, Place, Setup, World};

/// A name, and whether it holds in a world.
pub(crate) type Named = (&'static str, fn(&Setup, &World) -> bool);

/// The properties that hold in every state.
pub(crate) const ALWAYS: [Named; 6] = [
    (EFFECT_AT_MOST_ONCE, effect_at_most_once),
    (ACKNOWLEDGED_ONCE, acknowledged_once),
    (ONE_OUTCOME, one_outcome),
    (NO_FENCED_COMMIT, |_, world| !world.ghost.fenced_commit),
    (FRESH_IDS, |_, world| !world.ghost.id_given_twice),
    (HEALS, |setup, world| heal(setup, world).is_ok()),
];

pub(crate) const EFFECT_AT_MOST_ONCE: &str = "no operation takes effect twice";
pub(crate) const ACKNOWLEDGED_ONCE: &str = "an acknowledged operation has taken effect exactly once";
pub(crate) const ONE_OUTCOME: &str = "an operation has one outcome, and it is its own";
pub(crate) const NO_FENCED_COMMIT: &str = "a fenced process commits nothing";
pub(crate) const FRESH_IDS: &str = "no id is given twice";
pub(crate) const HEALS: &str =
    "when all defects are healed, every call that was kept or had an effect is answered";

fn effect_at_most_once(_: &Setup, world: &World) -> bool {
    world.area.app.0.values().chain(world.outside.0.values()).all(|&times| times <= 1)
}

fn effects_of(world: &World, operation: Body) -> u32 {
    world.area.app.of(operation) + world.outside.of(operation)
}

fn acknowledged_once(setup: &Setup, world: &World) -> bool {
    world.ghost.outcomes.keys().all(|&operation| {
        let due = u32::from(setup.mode(operation) != Mode::Failing);
        effects_of(world, operation) == due
    })
}

fn one_outcome(_: &Setup, world: &World) -> bool {
    world.ghost.outcomes.iter().all(|(&operation, outcomes)| {
        let own = |outcome: &Outcome<Body>| match outcome {
            Outcome::Reply(reply) | Outcome::Failed(reply) => reply / 1000 == operation,
        };
        outcomes.len() == 1 && outcomes.iter().all(own)
    })
}

/// Lets everything happen that was lost or late, without new defects, until nothing is unknown any more.
///
/// # Errors
/// If it never comes to rest, a call is refused, or what it comes to is wrong.
pub(crate) fn heal(setup: &Setup, world: &World) -> Result<World, String> {
    let mut world = world.clone();
    for _ in 0..12 {
        round(setup, &mut world);
        if at_rest(&world) {
            return settled(setup, &world).map(|()| world);
        }
    }
    Err(format!("after 12 rounds not at rest: {world:#?}"))
}

fn round(setup: &Setup, world: &mut World) {
    if world.server_seat.vacant {
        world.act(setup, &Action::PromoteServer);
    }
    for alias in 0..world.clients.len() {
        if world.clients[alias].seat.vacant {
            world.act(setup, &Action::PromoteClient(alias));
        }
        for index in 0..world.clients[alias].processes.len() {
            if world.clients[alias].processes[index].alive {
                world.act(setup, &Action::Learn(Place(alias, index)));
                world.act(setup, &Action::Tick(Place(alias, index)));
            }
        }
    }
    // Everything but new calls, new defects and what passes by itself.
    let goes_on = |action: &Action| {
        !matches!(
            action,
            Action::Call(_)
                | Action::Tick(_)
                | Action::Learn(_)
                | Action::FenceServer { .. }
                | Action::FenceClient { .. }
        )
    };
    work(setup, world, goes_on);
    let messages: Vec<_> = world.arriving().cloned().collect();
    for envelope in messages {
        world.act(setup, &Action::Deliver(envelope));
        work(setup, world, goes_on);
    }
}

fn work(setup: &Setup, world: &mut World, goes_on: impl Fn(&Action) -> bool) {
    while let Some(action) = world.local_actions(setup).into_iter().find(|action| goes_on(action)) {
        world.act(setup, &action);
    }
}

fn at_rest(world: &World) -> bool {
    world.clients.iter().all(|client| {
        let active = client.seat.active.map(|index| &client.processes[index]);
        client.area.outbox.is_empty() && active.is_some_and(|process| process.machine.calls_len() == 0)
    })
}

fn settled(setup: &Setup, world: &World) -> Result<(), String> {
    if let Some((operation, refusal)) = world.ghost.refused.first() {
        return Err(format!("operation {operation} was refused: {refusal:?}"));
    }
    for operation in 0..world.started {
        let acknowledged = world.ghost.outcomes.contains_key(&operation);
        if setup.outbox && !acknowledged && effects_of(world, operation) > 0 {
            return Err(format!("operation {operation} took effect, and nobody was told"));
        }
    }
    let wrong = ALWAYS.iter().take(5).find(|(_, holds)| !holds(setup, world));
    wrong.map_or(Ok(()), |(name, _)| Err(format!("after healing: {name}")))
}
