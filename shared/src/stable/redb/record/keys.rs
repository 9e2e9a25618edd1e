//! Keys: big endian, so that their order is the order of what they name.

use palib_core::ids::{AliasId, CallId, Incarnation, Origin, PortId, Session, Slot, SlotKey, TransId};

use super::{Damage, Take};

const SLOT_KEY_BYTES: usize = 16;
const CALL_KEY_BYTES: usize = 21;

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
