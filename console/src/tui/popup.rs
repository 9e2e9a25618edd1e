//! What lies over a screen: menus, questions, the palette and the help.

use palib::control::OperatorRequest;
use tui_input::{Input, InputRequest};

use super::app::{Pane, Undo};
use super::commands::Id;
use super::inject::{Palette, Points};
use super::matrix::Sweep;
use super::msg::Quit;

/// Something over the screen. The one on top gets the keys.
#[derive(Clone, Debug)]
pub(crate) enum Popup {
    /// A list to choose from, also by letters.
    Menu {
        /// What it is about.
        title: String,
        /// What its commands are done to.
        about: About,
        /// The choices.
        items: Vec<Item>,
        /// The chosen one.
        chosen: usize,
    },
    /// A question before something that can't be taken back.
    Confirm(Confirm),
    /// A question for a text.
    Ask {
        /// What it is about.
        title: String,
        /// What is wanted.
        prompt: String,
        /// What is typed.
        input: Input,
        /// What it is for.
        then: Then,
    },
    /// All commands by name.
    Palette {
        /// What is typed.
        input: Input,
        /// The chosen one.
        chosen: usize,
    },
    /// All commands with what they do.
    Help {
        /// What is typed.
        input: Input,
        /// The chosen one.
        chosen: usize,
    },
    /// The filter of a table, as it is typed.
    Filter {
        /// The table.
        pane: Pane,
        /// What is typed.
        input: Input,
        /// What it was before.
        before: String,
    },
    /// The palette of defects, over the whole screen.
    Defects(Palette),
    /// The list of defect points.
    Points(Points),
    /// The results of a sweep, over the whole screen.
    Sweep(Sweep),
    /// A text to read.
    Detail {
        /// What it is about.
        title: String,
        /// Its lines.
        lines: Vec<String>,
        /// The first line in view.
        scroll: usize,
    },
}

/// What a menu was opened about. Rows come and go while it is open, and nothing may be done to the one that takes the place
/// of the chosen one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// The screen as it is.
    Screen,
    /// A call.
    Call(String),
    /// A process.
    Process {
        /// Its name.
        process: String,
        /// The alias it was chosen by.
        alias: String,
    },
}

/// A line of a menu.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    /// Its letter.
    pub letter: char,
    /// Its name.
    pub label: String,
    /// More about it.
    pub detail: String,
    /// Why it can't be chosen, if it can't.
    pub disabled: Option<String>,
    /// What it does.
    pub command: Id,
}

/// A question before something that can't be taken back. Nothing is the first choice.
#[derive(Clone, Debug)]
pub(crate) struct Confirm {
    /// What would be done.
    pub title: String,
    /// What that takes down.
    pub lines: Vec<String>,
    /// The choices beside Cancel, which is first.
    pub choices: Vec<(String, Deed)>,
    /// The chosen one; 0 is Cancel.
    pub chosen: usize,
    /// Who would end, as of when it was asked.
    pub ends: Vec<Ends>,
    /// What must be typed for the deed to be done, and what is typed.
    pub(crate) typed: Option<(String, Input)>,
}

/// A run of a process that would end: its name and its pid.
pub(crate) type Ends = (String, Option<u32>);

/// What is done once it is confirmed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// An order to the FTM.
    Order {
        /// What is ordered, in words.
        what: String,
        /// The order.
        request: Box<OperatorRequest>,
        /// What would undo it.
        undo: Option<Undo>,
    },
    /// Defects.
    Inject {
        /// They in words.
        what: String,
        /// The orders.
        requests: Vec<OperatorRequest>,
    },
    /// Start the cluster of this demo.
    Spawn(String),
    /// Leave.
    Quit(Quit),
}

impl Deed {
    /// What the FTM is told.
    pub(crate) fn requests(&self) -> &[OperatorRequest] {
        match self {
            Deed::Order { request, .. } => std::slice::from_ref(request),
            Deed::Inject { requests, .. } => requests,
            Deed::Spawn(_) | Deed::Quit(_) => &[],
        }
    }
}

/// What a typed text is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The reply of a call in doubt.
    Reply {
        /// The alias that was called.
        alias: String,
        /// The call.
        call: String,
    },
    /// The failure of a call in doubt.
    Fail {
        /// The alias that was called.
        alias: String,
        /// The call.
        call: String,
    },
    /// A defect in the words of the language.
    Defect,
    /// How long a process is to hang.
    HangFor {
        /// The process.
        process: String,
    },
}

impl Popup {
    /// Whether it takes text, so that pasting makes sense.
    #[must_use]
    pub(crate) fn takes_text(&self) -> bool {
        match self {
            Popup::Ask { .. }
            | Popup::Palette { .. }
            | Popup::Help { .. }
            | Popup::Filter { .. }
            | Popup::Points(_) => true,
            Popup::Confirm(confirm) => confirm.typed.is_some(),
            Popup::Menu { .. } | Popup::Detail { .. } | Popup::Defects(_) | Popup::Sweep(_) => false,
        }
    }
}

/// Edits an input by a key's name; false if the key is not for it.
pub(crate) fn edit(input: &mut Input, key: &str) -> bool {
    let mut chars = key.chars();
    let request = match (key, chars.next(), chars.next()) {
        (_, Some(c), None) => InputRequest::InsertChar(c),
        ("space", ..) => InputRequest::InsertChar(' '),
        ("backspace", ..) => InputRequest::DeletePrevChar,
        ("delete", ..) => InputRequest::DeleteNextChar,
        ("left", ..) => InputRequest::GoToPrevChar,
        ("right", ..) => InputRequest::GoToNextChar,
        ("home" | "ctrl-a", ..) => InputRequest::GoToStart,
        ("end" | "ctrl-e", ..) => InputRequest::GoToEnd,
        ("ctrl-w", ..) => InputRequest::DeletePrevWord,
        ("ctrl-u", ..) => InputRequest::DeleteLine,
        ("ctrl-k", ..) => InputRequest::DeleteTillEnd,
        _ => return false,
    };
    input.handle(request);
    true
}
