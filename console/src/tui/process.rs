//! What is done to one process, and whether a question about its end still means what it says.

use palib::control::OperatorRequest;
use tui_input::Input;

use super::act::order;
use super::app::{App, Remedy, Undo};
use super::commands::Id;
use super::inject;
use super::msg::Cmd;
use super::popup::{Confirm, Deed, Popup, Then};

/// How long `hang for…` offers.
const HANG_FOR: &str = "3s";

/// Does a command to a process, which was chosen as a member of this alias.
pub(crate) fn perform(app: &mut App, id: Id, process: String, alias: String) -> Vec<Cmd> {
    match id {
        Id::Hang => return hang(app, process, None),
        Id::HangFor => app.popups.push(Popup::Ask {
            title: format!("hang {process}"),
            prompt: "for".into(),
            input: Input::new(HANG_FOR.into()),
            then: Then::HangFor { process },
        }),
        Id::Resume => return resume(app, process),
        Id::AddBackup => {
            let what = format!("a member is added to {alias}");
            return order(app, what, OperatorRequest::AddBackup { alias }, None);
        }
        _ => end(app, id, process),
    }
    Vec::new()
}

/// Stops a process, for some time or until it is resumed.
pub(crate) fn hang(app: &mut App, process: String, for_ms: Option<u64>) -> Vec<Cmd> {
    let what = format!("{process} hangs");
    let undo = resumption(process.clone());
    order(app, what, OperatorRequest::Hang { process, for_ms }, Some(undo))
}

fn resume(app: &mut App, process: String) -> Vec<Cmd> {
    let undo = resumption(process.clone());
    app.undo.retain(|other| *other != undo);
    order(app, undo.what, OperatorRequest::Resume { process }, None)
}

/// How a hang is undone.
pub(crate) fn resumption(process: String) -> Undo {
    Undo { what: format!("{process} goes on"), by: Remedy::Order(OperatorRequest::Resume { process }) }
}

/// Asks before a process is ended, and says what that takes down.
fn end(app: &mut App, id: Id, process: String) {
    let (verb, what, request) = match id {
        Id::Kill => {
            ("Kill", format!("{process} was killed"), OperatorRequest::Kill { process: process.clone() })
        }
        Id::Exit => ("Exit", format!("{process} ends"), OperatorRequest::Exit { process: process.clone() }),
        _ => {
            let request = OperatorRequest::Restart { process: process.clone() };
            ("Restart", format!("{process} starts again"), request)
        }
    };
    let ends = inject::ends(app, std::slice::from_ref(&request));
    let pid = ends.iter().find_map(|(_, pid)| *pid).map_or_else(String::new, |pid| format!(", pid {pid}"));
    let (told, last_of) = inject::consequences(app, std::slice::from_ref(&process));
    let deed = Deed::Order { what, request: Box::new(request), undo: None };
    app.popups.push(Popup::Confirm(Confirm {
        title: format!("{verb} {process}{pid}?"),
        lines: told.into_iter().map(|sentence| sentence.text).collect(),
        choices: vec![(verb.to_owned(), deed)],
        chosen: 0,
        ends,
        typed: last_of.map(|alias| (alias, Input::default())),
    }));
}

/// Whether a deed still is what was asked about. Time goes on over an open question: who was to end may be another run by
/// now, and who would have taken over may be dead.
///
/// # Errors
/// What has changed.
pub(crate) fn as_asked(app: &App, asked: &Confirm, deed: &Deed) -> Result<(), String> {
    let ends = inject::ends(app, deed.requests());
    if let Some((then, now)) = asked.ends.iter().zip(&ends).find(|(then, now)| then != now) {
        let pid = now.1.map_or_else(|| "dead".to_owned(), |pid| format!("pid {pid}"));
        return Err(format!("nothing was done: {} was asked about, and now it is {}, {pid}", then.0, now.0));
    }
    let names: Vec<String> = ends.into_iter().map(|(name, _)| name).collect();
    let typed = asked.typed.as_ref().map(|(alias, _)| alias);
    match inject::consequences(app, &names).1 {
        Some(alias) if typed != Some(&alias) => {
            Err(format!("nothing was done: {alias} would have nobody left now; ask again"))
        }
        _ => Ok(()),
    }
}
