//! What operators see of a server side, and decide about its calls.

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::server::{CallState, CallView, Input, Resolution};

use super::ServeSide;
use crate::control::{AliasStats, InDoubtDecision, TableRow, What};
use crate::service::Service;
use crate::{Error, Result};

impl<S: Service> ServeSide<S> {
    /// Takes an operator's decision about a call in doubt.
    pub(super) fn decide(&self, id: CallId, decision: InDoubtDecision) -> Result<()> {
        let mut state = self.state.lock();
        let text = self.shared.directory.id_text(id);
        if state.core.call(id).is_none_or(|call| call.state != CallState::InDoubt) {
            return Err(Error::UnknownCall(format!("{text} (it is not in doubt at {})", self.alias_name)));
        }
        let (resolution, how) = match decision {
            InDoubtDecision::Reply(text) => {
                (Resolution::Outcome(Outcome::Reply(Bytes::from(text))), "an operator gave the reply")
            }
            InDoubtDecision::Fail(text) => {
                (Resolution::Outcome(Outcome::Failed(Bytes::from(text))), "an operator declared it failed")
            }
            InDoubtDecision::RollBack => {
                return Err(Error::UnknownCall(format!("{text} (it is no transaction of a relay)")));
            }
            InDoubtDecision::Rerun => (Resolution::Rerun, "an operator had it executed again"),
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
        calls.sort_by_key(|call| call.state != CallState::InDoubt);
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
        let in_doubt = state.core.calls().filter(|call| call.state == CallState::InDoubt).count();
        stats.in_doubt = in_doubt as u32;
        stats.executing = (state.core.calls_len() - in_doubt) as u32;
        stats.held = state.core.held_len() as u32;
        drop(state);
        for (name, value) in self.service.counters() {
            stats.counters.insert(name.to_owned(), value);
        }
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
    }
}
