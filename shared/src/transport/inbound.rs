//! The way into a link: what arrived on its streams, cut into frames.

use bytes::Bytes;
use quinn::{Connection, ReadError, RecvStream};

use super::error::{LinkError, in_words};
use crate::wire::{Decoder, Frame};

/// Chunks taken from a stream at once. A chunk is what came in one packet.
const CHUNKS_AT_ONCE: usize = 32;

/// What arrives on a link.
pub(super) struct Inbound {
    main: Option<Incoming>,
    bulk: Option<Incoming>,
}

struct Incoming {
    stream: RecvStream,
    decoder: Decoder,
    /// What was read last; here and not on the stack, so that it is not moved about with each poll.
    chunks: [Bytes; CHUNKS_AT_ONCE],
}

impl Inbound {
    pub(super) fn new(main: RecvStream) -> Self {
        Self { main: Some(Incoming::new(main)), bulk: None }
    }

    /// Waits until at least one frame is complete and appends all that are. Safe to cancel.
    pub(super) async fn receive(
        &mut self,
        connection: &Connection,
        into: &mut Vec<Frame>,
    ) -> Result<(), LinkError> {
        let before = into.len();
        while into.len() == before {
            // Polled in this order: large bodies never go before small messages that have arrived as well.
            tokio::select! {
                biased;
                count = read(&mut self.main) => feed(&mut self.main, count?, into)?,
                count = read(&mut self.bulk) => feed(&mut self.bulk, count?, into)?,
                stream = connection.accept_uni(), if self.bulk.is_none() => match stream {
                    Ok(stream) => self.bulk = Some(Incoming::new(stream)),
                    Err(error) => return Err(LinkError::Closed { reason: in_words(&error) }),
                },
                error = connection.closed(), if self.main.is_none() => {
                    return Err(LinkError::Closed { reason: in_words(&error) });
                }
            }
        }
        Ok(())
    }
}

impl Incoming {
    fn new(stream: RecvStream) -> Self {
        Self { stream, decoder: Decoder::default(), chunks: [const { Bytes::new() }; CHUNKS_AT_ONCE] }
    }
}

/// Reads what has arrived on a stream and says how many chunks that is, none at its end; waits for ever if there
/// is no stream.
async fn read(incoming: &mut Option<Incoming>) -> Result<Option<usize>, LinkError> {
    let Some(incoming) = incoming else { return std::future::pending().await };
    incoming.stream.read_chunks(&mut incoming.chunks).await.map_err(|error| match error {
        ReadError::ConnectionLost(error) => LinkError::Closed { reason: in_words(&error) },
        error => LinkError::Closed { reason: error.to_string() },
    })
}

/// Cuts what was read into frames; takes the stream away at its end.
fn feed(
    incoming: &mut Option<Incoming>,
    count: Option<usize>,
    into: &mut Vec<Frame>,
) -> Result<(), LinkError> {
    let Some(open) = incoming else { return Ok(()) };
    match count {
        Some(count) => {
            for chunk in &mut open.chunks[..count] {
                open.decoder.feed(std::mem::take(chunk), into)?;
            }
        }
        None if open.decoder.is_between_frames() => *incoming = None,
        None => {
            return Err(LinkError::Closed { reason: "the peer ended in the middle of a frame".to_owned() });
        }
    }
    Ok(())
}
