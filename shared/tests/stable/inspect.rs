//! Looking into the area of a dead process, without changing it.

use palib::stable::{AreaError, AreaWrite, StableArea, inspect_file};
use redb::ReadableTable as _;

use crate::support::{OneName, Place, adding, blocked_row, mark, number_in, pending, put, reply_row};

/// An area with something in each table, as its owner left it when it was killed.
fn killed() -> Place {
    let place = Place::new();
    let area = place.open();
    area.write((1..=300).map(|trans| put(reply_row(3, 1, trans, "a reply to be found"))).collect());
    area.write(vec![
        put(blocked_row(4, 1, 2)),
        mark(3, 1, 250),
        AreaWrite::OutboxPut(pending(5, "inc a 1")),
        AreaWrite::App(adding("effects", 300)),
    ]);
    place.copy_as_after_a_kill()
}

#[test]
fn the_area_of_a_killed_owner_is_read_and_not_changed() {
    let place = killed();
    let before = std::fs::read(place.path()).unwrap();
    let seen = inspect_file(&place.path()).unwrap();
    let summary = seen.summary().unwrap();
    assert_eq!((summary.alias.as_str(), summary.incarnation), ("counter", 1));
    assert_eq!(summary.bytes, before.len() as u64);
    assert_eq!(seen.outbox().unwrap(), [pending(5, "inc a 1")]);
    assert_eq!(seen.marks().unwrap().len(), 1);
    assert_eq!(seen.blocked().unwrap()[0].1, blocked_row(4, 1, 2));
    assert_eq!(seen.rows(&OneName, "3/i1/30", None, 10).unwrap().rows.len(), 2);
    assert_eq!(seen.browse(&OneName, "app", None, 10).unwrap().rows[0].key, "effects");
    let mut effects = 0;
    seen.read(&mut |app| effects = number_in(app.get(b"effects").unwrap())).unwrap();
    assert_eq!(effects, 300);
    let check = seen.check();
    assert_eq!((check.records, check.damages), (5 + 301 + 6 + 1 + 1 + 1 + 1, 0), "{:?}", check.listed);
    drop(seen);
    assert!(std::fs::read(place.path()).unwrap() == before, "the inspected file was changed");
    let mut names: Vec<_> =
        std::fs::read_dir(place.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["counter.redb"], "the inspection left something behind");
}

#[test]
fn a_living_owner_is_not_read_behind_its_back() {
    let place = Place::new();
    let area = place.open();
    area.add("n", 1);
    let error = inspect_file(&place.path()).unwrap_err();
    assert!(matches!(error, AreaError::OwnerAlive { .. }), "{error}");
    assert!(error.to_string().contains("palib table"), "{error}");
    // And it was not disturbed.
    area.add("n", 1);
    area.area.close().unwrap();
    inspect_file(&place.path()).unwrap();
}

#[test]
fn a_file_that_is_no_area_is_told_so() {
    let place = Place::new();
    std::fs::write(place.path(), b"hello").unwrap();
    let error = inspect_file(&place.path()).unwrap_err();
    assert!(matches!(error, AreaError::Damaged { .. }), "{error}");
    let missing = inspect_file(&place.folder.path().join("none.redb")).unwrap_err();
    assert!(missing.to_string().contains("none.redb: No such file"), "{missing}");
}

/// Bits rot where redb does not look: in the middle of a value.
#[test]
fn a_flipped_bit_in_a_record_is_found_and_named() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![put(reply_row(3, 1, 7, "a reply to be damaged"))]);
    area.area.close().unwrap();
    drop(area);
    let mut bytes = std::fs::read(place.path()).unwrap();
    let needle = b"a reply to be damaged";
    let places: Vec<usize> =
        (0..bytes.len() - needle.len()).filter(|at| bytes[*at..].starts_with(needle)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + 3] ^= 0x10;
    }
    std::fs::write(place.path(), &bytes).unwrap();

    let seen = inspect_file(&place.path()).unwrap();
    let shown = seen.browse(&OneName, "redundancy", None, 10).unwrap().rows;
    assert!(shown[0].damage.as_deref().unwrap().contains("its checksum is"), "{shown:?}");
    let check = seen.check();
    assert!(check.listed.iter().any(|damage| damage.table == "redundancy"), "{check:?}");
    // The owner finds it too, when it looks that call up, and says which record it is.
    let area = place.open();
    let error = area.area.load(crate::support::key_of(3, 1, 7)).unwrap_err();
    assert!(matches!(&error, AreaError::DamagedRecord { table, .. } if table == "redundancy"), "{error}");
}

