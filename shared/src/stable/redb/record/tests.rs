//! What is written is read again, and what was damaged is found.

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId, Incarnation, Nanos, Origin, PortId, Session, Slot, SlotKey, TransId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::resend::Pending;
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
