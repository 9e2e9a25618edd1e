//! Which calls of a run are worth a chart.

use std::collections::{BTreeMap, BTreeSet};

use palib::control::{Event, What};

use crate::sequence::{call_of, family};

/// Charts on one page.
const CHARTS_MAX: usize = 4;

/// What happened to a call, as far as it makes it worth looking at.
#[derive(Clone, Copy, Debug, Default)]
struct Worth {
    points: u32,
    steps: u32,
    /// Which kinds of things happened: calls with the same kinds tell the same story.
    story: u32,
}

/// The calls worth a chart, the best first: each tells another story. If nothing out of the ordinary happened, the
/// slowest of those that were traced.
pub(super) fn calls(events: &[Event]) -> Vec<String> {
    let mut worth: BTreeMap<&str, Worth> = BTreeMap::new();
    for event in events {
        let Some(call) = call_of(&event.what) else { continue };
        let worth = worth.entry(call).or_default();
        let (bit, points) = points(&event.what);
        worth.steps += 1;
        if worth.story & bit == 0 {
            worth.story |= bit;
            worth.points += points;
        }
    }
    let mut ranked: Vec<(&str, Worth)> = worth.into_iter().collect();
    ranked.retain(|(_, worth)| worth.points > 0);
    ranked.sort_by_key(|(_, worth)| std::cmp::Reverse((worth.points, worth.steps.min(40))));
    let mut chosen: Vec<String> = Vec::new();
    let mut told = BTreeSet::new();
    for (call, worth) in ranked {
        if chosen.len() == CHARTS_MAX {
            break;
        }
        if told.insert(worth.story) {
            // A relay's call and the one it was made for are one chart.
            let root = family(call, events.iter()).swap_remove(0);
            if !chosen.contains(&root) {
                chosen.push(root);
            }
        }
    }
    if chosen.is_empty() {
        chosen.extend(slowest(events));
    }
    chosen
}

/// A bit for the kind of a thing, and how much it is worth to see.
fn points(what: &What) -> (u32, u32) {
    match what {
        What::InDoubt { .. } | What::Diverged { .. } | What::Stuck { .. } => (1, 20),
        What::RollingBack { .. } | What::Substituted { .. } | What::RolledForward { .. } => (2, 15),
        What::RedundancyFound { process_type, .. } if process_type == "held" => (4, 6),
        What::RedundancyFound { .. } => (8, 12),
        What::Relayed { .. } => (16, 8),
        What::Resent { .. } => (32, 10),
        What::Stale { .. } => (64, 5),
        // The first sending of it is known: the chart has a beginning.
        What::Asked { .. } => (128, 0),
        What::Answered { .. } => (256, 0),
        _ => (0, 0),
    }
}

fn slowest(events: &[Event]) -> Option<String> {
    let times = events.iter().filter_map(|event| match &event.what {
        What::Call { call, us, .. } => Some((*us, call)),
        _ => None,
    });
    times.max().map(|(_, call)| call.clone())
}
