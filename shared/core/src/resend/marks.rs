//! How a target learns of the mark when no request tells it.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::Effect;
use super::machine::Caller;
use super::timers::{Timer, set_timer};
use crate::ids::{AliasId, Mark, Nanos};
use crate::message::Request;

/// The targets that may keep something until the mark tells them that it is done: those that were ever sent a call
/// that can be cancelled. All others learn of the mark early enough with the next request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Marks {
    /// What each was last told.
    told: BTreeMap<AliasId, Mark>,
    /// A predecessor may have called any target, and died before it told that its calls are done.
    inherited: bool,
    /// One for all targets, set at most once in its time however many calls are done.
    timer: Option<Nanos>,
}

impl Marks {
    /// A request tells the mark, too.
    pub(super) fn sent<B>(&mut self, request: &Request<B>) {
        if request.cancellable {
            self.told.insert(request.target, request.mark);
        } else if let Some(told) = self.told.get_mut(&request.target) {
            *told = request.mark;
        }
    }

    /// The calls of a predecessor that were not done name some targets; it may have died before it told others that
    /// those were done. So all are told once: these, and whoever becomes known later.
    pub(super) fn inherit(&mut self, targets: impl Iterator<Item = AliasId>) {
        self.inherited = true;
        self.told.extend(targets.map(|target| (target, Mark::default())));
    }

    /// This target is reached over another link now, and may be another member: what was told before may be lost.
    pub(super) fn tell_anew(&mut self, target: AliasId, due: Nanos, timers: &mut BTreeSet<(Nanos, Timer)>) {
        if self.inherited || self.told.contains_key(&target) {
            self.told.insert(target, Mark::default());
            self.tell(due, timers);
        }
    }

    /// Whether this target is one of those.
    pub(super) fn tells(&self, target: AliasId) -> bool {
        self.told.contains_key(&target)
    }

    /// Some target may have to be told, if no request does it until then.
    pub(super) fn tell(&mut self, due: Nanos, timers: &mut BTreeSet<(Nanos, Timer)>) {
        if self.timer.is_none() && !self.told.is_empty() {
            set_timer(timers, &mut self.timer, Some(due), Timer::Mark);
        }
    }
}

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Caller<B> {
    /// Tells the mark to whom it is news. A target with a call that is not done has to wait: the end of that call
    /// will be a better time, or the next request comes first.
    pub(super) fn tell_mark(&mut self, now: Nanos, effects: &mut Vec<Effect<B>>) {
        self.marks.timer = None;
        let mark = self.mark();
        let mut astray = Vec::new();
        let busy: BTreeSet<AliasId> = self.calls.iter().map(|(_, open)| open.call.target).collect();
        for (&target, told) in &mut self.marks.told {
            if *told >= mark || busy.contains(&target) {
                continue;
            }
            *told = mark;
            // With no route it is told to nobody: with the next route it is told anew.
            match self.targets.get(&target).and_then(|known| known.route.port) {
                Some(port) => effects.push(Effect::SendMark { port, target, mark }),
                None => astray.push(target),
            }
        }
        for target in astray {
            self.inquire(now, target, effects);
        }
    }
}
