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
    "Server: an answer is about to be sent." BeforeReply = "before-reply",
    "Server: an answer was given to the link; it may or may not arrive." AfterReply = "after-reply",
    "Server: a call is about to be undone by the service, because its caller cancelled it." BeforeUndo =
        "before-undo",
    "Server: the service has undone a call; unless that was one transaction, its cancellation is not durable."
        AfterUndo = "after-undo",
    "Server: that a call is cancelled is about to be given to the writer of the stable area." BeforeTombstone =
        "before-tombstone",
    "Server: that a call is cancelled is durable, and its caller was not told." AfterTombstone =
        "after-tombstone",
    "Caller: a call is about to be put into the outbox." BeforeOutbox = "before-outbox",
    "Caller: a call lies in the outbox, durably, and was not sent." AfterOutbox = "after-outbox",
    "Caller: a request is about to be sent, for the first time or again." BeforeSend = "before-send",
    "Caller: a request was given to the link; it may or may not arrive." AfterSend = "after-send",
    "Caller: a call is about to be dropped from the outbox, together with what its caller changes." BeforeConsume =
        "before-consume",
    "Caller: a call is dropped from the outbox, durably, and its caller was not told." AfterConsume =
        "after-consume",
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
    "Relay: a call on is about to be cancelled." BeforeCancel = "before-cancel",
    "Relay: the cancellation of a call on is confirmed, and nothing has followed from that." AfterCancel =
        "after-cancel",
    "Takeover: the stable area is about to be opened." BeforeOpen = "before-open",
    "Takeover: the stable area is open, and nothing was recovered." AfterOpen = "after-open",
    "Takeover: recovery is about to begin." BeforeRecover = "before-recover",
    "Takeover: recovery is done, and this member does not count itself in service." AfterRecover = "after-recover",
    "Takeover: this member is about to tell the FTM that it is in service." BeforePromoted = "before-promoted",
}

impl Point {
    /// The point of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|point| point.name() == name)
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
        }
        assert_eq!(Point::find("after-lunch"), None);
    }
}
