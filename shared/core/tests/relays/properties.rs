//! What must hold in every world.

use std::collections::{BTreeMap, BTreeSet};

use palib_core::message::Outcome;

use crate::heal::heal;
use crate::setup::{Body, Ends, Setup};
use crate::world::{Envelope, World};

/// A name, and whether it holds in a world.
pub(crate) type Named = (&'static str, fn(&Setup, &World) -> bool);

/// The properties that hold in every state.
pub(crate) const ALWAYS: [Named; 6] = [
    (NET_EFFECT, net_effect),
    (ACKNOWLEDGED, acknowledged),
    (ONE_OUTCOME, one_outcome),
    (FRESH_IDS, |_, world| !world.ghost.id_given_twice),
    (NO_DIVERGENCE, |_, world| !world.ghost.diverged),
    (HEALS, |setup, world| heal(setup, world).is_ok()),
];

/// How many of them ask only for the state itself.
pub(crate) const PLAIN: usize = 5;

pub(crate) const NET_EFFECT: &str = "nothing takes effect twice, and nothing is undone that was not done";
pub(crate) const ACKNOWLEDGED: &str = "a call that succeeded has all its effects, one that failed has none";
pub(crate) const ONE_OUTCOME: &str = "an id has one outcome";
pub(crate) const FRESH_IDS: &str = "no id is given twice";
pub(crate) const NO_DIVERGENCE: &str = "a handler that does always the same never diverges from its journal";
pub(crate) const HEALS: &str = "when all defects are healed, every call ends, and nothing is left behind";

fn net_effect(_: &Setup, world: &World) -> bool {
    let effects = world.aliases.iter().flat_map(|alias| alias.area.app.values());
    effects.map(|effect| effect.net()).all(|net| net == 0 || net == 1)
}

fn acknowledged(setup: &Setup, world: &World) -> bool {
    world.ghost.outcomes.iter().all(|(&body, outcomes)| {
        outcomes.iter().all(|outcome| match outcome {
            Outcome::Reply(_) => is_done(setup, world, 1, body),
            Outcome::Failed(_) => has_none(world, body),
        })
    })
}

fn one_outcome(_: &Setup, world: &World) -> bool {
    let mut outcomes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for envelope in &world.net {
        if let Envelope::Answer { id, outcome, .. } = envelope {
            outcomes.entry(*id).or_default().insert(outcome);
        }
    }
    outcomes.values().all(|outcomes| outcomes.len() == 1)
        && world.ghost.outcomes.values().all(|outcomes| outcomes.len() == 1)
}

fn net_at(world: &World, alias: usize, body: Body) -> i16 {
    world.aliases[alias].area.app.get(&body).map_or(0, |effect| effect.net())
}

/// Whether nothing that was done on behalf of this is in effect.
pub(crate) fn has_none(world: &World, body: Body) -> bool {
    let mut effects = world.aliases.iter().flat_map(|alias| &alias.area.app);
    effects.all(|(&of, effect)| !is_part(of, body) || effect.net() == 0)
}

fn is_part(of: Body, body: Body) -> bool {
    of == body || (of > body && is_part(of / 10, body))
}

/// Whether what was asked of an alias is in effect, with all that it calls.
pub(crate) fn is_done(setup: &Setup, world: &World, alias: usize, body: Body) -> bool {
    let service = setup.service(alias);
    let own = match service.ends(body) {
        Ends::Atomic => net_at(world, alias, body) == 1,
        Ends::Returns => true,
        Ends::AtomicFails | Ends::FailsAfter(_) => false,
    };
    let done = |(nth, &target): (usize, &usize)| {
        let asked = body * 10 + nth as Body + 1;
        place_is_done(setup, world, (target, asked), service.substitute)
    };
    let done: Option<Vec<bool>> = service.calls.iter().enumerate().map(done).collect();
    own && done.is_some_and(|done| done.iter().filter(|done| **done).count() >= service.needs())
}

/// Whether a call on is in effect; none if it is so in part, or with its substitute.
fn place_is_done(
    setup: &Setup,
    world: &World,
    (target, asked): (usize, Body),
    substitute: Option<(usize, bool)>,
) -> Option<bool> {
    let first = is_done(setup, world, target, asked);
    let (second, cancel_old) = substitute
        .map_or((false, true), |(target, cancel_old)| (is_done(setup, world, target, asked + 5), cancel_old));
    // What becomes of an old call that was not cancelled nobody knows.
    let in_part =
        (cancel_old && !first && !has_none(world, asked)) || (!second && !has_none(world, asked + 5));
    let both = first && second && cancel_old;
    (!in_part && !both).then_some(first || second)
}
