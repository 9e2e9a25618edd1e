//! What a world is made of, as data.

use palib_core::relay::Policy;

/// What is asked. Clients ask for 1, 2, and so on; what a handler asks for on behalf of `n` at its place `p` is
/// `10 n + p`, and what takes its place is `10 n + p + 5`. So each effect tells whose it is.
pub(crate) type Body = u32;

/// How a handler ends when it has all answers it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ends {
    /// With an effect of its own, in atomic mode.
    Atomic,
    /// It only replies.
    Returns,
    /// The closure of atomic mode fails, and then the handler.
    AtomicFails,
    /// It fails after so many answers.
    FailsAfter(usize),
}

/// A service as data.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    /// The aliases it calls, one after the other.
    pub(crate) calls: Vec<usize>,
    /// It makes all calls at once.
    pub(crate) at_once: bool,
    /// So many replies are enough, of calls that are made at once; it waits for no others.
    pub(crate) enough: Option<usize>,
    /// How it ends, by what the client asked for, in turn.
    pub(crate) ends: Vec<Ends>,
    pub(crate) policy: Policy,
    /// The alias that takes the place of one that has not answered, and whether the old call is cancelled first.
    pub(crate) substitute: Option<(usize, bool)>,
    /// Designates a substitute only in its first so many incarnations.
    pub(crate) substitutes_until: u64,
    /// Each process says once that it can't undo a call, before it does.
    pub(crate) undo_fails_once: bool,
}

impl Service {
    /// A server: one effect in atomic mode.
    pub(crate) fn leaf() -> Self {
        Self::relay(&[], Ends::Atomic, Policy::RollForward)
    }

    pub(crate) fn relay(calls: &[usize], ends: Ends, policy: Policy) -> Self {
        Self {
            calls: calls.to_vec(),
            at_once: false,
            enough: None,
            ends: vec![ends],
            policy,
            substitute: None,
            substitutes_until: u64::MAX,
            undo_fails_once: false,
        }
    }

    pub(crate) fn ends(&self, body: Body) -> Ends {
        self.ends[operation_of(body) as usize % self.ends.len()]
    }

    /// How many replies the handler needs.
    pub(crate) fn needs(&self) -> usize {
        self.enough.unwrap_or(self.calls.len())
    }
}

/// What the client asked for, on whose behalf this is asked.
pub(crate) fn operation_of(body: Body) -> Body {
    if body < 10 { body } else { operation_of(body / 10) }
}

/// A guard of the protocol, taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Without {
    /// A call on is sent before the journal holds it.
    JournalBeforeSend,
    /// The journal is closed in a commit of its own, before the one that registers the outcome.
    OneCommit,
    /// Cancellations are sent before it is durable that the transaction goes back.
    CourseBeforeCancel,
    /// A call that was cancelled before it came leaves no tombstone.
    Tombstone,
    /// The cancellation of a call that is being executed is confirmed at once.
    CancelWaits,
    /// A new run of a handler does not see the journal.
    Journal,
    /// The journal of a call that may still be cancelled is dropped when it completes.
    Retention,
    /// Calls on are done before it is durable that the journal holds them no more.
    CloseBeforeSettle,
}

/// What a world is made of, and how far it may go.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// What the aliases after the first serve.
    pub(crate) services: Vec<Service>,
    pub(crate) operations: Body,
    /// How often each alias may be taken over, the clients' first.
    pub(crate) takeovers: Vec<u32>,
    /// In so many takeovers the kill does not reach the process: it goes on, and wakes up fenced.
    pub(crate) zombies: u32,
    pub(crate) window: u32,
    pub(crate) outbox: bool,
    /// Routes reach everybody at once; else each process learns them in a step of its own.
    pub(crate) pushed: bool,
    /// A writer tells what is durable in a step of its own.
    pub(crate) slow_writers: bool,
    /// Rows are read in a step of their own.
    pub(crate) slow_reads: bool,
    /// Requests are sent again also when nothing tells that they were lost.
    pub(crate) resend: bool,
    /// A call that can't be made now is asked for again, and does not fail the handler.
    pub(crate) patient: bool,
    pub(crate) without: Option<Without>,
}

impl Setup {
    /// These services, and nobody dies.
    pub(crate) fn of(services: Vec<Service>, operations: Body) -> Self {
        Self {
            takeovers: vec![0; services.len() + 1],
            services,
            operations,
            zombies: 0,
            window: 8,
            outbox: true,
            pushed: true,
            slow_writers: false,
            slow_reads: false,
            resend: false,
            patient: false,
            without: None,
        }
    }

    /// One takeover of this alias more.
    pub(crate) fn dies(mut self, alias: usize) -> Self {
        self.takeovers[alias] += 1;
        self
    }

    pub(crate) fn lacks(&self, guard: Without) -> bool {
        self.without == Some(guard)
    }

    /// The service of an alias that is not the clients'.
    pub(crate) fn service(&self, alias: usize) -> &Service {
        &self.services[alias - 1]
    }

    /// The aliases that an alias may call.
    pub(crate) fn targets(&self, alias: usize) -> Vec<usize> {
        if alias == 0 {
            return vec![1];
        }
        let service = self.service(alias);
        let substitute = service.substitute.map(|(target, _)| target);
        let mut targets: Vec<_> = service.calls.iter().copied().chain(substitute).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }
}
