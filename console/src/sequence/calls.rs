//! Which call an event is about, and which calls belong together.

use std::collections::{BTreeMap, BTreeSet};

use palib::control::{Event, What};

/// The call an event is about.
#[must_use]
pub fn call_of(what: &What) -> Option<&str> {
    match what {
        What::Asked { call, .. }
        | What::Resent { call, .. }
        | What::Received { call, .. }
        | What::Executing { call, .. }
        | What::Stable { call, .. }
        | What::Answered { call, .. }
        | What::Call { call, .. }
        | What::RedundancyFound { call, .. }
        | What::Stale { call, .. }
        | What::InDoubt { call, .. }
        | What::Resolved { call, .. }
        | What::Relayed { call, .. }
        | What::RelayAnswered { call, .. }
        | What::RelayCompleted { call, .. }
        | What::RolledForward { call, .. }
        | What::Substituted { call, .. }
        | What::RollingBack { call, .. }
        | What::RolledBack { call, .. }
        | What::CancelSent { call, .. }
        | What::CancelConfirmed { call, .. }
        | What::Cancelled { call, .. }
        | What::Undoing { call, .. }
        | What::Diverged { call, .. }
        | What::Stuck { call, .. } => Some(call),
        _ => None,
    }
}

/// A call that was made on behalf of another one: `(the one served, the one made)`.
fn parent(what: &What) -> Option<(&str, &str)> {
    match what {
        What::Relayed { call, downstream, .. }
        | What::RelayAnswered { call, downstream, .. }
        | What::CancelSent { call, downstream, .. } => Some((call, downstream)),
        What::Substituted { call, new, .. } => Some((call, new)),
        _ => None,
    }
}

/// The call at the root of this one, and every call that was made on its behalf, the root first.
#[must_use]
pub fn family<'a>(call: &str, events: impl Iterator<Item = &'a Event>) -> Vec<String> {
    let mut parents = BTreeMap::new();
    let mut children: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (served, made) in events.filter_map(|event| parent(&event.what)) {
        if parents.insert(made, served).is_none() {
            children.entry(served).or_default().push(made);
        }
    }
    let mut root = call;
    let mut climbed = BTreeSet::new();
    // An id names its caller, so no call can be its own ancestor; but events come over a wire.
    while let Some(parent) = parents.get(root).filter(|parent| climbed.insert(**parent)) {
        root = parent;
    }
    let mut found = vec![root.to_owned()];
    let mut at = 0;
    while at < found.len() {
        for child in children.get(found[at].as_str()).into_iter().flatten() {
            if !found.iter().any(|known| known == child) {
                found.push((*child).to_owned());
            }
        }
        at += 1;
    }
    found
}
