//! Deciding about calls in doubt and about transactions of relays.

use palib::control::{InDoubtDecision, OperatorRequest, Query, RelayStage};
use tui_input::Input;

use super::act::order;
use super::app::{App, Screen};
use super::commands::Id;
use super::msg::Cmd;
use super::popup::{Confirm, Deed, Popup, Then};
use super::{redundancy, relay};

/// A call that might be decided about.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The alias that was called.
    pub alias: String,
    /// The call.
    pub call: String,
    /// Whether it is a transaction of a relay.
    pub is_relay: bool,
    /// Whether it goes on only when an operator decides.
    waits: bool,
    /// Whether what it called is being undone, or is undone.
    undone: bool,
    /// Its state in words.
    state: String,
}

/// The call that a decision would be about: the chosen one.
pub(crate) fn subject(app: &App) -> Result<Subject, String> {
    if app.screen == Screen::Relay {
        let row = relay::chosen(app).ok_or("no transaction is chosen")?;
        return Ok(Subject {
            alias: row.alias.clone(),
            call: row.id.clone(),
            is_relay: true,
            waits: row.needs_operator,
            undone: matches!(
                row.stage,
                RelayStage::RollingBack
                    | RelayStage::Failing
                    | RelayStage::Cancelling
                    | RelayStage::RolledBack
            ),
            state: row.stage.word().to_owned(),
        });
    }
    let row = redundancy::chosen(app).ok_or("no call is chosen")?;
    let alias = app.shown_alias().ok_or("no alias is shown")?;
    let of_relays = ["relaying", "rolling_back", "rolled_back", "diverged", "stuck"];
    let in_doubt = row.state == "in_doubt";
    Ok(Subject {
        call: row.id.clone(),
        // A call in doubt looks alike at every alias.
        is_relay: of_relays.contains(&row.state.as_str()) || (in_doubt && app.world().is_relay(&alias)),
        waits: in_doubt || matches!(row.state.as_str(), "diverged" | "stuck"),
        undone: matches!(row.state.as_str(), "rolling_back" | "rolled_back"),
        state: row.state.replace('_', " "),
        alias,
    })
}

/// Whether a decision can be taken about the chosen call.
pub(crate) fn can_decide(app: &App, id: Id) -> Result<(), String> {
    let Subject { call, is_relay, waits, undone, state, .. } = subject(app)?;
    match id {
        Id::ResolveRollBack if !is_relay => Err(format!("{call} is no transaction of a relay")),
        Id::ResolveRollBack if undone => Err(format!("{call} is {state} already")),
        Id::ResolveRollBack => Ok(()),
        Id::Resolve if is_relay && !undone => Ok(()),
        _ if waits => Ok(()),
        _ if is_relay => Err(format!("{call} needs no decision: it is {state}")),
        _ => Err(format!("{call} is not in doubt")),
    }
}

/// Decides about the chosen call: asks for what is needed first.
pub(crate) fn resolve(app: &mut App, id: Id) {
    let Ok(Subject { alias, call, is_relay, state, .. }) = subject(app) else { return };
    let ask = |title: String, prompt: &str, then| Popup::Ask {
        title,
        prompt: prompt.to_owned(),
        input: Input::default(),
        then,
    };
    let popup = match id {
        Id::ResolveReply => ask(format!("reply for {call}"), "the caller gets", Then::Reply { alias, call }),
        Id::ResolveFail => {
            ask(format!("failure for {call}"), "the caller is told", Then::Fail { alias, call })
        }
        Id::ResolveRollBack => {
            let lines = vec![
                format!("{alias} has undone {}.", called(app, &call)),
                "A request that comes again is then performed from the beginning.".to_owned(),
            ];
            confirm(format!("Roll {call} back?"), lines, "Roll back", alias, call, InDoubtDecision::RollBack)
        }
        _ => {
            let mut lines = if is_relay {
                vec![
                    format!("{alias} runs its handler again, with the answers that are in the journal."),
                    "What it called and got no answer to is sent again under the same id.".to_owned(),
                ]
            } else {
                vec![format!("{alias} executes the request of {call} again.")]
            };
            match state.as_str() {
                "in doubt" => lines.push("If its effect has happened already, it happens twice.".to_owned()),
                "diverged" => {
                    lines.push("If it asks for something else again, it waits for you again.".to_owned())
                }
                _ => {}
            }
            confirm(format!("Run {call} again?"), lines, "Run again", alias, call, InDoubtDecision::Rerun)
        }
    };
    app.popups.push(popup);
}

/// A text was typed that decides: of a transaction it is told first what stays as it is.
pub(crate) fn typed(app: &mut App, alias: String, call: String, decision: InDoubtDecision) -> Vec<Cmd> {
    if app.screen != Screen::Relay {
        return match order_of(alias, call, decision) {
            Deed::Order { what, request, undo } => order(app, what, *request, undo),
            Deed::Inject { .. } | Deed::Spawn(_) | Deed::Quit(_) => Vec::new(),
        };
    }
    let (title, label, told) = match &decision {
        InDoubtDecision::Reply(text) => {
            (format!("Answer {call}?"), "Answer", format!("The caller gets {text:?}."))
        }
        InDoubtDecision::Fail(text) => {
            (format!("Fail {call}?"), "Fail", format!("The caller is told {text:?}."))
        }
        // These two are never typed.
        InDoubtDecision::Rerun | InDoubtDecision::RollBack => return Vec::new(),
    };
    let stays = format!("Nothing is undone: it stays as it is with {}.", called(app, &call));
    app.popups.push(confirm(title, vec![told, stays], label, alias, call, decision));
    Vec::new()
}

/// What was called on behalf of a transaction, as far as it is known here.
fn called(app: &App, call: &str) -> String {
    let row = relay::chosen(app).filter(|row| app.screen == Screen::Relay && row.id == call);
    match row.map(|row| row.calls.iter().collect::<Vec<_>>()) {
        Some(calls) if calls.is_empty() => "what it called, nothing so far".to_owned(),
        Some(calls) => relay::names(&calls),
        None => format!("what was called on behalf of {call}"),
    }
}

fn confirm(
    title: String,
    lines: Vec<String>,
    label: &str,
    alias: String,
    call: String,
    decision: InDoubtDecision,
) -> Popup {
    let choices = vec![(label.to_owned(), order_of(alias, call, decision))];
    Popup::Confirm(Confirm { title, lines, choices, chosen: 0, ends: Vec::new(), typed: None })
}

/// The order that carries a decision.
fn order_of(alias: String, call: String, decision: InDoubtDecision) -> Deed {
    let what = match &decision {
        InDoubtDecision::Reply(text) => format!("{call} is answered with {text:?}"),
        InDoubtDecision::Rerun => format!("{call} runs again"),
        InDoubtDecision::RollBack => format!("what {call} called is undone"),
        InDoubtDecision::Fail(text) => format!("{call} fails with {text:?}"),
    };
    let query = Query::Resolve { alias: alias.clone(), call, decision };
    Deed::Order { what, request: Box::new(OperatorRequest::Query { alias, query }), undo: None }
}
