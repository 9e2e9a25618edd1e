//! The file: made, locked, refused. A file that is refused is not changed by a single byte.

use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use palib::core::ids::Incarnation;
use palib::stable::redb::{RedbArea, RedbOptions, SCHEMA_VERSION, area_path};
use palib::stable::{AreaError, StableArea, raise_fence};

use crate::support::{ALIAS, ALIAS_ID, Opened, Place, key_of, put, reply_row};

#[test]
fn a_new_area_is_for_its_owner_alone_and_leaves_no_temporary_file() {
    let place = Place::new();
    let area = place.open();
    let mode = std::fs::metadata(place.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut names: Vec<_> = std::fs::read_dir(place.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["counter.incarnation", "counter.redb"]);
    let summary = area.area.summary();
    assert_eq!((summary.alias.as_str(), summary.schema, summary.incarnation), (ALIAS, SCHEMA_VERSION, 1));
    assert_eq!(summary.bytes, std::fs::metadata(place.path()).unwrap().len());
}

#[test]
fn an_area_that_is_open_is_in_use_and_free_as_soon_as_its_owner_is_gone() {
    let place = Place::new();
    let first = place.open();
    let error = place.try_open().err().unwrap();
    assert!(matches!(error, AreaError::InUse { .. }), "{error}");
    // The lock vanishes while the next one waits.
    let waiting = std::thread::scope(|scope| {
        let second = scope.spawn(|| place.try_open());
        std::thread::sleep(std::time::Duration::from_millis(20));
        drop(first);
        second.join().unwrap()
    });
    waiting.unwrap();
}

fn refused(place: &Place, holds: &str) -> AreaError {
    let before = std::fs::read(place.path()).unwrap();
    let error = place.try_open().err().expect("refused");
    assert!(error.to_string().contains(holds), "{error}");
    assert!(error.to_string().contains("counter.redb"), "{error}");
    assert!(std::fs::read(place.path()).unwrap() == before, "the refused file was changed");
    error
}

#[test]
fn an_empty_file_is_refused() {
    let place = Place::new();
    std::fs::write(place.path(), b"").unwrap();
    assert!(matches!(refused(&place, "it is empty"), AreaError::Damaged { .. }));
}

#[test]
fn a_foreign_file_is_refused() {
    let place = Place::new();
    std::fs::write(place.path(), vec![b'x'; 100_000]).unwrap();
    refused(&place, "does not begin like a file of redb");
}

#[test]
fn another_file_of_redb_is_refused() {
    let place = Place::new();
    let db = redb::Database::create(place.path()).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(redb::TableDefinition::<u64, u64>::new("accounts")).unwrap();
    txn.commit().unwrap();
    db.close().unwrap();
    assert!(matches!(refused(&place, "no stable area of palib"), AreaError::Damaged { .. }));
}

fn area_with_rows(rows: u64) -> (Place, Opened) {
    let place = Place::new();
    let area = place.open();
    for trans in 0..rows {
        area.submit(vec![put(reply_row(
            3,
            trans / 1000,
            trans,
            "a reply of some length, so that there are pages",
        ))]);
    }
    area.sink.until(|told| (told.committed.len() as u64 == rows).then_some(()));
    (place, area)
}

#[test]
fn a_truncated_area_is_refused() {
    let (place, area) = area_with_rows(1000);
    area.area.close().unwrap();
    let whole = std::fs::read(place.path()).unwrap();
    for length in [10, 319, 4096, 5000, 8192, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        std::fs::write(place.path(), &whole[..length]).unwrap();
        let error = refused(&place, "not a readable stable area");
        assert!(matches!(error, AreaError::Damaged { .. }), "{length}: {error}");
    }
    std::fs::write(place.path(), &whole).unwrap();
    place.open();
}

/// After a kill redb goes by the length it finds: at its end a file may have had nothing but free pages.
#[test]
fn a_truncated_area_of_a_killed_owner_is_refused_or_has_lost_nothing() {
    for rows in [1000, 60_000] {
        let (place, area) = area_with_rows(rows);
        let killed = place.copy_as_after_a_kill();
        drop(area);
        let whole = std::fs::read(killed.path()).unwrap();
        let mut refusals = 0;
        for length in
            [8192, 12 * 4096, whole.len() / 8, whole.len() / 2, whole.len() * 3 / 4, whole.len() - 4096]
        {
            let length = length / 4096 * 4096;
            std::fs::write(killed.path(), &whole[..length]).unwrap();
            match killed.try_open() {
                Ok(area) => {
                    for trans in 0..rows {
                        let row = area.area.load(key_of(3, trans / 1000, trans)).unwrap().0;
                        assert_eq!(row.unwrap().id.trans.0, trans);
                    }
                }
                Err(error) => {
                    assert!(matches!(error, AreaError::Damaged { .. }), "{length}: {error}");
                    assert!(std::fs::read(killed.path()).unwrap() == whole[..length], "it was changed");
                    refusals += 1;
                }
            }
        }
        assert!(refusals >= 3, "{refusals}");
    }
}

#[test]
fn the_area_of_another_alias_is_refused_by_its_name() {
    let place = Place::new();
    place.open().area.close().unwrap();
    let other = area_path(place.folder.path(), "ledger");
    std::fs::rename(place.path(), &other).unwrap();
    raise_fence(place.folder.path(), "ledger", Incarnation(2)).unwrap();
    let before = std::fs::read(&other).unwrap();
    let options = RedbOptions {
        folder: place.folder.path().to_owned(),
        alias: "ledger".to_owned(),
        alias_id: ALIAS_ID,
        incarnation: Incarnation(2),
        sink: std::sync::Arc::new(crate::support::Recorder::default()),
        seam: None,
    };
    let error = RedbArea::open(options).err().unwrap();
    assert!(error.to_string().contains("belongs to alias counter (number 7), not to ledger"), "{error}");
    assert!(std::fs::read(&other).unwrap() == before);
}

#[test]
fn another_schema_version_is_refused_by_its_number() {
    // An older one, from before rows lay in blocks, and one to come.
    for version in [SCHEMA_VERSION - 1, SCHEMA_VERSION + 5] {
        let place = Place::new();
        place.open().area.close().unwrap();
        // A record of the table `meta` as that version wrote it: version and checksum, then the number.
        let content = version.to_le_bytes();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&[0, 1]);
        hasher.update(b"schema");
        hasher.update(&content);
        let record = [&[1][..], &hasher.finalize().to_le_bytes(), &content].concat();
        let db = redb::Database::open(place.path()).unwrap();
        let txn = db.begin_write().unwrap();
        {
            let mut meta = txn.open_table(redb::TableDefinition::<&[u8], &[u8]>::new("meta")).unwrap();
            meta.insert(&b"schema"[..], &record[..]).unwrap();
        }
        // What that version did not have is not looked for.
        txn.delete_table(redb::TableDefinition::<&[u8], &[u8]>::new("blocks")).unwrap();
        txn.commit().unwrap();
        db.close().unwrap();
        let error = refused(
            &place,
            &format!(
                "schema version {version}, this palib reads version {SCHEMA_VERSION}; use the palib that wrote it"
            ),
        );
        assert!(matches!(error, AreaError::OtherVersion { found, .. } if found == version));
    }
}

#[test]
fn a_takeover_opens_a_small_area_in_a_few_milliseconds() {
    let place = Place::new();
    let area = place.open();
    area.write(vec![put(reply_row(3, 1, 1, "x"))]);
    let killed = place.copy_as_after_a_kill();
    let began = Instant::now();
    killed.open();
    // It takes less than one; a machine under load must not fail the test.
    assert!(began.elapsed().as_millis() < 500, "{:?}", began.elapsed());
}
