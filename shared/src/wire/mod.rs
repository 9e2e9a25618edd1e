//! Frames: the length-prefixed bytes in which messages go over a link.
//!
//! A frame is a `u32` length of all that follows it (little-endian), a `u8` kind, a header whose fields its kind and
//! its flags name, and a body that takes the rest. The numbers of a header take as many bytes as they need. The
//! framing is done by hand: it takes a fraction of the time of a general encoder, and a body stays a slice of the
//! packet it came in.
//!
//! Whatever a peer sends, decoding gives frames or a [`WireError`], never a panic, and no memory is set aside for
//! a length before that length was checked.

mod decode;
mod encode;
mod header;
mod opening;

use bytes::Bytes;
use palib_core::message::Message;

pub use decode::Decoder;
pub(crate) use encode::encode_head;
pub use encode::{encode_control, encode_message};
pub(crate) use opening::OPENING_BYTES;
#[doc(hidden)]
pub use opening::{decode_opening, encode_opening};

use crate::limits::{BODY_BYTES_MAX, FRAME_BYTES_MAX};

/// The version of what goes over a link. Peers of different versions refuse each other and say why.
pub const PROTOCOL_VERSION: u16 = 3;

/// What can be received on a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A message between callers and servers.
    Message(Message<Bytes>),
    /// A control message, as JSON (see [`crate::control`]).
    Control(Bytes),
}

/// What can be wrong with a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The length in front of a frame is over the limit.
    #[error("a frame of {bytes} bytes is longer than the limit of {FRAME_BYTES_MAX}")]
    FrameTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A body is over the limit.
    #[error(
        "a body of {bytes} bytes is longer than the limit of {BODY_BYTES_MAX}; divide it into several calls"
    )]
    BodyTooLarge {
        /// Its length.
        bytes: usize,
    },
    /// A frame ends before its header does.
    #[error("a frame of kind {kind} ends within its header, {bytes} bytes after its kind")]
    Short {
        /// Its kind.
        kind: u8,
        /// What it has after its kind.
        bytes: usize,
    },
    /// A frame goes on where it should have ended.
    #[error("a frame of kind {kind} has {bytes} bytes too many")]
    Long {
        /// Its kind.
        kind: u8,
        /// How many.
        bytes: usize,
    },
    /// A frame with no kind at all.
    #[error("an empty frame")]
    Empty,
    /// A kind this version does not know.
    #[error("unknown frame kind {kind}")]
    UnknownKind {
        /// The kind.
        kind: u8,
    },
    /// A field has a value that no sender writes.
    #[error("field `{field}` of a frame of kind {kind} has the impossible value {value}")]
    BadField {
        /// The frame's kind.
        kind: u8,
        /// The field.
        field: &'static str,
        /// What stands there.
        value: u64,
    },
    /// A control message that can't be written as JSON.
    #[error("a control message can't be encoded: {reason}")]
    Unencodable {
        /// The encoder's words.
        reason: String,
    },
}

/// Kinds of frames.
mod kind {
    pub(super) const REQUEST: u8 = 1;
    pub(super) const REPLY: u8 = 2;
    pub(super) const FAILED: u8 = 3;
    pub(super) const REFUSED: u8 = 4;
    pub(super) const CONTROL: u8 = 5;
    pub(super) const CANCEL: u8 = 6;
    pub(super) const CANCELLED: u8 = 7;
    pub(super) const NOT_UNDONE: u8 = 8;
    pub(super) const MARK: u8 = 9;
}

/// The length of the length.
const LENGTH_BYTES: usize = 4;

/// What the flags of a frame say, beside the form of the id's origin.
mod flags {
    /// Of an answer: its request was recognised as redundantly sent.
    pub(super) const REDUNDANT: u8 = 1 << 1;
    /// Of a cancelled call: what it did was undone.
    pub(super) const UNDONE: u8 = 1 << 1;
    /// Of a request: its caller may cancel it.
    pub(super) const CANCELLABLE: u8 = 1 << 1;
    /// Of a request: the incarnation in which the call was first sent is not the id's, and stands behind the id.
    pub(super) const BORN: u8 = 1 << 2;
    /// Of a request: the incarnation of the mark is another one than the call's, and stands before the mark.
    pub(super) const MARK_BORN: u8 = 1 << 3;
    /// Of a request: it was sent before; how often stands last.
    pub(super) const ATTEMPT: u8 = 1 << 4;
    /// All that a request may have.
    pub(super) const OF_REQUEST: u8 = CANCELLABLE | BORN | MARK_BORN | ATTEMPT;
}
