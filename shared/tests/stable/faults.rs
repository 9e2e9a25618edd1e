//! Disks that fail. What was acknowledged is there afterwards, what was not may be. Power that is cut: `power_loss`.

use std::io;
use std::sync::Arc;

use palib::stable::redb::DiskSeam;
use palib::stable::{AreaError, AreaWrite, StableArea, Token};
use parking_lot::Mutex;

use crate::support::{Opened, Place, adding, key_of, put, reply_row};

/// Which change of the file fails from now on, as the operating system would say it.
#[derive(Debug, Default)]
struct Failing(Mutex<Option<(Change, i32)>>);

#[derive(Clone, Copy, Debug, PartialEq)]
enum Change {
    Write,
    SetLen,
    Sync,
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

impl Failing {
    fn check(&self, change: Change) -> io::Result<()> {
        match *self.0.lock() {
            Some((failing, errno)) if failing == change => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }
}

impl DiskSeam for Failing {
    fn write(&self, _: u64, _: &[u8]) -> io::Result<()> {
        self.check(Change::Write)
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        self.check(Change::SetLen)
    }

    fn sync(&self) -> io::Result<()> {
        self.check(Change::Sync)
    }
}

/// One call: the effect and its row, together.
fn effect(trans: u64) -> Vec<AreaWrite> {
    vec![AreaWrite::App(adding("effects", 1)), put(reply_row(3, 1, trans, "done"))]
}

/// How many effects there are; each has its row, and there is no row without an effect.
fn effects(area: &Opened) -> u64 {
    let effects = area.number("effects");
    for trans in 1..=effects + 1 {
        let there = area.area.load(key_of(3, 1, trans)).unwrap().0.is_some();
        assert_eq!(there, trans <= effects, "{trans} of {effects}");
    }
    effects
}

fn fails_with(change: Change, errno: i32, words: &str) {
    let place = Place::new();
    let failing = Arc::new(Failing::default());
    let area = place.try_open_with(Some(Arc::clone(&failing) as Arc<dyn DiskSeam>)).unwrap();
    for trans in 1..=20 {
        area.write(effect(trans));
    }
    *failing.0.lock() = Some((change, errno));
    area.submit(effect(21));
    // Enough to need more room in the file.
    area.submit((1000..1900).map(|trans| put(reply_row(4, 1, trans, &"x".repeat(5000)))).collect());
    let error = area.sink.fatal();
    assert!(matches!(error, AreaError::CommitFailed { .. }), "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
    let acknowledged = area.sink.committed().len() as u64;
    assert!((20..=21).contains(&acknowledged));
    // The disk is well again, and still nothing more is committed over what failed.
    *failing.0.lock() = None;
    area.submit(effect(22));
    assert!(area.area.close().is_err());
    assert_eq!(area.sink.committed().len() as u64, acknowledged);
    drop(area);
    let stored = effects(&place.open());
    assert!((acknowledged..=21).contains(&stored), "{acknowledged} acknowledged, {stored} stored");
}

#[test]
fn a_failed_sync_ends_the_owner_and_loses_nothing_acknowledged() {
    fails_with(Change::Sync, EIO, "Input/output error");
}

#[test]
fn a_failed_write_ends_the_owner_and_loses_nothing_acknowledged() {
    fails_with(Change::Write, EIO, "Input/output error");
}

#[test]
fn a_full_disk_ends_the_owner_and_loses_nothing_acknowledged() {
    fails_with(Change::SetLen, ENOSPC, "No space left on device");
}

/// The commit that fails may have become durable: the token tells nothing, the next owner's look does.
#[test]
fn no_token_is_told_of_a_commit_that_failed() {
    let place = Place::new();
    let failing = Arc::new(Failing::default());
    let area = place.try_open_with(Some(Arc::clone(&failing) as Arc<dyn DiskSeam>)).unwrap();
    *failing.0.lock() = Some((Change::Sync, EIO));
    area.submit(effect(1));
    area.sink.fatal();
    assert_eq!(area.sink.committed(), Vec::<Token>::new());
}
