//! The first bytes on a link, in both directions: who speaks here, and in which version.
//!
//! They have the same form in every version of palib, so that two versions can tell each other apart.

/// `palib` and the version.
pub(crate) const OPENING_BYTES: usize = MAGIC.len() + 2;

const MAGIC: &[u8; 5] = b"palib";

/// What a side of this version says first.
#[must_use]
pub fn encode_opening(version: u16) -> [u8; OPENING_BYTES] {
    let mut bytes = [0; OPENING_BYTES];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[MAGIC.len()..].copy_from_slice(&version.to_le_bytes());
    bytes
}

/// The version the other side speaks; none if it does not speak palib at all.
#[must_use]
pub fn decode_opening(bytes: [u8; OPENING_BYTES]) -> Option<u16> {
    let (magic, version) = bytes.split_first_chunk()?;
    (magic == MAGIC).then(|| u16::from_le_bytes([version[0], version[1]]))
}
