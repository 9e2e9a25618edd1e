//! The file that says which incarnation of an alias may commit: `<alias>.incarnation`, beside its stable area.
//!
//! The FTM raises it, durably, before it kills the member in service. The writer of a stable area reads it before
//! each commit and before each answer that a commit lets out, so a member that was only asleep finds out in time.
//! It is written in place: the reader keeps the file open, and a file put there by a rename would never reach it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use palib_core::ids::Incarnation;

/// Bytes of the file: the incarnation, its checksum, and zeros.
pub const FENCE_BYTES: usize = 16;
/// How often a reader looks again if the checksum is wrong. A write of 16 bytes is over long before.
const TRIES_MAX: usize = 1000;

/// Where the fence of an alias lies.
#[must_use]
pub fn fence_path(areas: &Path, alias: &str) -> PathBuf {
    areas.join(format!("{alias}.incarnation"))
}

/// Makes an incarnation the current one of an alias. It is durable when this returns.
///
/// # Errors
/// If the file can't be written or synced, or holds a higher incarnation already: it never goes back.
pub fn raise_fence(areas: &Path, alias: &str, incarnation: Incarnation) -> io::Result<()> {
    let path = fence_path(areas, alias);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)?;
    // A file that is damaged or half written holds nothing that could be kept; the FTM knows the number from
    // its own stable area.
    let known = read_once(&file).ok();
    if let Some(current) = known.filter(|current| *current > incarnation) {
        return Err(io::Error::other(format!(
            "{}: incarnation {current} has begun already, it can't go back to {incarnation}",
            path.display()
        )));
    }
    file.write_all_at(&encode_fence(incarnation), 0)?;
    file.sync_data()?;
    if known.is_none() {
        File::open(areas)?.sync_all()?;
    }
    Ok(())
}

/// An open fence, for reading again and again.
#[derive(Debug)]
pub struct Fence {
    file: File,
    path: PathBuf,
}

impl Fence {
    /// Opens the fence of an alias.
    ///
    /// # Errors
    /// If there is none, or it can't be opened.
    pub fn open(areas: &Path, alias: &str) -> io::Result<Self> {
        let path = fence_path(areas, alias);
        let file = File::open(&path).map_err(|error| {
            let hint = "the FTM writes it before it lets a member open the stable area";
            io::Error::new(error.kind(), format!("{}: {error}; {hint}", path.display()))
        })?;
        Ok(Self { file, path })
    }

    /// The incarnation that may commit.
    ///
    /// # Errors
    /// If it can't be read, or its checksum stays wrong. Then nobody may commit.
    pub fn current(&self) -> io::Result<Incarnation> {
        let mut last = None;
        for _ in 0..TRIES_MAX {
            match read_once(&self.file) {
                Ok(incarnation) => return Ok(incarnation),
                // A read may meet a write half way.
                Err(error) => last = Some(error),
            }
            std::thread::yield_now();
        }
        let error = last.unwrap_or_else(|| io::Error::other("never read"));
        Err(io::Error::new(error.kind(), format!("{}: {error}", self.path.display())))
    }
}

/// What the file holds in an incarnation; all numbers little-endian.
#[must_use]
pub fn encode_fence(incarnation: Incarnation) -> [u8; FENCE_BYTES] {
    let mut bytes = [0; FENCE_BYTES];
    bytes[..8].copy_from_slice(&incarnation.0.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..8]);
    bytes[8..12].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The incarnation in which the file holds this; none if it is half written or damaged.
#[must_use]
pub fn decode_fence(bytes: &[u8; FENCE_BYTES]) -> Option<Incarnation> {
    let number = bytes.first_chunk()?;
    let incarnation = Incarnation(u64::from_le_bytes(*number));
    (encode_fence(incarnation) == *bytes).then_some(incarnation)
}

fn read_once(file: &File) -> io::Result<Incarnation> {
    let mut bytes = [0; FENCE_BYTES];
    file.read_exact_at(&mut bytes, 0)?;
    decode_fence(&bytes)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the checksum of the incarnation is wrong"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_open_fence_sees_the_incarnation_rise() {
        let folder = tempfile::tempdir().unwrap();
        raise_fence(folder.path(), "counter", Incarnation(1)).unwrap();
        let fence = Fence::open(folder.path(), "counter").unwrap();
        assert_eq!(fence.current().unwrap(), Incarnation(1));
        raise_fence(folder.path(), "counter", Incarnation(2)).unwrap();
        assert_eq!(fence.current().unwrap(), Incarnation(2));
    }

    #[test]
    fn the_incarnation_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        raise_fence(folder.path(), "counter", Incarnation(5)).unwrap();
        let error = raise_fence(folder.path(), "counter", Incarnation(4)).unwrap_err();
        assert!(error.to_string().contains("incarnation 5 has begun already"), "{error}");
        raise_fence(folder.path(), "counter", Incarnation(5)).unwrap();
    }

    #[test]
    fn a_fence_with_a_wrong_checksum_lets_nobody_commit() {
        let folder = tempfile::tempdir().unwrap();
        raise_fence(folder.path(), "counter", Incarnation(1)).unwrap();
        let fence = Fence::open(folder.path(), "counter").unwrap();
        std::fs::write(fence_path(folder.path(), "counter"), [7; FENCE_BYTES]).unwrap();
        assert!(fence.current().is_err());
    }
}
