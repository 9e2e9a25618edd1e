//! What an operator sees of an area.

use palib::core::redundancy::{RedProcess, RowState};
use palib::stable::{AreaError, AreaWrite, StableArea};

use crate::support::{OneName, Place, adding, blocked_row, journaled, mark, pending, put, reply_row, served};

#[test]
fn rows_are_shown_page_by_page_in_the_order_of_their_keys() {
    let place = Place::new();
    let area = place.open();
    // In more than one block, small ones and such as lie alone.
    for trans in 120..145 {
        let reply = if trans % 3 == 0 { "done ".repeat(100) } else { "done".to_owned() };
        area.write(vec![put(reply_row(7, 1, trans, &reply))]);
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = area.area.rows(&OneName, "", after.as_deref(), 10).unwrap();
        assert!(page.rows.len() <= 10);
        seen.extend(page.rows.into_iter().map(|row| row.id));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let wanted: Vec<String> = (120..145).map(|trans| format!("counter/i1/{trans}")).collect();
    assert_eq!(seen, wanted);
    let filtered = area.area.rows(&OneName, "i1/13", None, 20).unwrap();
    assert_eq!(filtered.rows.len(), 10);
    assert_eq!(filtered.next, None);
}

#[test]
fn a_row_says_what_a_redundant_request_gets() {
    let place = Place::new();
    let area = place.open();
    let mut handler = blocked_row(8, 1, 3);
    handler.state = RowState::Registered(RedProcess::Handler { index: 2, arg: vec![0xff, 0].into() });
    area.write(vec![put(reply_row(8, 1, 1, "12")), put(blocked_row(8, 1, 2)), put(handler)]);
    let rows = area.area.rows(&OneName, "", None, 10).unwrap().rows;
    let words: Vec<_> = rows
        .iter()
        .map(|row| (row.id.as_str(), row.state.as_str(), row.process_type.as_str(), row.text.as_deref()))
        .collect();
    assert_eq!(
        words,
        [
            ("8/i1/1", "auto_reply", "AUTO_REPLY", Some("12")),
            ("8/i1/2", "blocked", "", Some("create 2")),
            ("8/i1/3", "handler", "HANDLER 2", None),
        ]
    );
    assert_eq!(rows[2].hex.as_deref(), Some("ff00"));
    assert!(rows[0].written_unix_ms > 1_700_000_000_000);
}

#[test]
fn every_table_is_decoded() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![
        put(reply_row(7, 1, 1, "12")),
        put(blocked_row(7, 1, 2)),
        put(reply_row(7, 1, 3, &"long ".repeat(100))),
        mark(7, 1, 1),
        AreaWrite::OutboxPut(pending(5, "inc a 1")),
        AreaWrite::Journal(Box::new(journaled(served(7, 1, 2), &[2, 1], 6, None))),
        AreaWrite::App(adding("effects", 3)),
    ]);
    for (table, key, value) in [
        ("meta", "alias", "value: counter (number 7)"),
        ("redundancy", "counter, incarnation 1, slot 1", "redundant request gets: AUTO_REPLY"),
        ("redundancy", "counter, incarnation 1, slot 3", "body: long long"),
        ("blocks", "counter, incarnation 1, slots 0 to 63", "rows here: 2\nrows alone, being large: 1"),
        ("blocked", "counter, incarnation 1, slot 2", "call: 2"),
        ("marks", "counter", "transId: 1"),
        ("outbox", "counter/i1/5", "body: inc a 1"),
        ("relay", "counter, incarnation 1, transId 2, position 2.1", "message: reserve 6"),
        ("app", "effects", "bytes: 3"),
    ] {
        let page = area.area.browse(&OneName, table, None, 100).unwrap();
        let row = page.rows.iter().find(|row| row.key == key);
        let row = row.unwrap_or_else(|| panic!("{table}: {:?}", page.rows));
        assert!(row.value.contains(value), "{table}: {}", row.value);
        assert_eq!(row.damage, None);
    }
    let counts: Vec<_> =
        area.area.summary().tables.into_iter().map(|table| (table.name, table.rows)).collect();
    let wanted = [
        ("meta", 5),
        ("redundancy", 3),
        ("blocks", 1),
        ("blocked", 1),
        ("marks", 1),
        ("outbox", 1),
        ("relay", 1),
        ("app", 1),
    ];
    assert_eq!(counts, wanted.map(|(name, rows)| (name.to_owned(), rows)));
}

#[test]
fn a_wrong_question_is_told_from_a_damaged_area() {
    let place = Place::new();
    let area = place.open();
    let error = area.area.browse(&OneName, "rows", None, 10).unwrap_err();
    assert!(matches!(&error, AreaError::BadQuestion(text) if text.contains("redundancy")), "{error}");
    let error = area.area.rows(&OneName, "", Some("zz"), 10).unwrap_err();
    assert!(matches!(error, AreaError::BadQuestion(_)), "{error}");
}
