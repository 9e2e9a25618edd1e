//! Power that is lost at every change of the file, in many ways each, and what the next owner finds: exactly what was
//! acknowledged, or that and the one commit under way.

mod careless;
mod contents;
mod creation;
mod life;
mod platter;
mod tape;
mod workload;

use bytes::Bytes;
use palib::core::ids::Incarnation;
use palib::stable::StableArea;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use self::contents::Contents;
use self::life::{Desk, Images, Life, Violation};
use self::platter::Platter;
use self::workload::{Op, random_job};

/// From this length on an area is committed for quick repair; the number is the writer's own affair, and only has to be
/// passed here.
const LARGE_BYTES: usize = 5 * 1024 * 1024;

/// A new area, closed in good order.
fn new_area(desk: &Desk) -> Platter {
    desk.open(Incarnation(1), &Default::default()).unwrap().close().unwrap();
    let platter = Platter::of(std::fs::read(desk.path()).unwrap());
    std::fs::remove_file(desk.path()).unwrap();
    platter
}

/// Commits of one to three jobs each.
fn random_batches(random: &mut SmallRng, commits: usize) -> Vec<Vec<Vec<Op>>> {
    let batch = |random: &mut SmallRng| (0..random.random_range(1..=3)).map(|_| random_job(random)).collect();
    (0..commits).map(|_| batch(random)).collect()
}

fn random_life(desk: &Desk, random: &mut SmallRng, commits: usize) -> Life {
    let batches = random_batches(random, commits);
    Life::live(desk, 2, new_area(desk), vec![Contents::default()], &batches)
}

/// Commits, and nothing else, at every step of which the power is cut.
fn commits(seed: u64, commits: usize, most: usize) -> Images {
    let (desk, mut random) = (Desk::new(), SmallRng::seed_from_u64(seed));
    let life = random_life(&desk, &mut random, commits);
    expect(seed, life.cut_everywhere(&desk, most, &mut random, random_job))
}

/// An area that becomes large: its commits are of the dearer kind from some one on.
fn growth(seed: u64, most: usize) -> Images {
    let (desk, mut random) = (Desk::new(), SmallRng::seed_from_u64(seed));
    let ballast = |key| vec![Op::Put(key, Bytes::from(vec![7; LARGE_BYTES / 4]))];
    let mut batches = random_batches(&mut random, 1);
    for key in ["ballast 1", "ballast 2", "ballast 3"] {
        batches.push(vec![ballast(key), random_job(&mut random)]);
    }
    batches.extend(random_batches(&mut random, 2));
    let life = Life::live(&desk, 2, new_area(&desk), vec![Contents::default()], &batches);
    assert!(life.killed_before(life.steps().len()).0.seen().len() > LARGE_BYTES, "it did not become large");
    expect(seed, life.cut_everywhere(&desk, most, &mut random, random_job))
}

/// An owner is killed at some step and leaves changes that were never synced; power fails at each step of the next
/// one: within its opening too, before and after it may answer from what it has read.
fn takeover(seed: u64, most: usize) -> Images {
    let (desk, mut random) = (Desk::new(), SmallRng::seed_from_u64(seed));
    let first = random_life(&desk, &mut random, 3);
    let unsynced: Vec<usize> =
        (0..first.steps().len()).filter(|end| !first.killed_before(*end).0.is_synced()).collect();
    let killed = unsynced[random.random_range(0..unsynced.len())];
    let (left, found) = first.killed_before(killed);
    let second = Life::live(&desk, 3, left, found, &random_batches(&mut random, 2));
    expect(seed, second.cut_everywhere(&desk, most, &mut random, random_job))
}

/// Power fails, and fails again while the next owner repairs the file, and goes on from there.
fn repair(seed: u64, most: usize) -> Images {
    let (desk, mut random) = (Desk::new(), SmallRng::seed_from_u64(seed));
    let first = random_life(&desk, &mut random, 3);
    let end = random.random_range(0..=first.steps().len());
    let (left, found) = first.killed_before(end);
    let cuts = left.cuts(9, &mut random);
    let image = cuts[random.random_range(0..cuts.len())].clone();
    let second = Life::live(&desk, 3, Platter::of(image), found, &random_batches(&mut random, 1));
    expect(seed, second.cut_everywhere(&desk, most, &mut random, random_job))
}

fn expect(seed: u64, looked: Result<Images, Violation>) -> Images {
    looked.unwrap_or_else(|violation| panic!("seed {seed}: {violation:?}"))
}

fn sum(what: &str, parts: impl IntoIterator<Item = Images>) {
    let mut images = Images::default();
    parts.into_iter().for_each(|part| images.add(part));
    println!("{what}: {} images, {} of them with the commit under way", images.count, images.newer);
    assert!(images.count >= 200, "{what}: {} images only", images.count);
    assert!(images.newer > 0 && images.newer < images.count, "{what}: only one side of the commits was met");
}

#[test]
fn power_may_fail_at_any_change_of_any_commit() {
    sum("commits", (0..4).map(|seed| commits(seed, 6, 9)));
}

#[test]
fn power_may_fail_while_an_area_grows_into_the_dearer_kind_of_commit() {
    sum("growth", [growth(0, 4)]);
}

#[test]
fn power_may_fail_after_an_owner_was_killed_within_a_commit() {
    sum("takeover", (0..6).map(|seed| takeover(seed, 9)));
}

#[test]
fn power_may_fail_again_within_the_repair() {
    sum("repair", (0..6).map(|seed| repair(seed, 9)));
}

/// The same at length.
#[test]
#[ignore = "takes minutes"]
fn power_may_fail_a_hundred_thousand_times() {
    sum("commits", (1000..1100).map(|seed| commits(seed, 12, 17)));
    sum("growth", (1000..1010).map(|seed| growth(seed, 9)));
    sum("takeover", (1000..1300).map(|seed| takeover(seed, 17)));
    sum("repair", (1000..1300).map(|seed| repair(seed, 17)));
}
