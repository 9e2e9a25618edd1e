//! The incarnation beside each stable area: the area's owner reads it before each commit.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

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
    pub(crate) fn raise(&self, alias: &str, incarnation: u64) -> io::Result<()> {
        self.show(alias, incarnation)?.map_or(Ok(()), |file| file.sync_data())
    }

    /// Raises it for all to see at once. It is durable when the file that is returned, if any, has been synced.
    pub(crate) fn show(&self, alias: &str, incarnation: u64) -> io::Result<Option<File>> {
        let _lock = self.lock.lock();
        let path = self.folder.incarnation(alias);
        let file = match OpenOptions::new().read(true).write(true).mode(0o600).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return create(&path, incarnation).map(|()| None);
            }
            other => other?,
        };
        let mut old = [0; 16];
        if file.read_exact_at(&mut old, 0).is_ok() && decode(&old).is_some_and(|old| old >= incarnation) {
            return Ok(None);
        }
        file.write_all_at(&encode(incarnation), 0)?;
        Ok(Some(file))
    }
}

fn create(path: &Path, incarnation: u64) -> io::Result<()> {
    write_whole(path, &encode(incarnation)).map_err(io::Error::other)?;
    File::open(path)?.sync_all()?;
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

/// The incarnation, its checksum, and four zero bytes; all little-endian.
fn encode(incarnation: u64) -> [u8; 16] {
    let number = incarnation.to_le_bytes();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&number);
    bytes[8..12].copy_from_slice(&crc32fast::hash(&number).to_le_bytes());
    bytes
}

fn decode(bytes: &[u8; 16]) -> Option<u64> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    let sum = u32::from_le_bytes(*rest.first_chunk()?);
    (crc32fast::hash(number) == sum).then(|| u64::from_le_bytes(*number))
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
        let read = || decode(&std::fs::read(folder.incarnation("a")).unwrap().try_into().unwrap());
        fences.raise("a", 0).unwrap();
        assert_eq!(read(), Some(0));
        fences.raise("a", 7).unwrap();
        fences.raise("a", 6).unwrap();
        assert_eq!(read(), Some(7));
        std::fs::write(folder.incarnation("a"), [9; 16]).unwrap();
        fences.raise("a", 8).unwrap();
        assert_eq!(read(), Some(8), "what is not readable is replaced");
    }
}
