//! Random walks through worlds that are too large to be explored: several callers, more takeovers, windows that
//! wrap around, all modes of operation, rows that are read late.
//!
//! `PALIB_WALKS=N` walks N times instead of a few thousand.

use palib_core::ids::IdForm;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::areas::Body;
use crate::properties::{ALWAYS, heal};
use crate::world::{Action, Mode, Setup, Without, World};

const MODES: [Mode; 5] = [Mode::Atomic, Mode::Outside, Mode::OutsideHandler, Mode::InDoubt, Mode::Failing];

/// Small numbers that decide what happens next: each picks one of the possible actions.
pub(crate) type Choices = Vec<u16>;

pub(crate) fn setups() -> impl Strategy<Value = Setup> {
    let sizes = (1..=3_usize, 1..=12 as Body, 0..=4_u32, 0..=3_u32);
    let limits = (1..=3_u32, 1..=3_usize, any::<[bool; 4]>(), 0..=2_u32);
    let modes = proptest::sample::subsequence(MODES.to_vec(), 1..=MODES.len()).prop_shuffle();
    (sizes, limits, modes).prop_map(|(sizes, limits, modes)| {
        let (callers, operations, server_takeovers, client_takeovers) = sizes;
        let (window, sessions_max, [outbox, port, roaming, slow_reads], zombies) = limits;
        // A zombie's effects outside the area can be prevented by nothing but its death.
        let inside = modes.iter().all(|mode| matches!(mode, Mode::Atomic | Mode::Failing));
        Setup {
            callers,
            operations,
            modes,
            server_takeovers,
            client_takeovers,
            zombies: if inside { zombies } else { 0 },
            outbox,
            form: if port { IdForm::SourcePort } else { IdForm::Incarnation },
            window,
            sessions_max,
            roaming,
            resend: true,
            slow_reads,
            without: None,
        }
    })
}

/// Walks as the choices say, checks at each step, heals at the end and checks again.
fn walk(setup: &Setup, choices: &Choices) -> Result<World, String> {
    let mut world = World::new(setup);
    for (step, &choice) in choices.iter().enumerate() {
        let Some(action) = pick(setup, &world, choice) else { continue };
        world.act(setup, &action);
        if let Some((name, _)) = ALWAYS.iter().take(5).find(|(_, holds)| !holds(setup, &world)) {
            return Err(format!("step {step}, {action:?}: not \"{name}\""));
        }
    }
    heal(setup, &world)
}

/// Takeovers are rare, and old messages are many: an even choice would hardly ever finish a call.
pub(crate) fn pick(setup: &Setup, world: &World, choice: u16) -> Option<Action> {
    let (kind, nth) = (choice % 32, usize::from(choice / 32));
    let messages = world.arriving().count();
    if (1..12).contains(&kind) && messages > 0 {
        return world.arriving().nth(nth % messages).cloned().map(Action::Deliver);
    }
    let defect = |action: &Action| matches!(action, Action::FenceServer { .. } | Action::FenceClient { .. });
    let (defects, steps): (Vec<_>, Vec<_>) = world.local_actions(setup).into_iter().partition(defect);
    let wanted = if kind == 0 || steps.is_empty() { defects } else { steps };
    wanted.get(nth % wanted.len().max(1)).cloned()
}

/// A fixed seed: a run that fails today fails tomorrow. PALIB_WALKS with another count walks further.
pub(crate) fn runner(walks: u32) -> TestRunner {
    TestRunner::new_with_rng(config(walks), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

fn config(walks: u32) -> Config {
    let asked = std::env::var("PALIB_WALKS").ok().and_then(|walks| walks.parse().ok());
    Config {
        cases: asked.unwrap_or(walks),
        failure_persistence: None,
        max_shrink_iters: 500,
        ..Config::default()
    }
}

#[test]
fn random_walks_through_large_worlds_lose_and_double_nothing() {
    let start = std::time::Instant::now();
    let mut runner = runner(5000);
    let schedules = (setups(), proptest::collection::vec(any::<u16>(), 1..400));
    let (mut steps, mut acknowledged, mut replayed, mut takeovers) = (0, 0, 0_u64, 0);
    let walked = std::cell::RefCell::new((&mut steps, &mut acknowledged, &mut replayed, &mut takeovers));
    let result = runner.run(&schedules, |(setup, choices)| {
        let world = walk(&setup, &choices).map_err(TestCaseError::fail)?;
        let mut sums = walked.borrow_mut();
        *sums.0 += choices.len();
        *sums.1 += world.ghost.outcomes.len();
        *sums.2 += u64::from(world.ghost.replayed);
        *sums.3 += world.server_seat.takeovers;
        Ok(())
    });
    println!(
        "{:.1} s: {steps} steps, {acknowledged} calls acknowledged, {takeovers} server takeovers, {replayed} worlds with a replay",
        start.elapsed().as_secs_f64()
    );
    if let Err(error) = result {
        panic!("{error}");
    }
    assert!(acknowledged > 0 && replayed > 0, "walks that reach nothing check nothing");
}

/// The walks are worth something: they find what a missing guard lets through.
#[test]
fn random_walks_find_missing_guards() {
    for without in
        [Without::StableBeforeReply, Without::IncarnationCheck, Without::DropBeforeMark, Without::Recover]
    {
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let config = Config { max_shrink_iters: 0, ..config(1000) };
        let mut runner = TestRunner::new_with_rng(config, rng);
        let schedules = (setups(), proptest::collection::vec(any::<u16>(), 1..400));
        let found = runner.run(&schedules, |(setup, choices)| {
            let setup = Setup { without: Some(without), ..setup };
            walk(&setup, &choices).map(|_| ()).map_err(TestCaseError::fail)
        });
        assert!(found.is_err(), "no walk shows that {without:?} is needed");
    }
}
