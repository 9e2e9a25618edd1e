//! A link: what two processes send to each other.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use palib_core::message::{CancelEnd, Message, Outcome};
use quinn::{Connection, RecvStream, SendStream};
use serde::Serialize;
use tokio::task::JoinHandle;

use super::error::{CloseCode, LinkError, close, in_words};
use super::inbound::Inbound;
use super::outbound::{Lane, Outbound};
use crate::limits::LINK_STALLED_MAX;
use crate::tls::Grant;
use crate::wire::{Frame, encode_control, encode_message};

/// Messages with a longer body go on the stream for large bodies. A body of this size takes about 0.1 ms to send:
/// no more than that does a small message wait.
const SMALL_BODY_BYTES_MAX: usize = 32 * 1024;

/// How long a link that is closed here waits until the peer has what was sent before.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// A connection to another process, after both sides have shown who they are. Clones are the same link; it is
/// closed when the last one is dropped.
#[derive(Clone)]
pub struct Link {
    shared: Arc<Shared>,
}

/// A link that is not kept open by this.
pub(super) struct WeakLink(Weak<Shared>);

impl WeakLink {
    pub(super) fn upgrade(&self) -> Option<Link> {
        self.0.upgrade().map(|shared| Link { shared })
    }
}

struct Shared {
    number: u64,
    peer: Grant,
    connection: Connection,
    outbound: Arc<Outbound>,
    inbound: tokio::sync::Mutex<Inbound>,
}

impl Link {
    /// Makes a link of a connection whose opening is done, and starts its writers.
    pub(super) fn new(connection: Connection, peer: Grant, main: (SendStream, RecvStream)) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let outbound = Arc::new(Outbound::default());
        tokio::spawn(drive(connection.clone(), outbound.clone(), main.0));
        Self {
            shared: Arc::new(Shared {
                number: NUMBER.fetch_add(1, Ordering::Relaxed),
                peer,
                connection,
                outbound,
                inbound: tokio::sync::Mutex::new(Inbound::new(main.1)),
            }),
        }
    }

    /// Who the peer is, from its certificate.
    #[must_use]
    pub fn peer(&self) -> &Grant {
        &self.shared.peer
    }

    /// A number that no other link of this process has.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.shared.number
    }

    /// Where the peer is.
    #[must_use]
    pub fn remote_address(&self) -> SocketAddr {
        self.shared.connection.remote_address()
    }

    /// Sends a message. Never waits; may be called from any thread. A large one that still waits is not sent twice.
    ///
    /// # Errors
    /// If the link is closed, there is no room, the peer is too slow, or the body is over the limit.
    pub fn send_message(&self, message: &Message<Bytes>) -> Result<(), LinkError> {
        let outbound = &self.shared.outbound;
        let sent = if body_bytes(message) > SMALL_BODY_BYTES_MAX {
            outbound.push_large(message)
        } else {
            outbound.push(|out| encode_message(out, message))
        };
        if let Err(LinkError::TooSlow { bytes }) = sent {
            return Err(self.too_slow(bytes));
        }
        sent
    }

    /// Sends a control message. Never waits; may be called from any thread.
    ///
    /// # Errors
    /// If the link is closed, the peer is too slow, or the message is over the limit.
    pub fn send_control(&self, message: &impl Serialize) -> Result<(), LinkError> {
        match self.shared.outbound.push(|out| encode_control(out, message)) {
            // Control messages count on each other: one that is left out would never come again.
            Err(LinkError::NoRoom { bytes } | LinkError::TooSlow { bytes }) => Err(self.too_slow(bytes)),
            sent => sent,
        }
    }

    /// Waits until at least one frame has arrived and appends all that have. Safe to cancel. Meant for one task:
    /// of several that call it, each gets a part of the frames.
    ///
    /// # Errors
    /// If the link is closed, or the peer sent something malformed: then it is closed now.
    pub async fn receive(&self, into: &mut Vec<Frame>) -> Result<(), LinkError> {
        let mut inbound = self.shared.inbound.lock().await;
        let result = inbound.receive(&self.shared.connection, into).await;
        match &result {
            Err(LinkError::Wire(error)) => self.abort(CloseCode::Malformed, &error.to_string()),
            // Why this side has closed it says more than that it was closed here.
            Err(LinkError::Closed { .. }) => {
                if let Some(reason) = self.shared.outbound.closed() {
                    return Err(LinkError::Closed { reason });
                }
            }
            _ => {}
        }
        result
    }

    /// Closes the link and tells the peer why. What was sent before is still delivered, if the peer takes it soon.
    pub fn close(&self, reason: &str) {
        self.shared.outbound.close(reason);
    }

    /// Whether it is closed, by whichever side.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.outbound.closed().is_some() || self.shared.connection.close_reason().is_some()
    }

    /// Waits until the link is closed, by whichever side, and says why.
    pub async fn closed(&self) -> String {
        let error = self.shared.connection.closed().await;
        match error {
            quinn::ConnectionError::LocallyClosed => {
                self.shared.outbound.closed().unwrap_or_else(|| in_words(&error))
            }
            _ => in_words(&error),
        }
    }

    /// Closes the link to a peer that takes nothing.
    #[cold]
    fn too_slow(&self, bytes: usize) -> LinkError {
        let error = LinkError::TooSlow { bytes };
        self.abort(CloseCode::TooSlow, &error.to_string());
        error
    }

    /// The same link, for as long as others hold it.
    pub(super) fn downgrade(&self) -> WeakLink {
        WeakLink(Arc::downgrade(&self.shared))
    }

    /// Closes it at once.
    pub(super) fn abort(&self, code: CloseCode, reason: &str) {
        self.shared.outbound.give_up(reason);
        close(&self.shared.connection, code, reason);
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "link {} to {} at {}", self.number(), self.peer(), self.remote_address())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.outbound.close("the peer has dropped the link");
    }
}

