//! What a storm does: which kinds of defects it is made of, and what each is in the language of defects.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::Rng;
use rand::rngs::StdRng;

use super::inject::between;
use crate::defect::{DiskFault, Injury, LinkFault, Percent, Target};
use crate::units::closest;

/// A kind of defect that a storm can be made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StormKind {
    /// SIGKILL.
    Kill,
    /// A hang, half of them longer than suspicion takes.
    Hang,
    /// Nothing passes between two processes for a while.
    Cut,
    /// Nothing passes from one process to another for a while.
    OneWay,
    /// Packets between two processes are lost.
    Drop,
    /// Packets between two processes are late.
    Delay,
    /// Packets between two processes come twice.
    Duplicate,
    /// Packets between two processes overtake each other.
    Reorder,
    /// The disk below a stable area fails, is torn, full or slow.
    Disk,
}

impl StormKind {
    /// All of them, by their words.
    const WORDS: [(&'static str, Self); 9] = [
        ("kill", Self::Kill),
        ("hang", Self::Hang),
        ("cut", Self::Cut),
        ("oneway", Self::OneWay),
        ("drop", Self::Drop),
        ("delay", Self::Delay),
        ("duplicate", Self::Duplicate),
        ("reorder", Self::Reorder),
        ("disk", Self::Disk),
    ];
    /// What a storm is made of unless it is told otherwise.
    pub const USUAL: [Self; 2] = [Self::Kill, Self::Hang];

    /// Of so many strikes together, as many are of this kind if all kinds are wanted.
    fn weight(self) -> u32 {
        match self {
            Self::Kill => 6,
            Self::Hang => 4,
            _ => 3,
        }
    }

    /// One of these, by chance.
    pub(super) fn choose(kinds: &[Self], random: &mut StdRng) -> Self {
        let mut at = random.random_range(0..kinds.iter().map(|kind| kind.weight()).sum::<u32>().max(1));
        let found = kinds.iter().find(|kind| {
            let hit = at < kind.weight();
            at = at.saturating_sub(kind.weight());
            hit
        });
        found.copied().unwrap_or(Self::Kill)
    }

    /// A fault of this kind of the link between two processes; none if it is no kind of those. `longest` is how long a cut
    /// lasts at most.
    pub(super) fn of_link(
        self,
        from: &str,
        to: &str,
        longest: Duration,
        random: &mut StdRng,
    ) -> Option<Injury> {
        let ms = Duration::from_millis;
        let mut percent = |least: u32, most: u32| Percent(random.random_range(least..=most) * 100);
        let fault = match self {
            Self::Cut => LinkFault::Cut,
            Self::OneWay => LinkFault::OneWay,
            Self::Drop => LinkFault::Drop(percent(5, 40)),
            Self::Duplicate => LinkFault::Duplicate(percent(5, 50)),
            Self::Reorder => LinkFault::Reorder,
            Self::Delay => {
                let by = whole_ms(between(random, ms(2), ms(60)));
                LinkFault::Delay { by, jitter: whole_ms(by / 2) }
            }
            Self::Kill | Self::Hang | Self::Disk => return None,
        };
        let longest = match fault {
            LinkFault::Cut | LinkFault::OneWay => longest,
            _ => ms(3_000),
        };
        let span = Some(whole_ms(between(random, ms(50), longest)));
        let (from, to) = (Target(from.to_owned()), Target(to.to_owned()));
        Some(Injury::Link { fault, from, to, span })
    }

    /// A fault of the disk of an alias.
    pub(super) fn of_disk(alias: &str, random: &mut StdRng) -> Injury {
        let ms = Duration::from_millis;
        let (fault, span) = match random.random_range(0..10) {
            0..3 => (DiskFault::FsyncError, None),
            3..6 => (DiskFault::Torn, None),
            6..8 => (DiskFault::Full, Some(between(random, ms(100), ms(1_500)))),
            _ => {
                let slow = whole_ms(between(random, ms(5), ms(100)));
                (DiskFault::Slow(slow), Some(between(random, ms(200), ms(2_000))))
            }
        };
        Injury::Disk { alias: Target(alias.to_owned()), fault, span: span.map(whole_ms) }
    }
}

/// Spans by chance are read by people, too.
fn whole_ms(span: Duration) -> Duration {
    Duration::from_millis(span.as_millis() as u64)
}

impl FromStr for StormKind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((_, kind)) = Self::WORDS.iter().find(|(word, _)| *word == text) {
            return Ok(*kind);
        }
        let words = Self::WORDS.map(|(word, _)| word);
        Err(match closest(text, words) {
            Some(meant) => format!("a storm has no `{text}`; did you mean `{meant}`?"),
            None => format!("a storm has no `{text}`; there are {}", words.join(", ")),
        })
    }
}

impl fmt::Display for StormKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, kind)| kind == self).map_or("", |(word, _)| word);
        out.write_str(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_by_its_word_and_a_mistake_is_answered() {
        for (word, kind) in StormKind::WORDS {
            assert_eq!((word.parse(), kind.to_string().as_str()), (Ok(kind), word));
        }
        assert!("kil".parse::<StormKind>().unwrap_err().contains("did you mean `kill`"));
        assert!("lightning".parse::<StormKind>().unwrap_err().contains("there are kill, hang, cut"));
    }
}
