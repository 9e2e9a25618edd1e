//! Keys: big endian, so that their order is the order of what they name.

use palib_core::ids::{AliasId, CallId, Incarnation, Origin, PortId, Session, Slot, SlotKey, TransId};
use palib_core::relay::{Position, Served};

use super::{Damage, Take};

const SLOT_KEY_BYTES: usize = 16;
pub(super) const CALL_KEY_BYTES: usize = 21;
const SERVED_KEY_BYTES: usize = 20;

pub(crate) fn slot_key(key: SlotKey) -> [u8; SLOT_KEY_BYTES] {
    let mut bytes = [0; SLOT_KEY_BYTES];
    bytes[..4].copy_from_slice(&key.session.source.0.to_be_bytes());
    bytes[4..12].copy_from_slice(&key.session.born.0.to_be_bytes());
    bytes[12..].copy_from_slice(&key.slot.0.to_be_bytes());
    bytes
}

pub(crate) fn parse_slot_key(key: &[u8]) -> Result<SlotKey, Damage> {
    let mut take = Take(key);
    let source = AliasId(take.u32_be()?);
    let born = Incarnation(take.u64_be()?);
    let slot = Slot(take.u32_be()?);
    take.end()?;
    Ok(SlotKey { session: Session { source, born }, slot })
}

pub(crate) fn source_key(source: AliasId) -> [u8; 4] {
    source.0.to_be_bytes()
}

pub(crate) fn parse_source_key(key: &[u8]) -> Result<AliasId, Damage> {
    let mut take = Take(key);
    let source = AliasId(take.u32_be()?);
    take.end()?;
    Ok(source)
}

pub(crate) fn call_key(id: CallId) -> [u8; CALL_KEY_BYTES] {
    let (tag, origin) = origin_parts(id.origin);
    let mut bytes = [0; CALL_KEY_BYTES];
    bytes[..4].copy_from_slice(&id.source.0.to_be_bytes());
    bytes[4] = tag;
    bytes[5..13].copy_from_slice(&origin.to_be_bytes());
    bytes[13..].copy_from_slice(&id.trans.0.to_be_bytes());
    bytes
}

pub(crate) fn parse_call_key(key: &[u8]) -> Result<CallId, Damage> {
    let mut take = Take(key);
    let source = AliasId(take.u32_be()?);
    let tag = take.u8()?;
    let origin = origin(tag, take.u64_be()?)?;
    let trans = TransId(take.u64_be()?);
    take.end()?;
    Ok(CallId { source, origin, trans })
}

/// Where the rows of the journal for one served call begin, and what each of their keys begins with. How the call's
/// id came about is no part of it: within a session a transId names one call.
pub(crate) fn served_key(served: Served) -> [u8; SERVED_KEY_BYTES] {
    let (session, trans) = served.place();
    let mut bytes = [0; SERVED_KEY_BYTES];
    bytes[..4].copy_from_slice(&session.source.0.to_be_bytes());
    bytes[4..12].copy_from_slice(&session.born.0.to_be_bytes());
    bytes[12..].copy_from_slice(&trans.0.to_be_bytes());
    bytes
}

/// The key of a row of the journal. A position that goes on where another one ends comes behind it.
pub(crate) fn journal_key(served: Served, position: &Position) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(SERVED_KEY_BYTES + 2 * position.0.len());
    bytes.extend_from_slice(&served_key(served));
    for place in &position.0 {
        bytes.extend_from_slice(&place.to_be_bytes());
    }
    bytes
}

pub(crate) fn parse_journal_key(key: &[u8]) -> Result<(Session, TransId, Position), Damage> {
    let mut take = Take(key);
    let source = AliasId(take.u32_be()?);
    let born = Incarnation(take.u64_be()?);
    let trans = TransId(take.u64_be()?);
    let mut position = Vec::with_capacity(take.0.len() / 2);
    while !take.0.is_empty() {
        position.push(u16::from_be_bytes(take.array()?));
    }
    Ok((Session { source, born }, trans, Position(position)))
}

/// The first key behind all that begin with this prefix; none if there is none.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut after = prefix[..=last].to_vec();
    after[last] += 1;
    Some(after)
}

pub(super) fn origin_parts(origin: Origin) -> (u8, u64) {
    match origin {
        Origin::Port(port) => (0, u64::from(port.0)),
        Origin::Incarnation(incarnation) => (1, incarnation.0),
    }
}

pub(super) fn origin(tag: u8, number: u64) -> Result<Origin, Damage> {
    match tag {
        0 => u32::try_from(number)
            .map(|port| Origin::Port(PortId(port)))
            .map_err(|_| "no such port".to_owned()),
        1 => Ok(Origin::Incarnation(Incarnation(number))),
        other => Err(format!("unknown form of origin {other}")),
    }
}
