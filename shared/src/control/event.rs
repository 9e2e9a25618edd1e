//! Events: the one truth that the screens, the logs and the verdict are folded from.

use serde::{Deserialize, Serialize};

use super::{AliasRow, NodeStats};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Counts up: per process when a process sends it; the FTM gives it its own number, which orders all.
    pub seq: u64,
    /// When, on the machine's monotonic clock (CLOCK_MONOTONIC), in nanoseconds.
    pub at_ns: u64,
    /// When, in milliseconds of Unix time.
    pub unix_ms: u64,
    /// The process it happened in (`ftm` for the FTM).
    pub process: String,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// How long the parts of a takeover took, in microseconds. Parts that were not measured are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeoverTiming {
    /// From the defect to its detection; none if the FTM does not know when the defect was.
    pub detect_us: Option<u64>,
    /// From there until the old active was known dead.
    pub fence_us: Option<u64>,
    /// Until the stable area was open.
    pub open_us: Option<u64>,
    /// Until recovery was done.
    pub recover_us: Option<u64>,
    /// Until the mark of service had moved.
    pub mark_us: Option<u64>,
    /// Until the first answer left the new active; none if nobody was waiting for it.
    pub first_reply_us: Option<u64>,
    /// From the defect (or its detection) to the first answer; none if nobody was waiting for it.
    pub blackout_us: Option<u64>,
}

impl TakeoverTiming {
    /// Adds what a later event tells. None takes anything back: an FTM that was started meanwhile has measured nothing.
    pub fn learn(&mut self, later: &Self) {
        let Self { detect_us, fence_us, open_us, recover_us, mark_us, first_reply_us, blackout_us } = later;
        for (known, told) in [
            (&mut self.detect_us, detect_us),
            (&mut self.fence_us, fence_us),
            (&mut self.open_us, open_us),
            (&mut self.recover_us, recover_us),
            (&mut self.mark_us, mark_us),
            (&mut self.first_reply_us, first_reply_us),
            (&mut self.blackout_us, blackout_us),
        ] {
            *known = told.or(*known);
        }
    }
}