/// A record that says one thing in one table and another in the next.
#[test]
fn an_index_that_disagrees_with_its_rows_is_found() {
    let place = killed();
    // The last block has one row, the one that is blocked.
    tamper(&place, "blocks", |rows| {
        rows.pop_last().unwrap();
    });
    let check = inspect_file(&place.path()).unwrap().check();
    let reasons: Vec<&str> = check.listed.iter().map(|damage| damage.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "the table meta says 301 rows, and its blocks have 300",
            "it says that call 2 is blocked or relaying, and the redundancy table does not"
        ]
    );
    let error = place.open().area.blocked().unwrap_err();
    assert!(matches!(error, AreaError::DamagedRecord { .. }), "{error}");
}

/// The rows of 64 slots are no longer readable: they are missed, and neither taken for unknown nor written over.
#[test]
fn a_damaged_block_of_rows_is_found_and_named_and_never_written_over() {
    let place = killed();
    tamper(&place, "blocks", |rows| {
        let (key, mut block) = {
            let (key, block) = rows.first().unwrap().unwrap();
            (key.value().to_vec(), block.value().to_vec())
        };
        // In the directory.
        block[20] ^= 1;
        rows.insert(&key[..], &block[..]).unwrap();
    });
    let seen = inspect_file(&place.path()).unwrap();
    let check = seen.check();
    assert!(check.listed.iter().any(|damage| damage.table == "blocks"), "{check:?}");
    let rows = seen.browse(&OneName, "redundancy", None, 1000).unwrap().rows;
    assert_eq!(rows.len(), 1 + 301 - 63);
    let damage = rows[0].damage.as_deref().unwrap();
    assert!(damage.contains("the block of rows it lies in is damaged: its checksum is"), "{damage}");
    assert!(seen.browse(&OneName, "blocks", None, 10).unwrap().rows[0].damage.is_some());
    let error = seen.rows(&OneName, "", None, 10).unwrap_err();
    assert!(error.to_string().contains("the block of rows it lies in is damaged"), "{error}");
    // From behind it on one goes on.
    let others = seen.browse(&OneName, "redundancy", Some(&rows[0].key_hex), 1000).unwrap().rows;
    assert_eq!(others.len(), 301 - 63);
    assert!(others.iter().all(|row| row.damage.is_none()));

    let area = place.open();
    let error = area.area.load(crate::support::key_of(3, 1, 7)).unwrap_err();
    assert!(matches!(&error, AreaError::DamagedRecord { table, .. } if table == "redundancy"), "{error}");
    assert!(area.area.load(crate::support::key_of(3, 1, 200)).unwrap().0.is_some());
    area.submit(vec![put(reply_row(3, 1, 1024, "another in a slot of that block"))]);
    let error = area.sink.fatal();
    assert!(matches!(&error, AreaError::DamagedRecord { table, .. } if table == "blocks"), "{error}");
}

#[test]
fn a_large_row_that_its_block_does_not_know_or_does_not_find_is_found() {
    for (forgotten, wanted) in [
        (false, "it lies alone, and its block does not say so"),
        (true, "its block says that it lies alone, and it is not there"),
    ] {
        let place = Place::new();
        let area = place.open();
        area.write(vec![put(reply_row(3, 1, 7, &"a large reply ".repeat(100)))]);
        area.area.close().unwrap();
        drop(area);
        assert_eq!(inspect_file(&place.path()).unwrap().check().listed, []);
        tamper(&place, "redundancy", |rows| {
            let (key, record) = {
                let (key, record) = rows.pop_last().unwrap().unwrap();
                (key.value().to_vec(), record.value().to_vec())
            };
            if !forgotten {
                let mut elsewhere = key.clone();
                *elsewhere.last_mut().unwrap() += 1;
                rows.insert(&elsewhere[..], &record[..]).unwrap();
                rows.insert(&key[..], &record[..]).unwrap();
            }
        });
        let check = inspect_file(&place.path()).unwrap().check();
        let reasons: Vec<&str> = check.listed.iter().map(|damage| damage.reason.as_str()).collect();
        assert_eq!(reasons, [wanted]);
    }
}

/// Changes a table of a file that nobody has open, behind the area's back.
fn tamper(
    place: &Place,
    table: &str,
    change: impl FnOnce(&mut redb::Table<'_, &'static [u8], &'static [u8]>),
) {
    // Closed in good order, so that redb opens it as it is.
    place.open().area.close().unwrap();
    let db = redb::Database::open(place.path()).unwrap();
    let txn = db.begin_write().unwrap();
    change(&mut txn.open_table(redb::TableDefinition::new(table)).unwrap());
    txn.commit().unwrap();
    db.close().unwrap();
}
