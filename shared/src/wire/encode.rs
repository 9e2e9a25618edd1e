//! From messages to bytes, straight into a link's buffer.

use bytes::{BufMut, Bytes, BytesMut};
use palib_core::ids::{CallId, Mark, Origin};
use palib_core::message::{CancelEnd, Message, Outcome, Refusal, Request};
use serde::Serialize;

use super::{
    ANSWER_BYTES, CANCELLED_BYTES, LENGTH_BYTES, NOT_UNDONE_BYTES, ORIGIN_INCARNATION, ORIGIN_PORT,
    REFUSED_BYTES, REQUEST_BYTES, TOLD_MARK_BYTES, WireError, kind,
};
use crate::limits::{BODY_BYTES_MAX, FRAME_BYTES_MAX};

/// Appends the frame of a message.
///
/// # Errors
/// If its body is over the limit; nothing was appended then.
pub fn encode_message(out: &mut BytesMut, message: &Message<Bytes>) -> Result<(), WireError> {
    match message {
        Message::Request(request) => encode_request(out, kind::REQUEST, request),
        Message::Cancel(request) => encode_request(out, kind::CANCEL, request),
        Message::Answer { id, outcome, redundant } => {
            let (kind, body) = match outcome {
                Outcome::Reply(body) => (kind::REPLY, body),
                Outcome::Failed(body) => (kind::FAILED, body),
            };
            start(out, kind, ANSWER_BYTES, body)?;
            put_id(out, id);
            out.put_u8(u8::from(*redundant));
            out.put_slice(body);
            Ok(())
        }
        Message::Refused { id, refusal } => {
            start(out, kind::REFUSED, REFUSED_BYTES, &[])?;
            put_id(out, id);
            out.put_u8(refusal_code(*refusal));
            Ok(())
        }
        Message::CancelEnded { id, end: CancelEnd::Cancelled { undone } } => {
            start(out, kind::CANCELLED, CANCELLED_BYTES, &[])?;
            put_id(out, id);
            out.put_u8(u8::from(*undone));
            Ok(())
        }
        Message::CancelEnded { id, end: CancelEnd::NotUndone(why) } => {
            start(out, kind::NOT_UNDONE, NOT_UNDONE_BYTES, why)?;
            put_id(out, id);
            out.put_slice(why);
            Ok(())
        }
        Message::Mark { source, target, mark } => {
            start(out, kind::MARK, TOLD_MARK_BYTES, &[])?;
            out.put_u32_le(source.0);
            out.put_u32_le(target.0);
            put_mark(out, *mark);
            Ok(())
        }
    }
}

/// Appends the frame of a control message.
///
/// # Errors
/// If it can't be written as JSON or is over the limit; nothing was appended then.
pub fn encode_control(out: &mut BytesMut, message: &impl Serialize) -> Result<(), WireError> {
    let before = out.len();
    out.put_u32_le(0);
    out.put_u8(kind::CONTROL);
    if let Err(error) = serde_json::to_writer((&mut *out).writer(), message) {
        out.truncate(before);
        return Err(WireError::Unencodable { reason: error.to_string() });
    }
    let bytes = out.len() - before - LENGTH_BYTES;
    if bytes > FRAME_BYTES_MAX {
        out.truncate(before);
        return Err(WireError::FrameTooLarge { bytes });
    }
    // The limit is far below what a u32 holds.
    out[before..before + LENGTH_BYTES].copy_from_slice(&(bytes as u32).to_le_bytes());
    Ok(())
}

fn encode_request(out: &mut BytesMut, kind: u8, request: &Request<Bytes>) -> Result<(), WireError> {
    start(out, kind, REQUEST_BYTES, &request.body)?;
    put_id(out, &request.id);
    out.put_u64_le(request.born.0);
    out.put_u32_le(request.target.0);
    put_mark(out, request.mark);
    out.put_u32_le(request.attempt);
    out.put_u8(u8::from(request.cancellable));
    out.put_slice(&request.body);
    Ok(())
}

/// Checks the body, makes room for the whole frame at once, and writes its length and kind.
fn start(out: &mut BytesMut, kind: u8, header_bytes: usize, body: &[u8]) -> Result<(), WireError> {
    if body.len() > BODY_BYTES_MAX {
        return Err(WireError::BodyTooLarge { bytes: body.len() });
    }
    let bytes = 1 + header_bytes + body.len();
    out.reserve(LENGTH_BYTES + bytes);
    // The limit is far below what a u32 holds.
    out.put_u32_le(bytes as u32);
    out.put_u8(kind);
    Ok(())
}

fn put_id(out: &mut BytesMut, id: &CallId) {
    out.put_u32_le(id.source.0);
    match id.origin {
        Origin::Port(port) => {
            out.put_u8(ORIGIN_PORT);
            out.put_u64_le(u64::from(port.0));
        }
        Origin::Incarnation(incarnation) => {
            out.put_u8(ORIGIN_INCARNATION);
            out.put_u64_le(incarnation.0);
        }
    }
    out.put_u64_le(id.trans.0);
}

fn put_mark(out: &mut BytesMut, mark: Mark) {
    out.put_u64_le(mark.born.0);
    out.put_u64_le(mark.trans.0);
}

/// The code of a refusal. A code is never given to another refusal: peers of an older palib may still send it.
fn refusal_code(refusal: Refusal) -> u8 {
    match refusal {
        Refusal::NotInService => 1,
        Refusal::Stale => 2,
        Refusal::DifferentBody => 3,
        Refusal::WindowExceeded => 4,
        Refusal::Cancelled => 5,
        Refusal::TooLarge => 6,
        Refusal::NotYourAlias => 7,
        Refusal::UnknownAlias => 8,
        Refusal::Busy => 9,
    }
}
