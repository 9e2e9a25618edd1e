//! How the records of a stable area are written: a version, a checksum over everything including the key and the
//! table, and the content in fixed order. By hand and not with a derive: the body is copied once and nothing else
//! is on the way, and the format is what this file says, whatever becomes of the types.

use bytes::Bytes;
use palib_core::ids::{
    AliasId, CallId, Incarnation, Mark, Nanos, Origin, PortId, Session, Slot, SlotKey, TransId,
};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::resend::Pending;

/// The version of the records below. The version of the whole area is the schema version in its table `meta`.
const RECORD_VERSION: u8 = 1;
/// Version and checksum.
const HEAD_BYTES: usize = 5;

/// The tables of a stable area.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Table {
    Meta,
    Redundancy,
    Blocked,
    Marks,
    Outbox,
    App,
}

impl Table {
    pub(super) const ALL: [Self; 6] =
        [Self::Meta, Self::Redundancy, Self::Blocked, Self::Marks, Self::Outbox, Self::App];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Redundancy => "redundancy",
            Self::Blocked => "blocked",
            Self::Marks => "marks",
            Self::Outbox => "outbox",
            Self::App => "app",
        }
    }

    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }
}

/// A row of the redundancy table, and when it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) row: Row<Bytes>,
    pub(super) unix_ms: u64,
}

/// What is wrong with a record.
pub(super) type Damage = String;

// --- keys: big endian, so that their order is the order of what they name ---

pub(super) const SLOT_KEY_BYTES: usize = 16;
pub(super) const CALL_KEY_BYTES: usize = 21;

pub(super) fn slot_key(key: SlotKey) -> [u8; SLOT_KEY_BYTES] {
    let mut bytes = [0; SLOT_KEY_BYTES];
    bytes[..4].copy_from_slice(&key.session.source.0.to_be_bytes());
    bytes[4..12].copy_from_slice(&key.session.born.0.to_be_bytes());
    bytes[12..].copy_from_slice(&key.slot.0.to_be_bytes());
    bytes
}

pub(super) fn parse_slot_key(key: &[u8]) -> Result<SlotKey, Damage> {
    let mut take = Take(key);
    let source = AliasId(take.u32_be()?);
    let born = Incarnation(take.u64_be()?);
    let slot = Slot(take.u32_be()?);
    take.end()?;
    Ok(SlotKey { session: Session { source, born }, slot })
}

pub(super) fn source_key(source: AliasId) -> [u8; 4] {
    source.0.to_be_bytes()
}

pub(super) fn parse_source_key(key: &[u8]) -> Result<AliasId, Damage> {
    let mut take = Take(key);
    let source = AliasId(take.u32_be()?);
    take.end()?;
    Ok(source)
}

pub(super) fn call_key(id: CallId) -> [u8; CALL_KEY_BYTES] {
    let (tag, origin) = origin_parts(id.origin);
    let mut bytes = [0; CALL_KEY_BYTES];
    bytes[..4].copy_from_slice(&id.source.0.to_be_bytes());
    bytes[4] = tag;
    bytes[5..13].copy_from_slice(&origin.to_be_bytes());
    bytes[13..].copy_from_slice(&id.trans.0.to_be_bytes());
    bytes
}

pub(super) fn parse_call_key(key: &[u8]) -> Result<CallId, Damage> {
    let mut take = Take(key);
    let source = AliasId(take.u32_be()?);
    let tag = take.u8()?;
    let origin = origin(tag, take.u64_be()?)?;
    let trans = TransId(take.u64_be()?);
    take.end()?;
    Ok(CallId { source, origin, trans })
}

fn origin_parts(origin: Origin) -> (u8, u64) {
    match origin {
        Origin::Port(port) => (0, u64::from(port.0)),
        Origin::Incarnation(incarnation) => (1, incarnation.0),
    }
}

fn origin(tag: u8, number: u64) -> Result<Origin, Damage> {
    match tag {
        0 => u32::try_from(number)
            .map(|port| Origin::Port(PortId(port)))
            .map_err(|_| "no such port".to_owned()),
        1 => Ok(Origin::Incarnation(Incarnation(number))),
        other => Err(format!("unknown form of origin {other}")),
    }
}

// --- values ---

/// Puts version and checksum before a content.
pub(super) fn frame(table: Table, key: &[u8], content: &[u8]) -> Vec<u8> {
    let mut out = open_frame(content.len());
    out.extend_from_slice(content);
    close_frame(table, key, &mut out);
    out
}

