//! A call that is not durable, for scale: palib's frames over palib's links, and nothing kept.
//!
//! palib itself has no such call: an outcome is always registered before it is sent. What this shows is how much
//! of a call is the way and how much the store.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use palib::core::ids::{AliasId, CallId, Incarnation, Mark, Origin, TransId};
use palib::core::message::{Message, Outcome, Request};
use palib::transport::{Endpoint, Link, LinkError};
use palib::wire::Frame;

use super::limit::{BODY_BYTES, Certificates};
use super::load::{Load, Meter};
use super::part;

fn endpoint(certificates: &Path) -> Result<Endpoint, String> {
    let identity = Certificates::at(certificates).identity()?;
    Endpoint::bind(&identity, part::ANY_PORT).map_err(|error| error.to_string())
}

pub(super) async fn server(certificates: &Path) -> Result<(), String> {
    let endpoint = endpoint(certificates)?;
    part::say(endpoint.local_address().map_err(|error| error.to_string())?);
    let accepting = async {
        while let Some(link) = endpoint.accept().await {
            tokio::spawn(async move {
                // Ends with the link.
                let _ = echo(&link).await;
            });
        }
    };
    tokio::select! {
        () = accepting => Ok(()),
        () = part::told_to_end() => Ok(()),
    }
}

async fn echo(link: &Link) -> Result<(), LinkError> {
    let mut frames = Vec::new();
    loop {
        link.receive(&mut frames).await?;
        for frame in frames.drain(..) {
            if let Frame::Message(Message::Request(Request { id, .. })) = frame {
                let outcome = Outcome::Reply(Bytes::from_static(&[0; 8]));
                link.send_message(&Message::Answer { id, outcome, redundant: false })?;
            }
        }
    }
}

pub(super) async fn client(certificates: &Path, address: SocketAddr, load: Load) -> Result<(), String> {
    let endpoint = endpoint(certificates)?;
    let link = endpoint.connect(address).await.map_err(|error| error.to_string())?;
    let body = Bytes::from_static(&[7; BODY_BYTES]);
    let (mut trans, mut sent, mut frames) = (0, HashMap::new(), Vec::new());
    let mut meter = Meter::start(load);
    let mut free = load.in_flight;
    while !meter.is_over() {
        for _ in 0..free {
            trans += 1;
            sent.insert(trans, Instant::now());
            link.send_message(&request(trans, body.clone())).map_err(|error| error.to_string())?;
        }
        free = 0;
        link.receive(&mut frames).await.map_err(|error| error.to_string())?;
        for frame in frames.drain(..) {
            if let Frame::Message(Message::Answer { id, .. }) = frame
                && let Some(sent) = sent.remove(&id.trans.0)
            {
                free += 1;
                meter.note(sent);
            }
        }
    }
    part::say(serde_json::to_string(&meter.measured()).map_err(|error| error.to_string())?);
    Ok(())
}

fn request(trans: u64, body: Bytes) -> Message<Bytes> {
    let born = Incarnation(1);
    Message::Request(Request {
        id: CallId { source: AliasId(1), origin: Origin::Incarnation(born), trans: TransId(trans) },
        born,
        target: AliasId(2),
        mark: Mark { born, trans: TransId(trans) },
        attempt: 0,
        cancellable: false,
        body,
    })
}
