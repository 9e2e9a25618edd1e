//! A disk from which power is cut. Of what was written and not synced any sector may be on it afterwards or not, in
//! whichever order it was written.

use std::mem;
use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;

/// What a disk writes whole or not at all.
pub(crate) const SECTOR_BYTES: usize = 512;
/// Up to so many unsynced sectors each subset of them is an image of its own.
const SECTORS_TRIED_IN_FULL: usize = 4;

/// A change of a file.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Write(u64, Arc<[u8]>),
    SetLen(u64),
}

impl Change {
    /// Into how many pieces power loss can tear it. A length is one number in one sector.
    fn pieces(&self) -> usize {
        match self {
            Self::Write(_, data) => data.len().div_ceil(SECTOR_BYTES),
            Self::SetLen(_) => 1,
        }
    }

    /// Makes the pieces of it that reached the disk.
    fn apply(&self, bytes: &mut Vec<u8>, mut reached: impl FnMut(usize) -> bool) {
        match self {
            Self::SetLen(len) if reached(0) => bytes.resize(*len as usize, 0),
            Self::SetLen(_) => {}
            Self::Write(offset, data) => {
                for (piece, data) in data.chunks(SECTOR_BYTES).enumerate() {
                    let at = *offset as usize + piece * SECTOR_BYTES;
                    if reached(piece) {
                        // A write behind the end makes the file longer.
                        bytes.resize(bytes.len().max(at + data.len()), 0);
                        bytes[at..at + data.len()].copy_from_slice(data);
                    }
                }
            }
        }
    }
}

/// One file on such a disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Platter {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

/// Which of the unsynced pieces reach the disk.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Loss {
    /// None.
    All,
    /// Every one.
    Nothing,
    /// Those made before some instant; the change of that instant is torn.
    Later,
    /// Each one or not, by such odds in percent.
    Pieces(u32),
    /// Each whole change or not.
    Changes,
    /// All but those of one change.
    OneChange,
    /// All but those of every change but one: what was written last may well be written first.
    AllButOneChange,
}

impl Loss {
    pub(crate) const SAMPLED: [Self; 7] = [
        Self::Later,
        Self::Pieces(50),
        Self::Changes,
        Self::OneChange,
        Self::AllButOneChange,
        Self::Pieces(10),
        Self::Pieces(90),
    ];
}

impl Platter {
    /// A file all of which is durable.
    pub(crate) fn of(durable: Vec<u8>) -> Self {
        Self { durable, unsynced: Vec::new() }
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.unsynced.push(change);
    }

    pub(crate) fn sync(&mut self) {
        for change in mem::take(&mut self.unsynced) {
            change.apply(&mut self.durable, |_| true);
        }
    }

    pub(crate) fn is_synced(&self) -> bool {
        self.unsynced.is_empty()
    }

    /// What a process reads, and the next one if this one is killed: what was not synced is there as well.
    pub(crate) fn seen(&self) -> Vec<u8> {
        self.after(|_, _| true)
    }

    /// Images of the file after the power came back: `most` of them, or each possible one if there are fewer.
    pub(crate) fn cuts(&self, most: usize, random: &mut SmallRng) -> Vec<Vec<u8>> {
        let pieces: usize = self.unsynced.iter().map(Change::pieces).sum();
        if pieces <= SECTORS_TRIED_IN_FULL {
            return (0..1_u32 << pieces).map(|subset| self.subset(subset)).collect();
        }
        let ends = [Loss::All, Loss::Nothing];
        // The kinds take turns, from a random one on, so that each comes at some change of any workload.
        let first = random.random_range(0..Loss::SAMPLED.len());
        let sampled = Loss::SAMPLED.into_iter().cycle().skip(first);
        ends.into_iter().chain(sampled).take(most.max(2)).map(|loss| self.cut(loss, random)).collect()
    }

    /// The image in which those pieces are on the disk whose bit is set.
    fn subset(&self, subset: u32) -> Vec<u8> {
        let mut next = 0;
        self.after(|_, _| {
            next += 1;
            subset & (1 << (next - 1)) != 0
        })
    }

    pub(crate) fn cut(&self, loss: Loss, random: &mut SmallRng) -> Vec<u8> {
        let changes = self.unsynced.len();
        let one = random.random_range(0..changes.max(1));
        let torn = self.unsynced.get(one).map_or(0, |change| random.random_range(0..=change.pieces()));
        let whole: Vec<bool> = (0..changes).map(|_| random.random()).collect();
        self.after(|change, piece| match loss {
            Loss::All => false,
            Loss::Nothing => true,
            Loss::Later => (change, piece) < (one, torn),
            Loss::Pieces(odds) => random.random_range(0..100) < odds,
            Loss::Changes => whole[change],
            Loss::OneChange => change != one,
            Loss::AllButOneChange => change == one,
        })
    }

    fn after(&self, mut reached: impl FnMut(usize, usize) -> bool) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for (number, change) in self.unsynced.iter().enumerate() {
            change.apply(&mut bytes, |piece| reached(number, piece));
        }
        bytes
    }
}