/// The content of a record whose version and checksum are right.
pub(super) fn content<'a>(table: Table, key: &[u8], record: &'a [u8]) -> Result<&'a [u8], Damage> {
    let Some((head, content)) = record.split_first_chunk::<HEAD_BYTES>() else {
        return Err(format!("{} bytes are too short for a record", record.len()));
    };
    if head[0] != RECORD_VERSION {
        return Err(format!("record version {}, this palib reads version {RECORD_VERSION}", head[0]));
    }
    let found = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
    let right = checksum(table, key, content);
    if found != right {
        return Err(format!("its checksum is {found:08x}, its content has {right:08x}"));
    }
    Ok(content)
}

pub(super) fn encode_row(key: &[u8], row: &Row<Bytes>, unix_ms: u64) -> Vec<u8> {
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

pub(super) fn decode_row(key: &[u8], record: &[u8]) -> Result<Written, Damage> {
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

pub(super) fn encode_mark(key: &[u8], mark: Mark) -> Vec<u8> {
    let mut out = open_frame(16);
    out.extend_from_slice(&mark.born.0.to_le_bytes());
    out.extend_from_slice(&mark.trans.0.to_le_bytes());
    close_frame(Table::Marks, key, &mut out);
    out
}

pub(super) fn decode_mark(key: &[u8], record: &[u8]) -> Result<Mark, Damage> {
    let mut take = Take(content(Table::Marks, key, record)?);
    let mark = Mark { born: Incarnation(take.u64_le()?), trans: TransId(take.u64_le()?) };
    take.end()?;
    Ok(mark)
}

/// An entry of the index of blocked rows: which call it is that is blocked in that slot.
pub(super) fn encode_blocked(key: &[u8], trans: TransId) -> Vec<u8> {
    frame(Table::Blocked, key, &trans.0.to_le_bytes())
}

pub(super) fn decode_blocked(key: &[u8], record: &[u8]) -> Result<TransId, Damage> {
    let mut take = Take(content(Table::Blocked, key, record)?);
    let trans = TransId(take.u64_le()?);
    take.end()?;
    Ok(trans)
}

pub(super) fn encode_pending(key: &[u8], pending: &Pending<Bytes>) -> Vec<u8> {
    let mut out = open_frame(20 + pending.body.len());
    out.extend_from_slice(&pending.born.0.to_le_bytes());
    out.extend_from_slice(&pending.target.0.to_le_bytes());
    out.extend_from_slice(&pending.invoked.0.to_le_bytes());
    out.extend_from_slice(&pending.body);
    close_frame(Table::Outbox, key, &mut out);
    out
}

pub(super) fn decode_pending(key: &[u8], record: &[u8]) -> Result<Pending<Bytes>, Damage> {
    let id = parse_call_key(key)?;
    let mut take = Take(content(Table::Outbox, key, record)?);
    let born = Incarnation(take.u64_le()?);
    let target = AliasId(u32::from_le_bytes(take.array()?));
    let invoked = Nanos(take.u64_le()?);
    Ok(Pending { id, born, target, invoked, body: take.rest() })
}

fn open_frame(content_bytes: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD_BYTES + content_bytes);
    out.push(RECORD_VERSION);
    out.extend_from_slice(&[0; HEAD_BYTES - 1]);
    out
}

fn close_frame(table: Table, key: &[u8], record: &mut [u8]) {
    let sum = checksum(table, key, &record[HEAD_BYTES..]);
    record[1..HEAD_BYTES].copy_from_slice(&sum.to_le_bytes());
}

/// The key and the table are part of it: a record that strayed to another place is found out too.
fn checksum(table: Table, key: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&[table as u8, RECORD_VERSION]);
    hasher.update(key);
    hasher.update(content);
    hasher.finalize()
}

/// Takes fields off the front of a record.
pub(super) struct Take<'a>(pub(super) &'a [u8]);