/// What happened. In JSON the field `kind` has the variant's name in snake case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// The FTM started (or started again).
    FtmStarted {
        /// Its process id.
        pid: u32,
        /// The cluster's name.
        cluster: String,
        /// Processes of a former run that were found alive.
        adopted: u32,
        /// How often an FTM has started on this state so far.
        starts: u64,
        /// The processes there are. Whoever else was told of before is in the cluster no longer.
        #[serde(default)]
        processes: Vec<String>,
    },
    /// A process was started.
    Spawned {
        /// Its name.
        name: String,
        /// The number of this run.
        process_id: u32,
        /// Its process id.
        pid: u32,
    },
    /// A process of a former FTM's time was found alive.
    Adopted {
        /// Its name.
        name: String,
        /// Its process id.
        pid: u32,
    },
    /// A process joined.
    Joined {
        /// Its name.
        name: String,
    },
    /// A process is gone.
    Exited {
        /// Its name.
        name: String,
        /// Its process id.
        pid: u32,
        /// How: `SIGKILL`, `exit 1`, …; `unknown` for a process that is not the FTM's child.
        how: String,
        /// Whether an operator or a defect ordered it.
        ordered: bool,
    },
    /// A process missed its heartbeats.
    Hung {
        /// Its name.
        name: String,
        /// How long nothing was heard of it, in milliseconds.
        silent_ms: u64,
    },
    /// A process that was suspected is heard again, before it was fenced.
    Heard {
        /// Its name.
        name: String,
    },
    /// The rows of an alias changed.
    Alias {
        /// All its rows.
        row: AliasRow,
    },
    /// An alias exists no longer.
    AliasGone {
        /// Its name.
        alias: String,
    },
    /// A takeover began: the incarnation has risen, durably.
    TakeoverStarted {
        /// The alias.
        alias: String,
        /// The new incarnation.
        incarnation: u64,
        /// The member that was in service, if there was one.
        from: Option<String>,
        /// The member that takes over.
        to: String,
        /// Why: `killed`, `hung`, `exited`, `moved`, `first start`, …
        cause: String,
    },
    /// The mark of service has moved.
    InService {
        /// The alias.
        alias: String,
        /// The incarnation.
        incarnation: u64,
        /// The member now in service.
        member: String,
        /// What was measured.
        timing: TakeoverTiming,
    },
    /// A promotion failed; another member is tried.
    PromotionFailed {
        /// The alias.
        alias: String,
        /// The member that could not.
        member: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The first answer after a takeover left the new active.
    FirstReply {
        /// The alias.
        alias: String,
        /// The incarnation.
        incarnation: u64,
        /// When the first request came, in nanoseconds of the monotonic clock; none if it had been sent before.
        #[serde(default)]
        asked_ns: Option<u64>,
        /// What was measured, now whole (a process sends it empty; the FTM fills it in).
        timing: TakeoverTiming,
    },
    /// No member of the alias is left to take over.
    Outage {
        /// The alias.
        alias: String,
        /// Why, and what is tried next.
        reason: String,
    },
    /// A defect was injected.
    Defect {
        /// Its id in the ledger, such as `K1`.
        id: String,
        /// What, in the language of defects.
        spec: String,
    },
    /// A defect point was armed. When it fires, `defect` or `paused` follows under its id.
    Armed {
        /// Its id in the ledger, such as `P1`.
        id: String,
        /// What, in the language of defects.
        spec: String,
    },
    /// A defect point was disarmed before it fired.
    Disarmed {
        /// Its id in the ledger.
        id: String,
    },
    /// A process passed a defect point that was armed to pause, and waits there until it is told to go on.
    Paused {
        /// The process.
        name: String,
        /// The name of the point.
        point: String,
        /// The id of the defect in the ledger.
        id: String,
    },
    /// A defect is over.
    Healed {
        /// Its id in the ledger.
        id: String,
    },
    /// A request was sent again.
    Resent {
        /// The call.
        call: String,
        /// The alias called.
        target: String,
        /// How often it was sent before.
        attempt: u32,
        /// The process it was sent to; empty if that is not known.
        #[serde(default)]
        to: String,
    },
    /// A request was recognised as redundantly sent.
    RedundancyFound {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
        /// What was done: `AUTO_REPLY`, `HANDLER 0`, `held`.
        process_type: String,
    },
    /// A straggler was refused.
    Stale {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
    },
    /// A call is in doubt and waits for an operator.
    InDoubt {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
    },
    /// A call in doubt is decided, by recovery or by an operator.
    Resolved {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
        /// How, in words.
        how: String,
    },
    /// A relay made a call on behalf of a call; both are in its journal, durably, before it is sent. Sampled per
    /// transaction under load, as are `relay_answered` and `relay_completed`; never left out after a takeover.
    Relayed {
        /// The call that is served (mes X).
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Where in the handler: `2`, or `2.1` in a branch.
        position: String,
        /// The call that was made (mes Y).
        downstream: String,
        /// The alias called.
        target: String,
    },
    /// The handler of a relay got the answer of a call that it made.
    RelayAnswered {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Where in the handler.
        position: String,
        /// The call that was made.
        downstream: String,
        /// The alias called.
        target: String,
        /// Whether it came from the journal: the handler is run again.
        replayed: bool,
        /// Whether the answer is an error or a refusal.
        failed: bool,
    },
    /// The outcome of a relay is registered, and its journal is completed, in one transaction.
    RelayCompleted {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// How many calls were made on its behalf.
        calls: u32,
        /// Whether the outcome is an error.
        failed: bool,
    },
    /// A takeover goes on with a transaction that it found half done.
    RolledForward {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Calls that had an answer in the journal.
        answered: u32,
        /// Calls that had none, and are sent again under their ids.
        resent: u32,
    },
    /// A takeover put another call in the place of an unanswered one.
    Substituted {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Where in the handler.
        position: String,
        /// The call whose place was taken.
        old: String,
        /// The alias it had called.
        old_target: String,
        /// The call that takes it.
        new: String,
        /// The alias it calls.
        new_target: String,
        /// Whether the old one is cancelled first.
        cancel_old: bool,
    },
    /// What a relay called is being undone from now on.
    RollingBack {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Why: `takeover`, `the handler failed: …`, `cancelled by its caller`, `an operator ordered it`.
        why: String,
    },
    /// Everything a relay called is undone.
    RolledBack {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// What follows: `run again`, `the error is registered`, `cancelled`.
        then: String,
    },
    /// A relay asked to cancel a call that it made.
    CancelSent {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Where in the handler the call was made.
        position: String,
        /// The call that is to be cancelled.
        downstream: String,
        /// The alias called.
        target: String,
    },
    /// A relay was told that a call which it made is cancelled.
    CancelConfirmed {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Where in the handler the call was made.
        position: String,
        /// The call that is cancelled.
        downstream: String,
        /// The alias called.
        target: String,
    },
    /// A call was cancelled where it is served: its tombstone is durable, and it is refused from now on.
    Cancelled {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
        /// Whether it had been executed and was undone; false if it had never had an effect.
        undone: bool,
    },
    /// The service begins to undo a call (`Service::undo`).
    Undoing {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
        /// Whether a former `undo` of it was interrupted by a death.
        interrupted: bool,
    },
    /// A run of a relay's handler asked for something else than its journal holds; an operator must decide.
    Diverged {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Where in the handler.
        position: String,
        /// What the journal holds there: target and message.
        journal: String,
        /// What was asked for: target and message, or that nothing was.
        asked: String,
    },
    /// A transaction can't be rolled back; an operator must decide.
    Stuck {
        /// The call that is served.
        call: String,
        /// The alias that serves it.
        alias: String,
        /// Why.
        why: String,
    },
    /// Somebody without a right was turned away.
    Refused {
        /// Who, as far as it is known.
        peer: String,
        /// Why.
        reason: String,
    },
    /// A request was sent for the first time.
    ///
    /// This and the following steps of a call are told of every call at a low rate, of a sample of the calls under
    /// load (the same ones in all processes), and of a call that was sent again.
    Asked {
        /// The call.
        call: String,
        /// The alias called.
        target: String,
        /// The process it was sent to; empty if that is not known.
        to: String,
        /// Whether it lay in the caller's outbox, durably, before it was sent.
        outbox: bool,
    },
    /// A request came in.
    Received {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
        /// The process it came from.
        from: String,
        /// How often that process had sent it before.
        attempt: u32,
    },
    /// A request was given to the service.
    Executing {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
    },
    /// Something of a call became durable in the stable area of the alias that serves it.
    Stable {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
        /// What: `roll-forward point` or `outcome`.
        what: String,
    },
    /// An outcome was sent.
    Answered {
        /// The call.
        call: String,
        /// The alias called.
        alias: String,
        /// The process it was sent to.
        to: String,
        /// Whether it came from the redundancy table.
        redundant: bool,
    },
    /// The outcome of a call came back to its caller.
    Call {
        /// The call.
        call: String,
        /// The alias called.
        target: String,
        /// From first sending to outcome, in microseconds.
        us: u64,
    },
    /// A process's measurements.
    Stats(NodeStats),
    /// A line of a log.
    Log {
        /// `error`, `warn` or `info`.
        level: String,
        /// The line.
        text: String,
    },
    /// The cluster is being stopped.
    Stopping {
        /// By whom.
        by: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_with_measurements_is_read_back_as_it_was_written() {
        let stats = NodeStats { at_ns: 3, ..NodeStats::default() };
        let event =
            Event { seq: 1, at_ns: 2, unix_ms: 4, process: "a-1".to_owned(), what: What::Stats(stats) };
        let text = serde_json::to_string(&event).unwrap();
        // Two fields of one name would be written without a word, and refused by the reader.
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event, "{text}");
    }
}
