//! From messages to bytes, straight into a link's buffer.

use bytes::{BufMut, Bytes, BytesMut};
use palib_core::ids::Origin;
use palib_core::message::{CancelEnd, Message, Outcome, Refusal, Request};
use serde::Serialize;

use super::header::Writer;
use super::{LENGTH_BYTES, WireError, flags, kind};
use crate::limits::FRAME_BYTES_MAX;

/// What has no body.
static NONE: Bytes = Bytes::new();

/// Appends the frame of a message.
///
/// # Errors
/// If its body is over the limit; nothing was appended then.
pub fn encode_message(out: &mut BytesMut, message: &Message<Bytes>) -> Result<(), WireError> {
    let body = encode_head(out, message)?;
    out.extend_from_slice(body);
    Ok(())
}

/// Appends the frame of a message without its body, and gives that back: it is what follows.
///
/// # Errors
/// If the body is over the limit; nothing was appended then.
pub(crate) fn encode_head<'a>(
    out: &mut BytesMut,
    message: &'a Message<Bytes>,
) -> Result<&'a Bytes, WireError> {
    match message {
        Message::Request(request) => encode_request(out, kind::REQUEST, request),
        Message::Cancel(request) => encode_request(out, kind::CANCEL, request),
        Message::Answer { id, outcome, redundant } => {
            let (kind, body) = match outcome {
                Outcome::Reply(body) => (kind::REPLY, body),
                Outcome::Failed(body) => (kind::FAILED, body),
            };
            let mut header = Writer::new(kind);
            header.flags_and_id(flag(flags::REDUNDANT, *redundant), id);
            header.finish(out, body)
        }
        Message::Refused { id, refusal } => {
            let mut header = Writer::new(kind::REFUSED);
            header.flags_and_id(0, id);
            header.byte(refusal_code(*refusal));
            header.finish(out, &NONE)
        }
        Message::CancelEnded { id, end: CancelEnd::Cancelled { undone } } => {
            let mut header = Writer::new(kind::CANCELLED);
            header.flags_and_id(flag(flags::UNDONE, *undone), id);
            header.finish(out, &NONE)
        }
        Message::CancelEnded { id, end: CancelEnd::NotUndone(why) } => {
            let mut header = Writer::new(kind::NOT_UNDONE);
            header.flags_and_id(0, id);
            header.finish(out, why)
        }
        Message::Mark { source, target, mark } => {
            let mut header = Writer::new(kind::MARK);
            header.number(u64::from(source.0));
            header.number(u64::from(target.0));
            header.number(mark.born.0);
            header.number(mark.trans.0);
            header.finish(out, &NONE)
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

fn encode_request<'a>(
    out: &mut BytesMut,
    kind: u8,
    request: &'a Request<Bytes>,
) -> Result<&'a Bytes, WireError> {
    let Request { id, born, target, mark, attempt, cancellable, body } = request;
    let born_apart = id.origin != Origin::Incarnation(*born);
    let mark_apart = mark.born != *born;
    let mut header = Writer::new(kind);
    let flags = flag(flags::CANCELLABLE, *cancellable)
        | flag(flags::BORN, born_apart)
        | flag(flags::MARK_BORN, mark_apart)
        | flag(flags::ATTEMPT, *attempt > 0);
    header.flags_and_id(flags, id);
    if born_apart {
        header.number(born.0);
    }
    header.number(u64::from(target.0));
    if mark_apart {
        header.number(mark.born.0);
    }
    // The mark follows the ids closely.
    header.number(id.trans.0.wrapping_sub(mark.trans.0));
    if *attempt > 0 {
        header.number(u64::from(*attempt));
    }
    header.finish(out, body)
}

fn flag(flag: u8, set: bool) -> u8 {
    if set { flag } else { 0 }
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
