//! A schedule as data: what a cluster is made of, what its users ask for, and which defects hit it. Nothing else decides
//! what happens, but the seed that latencies and the fate of messages are drawn from.

mod read;
pub(crate) mod text;

use palib_core::relay::Policy;

pub use read::ParseError;

use crate::body::{self, Body};

/// Everything that decides what happens in a run.
///
/// It is made from a seed by [`Schedule::from_seed`], made smaller by [`crate::shrink`], and written down and read again
/// as text, one item in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// What latencies and the fate of messages are drawn from.
    pub(crate) seed: u64,
    pub(crate) plan: Plan,
    pub(crate) calls: Vec<Call>,
    pub(crate) defects: Vec<Defect>,
}

impl Schedule {
    /// How many calls its users make.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.len()
    }

    /// How many defects hit it.
    #[must_use]
    pub fn defects(&self) -> usize {
        self.defects.len()
    }
}

/// What a cluster is made of. Aliases are numbered from 0, the callers' first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) callers: Vec<CallerPlan>,
    pub(crate) services: Vec<ServicePlan>,
    /// How many processes each alias has.
    pub(crate) members: usize,
    /// The same processes are members of all services.
    pub(crate) shared: bool,
    pub(crate) window: u32,
    pub(crate) sessions_max: usize,
    /// Rows are read in a step of their own.
    pub(crate) slow_reads: bool,
    /// What is sent to a process that is dead reaches whoever is in service then, as if ports were used again.
    pub(crate) roaming: bool,
    /// A call that can't be made now is asked for again, and does not fail the handler.
    pub(crate) patient: bool,
    /// TransIds are unique per site, and not per alias.
    pub(crate) site_ids: bool,
    pub(crate) noise: Noise,
}

/// What the network does to messages without any defect; each in so many of a thousand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Noise {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    /// Held up for up to two seconds.
    pub(crate) late: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CallerPlan {
    pub(crate) outbox: bool,
    /// Its ids are in the form `{srcAlias, srcPort, transId}`.
    pub(crate) by_port: bool,
}

/// How a handler ends when it has all answers it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    /// With an effect of its own, in atomic mode.
    Atomic,
    /// It only replies.
    Returns,
    /// The closure of atomic mode fails, and then the handler.
    AtomicFails,
    /// It fails after so many answers.
    FailsAfter(usize),
    /// It panics before its roll-forward point.
    Panics,
    /// `block_request`, an effect outside the stable area, an automatic reply.
    Outside,
    /// The same, with a redundant-message handler; the service then returns its reply.
    OutsideHandler,
    /// The same as `Outside`, but it panics after its effect.
    OutsidePanics,
    /// The same as `Outside`, but `recover` can't tell, and an operator must.
    InDoubt,
}

impl Ends {
    /// Whether it has an effect that is not in the stable area. What a process that is thought dead does outside can be
    /// prevented by nothing but its death.
    pub(crate) fn is_outside(self) -> bool {
        matches!(self, Self::Outside | Self::OutsideHandler | Self::OutsidePanics | Self::InDoubt)
    }

    /// Whether the call has a reply, if all it calls has one.
    pub(crate) fn succeeds(self) -> bool {
        !matches!(self, Self::AtomicFails | Self::FailsAfter(_) | Self::Panics)
    }
}

/// A service as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServicePlan {
    /// The services it calls, one after the other.
    pub(crate) calls: Vec<usize>,
    /// It makes all calls at once.
    pub(crate) at_once: bool,
    /// So many replies are enough, of calls that are made at once; it waits for no others.
    pub(crate) enough: Option<usize>,
    /// How it ends, by the number of the operation, in turn.
    pub(crate) ends: Vec<Ends>,
    pub(crate) policy: Policy,
    /// What takes the place of a call that was not answered.
    pub(crate) substitute: Option<SubstitutePlan>,
    /// Each process says once that it can't undo a call, before it does.
    pub(crate) undo_fails_once: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubstitutePlan {
    /// The service that is called instead.
    pub(crate) target: usize,
    /// Whether the old call is cancelled first.
    pub(crate) cancel_old: bool,
    /// It is designated only in the first so many incarnations; 0 means in all.
    pub(crate) until: u64,
}

/// Operations from here on are made when all is healed: they pass through all services, and nothing of them fails.
pub(crate) const CLOSING: u32 = 0xF_F000;

