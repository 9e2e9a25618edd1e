//! The marks of source aliases: what lies below one is done, is refused, and is forgotten (R24).

use alloc::vec::Vec;

use super::machine::{Phase, Server};
use super::{Effect, OnFailure, Then, Write};
use crate::ids::{AliasId, CallId, Incarnation, Mark, Session, TransId};
use crate::relay::Relays;

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Server<B> {
    /// Learns the mark of a source, and returns the highest that is known.
    pub(super) fn learn_mark(&mut self, source: AliasId, mark: Mark, effects: &mut Vec<Effect<B>>) -> Mark {
        let known = self.sources.entry(source).or_default();
        let before = known.mark;
        if mark <= before {
            return before;
        }
        known.mark = mark;
        if mark.born > before.born {
            self.forget_below(source, mark.born);
        }
        self.release(source, mark, effects);
        mark
    }

    fn forget_below(&mut self, source: AliasId, born: Incarnation) {
        let below = |session: &Session| session.source == source && session.born < born;
        self.sessions.retain(|session, ring| !below(session) || ring.busy > 0);
    }

    /// Makes a row durable, and with one that ends the call what follows for its journal.
    ///
    /// The mark goes after the row: if the row's own session lies below it, the row goes with it.
    pub(super) fn commit(&mut self, id: CallId, write: Write<B>, then: Then, effects: &mut Vec<Effect<B>>) {
        let source = id.source;
        let may_fail =
            matches!(write, Write::Atomic { failure: OnFailure::Nothing, .. } | Write::AtomicUndo { .. });
        let mut writes = Vec::with_capacity(1);
        writes.push(write);
        let ends = matches!(then, Then::Stable { .. } | Then::StableCancelled { .. });
        if ends {
            writes.extend(self.close_journal(id));
        }
        if let Some(known) = self.sources.get_mut(&source) {
            let born = self.calls.get(&id).map(|call| call.key.session.born);
            let is_news =
                |mark: Mark, stored| mark.born > stored || born.is_some_and(|born| born < mark.born);
            // Nearly never, so nearly never all that is under way is looked through.
            if is_news(known.mark, known.stored) {
                let mark = storable(&self.relays, source, known.mark, (ends && !may_fail).then_some(id));
                if is_news(mark, known.stored) {
                    known.stored = mark.born;
                    writes.push(Write::PutMark { source, mark });
                }
            }
        }
        effects.push(Effect::Commit { incarnation: self.incarnation, writes, then: Some(then) });
    }

    /// All that such a source ever sent lies below the first call of an incarnation it never had.
    pub(super) fn aliases_gone(&mut self, aliases: &[(AliasId, Incarnation)], effects: &mut Vec<Effect<B>>) {
        for &(source, last) in aliases {
            let mark = Mark { born: Incarnation(last.0.saturating_add(1)), trans: TransId(0) };
            self.learn_mark(source, mark, effects);
        }
        if self.phase != Phase::Backup {
            self.store_marks(aliases.iter().map(|(source, _)| *source), effects);
        }
    }

    /// Stores marks that no call brings to the stable area.
    pub(super) fn store_marks(
        &mut self,
        sources: impl Iterator<Item = AliasId>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let mut writes = Vec::new();
        for source in sources {
            let Some(known) = self.sources.get_mut(&source) else { continue };
            let mark = storable(&self.relays, source, known.mark, None);
            if mark.born > known.stored {
                known.stored = mark.born;
                writes.push(Write::PutMark { source, mark });
            }
        }
        if !writes.is_empty() {
            effects.push(Effect::Commit { incarnation: self.incarnation, writes, then: None });
        }
    }
}

/// The mark of a source as far as it may be stored: below it nobody asks any more, but what was begun there must not be
/// left half done, apart from a call that ends in the same commit.
fn storable<B: Clone + PartialEq>(
    relays: &Relays<B>,
    source: AliasId,
    mark: Mark,
    ends: Option<CallId>,
) -> Mark {
    let under_way = relays.under_way(source).filter(|&(open, _)| Some(open) != ends);
    let oldest = under_way.map(|(_, born)| Mark { born, trans: TransId(0) }).min();
    oldest.map_or(mark, |oldest| oldest.min(mark))
}
