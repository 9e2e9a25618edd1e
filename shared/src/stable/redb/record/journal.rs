//! Rows of the journal of relays: one call that was made on behalf of another.

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId};
use palib_core::message::Outcome;
use palib_core::relay::{Journaled, Served, Substitute};
use palib_core::resend::Pending;

use super::calls::{CALL_BYTES, put_call, take_call};
use super::keys::{CALL_KEY_BYTES, origin, origin_parts, parse_journal_key};
use super::rows::{put_outcome, take_outcome};
use super::{Damage, Table, Take, call_key, close_frame, content, open_frame, parse_call_key, put_sized};

/// Stands where an answer would begin.
const NO_ANSWER: u8 = 0;
/// What a row has besides message and answer: the origin of the call that is served, the digest, id and call, the
/// length of the message, whether something takes its place, and what the answer is.
const FIXED_BYTES: usize = 9 + 16 + CALL_KEY_BYTES + CALL_BYTES + 4 + 1 + 1;

pub(crate) fn encode_journaled(key: &[u8], row: &Journaled<Bytes>) -> Vec<u8> {
    let (tag, origin) = origin_parts(row.served.id.origin);
    let answer = row.answer.as_ref();
    let answer_bytes = answer.map_or(0, |(Outcome::Reply(body) | Outcome::Failed(body))| body.len());
    let mut out = open_frame(FIXED_BYTES + row.call.body.len() + answer_bytes);
    out.push(tag);
    out.extend_from_slice(&origin.to_le_bytes());
    out.extend_from_slice(&row.digest.to_le_bytes());
    out.extend_from_slice(&call_key(row.call.id));
    put_call(&mut out, &row.call);
    put_sized(&mut out, &row.call.body);
    match &row.designated {
        Some(Substitute { target, body, cancel_old }) => {
            out.extend_from_slice(&[1, u8::from(*cancel_old)]);
            out.extend_from_slice(&target.0.to_le_bytes());
            put_sized(&mut out, body);
        }
        None => out.push(0),
    }
    match answer {
        Some(answer) => put_outcome(&mut out, answer),
        None => out.push(NO_ANSWER),
    }
    close_frame(Table::Relay, key, &mut out);
    out
}

pub(crate) fn decode_journaled(key: &[u8], record: &[u8]) -> Result<Journaled<Bytes>, Damage> {
    let (session, trans, position) = parse_journal_key(key)?;
    let mut take = Take(content(Table::Relay, key, record)?);
    let tag = take.u8()?;
    let origin = origin(tag, take.u64_le()?)?;
    let served = Served { id: CallId { source: session.source, origin, trans }, born: session.born };
    let digest = u128::from_le_bytes(take.array()?);
    let id = parse_call_key(&take.array::<CALL_KEY_BYTES>()?)?;
    let (born, target, invoked) = take_call(&mut take)?;
    let call = Pending { id, born, target, invoked, body: take.sized()? };
    let designated = if take.bool()? { Some(take_substitute(&mut take)?) } else { None };
    let answer = match take.u8()? {
        NO_ANSWER => None,
        tag => Some(take_outcome(tag, &mut take)?),
    };
    take.end()?;
    Ok(Journaled { served, position, call, digest, answer, designated })
}

fn take_substitute(take: &mut Take<'_>) -> Result<Substitute<Bytes>, Damage> {
    let cancel_old = take.bool()?;
    let target = AliasId(u32::from_le_bytes(take.array()?));
    Ok(Substitute { target, body: take.sized()?, cancel_old })
}