/// Writes both streams until the link is closed from one side, and then brings it to its end.
async fn drive(connection: Connection, outbound: Arc<Outbound>, mut main: SendStream) {
    let bulk = tokio::spawn(write_bulk(connection.clone(), outbound.clone()));
    let lanes = {
        let outbound = outbound.clone();
        // A task of its own: it is woken for each batch of frames, the rest here once in a link's life.
        tokio::spawn(async move {
            if outbound.write(Lane::Main, &mut main).await.is_ok() {
                end_stream(main).await;
            }
            let _ = bulk.await;
        })
    };
    tokio::select! {
        error = connection.closed() => outbound.give_up(&in_words(&error)),
        () = end(lanes, &outbound) => {
            let reason = outbound.closed().unwrap_or_default();
            outbound.give_up(&reason);
            close(&connection, CloseCode::Done, &reason);
        }
    }
}

/// Waits until both lanes are written. From the link's close on not for long: a peer that takes nothing would else keep
/// what waits for it here for as long as it likes, in link after link.
async fn end(lanes: JoinHandle<()>, outbound: &Outbound) {
    tokio::select! {
        _ = lanes => {}
        () = async {
            outbound.until_closed().await;
            tokio::time::sleep(LINK_STALLED_MAX).await;
        } => {}
    }
}

/// Opens the stream for large bodies when there is the first one.
async fn write_bulk(connection: Connection, outbound: Arc<Outbound>) {
    if outbound.ready(Lane::Bulk).await
        && let Ok(mut stream) = connection.open_uni().await
        // Below the main stream: what is small goes first.
        && stream.set_priority(-1).is_ok()
        && outbound.write(Lane::Bulk, &mut stream).await.is_ok()
    {
        end_stream(stream).await;
    }
}

/// Ends a stream and waits until the peer has all of it.
async fn end_stream(mut stream: SendStream) {
    if stream.finish().is_ok() {
        // Whether it was taken, refused or not answered: in each case this side is done.
        let _ = tokio::time::timeout(FLUSH_TIMEOUT, stream.stopped()).await;
    }
}

fn body_bytes(message: &Message<Bytes>) -> usize {
    match message {
        // A cancellation goes the same way as its request, and after it: it has the same body.
        Message::Request(request) | Message::Cancel(request) => request.body.len(),
        Message::Answer { outcome: Outcome::Reply(body) | Outcome::Failed(body), .. } => body.len(),
        Message::CancelEnded { end: CancelEnd::NotUndone(why), .. } => why.len(),
        Message::Refused { .. }
        | Message::CancelEnded { end: CancelEnd::Cancelled { .. }, .. }
        | Message::Mark { .. } => 0,
    }
}
