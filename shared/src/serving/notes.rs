//! What a server side tells of its calls, as events.

use std::collections::HashSet;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId};
use palib_core::relay::{Back, CallOn, Step, Why};
use palib_core::server::Note;

use super::{ServeSide, State};
use crate::control::What;
use crate::refusal_text;
use crate::service::Service;

/// Of a message so much is shown in words.
const SHOWN_CHARS_MAX: usize = 60;

impl<S: Service> ServeSide<S> {
    pub(super) fn note(&self, state: &mut State, note: Note<Bytes>) {
        let text = |id| self.shared.directory.id_text(id);
        let alias = self.alias_name.clone();
        self.shared.trace.push(match note {
            // Counted by the machine; what was answered is traced where it is sent.
            Note::Redundant { .. } => return,
            Note::Relay { id, step } => return self.note_step(&mut state.told, id, step),
            Note::Held { id } => {
                What::RedundancyFound { call: text(id), alias, process_type: "held".to_owned() }
            }
            Note::InDoubt { id } => {
                tracing::warn!(call = %text(id), alias = %alias, "in doubt: an operator must resolve this call");
                What::InDoubt { call: text(id), alias }
            }
            Note::Stale { id } => What::Stale { call: text(id), alias },
            Note::Cancelled { id, undone } => What::Cancelled { call: text(id), alias, undone },
            Note::Undoing { id, interrupted } => What::Undoing { call: text(id), alias, interrupted },
        });
    }

    /// A step of a transaction. Those of a transaction that goes its way are told of the calls that are traced; those of
    /// one that anything happened to, always.
    fn note_step(&self, told: &mut HashSet<CallId>, id: CallId, step: Step<Bytes>) {
        match &step {
            Step::CalledOn(_) | Step::Answered { .. } => {
                if !told.contains(&id) && !self.shared.trace.sampler.traces(id) {
                    return;
                }
            }
            Step::Completed { .. } => {
                if !told.remove(&id) && !self.shared.trace.sampler.traces(id) {
                    return;
                }
            }
            // Its failure is registered next, and that is told, too.
            Step::RolledBack(Back::Failed(_)) => {}
            Step::RolledBack(_) => _ = told.remove(&id),
            _ => _ = told.insert(id),
        }
        self.shared.trace.push(self.told_step(id, step));
    }

    fn told_step(&self, id: CallId, step: Step<Bytes>) -> What {
        let (call, alias) = (self.shared.directory.id_text(id), self.alias_name.clone());
        match step {
            Step::CalledOn(on) => {
                let (position, downstream, target) = self.place(&on);
                What::Relayed { call, alias, position, downstream, target }
            }
            Step::Answered { on, replayed, failed } => {
                let (position, downstream, target) = self.place(&on);
                What::RelayAnswered { call, alias, position, downstream, target, replayed, failed }
            }
            Step::Completed { calls, failed } => What::RelayCompleted { call, alias, calls, failed },
            Step::RolledForward { answered, resent } => What::RolledForward { call, alias, answered, resent },
            Step::Substituted { old, new, cancel_old } => {
                let (position, old, old_target) = self.place(&old);
                let (_, new, new_target) = self.place(&new);
                What::Substituted { call, alias, position, old, old_target, new, new_target, cancel_old }
            }
            Step::RollingBack(back) => What::RollingBack { call, alias, why: back_text(&back) },
            Step::RolledBack(back) => What::RolledBack { call, alias, then: then_text(&back).to_owned() },
            Step::CancelSent(on) => {
                let (position, downstream, target) = self.place(&on);
                What::CancelSent { call, alias, position, downstream, target }
            }
            Step::CancelConfirmed(on) => {
                let (position, downstream, target) = self.place(&on);
                What::CancelConfirmed { call, alias, position, downstream, target }
            }
            Step::Diverged { position, journal, asked } => {
                let (position, journal) = (position.to_string(), self.text_of(&journal));
                let asked = asked.map_or_else(|| "nothing".to_owned(), |asked| self.text_of(&asked));
                tracing::warn!(%call, %alias, %position, %journal, %asked, "a relay's run left its journal");
                What::Diverged { call, alias, position, journal, asked }
            }
            Step::Stuck { on, why } => {
                let (position, downstream, target) = self.place(&on);
                let why =
                    format!("{downstream} (call {position}, to {target}) is not undone: {}", why_text(&why));
                tracing::warn!(%call, %alias, %why, "a relay can't be rolled back");
                What::Stuck { call, alias, why }
            }
        }
    }

    fn place(&self, on: &CallOn) -> (String, String, String) {
        let directory = &self.shared.directory;
        (on.position.to_string(), directory.id_text(on.id), directory.name(on.target))
    }

    /// A message in words: whom it asks, and what.
    pub(super) fn text_of(&self, (target, body): &(AliasId, Bytes)) -> String {
        format!("{} {}", self.shared.directory.name(*target), shown(body))
    }
}

/// Why a transaction goes back, in words.
pub(super) fn back_text(back: &Back<Bytes>) -> String {
    match back {
        Back::Takeover => "takeover".to_owned(),
        Back::Failed(error) => format!("the handler failed: {}", shown(error)),
        Back::Cancelled => "cancelled by its caller".to_owned(),
        Back::Ordered => "an operator ordered it".to_owned(),
    }
}

/// What follows when everything is undone.
fn then_text(back: &Back<Bytes>) -> &'static str {
    match back {
        Back::Takeover | Back::Ordered => "run again",
        Back::Failed(_) => "the error is registered",
        Back::Cancelled => "cancelled",
    }
}

/// Why a call can't be undone, in words.
pub(super) fn why_text(why: &Why<Bytes>) -> String {
    match why {
        Why::Said(why) => shown(why),
        Why::Refused(refusal) => format!("the cancellation was refused: {}", refusal_text(*refusal)),
    }
}

/// The beginning of a message, if it is text.
fn shown(body: &Bytes) -> String {
    match std::str::from_utf8(body) {
        Ok(text) if text.chars().count() <= SHOWN_CHARS_MAX => text.to_owned(),
        Ok(text) => text.chars().take(SHOWN_CHARS_MAX - 1).chain(['…']).collect(),
        Err(_) => format!("({} bytes)", body.len()),
    }
}
