//! The open transactions of a relay, and the indexes into them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{CallOn, Course, Journaled, Policy, Position, Served, Substitute, Why};
use crate::ids::{AliasId, CallId, Incarnation, Mark, Nanos, Origin, PortId, TransId};
use crate::message::{Outcome, Refusal};
use crate::resend::Pending;
use crate::uncompared::Uncompared;

/// Why a transaction goes back.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Back<B> {
    /// A takeover found it half done, and its policy says so.
    Takeover,
    /// Its handler failed with this error.
    Failed(B),
    /// Its caller cancelled it.
    Cancelled,
    /// An operator ordered it.
    Ordered,
}

/// Where a transaction stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stage<B> {
    /// The handler runs.
    Running,
    /// The service is asked what shall take the place of this many unanswered calls; then the handler runs.
    Substituting(usize),
    /// The handler is through. When that is durable, calls that it no longer waited for are cancelled; then this is
    /// registered.
    Trimming(Outcome<B>),
    /// The outcome is being made durable.
    Completing,
    /// The outcome is durable; what was called is kept, because the caller may still cancel the call.
    Retained,
    /// That it goes back is being made durable.
    Turning(Back<B>),
    /// What was called is being undone, the last call first.
    Undoing(Back<B>),
    /// Everything is undone, and what follows from that is being made durable.
    Undone(Back<B>),
    /// A run of the handler asked for something else than the journal holds; an operator must decide.
    Diverged {
        /// Where.
        position: Position,
        /// What it asked for; nothing, if it ended without asking.
        asked: Option<(AliasId, B)>,
    },
    /// A call can't be undone; an operator must decide.
    Stuck {
        /// Where.
        position: Position,
        /// Why.
        why: Why<B>,
        /// Why it goes back.
        back: Back<B>,
    },
}

/// Where a call on stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum OnState<B> {
    /// It gets its id.
    Allotting,
    /// It is being put into the journal; nothing was sent.
    Putting,
    /// It is held until it is decided what becomes of it.
    Held,
    /// It is sent, and has no answer.
    Waiting,
    /// It was answered.
    Answered(Outcome<B>),
    /// It was refused for good.
    Refused(Refusal),
    /// Its cancellation is sent, and not confirmed.
    Cancelling,
    /// It is undone, or never had an effect, and is refused from now on.
    Cancelled,
}

/// A call on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct OnCall<B> {
    /// None until it has its id.
    pub(crate) call: Option<Pending<B>>,
    pub(crate) target: AliasId,
    pub(crate) digest: u128,
    pub(crate) state: OnState<B>,
    /// The handler of this run waits for it.
    pub(crate) wanted: bool,
    /// It comes from the journal of a predecessor, or its answer was given to a former run.
    pub(crate) replayed: bool,
    /// Its answer is not in the journal.
    pub(crate) unwritten: bool,
    /// What shall take its place once it is cancelled.
    pub(crate) substitute: Option<Substitute<B>>,
    /// Whose place it takes, and whether that one was cancelled first; until that is durable.
    pub(crate) replaces: Option<(CallOn, bool)>,
}

impl<B: Clone> OnCall<B> {
    /// A call that the handler asks for, and that has no id yet.
    pub(crate) fn new(target: AliasId, digest: u128) -> Self {
        Self {
            call: None,
            target,
            digest,
            state: OnState::Allotting,
            wanted: true,
            replayed: false,
            unwritten: false,
            substitute: None,
            replaces: None,
        }
    }

    /// Whether it may have had an effect, as far as is known here.
    pub(crate) fn may_have_effect(&self) -> bool {
        match &self.state {
            OnState::Allotting | OnState::Refused(_) | OnState::Cancelled => false,
            OnState::Answered(outcome) => matches!(outcome, Outcome::Reply(_)),
            OnState::Putting | OnState::Held | OnState::Waiting | OnState::Cancelling => true,
        }
    }

