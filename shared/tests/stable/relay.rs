//! What relays leave in a stable area.

use bytes::Bytes;
use palib::core::redundancy::{RedProcess, Row, RowState};
use palib::core::relay::Course;
use palib::stable::StableArea;

use crate::support::{OneName, Place, call, key_of, put, relaying_row, reply_row};

fn in_state(trans: u64, state: RowState<Bytes>) -> Row<Bytes> {
    Row { id: call(7, 1, trans), digest: u128::from(trans), state }
}

fn undoing(trans: u64) -> Row<Bytes> {
    let RowState::Registered(process) = reply_row(7, 1, trans, "shipped").state else { unreachable!() };
    in_state(trans, RowState::Undoing(process))
}

#[test]
fn a_relaying_row_is_found_through_the_index_until_its_outcome_is_registered() {
    let place = Place::new();
    let area = place.open();
    area.write((1..=900).map(|trans| put(reply_row(3, 1, trans, "done"))).collect());
    let forward = relaying_row(3, 1, 901, Course::Forward);
    area.write(vec![put(forward.clone()), put(undoing(1)), put(relaying_row(2, 1, 4, Course::Forward))]);
    let back = relaying_row(2, 1, 4, Course::Failing("sold out".into()));
    area.write(vec![put(back.clone())]);
    let area = place.copy_as_after_a_kill().open();
    // As many records are looked at as there are entries, whatever the table has.
    let entries = area.area.summary().tables.into_iter().find(|table| table.name == "blocked").unwrap().rows;
    assert_eq!(entries, 2);
    assert_eq!(area.area.blocked().unwrap(), [(key_of(2, 1, 4), back), (key_of(3, 1, 901), forward)]);
    area.write(vec![put(reply_row(3, 1, 901, "done")), put(reply_row(2, 1, 4, "done"))]);
    assert_eq!(area.area.blocked().unwrap(), []);
}

#[test]
fn a_row_says_where_its_call_stands_in_a_relay() {
    let place = Place::new();
    let area = place.open();
    let handler = RedProcess::Handler { index: 2, arg: "arg".into() };
    area.write(vec![
        put(relaying_row(7, 1, 1, Course::Forward)),
        put(relaying_row(7, 1, 2, Course::Back)),
        put(relaying_row(7, 1, 3, Course::Failing("sold out".into()))),
        put(undoing(4)),
        put(in_state(5, RowState::Undoing(handler))),
        put(in_state(6, RowState::Cancelled { undone: true })),
    ]);
    let rows = area.area.rows(&OneName, "", None, 10).unwrap().rows;
    let words: Vec<_> = rows
        .iter()
        .map(|row| (row.state.as_str(), row.process_type.as_str(), row.text.as_deref(), row.failed))
        .collect();
    assert_eq!(
        words,
        [
            ("relaying", "", Some("order 1"), false),
            ("rolling_back", "", Some("order 2"), false),
            ("rolling_back", "", Some("order 3"), false),
            ("undoing", "AUTO_REPLY", Some("shipped"), false),
            ("undoing", "HANDLER 2", Some("arg"), false),
            ("cancelled", "", None, false),
        ]
    );
    let shown = area.area.browse(&OneName, "redundancy", None, 10).unwrap().rows;
    let says = |row: usize, line: &str| {
        assert!(shown[row].value.lines().any(|has| has == line), "{line}: {}", shown[row].value);
    };
    says(0, "after a takeover: roll-back");
    says(0, "its caller may cancel it: true");
    says(2, "failure to be registered: sold out");
    says(2, "body: order 3");
    says(5, "was executed and undone: true");
}
