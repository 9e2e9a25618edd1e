//! The closed list of defect points.

use std::fmt;

/// Writes the list down once: the variant, its name in the language of defects, and what it means.
macro_rules! points {
    ($($meaning:literal $variant:ident = $name:literal,)+) => {
        /// A place in the library that a process passes while it serves, calls or takes over.
        ///
        /// A process passes the points of an alias only while it is in service of it, those of a takeover while it
        /// is being promoted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Point {
            $(#[doc = $meaning] $variant,)+
        }

        impl Point {
            /// All of them, in the order in which a call, a relay's transaction and a takeover pass them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// Its name in the language of defects, such as `after-block`.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// Where it is, in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$variant => $meaning,)+
                }
            }
        }
    };
}

points! {
    "Server: a request has come in and was not looked at yet." AfterReceive = "after-receive",
    "Server: a request is about to be given to the service." BeforeExecute = "before-execute",
    "Server: the handler has returned, or the closure of its atomic commit has run; no outcome is durable."
        AfterExecute = "after-execute",
    "Server: the roll-forward point is about to be written." BeforeBlock = "before-block",
    "Server: the roll-forward point is durable, and the handler was not told." AfterBlock = "after-block",
    "Server: an outcome is about to be given to the writer of the stable area." BeforeCommit = "before-commit",
    "Server: an outcome is durable, and nobody was answered." AfterCommit = "after-commit",
    "Server: the handler for redundant requests is about to be called." BeforeHandler = "before-handler",
    "Server: the handler for redundant requests has returned, and nobody was answered." AfterHandler =
        "after-handler",
    "Server: an answer is about to be sent." BeforeReply = "before-reply",
    "Server: an answer was given to the link; it may or may not arrive." AfterReply = "after-reply",
    "Server: a cancellation has come in and was not looked at yet." AfterReceiveCancel =
        "after-receive-cancel",
    "Server: that a call is being undone is about to be given to the writer of the stable area." BeforeUndoing =
        "before-undoing",
    "Server: that a call is being undone is durable, and nothing was undone." AfterUndoing = "after-undoing",
    "Server: a call is about to be undone by the service, because its caller cancelled it." BeforeUndo =
        "before-undo",
    "Server: the service has undone a call; unless that was one transaction, its cancellation is not durable."
        AfterUndo = "after-undo",
    "Server: that a call is cancelled is about to be given to the writer of the stable area." BeforeTombstone =
        "before-tombstone",
    "Server: that a call is cancelled is durable, and its caller was not told." AfterTombstone =
        "after-tombstone",
    "Server: the confirmation of a cancellation is about to be sent." BeforeConfirm = "before-confirm",
    "Server: the confirmation of a cancellation was given to the link; it may or may not arrive." AfterConfirm =
        "after-confirm",
    "Caller: a call is about to be put into the outbox." BeforeOutbox = "before-outbox",
    "Caller: a call lies in the outbox, durably, and was not sent." AfterOutbox = "after-outbox",
    "Caller: a request is about to be sent, for the first time or again." BeforeSend = "before-send",
    "Caller: a request was given to the link; it may or may not arrive." AfterSend = "after-send",
    "Caller: an answer has come in, and was not looked at yet." AfterArrival = "after-arrival",
    "Caller: a call is about to be dropped from the outbox, together with what its caller changes." BeforeConsume =
        "before-consume",
    "Caller: a call is dropped from the outbox, durably, and its caller was not told." AfterConsume =
        "after-consume",
    "Caller: its mark is about to be sent in a message of its own." BeforeSendMark = "before-send-mark",
    "Caller: its mark was given to the link in a message of its own." AfterSendMark = "after-send-mark",
    "Caller: a change of its own, apart from any call, is about to be given to the writer of the stable area."
        BeforeChange = "before-change",
    "Caller: a change of its own, apart from any call, is durable, and nobody was told." AfterChange =
        "after-change",
    "Relay: a call on is about to be put into the journal." BeforeJournal = "before-journal",
    "Relay: a call on is in the journal, durably, and was not sent." AfterJournal = "after-journal",
    "Relay: a call on is about to be sent for the first time." BeforeCallOn = "before-call-on",
    "Relay: a call on was given to the link; it may or may not arrive." AfterCallOn = "after-call-on",
    "Relay: the answer of a call on has come in, and nobody was given it." AfterAnswer = "after-answer",
    "Relay: the outcome of a call that made calls on is about to be given to the writer of the stable area."
        BeforeComplete = "before-complete",
    "Relay: the outcome of a call that made calls on is durable, and nobody was answered." AfterComplete =
        "after-complete",
    "Relay: what becomes of a transaction is about to be written, such as that it rolls back." BeforeCourse =
        "before-course",
    "Relay: what becomes of a transaction is durable, and nothing was done about it." AfterCourse =
        "after-course",
    "Relay: the service has designated what takes the place of a call on, and nothing has followed from that."
        AfterDesignation = "after-designation",
    "Relay: a call on is about to be cancelled." BeforeCancel = "before-cancel",
    "Relay: a cancellation is about to be sent, for the first time or again." BeforeSendCancel =
        "before-send-cancel",
    "Relay: a cancellation was given to the link; it may or may not arrive." AfterSendCancel =
        "after-send-cancel",
    "Relay: the cancellation of a call on is confirmed, and nothing has followed from that." AfterCancel =
        "after-cancel",
    "Relay: the end of a transaction's journal is about to be given to the writer of the stable area." BeforeClose =
        "before-close",
    "Relay: a transaction's journal is gone, durably, and nothing has followed from that." AfterClose =
        "after-close",
    "Takeover: the stable area is about to be opened." BeforeOpen = "before-open",
    "Takeover: the stable area is open, and nothing was recovered." AfterOpen = "after-open",
    "Takeover: recovery is about to begin." BeforeRecover = "before-recover",
    "Takeover: the service is about to be asked what became of a call in doubt." BeforeAsk = "before-ask",
    "Takeover: the service has said what became of a call in doubt, and nothing has followed from that." AfterAsk =
        "after-ask",
    "Takeover: recovery is done, and this member does not count itself in service." AfterRecover = "after-recover",
    "Takeover: this member is about to tell the FTM that it is in service." BeforePromoted = "before-promoted",
    "Takeover: this member has told the FTM that it is in service." AfterPromoted = "after-promoted",
    "FTM: a death was noticed, and nothing was done about it." AfterDeath = "after-death",
    "FTM: a new incarnation of an alias is about to be written, to fence a process or to promote one."
        BeforeIncarnation = "before-incarnation",
    "FTM: a new incarnation of an alias is durable, and nobody was told." AfterIncarnation = "after-incarnation",
    "FTM: a new incarnation is about to be shown beside the stable area." BeforeFence = "before-fence",
    "FTM: a new incarnation stands beside the stable area." AfterFence = "after-fence",
    "FTM: a process is about to be killed because it is fenced." BeforeFencingKill = "before-fencing-kill",
    "FTM: a process was killed because it is fenced, and its death was not noticed." AfterFencingKill =
        "after-fencing-kill",
    "FTM: a process is about to be told to take over." BeforePromote = "before-promote",
    "FTM: a process was told to take over; the order may or may not arrive." AfterPromote = "after-promote",
    "FTM: a process has said that it is in service, and the mark of service was not moved." BeforeMark =
        "before-mark",
    "FTM: the mark of service has moved, and nobody was told." AfterMark = "after-mark",
    "FTM: rows of the port alias table are about to be pushed to everybody." BeforePush = "before-push",
    "FTM: rows of the port alias table were pushed to everybody." AfterPush = "after-push",
    "FTM: a new run of a process, its number and its ports, is about to be written." BeforeRun = "before-run",
    "FTM: a new run of a process is durable, and it was not started." AfterRun = "after-run",
    "FTM: a process was started, and it was not written down which one it is." AfterSpawn = "after-spawn",
    "FTM: it is durable which process was started." AfterPid = "after-pid",
    "FTM: a process wants to join, and was not let in." BeforeJoin = "before-join",
    "FTM: a process has joined, and was told the table and what it is to do." AfterJoin = "after-join",
    "FTM, at its start: everything was read, and nothing written." AfterLoad = "after-load",
    "FTM, at its start: the numbers of this start are durable, and it can't be found." AfterStart = "after-start",
    "FTM, at its start: processes that live are about to be watched again." BeforeAdopt = "before-adopt",
    "FTM, at its start: processes that live are watched again." AfterAdopt = "after-adopt",
    "FTM, at its start: it can be found, and nobody has joined." AfterAnnounce = "after-announce",
}

