//! The fields in front of a frame's body, in as few bytes as they need.
//!
//! Nearly all of them are small numbers, or close to one another, or mostly absent. A packet carries a third more
//! small calls than with fields of a fixed size, and each byte less is not encrypted, copied and decrypted.

use bytes::{Buf, Bytes, BytesMut};
use palib_core::ids::{AliasId, CallId, Incarnation, Origin, PortId, TransId};

use super::{LENGTH_BYTES, WireError};
use crate::limits::BODY_BYTES_MAX;

/// Bits of a number that a byte holds; its highest bit says that there are more.
const BITS: u32 = 7;
const MORE: u8 = 1 << BITS;
/// The longest form of a number.
const NUMBER_BYTES_MAX: usize = u64::BITS.div_ceil(BITS) as usize;
/// The longest header is a request's: length, kind, flags and eight numbers.
const HEADER_BYTES_MAX: usize = LENGTH_BYTES + 2 + 8 * NUMBER_BYTES_MAX;

/// The origin of the id is an incarnation and not a port.
pub(super) const ORIGIN_IS_INCARNATION: u8 = 1;

/// Gathers a header, and appends it.
pub(super) struct Writer {
    bytes: [u8; HEADER_BYTES_MAX],
    length: usize,
}

impl Writer {
    pub(super) fn new(kind: u8) -> Self {
        let mut writer = Self { bytes: [0; HEADER_BYTES_MAX], length: LENGTH_BYTES };
        writer.byte(kind);
        writer
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes[self.length] = byte;
        self.length += 1;
    }

    pub(super) fn number(&mut self, mut number: u64) {
        while number >= u64::from(MORE) {
            self.byte(number as u8 | MORE);
            number >>= BITS;
        }
        self.byte(number as u8);
    }

    /// The flags of the frame, to which one of the id's is added, and the id.
    pub(super) fn flags_and_id(&mut self, flags: u8, id: &CallId) {
        let (form, origin) = match id.origin {
            Origin::Port(port) => (0, u64::from(port.0)),
            Origin::Incarnation(incarnation) => (ORIGIN_IS_INCARNATION, incarnation.0),
        };
        self.byte(flags | form);
        self.number(u64::from(id.source.0));
        self.number(origin);
        self.number(id.trans.0);
    }

    /// Appends the frame up to its body, which is given back; nothing if the body is over the limit.
    pub(super) fn finish<'a>(mut self, out: &mut BytesMut, body: &'a Bytes) -> Result<&'a Bytes, WireError> {
        if body.len() > BODY_BYTES_MAX {
            return Err(WireError::BodyTooLarge { bytes: body.len() });
        }
        // The limit is far below what a u32 holds.
        let bytes = (self.length - LENGTH_BYTES + body.len()) as u32;
        self.bytes[..LENGTH_BYTES].copy_from_slice(&bytes.to_le_bytes());
        out.extend_from_slice(&self.bytes[..self.length]);
        Ok(body)
    }
}

/// Reads a frame from its kind on.
pub(super) struct Reader {
    kind: u8,
    frame: Bytes,
    at: usize,
}

impl Reader {
    /// A frame without its length and kind.
    pub(super) fn new(kind: u8, frame: Bytes) -> Self {
        Self { kind, frame, at: 0 }
    }

    pub(super) fn byte(&mut self) -> Result<u8, WireError> {
        let byte = self.frame.get(self.at).copied();
        self.at += 1;
        byte.ok_or(WireError::Short { kind: self.kind, bytes: self.frame.len() })
    }

    /// A number; `field` says which.
    pub(super) fn number(&mut self, field: &'static str) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(BITS as usize) {
            let byte = self.byte()?;
            let bits = u64::from(byte & !MORE);
            if bits << shift >> shift != bits {
                return Err(self.impossible(field, byte.into()));
            }
            number |= bits << shift;
            if byte & MORE == 0 {
                return Ok(number);
            }
        }
        Err(self.impossible(field, number))
    }

    /// A number of 32 bits.
    pub(super) fn small(&mut self, field: &'static str) -> Result<u32, WireError> {
        let number = self.number(field)?;
        u32::try_from(number).map_err(|_| self.impossible(field, number))
    }

    pub(super) fn alias(&mut self, field: &'static str) -> Result<AliasId, WireError> {
        self.small(field).map(AliasId)
    }

    /// The flags, of which these may be set beside the id's, and the id.
    pub(super) fn flags_and_id(&mut self, allowed: u8) -> Result<(u8, CallId), WireError> {
        let flags = self.byte()?;
        if flags & !(allowed | ORIGIN_IS_INCARNATION) != 0 {
            return Err(self.impossible("flags", flags.into()));
        }
        let source = self.alias("source")?;
        let origin = match flags & ORIGIN_IS_INCARNATION {
            0 => Origin::Port(PortId(self.small("port")?)),
            _ => Origin::Incarnation(Incarnation(self.number("incarnation")?)),
        };
        Ok((flags, CallId { source, origin, trans: TransId(self.number("transId")?) }))
    }

    pub(super) fn impossible(&self, field: &'static str, value: u64) -> WireError {
        WireError::BadField { kind: self.kind, field, value }
    }

    /// What has no body ends where its header does.
    pub(super) fn end(self) -> Result<(), WireError> {
        match self.frame.len().saturating_sub(self.at) {
            0 => Ok(()),
            bytes => Err(WireError::Long { kind: self.kind, bytes }),
        }
    }

    /// The body: all that is left.
    pub(super) fn rest(mut self) -> Bytes {
        self.frame.advance(self.at.min(self.frame.len()));
        self.frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(numbers: &[u64]) -> Bytes {
        let (mut writer, mut out) = (Writer::new(1), BytesMut::new());
        for number in numbers {
            writer.number(*number);
        }
        writer.finish(&mut out, &Bytes::new()).expect("no body is within the limit");
        out.freeze().slice(LENGTH_BYTES + 1..)
    }

    #[test]
    fn numbers_of_any_size_come_back_and_small_ones_take_a_byte() {
        let numbers = [0, 1, 127, 128, 16_383, 16_384, 1_000_000_000_007, u64::MAX];
        let bytes = written(&numbers);
        let mut reader = Reader::new(1, bytes);
        for number in numbers {
            assert_eq!(reader.number("number"), Ok(number));
        }
        assert_eq!(reader.end(), Ok(()));
        let lengths = numbers.map(|number| written(&[number]).len());
        assert_eq!(lengths, [1, 1, 1, 2, 2, 3, 6, NUMBER_BYTES_MAX]);
    }

    #[test]
    fn a_number_of_more_than_64_bits_is_an_error() {
        for bytes in [[0xFF; 10], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 2]] {
            let mut reader = Reader::new(1, Bytes::from(bytes.to_vec()));
            assert!(matches!(reader.number("number"), Err(WireError::BadField { field: "number", .. })));
        }
    }
}
