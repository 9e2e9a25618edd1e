//! A member that is not in service any more commits nothing and answers nothing (R39).

use std::sync::Arc;

use palib::core::ids::Incarnation;
use palib::stable::{AreaError, AreaWrite, Job, StableArea, Token, raise_fence};
use parking_lot::Mutex;

use crate::support::{ALIAS, Place, adding, key_of, open_in, put, reply_row};

#[test]
fn a_member_that_wakes_up_after_a_takeover_commits_nothing() {
    let place = Place::new();
    let area = place.open();
    area.add("n", 1);
    raise_fence(place.folder.path(), ALIAS, Incarnation(2)).unwrap();
    area.submit(vec![AreaWrite::App(adding("n", 1)), put(reply_row(3, 1, 1, "late"))]);
    assert!(matches!(area.sink.fatal(), AreaError::Fenced { mine: 1, current: 2 }));
    // What comes after it is dropped, not written.
    area.submit(vec![AreaWrite::App(adding("n", 1))]);
    assert!(matches!(area.area.close(), Err(AreaError::Fenced { .. })));
    assert_eq!(area.sink.committed().len(), 1);
    drop(area);
    let next = open_in(place.folder.path(), Incarnation(2), None).unwrap();
    assert_eq!(next.number("n"), 1);
    assert!(next.area.load(key_of(3, 1, 1)).unwrap().0.is_none());
}

#[test]
fn an_answer_is_held_back_if_the_takeover_came_during_the_commit() {
    let place = Place::new();
    let area = place.open();
    let folder = place.folder.path().to_owned();
    let raised = Arc::new(Mutex::new(false));
    let seen = Arc::clone(&raised);
    // The closure runs before the first look at the fence, so the fence is raised from the disk's side: this is
    // the instant between that look and the answer.
    let seam = Arc::new(RaiseAtSync { folder: folder.clone(), raised });
    drop(area);
    let area = place.try_open_with(Some(seam)).unwrap();
    *seen.lock() = true;
    area.submit(vec![put(reply_row(3, 1, 1, "late"))]);
    assert!(matches!(area.sink.fatal(), AreaError::Fenced { mine: 2, current: 3 }));
    assert!(area.sink.committed().is_empty(), "an answer left after the takeover");
}

#[derive(Debug)]
struct RaiseAtSync {
    folder: std::path::PathBuf,
    raised: Arc<Mutex<bool>>,
}

impl palib::stable::redb::DiskSeam for RaiseAtSync {
    fn write(&self, _: u64, _: &[u8]) -> std::io::Result<()> {
        Ok(())
    }

    fn set_len(&self, _: u64) -> std::io::Result<()> {
        Ok(())
    }

    fn sync(&self) -> std::io::Result<()> {
        if std::mem::take(&mut *self.raised.lock()) {
            raise_fence(&self.folder, ALIAS, Incarnation(3)).unwrap();
        }
        Ok(())
    }
}

#[test]
fn a_heartbeat_through_the_writer_finds_the_fence_raised() {
    let place = Place::new();
    let area = place.open();
    raise_fence(place.folder.path(), ALIAS, Incarnation(2)).unwrap();
    area.submit(vec![]);
    assert!(matches!(area.sink.fatal(), AreaError::Fenced { mine: 1, current: 2 }));
}

#[test]
fn an_area_does_not_open_in_an_incarnation_that_is_over() {
    let place = Place::new();
    place.open().area.close().unwrap();
    raise_fence(place.folder.path(), ALIAS, Incarnation(5)).unwrap();
    let old = open_in(place.folder.path(), Incarnation(4), None).err().unwrap();
    assert!(matches!(old, AreaError::Fenced { mine: 4, current: 5 }), "{old}");
    // Where nobody is left to be fenced, the FTM may write the file a little later than it promotes.
    open_in(place.folder.path(), Incarnation(6), None).unwrap();
}

#[test]
fn an_area_that_a_later_incarnation_wrote_is_not_opened_although_the_fence_was_lost() {
    let place = Place::new();
    raise_fence(place.folder.path(), ALIAS, Incarnation(9)).unwrap();
    let area = open_in(place.folder.path(), Incarnation(9), None).unwrap();
    area.add("n", 1);
    drop(area);
    std::fs::remove_file(palib::stable::fence_path(place.folder.path(), ALIAS)).unwrap();
    raise_fence(place.folder.path(), ALIAS, Incarnation(2)).unwrap();
    let error = open_in(place.folder.path(), Incarnation(2), None).err().unwrap();
    assert!(matches!(error, AreaError::Fenced { mine: 2, current: 9 }), "{error}");
}

#[test]
fn a_job_of_another_incarnation_is_not_committed() {
    let place = Place::new();
    let area = place.open();
    let writes = vec![AreaWrite::App(adding("n", 1))];
    area.area.submit(Job { incarnation: Incarnation(8), writes, token: Token::Other(1) });
    assert!(matches!(area.sink.fatal(), AreaError::Fenced { mine: 8, current: 1 }));
}
