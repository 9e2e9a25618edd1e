//! What becomes of a request: executed, held, answered from the table, or refused.

use alloc::vec::Vec;

use super::machine::{Phase, Server, call_key};
use super::open::{Held, State, Waiting};
use super::ring::{Entry, Known, Ring};
use super::{Effect, Note};
use crate::ids::{AliasId, CallId, Incarnation, Mark, Origin, Session, SlotKey, TransId};
use crate::message::{Refusal, Request};
use crate::redundancy::{RedProcess, Row, RowState};

impl<B: Clone + Eq + core::hash::Hash + core::fmt::Debug> Server<B> {
    pub(super) fn request(&mut self, held: Held<B>, effects: &mut Vec<Effect<B>>) {
        match self.phase {
            Phase::Fenced => {}
            Phase::Backup => Self::refuse(&held, Refusal::NotInService, effects),
            Phase::Recovering if self.is_full(held.request.id.source) => {
                Self::refuse(&held, Refusal::Busy, effects)
            }
            Phase::Recovering => {
                self.held += 1;
                self.early.push(held);
            }
            Phase::Serving => self.admit(held, effects),
        }
    }

    pub(super) fn admit(&mut self, held: Held<B>, effects: &mut Vec<Effect<B>>) {
        let request = &held.request;
        let id = request.id;
        if request.target != self.settings.alias {
            return Self::refuse(&held, Refusal::UnknownAlias, effects);
        }
        // An id whose two incarnations differ would lie in a session that is not its own, and be executed again.
        let astray = matches!(id.origin, Origin::Incarnation(origin) if origin != request.born);
        if astray {
            return self.stale(&held, effects);
        }
        let (born, trans) = (request.born, id.trans);
        if (Mark { born, trans }) < self.learn_mark(id.source, request.mark, effects) {
            return self.stale(&held, effects);
        }
        let key = call_key(&held, self.settings.window);
        let ring = self.ring(key.session, id.origin);
        ring.used = true;
        if ring.origin != id.origin {
            return self.stale(&held, effects);
        }
        let entry = ring.get(key.slot);
        match entry.known {
            Known::Unknown => self.load(key, held, effects),
            _ => self.decide(key, entry, held, None, effects),
        }
    }

    /// What the table says. `row` is there if the slot was just loaded.
    fn decide(
        &mut self,
        key: SlotKey,
        entry: Entry,
        held: Held<B>,
        row: Option<&Row<B>>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let trans = held.request.id.trans;
        match entry.known {
            Known::Unknown | Known::Empty => self.begin(key, held, effects),
            // A later call in the slot tells that the caller was done with this one.
            _ if trans < entry.trans => self.stale(&held, effects),
            Known::Open if trans > entry.trans && !self.is_answering(key, entry) => {
                Self::refuse(&held, Refusal::WindowExceeded, effects)
            }
            _ if trans > entry.trans => self.begin(key, held, effects),
            _ if held.digest != entry.digest => Self::refuse(&held, Refusal::DifferentBody, effects),
            _ if held.cancel => self.cancel_known(key, entry.known, held, row, effects),
            Known::Open => self.hold(key, &held, effects),
            // It was to be undone, and that may have been interrupted: it is refused when it is.
            Known::Undoing => self.cancel_known(key, entry.known, held, row, effects),
            Known::Cancelled => Self::refuse(&held, Refusal::Cancelled, effects),
            Known::AutoReply | Known::Handler => match row {
                Some(row) => self.answer(key, held, row, effects),
                None => self.load(key, held, effects),
            },
        }
    }

    /// Whether the call in the slot ended long ago, and only an answer to a redundant request is made.
    fn is_answering(&self, key: SlotKey, entry: Entry) -> bool {
        let Some(ring) = self.sessions.get(&key.session) else { return false };
        let id = CallId { source: key.session.source, origin: ring.origin, trans: entry.trans };
        self.calls.get(&id).is_some_and(|call| call.state == State::Answering)
    }

