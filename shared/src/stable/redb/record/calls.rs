//! Calls this alias makes: its outbox.

use bytes::Bytes;
use palib_core::ids::{AliasId, Incarnation, Nanos};
use palib_core::resend::Pending;

use super::{Damage, Table, Take, close_frame, content, open_frame, parse_call_key};

pub(crate) fn encode_pending(key: &[u8], pending: &Pending<Bytes>) -> Vec<u8> {
    let mut out = open_frame(20 + pending.body.len());
    out.extend_from_slice(&pending.born.0.to_le_bytes());
    out.extend_from_slice(&pending.target.0.to_le_bytes());
    out.extend_from_slice(&pending.invoked.0.to_le_bytes());
    out.extend_from_slice(&pending.body);
    close_frame(Table::Outbox, key, &mut out);
    out
}

pub(crate) fn decode_pending(key: &[u8], record: &[u8]) -> Result<Pending<Bytes>, Damage> {
    let id = parse_call_key(key)?;
    let mut take = Take(content(Table::Outbox, key, record)?);
    let born = Incarnation(take.u64_le()?);
    let target = AliasId(u32::from_le_bytes(take.array()?));
    let invoked = Nanos(take.u64_le()?);
    Ok(Pending { id, born, target, invoked, body: take.rest() })
}
