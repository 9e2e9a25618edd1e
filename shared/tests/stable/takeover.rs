//! Owners that are killed, and those that open their areas after them.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use palib::core::ids::Incarnation;
use palib::stable::{AreaError, AreaWrite, StableArea, raise_fence};

use crate::support::{ALIAS, Place, adding, key_of, open_in, put, reply_row};

const FOLDER: &str = "PALIB_TEST_AREA_FOLDER";
const INCARNATION: &str = "PALIB_TEST_AREA_INCARNATION";

/// Not a test of its own: the owner that the test below starts and kills.
#[test]
#[ignore = "started by another test"]
fn an_owner_to_be_killed() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let incarnation = Incarnation(std::env::var(INCARNATION).unwrap().parse().unwrap());
    let area = open_in(folder.as_ref(), incarnation, None).unwrap();
    for _ in 0..1_000_000 {
        area.add("effects", 1);
        println!("acknowledged {}", area.number("effects"));
    }
}

#[test]
fn a_killed_owner_leaves_all_it_acknowledged_to_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    for incarnation in 1..=5 {
        raise_fence(folder.path(), ALIAS, Incarnation(incarnation)).unwrap();
        let mut owner = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "takeover::an_owner_to_be_killed", "--ignored", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(INCARNATION, incarnation.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(owner.stdout.take().unwrap()).lines();
        let wanted = acknowledged + 30;
        while acknowledged < wanted {
            let line = lines.next().expect("the owner writes").unwrap();
            if let Some(number) = line.strip_prefix("acknowledged ") {
                acknowledged = number.parse().unwrap();
            }
        }
        let error = open_in(folder.path(), Incarnation(incarnation), None).err().unwrap();
        assert!(matches!(error, AreaError::InUse { .. }), "{error}");
        owner.kill().unwrap();
        owner.wait().unwrap();
        // It may have acknowledged more before it died.
        for line in lines.map_while(Result::ok) {
            if let Some(number) = line.strip_prefix("acknowledged ") {
                acknowledged = number.parse().unwrap_or(acknowledged);
            }
        }
        let next = open_in(folder.path(), Incarnation(incarnation), None).unwrap();
        let effects = next.number("effects");
        assert!(effects == acknowledged || effects == acknowledged + 1, "{effects} of {acknowledged}");
        acknowledged = effects;
    }
}

/// The time from an owner's death to an area that writes, at best of some tries: the machine may be busy.
fn open_time(place: &Place, rows: u64) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..if cfg!(debug_assertions) { 1 } else { 5 } {
        let killed = place.copy_as_after_a_kill();
        raise_fence(killed.folder.path(), ALIAS, Incarnation(9)).unwrap();
        let began = Instant::now();
        let area = open_in(killed.folder.path(), Incarnation(9), None).unwrap();
        assert!(area.area.load(key_of((rows / 1000) as u32, 1, rows)).unwrap().0.is_some());
        assert!(area.area.blocked().unwrap().is_empty() && area.area.outbox().unwrap().is_empty());
        area.write(vec![AreaWrite::App(adding("n", 1))]);
        best = best.min(began.elapsed());
    }
    best
}

fn place_with_rows(rows: u64) -> Place {
    let place = Place::new();
    let area = place.open();
    for chunk in 0..rows.div_ceil(1000) {
        let row = |trans| put(reply_row((trans / 1000) as u32, 1, trans, "a reply"));
        let last = (chunk * 1000 + 999).min(rows);
        area.submit((chunk * 1000..=last).map(row).collect());
    }
    area.write(vec![put(reply_row((rows / 1000) as u32, 1, rows, "the last"))]);
    // Its owner is not asked to close it.
    let killed = place.copy_as_after_a_kill();
    let counted = area.area.summary().tables.into_iter().find(|table| table.name == "redundancy");
    assert!(counted.unwrap().rows >= rows);
    killed
}

/// R25. Without care this is a walk over all pages: a hundred times as long.
#[test]
fn a_takeover_over_500_000_rows_takes_as_long_as_over_500() {
    let (small, large) = (place_with_rows(500), place_with_rows(500_000));
    let (small_time, large_time) = (open_time(&small, 500), open_time(&large, 500_000));
    println!("500 rows: {small_time:?}, 500,000 rows: {large_time:?}");
    // redb's debug assertions walk over all pages at each open, so only a release build shows the time ...
    if !cfg!(debug_assertions) {
        assert!(large_time < small_time * 3 + Duration::from_millis(5), "{small_time:?}, {large_time:?}");
    }
    // ... and any build whether a walk is needed: this refuses to do one.
    let opened = redb::Builder::new().set_repair_callback(|walk| walk.abort()).open(large.path());
    assert!(opened.is_ok(), "{opened:?}");
}
