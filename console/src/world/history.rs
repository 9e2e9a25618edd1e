//! The past: recent events with a copy of the world every so often, so that any moment of it can be seen again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use palib::control::{Event, What};

use super::{World, is_measurement};

/// Events between two keyframes. A look into the past folds half as many on average, in well under a millisecond.
const KEYFRAME_EVERY: u64 = 256;
/// Events kept. With their keyframes, this bounds the console's memory to some tens of megabytes.
const EVENTS_MAX: usize = 32_768;
/// Of each process's measurements one is kept in so much time; the live world sees them all.
const MEASURED_EVERY_MS: u64 = 1000;

/// A moment of the past: the number of the last kept event that has happened by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(u64);

/// The live world, and the way back.
#[derive(Clone, Debug, Default)]
pub struct History {
    live: World,
    events: VecDeque<Arc<Event>>,
    /// The number of the first event in `events`.
    first: u64,
    /// Worlds as they were before the event of this number.
    keyframes: VecDeque<(u64, Arc<World>)>,
    measured_unix_ms: BTreeMap<String, u64>,
}

impl History {
    /// The world now.
    #[must_use]
    pub fn live(&self) -> &World {
        &self.live
    }

    /// See [`World::seed`].
    pub fn seed(&mut self, rows: Vec<palib::control::AliasRow>) {
        self.live.seed(rows);
    }

    /// Folds an event into the live world and keeps it for later looks back.
    pub fn apply(&mut self, event: Event) {
        if self.is_kept(&event) {
            let number = self.first + self.events.len() as u64;
            if number.is_multiple_of(KEYFRAME_EVERY) || self.keyframes.is_empty() {
                self.keyframes.push_back((number, Arc::new(self.live.clone())));
            }
            self.live.apply(&event);
            self.events.push_back(Arc::new(event));
            self.forget();
        } else {
            self.live.apply(&event);
        }
    }

    /// The world as it was at a moment; the oldest one kept for moments before it.
    #[must_use]
    pub fn world_at(&self, moment: Moment) -> World {
        let frames = self.keyframes.iter().rev();
        let Some((number, world)) =
            frames.clone().find(|(number, _)| *number <= moment.0).or_else(|| self.keyframes.front())
        else {
            return self.live.clone();
        };
        let mut world = World::clone(world);
        let from = (number - self.first) as usize;
        let to = self.position(moment).map_or(from, |at| at + 1);
        for event in self.events.range(from..to.max(from)) {
            world.apply(event);
        }
        world
    }

    /// The world before the first event that is kept.
    #[must_use]
    pub fn beginning(&self) -> &World {
        self.keyframes.front().map_or(&self.live, |(_, world)| world)
    }

    /// The events up to a moment (all of them: none), oldest first, measurements and steps of calls too.
    pub fn oldest_first(
        &self,
        until: Option<Moment>,
    ) -> impl DoubleEndedIterator<Item = &Event> + ExactSizeIterator + Clone {
        let end = match until {
            Some(moment) => self.position(moment).map_or(0, |at| at + 1),
            None => self.events.len(),
        };
        self.events.range(..end).map(|event| &**event)
    }

    /// The moment of the event of this number.
    #[must_use]
    pub fn moment_of(&self, seq: u64) -> Option<Moment> {
        let at = self.events.binary_search_by_key(&seq, |event| event.seq).ok()?;
        Some(Moment(self.first + at as u64))
    }

    /// The events up to a moment (all of them: none), newest first, without mere measurements.
    pub fn newest_first(&self, until: Option<Moment>) -> impl Iterator<Item = (Moment, &Event)> {
        self.reversed(until).filter(|(_, event)| !is_measurement(&event.what))
    }

    fn reversed(&self, until: Option<Moment>) -> impl Iterator<Item = (Moment, &Event)> {
        let numbered = self.oldest_first(until).enumerate().rev();
        numbered.map(|(at, event)| (Moment(self.first + at as u64), event))
    }

    /// The event at a moment.
    #[must_use]
    pub fn event(&self, moment: Moment) -> Option<&Event> {
        self.events.get(self.position(moment)?).map(|event| &**event)
    }

    /// The newest moment.
    #[must_use]
    pub fn newest(&self) -> Option<Moment> {
        self.newest_first(None).next().map(|(moment, _)| moment)
    }

    /// The moment before this one for which `wanted` holds, measurements and steps of calls too; from now, if `from`
    /// is none.
    #[must_use]
    pub fn back(&self, from: Option<Moment>, wanted: impl Fn(&What) -> bool) -> Option<Moment> {
        let earlier = self.reversed(from).skip_while(|(moment, _)| Some(*moment) == from);
        earlier.into_iter().find(|(_, event)| wanted(&event.what)).map(|(moment, _)| moment)
    }

    /// The moment after this one for which `wanted` holds, measurements and steps of calls too.
    #[must_use]
    pub fn forward(&self, from: Moment, wanted: impl Fn(&What) -> bool) -> Option<Moment> {
        let start = (from.0 + 1).saturating_sub(self.first) as usize;
        let later = self.events.iter().enumerate().skip(start);
        let mut later = later.filter(|(_, event)| wanted(&event.what));
        later.next().map(|(at, _)| Moment(self.first + at as u64))
    }

    /// Where in `events` a moment lies: at its event, or at the last one before it that is still kept.
    fn position(&self, moment: Moment) -> Option<usize> {
        let at = moment.0.checked_sub(self.first)? as usize;
        Some(at.min(self.events.len().checked_sub(1)?))
    }

    fn is_kept(&mut self, event: &Event) -> bool {
        if !matches!(event.what, What::Stats(_)) {
            return true;
        }
        let last = self.measured_unix_ms.get(&event.process).copied().unwrap_or(0);
        let due = event.unix_ms >= last + MEASURED_EVERY_MS;
        if due {
            self.measured_unix_ms.insert(event.process.clone(), event.unix_ms);
        }
        due
    }

    /// Drops whole stretches between keyframes, so that the oldest event always has the world it happened in.
    fn forget(&mut self) {
        while self.events.len() > EVENTS_MAX && self.keyframes.len() > 1 {
            self.keyframes.pop_front();
            let first_kept = self.keyframes[0].0;
            while self.first < first_kept {
                self.events.pop_front();
                self.first += 1;
            }
        }
    }
}