    pub(crate) fn is_unanswered(&self) -> bool {
        matches!(self.state, OnState::Putting | OnState::Held | OnState::Waiting)
    }

    pub(crate) fn told(&self, position: &Position) -> Option<CallOn> {
        let call = self.call.as_ref()?;
        Some(CallOn { position: position.clone(), id: call.id, target: self.target })
    }
}

/// A transaction: a call that is served, and what is called on its behalf.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Transaction<B> {
    pub(crate) served: Served,
    pub(crate) policy: Policy,
    pub(crate) course: Course<B>,
    pub(crate) stage: Stage<B>,
    /// Its row in the redundancy table says that it is under way, durably or in a commit that is.
    pub(crate) written: bool,
    pub(crate) calls: BTreeMap<Position, OnCall<B>>,
    /// What this run of the handler asked for.
    pub(crate) asked: BTreeSet<Position>,
    /// Its outcome is durable, or in a commit that is under way, and its journal is kept.
    pub(crate) retain: bool,
    pub(crate) since: Uncompared<Nanos>,
}

impl<B: Clone + PartialEq> Transaction<B> {
    pub(crate) fn new(served: Served, policy: Policy, since: Uncompared<Nanos>) -> Self {
        Self {
            served,
            policy,
            course: Course::Forward,
            stage: Stage::Running,
            written: false,
            calls: BTreeMap::new(),
            asked: BTreeSet::new(),
            retain: false,
            since,
        }
    }

    /// The row of a call on, as the journal holds it.
    pub(crate) fn row(&self, position: &Position) -> Option<Journaled<B>> {
        let on = self.calls.get(position)?;
        let answer = match &on.state {
            OnState::Answered(outcome) => Some(outcome.clone()),
            _ => None,
        };
        let (served, position) = (self.served, position.clone());
        let (digest, designated) = (on.digest, on.substitute.clone());
        Some(Journaled { served, position, call: on.call.clone()?, digest, answer, designated })
    }

    /// The rows whose answers the journal lacks, and the row of a new call on. From now on the journal has them.
    pub(crate) fn rows_to_put(&mut self, new: Option<&Position>) -> impl Iterator<Item = Journaled<B>> {
        let lacks = |(place, on): (&Position, &mut OnCall<B>)| {
            (core::mem::take(&mut on.unwritten) || Some(place) == new).then(|| place.clone())
        };
        let places: Vec<Position> = self.calls.iter_mut().filter_map(lacks).collect();
        places.into_iter().filter_map(|place| self.row(&place))
    }

    /// Whether it is not only retained.
    pub(crate) fn is_open(&self) -> bool {
        self.stage != Stage::Retained
    }

    /// The first of what its journal holds and this run has not asked for.
    pub(crate) fn not_asked(&self) -> Option<Position> {
        self.calls.keys().find(|position| !self.asked.contains(*position)).cloned()
    }

    /// Where the handler waits. It waits there no more.
    pub(crate) fn take_wanted(&mut self) -> Vec<Position> {
        let wanted = |(position, on): (&Position, &mut OnCall<B>)| {
            core::mem::take(&mut on.wanted).then(|| position.clone())
        };
        self.calls.iter_mut().filter_map(wanted).collect()
    }

    /// The ids of all its calls on.
    pub(crate) fn ids(&self) -> Vec<CallId> {
        self.calls.values().filter_map(|on| Some(on.call.as_ref()?.id)).collect()
    }
}

/// The transactions of an alias.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Relays<B> {
    pub(crate) open: BTreeMap<CallId, Transaction<B>>,
    /// Where each call on belongs.
    pub(crate) places: BTreeMap<CallId, (CallId, Position)>,
    /// What is retained, in the order in which the marks of the sources release it.
    pub(crate) retained: BTreeMap<(AliasId, Mark), CallId>,
    /// What handlers said before their first call on.
    pub(crate) policies: BTreeMap<CallId, Policy>,
}

