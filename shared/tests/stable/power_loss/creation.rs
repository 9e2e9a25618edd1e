//! Power that is lost while the file itself is made.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use palib::core::ids::Incarnation;
use palib::stable::raise_fence;
use palib::stable::redb::{DiskSeam, RedbArea, RedbOptions};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::contents::Contents;
use super::life::Desk;
use super::platter::{Change, Platter};
use super::tape::{Step, Tape};
use super::workload::random_job;
use crate::support::{ALIAS, ALIAS_ID};

/// Looks at each change whether the file has its name already.
#[derive(Debug)]
struct Naming {
    path: PathBuf,
    tape: Arc<Tape>,
    /// How many steps there were when it had none.
    unnamed: AtomicUsize,
}

impl Naming {
    fn note(&self, step: Step) -> io::Result<()> {
        self.tape.note(step);
        if !self.path.exists() {
            self.unnamed.store(self.tape.steps().len(), Ordering::Relaxed);
        }
        Ok(())
    }
}

impl DiskSeam for Naming {
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.note(Step::Change(Change::Write(offset, Arc::from(data))))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.note(Step::Change(Change::SetLen(len)))
    }

    fn sync(&self) -> io::Result<()> {
        self.note(Step::Sync)
    }
}

/// The steps that make a new area, up to its name; and what then lies in the folder.
fn made(desk: &Desk) -> Vec<Step> {
    let (path, tape) = (desk.path(), Arc::new(Tape::default()));
    let folder = path.parent().unwrap().to_owned();
    let naming = Arc::new(Naming { path, tape: Arc::clone(&tape), unnamed: AtomicUsize::new(0) });
    fs::remove_file(palib::stable::fence_path(&folder, ALIAS)).unwrap();
    raise_fence(&folder, ALIAS, Incarnation(1)).unwrap();
    let options = RedbOptions {
        folder,
        alias: ALIAS.to_owned(),
        alias_id: ALIAS_ID,
        incarnation: Incarnation(1),
        sink: tape.clone(),
        seam: Some(naming.clone()),
    };
    drop(RedbArea::open(options).unwrap());
    let steps = tape.steps();
    let unnamed = naming.unnamed.load(Ordering::Relaxed);
    assert!((1..steps.len()).contains(&unnamed), "{unnamed} of {} steps without a name", steps.len());
    steps[..unnamed].to_vec()
}

fn names_in(desk: &Desk) -> Vec<String> {
    let folder = desk.path().parent().unwrap().to_owned();
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn power_may_fail_while_an_area_is_made() {
    let (desk, mut random) = (Desk::new(), SmallRng::seed_from_u64(1));
    let steps = made(&desk);
    let beside = desk.path().with_extension(format!("redb.new-{}", std::process::id()));
    let mut platter = Platter::default();
    let mut images = 0;
    for step in &steps {
        step.play(&mut platter);
        for image in platter.cuts(9, &mut random) {
            // It has no name yet: there is no area, and what lies beside it disturbs nobody.
            fs::remove_file(desk.path()).unwrap();
            fs::write(&beside, &image).unwrap();
            let area = desk.open(Incarnation(2), &Arc::default()).unwrap();
            assert_eq!(Contents::read(&*area), Contents::default());
            drop(area);
            assert_eq!(names_in(&desk), ["counter.incarnation", "counter.redb"]);
            images += 1;
        }
    }
    println!("creation: {images} images");
    assert!(images >= 50, "{images} images only");
    // By the time it gets its name all of it is durable: whenever the name is, there is a whole area.
    assert!(platter.is_synced(), "it got its name before it was synced");
    let whole = platter.seen();
    let empty = desk.look(&whole).unwrap();
    assert_eq!(empty, Contents::default());
    desk.goes_on(&whole, &empty, &random_job(&mut random)).unwrap();
}

/// Why the name comes last: a file that was made under it would be refused by the next owner.
#[test]
fn an_area_that_is_made_under_its_own_name_is_found() {
    let (desk, mut random) = (Desk::new(), SmallRng::seed_from_u64(1));
    let steps = made(&desk);
    let mut platter = Platter::default();
    let refused = steps.iter().any(|step| {
        step.play(&mut platter);
        platter.cuts(9, &mut random).iter().any(|image| desk.look(image).is_err())
    });
    assert!(refused, "nobody noticed");
}
