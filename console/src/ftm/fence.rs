//! The incarnation beside each stable area: the area's owner reads it before each commit.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use palib::stable::{FENCE_BYTES, decode_fence, encode_fence};
use palib_core::ids::Incarnation;
use parking_lot::Mutex;

use crate::state::{StateFolder, write_whole};

/// Writes incarnations. Clones share one lock: an older incarnation never overwrites a newer one.
#[derive(Clone)]
pub(crate) struct Fences {
    folder: StateFolder,
    lock: Arc<Mutex<()>>,
}

impl Fences {
    pub(crate) fn new(folder: StateFolder) -> Self {
        Self { folder, lock: Arc::default() }
    }

    /// Raises an alias's incarnation to this one, durably, in place: whoever has the file open sees it.
    pub(crate) fn raise(&self, alias: &str, incarnation: Incarnation) -> io::Result<()> {
        self.show(alias, incarnation)?.map_or(Ok(()), |file| file.sync_data())
    }

    /// Raises it for all to see at once. It is durable when the file that is returned, if any, has been synced.
    pub(crate) fn show(&self, alias: &str, incarnation: Incarnation) -> io::Result<Option<File>> {
        let _lock = self.lock.lock();
        let path = self.folder.incarnation(alias);
        let file = match OpenOptions::new().read(true).write(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return create(&path, incarnation).map(|()| None);
            }
            other => other?,
        };
        let mut old = [0; FENCE_BYTES];
        if file.read_exact_at(&mut old, 0).is_ok() && decode_fence(&old).is_some_and(|old| old >= incarnation)
        {
            return Ok(None);
        }
        file.write_all_at(&encode_fence(incarnation), 0)?;
        Ok(Some(file))
    }
}

fn create(path: &Path, incarnation: Incarnation) -> io::Result<()> {
    write_whole(path, &encode_fence(incarnation)).map_err(io::Error::other)?;
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_incarnation_never_overwrites_a_newer_one() {
        let parent = tempfile::tempdir().unwrap();
        let folder = StateFolder::of(parent.path(), "test").unwrap();
        folder.create().unwrap();
        let fences = Fences::new(folder.clone());
        let read = || decode_fence(&std::fs::read(folder.incarnation("a")).unwrap().try_into().unwrap());
        fences.raise("a", Incarnation(0)).unwrap();
        assert_eq!(read(), Some(Incarnation(0)));
        fences.raise("a", Incarnation(7)).unwrap();
        fences.raise("a", Incarnation(6)).unwrap();
        assert_eq!(read(), Some(Incarnation(7)));
        std::fs::write(folder.incarnation("a"), [9; FENCE_BYTES]).unwrap();
        fences.raise("a", Incarnation(8)).unwrap();
        assert_eq!(read(), Some(Incarnation(8)), "what is not readable is replaced");
    }
}
