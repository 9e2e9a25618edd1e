//! What operators see of a server side, and decide about its calls.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::server::{CallState, CallView, Input, Resolution};

use super::ServeSide;
use crate::branch::within_limit;
use crate::control::{AliasStats, InDoubtDecision, TableRow, What};
use crate::service::{Service, failure_text};
use crate::{Error, Result};

impl<S: Service> ServeSide<S> {
    /// Takes an operator's decision about a call in doubt, or about a transaction of a relay.
    pub(super) fn decide(&self, id: CallId, decision: InDoubtDecision) -> Result<()> {
        let mut state = self.state.lock();
        let text = self.shared.directory.id_text(id);
        let found = state.core.call(id).map(|call| call.state);
        let how = how_decided(found, &decision)
            .map_err(|why| Error::UnknownCall(format!("{text} ({why} at {})", self.alias_name)))?;
        let resolution = match decision {
            InDoubtDecision::Reply(text) => {
                Resolution::Outcome(Outcome::Reply(within_limit(Bytes::from(text))?))
            }
            InDoubtDecision::Fail(text) => Resolution::Outcome(Outcome::Failed(failure_text(text))),
            InDoubtDecision::RollBack => Resolution::RollBack,
            InDoubtDecision::Rerun => Resolution::Rerun,
        };
        let alias = self.alias_name.clone();
        self.shared.trace.push(What::Resolved { call: text, alias, how: how.to_owned() });
        self.feed(&mut state, Input::Resolve { id, resolution });
        Ok(())
    }

    /// Rows that are not in the stable area, or need the operator.
    pub(super) fn rows_in_hand(&self) -> Vec<TableRow> {
        let state = self.state.lock();
        let mut calls: Vec<CallView<'_, Bytes>> = state.core.calls().collect();
        calls.sort_by_key(|call| !needs_operator(call.state));
        let row = |call: CallView<'_, Bytes>| TableRow {
            id: self.shared.directory.id_text(call.id),
            state: state_text(call.state).to_owned(),
            process_type: String::new(),
            hits: u64::from(state.core.hits(call.id)),
            written_unix_ms: 0,
            text: std::str::from_utf8(call.body).ok().map(str::to_owned),
            hex: None,
            failed: false,
            digest: format!("{:032x}", call.digest),
        };
        calls.into_iter().map(row).collect()
    }

    /// What is measured of this side.
    pub(super) fn measure(&self, stats: &mut AliasStats) {
        let state = self.state.lock();
        stats.received = state.received;
        stats.refused = state.refused;
        let counts = state.core.counts();
        stats.executed = counts.executed;
        stats.redundant = counts.redundant;
        let (mut in_doubt, mut waiting) = (0, 0);
        for call in state.core.calls() {
            in_doubt += usize::from(call.state == CallState::InDoubt);
            waiting += usize::from(needs_operator(call.state));
        }
        stats.in_doubt = in_doubt as u32;
        stats.executing = (state.core.calls_len() - waiting) as u32;
        stats.relays = state.core.relays_len() as u32;
        stats.relays_stuck = self.relays_stuck(&state) as u32;
        stats.relays_retained = state.core.retained_len() as u32;
        stats.held = state.core.held_len() as u32;
        drop(state);
        // A panic would end the heartbeats, and the process would be taken for one that hangs.
        let counters = catch_unwind(AssertUnwindSafe(|| self.service.counters())).unwrap_or_default();
        for (name, value) in counters {
            stats.counters.insert(name.to_owned(), value);
        }
    }
}

fn needs_operator(state: CallState) -> bool {
    matches!(state, CallState::InDoubt | CallState::Diverged | CallState::Stuck)
}

/// What a decision does with a call in this state, in words; or why it can't be taken.
fn how_decided(
    state: Option<CallState>,
    decision: &InDoubtDecision,
) -> std::result::Result<&'static str, &'static str> {
    match (state, decision) {
        (Some(CallState::InDoubt | CallState::Diverged | CallState::Stuck), InDoubtDecision::Reply(_)) => {
            Ok("an operator gave the reply")
        }
        (Some(CallState::InDoubt | CallState::Diverged | CallState::Stuck), InDoubtDecision::Fail(_)) => {
            Ok("an operator declared it failed")
        }
        (Some(CallState::InDoubt), InDoubtDecision::Rerun) => Ok("an operator had it executed again"),
        (Some(CallState::InDoubt), InDoubtDecision::RollBack) => {
            Err("nobody knows whether it had its effect, so it can't be rolled back")
        }
        (Some(CallState::Diverged), InDoubtDecision::Rerun) => {
            Ok("an operator had it executed again over its journal")
        }
        (Some(CallState::Relaying | CallState::Diverged), InDoubtDecision::RollBack) => {
            Ok("an operator had it rolled back")
        }
        (Some(CallState::Stuck), InDoubtDecision::Rerun | InDoubtDecision::RollBack) => {
            Ok("an operator had the cancellation tried again")
        }
        (Some(CallState::RollingBack), InDoubtDecision::RollBack) => Err("it is being rolled back already"),
        _ => Err("it is neither in doubt nor a transaction of a relay that waits for a decision"),
    }
}

fn state_text(state: CallState) -> &'static str {
    match state {
        CallState::Executing => "executing",
        CallState::Blocked => "blocked",
        CallState::Committing => "committing",
        CallState::HandlerRegistered => "handler",
        CallState::Recovering => "recovering",
        CallState::InDoubt => "in_doubt",
        CallState::Answering => "answering",
        CallState::Relaying => "relaying",
        CallState::RollingBack => "rolling_back",
        CallState::Diverged => "diverged",
        CallState::Stuck => "stuck",
        CallState::Undoing => "undoing",
    }
}