    /// A call that was not seen before: executed, or cancelled before it came.
    fn begin(&mut self, key: SlotKey, held: Held<B>, effects: &mut Vec<Effect<B>>) {
        if self.is_full(held.request.id.source) {
            return Self::refuse(&held, Refusal::Busy, effects);
        }
        if held.cancel {
            return self.bury(key, held, effects);
        }
        let Held { asker, request, digest, .. } = held;
        self.counts.0.executed += 1;
        let call = self.open(request.id, key, digest, request.body.clone(), Waiting::one(asker, false));
        call.cancellable = request.cancellable;
        effects.push(Effect::Execute { id: request.id, body: request.body });
    }

    fn hold(&mut self, key: SlotKey, held: &Held<B>, effects: &mut Vec<Effect<B>>) {
        let id = held.request.id;
        if let Some(call) = self.calls.get_mut(&id) {
            call.waiting.join(held.asker);
            self.recognised(key);
            effects.push(Effect::Note(Note::Held { id }));
        }
    }

    /// Answers a redundantly sent request from its row.
    fn answer(&mut self, key: SlotKey, held: Held<B>, row: &Row<B>, effects: &mut Vec<Effect<B>>) {
        let id = held.request.id;
        let RowState::Registered(red) = &row.state else { return };
        if row.id != id {
            return self.stale(&held, effects);
        }
        self.recognised(key);
        effects.push(Effect::Note(Note::Redundant { id }));
        match red {
            RedProcess::AutoReply(outcome) => {
                let outcome = outcome.clone();
                effects.push(Effect::Answer { asker: held.asker, id, outcome, redundant: true });
            }
            RedProcess::Handler { index, arg } => {
                let Held { asker, request: Request { body, .. }, digest, .. } = held;
                let hits = self.hits_at(key);
                self.open(id, key, digest, body.clone(), Waiting::one(asker, true)).state = State::Answering;
                if let Some(ring) = self.sessions.get_mut(&key.session) {
                    ring.at(key.slot).hits.0 = hits;
                }
                effects.push(Effect::CallHandler { id, index: *index, arg: arg.clone(), request: body });
            }
        }
    }

    /// Holds a request until its row is loaded.
    pub(super) fn load(&mut self, key: SlotKey, held: Held<B>, effects: &mut Vec<Effect<B>>) {
        if self.is_full(held.request.id.source) {
            return Self::refuse(&held, Refusal::Busy, effects);
        }
        self.held += 1;
        let first = !self.loads.contains_key(&key);
        if first {
            self.ring(key.session, held.request.id.origin).busy += 1;
            effects.push(Effect::Load { key });
        }
        self.loads.entry(key).or_default().push(held);
    }

    pub(super) fn loaded(
        &mut self,
        key: SlotKey,
        row: Option<&Row<B>>,
        mark: Option<Mark>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let Some(waiting) = self.loads.remove(&key) else { return };
        self.held -= waiting.len();
        self.counts.0.loaded += 1;
        if let Some(mark) = mark {
            let source = self.sources.entry(key.session.source).or_default();
            source.mark = source.mark.max(mark);
            source.stored = source.stored.max(mark.born);
            let mark = source.mark;
            // It may never be news again.
            self.release(key.session.source, mark, effects);
        }
        if let Some(ring) = self.sessions.get_mut(&key.session)
            && ring.get(key.slot).known == Known::Unknown
        {
            *ring.at(key.slot) = Entry::loaded(row);
            // Every blocked row was named at the promotion. One that was not is no less in doubt.
            if let Some(row) = row {
                self.adopt(key, row, effects);
            }
        }
        for held in waiting {
            self.admit_loaded(key, held, row, effects);
        }
        self.leave(key.session);
    }

    fn admit_loaded(
        &mut self,
        key: SlotKey,
        held: Held<B>,
        row: Option<&Row<B>>,
        effects: &mut Vec<Effect<B>>,
    ) {
        let source = held.request.id.source;
        let ring = self.sessions.get(&key.session).filter(|ring| ring.origin == held.request.id.origin);
        let entry = ring.map(|ring| ring.get(key.slot));
        let (born, trans) = (held.request.born, held.request.id.trans);
        let below = (Mark { born, trans }) < self.learn_mark(source, held.request.mark, effects);
        match entry {
            Some(entry) if !below => {
                let registered = !matches!(entry.known, Known::Unknown | Known::Empty | Known::Open);
                let found = row.map_or(TransId(u64::MAX), |row| row.id.trans);
                if registered && found != entry.trans && held.request.id.trans == entry.trans {
                    if found > entry.trans || held.again {
                        // A later call lies there, and not by our doing: another member is in service, and this
                        // one has not been told. Or the row is lost. To look again would go on for ever.
                        return self.stale(&held, effects);
                    }
                    // The row of an earlier call, read before this one's was there.
                    return self.load(key, Held { again: true, ..held }, effects);
                }
                let row = row.filter(|_| found == entry.trans);
                self.decide(key, entry, held, row, effects);
            }
            _ => self.stale(&held, effects),
        }
    }

