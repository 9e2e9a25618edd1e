//! What is written is read again, and what was damaged is found.

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId, Incarnation, Nanos, Origin, PortId, Session, Slot, SlotKey, TransId};
use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, Row, RowState};
use palib_core::relay::{BRANCH_DEPTH_MAX, Course, Journaled, Policy, Position, Served, Substitute};
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

fn outcomes() -> impl Strategy<Value = Outcome<Bytes>> {
    prop_oneof![bodies().prop_map(Outcome::Reply), bodies().prop_map(Outcome::Failed)]
}

fn processes() -> impl Strategy<Value = RedProcess<Bytes>> {
    prop_oneof![
        outcomes().prop_map(RedProcess::AutoReply),
        (any::<u16>(), bodies()).prop_map(|(index, arg)| RedProcess::Handler { index, arg }),
    ]
}

fn relaying() -> impl Strategy<Value = RowState<Bytes>> {
    let policies = prop_oneof![Just(Policy::RollForward), Just(Policy::Substitute), Just(Policy::RollBack)];
    let courses = prop_oneof![
        Just(Course::Forward),
        Just(Course::Back),
        bodies().prop_map(Course::Failing),
        bodies().prop_map(Course::Through),
    ];
    (bodies(), policies, courses, any::<bool>()).prop_map(|(request, policy, course, cancellable)| {
        RowState::Relaying { request, policy, course, cancellable }
    })
}

fn states() -> impl Strategy<Value = RowState<Bytes>> {
    prop_oneof![
        bodies().prop_map(|request| RowState::Blocked { request }),
        processes().prop_map(RowState::Registered),
        relaying(),
        processes().prop_map(RowState::Undoing),
        any::<bool>().prop_map(|undone| RowState::Cancelled { undone }),
    ]
}

fn pendings() -> impl Strategy<Value = Pending<Bytes>> {
    (call_ids(), any::<u64>(), any::<u32>(), any::<u64>(), bodies()).prop_map(
        |(id, born, target, invoked, body)| Pending {
            id,
            born: Incarnation(born),
            target: AliasId(target),
            invoked: Nanos(invoked),
            body,
        },
    )
}

fn served() -> impl Strategy<Value = Served> {
    (call_ids(), any::<u64>()).prop_map(|(id, born)| Served { id, born: Incarnation(born) })
}

/// Calls that are neighbours, and those at the ends of all numbers, where a range would overflow.
fn near_served() -> impl Strategy<Value = Served> {
    let numbers = || prop_oneof![0..3u64, u64::MAX - 2..=u64::MAX, Just(0xFF), Just(0x100)];
    let sources = prop_oneof![0..2u32, u32::MAX - 1..=u32::MAX];
    (sources, origins(), numbers(), numbers()).prop_map(|(source, origin, born, trans)| Served {
        id: CallId { source: AliasId(source), origin, trans: TransId(trans) },
        born: Incarnation(born),
    })
}

fn positions() -> impl Strategy<Value = Position> {
    let places = prop_oneof![1..4u16, 250..260u16, Just(u16::MAX)];
    prop::collection::vec(places, 1..=BRANCH_DEPTH_MAX + 1).prop_map(Position)
}

fn journaled() -> impl Strategy<Value = Journaled<Bytes>> {
    let designated = (any::<u32>(), bodies(), any::<bool>())
        .prop_map(|(target, body, cancel_old)| Substitute { target: AliasId(target), body, cancel_old });
    let (answer, designated) = (prop::option::of(outcomes()), prop::option::of(designated));
    (served(), positions(), pendings(), any::<u128>(), answer, designated).prop_map(
        |(served, position, call, digest, answer, designated)| Journaled {
            served,
            position,
            call,
            digest,
            answer,
            designated,
        },
    )
}

proptest! {
    #[test]
    fn a_row_is_read_as_it_was_written(
        key in slot_keys(), mut id in call_ids(), digest: u128, state in states(), unix_ms: u64,
    ) {
        id.source = key.session.source;
        let row = Row { id, digest, state };
        let key = slot_key(key);
        let mut record = Vec::new();
        put_row(&mut record, &key, &row, unix_ms);
        prop_assert_eq!(decode_row(&key, &record).unwrap(), Written { row, unix_ms });
    }

    #[test]
    fn a_pending_call_is_read_as_it_was_written(pending in pendings()) {
        let key = call_key(pending.id);
        prop_assert_eq!(decode_pending(&key, &encode_pending(&key, &pending)).unwrap(), pending);
    }

    #[test]
    fn a_row_of_the_journal_is_read_as_it_was_written(row in journaled()) {
        let key = journal_key(row.served, &row.position);
        prop_assert_eq!(decode_journaled(&key, &encode_journaled(&key, &row)).unwrap(), row);
    }

    #[test]
    fn the_journal_is_ordered_by_calls_and_then_by_positions(
        rows in ((near_served(), positions()), (near_served(), positions())),
    ) {
        let ((one, at_one), (other, at_other)) = rows;
        let wanted = (one.place(), &at_one).cmp(&(other.place(), &at_other));
        prop_assert_eq!(journal_key(one, &at_one).cmp(&journal_key(other, &at_other)), wanted);
    }

    #[test]
    fn the_rows_of_a_call_are_those_from_its_key_up_to_the_end_of_the_prefix(
        one in near_served(), other in near_served(), position in positions(),
    ) {
        let (from, to) = (served_key(one), after_prefix(&served_key(one)));
        let key = journal_key(other, &position);
        let within = from[..] <= key[..] && to.is_none_or(|to| key < to);
        prop_assert_eq!(within, one.place() == other.place());
    }

    #[test]
    fn any_flipped_bit_of_a_record_is_found(
        key in slot_keys(), mut id in call_ids(), state in states(), place: prop::sample::Index,
    ) {
        id.source = key.session.source;
        let key = slot_key(key);
        let mut record = Vec::new();
        put_row(&mut record, &key, &Row { id, digest: 1, state }, 2);
        let bit = place.index(record.len() * 8);
        record[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decode_row(&key, &record).is_err());
    }

    #[test]
    fn any_flipped_bit_of_a_row_of_the_journal_is_found(row in journaled(), place: prop::sample::Index) {
        let key = journal_key(row.served, &row.position);
        let mut record = encode_journaled(&key, &row);
        let bit = place.index(record.len() * 8);
        record[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(decode_journaled(&key, &record).is_err());
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
            let _ = decode_journaled(&key, &record);
        }
        let _ = (parse_slot_key(&key), parse_call_key(&key), parse_source_key(&key));
        let _ = parse_journal_key(&key);
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
