//! The transactions of a relay as operators see them, and why each is not done yet.

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::relay::{Back, OnState, Position, Stage, TransactionView};
use palib_core::resend::Pending;
use palib_core::server::{CallState, Input};

use super::notes::{back_text, why_text};
use super::{ServeSide, State};
use crate::control::{DownstreamRow, DownstreamState, RelayRow, RelayStage, Relays};
use crate::service::Service;
use crate::{Error, Policy, Result, clock};

/// Of a message so much goes to an operator.
const TEXT_CHARS_MAX: usize = 1000;

impl<S: Service> ServeSide<S> {
    /// The open transactions whose id, or that of a call made on their behalf, contains this text: those that need an
    /// operator first, then the oldest.
    pub(super) fn open_relays(&self, filter: &str, limit: usize) -> Relays {
        let state = self.state.lock();
        let mut found: Vec<_> = state
            .core
            .transactions()
            .map(|view| (stage_of(&state, &view), self.shared.directory.id_text(view.served()), view))
            .filter(|(_, id, view)| id.contains(filter) || self.calls_on(view, filter))
            .collect();
        found.sort_by_key(|(stage, _, view)| (!needs_operator(*stage), view.since()));
        found.truncate(limit);
        let rows = found.into_iter().map(|(stage, id, view)| self.relay_row(&state, stage, id, &view));
        let rows = rows.collect();
        let (open, retained) = (state.core.relays_len() as u64, state.core.retained_len() as u64);
        Relays { rows, open, retained }
    }

    fn calls_on(&self, view: &TransactionView<'_, Bytes>, filter: &str) -> bool {
        view.calls().any(|(_, call, ..)| self.shared.directory.id_text(call.id).contains(filter))
    }

    /// How many transactions go on only when an operator decides.
    pub(super) fn relays_stuck(&self, state: &State) -> usize {
        state.core.transactions().filter(|view| needs_operator(stage_of(state, view))).count()
    }

    /// Takes an operator's order what a takeover does with a transaction.
    pub(super) fn order_policy(&self, id: CallId, policy: Policy) -> Result<()> {
        let mut state = self.state.lock();
        if !state.core.transactions().any(|view| view.served() == id) {
            let (call, alias) = (self.shared.directory.id_text(id), &self.alias_name);
            return Err(Error::UnknownCall(format!("{call} (it is no open transaction of {alias})")));
        }
        self.feed(&mut state, Input::SetPolicy { id, policy: policy.into() });
        Ok(())
    }

    fn relay_row(
        &self,
        state: &State,
        stage: RelayStage,
        id: String,
        view: &TransactionView<'_, Bytes>,
    ) -> RelayRow {
        let why = match stage {
            RelayStage::InDoubt => {
                "`recover` could not tell whether its effect outside happened; resolve it".to_owned()
            }
            _ => self.why(view),
        };
        let calls = view.calls().map(|(position, call, on, replayed)| DownstreamRow {
            position: position.to_string(),
            id: self.shared.directory.id_text(call.id),
            target: self.shared.directory.name(call.target),
            state: downstream_state(view.stage(), position, on),
            tries: self.calling.tries(call.id),
            replayed,
            text: text_of(match on {
                OnState::Answered(Outcome::Reply(text) | Outcome::Failed(text)) => text,
                _ => &call.body,
            }),
        });
        RelayRow {
            id,
            alias: self.alias_name.clone(),
            policy: view.policy().into(),
            stage,
            since_ns: view.since().0,
            why,
            needs_operator: needs_operator(stage),
            text: state.core.call(view.served()).and_then(|call| text_of(call.body)),
            calls: calls.collect(),
        }
    }

    /// Why a transaction is not done yet.
    fn why(&self, view: &TransactionView<'_, Bytes>) -> String {
        match view.stage() {
            Stage::Running => self.why_running(view),
            Stage::Substituting(_) => self.cancels(view).unwrap_or_else(|| {
                "the service is asked what takes the place of unanswered calls".to_owned()
            }),
            Stage::Trimming(_) => {
                let cancels = self.cancels(view).unwrap_or_default();
                format!("the handler is through; {cancels}, which it no longer waited for")
            }
            Stage::Completing | Stage::Retained => "its outcome is being made durable".to_owned(),
            Stage::Turning(_) => "that it rolls back is being made durable".to_owned(),
            Stage::Undoing(back) => {
                let cancels = self.cancels(view).unwrap_or_else(|| "all is cancelled".to_owned());
                format!("rolling back ({}): {cancels}", back_text(back))
            }
            Stage::Undone(_) => "everything is undone; what follows is being made durable".to_owned(),
            Stage::Diverged { position, asked } => {
                let held = view.calls().find(|(at, ..)| *at == position);
                let held = held.map(|(_, call, ..)| self.text_of(&(call.target, call.body.clone())));
                let held = held.unwrap_or_default();
                match asked {
                    Some(asked) => {
                        let asked = self.text_of(asked);
                        format!("the run asked {asked} where the journal holds {held}; resolve it")
                    }
                    None => format!("the run ended without {held}, which the journal holds; resolve it"),
                }
            }
            Stage::Stuck { position, why, .. } => {
                let on = view.calls().find(|(at, ..)| *at == position);
                let on = on.map(|(_, call, ..)| self.call_text(call)).unwrap_or_default();
                format!("{on} is not undone: {}; resolve it", why_text(why))
            }
        }
    }

