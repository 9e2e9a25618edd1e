//! Large messages that wait to be sent on a link: by reference, so that a burst of them copies no body.

use std::collections::VecDeque;
use std::mem::{Discriminant, discriminant};

use bytes::{Bytes, BytesMut};
use palib_core::ids::CallId;
use palib_core::message::Message;

use crate::wire::{WireError, encode_head};

/// The large messages that QUIC has not accepted yet, in the order they were sent.
#[derive(Default)]
pub(super) struct Bulk {
    frames: VecDeque<Large>,
    bytes: usize,
}

/// A frame, in its two parts.
pub(super) struct Large {
    of: Of,
    head: Bytes,
    body: Bytes,
    /// Bytes of both that QUIC has not accepted yet.
    left: usize,
}

/// Which message it is: its kind, and its call.
type Of = (Discriminant<Message<Bytes>>, Option<CallId>);

impl Large {
    pub(super) fn new(message: &Message<Bytes>) -> Result<Self, WireError> {
        let mut head = BytesMut::new();
        let body = encode_head(&mut head, message)?.clone();
        let left = head.len() + body.len();
        Ok(Self { of: of(message), head: head.freeze(), body, left })
    }

    pub(super) fn bytes(&self) -> usize {
        self.left
    }
}

impl Bulk {
    /// Whether this message waits already. Over a slow link it is said again before it was sent once, and if it then
    /// stood here twice, what is said again and again would take the place of all others.
    pub(super) fn holds(&self, message: &Message<Bytes>) -> bool {
        let of = of(message);
        self.frames.iter().any(|frame| frame.of == of)
    }

    pub(super) fn push(&mut self, frame: Large) {
        self.bytes += frame.left;
        self.frames.push_back(frame);
    }

    /// Both parts of the first frame. It stays until all of it is written.
    pub(super) fn first(&self) -> Option<[Bytes; 2]> {
        self.frames.front().map(|frame| [frame.head.clone(), frame.body.clone()])
    }

    /// QUIC has accepted so much of the first frame.
    pub(super) fn wrote(&mut self, bytes: usize) {
        // None is there if the link was given up meanwhile.
        let Some(first) = self.frames.front_mut() else { return };
        first.left -= bytes;
        self.bytes -= bytes;
        if first.left == 0 {
            self.frames.pop_front();
        }
    }

    /// Bytes that QUIC has not accepted yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn of(message: &Message<Bytes>) -> Of {
    (discriminant(message), message.id())
}

#[cfg(test)]
mod tests {
    use palib_core::ids::{AliasId, Origin, PortId, TransId};
    use palib_core::message::Outcome;

    use super::*;

    fn answer(trans: u64, body: &Bytes) -> Message<Bytes> {
        let id = CallId { source: AliasId(1), origin: Origin::Port(PortId(2)), trans: TransId(trans) };
        Message::Answer { id, outcome: Outcome::Reply(body.clone()), redundant: false }
    }

    #[test]
    fn a_message_waits_until_all_of_it_is_written_and_no_body_is_copied() {
        let body = Bytes::from(vec![7; 100]);
        let mut bulk = Bulk::default();
        for trans in [1, 2] {
            bulk.push(Large::new(&answer(trans, &body)).expect("within the limits"));
        }
        let [head, first] = bulk.first().expect("there are two");
        assert_eq!(first.as_ptr(), body.as_ptr());
        assert_eq!(bulk.bytes(), 2 * (head.len() + body.len()));
        bulk.wrote(head.len() + body.len() - 1);
        assert!(bulk.holds(&answer(1, &body)));
        bulk.wrote(1);
        assert!(!bulk.holds(&answer(1, &body)) && bulk.holds(&answer(2, &body)));
        assert_eq!(bulk.bytes(), head.len() + body.len());
    }
}