    fn stale(&mut self, held: &Held<B>, effects: &mut Vec<Effect<B>>) {
        self.counts.0.stale += 1;
        effects.push(Effect::Note(Note::Stale { id: held.request.id }));
        Self::refuse(held, Refusal::Stale, effects);
    }

    fn recognised(&mut self, key: SlotKey) {
        self.counts.0.redundant += 1;
        if let Some(ring) = self.sessions.get_mut(&key.session) {
            let hits = &mut ring.at(key.slot).hits.0;
            *hits = hits.saturating_add(1);
        }
    }

    fn hits_at(&self, key: SlotKey) -> u32 {
        self.sessions.get(&key.session).map_or(0, |ring| ring.get(key.slot).hits.0)
    }

    /// Whether nothing more of a source is taken in hand. It may have as many calls in hand as there are places left: one
    /// source alone has half of all, and however greedy it is, there is room for the others.
    fn is_full(&self, source: AliasId) -> bool {
        let free = self.settings.calls_max.saturating_sub(self.calls.len() + self.held);
        free == 0 || self.sources.get(&source).is_some_and(|source| source.in_hand > free)
    }

    /// The ring of a session; of one that is not in memory nothing is known.
    pub(super) fn ring(&mut self, session: Session, origin: Origin) -> &mut Ring {
        if !self.sessions.contains_key(&session) && self.sessions.len() >= self.settings.sessions_max {
            self.forget_one();
        }
        let window = self.settings.window;
        self.sessions.entry(session).or_insert_with(|| Ring::new(window, origin))
    }

    /// Forgets an idle session that was not used since this was last asked (the second chance algorithm: exact
    /// order of use would cost every request something, this costs only the first of a session). If none is
    /// idle, memory holds one more: the limit of calls in hand bounds that.
    fn forget_one(&mut self) {
        let idle = |ring: &&mut Ring| ring.busy == 0;
        let unused = self.sessions.iter().find(|(_, ring)| ring.busy == 0 && !ring.used);
        let chosen = unused.or_else(|| self.sessions.iter().find(|(_, ring)| ring.busy == 0));
        let Some(session) = chosen.map(|(session, _)| *session) else { return };
        self.sessions.remove(&session);
        for ring in self.sessions.values_mut().filter(idle) {
            ring.used = false;
        }
        let source = session.source;
        let range =
            Session { source, born: Incarnation(0) }..=Session { source, born: Incarnation(u64::MAX) };
        // A mark that was seen and not stored may be lost with it: then its rows are still there, and tell.
        if self.sessions.range(range).next().is_none() {
            self.sources.remove(&source);
        }
    }

    /// One thing less keeps a session busy. One that lies below its source's mark is needed no more.
    pub(super) fn leave(&mut self, session: Session) {
        let Some(ring) = self.sessions.get_mut(&session) else { return };
        ring.busy -= 1;
        if ring.busy > 0 {
            return;
        }
        let below = self.sources.get(&session.source).is_some_and(|source| session.born < source.mark.born);
        if below {
            self.sessions.remove(&session);
        }
    }

    /// How often a request for this call was recognised as redundantly sent, as far as memory reaches.
    #[must_use]
    pub fn hits(&self, id: CallId) -> u32 {
        let source = id.source;
        let range =
            Session { source, born: Incarnation(0) }..=Session { source, born: Incarnation(u64::MAX) };
        let mut rings = self.sessions.range(range).filter(|(_, ring)| ring.origin == id.origin);
        rings.next().map_or(0, |(session, ring)| {
            let entry = ring.get(SlotKey::of(*session, id.trans, self.settings.window).slot);
            if entry.trans == id.trans && entry.known != Known::Unknown { entry.hits.0 } else { 0 }
        })
    }
}
