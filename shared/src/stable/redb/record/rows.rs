//! Rows of the redundancy table.

use bytes::Bytes;
use palib_core::ids::{CallId, TransId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::relay::{Course, Policy};

use super::keys::{origin, origin_parts, parse_slot_key};
use super::{Damage, HEAD_BYTES, Table, Take, begin_frame, close_frame, content, put_sized};

// What a state begins with. Those of a registered process stand at the beginning of a state, and again behind
// `UNDOING`.
const BLOCKED: u8 = 0;
const REPLY: u8 = 1;
const FAILED: u8 = 2;
const HANDLER: u8 = 3;
const RELAYING: u8 = 4;
const UNDOING: u8 = 5;
const CANCELLED: u8 = 6;

/// What a row has at most besides its bodies.
const FIXED_BYTES: usize = 41 + 8;

/// A row of the redundancy table, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) row: Row<Bytes>,
    pub(crate) unix_ms: u64,
}

/// Whether a row is in the index of blocked rows: its call was begun and has no outcome, and who takes over must do
/// something about it.
pub(crate) fn is_indexed(state: &RowState<Bytes>) -> bool {
    matches!(state, RowState::Blocked { .. } | RowState::Relaying { .. })
}

/// Appends the record of a row.
pub(crate) fn put_row(out: &mut Vec<u8>, key: &[u8], row: &Row<Bytes>, unix_ms: u64) {
    let (tag, origin) = origin_parts(row.id.origin);
    let start = out.len();
    out.reserve(HEAD_BYTES + FIXED_BYTES + body_bytes(&row.state));
    begin_frame(out);
    out.extend_from_slice(&row.id.trans.0.to_le_bytes());
    out.push(tag);
    out.extend_from_slice(&origin.to_le_bytes());
    out.extend_from_slice(&row.digest.to_le_bytes());
    out.extend_from_slice(&unix_ms.to_le_bytes());
    put_state(out, &row.state);
    close_frame(Table::Redundancy, key, &mut out[start..]);
}

pub(crate) fn decode_row(key: &[u8], record: &[u8]) -> Result<Written, Damage> {
    let source = parse_slot_key(key)?.session.source;
    let mut take = Take(content(Table::Redundancy, key, record)?);
    let trans = TransId(take.u64_le()?);
    let tag = take.u8()?;
    let origin = origin(tag, take.u64_le()?)?;
    let digest = u128::from_le_bytes(take.array()?);
    let unix_ms = take.u64_le()?;
    let state = take_state(&mut take)?;
    take.end()?;
    Ok(Written { row: Row { id: CallId { source, origin, trans }, digest, state }, unix_ms })
}

fn body_bytes(state: &RowState<Bytes>) -> usize {
    match state {
        RowState::Blocked { request } => request.len(),
        RowState::Relaying { request, course: Course::Failing(text) | Course::Through(text), .. } => {
            request.len() + text.len()
        }
        RowState::Relaying { request, .. } => request.len(),
        RowState::Registered(process) | RowState::Undoing(process) => match process {
            RedProcess::AutoReply(Outcome::Reply(body) | Outcome::Failed(body)) => body.len(),
            RedProcess::Handler { arg, .. } => arg.len(),
        },
        RowState::Cancelled { .. } => 0,
    }
}

fn put_state(out: &mut Vec<u8>, state: &RowState<Bytes>) {
    match state {
        RowState::Blocked { request } => {
            out.push(BLOCKED);
            out.extend_from_slice(request);
        }
        RowState::Registered(process) => put_process(out, process),
        RowState::Relaying { request, policy, course, cancellable } => {
            let policy = match policy {
                Policy::RollForward => 0,
                Policy::Substitute => 1,
                Policy::RollBack => 2,
            };
            out.extend_from_slice(&[RELAYING, policy, u8::from(*cancellable)]);
            match course {
                Course::Forward => out.push(0),
                Course::Back => out.push(1),
                Course::Failing(failure) => {
                    out.push(2);
                    put_sized(out, failure);
                }
                Course::Through(reply) => {
                    out.push(3);
                    put_sized(out, reply);
                }
            }
            out.extend_from_slice(request);
        }
        RowState::Undoing(process) => {
            out.push(UNDOING);
            put_process(out, process);
        }
        RowState::Cancelled { undone } => out.extend_from_slice(&[CANCELLED, u8::from(*undone)]),
    }
}

fn take_state(take: &mut Take<'_>) -> Result<RowState<Bytes>, Damage> {
    Ok(match take.u8()? {
        BLOCKED => RowState::Blocked { request: take.rest() },
        RELAYING => {
            let policy = match take.u8()? {
                0 => Policy::RollForward,
                1 => Policy::Substitute,
                2 => Policy::RollBack,
                other => return Err(format!("unknown policy {other}")),
            };
            let cancellable = take.bool()?;
            let course = match take.u8()? {
                0 => Course::Forward,
                1 => Course::Back,
                2 => Course::Failing(take.sized()?),
                3 => Course::Through(take.sized()?),
                other => return Err(format!("unknown course {other}")),
            };
            RowState::Relaying { request: take.rest(), policy, course, cancellable }
        }
        UNDOING => {
            let tag = take.u8()?;
            RowState::Undoing(take_process(tag, take)?)
        }
        CANCELLED => RowState::Cancelled { undone: take.bool()? },
        tag => RowState::Registered(take_process(tag, take)?),
    })
}

fn put_process(out: &mut Vec<u8>, process: &RedProcess<Bytes>) {
    match process {
        RedProcess::AutoReply(outcome) => put_outcome(out, outcome),
        RedProcess::Handler { index, arg } => {
            out.push(HANDLER);
            out.extend_from_slice(&index.to_le_bytes());
            out.extend_from_slice(arg);
        }
    }
}

fn take_process(tag: u8, take: &mut Take<'_>) -> Result<RedProcess<Bytes>, Damage> {
    if tag == HANDLER {
        let index = u16::from_le_bytes(take.array()?);
        return Ok(RedProcess::Handler { index, arg: take.rest() });
    }
    take_outcome(tag, take).map(RedProcess::AutoReply)
}

/// An outcome as the end of a record.
pub(super) fn put_outcome(out: &mut Vec<u8>, outcome: &Outcome<Bytes>) {
    let (tag, body) = match outcome {
        Outcome::Reply(body) => (REPLY, body),
        Outcome::Failed(body) => (FAILED, body),
    };
    out.push(tag);
    out.extend_from_slice(body);
}

pub(super) fn take_outcome(tag: u8, take: &mut Take<'_>) -> Result<Outcome<Bytes>, Damage> {
    match tag {
        REPLY => Ok(Outcome::Reply(take.rest())),
        FAILED => Ok(Outcome::Failed(take.rest())),
        other => Err(format!("unknown state or outcome {other}")),
    }
}
