//! The way out of a link: buffers that senders fill, and tasks that write them.
//!
//! A sender encodes its frame straight into a buffer and never waits. The writer takes the whole buffer at once,
//! so that frames that gather while it writes go out together: the busier a link, the fewer packets per frame.
//! Large messages wait one by one, by reference.
//!
//! Senders may be faster than the writer, which gets no turn while a burst goes on. A burst says nothing about the
//! peer: what finds no room is refused by itself, and the peer is too slow only if it takes nothing for a while.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use palib_core::message::Message;
use parking_lot::Mutex;
use quinn::SendStream;
use tokio::sync::Notify;

use super::bulk::{Bulk, Large};
use super::error::LinkError;
use crate::limits::{LINK_QUEUE_BYTES_MAX, LINK_QUEUE_LARGE_BYTES_MAX, LINK_STALLED_MAX};
use crate::wire::WireError;

/// Which of a link's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// All control messages, and messages with a small body: one after another, in the order they were sent.
    Main = 0,
    /// Messages with a large body.
    Bulk = 1,
}

/// What waits to be sent on a link.
#[derive(Default)]
pub(super) struct Outbound {
    state: Mutex<State>,
    wake: [Notify; 2],
    /// Told when nothing more may be sent.
    closing: Notify,
}

#[derive(Default)]
struct State {
    /// The frames of the main lane.
    main: BytesMut,
    /// Bytes of the main lane that its writer has taken and QUIC has not accepted yet.
    writing_bytes: usize,
    bulk: Bulk,
    /// Whether a lane's writer waits to be woken.
    idle: [bool; 2],
    /// Since when there is no room, if QUIC has accepted nothing meanwhile: it does so as the peer takes something.
    full_since: Option<Instant>,
    /// Why nothing more may be sent.
    closed: Option<String>,
}

impl Outbound {
    /// Appends what `encode` writes to the main lane, and wakes its writer.
    pub(super) fn push(
        &self,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), WireError>,
    ) -> Result<(), LinkError> {
        let mut state = self.state.lock();
        state.is_open()?;
        let before = state.main.len();
        encode(&mut state.main)?;
        if state.bytes() > LINK_QUEUE_BYTES_MAX {
            state.main.truncate(before);
            return Err(state.no_room());
        }
        let wake = std::mem::take(&mut state.idle[Lane::Main as usize]);
        drop(state);
        if wake {
            self.wake[Lane::Main as usize].notify_one();
        }
        Ok(())
    }

    /// Puts a message into the lane for large ones, and wakes its writer.
    pub(super) fn push_large(&self, message: &Message<Bytes>) -> Result<(), LinkError> {
        let mut state = self.state.lock();
        state.is_open()?;
        if state.bulk.holds(message) {
            return Ok(());
        }
        let frame = Large::new(message)?;
        if state.bytes() + frame.bytes() > LINK_QUEUE_LARGE_BYTES_MAX {
            return Err(state.no_room());
        }
        state.bulk.push(frame);
        let wake = std::mem::take(&mut state.idle[Lane::Bulk as usize]);
        drop(state);
        if wake {
            self.wake[Lane::Bulk as usize].notify_one();
        }
        Ok(())
    }

    /// Lets nothing more in. What is in is still sent. The first reason counts.
    pub(super) fn close(&self, reason: &str) {
        self.state.lock().close(reason);
        for wake in self.wake.iter().chain([&self.closing]) {
            wake.notify_one();
        }
    }

    /// Lets nothing more in, and drops what is in: nobody may send it any more, and the memory is wanted now.
    pub(super) fn give_up(&self, reason: &str) {
        {
            let mut state = self.state.lock();
            state.main = BytesMut::new();
            state.bulk = Bulk::default();
        }
        self.close(reason);
    }

    /// Why nothing more may be sent, if so.
    pub(super) fn closed(&self) -> Option<String> {
        self.state.lock().closed.clone()
    }

    /// Waits until nothing more may be sent. Meant for one task.
    pub(super) async fn until_closed(&self) {
        self.closing.notified().await;
    }

    /// Writes what comes into a lane until the link is closed and the lane is empty.
    pub(super) async fn write(&self, lane: Lane, stream: &mut SendStream) -> Result<(), quinn::WriteError> {
        while let Some(mut parts) = self.next(lane).await {
            while parts.iter().any(|part| !part.is_empty()) {
                let bytes = stream.write_chunks(&mut parts).await?.bytes;
                self.state.lock().wrote(lane, bytes);
            }
        }
        Ok(())
    }

    /// Waits until there is something to write, or until there will never be: then false.
    pub(super) async fn ready(&self, lane: Lane) -> bool {
        loop {
            {
                let mut state = self.state.lock();
                if state.waits(lane) {
                    return true;
                }
                if state.closed.is_some() {
                    return false;
                }
                state.idle[lane as usize] = true;
            }
            self.wake[lane as usize].notified().await;
        }
    }

    /// All that has gathered in the main lane, or the first large message; none once the link is closed and the lane
    /// is empty.
    async fn next(&self, lane: Lane) -> Option<[Bytes; 2]> {
        if !self.ready(lane).await {
            return None;
        }
        let mut state = self.state.lock();
        match lane {
            Lane::Main => {
                let chunk = state.main.split().freeze();
                state.writing_bytes = chunk.len();
                Some([chunk, Bytes::new()])
            }
            Lane::Bulk => state.bulk.first(),
        }
    }
}

impl State {
    fn is_open(&self) -> Result<(), LinkError> {
        match &self.closed {
            Some(reason) => Err(LinkError::Closed { reason: reason.clone() }),
            None => Ok(()),
        }
    }

    fn close(&mut self, reason: &str) {
        self.closed.get_or_insert_with(|| reason.to_owned());
    }

    fn waits(&self, lane: Lane) -> bool {
        match lane {
            Lane::Main => !self.main.is_empty(),
            Lane::Bulk => self.bulk.bytes() > 0,
        }
    }

    /// All that waits, in both lanes.
    fn bytes(&self) -> usize {
        self.main.len() + self.writing_bytes + self.bulk.bytes()
    }

    /// What it means that there is no room: most likely that the sender was faster than the writer.
    fn no_room(&mut self) -> LinkError {
        let bytes = self.bytes();
        let full_for = self.full_since.get_or_insert_with(Instant::now).elapsed();
        if full_for < LINK_STALLED_MAX { LinkError::NoRoom { bytes } } else { LinkError::TooSlow { bytes } }
    }

    /// QUIC has accepted so much of a lane.
    fn wrote(&mut self, lane: Lane, bytes: usize) {
        self.full_since = None;
        match lane {
            Lane::Main => self.writing_bytes -= bytes,
            Lane::Bulk => self.bulk.wrote(bytes),
        }
    }
}
