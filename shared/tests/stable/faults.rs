//! Disks that fail and power that is cut. What was acknowledged is there afterwards, what was not may be.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use palib::core::ids::Incarnation;
use palib::stable::redb::{DiskSeam, area_path};
use palib::stable::{AreaError, AreaWrite, StableArea, Token, raise_fence};
use parking_lot::Mutex;

use crate::support::{ALIAS, Opened, Place, adding, key_of, open_in, put, reply_row};

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

/// What happened to the file, in order, and what was acknowledged in between.
#[derive(Clone, Debug)]
enum Step {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Sync,
    Acknowledged(u64),
}

#[derive(Debug, Default)]
struct Recording(Mutex<Vec<Step>>);

impl DiskSeam for Recording {
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().push(Step::Write(offset, data.to_vec()));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.lock().push(Step::SetLen(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.lock().push(Step::Sync);
        Ok(())
    }
}

/// A file that power is cut from: of what was not synced, any sector may have reached the disk or not.
struct Disk {
    bytes: Vec<u8>,
    unsynced: Vec<Step>,
    acknowledged: u64,
}

const SECTOR_BYTES: usize = 512;

impl Disk {
    fn take(&mut self, step: &Step) {
        match step {
            Step::Sync => {
                for step in std::mem::take(&mut self.unsynced) {
                    apply(&mut self.bytes, &step, &mut || true);
                }
            }
            Step::Acknowledged(effects) => self.acknowledged = *effects,
            change => self.unsynced.push(change.clone()),
        }
    }

    fn after_power_loss(&self, reaches_disk: &mut dyn FnMut() -> bool) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for step in &self.unsynced {
            apply(&mut bytes, step, reaches_disk);
        }
        bytes
    }
}

fn apply(bytes: &mut Vec<u8>, step: &Step, reaches_disk: &mut dyn FnMut() -> bool) {
    match step {
        Step::SetLen(len) if reaches_disk() => bytes.resize(*len as usize, 0),
        Step::Write(offset, data) => {
            for (sector, data) in data.chunks(SECTOR_BYTES).enumerate() {
                let at = *offset as usize + sector * SECTOR_BYTES;
                if reaches_disk() {
                    // A write behind the end makes the file longer.
                    bytes.resize(bytes.len().max(at + data.len()), 0);
                    bytes[at..at + data.len()].copy_from_slice(data);
                }
            }
        }
        _ => {}
    }
}

/// Power is cut at every single change of the file while calls are committed, and several times at each with other
/// sectors lost. Every image opens, and holds all that was acknowledged and no half of a call.
#[test]
fn power_may_fail_at_any_instant() {
    let place = Place::new();
    place.open().area.close().unwrap();
    let before = std::fs::read(place.path()).unwrap();
    let recording = Arc::new(Recording::default());
    let area = place.try_open_with(Some(Arc::clone(&recording) as Arc<dyn DiskSeam>)).unwrap();
    for trans in 1..=12 {
        area.write(effect(trans));
        recording.0.lock().push(Step::Acknowledged(trans));
    }
    let steps = recording.0.lock().clone();
    drop(area);

    // Hundreds of images: in memory, if there is such a folder, because nobody cuts the power of this machine.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    raise_fence(folder.path(), ALIAS, Incarnation(9)).unwrap();
    let path = area_path(folder.path(), ALIAS);
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut disk = Disk { bytes: before, unsynced: Vec::new(), acknowledged: 0 };
    let mut images = 0;
    let mut seen: BTreeMap<u64, u32> = BTreeMap::new();
    for step in &steps {
        disk.take(step);
        for odds in [0, 25, 50, 75, 100] {
            let bytes = disk.after_power_loss(&mut || {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                random % 100 < odds
            });
            std::fs::write(&path, bytes).unwrap();
            let area = open_in(folder.path(), Incarnation(9), None).unwrap();
            let effects = effects(&area);
            assert!(effects >= disk.acknowledged, "{} acknowledged, {effects} left", disk.acknowledged);
            images += 1;
            *seen.entry(effects).or_default() += 1;
        }
    }
    assert!(images > 200, "{images} images only");
    assert!(seen.len() == 13, "the states between are all met: {seen:?}");
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
