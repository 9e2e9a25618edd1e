//! The way out of a link: buffers that senders fill, and tasks that write them.
//!
//! A sender encodes its frame straight into a buffer and never waits. The writer takes the whole buffer at once,
//! so that frames that gather while it writes go out together: the busier a link, the fewer packets per frame.

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use quinn::SendStream;
use tokio::sync::Notify;

use super::error::LinkError;
use crate::limits::LINK_QUEUE_BYTES_MAX;
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
}

#[derive(Default)]
struct State {
    lanes: [LaneState; 2],
    /// Bytes that a writer has taken and QUIC has not accepted yet.
    writing_bytes: usize,
    /// Why nothing more may be sent.
    closed: Option<String>,
}

#[derive(Default)]
struct LaneState {
    out: BytesMut,
    /// Whether the writer waits to be woken.
    idle: bool,
}

impl Outbound {
    /// Appends what `encode` writes, and wakes the lane's writer.
    pub(super) fn push(
        &self,
        lane: Lane,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), WireError>,
    ) -> Result<(), LinkError> {
        let mut state = self.state.lock();
        if let Some(reason) = &state.closed {
            return Err(LinkError::Closed { reason: reason.clone() });
        }
        encode(&mut state.lanes[lane as usize].out)?;
        let bytes = state.writing_bytes + state.lanes.iter().map(|lane| lane.out.len()).sum::<usize>();
        if bytes > LINK_QUEUE_BYTES_MAX {
            let error = LinkError::TooSlow { bytes };
            state.close(&error.to_string());
            // Nobody may send this any more; the memory is wanted now.
            state.lanes = Default::default();
            return Err(error);
        }
        let wake = std::mem::take(&mut state.lanes[lane as usize].idle);
        drop(state);
        if wake {
            self.wake[lane as usize].notify_one();
        }
        Ok(())
    }

    /// Lets nothing more in. What is in is still sent. The first reason counts.
    pub(super) fn close(&self, reason: &str) {
        self.state.lock().close(reason);
        for wake in &self.wake {
            wake.notify_one();
        }
    }

    /// Why nothing more may be sent, if so.
    pub(super) fn closed(&self) -> Option<String> {
        self.state.lock().closed.clone()
    }

    /// Writes what comes into a lane until the link is closed and the lane is empty.
    pub(super) async fn write(&self, lane: Lane, stream: &mut SendStream) -> Result<(), quinn::WriteError> {
        while let Some(chunk) = self.next(lane).await {
            let bytes = chunk.len();
            stream.write_chunk(chunk).await?;
            self.state.lock().writing_bytes -= bytes;
        }
        Ok(())
    }

    /// Waits until there is something to write, or until there will never be: then false.
    pub(super) async fn ready(&self, lane: Lane) -> bool {
        loop {
            {
                let mut state = self.state.lock();
                if !state.lanes[lane as usize].out.is_empty() {
                    return true;
                }
                if state.closed.is_some() {
                    return false;
                }
                state.lanes[lane as usize].idle = true;
            }
            self.wake[lane as usize].notified().await;
        }
    }

    /// All that has gathered in a lane; none once the link is closed and the lane is empty.
    async fn next(&self, lane: Lane) -> Option<Bytes> {
        if !self.ready(lane).await {
            return None;
        }
        let mut state = self.state.lock();
        let chunk = state.lanes[lane as usize].out.split().freeze();
        state.writing_bytes += chunk.len();
        Some(chunk)
    }
}

impl State {
    fn close(&mut self, reason: &str) {
        self.closed.get_or_insert_with(|| reason.to_owned());
    }
}
