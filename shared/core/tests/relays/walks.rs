//! Random walks through worlds that are too large to be explored: relays of relays, several calls at once, small
//! windows, more takeovers, writers and routes that are late.
//!
//! `PALIB_WALKS=N` walks N times instead of a few thousand.

use std::cell::Cell;

use palib_core::relay::Policy;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::heal::heal;
use crate::properties::{ALWAYS, PLAIN};
use crate::setup::{Body, Ends, Service, Setup, Without};
use crate::world::{Action, World};

/// Small numbers that decide what happens next: each picks one of the possible actions.
type Choices = Vec<u16>;

const POLICIES: [Policy; 3] = [Policy::RollForward, Policy::Substitute, Policy::RollBack];

fn ends() -> impl Strategy<Value = Vec<Ends>> {
    let all = vec![Ends::Atomic, Ends::Returns, Ends::AtomicFails, Ends::FailsAfter(1), Ends::FailsAfter(2)];
    proptest::sample::subsequence(all, 1..=3).prop_shuffle()
}

/// A relay that calls some of these aliases.
fn relay(targets: Vec<usize>) -> impl Strategy<Value = Service> {
    let most = targets.len();
    let calls = proptest::collection::vec(proptest::sample::select(targets.clone()), 1..=most + 1);
    let substitute = (proptest::sample::select(targets), any::<bool>());
    let kind = (proptest::sample::select(POLICIES.to_vec()), any::<[bool; 3]>());
    (calls, ends(), substitute, kind).prop_map(|(calls, ends, (target, sure), (policy, flags))| {
        let [at_once, enough, undo_fails_once] = flags;
        let enough = enough && at_once && policy == Policy::RollForward;
        let sure = sure || undo_fails_once;
        let certain = policy == Policy::Substitute && !sure;
        Service {
            at_once,
            enough: enough.then_some(1),
            ends: match (enough, certain) {
                (true, _) => vec![Ends::Returns],
                // Of a call that was not cancelled nobody knows whether it had its effect, so nothing may fail here.
                (_, true) => vec![Ends::Atomic],
                _ => ends,
            },
            substitute: (policy == Policy::Substitute).then_some((target, sure)),

            undo_fails_once,
            ..Service::relay(&calls, Ends::Atomic, policy)
        }
    })
}

fn leaf() -> impl Strategy<Value = Service> {
    any::<[bool; 2]>().prop_map(|[fails, undo_fails_once]| {
        let ends = if fails { vec![Ends::Atomic, Ends::FailsAfter(0)] } else { vec![Ends::Atomic] };
        Service { ends, undo_fails_once, ..Service::leaf() }
    })
}

/// One relay or two, and two servers behind them.
fn services() -> impl Strategy<Value = Vec<Service>> {
    let one =
        (relay(vec![2, 3]), leaf(), leaf()).prop_map(|(relay, first, second)| vec![relay, first, second]);
    let two = (relay(vec![2, 3, 4]), relay(vec![3, 4]), leaf(), leaf());
    let two = two.prop_map(|(outer, inner, first, second)| vec![outer, inner, first, second]);
    prop_oneof![one, two]
}

fn setups() -> impl Strategy<Value = Setup> {
    let takeovers = proptest::collection::vec(0..=3_u32, 5);
    let sizes = (1..=6 as Body, 0..=2_u32, 1..=8_u32);
    (services(), takeovers, sizes, any::<[bool; 5]>()).prop_map(
        |(mut services, mut takeovers, sizes, flags)| {
            let (operations, zombies, window) = sizes;
            let [outbox, pushed, slow_writers, slow_reads, patient] = flags;
            takeovers.truncate(services.len() + 1);
            let uncertain = services.iter().any(|service| matches!(service.substitute, Some((_, false))));
            if uncertain {
                for service in &mut services {
                    (service.enough, service.ends) = (None, vec![Ends::Atomic]);
                }
                for service in
                    services.iter_mut().filter(|service| service.substitute.is_none_or(|(_, sure)| sure))
                {
                    (service.policy, service.substitute) = (Policy::RollForward, None);
                }
            }
            // What a handler does without may stay undone by half: its undo is not asked for again.
            if services.iter().any(|service| service.enough.is_some()) {
                services.iter_mut().for_each(|service| service.undo_fails_once = false);
            }
            // Two transactions that each hold a slot and ask for another one without end wait for each other; so do one and
            // what is retained for calls above the mark.
            let patient = patient || uncertain;
            let window = if patient { 512 } else { window };
            Setup {
                takeovers,
                zombies,
                window,
                outbox,
                pushed,
                slow_writers,
                slow_reads,
                patient,
                resend: true,
                ..Setup::of(services, operations)
            }
        },
    )
}

