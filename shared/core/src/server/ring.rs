//! What this incarnation knows of one session's rows: a ring of slots, filled as slots are first touched.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::ids::{Origin, Slot, TransId};
use crate::redundancy::{RedProcess, Row, RowState};
use crate::uncompared::Uncompared;

/// Slots that get their memory together: a session of few calls takes 2 KiB and not a whole ring.
const CHUNK: u32 = 64;

/// What is known of a slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Known {
    /// Not touched by this incarnation: only the stable area knows.
    #[default]
    Unknown,
    /// No row lies there.
    Empty,
    /// The call is in hand: it is among the server's open calls.
    Open,
    /// An outcome is registered. The reply itself stays in the stable area.
    AutoReply,
    /// A redundant-message handler is registered.
    Handler,
    /// It is being undone.
    Undoing,
    /// It was cancelled.
    Cancelled,
}

/// A slot as this incarnation knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    /// The digest of the request; meaningless while the slot is unknown or empty.
    pub(super) digest: u128,
    /// The call; meaningless while the slot is unknown or empty.
    pub(super) trans: TransId,
    /// How often the call came again.
    pub(super) hits: Uncompared<u32>,
    /// What is known.
    pub(super) known: Known,
}

impl Entry {
    /// The slot of a call that is now in hand.
    pub(super) fn open(trans: TransId, digest: u128) -> Self {
        Self { digest, trans, hits: Uncompared(0), known: Known::Open }
    }

    /// The slot as it was found in the stable area.
    pub(super) fn loaded<B>(row: Option<&Row<B>>) -> Self {
        let Some(row) = row else { return Self { known: Known::Empty, ..Self::default() } };
        let known = match row.state {
            RowState::Blocked { .. } | RowState::Relaying { .. } => Known::Open,
            RowState::Undoing(_) => Known::Undoing,
            RowState::Cancelled { .. } => Known::Cancelled,
            RowState::Registered(RedProcess::AutoReply(_)) => Known::AutoReply,
            RowState::Registered(RedProcess::Handler { .. }) => Known::Handler,
        };
        Self { digest: row.digest, trans: row.id.trans, hits: Uncompared(0), known }
    }
}

/// One session's slots.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ring {
    chunks: Vec<Option<Box<[Entry]>>>,
    window: u32,
    /// The origin all ids of this session have: a session is one incarnation of one member.
    pub(super) origin: Origin,
    /// Calls in hand and rows being loaded. While there are any, the ring can't be forgotten.
    pub(super) busy: u32,
    /// Touched since somebody last looked for a ring to forget.
    pub(super) used: bool,
}

impl Ring {
    /// A ring of which nothing is known.
    pub(super) fn new(window: u32, origin: Origin) -> Self {
        let chunks = (0..window.div_ceil(CHUNK)).map(|_| None).collect();
        Self { chunks, window, origin, busy: 0, used: true }
    }

    /// What is known of a slot.
    pub(super) fn get(&self, slot: Slot) -> Entry {
        match &self.chunks[(slot.0 / CHUNK) as usize] {
            Some(chunk) => chunk[(slot.0 % CHUNK) as usize],
            None => Entry::default(),
        }
    }

    /// The slot, to be changed.
    pub(super) fn at(&mut self, slot: Slot) -> &mut Entry {
        let length = CHUNK.min(self.window) as usize;
        let chunk = self.chunks[(slot.0 / CHUNK) as usize]
            .get_or_insert_with(|| alloc::vec![Entry::default(); length].into_boxed_slice());
        &mut chunk[(slot.0 % CHUNK) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Incarnation;

    #[test]
    fn an_entry_takes_no_more_than_half_a_cache_line() {
        assert_eq!(core::mem::size_of::<Entry>(), 32);
    }

    #[test]
    fn a_ring_allots_memory_only_for_what_is_touched() {
        let mut ring = Ring::new(1024, Origin::Incarnation(Incarnation(1)));
        assert_eq!(ring.get(Slot(1023)).known, Known::Unknown);
        *ring.at(Slot(1023)) = Entry::open(TransId(1023), 7);
        assert_eq!(ring.chunks.iter().flatten().count(), 1);
        assert_eq!(ring.get(Slot(1023)).trans, TransId(1023));
    }
}
