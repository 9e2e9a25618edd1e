//! Which slots of the current session's ring hold a call that is not done.

use alloc::vec::Vec;

use crate::ids::TransId;

/// One bit for each slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Slots {
    words: Vec<u64>,
    window: u64,
    taken: u64,
}

impl Slots {
    pub(super) fn new(window: u32) -> Self {
        Self { words: alloc::vec![0; window.div_ceil(64) as usize], window: u64::from(window), taken: 0 }
    }

    /// The first transId from `trans` on whose slot is free.
    pub(super) fn next_free(&self, trans: TransId) -> Option<TransId> {
        if self.taken == self.window {
            return None;
        }
        (trans.0..trans.0 + self.window).map(TransId).find(|&trans| !self.is_taken(trans))
    }

    pub(super) fn take(&mut self, trans: TransId) {
        let (word, bit) = self.place(trans);
        self.taken += u64::from(self.words[word] & bit == 0);
        self.words[word] |= bit;
    }

    pub(super) fn release(&mut self, trans: TransId) {
        let (word, bit) = self.place(trans);
        self.taken -= u64::from(self.words[word] & bit != 0);
        self.words[word] &= !bit;
    }

    fn is_taken(&self, trans: TransId) -> bool {
        let (word, bit) = self.place(trans);
        self.words[word] & bit != 0
    }

    fn place(&self, trans: TransId) -> (usize, u64) {
        let slot = trans.0 % self.window;
        ((slot / 64) as usize, 1 << (slot % 64))
    }
}
