//! Asking for the transactions of relays, and what is to become of them at a takeover.

use palib::control::{
    Answer, DownstreamRow, DownstreamState, MemberState, OperatorAnswer, OperatorRequest, Policy, Query,
    RelayRow, RelayStage, Relays,
};

use super::act::order;
use super::app::{App, Owner, Pane, Purpose, Remedy, Undo};
use super::commands::Id;
use super::msg::{Cmd, inner};
use super::redundancy::{id_filter, next_of};

/// Transactions asked for at once. Those that need an operator come first, so they are always among them.
const ROWS_MAX: usize = 500;
/// Calls named in a sentence; of more, the number is told.
const NAMED_MAX: usize = 3;

/// The aliases that call others on behalf of calls.
fn aliases(app: &App) -> Vec<String> {
    let world = app.world();
    world.aliases.keys().filter(|alias| world.is_relay(alias)).cloned().collect()
}

/// The relay that is shown: the chosen one, or else the first that needs an operator, or has anything open.
#[must_use]
pub(crate) fn shown_alias(app: &App) -> Option<String> {
    let aliases = aliases(app);
    if let Some(alias) = app.alias.as_ref().filter(|alias| aliases.contains(alias)) {
        return Some(alias.clone());
    }
    // As of now, also in the past: what is looked at must not change by looking back.
    let urgency = |alias: &String| {
        let stats = app.history.live().active_stats(Some(alias)).next();
        stats.map_or((0, 0), |stats| (stats.relays_stuck, stats.relays))
    };
    // The first of equals, where max_by_key would take the last.
    aliases.into_iter().rev().max_by_key(urgency)
}

/// Asks for the transactions on the screen, unless an answer is awaited already.
pub(crate) fn refresh(app: &mut App) -> Vec<Cmd> {
    if app.past.is_some() || super::commands::may_ask(app).is_err() {
        return Vec::new();
    }
    let Some(alias) = shown_alias(app) else { return Vec::new() };
    let serves = matches!(app.owner(&alias), Owner::Serves(_));
    let readings = app.relays.entry(alias.clone()).or_default();
    if readings.asked || !serves {
        return Vec::new();
    }
    readings.asked = true;
    let filter = id_filter(&app.look(Pane::Relays).filter);
    let query = Query::Relays { alias: alias.clone(), filter, limit: ROWS_MAX };
    let ticket = app.next_ticket(Purpose::Relays(alias.clone()));
    vec![Cmd::Ask { ticket, request: OperatorRequest::Query { alias, query } }]
}

/// Keeps an answer.
pub(crate) fn answered(app: &mut App, alias: String, answer: Result<OperatorAnswer, String>) {
    let unix_ms = app.history.live().last_unix_ms;
    let relays = inner(answer).map(|answer| match answer {
        Answer::Relays(relays) => Some(relays),
        _ => None,
    });
    app.relays.entry(alias).or_default().answered(unix_ms, false, relays);
}

/// Shows the transactions of the next relay, or of the one before.
pub(crate) fn turn(app: &mut App, by: isize) -> Vec<Cmd> {
    let Some(next) = shown_alias(app).and_then(|now| next_of(&aliases(app), &now, by)) else {
        return Vec::new();
    };
    app.alias = Some(next);
    app.look_mut(Pane::Relays).chosen = None;
    app.look_mut(Pane::Journal).chosen = None;
    refresh(app)
}

/// The transactions on the screen as last read.
pub(crate) fn shown(app: &App) -> Option<&Relays> {
    Some(&app.relays.get(&shown_alias(app)?)?.at(app.until_unix_ms())?.what)
}

/// The chosen transaction.
pub(crate) fn chosen(app: &App) -> Option<&RelayRow> {
    let table = app.table(Pane::Relays);
    let key = &table.chosen_row(&app.look(Pane::Relays))?.key;
    shown(app)?.rows.iter().find(|row| row.id == *key)
}

/// The policy that a command sets.
fn policy_of(id: Id) -> Option<Policy> {
    match id {
        Id::PolicyForward => Some(Policy::RollForward),
        Id::PolicySubstitute => Some(Policy::Substitute),
        Id::PolicyBack => Some(Policy::RollBack),
        _ => None,
    }
}

/// Whether the policy of the chosen transaction can be changed so.
pub(crate) fn can_set_policy(app: &App, id: Id) -> Result<(), String> {
    let row = chosen(app).ok_or("no transaction is chosen")?;
    match policy_of(id) {
        Some(policy) if policy == row.policy => Err(format!("its policy is {policy} already")),
        _ => Ok(()),
    }
}

