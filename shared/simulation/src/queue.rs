//! The virtual clock: what happens next, and when.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use palib_core::ids::{AliasId, CallId, Incarnation, Nanos, PortId, SlotKey, TransId};
use palib_core::manager;
use palib_core::message::Message;
use palib_core::relay::Position;
use palib_core::resend::Route;

use crate::area::{Applied, Job};
use crate::body::Body;

/// Something that happens.
#[derive(Debug)]
pub(crate) enum Event {
    /// A user calls: the number of its call.
    Call(usize),
    /// A defect hits.
    Defect(usize),
    /// Nothing goes wrong any more.
    Heal,
    /// Something happens inside a process; while it is stopped it waits.
    Local(usize, Local),
    /// The disk is through with a commit of a side: its number.
    Disk(usize, usize, u64),
    /// A process dies.
    Die(usize),
    /// A process goes on that was stopped.
    Wake(usize),
    /// Something reaches the FTM of this life.
    Ftm(u32, FtmEvent),
    /// The keeper starts the FTM again.
    FtmStarts,
    /// The FTM goes on.
    FtmWakes(u32),
}

/// What reaches the FTM.
#[derive(Debug)]
pub(crate) enum FtmEvent {
    Tick,
    Input(manager::Input),
    Joins {
        process: usize,
        claims: Vec<(AliasId, Incarnation)>,
    },
    Inquires {
        process: usize,
        target: AliasId,
    },
    /// What it wanted durable is.
    Persisted,
    /// What a FTM without a guard did not wait for is durable.
    PersistedLate(Vec<manager::Change>),
}

/// What happens inside a process. The second number is that of its side, one for each of its aliases.
#[derive(Debug)]
pub(crate) enum Local {
    /// It joins the cluster, for the first time or a new FTM.
    Join,
    Heartbeat,
    Table {
        target: AliasId,
        route: Route,
    },
    Promote {
        alias: usize,
        incarnation: Incarnation,
        trans_base: TransId,
    },
    /// The FTM wants it to end.
    End,
    Opened {
        side: usize,
        incarnation: Incarnation,
        trans_base: TransId,
    },
    Message(Box<Envelope>),
    PortGone(PortId),
    AskerGone(usize),
    Tick(usize),
    /// Jobs are durable.
    Told(usize, Vec<(Job, Applied)>),
    Read(usize, SlotKey),
    Handler {
        side: usize,
        id: CallId,
        run: u64,
        step: Step,
    },
    Recover {
        side: usize,
        id: CallId,
        request: Body,
    },
    Undo {
        side: usize,
        id: CallId,
        request: Body,
        interrupted: bool,
    },
    Answered {
        side: usize,
        id: CallId,
        reply: Body,
    },
    Consume {
        side: usize,
        id: CallId,
    },
    Await {
        side: usize,
        id: CallId,
    },
    /// An operator decides.
    Decide {
        side: usize,
        id: CallId,
    },
}

/// A step of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It looks at what it was given, and does what comes next.
    GoOn,
    /// It asks again for what could not be called.
    Again(Position),
    /// It has its effect outside.
    Act,
    /// It registers its outcome.
    Register,
    /// It returns.
    Return,
}

/// A message on its way.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) from: usize,
    pub(crate) to: usize,
    /// The alias that gets it.
    pub(crate) alias: usize,
    /// The port of whoever serves.
    pub(crate) port: PortId,
    pub(crate) message: Message<Body>,
}

struct Entry {
    at: Nanos,
    number: u64,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What is to come, in order; of what comes at the same time, what was said first.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    number: u64,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Nanos, event: Event) {
        self.number += 1;
        self.heap.push(Reverse(Entry { at, number: self.number, event }));
    }

    pub(crate) fn pop(&mut self) -> Option<(Nanos, Event)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.event))
    }
}
