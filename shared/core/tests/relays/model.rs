//! Every schedule of small worlds, by a model checker.

use std::time::Instant;

use palib_core::relay::Policy;
use stateright::{Checker, HasDiscoveries, Model, Property};

use crate::heal::heal;
use crate::properties::{ALWAYS, HEALS};
use crate::setup::{Ends, Service, Setup, Without};
use crate::world::{Action, World};

/// Worlds from one on, and which properties are asked for: all of them if none is named.
struct Worlds(Setup, World, Vec<&'static str>);

impl Model for Worlds {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![self.1.clone()]
    }

    fn actions(&self, state: &World, actions: &mut Vec<Action>) {
        actions.extend(state.actions(&self.0));
    }

    fn next_state(&self, state: &World, action: Action) -> Option<World> {
        let mut next = state.clone();
        next.act(&self.0, &action);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        macro_rules! always {
            ($($index:literal)*) => {
                vec![$(Property::always(ALWAYS[$index].0, |model: &Self, world| ALWAYS[$index].1(&model.0, world))),*]
            };
        }
        let mut properties = always!(0 1 2 3 4 5);
        if !self.2.is_empty() {
            properties.retain(|property| self.2.contains(&property.name));
            return properties;
        }
        properties.push(Property::sometimes("every call can be answered", |model: &Self, world: &World| {
            world.ghost.outcomes.len() == model.0.operations as usize
        }));
        properties
    }
}

/// Explores every schedule; all properties hold, and every call can be answered.
fn holds(name: &str, setup: Setup) {
    let start = Instant::now();
    let first = World::new(&setup);
    let checker = Worlds(setup.clone(), first, Vec::new())
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let (states, seconds) = (checker.unique_state_count(), start.elapsed().as_secs_f64());
    println!("{name}: {states} states, depth {}, {seconds:.1} s", checker.max_depth());
    for (name, path) in checker.discoveries() {
        if ALWAYS.iter().any(|(always, _)| *always == name) {
            show(&setup, name, path.last_state().clone(), path.into_actions());
            panic!("not \"{name}\"");
        }
    }
    assert!(checker.is_done());
    checker.assert_properties();
}

fn show(setup: &Setup, name: &str, last: World, actions: Vec<Action>) {
    println!("not \"{name}\" after {} steps", actions.len());
    for action in actions {
        println!("    {action}");
    }
    if name == HEALS {
        let what = heal(setup, &last).err().unwrap_or_default();
        println!("    and then: {what}");
    }
}