/// Changes the policy of the chosen transaction. It can be changed back, so it happens at once.
pub(crate) fn set_policy(app: &mut App, id: Id) -> Vec<Cmd> {
    let Some((policy, row)) = policy_of(id).zip(chosen(app).cloned()) else { return Vec::new() };
    let request = |policy| {
        let query = Query::SetPolicy { alias: row.alias.clone(), call: row.id.clone(), policy };
        OperatorRequest::Query { alias: row.alias.clone(), query }
    };
    let undo = Undo {
        what: format!("the policy of {} is {} again", row.id, row.policy),
        by: Remedy::Order(request(row.policy)),
    };
    order(app, format!("the policy of {} is {policy}", row.id), request(policy), Some(undo))
}

/// What would become of a transaction if the member that has it in hand died now, in a sentence.
#[must_use]
pub(crate) fn takeover(app: &App, row: &RelayRow) -> String {
    let members = app.world().aliases.get(&row.alias).map_or(&[][..], |alias| &alias.members);
    let named = |state| members.iter().find(|member| member.state == state).map(|it| it.process.as_str());
    let now = members.iter().find(|member| member.in_service).map(|it| it.process.as_str());
    let Some(now) = now else {
        return format!("nobody serves {}; {}", row.alias, fate("its next member", row));
    };
    match named(MemberState::Backup) {
        Some(heir) => format!("if {now} dies now, {}", fate(heir, row)),
        None => format!("if {now} dies now, nobody is left until a member starts; {}", fate("that one", row)),
    }
}

/// What a successor does with a transaction. It knows what is durable: the journal, the policy, and whether the calls
/// were being undone; that an operator was waited for it finds out anew.
fn fate(heir: &str, row: &RelayRow) -> String {
    let undoing = || {
        let left = row.calls.iter().filter(|call| call.state != DownstreamState::Cancelled).count();
        format!("{heir} goes on undoing: {left} of {} calls are left", row.calls.len())
    };
    match row.stage {
        RelayStage::Processing => by_policy(heir, row),
        RelayStage::Completing => {
            format!("the outcome counts if it is durable by then; else {}", by_policy(heir, row))
        }
        RelayStage::RollingBack | RelayStage::Failing | RelayStage::Cancelling => undoing(),
        RelayStage::RolledBack => "nothing is to be done: a request that comes again begins anew".to_owned(),
        RelayStage::Diverged => {
            format!("{}; if it diverges again, it waits for you again", by_policy(heir, row))
        }
        RelayStage::Stuck => format!("{}; if that is refused again, it waits for you again", undoing()),
        RelayStage::InDoubt => format!("{heir} asks the service again whether its effect happened"),
    }
}

/// What a successor does with a transaction under way. What is only being put into the journal does not count.
fn by_policy(heir: &str, row: &RelayRow) -> String {
    let journaled = row.calls.iter().filter(|call| call.state != DownstreamState::Putting);
    let journaled: Vec<&DownstreamRow> = journaled.collect();
    let is_open = |state| matches!(state, DownstreamState::Held | DownstreamState::Waiting);
    let open: Vec<&DownstreamRow> = journaled.iter().copied().filter(|call| is_open(call.state)).collect();
    let answered = journaled.len() - open.len();
    match row.policy {
        _ if journaled.is_empty() => {
            format!(
                "its journal is empty: {heir} performs the request from the beginning when it comes again"
            )
        }
        Policy::RollBack => {
            format!("{heir} has {} undone, and a request that comes again begins anew", names(&journaled))
        }
        Policy::Substitute if !open.is_empty() => {
            format!("{heir} asks the service what shall take the place of {}, then goes on", names(&open))
        }
        _ if open.is_empty() => {
            format!("{heir} runs the handler again, with {answered} answers from the journal")
        }
        _ => format!(
            "{heir} goes on with {answered} answers from the journal, and sends {} again under the same id",
            names(&open)
        ),
    }
}

/// Calls by target and id, the first few of them.
pub(crate) fn names(calls: &[&DownstreamRow]) -> String {
    let named = calls.iter().take(NAMED_MAX).map(|call| format!("{} {}", call.target, call.id));
    let mut text = named.collect::<Vec<_>>().join(", ");
    if calls.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", calls.len() - NAMED_MAX));
    }
    text
}