impl ServicePlan {
    pub(crate) fn ends(&self, asked: Body) -> Ends {
        let operation = body::operation(asked);
        match operation < CLOSING {
            true => self.ends[operation as usize % self.ends.len()],
            false if self.enough.is_some() => Ends::Returns,
            false => Ends::Atomic,
        }
    }

    /// How many replies the handler needs.
    pub(crate) fn needs(&self) -> usize {
        self.enough.unwrap_or(self.calls.len())
    }
}

impl Plan {
    pub(crate) fn aliases(&self) -> usize {
        self.callers.len() + self.services.len()
    }

    /// The alias of a service.
    pub(crate) fn alias_of(&self, service: usize) -> usize {
        self.callers.len() + service
    }

    /// What an alias serves, if it is not a caller's.
    pub(crate) fn service(&self, alias: usize) -> Option<&ServicePlan> {
        self.services.get(alias.checked_sub(self.callers.len())?)
    }

    pub(crate) fn alias_name(&self, alias: usize) -> String {
        match alias.checked_sub(self.callers.len()) {
            None => format!("caller{}", alias + 1),
            Some(service) => format!("service{}", service + 1),
        }
    }

    /// The seats: the name of each, and the aliases it is a member of.
    pub(crate) fn seats(&self) -> Vec<(String, Vec<usize>)> {
        let own = if self.shared { self.callers.len() } else { self.aliases() };
        let mut seats = Vec::new();
        for alias in 0..own {
            let name = self.alias_name(alias);
            seats.extend((1..=self.members).map(|nth| (format!("{name}-{nth}"), vec![alias])));
        }
        if self.shared {
            let services: Vec<usize> = (self.callers.len()..self.aliases()).collect();
            seats.extend((1..=self.members).map(|nth| (format!("host-{nth}"), services.clone())));
        }
        seats
    }

    /// Whether anything has an effect that is not in a stable area.
    pub(crate) fn has_effects_outside(&self) -> bool {
        self.services.iter().flat_map(|service| &service.ends).any(|ends| ends.is_outside())
    }
}

/// What a user asks for. Times are microseconds from the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    /// The number of the operation.
    pub(crate) number: u32,
    pub(crate) at: u64,
    pub(crate) caller: usize,
    /// The service that is called.
    pub(crate) service: usize,
    /// How long the user waits before it asks again.
    pub(crate) deadline: Option<u64>,
}

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Defect {
    pub(crate) when: When,
    pub(crate) what: What,
}

/// When a defect hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// So many microseconds from the start.
    At(u64),
    /// When the member in service of an alias hands its so many-th commit to the disk.
    Submitted(usize, u32),
    /// When that is durable, and the process was not told.
    Durable(usize, u32),
    /// When it has sent its so many-th message.
    Sent(usize, u32),
    /// When the so many-th decision of the FTM is durable, and nothing has followed from it.
    Decided(u32),
}

/// Whom a defect hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Ftm,
    /// Whoever is in service for an alias then.
    Active(usize),
    /// The process in a seat.
    Seat(usize),
}

/// What goes wrong; what lasts says how long, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// SIGKILL.
    Kill(Who),
    /// SIGSTOP, and SIGCONT after a while.
    Hang(Who, u64),
    /// An operator has it end in good order and start again.
    Exit(Who),
    /// All processes and the FTM at once.
    PowerLoss,
    /// The next member of an alias that the FTM kills dies only so much later, though the FTM is told that it is dead.
    Spare(usize, u64),
    /// A link to and fro.
    Link(Who, Who, LinkFault, u64),
    /// The disk below the stable area of an alias.
    Disk(usize, DiskFault, u64),
}

/// What a link does to messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LinkFault {
    /// Nothing passes.
    Cut,
    /// Nothing passes from the first to the second.
    OneWay,
    /// So many of a thousand are lost.
    Drop(u64),
    /// All are so many microseconds later.
    Delay(u64),
    /// So many of a thousand come twice.
    Double(u64),
    /// Each is up to so many microseconds later.
    Reorder(u64),
}

/// What a disk does to commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskFault {
    /// Each takes so many microseconds more.
    Slow(u64),
    /// The sync fails, and nobody knows what is durable.
    SyncError,
    /// There is no space: nothing is durable.
    Full,
}
