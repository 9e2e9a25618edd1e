//! The limit that calls are measured against: the same QUIC and the same store with nothing of palib's between.
//!
//! One stream of length-prefixed frames, one writer that commits for all that wait, one row for each request and
//! the counter in the same commit, the reply after it. No tables of who is where, no takeover, no ids but a number.

pub(super) mod client;
pub(super) mod server;
mod store;

use std::path::{Path, PathBuf};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use palib::tls::{Authority, Grant, Identity};
use palib::transport::QuicConfigs;

/// What a request carries.
pub(super) const BODY_BYTES: usize = 64;
/// The number of the frame by which a client makes its stream known, and which is not answered.
const GREETING: u64 = 0;
/// The number of the frame by which a backup says that it serves now.
const READY: u64 = u64::MAX;

/// The certificates of a bench's own processes, in a folder.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    const HOLDER: &str = "bench";

    /// Makes them.
    pub(super) fn create(folder: &Path) -> Result<Self, String> {
        let made = || {
            let authority = Authority::create(Self::HOLDER)?;
            authority.save(folder)?;
            let own = Self::at(folder);
            authority
                .issue(&Grant::process(Self::HOLDER, [Self::HOLDER]))?
                .save(&own.certificate(), &own.key())?;
            Ok(own)
        };
        made().map_err(|error: palib::tls::TlsError| error.to_string())
    }

    /// Those that were made in a folder.
    pub(super) fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn identity(&self) -> Result<Identity, String> {
        Identity::load(&self.certificate(), &self.key(), &self.folder.join("authority.pem"))
            .map_err(|error| error.to_string())
    }

    fn configs(&self) -> Result<QuicConfigs, String> {
        QuicConfigs::new(&self.identity()?).map_err(|error| error.to_string())
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join("bench.pem")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("bench.key")
    }
}

/// Appends a frame: its length, a number, and what follows it.
fn put_frame(out: &mut BytesMut, number: u64, rest: &[u8]) {
    out.reserve(12 + rest.len());
    out.put_u32_le((8 + rest.len()) as u32);
    out.put_u64_le(number);
    out.put_slice(rest);
}

/// Cuts a stream into frames.
#[derive(Default)]
struct Frames {
    partial: BytesMut,
}

impl Frames {
    fn feed(&mut self, chunk: &Bytes, mut each: impl FnMut(u64, Bytes)) {
        self.partial.extend_from_slice(chunk);
        while let Some(length) = self.partial.first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            if self.partial.len() < 4 + length {
                break;
            }
            self.partial.advance(4);
            let mut frame = self.partial.split_to(length).freeze();
            let number = frame.get_u64_le();
            each(number, frame);
        }
    }
}
