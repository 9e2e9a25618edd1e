//! What a caller does when time has passed.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::Effect;
use super::machine::Caller;
use crate::ids::{AliasId, Mark, Nanos};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Timer {
    Inquire(AliasId),
    Deadline(Mark),
    Mark,
}

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Caller<B> {
    pub(super) fn tick(&mut self, now: Nanos, effects: &mut Vec<Effect<B>>) {
        // What is due is taken out first: what is set again meanwhile may be due at once.
        let mut fired = Vec::new();
        while let Some(&(due, timer)) = self.timers.first().filter(|(due, _)| *due <= now) {
            self.timers.remove(&(due, timer));
            fired.push(timer);
        }
        for timer in fired {
            self.fire(now, timer, effects);
        }
        if self.resends.next().is_some_and(|due| due <= now) {
            self.send_due(now, effects);
        }
    }

    /// Sends again what is due. All calls are looked at, but as seldom as one of them is due: under load every
    /// call is set a time and nearly none comes to it, and an order of them would cost each call more.
    fn send_due(&mut self, now: Nanos, effects: &mut Vec<Effect<B>>) {
        let dues = self.calls.iter().filter_map(|(key, open)| Some((key, open.resend?)));
        let (due, later): (Vec<_>, Vec<_>) = dues.partition(|(_, due)| *due <= now);
        self.resends.look_again(later.iter().map(|(_, due)| *due).min());
        for (key, _) in due {
            let Some(open) = self.calls.get_mut(key) else { continue };
            self.resends.set(&mut open.resend, None);
            let target = open.call.target;
            self.send(now, key, effects);
            // The push of a new route may have been lost.
            self.inquire(now, target, effects);
        }
    }

    fn fire(&mut self, now: Nanos, timer: Timer, effects: &mut Vec<Effect<B>>) {
        match timer {
            Timer::Inquire(target) => {
                if let Some(known) = self.targets.get_mut(&target) {
                    known.timer = None;
                    self.inquire(now, target, effects);
                }
            }
            Timer::Mark => self.tell_mark(now, effects),
            Timer::Deadline(key) => {
                let Some(open) = self.calls.get_mut(key) else { return };
                open.deadline = None;
                effects.push(Effect::DeadlinePassed { id: open.call.id });
            }
        }
    }
}

/// Moves a timer, or takes it away.
pub(super) fn set_timer(
    timers: &mut BTreeSet<(Nanos, Timer)>,
    set: &mut Option<Nanos>,
    due: Option<Nanos>,
    timer: Timer,
) {
    if *set == due {
        return;
    }
    if let Some(old) = *set {
        timers.remove(&(old, timer));
    }
    if let Some(due) = due {
        timers.insert((due, timer));
    }
    *set = due;
}