/// Walks as the choices say, checks at each step, heals at the end and checks again.
fn walk(setup: &Setup, choices: &Choices) -> Result<World, String> {
    let mut world = World::new(setup);
    for (step, &choice) in choices.iter().enumerate() {
        let Some(action) = pick(setup, &world, choice) else { continue };
        world.act(setup, &action);
        if let Some((name, _)) = ALWAYS.iter().take(PLAIN).find(|(_, holds)| !holds(setup, &world)) {
            return Err(format!("step {step}, {action}: not \"{name}\""));
        }
    }
    heal(setup, &world)
}

/// A failing walk, step by step.
fn story(why: &str, setup: &Setup, choices: &Choices) -> String {
    let mut world = World::new(setup);
    let mut story = format!("why: {why}\n{setup:?}\n");
    for &choice in choices {
        let Some(action) = pick(setup, &world, choice) else { continue };
        let before = world.clone();
        world.act(setup, &action);
        if world != before {
            story += &format!("    {action}\n");
        }
    }
    story
}

/// Takeovers are rare, and old messages are many: an even choice would hardly ever finish a call.
fn pick(setup: &Setup, world: &World, choice: u16) -> Option<Action> {
    let (kind, nth) = (choice % 32, usize::from(choice / 32));
    let messages = world.arriving().count();
    if (1..14).contains(&kind) && messages > 0 {
        return world.arriving().nth(nth % messages).cloned().map(Action::Deliver);
    }
    let (defects, steps): (Vec<_>, Vec<_>) =
        world.local_actions(setup).into_iter().partition(Action::is_defect);
    let wanted = if kind == 0 || steps.is_empty() { defects } else { steps };
    wanted.get(nth % wanted.len().max(1)).cloned()
}

/// A fixed seed: a run that fails today fails tomorrow. PALIB_WALKS with another count walks further.
fn runner(walks: u32, shrink: u32) -> TestRunner {
    let asked = std::env::var("PALIB_WALKS").ok().and_then(|walks| walks.parse().ok());
    let config = Config {
        cases: asked.unwrap_or(walks),
        failure_persistence: None,
        max_shrink_iters: shrink,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn schedules() -> impl Strategy<Value = (Setup, Choices)> {
    (setups(), proptest::collection::vec(any::<u16>(), 1..500))
}

#[test]
fn random_walks_through_rows_of_relays_leave_no_transaction_half_done() {
    let start = std::time::Instant::now();
    let reached = Cell::new([0_usize; 4]);
    let result = runner(4000, 4000).run(&schedules(), |(setup, choices)| {
        let world = walk(&setup, &choices).map_err(TestCaseError::fail)?;
        let [answered, takeovers, replayed, undone] = reached.get();
        let fenced: u32 = world.aliases.iter().map(|alias| alias.seat.takeovers).sum();
        let (replays, undos) = (usize::from(world.ghost.replayed), usize::from(world.ghost.undone));
        let answers = world.ghost.outcomes.len();
        reached.set([answered + answers, takeovers + fenced as usize, replayed + replays, undone + undos]);
        Ok(())
    });
    let [answered, takeovers, replayed, undone] = reached.get();
    println!(
        "{:.1} s: {answered} calls answered, {takeovers} takeovers, {replayed} worlds with a replay, {undone} with an undo",
        start.elapsed().as_secs_f64()
    );
    match result {
        Ok(()) => {}
        Err(TestError::Fail(why, (setup, choices))) => {
            panic!("{}", story(&why.to_string(), &setup, &choices))
        }
        Err(error) => panic!("{error}"),
    }
    assert!(answered > 0 && replayed > 0 && undone > 0, "walks that reach nothing check nothing");
}

/// The walks are worth something: they find what a missing guard lets through.
#[test]
fn random_walks_find_missing_guards() {
    for without in [Without::JournalBeforeSend, Without::Journal, Without::CancelWaits] {
        let found = runner(2000, 0).run(&schedules(), |(setup, choices)| {
            let setup = Setup { without: Some(without), ..setup };
            walk(&setup, &choices).map(|_| ()).map_err(TestCaseError::fail)
        });
        assert!(found.is_err(), "no walk shows that {without:?} is needed");
    }
}
