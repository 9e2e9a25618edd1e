//! What comes in and what goes out: the console's state changes by nothing else.

use crossterm::event::{KeyEvent, MouseEvent};
use palib::control::{Answer, Event, OperatorAnswer, OperatorRequest, Query};

use crate::cluster::Action;
use crate::sweep::Matrix;
use crate::world::Tone;

/// Something that happened to the console.
#[derive(Clone, Debug)]
pub(crate) enum Msg {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has this many columns and lines now.
    Resize(u16, u16),
    /// Events of the cluster.
    Events(Vec<Event>),
    /// The answer to [`Cmd::Ask`], [`Cmd::ReadAtRest`] or [`Cmd::Perform`].
    Answered {
        /// The number it was asked under.
        ticket: u64,
        /// The answer, or what went wrong and what to do.
        answer: Result<OperatorAnswer, String>,
    },
    /// A cluster is attached from now on; what was known of another one is forgotten.
    Attached {
        /// Its name.
        cluster: String,
        /// Whether this console started it, and so decides whether it stays up.
        owned: bool,
    },
    /// The results of a sweep, or why there are none.
    Swept {
        /// Of which cluster.
        cluster: String,
        /// They.
        matrix: Result<Matrix, String>,
    },
    /// The FTM is not reached any more (false), or is again (true).
    Reached(bool),
    /// The cluster is gone.
    Gone(String),
    /// Something to tell the operator.
    Note(Tone, String),
    /// A quarter of a second has passed. Only sent while something waits for time to pass.
    Tick,
}

/// Something to do outside of the console's state.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cmd {
    /// Ask the FTM.
    Ask {
        /// The number to answer under.
        ticket: u64,
        /// The question or order.
        request: OperatorRequest,
    },
    /// Ask a stable area whose owner is dead: its file is read, and not changed.
    ReadAtRest {
        /// The number to answer under.
        ticket: u64,
        /// The alias.
        alias: String,
        /// The question; [`Query::Area`] or [`Query::Browse`].
        query: Query,
        /// The names of the aliases by their numbers: the file has only numbers.
        names: Vec<(u32, String)>,
    },
    /// Read what a sweep of this cluster has left.
    ReadSweep(String),
    /// Do what a step of a tour says.
    Perform {
        /// The number to answer under.
        ticket: u64,
        /// What.
        action: Action,
    },
    /// Start the cluster of a demo and attach to it; the cluster that is attached goes down first.
    Spawn(String),
    /// Put a text on the clipboard (OSC 52).
    Copy(String),
    /// Write a file in the current folder, under a name that is still free.
    Save {
        /// The beginning of its name.
        stem: String,
        /// The end of its name.
        extension: &'static str,
        /// What to write.
        content: String,
    },
    /// Take the mouse, or let it go.
    Mouse(bool),
    /// Stop this process, as Ctrl-Z does.
    Suspend,
    /// Paint everything anew.
    Repaint,
    /// Leave.
    Quit(Quit),
}

/// How the console ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quit {
    /// The cluster goes on.
    LeaveUp,
    /// The cluster is to be taken down.
    Down,
    /// At once, by `^c` or a signal: a cluster this console started goes down, another one goes on.
    AtOnce,
}

/// The answer of a process within the FTM's answer.
pub(crate) fn inner(answer: Result<OperatorAnswer, String>) -> Result<Answer, String> {
    match answer? {
        OperatorAnswer::Query(answer) => Ok(answer),
        other => Err(format!("an answer to another question came: {other:?}")),
    }
}
