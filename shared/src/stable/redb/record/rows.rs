//! Rows of the redundancy table.

use bytes::Bytes;
use palib_core::ids::{CallId, TransId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};

use super::keys::{origin, origin_parts, parse_slot_key};
use super::{Damage, Table, Take, close_frame, content, open_frame};

/// A row of the redundancy table, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) row: Row<Bytes>,
    pub(crate) unix_ms: u64,
}

pub(crate) fn encode_row(key: &[u8], row: &Row<Bytes>, unix_ms: u64) -> Vec<u8> {
    let (state, index, body) = match &row.state {
        RowState::Blocked { request } => (0, None, request),
        RowState::Registered(RedProcess::AutoReply(Outcome::Reply(body))) => (1, None, body),
        RowState::Registered(RedProcess::AutoReply(Outcome::Failed(body))) => (2, None, body),
        RowState::Registered(RedProcess::Handler { index, arg }) => (3, Some(*index), arg),
        _ => unreachable!("relays"),
    };
    let (tag, origin) = origin_parts(row.id.origin);
    let mut out = open_frame(44 + body.len());
    out.extend_from_slice(&row.id.trans.0.to_le_bytes());
    out.push(tag);
    out.extend_from_slice(&origin.to_le_bytes());
    out.extend_from_slice(&row.digest.to_le_bytes());
    out.extend_from_slice(&unix_ms.to_le_bytes());
    out.push(state);
    if let Some(index) = index {
        out.extend_from_slice(&index.to_le_bytes());
    }
    out.extend_from_slice(body);
    close_frame(Table::Redundancy, key, &mut out);
    out
}

pub(crate) fn decode_row(key: &[u8], record: &[u8]) -> Result<Written, Damage> {
    let source = parse_slot_key(key)?.session.source;
    let mut take = Take(content(Table::Redundancy, key, record)?);
    let trans = TransId(take.u64_le()?);
    let tag = take.u8()?;
    let origin = origin(tag, take.u64_le()?)?;
    let digest = u128::from_le_bytes(take.array()?);
    let unix_ms = take.u64_le()?;
    let state = match take.u8()? {
        0 => RowState::Blocked { request: take.rest() },
        1 => RowState::Registered(RedProcess::AutoReply(Outcome::Reply(take.rest()))),
        2 => RowState::Registered(RedProcess::AutoReply(Outcome::Failed(take.rest()))),
        3 => {
            let index = u16::from_le_bytes(take.array()?);
            RowState::Registered(RedProcess::Handler { index, arg: take.rest() })
        }
        other => return Err(format!("unknown state {other}")),
    };
    Ok(Written { row: Row { id: CallId { source, origin, trans }, digest, state }, unix_ms })
}
