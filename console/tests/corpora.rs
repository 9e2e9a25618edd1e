//! The seeds of the fuzzers, and variants of them, through the fuzzers' own functions. What libFuzzer finds is put
//! among the seeds, so that it is looked at each time from then on.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

#[allow(unreachable_pub, reason = "the binaries of the fuzzers reach it")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Numbers at the edge of something.
const EDGES: [u8; 8] = [0, 1, 0x7F, 0x80, 0xFE, 0xFF, b'0', b'"'];

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut seeds: Vec<_> = fs::read_dir(&folder)
        .expect("a folder of seeds")
        .map(|entry| entry.expect("a seed").path())
        .map(|path| (path.display().to_string(), fs::read(&path).expect("a readable seed")))
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 3, "{} has {} seeds", folder.display(), seeds.len());
    seeds
}

/// Runs all seeds of a target, and so many variants of them.
fn target(name: &str, variants: usize) {
    let seeds = seeds(name);
    let understood = seeds.iter().filter(|(path, seed)| look(name, path, seed)).count();
    println!("{understood} of {} seeds are understood", seeds.len());
    assert!(understood >= 2 && understood < seeds.len(), "seeds of one kind only");
    let mut random = SmallRng::seed_from_u64(1);
    let mut variants_understood = 0;
    for _ in 0..variants {
        let (path, seed) = &seeds[random.random_range(0..seeds.len())];
        let mut data = seed.clone();
        for _ in 0..random.random_range(1..6) {
            let other = &seeds[random.random_range(0..seeds.len())].1;
            mutate(&mut data, other, &mut random);
        }
        variants_understood += usize::from(look(name, path, &data));
    }
    println!("{variants_understood} of {variants} variants are understood");
    // If none or all were, the changes would be too coarse, or make no difference.
    assert!(variants_understood > 0 && variants_understood < variants);
}

/// Whether anything of it was understood.
fn look(name: &str, path: &str, data: &[u8]) -> bool {
    let looked = catch_unwind(AssertUnwindSafe(|| fuzz::run(name, data)));
    looked.unwrap_or_else(|_| panic!("{name}, from {path}: {:?}", data.escape_ascii().to_string()))
}

/// One change of the kind that breaks readers.
fn mutate(data: &mut Vec<u8>, other: &[u8], random: &mut SmallRng) {
    let at = random.random_range(0..=data.len());
    let end = (at + random.random_range(1..9)).min(data.len());
    match random.random_range(0..7) {
        0 if at < data.len() => data[at] ^= 1 << random.random_range(0..8),
        1 if at < data.len() => data[at] = EDGES[random.random_range(0..EDGES.len())],
        2 => data.insert(at, EDGES[random.random_range(0..EDGES.len())]),
        3 => data.truncate(at),
        4 => drop(data.drain(at..end)),
        5 => {
            let again = data[at..end].to_vec();
            data.splice(at..at, again);
        }
        _ => {
            let from = random.random_range(0..=other.len());
            let to = (from + random.random_range(1..40)).min(other.len());
            data.splice(at..end, other[from..to].iter().copied());
        }
    }
}

#[test]
fn every_target_has_a_test_here() {
    let tested = include_str!("corpora.rs");
    for (name, _) in fuzz::TARGETS {
        assert!(tested.contains(&format!("target(\"{name}\"")), "{name}");
    }
}

#[test]
fn whatever_lies_in_an_area_is_shown_or_refused() {
    target("area", 150);
}

#[test]
fn whatever_stands_in_a_certificate_is_a_grant_or_none() {
    target("certificate", 5000);
}

#[test]
fn whatever_stands_in_a_cluster_file_is_understood_or_explained() {
    target("cluster_file", 3000);
}

#[test]
fn whatever_comes_as_a_control_message_is_one_or_none() {
    target("control", 5000);
}

#[test]
fn whatever_is_typed_as_a_filter_filters_or_is_explained() {
    target("filter", 3000);
}

#[test]
fn whatever_stands_in_a_history_is_read_or_refused() {
    target("history", 5000);
}

#[test]
fn whatever_stands_in_a_record_is_read_in_one_way_or_refused() {
    target("record", 20_000);
}

#[test]
fn whatever_comes_over_a_link_is_a_frame_or_a_mistake() {
    target("wire", 10_000);
}

#[test]
fn whatever_is_written_in_a_little_language_means_one_thing_or_nothing() {
    target("words", 20_000);
}
