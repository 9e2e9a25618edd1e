//! The client of the limit: as many requests in flight as it is told, one sent for each that is answered.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use palib::clock;
use palib::tls::SERVER_NAME;
use quinn::{Connection, RecvStream, SendStream};

use super::{BODY_BYTES, Certificates, Frames, GREETING, READY, put_frame};
use crate::bench::load::{Load, Measured, Meter};
use crate::bench::part;

/// One connection with its stream.
struct Stream {
    // Kept open by being held.
    _connection: Connection,
    send: SendStream,
    receive: RecvStream,
    frames: Frames,
}

impl Stream {
    async fn open(endpoint: &quinn::Endpoint, address: SocketAddr) -> Result<Self, String> {
        let words = |error: &dyn std::fmt::Display| format!("the server of the limit at {address}: {error}");
        let connecting = endpoint.connect(address, SERVER_NAME).map_err(|error| words(&error))?;
        let connection = connecting.await.map_err(|error| words(&error))?;
        let (send, receive) = connection.open_bi().await.map_err(|error| words(&error))?;
        Ok(Self { _connection: connection, send, receive, frames: Frames::default() })
    }

    async fn request(&mut self, number: &mut u64, count: usize) -> Result<(), String> {
        let mut out = BytesMut::with_capacity(count * (12 + BODY_BYTES));
        for _ in 0..count {
            *number += 1;
            put_frame(&mut out, *number, &[7; BODY_BYTES]);
        }
        self.send.write_chunk(out.freeze()).await.map_err(|error| error.to_string())
    }

    /// Waits for frames and tells the number of each.
    async fn replies(&mut self, mut each: impl FnMut(u64)) -> Result<(), String> {
        let mut chunks = [const { Bytes::new() }; 32];
        match self.receive.read_chunks(&mut chunks).await {
            Ok(Some(count)) => {
                for chunk in &chunks[..count] {
                    self.frames.feed(chunk, |number, _| each(number));
                }
                Ok(())
            }
            Ok(None) => Err("the server of the limit has ended its stream".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn endpoint(certificates: &Path) -> Result<quinn::Endpoint, String> {
    let configs = Certificates::at(certificates).configs()?;
    let mut endpoint = quinn::Endpoint::client(part::ANY_PORT).map_err(|error| error.to_string())?;
    endpoint.set_default_client_config(configs.client);
    Ok(endpoint)
}

/// Loads a server of the limit and says on standard output what was measured.
pub(crate) async fn run(certificates: &Path, address: SocketAddr, load: Load) -> Result<(), String> {
    let endpoint = endpoint(certificates)?;
    let mut stream = Stream::open(&endpoint, address).await?;
    let mut meter = Meter::start(load);
    let (mut number, mut sent) = (GREETING, VecDeque::new());
    let mut free = load.in_flight;
    while !meter.is_over() {
        let now = Instant::now();
        sent.extend(std::iter::repeat_n(now, free));
        stream.request(&mut number, free).await?;
        free = 0;
        let replied = |_| {
            free += 1;
            // Replies come in the order of the requests.
            if let Some(sent) = sent.pop_front() {
                meter.note(sent);
            }
        };
        stream.replies(replied).await?;
    }
    part::say(serde_json::to_string(&meter.measured()).map_err(|error| error.to_string())?);
    Ok(())
}

/// Calls one server until it is dead and then the other, and says when that one first replied.
pub(crate) async fn run_blackout(
    certificates: &Path,
    active: SocketAddr,
    backup: SocketAddr,
) -> Result<(), String> {
    let endpoint = endpoint(certificates)?;
    let mut active = Stream::open(&endpoint, active).await?;
    let mut backup = Stream::open(&endpoint, backup).await?;
    // The backup sees a stream only when something was sent on it.
    let mut greeting = BytesMut::new();
    put_frame(&mut greeting, GREETING, &[0; BODY_BYTES]);
    backup.send.write_chunk(greeting.freeze()).await.map_err(|error| error.to_string())?;
    let mut number = GREETING;
    part::say("calling");
    loop {
        active.request(&mut number, 1).await?;
        let mut ready = false;
        tokio::select! {
            replied = active.replies(|_| {}) => replied?,
            told = backup.replies(|number| ready = number == READY) => told?,
        }
        if ready {
            break;
        }
    }
    backup.request(&mut number, 1).await?;
    backup.replies(|_| {}).await?;
    let measured = Measured { first_reply_ns: clock::monotonic_ns(), ..Measured::default() };
    part::say(serde_json::to_string(&measured).map_err(|error| error.to_string())?);
    Ok(())
}
