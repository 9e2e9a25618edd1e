//! From bytes to messages. The bytes come from another process: nothing about them is believed.

use bytes::{Buf, Bytes, BytesMut};
use palib_core::ids::{Incarnation, Mark, Origin, TransId};
use palib_core::message::{CancelEnd, Message, Outcome, Refusal, Request};

use super::header::Reader;
use super::{Frame, LENGTH_BYTES, WireError, flags, kind};
use crate::limits::{BODY_BYTES_MAX, FRAME_BYTES_MAX};

/// Bodies up to this size are copied out of the packet they came in. A slice would keep the whole receive buffer
/// alive, up to 64 KiB, for as long as somebody holds the body; copying so few bytes costs less than that risk.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// Copies share memory by so many bytes: an allocation for each would take longer than the copy itself, and so would
/// the first clone of it.
const COPIES_BYTES: usize = 4 * 1024;

/// Room made at first for a frame that comes in pieces. It grows as the bytes really come, so a peer that only
/// announces a large frame makes nobody set memory aside for it.
const PARTIAL_BYTES_AT_FIRST: usize = 16 * 1024;

/// Cuts a stream of bytes, which comes in chunks of any size, into frames.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The beginning of a frame whose end has not come yet.
    partial: BytesMut,
    copies: Copies,
}

impl Decoder {
    /// Takes the next bytes of the stream and appends all frames that are complete now.
    ///
    /// # Errors
    /// If a frame is malformed or over a limit. The stream can't be read on after that.
    pub fn feed(&mut self, mut chunk: Bytes, into: &mut Vec<Frame>) -> Result<(), WireError> {
        if !self.partial.is_empty() {
            match self.complete_partial(&mut chunk)? {
                Some(frame) => into.push(decode_frame(frame, &mut self.copies)?),
                None => return Ok(()),
            }
        }
        while let Some(length) = announced_length(&chunk)? {
            if chunk.len() - LENGTH_BYTES < length {
                break;
            }
            chunk.advance(LENGTH_BYTES);
            into.push(decode_frame(chunk.split_to(length), &mut self.copies)?);
        }
        if !chunk.is_empty() {
            self.partial.reserve(chunk.len().max(PARTIAL_BYTES_AT_FIRST.min(FRAME_BYTES_MAX)));
            self.partial.extend_from_slice(&chunk);
        }
        Ok(())
    }

    /// Whether the stream may end here: no frame has only partly come.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.partial.is_empty()
    }

    /// Adds to the partial frame what it lacks; gives the whole frame once it is there.
    fn complete_partial(&mut self, chunk: &mut Bytes) -> Result<Option<Bytes>, WireError> {
        if self.partial.len() < LENGTH_BYTES {
            self.take(chunk, LENGTH_BYTES);
        }
        let Some(length) = announced_length(&self.partial)? else { return Ok(None) };
        self.take(chunk, LENGTH_BYTES + length);
        if self.partial.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        let mut frame = self.partial.split().freeze();
        frame.advance(LENGTH_BYTES);
        Ok(Some(frame))
    }

    /// Moves bytes over until the partial frame has `wanted` bytes or the chunk is empty.
    fn take(&mut self, chunk: &mut Bytes, wanted: usize) {
        let count = wanted.saturating_sub(self.partial.len()).min(chunk.len());
        self.partial.extend_from_slice(&chunk.split_to(count));
    }
}

/// Where copies of small bodies are made.
#[derive(Debug, Default)]
struct Copies(BytesMut);

impl Copies {
    fn of(&mut self, body: &[u8]) -> Bytes {
        if self.0.capacity() < body.len() {
            self.0 = BytesMut::with_capacity(COPIES_BYTES.max(body.len()));
        }
        self.0.extend_from_slice(body);
        self.0.split().freeze()
    }
}

/// The length that stands at the start of these bytes, checked; none if not even that has come.
fn announced_length(bytes: &[u8]) -> Result<Option<usize>, WireError> {
    let Some(length) = bytes.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    match length {
        0 => Err(WireError::Empty),
        _ if length > FRAME_BYTES_MAX => Err(WireError::FrameTooLarge { bytes: length }),
        _ => Ok(Some(length)),
    }
}

