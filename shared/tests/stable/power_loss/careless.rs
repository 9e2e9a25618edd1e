//! What a careless owner would do is found: or the tests beside these say nothing.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::contents::Contents;
use super::life::{Desk, Life, Violation};
use super::tape::Step;
use super::{new_area, random_batches, random_life};
use crate::power_loss::workload::random_job;

const HALF: &str = "neither what was told nor the commit under way";

fn cut(desk: &Desk, random: &mut SmallRng, life: &Life) -> Option<Violation> {
    life.cut_everywhere(desk, 9, random, random_job).err()
}

/// Cuts the power of a life whose tape was changed.
fn looked_at(careless: impl FnOnce(&mut Vec<Step>)) -> Violation {
    let (desk, mut random) = (Desk::new(), SmallRng::seed_from_u64(1));
    let life = random_life(&desk, &mut random, 4).with_steps(careless);
    cut(&desk, &mut random, &life).expect("nobody noticed")
}

/// Moves what an owner says to before the sync that it has to wait for.
fn say_early(steps: &mut [Step], is_said: impl Fn(&Step) -> bool) {
    for said in 0..steps.len() {
        if is_said(&steps[said]) {
            let sync = steps[..said].iter().rposition(|step| matches!(step, Step::Sync)).unwrap();
            steps[sync..=said].rotate_right(1);
        }
    }
}

#[test]
fn an_owner_that_answers_before_the_sync_is_found() {
    let violation = looked_at(|steps| say_early(steps, |step| matches!(step, Step::Told(_))));
    assert!(violation.what.contains(HALF), "{violation:?}");
}

#[test]
fn a_disk_that_only_says_it_has_synced_is_found() {
    looked_at(|steps| steps.retain(|step| !matches!(step, Step::Sync)));
}

/// Each effect in a commit before that of its row.
#[test]
fn a_job_in_two_commits_is_found() {
    let (desk, mut random) = (Desk::new(), SmallRng::seed_from_u64(1));
    let halves = random_batches(&mut random, 6);
    let life = Life::live(&desk, 2, new_area(&desk), vec![Contents::default()], &halves);
    let mut commits = 0;
    let life = life.with_steps(|steps| {
        steps.retain(|step| {
            commits += usize::from(matches!(step, Step::Told(_)));
            !(matches!(step, Step::Told(_)) && commits % 2 == 1)
        });
    });
    let violation = cut(&desk, &mut random, &life).expect("nobody noticed");
    assert!(violation.what.contains(HALF), "{violation:?}");
}

/// Its former owner was killed before the last sync: what it reads need not be on the disk.
#[test]
fn an_owner_that_answers_from_what_it_reads_before_it_synced_it_is_found() {
    let desk = Desk::new();
    let found = (0..40).any(|seed| {
        let mut random = SmallRng::seed_from_u64(seed);
        let first = random_life(&desk, &mut random, 2);
        // Just before a sync all of a commit is in the file, and need not be on the disk.
        let syncs: Vec<usize> =
            (0..first.steps().len()).filter(|end| matches!(first.steps()[*end], Step::Sync)).collect();
        let (left, may_be) = first.killed_before(syncs[random.random_range(0..syncs.len())]);
        let second = Life::live(&desk, 3, left, may_be, &[]);
        let second = second.with_steps(|steps| {
            // It syncs more than once.
            while let Some(said) = steps.iter().position(|step| matches!(step, Step::Opened))
                && steps[..said].iter().any(|step| matches!(step, Step::Sync))
            {
                say_early(steps, |step| matches!(step, Step::Opened));
            }
        });
        cut(&desk, &mut random, &second).is_some()
    });
    assert!(found, "nobody noticed");
}
