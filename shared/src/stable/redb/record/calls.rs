//! Calls this alias makes: its outbox, and what its calls have in common with those it makes on behalf of others.

use bytes::Bytes;
use palib_core::ids::{AliasId, Incarnation, Nanos};
use palib_core::resend::Pending;

use super::{Damage, Table, Take, close_frame, content, open_frame, parse_call_key};

/// What [`put_call`] writes.
pub(super) const CALL_BYTES: usize = 20;

pub(crate) fn encode_pending(key: &[u8], pending: &Pending<Bytes>) -> Vec<u8> {
    let mut out = open_frame(CALL_BYTES + pending.body.len());
    put_call(&mut out, pending);
    out.extend_from_slice(&pending.body);
    close_frame(Table::Outbox, key, &mut out);
    out
}

pub(crate) fn decode_pending(key: &[u8], record: &[u8]) -> Result<Pending<Bytes>, Damage> {
    let id = parse_call_key(key)?;
    let mut take = Take(content(Table::Outbox, key, record)?);
    let (born, target, invoked) = take_call(&mut take)?;
    Ok(Pending { id, born, target, invoked, body: take.rest() })
}

/// What a call is besides its id and its body.
pub(super) fn put_call(out: &mut Vec<u8>, call: &Pending<Bytes>) {
    out.extend_from_slice(&call.born.0.to_le_bytes());
    out.extend_from_slice(&call.target.0.to_le_bytes());
    out.extend_from_slice(&call.invoked.0.to_le_bytes());
}

pub(super) fn take_call(take: &mut Take<'_>) -> Result<(Incarnation, AliasId, Nanos), Damage> {
    let born = Incarnation(take.u64_le()?);
    let target = AliasId(u32::from_le_bytes(take.array()?));
    Ok((born, target, Nanos(take.u64_le()?)))
}