impl Take<'_> {
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let Some((field, rest)) = self.0.split_first_chunk::<N>() else {
            return Err("it ends too early".to_owned());
        };
        self.0 = rest;
        Ok(*field)
    }

    fn u8(&mut self) -> Result<u8, Damage> {
        Ok(self.array::<1>()?[0])
    }

    fn u32_be(&mut self) -> Result<u32, Damage> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn u64_be(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    fn u64_le(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn rest(&mut self) -> Bytes {
        Bytes::copy_from_slice(std::mem::take(&mut self.0))
    }

    pub(super) fn end(&self) -> Result<(), Damage> {
        if self.0.is_empty() { Ok(()) } else { Err(format!("{} bytes too many", self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn origins() -> impl Strategy<Value = Origin> {
        prop_oneof![
            any::<u32>().prop_map(|port| Origin::Port(PortId(port))),
            any::<u64>().prop_map(|incarnation| Origin::Incarnation(Incarnation(incarnation))),
        ]
    }

    fn bodies() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Bytes::from)
    }

    fn slot_keys() -> impl Strategy<Value = SlotKey> {
        (any::<u32>(), any::<u64>(), any::<u32>()).prop_map(|(source, born, slot)| SlotKey {
            session: Session { source: AliasId(source), born: Incarnation(born) },
            slot: Slot(slot),
        })
    }

    fn call_ids() -> impl Strategy<Value = CallId> {
        (any::<u32>(), origins(), any::<u64>()).prop_map(|(source, origin, trans)| CallId {
            source: AliasId(source),
            origin,
            trans: TransId(trans),
        })
    }

    fn states() -> impl Strategy<Value = RowState<Bytes>> {
        prop_oneof![
            bodies().prop_map(|request| RowState::Blocked { request }),
            bodies().prop_map(|body| RowState::Registered(RedProcess::AutoReply(Outcome::Reply(body)))),
            bodies().prop_map(|body| RowState::Registered(RedProcess::AutoReply(Outcome::Failed(body)))),
            (any::<u16>(), bodies())
                .prop_map(|(index, arg)| RowState::Registered(RedProcess::Handler { index, arg })),
        ]
    }

    proptest! {
        #[test]
        fn a_row_is_read_as_it_was_written(
            key in slot_keys(), mut id in call_ids(), digest: u128, state in states(), unix_ms: u64,
        ) {
            id.source = key.session.source;
            let row = Row { id, digest, state };
            let key = slot_key(key);
            let record = encode_row(&key, &row, unix_ms);
            prop_assert_eq!(decode_row(&key, &record).unwrap(), Written { row, unix_ms });
        }

        #[test]
        fn a_pending_call_is_read_as_it_was_written(
            id in call_ids(), born: u64, target: u32, invoked: u64, body in bodies(),
        ) {
            let pending = Pending {
                id, born: Incarnation(born), target: AliasId(target), invoked: Nanos(invoked), body,
            };
            let key = call_key(id);
            prop_assert_eq!(decode_pending(&key, &encode_pending(&key, &pending)).unwrap(), pending);
        }

        #[test]
        fn any_flipped_bit_of_a_record_is_found(
            key in slot_keys(), mut id in call_ids(), state in states(), place: prop::sample::Index,
        ) {
            id.source = key.session.source;
            let key = slot_key(key);
            let mut record = encode_row(&key, &Row { id, digest: 1, state }, 2);
            let bit = place.index(record.len() * 8);
            record[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode_row(&key, &record).is_err());
        }

        #[test]
        fn no_bytes_make_a_decoder_panic(
            key in prop::collection::vec(any::<u8>(), 0..40), record in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            // With a right head, so that what lies behind the checksum is reached.
            for table in Table::ALL {
                let record = frame(table, &key, &record);
                let _ = (decode_row(&key, &record), decode_mark(&key, &record));
                let _ = (decode_blocked(&key, &record), decode_pending(&key, &record));
            }
            let _ = (parse_slot_key(&key), parse_call_key(&key), parse_source_key(&key));
        }

        #[test]
        fn keys_are_ordered_as_what_they_name(
            slots in (slot_keys(), slot_keys()), calls in (call_ids(), call_ids()),
        ) {
            prop_assert_eq!(slot_key(slots.0).cmp(&slot_key(slots.1)), slots.0.cmp(&slots.1));
            prop_assert_eq!(call_key(calls.0).cmp(&call_key(calls.1)), calls.0.cmp(&calls.1));
            prop_assert_eq!(parse_slot_key(&slot_key(slots.0)).unwrap(), slots.0);
            prop_assert_eq!(parse_call_key(&call_key(calls.0)).unwrap(), calls.0);
        }
    }

    #[test]
    fn a_record_that_strayed_to_another_key_or_table_is_damaged() {
        let record = frame(Table::App, b"a", b"1");
        assert_eq!(content(Table::App, b"a", &record).unwrap(), b"1");
        assert!(content(Table::App, b"b", &record).is_err());
        assert!(content(Table::Meta, b"a", &record).is_err());
    }
}