impl<B> Default for Relays<B> {
    fn default() -> Self {
        let (open, places) = (BTreeMap::new(), BTreeMap::new());
        Self { open, places, retained: BTreeMap::new(), policies: BTreeMap::new() }
    }
}

impl<B: Clone + PartialEq> Relays<B> {
    /// The transaction and the place of a call on.
    pub(crate) fn place(&mut self, on: CallId) -> Option<(&mut Transaction<B>, Position)> {
        let (id, position) = self.places.get(&on)?.clone();
        Some((self.open.get_mut(&id)?, position))
    }

    /// Whether anything called on behalf of a call may have had an effect.
    pub(crate) fn has_effects(&self, id: CallId) -> bool {
        self.open.get(&id).is_some_and(|open| open.calls.values().any(OnCall::may_have_effect))
    }

    /// Forgets a transaction, and returns the ids of its calls on.
    pub(crate) fn close(&mut self, id: CallId) -> Vec<CallId> {
        self.policies.remove(&id);
        let Some(transaction) = self.open.remove(&id) else { return Vec::new() };
        self.retained.remove(&release(&transaction.served));
        let ids = transaction.ids();
        for on in &ids {
            self.places.remove(on);
        }
        ids
    }

    /// Keeps a transaction that is completed until its source's mark has passed it.
    pub(crate) fn retain(&mut self, id: CallId) {
        if let Some(transaction) = self.open.get_mut(&id) {
            transaction.stage = Stage::Retained;
            self.retained.insert(release(&transaction.served), id);
        }
    }

    /// A retained transaction can't be cancelled any more.
    pub(crate) fn let_go(&mut self, id: CallId) -> Option<Served> {
        let transaction = self.open.get_mut(&id)?;
        transaction.stage = Stage::Completing;
        self.retained.remove(&release(&transaction.served));
        Some(transaction.served)
    }

    /// The transactions of a source that are under way, with the incarnations their calls were first sent in.
    pub(crate) fn under_way(&self, source: AliasId) -> impl Iterator<Item = (CallId, Incarnation)> {
        let first = CallId { source, origin: Origin::Port(PortId(0)), trans: TransId(0) };
        let of = self.open.range(first..).take_while(move |(id, _)| id.source == source);
        of.filter(|(_, open)| open.is_open()).map(|(id, open)| (*id, open.served.born))
    }

    /// What is retained of a source, and lies below its mark.
    pub(crate) fn released(&self, source: AliasId, mark: Mark) -> Vec<CallId> {
        let range = (source, Mark::default())..(source, mark);
        self.retained.range(range).map(|(_, id)| *id).collect()
    }
}

fn release(served: &Served) -> (AliasId, Mark) {
    (served.id.source, Mark { born: served.born, trans: served.id.trans })
}

/// A transaction as operators see it.
#[derive(Clone, Copy, Debug)]
pub struct TransactionView<'a, B> {
    transaction: &'a Transaction<B>,
}

impl<'a, B: Clone + PartialEq> TransactionView<'a, B> {
    pub(crate) fn new(transaction: &'a Transaction<B>) -> Self {
        Self { transaction }
    }

    /// The call that is served.
    #[must_use]
    pub fn served(&self) -> CallId {
        self.transaction.served.id
    }

    /// What a takeover does with it.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.transaction.policy
    }

    /// Where it stands.
    #[must_use]
    pub fn stage(&self) -> &'a Stage<B> {
        &self.transaction.stage
    }

    /// Since when this process has it in hand.
    #[must_use]
    pub fn since(&self) -> Nanos {
        self.transaction.since.0
    }

    /// Its calls on that have an id: where, the call, its state, and whether it comes from a predecessor's journal.
    pub fn calls(&self) -> impl Iterator<Item = (&'a Position, &'a Pending<B>, &'a OnState<B>, bool)> {
        let calls = self.transaction.calls.iter();
        calls.filter_map(|(position, on)| Some((position, on.call.as_ref()?, &on.state, on.replayed)))
    }
}
