//! The folder of a bench. It goes away with the bench, or with the next one if the bench was killed.

use std::fs::{self, File};
use std::path::Path;

use tempfile::TempDir;

const PREFIX: &str = "palib-bench-";
/// This file in it is locked for as long as its bench lives.
const LOCK: &str = "lock";

/// A folder of its own for a bench that is measuring.
#[derive(Debug)]
pub(super) struct Folder {
    folder: TempDir,
    _lock: File,
}

impl Folder {
    /// A new folder below another one, in which those of benches that were killed are removed.
    pub(super) fn create_in(parent: &Path) -> Result<Self, String> {
        remove_left(parent);
        let words = |error| format!("a folder for the bench: {error}");
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(parent).map_err(words)?;
        // It gets its name once it is locked: a bench that begins meanwhile must not find it free.
        let unnamed = folder.path().join("lock.new");
        let lock = File::create(&unnamed).map_err(words)?;
        lock.lock().map_err(words)?;
        fs::rename(&unnamed, folder.path().join(LOCK)).map_err(words)?;
        Ok(Self { folder, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// What can't be removed is left to whom it belongs.
fn remove_left(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let lock = File::open(entry.path().join(LOCK));
        if lock.is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_bench_left_goes_away_with_the_next_and_a_living_one_stays() {
        let parent = tempfile::tempdir().expect("a temporary folder");
        let create = || Folder::create_in(parent.path()).expect("a writable folder");
        let Folder { folder, _lock: lock } = create();
        let left = folder.keep();
        // As the operating system does it for whoever is killed.
        drop(lock);
        let living = create();
        assert!(!left.exists());
        let next = create();
        assert!(living.path().exists() && next.path().exists());
    }
}