/// What passes a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A member that serves.
    Server,
    /// A member that calls.
    Caller,
    /// A server that calls others on behalf of its callers.
    Relay,
    /// A member that is being promoted.
    Takeover,
    /// The FTM.
    Ftm,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Server, Self::Caller, Self::Relay, Self::Takeover, Self::Ftm];

    /// In one word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Caller => "caller",
            Self::Relay => "relay",
            Self::Takeover => "takeover",
            Self::Ftm => "ftm",
        }
    }
}

impl Point {
    /// The point of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
    }

    /// What passes it.
    #[must_use]
    pub fn part(self) -> Part {
        // The list is in this order, and each part has a last point.
        let last = |part| match part {
            Part::Server => Self::AfterConfirm,
            Part::Caller => Self::AfterChange,
            Part::Relay => Self::AfterClose,
            Part::Takeover => Self::AfterPromoted,
            Part::Ftm => Self::AfterAnnounce,
        };
        Part::ALL.into_iter().find(|part| self <= last(*part)).unwrap_or(Part::Ftm)
    }

    /// Whether it is passed when an FTM starts.
    #[must_use]
    pub fn is_at_start(self) -> bool {
        self >= Self::AfterLoad
    }
}

impl fmt::Display for Point {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_found_by_its_name_and_says_where_it_is() {
        for point in Point::ALL {
            assert_eq!(Point::find(point.name()), Some(*point));
            assert!(point.meaning().ends_with('.') && point.meaning().contains(": "), "{point}");
            let begins = point.meaning().to_lowercase().starts_with(point.part().word());
            assert!(begins, "{point} is of {:?}", point.part());
            assert_eq!(point.is_at_start(), point.meaning().starts_with("FTM, at its start"), "{point}");
        }
        assert_eq!(Point::find("after-lunch"), None);
    }
}
