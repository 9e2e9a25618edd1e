//! From bytes to messages. The bytes come from another process: nothing about them is believed.

use bytes::{Buf, Bytes, BytesMut};
use palib_core::ids::{AliasId, CallId, Incarnation, Mark, Origin, PortId, TransId};
use palib_core::message::{CancelEnd, Message, Outcome, Refusal, Request};

use super::{
    ANSWER_BYTES, CANCELLED_BYTES, Frame, LENGTH_BYTES, NOT_UNDONE_BYTES, ORIGIN_INCARNATION, ORIGIN_PORT,
    REFUSED_BYTES, REQUEST_BYTES, TOLD_MARK_BYTES, WireError, kind,
};
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
    let message = match kind {
        kind::REQUEST => Message::Request(get_request(kind, frame, copies)?),
        kind::CANCEL => Message::Cancel(get_request(kind, frame, copies)?),
        kind::REPLY | kind::FAILED => {
            need(kind, &frame, ANSWER_BYTES)?;
            let id = get_id(kind, &mut frame)?;
            let redundant = get_flag(kind, "redundant", &mut frame)?;
            let body = get_body(frame, copies)?;
            let outcome = if kind == kind::REPLY { Outcome::Reply(body) } else { Outcome::Failed(body) };
            Message::Answer { id, outcome, redundant }
        }
        kind::REFUSED => {
            need(kind, &frame, REFUSED_BYTES)?;
            let id = get_id(kind, &mut frame)?;
            let refusal = get_refusal(kind, &mut frame)?;
            end(kind, &frame)?;
            Message::Refused { id, refusal }
        }
        kind::CANCELLED => {
            need(kind, &frame, CANCELLED_BYTES)?;
            let id = get_id(kind, &mut frame)?;
            let undone = get_flag(kind, "undone", &mut frame)?;
            end(kind, &frame)?;
            Message::CancelEnded { id, end: CancelEnd::Cancelled { undone } }
        }
        kind::NOT_UNDONE => {
            need(kind, &frame, NOT_UNDONE_BYTES)?;
            let id = get_id(kind, &mut frame)?;
            Message::CancelEnded { id, end: CancelEnd::NotUndone(get_body(frame, copies)?) }
        }
        kind::MARK => {
            need(kind, &frame, TOLD_MARK_BYTES)?;
            let (source, target) = (AliasId(frame.get_u32_le()), AliasId(frame.get_u32_le()));
            let mark = get_mark(&mut frame);
            end(kind, &frame)?;
            Message::Mark { source, target, mark }
        }
        kind::CONTROL => return Ok(Frame::Control(frame)),
        _ => return Err(WireError::UnknownKind { kind }),
    };
    Ok(Frame::Message(message))
}

fn need(kind: u8, frame: &Bytes, needed: usize) -> Result<(), WireError> {
    if frame.len() < needed {
        return Err(WireError::Short { kind, bytes: frame.len(), needed });
    }
    Ok(())
}

/// What has no body ends where its header does.
fn end(kind: u8, frame: &Bytes) -> Result<(), WireError> {
    match frame.len() {
        0 => Ok(()),
        bytes => Err(WireError::Long { kind, bytes }),
    }
}

fn get_request(kind: u8, mut frame: Bytes, copies: &mut Copies) -> Result<Request<Bytes>, WireError> {
    need(kind, &frame, REQUEST_BYTES)?;
    Ok(Request {
        id: get_id(kind, &mut frame)?,
        born: Incarnation(frame.get_u64_le()),
        target: AliasId(frame.get_u32_le()),
        mark: get_mark(&mut frame),
        attempt: frame.get_u32_le(),
        cancellable: get_flag(kind, "cancellable", &mut frame)?,
        body: get_body(frame, copies)?,
    })
}

fn get_mark(frame: &mut Bytes) -> Mark {
    Mark { born: Incarnation(frame.get_u64_le()), trans: TransId(frame.get_u64_le()) }
}

fn get_id(kind: u8, frame: &mut Bytes) -> Result<CallId, WireError> {
    let source = AliasId(frame.get_u32_le());
    let form = frame.get_u8();
    let number = frame.get_u64_le();
    let origin = match form {
        ORIGIN_PORT => {
            let port = u32::try_from(number).map_err(|_| WireError::BadField {
                kind,
                field: "port",
                value: number,
            })?;
            Origin::Port(PortId(port))
        }
        ORIGIN_INCARNATION => Origin::Incarnation(Incarnation(number)),
        _ => return Err(WireError::BadField { kind, field: "form of id", value: form.into() }),
    };
    Ok(CallId { source, origin, trans: TransId(frame.get_u64_le()) })
}

fn get_flag(kind: u8, field: &'static str, frame: &mut Bytes) -> Result<bool, WireError> {
    match frame.get_u8() {
        0 => Ok(false),
        1 => Ok(true),
        value => Err(WireError::BadField { kind, field, value: value.into() }),
    }
}

fn get_refusal(kind: u8, frame: &mut Bytes) -> Result<Refusal, WireError> {
    Ok(match frame.get_u8() {
        1 => Refusal::NotInService,
        2 => Refusal::Stale,
        3 => Refusal::DifferentBody,
        4 => Refusal::WindowExceeded,
        5 => Refusal::Cancelled,
        6 => Refusal::TooLarge,
        7 => Refusal::NotYourAlias,
        8 => Refusal::UnknownAlias,
        9 => Refusal::Busy,
        value => return Err(WireError::BadField { kind, field: "refusal", value: value.into() }),
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
