//! Who is who: aliases, ports, processes, incarnations and the identity of a call.

use core::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, out)
            }
        }
    };
}

number! {
    /// A port alias: a virtual service address that survives failover (patent, Fig 2: a set of ports).
    ///
    /// The number is given once by the FTM and is as stable as the alias's name.
    #[doc(alias = "virtual address")]
    AliasId(u32)
}
number! {
    /// A port: the endpoint that one process holds in one alias. Never given twice in the life of a cluster.
    #[doc(alias = "endpoint")]
    PortId(u32)
}
number! {
    /// One run of one process. A process that is started again under its old name has a new number.
    ProcessId(u32)
}
number! {
    /// The fencing epoch of an alias's active member: it rises at each takeover and never goes back
    /// (patent, claim 8). Zero means: nobody has been in service yet.
    #[doc(alias = "epoch")]
    #[doc(alias = "fencing token")]
    Incarnation(u64)
}
number! {
    /// The sequence number of a call, unique within the scope its alias chose ([`TransScope`]).
    #[doc(alias = "sequence number")]
    TransId(u64)
}
number! {
    /// A moment on the machine's monotonic clock, in nanoseconds. The machines compare it, they never read it.
    Nanos(u64)
}
number! {
    /// The place in a session's ring that a call's row lies in: its transId modulo the window.
    Slot(u32)
}

impl Incarnation {
    /// The incarnation of the takeover after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// The second part of a call's id, in the form its source alias chose (patent, claims 3 and 8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// `{srcAlias, srcPort, transId}`: the port the call was first sent from.
    Port(PortId),
    /// `{srcAlias, incarnation, transId}`: the incarnation the call was first sent in.
    Incarnation(Incarnation),
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(out, "p{port}"),
            Self::Incarnation(incarnation) => write!(out, "i{incarnation}"),
        }
    }
}

/// Which of the two forms of id an alias uses for the calls it makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum IdForm {
    /// `{srcAlias, srcPort, transId}`.
    SourcePort,
    /// `{srcAlias, incarnation, transId}`.
    #[default]
    Incarnation,
}

/// Within what a transId is unique (patent, claims 5 to 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TransScope {
    /// No two calls of one site share a transId.
    Site,
    /// No two calls of one alias share a transId.
    #[default]
    Alias,
    /// No two calls of one process share a transId.
    Process,
}

/// How many transIds one grant of the FTM covers: at each promotion an alias whose scope is site or alias
/// starts at a multiple of this that was never given before. Decimal, so that a person can read the grant
/// off a transId.
///
/// At 100,000 calls a second one grant lasts for 115 days.
pub const TRANS_GRANT: u64 = 1_000_000_000_000;

/// What makes a call itself: the same when it is first sent and each time it is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The alias that calls (the patent's virtual sender).
    pub source: AliasId,
    /// The port or the incarnation the call was first sent from.
    pub origin: Origin,
    /// The number of the call.
    pub trans: TransId,
}

impl fmt::Display for CallId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}", self.source, self.origin, self.trans)
    }
}

/// All calls an alias first sent in one incarnation. A server keeps one ring of slots for each session.
///
/// Sessions are ordered by incarnation and not by port: ports of backups are registered before those of later
/// respawns, so a takeover may go from a higher port to a lower one, never from a higher incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Session {
    /// The alias that calls.
    pub source: AliasId,
    /// The incarnation the calls were first sent in, whichever form their ids have.
    pub born: Incarnation,
}

/// The mark of a source alias: all its calls below it are done and will never be asked for again.
///
/// Ordered first by the incarnation a call was first sent in, then by its transId.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The oldest incarnation with a call that is not done.
    pub born: Incarnation,
    /// The lowest transId of that incarnation that is not done.
    pub trans: TransId,
}

/// Where a row of a redundancy table lies: one slot of the ring of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    /// The session whose ring it is.
    pub session: Session,
    /// The slot in the ring.
    pub slot: Slot,
}

impl SlotKey {
    /// The slot of a call in a ring of `window` slots.
    #[must_use]
    pub fn of(session: Session, trans: TransId, window: u32) -> Self {
        // The remainder is smaller than `window`, so it fits.
        Self { session, slot: Slot((trans.0 % u64::from(window)) as u32) }
    }
}