/// Decodes a frame without its length.
fn decode_frame(mut frame: Bytes, copies: &mut Copies) -> Result<Frame, WireError> {
    let kind = frame.get_u8();
    let mut header = Reader::new(kind, frame);
    let message = match kind {
        kind::REQUEST => Message::Request(get_request(header, copies)?),
        kind::CANCEL => Message::Cancel(get_request(header, copies)?),
        kind::REPLY | kind::FAILED => {
            let (flags, id) = header.flags_and_id(flags::REDUNDANT)?;
            let body = get_body(header.rest(), copies)?;
            let outcome = if kind == kind::REPLY { Outcome::Reply(body) } else { Outcome::Failed(body) };
            Message::Answer { id, outcome, redundant: flags & flags::REDUNDANT != 0 }
        }
        kind::REFUSED => {
            let (_, id) = header.flags_and_id(0)?;
            let refusal = get_refusal(&mut header)?;
            header.end()?;
            Message::Refused { id, refusal }
        }
        kind::CANCELLED => {
            let (flags, id) = header.flags_and_id(flags::UNDONE)?;
            header.end()?;
            Message::CancelEnded { id, end: CancelEnd::Cancelled { undone: flags & flags::UNDONE != 0 } }
        }
        kind::NOT_UNDONE => {
            let (_, id) = header.flags_and_id(0)?;
            Message::CancelEnded { id, end: CancelEnd::NotUndone(get_body(header.rest(), copies)?) }
        }
        kind::MARK => {
            let (source, target) = (header.alias("source")?, header.alias("target")?);
            let born = Incarnation(header.number("incarnation of the mark")?);
            let mark = Mark { born, trans: TransId(header.number("mark")?) };
            header.end()?;
            Message::Mark { source, target, mark }
        }
        kind::CONTROL => return Ok(Frame::Control(header.rest())),
        _ => return Err(WireError::UnknownKind { kind }),
    };
    Ok(Frame::Message(message))
}

fn get_request(mut header: Reader, copies: &mut Copies) -> Result<Request<Bytes>, WireError> {
    let (flags, id) = header.flags_and_id(flags::OF_REQUEST)?;
    let is_set = |flag| flags & flag != 0;
    let born = match id.origin {
        Origin::Incarnation(born) if !is_set(flags::BORN) => born,
        _ if is_set(flags::BORN) => Incarnation(header.number("born")?),
        // A port does not say it.
        Origin::Port(_) | Origin::Incarnation(_) => return Err(header.impossible("flags", flags.into())),
    };
    let target = header.alias("target")?;
    let mark_born = match is_set(flags::MARK_BORN) {
        true => Incarnation(header.number("incarnation of the mark")?),
        false => born,
    };
    let trans = TransId(id.trans.0.wrapping_sub(header.number("mark")?));
    let attempt = if is_set(flags::ATTEMPT) { header.small("attempt")? } else { 0 };
    Ok(Request {
        id,
        born,
        target,
        mark: Mark { born: mark_born, trans },
        attempt,
        cancellable: is_set(flags::CANCELLABLE),
        body: get_body(header.rest(), copies)?,
    })
}

fn get_refusal(header: &mut Reader) -> Result<Refusal, WireError> {
    Ok(match header.byte()? {
        1 => Refusal::NotInService,
        2 => Refusal::Stale,
        3 => Refusal::DifferentBody,
        4 => Refusal::WindowExceeded,
        5 => Refusal::Cancelled,
        6 => Refusal::TooLarge,
        7 => Refusal::NotYourAlias,
        8 => Refusal::UnknownAlias,
        9 => Refusal::Busy,
        value => return Err(header.impossible("refusal", value.into())),
    })
}

fn get_body(rest: Bytes, copies: &mut Copies) -> Result<Bytes, WireError> {
    match rest.len() {
        0 => Ok(Bytes::new()),
        bytes if bytes > BODY_BYTES_MAX => Err(WireError::BodyTooLarge { bytes }),
        bytes if bytes <= COPIED_BYTES_MAX => Ok(copies.of(&rest)),
        _ => Ok(rest),
    }
}