    fn why_running(&self, view: &TransactionView<'_, Bytes>) -> String {
        let calls = view.calls().filter(|(.., on, _)| !is_over(on));
        let mut open: Vec<(&Pending<Bytes>, &OnState<Bytes>)> =
            calls.map(|(_, call, on, _)| (call, on)).collect();
        // What nobody serves is what an operator can do something about.
        open.sort_by_key(|(call, _)| self.calling.has_route(call.target));
        let Some((call, on)) = open.first() else { return "the handler runs".to_owned() };
        let target = self.shared.directory.name(call.target);
        let why = if matches!(on, OnState::Waiting) && !self.calling.has_route(call.target) {
            format!("waits for {target}: nobody in service")
        } else if matches!(on, OnState::Waiting) {
            let s = clock::now().0.saturating_sub(call.invoked.0) as f64 / 1e9;
            format!("{target} has had it for {s:.1} s")
        } else {
            format!("the call to {target} is being put into the journal")
        };
        match open.len() - 1 {
            0 => why,
            more => format!("{why}, and {more} more"),
        }
    }

    /// What is being cancelled.
    fn cancels(&self, view: &TransactionView<'_, Bytes>) -> Option<String> {
        let (_, call, ..) = view.calls().find(|(.., on, _)| matches!(on, OnState::Cancelling))?;
        let nobody = if self.calling.has_route(call.target) { "" } else { ": nobody in service" };
        Some(format!("cancels {}{nobody}", self.call_text(call)))
    }

    fn call_text(&self, call: &Pending<Bytes>) -> String {
        let directory = &self.shared.directory;
        format!("{} at {}", directory.id_text(call.id), directory.name(call.target))
    }
}

fn stage_of(state: &State, view: &TransactionView<'_, Bytes>) -> RelayStage {
    let of = |back: &Back<Bytes>| match back {
        Back::Takeover | Back::Ordered => RelayStage::RollingBack,
        Back::Failed(_) => RelayStage::Failing,
        Back::Cancelled => RelayStage::Cancelling,
    };
    match view.stage() {
        Stage::Running => match state.core.call(view.served()).map(|call| call.state) {
            Some(CallState::InDoubt) => RelayStage::InDoubt,
            Some(CallState::Committing) => RelayStage::Completing,
            _ => RelayStage::Processing,
        },
        Stage::Substituting(_) => RelayStage::Processing,
        Stage::Trimming(_) | Stage::Completing | Stage::Retained => RelayStage::Completing,
        Stage::Turning(back) | Stage::Undoing(back) => of(back),
        Stage::Undone(_) => RelayStage::RolledBack,
        Stage::Diverged { .. } => RelayStage::Diverged,
        Stage::Stuck { .. } => RelayStage::Stuck,
    }
}

fn needs_operator(stage: RelayStage) -> bool {
    matches!(stage, RelayStage::Diverged | RelayStage::Stuck | RelayStage::InDoubt)
}

fn is_over(on: &OnState<Bytes>) -> bool {
    matches!(on, OnState::Answered(_) | OnState::Refused(_) | OnState::Cancelled)
}

fn downstream_state(stage: &Stage<Bytes>, position: &Position, on: &OnState<Bytes>) -> DownstreamState {
    match on {
        OnState::Allotting | OnState::Held => match stage {
            Stage::Stuck { position: stuck, .. } if stuck == position => DownstreamState::Stuck,
            _ => DownstreamState::Held,
        },
        OnState::Putting => DownstreamState::Putting,
        OnState::Waiting => DownstreamState::Waiting,
        OnState::Answered(Outcome::Reply(_)) => DownstreamState::Answered,
        OnState::Answered(Outcome::Failed(_)) => DownstreamState::Failed,
        OnState::Refused(_) => DownstreamState::Refused,
        OnState::Cancelling => DownstreamState::Cancelling,
        OnState::Cancelled => DownstreamState::Cancelled,
    }
}

fn text_of(body: &Bytes) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    Some(text.chars().take(TEXT_CHARS_MAX).collect())
}
