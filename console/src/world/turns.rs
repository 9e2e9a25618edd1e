//! What became of the transactions of relays that did not go straight on.

use std::collections::BTreeMap;

use palib::control::What;

/// How often what happened to transactions of an alias.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turns {
    /// A takeover went on with one that it found half done.
    pub forward: u64,
    /// Everything that was called for one was undone.
    pub back: u64,
    /// Another call took the place of one that was not answered.
    pub substituted: u64,
}

/// Counts an event that tells of one.
pub(super) fn apply(turns: &mut BTreeMap<String, Turns>, what: &What) {
    let (alias, count): (&String, fn(&mut Turns) -> &mut u64) = match what {
        What::RolledForward { alias, .. } => (alias, |turns| &mut turns.forward),
        What::RolledBack { alias, .. } => (alias, |turns| &mut turns.back),
        What::Substituted { alias, .. } => (alias, |turns| &mut turns.substituted),
        _ => return,
    };
    *count(turns.entry(alias.clone()).or_default()) += 1;
}