/// Without the guard, a schedule breaks one of `properties`, and the model checker shows it.
pub(crate) fn breaks(setup: Setup, without: Without, properties: &[&'static str]) {
    let setup = Setup { without: Some(without), ..setup };
    let start = Instant::now();
    let checker = Worlds(setup.clone(), World::new(&setup), properties.to_vec())
        .checker()
        .threads(1)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
    let (states, seconds) = (checker.unique_state_count(), start.elapsed().as_secs_f64());
    let found = checker.discoveries().into_iter().next();
    let (name, path) = found.unwrap_or_else(|| panic!("{without:?}: nothing was found in {states} states"));
    println!("without {without:?}: {states} states, {seconds:.1} s");
    show(&setup, name, path.last_state().clone(), path.into_actions());
}

pub(crate) const FORWARD: Policy = Policy::RollForward;

/// A relay that calls two servers, one after the other or at once.
pub(crate) fn two_calls(ends: Ends, policy: Policy) -> Setup {
    let relay = Service { at_once: true, ..Service::relay(&[2, 3], ends, policy) };
    Setup::of(vec![relay, Service::leaf(), Service::leaf()], 1)
}

pub(crate) fn one_call(ends: Ends, policy: Policy) -> Setup {
    Setup::of(vec![Service::relay(&[2], ends, policy), Service::leaf()], 1)
}

/// A relay whose only call goes to a relay, which calls a server.
pub(crate) fn chain(outer: Ends, policy: Policy) -> Setup {
    let inner = Service::relay(&[3], Ends::Atomic, FORWARD);
    Setup::of(vec![Service::relay(&[2], outer, policy), inner, Service::leaf()], 1)
}

#[test]
fn a_relay_that_dies_twice_rolls_forward_under_every_schedule() {
    for ends in [Ends::Atomic, Ends::Returns, Ends::AtomicFails, Ends::FailsAfter(1)] {
        holds(&format!("1 call on, {ends:?}, relay dies twice"), one_call(ends, FORWARD).dies(1).dies(1));
    }
}

#[test]
fn clients_relays_and_servers_die_once_each_under_every_schedule() {
    let setup = Setup { zombies: 1, ..one_call(Ends::Atomic, FORWARD).dies(0).dies(1).dies(2) };
    holds("1 call on, all die, 1 zombie", setup);
}

#[test]
#[ignore = "takes minutes"]
fn all_die_while_a_transaction_is_undone_under_every_schedule() {
    let setup = Setup { zombies: 1, ..one_call(Ends::AtomicFails, FORWARD).dies(0).dies(1).dies(2) };
    holds("1 call on, fails, all die, 1 zombie", setup);
}

#[test]
#[ignore = "takes minutes"]
fn two_calls_at_once_are_undone_under_every_schedule_of_a_relay_and_a_server_that_die() {
    holds(
        "2 calls on at once, fails, relay and server die",
        two_calls(Ends::AtomicFails, FORWARD).dies(1).dies(2),
    );
}

/// Found by a walk: asked again about a call that it had cancelled, a service let that be sent again, while the old
/// cancellation was still on its way. What it designates is durable before the old call is cancelled.
#[test]
fn a_service_may_change_its_mind_about_a_substitute() {
    let substitute = Some((3, true));
    let relay = Service::relay(&[2], Ends::Atomic, Policy::Substitute);
    let relay = Service { substitute, substitutes_until: 2, ..relay };
    let setup = Setup::of(vec![relay, Service::leaf(), Service::leaf()], 1).dies(1).dies(1);
    holds("1 call on, substitute only in the second incarnation", setup);
}

#[test]
fn calls_made_at_once_survive_every_schedule_of_a_relay_that_dies() {
    for ends in [Ends::Atomic, Ends::FailsAfter(1)] {
        holds(&format!("2 calls on at once, {ends:?}, relay dies"), two_calls(ends, FORWARD).dies(1));
    }
}

#[test]
fn a_relay_that_rolls_back_is_performed_from_the_beginning_under_every_schedule() {
    for ends in [Ends::Returns, Ends::FailsAfter(1)] {
        holds(
            &format!("1 call on, {ends:?}, rolls back, both die"),
            one_call(ends, Policy::RollBack).dies(1).dies(2),
        );
    }
}

#[test]
fn a_substitute_takes_the_place_of_an_unanswered_call_under_every_schedule() {
    for cancel_old in [true, false] {
        let relay = Service {
            substitute: Some((3, cancel_old)),
            ..Service::relay(&[2], Ends::Atomic, Policy::Substitute)
        };
        let setup = Setup::of(vec![relay, Service::leaf(), Service::leaf()], 1).dies(1).dies(1);
        holds(&format!("1 call on, substitute, old cancelled: {cancel_old}"), setup);
    }
}

#[test]
fn what_a_handler_does_without_is_cancelled_under_every_schedule() {
    let relay = Service { enough: Some(1), at_once: true, ..Service::relay(&[2, 3], Ends::Returns, FORWARD) };
    let setup = Setup::of(vec![relay, Service::leaf(), Service::leaf()], 1);
    holds("2 calls on, one answer is enough", setup.clone());
    holds("2 calls on, one answer is enough, a server dies", setup.clone().dies(2));
    holds("2 calls on, one answer is enough, relay dies", setup.dies(1));
}

#[test]
fn a_relay_of_a_relay_is_undone_under_every_schedule() {
    holds("relay of a relay, inner dies", chain(Ends::AtomicFails, FORWARD).dies(2));
    holds("relay of a relay, outer dies and rolls back", chain(Ends::Returns, Policy::RollBack).dies(1));
}
