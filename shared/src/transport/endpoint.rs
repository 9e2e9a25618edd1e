//! An endpoint: where a process makes and takes links.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use quinn::{AsyncUdpSocket, Connection, ReadExactError, RecvStream, Runtime, SendStream, TokioRuntime};
use rustls::pki_types::CertificateDer;
use tokio::task::JoinSet;

use super::config::QuicConfigs;
use super::doorman::Doorman;
use super::error::{CloseCode, LinkError, advice, close, in_words, not_made, not_tried};
use super::faults::FaultySocket;
use super::link::Link;
use crate::defect::LinkRule;
use crate::limits::{HANDSHAKE_TIMEOUT, LINKS_MAX};
use crate::tls::{Grant, Identity, SERVER_NAME, peer_grant};
use crate::wire::{OPENING_BYTES, PROTOCOL_VERSION, decode_opening, encode_opening};

/// With so many handshakes under way, a peer must first show that it is where it says it is.
const HANDSHAKES_BEFORE_VALIDATION: usize = 16;

/// The notices of a close leave within the next turns of the connections' own tasks.
const FAREWELL: Duration = Duration::from_millis(5);

/// Where a process makes and takes links. Clones are the same endpoint.
#[derive(Clone)]
pub struct Endpoint {
    quinn: quinn::Endpoint,
    socket: Arc<FaultySocket>,
    shared: Arc<Shared>,
}

struct Shared {
    cluster: String,
    /// Handshakes under way.
    opening: tokio::sync::Mutex<JoinSet<Result<Link, Refused>>>,
    doorman: Doorman,
}

/// Somebody who was turned away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it spoke from.
    pub address: SocketAddr,
    /// Who it is, if it has shown a certificate of this cluster.
    pub peer: Option<Grant>,
    /// Why it was turned away.
    pub reason: String,
}

impl Endpoint {
    /// Listens on an address; port 0 takes a free one. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// If the address is taken or the identity can't be used.
    pub fn bind(identity: &Identity, address: SocketAddr) -> Result<Self, LinkError> {
        let bind = |error: std::io::Error| LinkError::Bind { address, reason: error.to_string() };
        let socket = UdpSocket::bind(address).map_err(bind)?;
        let socket = TokioRuntime.wrap_udp_socket(socket).map_err(bind)?;
        Self::bind_on(identity, socket)
    }

    /// The same on a socket of the caller's: the place where a network of the caller's own can be put in between.
    ///
    /// # Errors
    /// If the socket or the identity can't be used.
    pub fn bind_on(identity: &Identity, socket: Arc<dyn AsyncUdpSocket>) -> Result<Self, LinkError> {
        let address = socket.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)));
        let configs = QuicConfigs::new(identity)?;
        let socket = FaultySocket::over(socket);
        let mut quinn = quinn::Endpoint::new_with_abstract_socket(
            configs.endpoint,
            Some(configs.server),
            socket.clone(),
            Arc::new(TokioRuntime),
        )
        .map_err(|error| LinkError::Bind { address, reason: error.to_string() })?;
        quinn.set_default_client_config(configs.client);
        let shared = Shared {
            cluster: identity.cluster().to_owned(),
            opening: tokio::sync::Mutex::default(),
            doorman: Doorman::default(),
        };
        Ok(Self { quinn, socket, shared: Arc::new(shared) })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// If the operating system does not say.
    pub fn local_address(&self) -> Result<SocketAddr, LinkError> {
        self.quinn.local_addr().map_err(|error| LinkError::Closed { reason: error.to_string() })
    }

    /// Makes a link. When this returns the peer has accepted this side's certificate and version. Where nobody
    /// listens it takes until the handshake's time-out to find out; dropping it before is safe.
    ///
    /// # Errors
    /// If nobody answers, or one side refuses the other; the error says why.
    pub async fn connect(&self, address: SocketAddr) -> Result<Link, LinkError> {
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, self.open_outgoing(address)).await {
            Ok(result) => result,
            Err(_) => Err(LinkError::Connect {
                address,
                reason: format!("nobody answered within {} s", HANDSHAKE_TIMEOUT.as_secs()),
            }),
        }
    }

    /// Waits for the next peer that has made a link; none once the endpoint is closed. Handshakes go on at once
    /// beside each other, so that a peer that is slow or hostile delays nobody. Safe to cancel.
    pub async fn accept(&self) -> Option<Link> {
        let mut opening = self.shared.opening.lock().await;
        loop {
            tokio::select! {
                incoming = self.quinn.accept() => self.take(incoming?, &mut opening),
                Some(done) = opening.join_next() => match done {
                    Ok(Ok(link)) => return Some(link),
                    Ok(Err(refused)) => self.shared.doorman.refused(refused),
                    Err(error) => tracing::error!(%error, "a handshake panicked"),
                },
            }
        }
    }

    /// Sets who is told of peers that were turned away; of a flood of them only of some.
    pub fn set_on_refused(&self, tell: impl Fn(Refused) + Send + Sync + 'static) {
        self.shared.doorman.set_on_refused(Box::new(tell));
    }

    /// Sets the faults of its links, in the place of those that were set before; none heals all. They lie below QUIC, in
    /// the socket: links over a fault lose packets, or time out, as over a network that has it. `seed` is that of
    /// chance, and counts the first time. Must be called on a tokio runtime.
    pub fn set_faults(&self, rules: Vec<LinkRule>, seed: u64) {
        self.socket.set(rules, seed);
    }

    /// Closes all links at once and gives the peers' notices the time to leave. What was sent just before may be
    /// lost; close a link itself first to be sure of it.
    pub async fn close(&self) {
        self.quinn.close(CloseCode::Done.into(), b"the peer's process ends");
        // QUIC would linger for three probe time-outs, most of a tenth of a second, in case a notice was lost. A peer
        // that misses it learns of the end at its idle time-out.
        let _ = tokio::time::timeout(FAREWELL, self.quinn.wait_idle()).await;
    }

    /// Begins the handshake with somebody who knocks, or turns it away.
    fn take(&self, incoming: quinn::Incoming, opening: &mut JoinSet<Result<Link, Refused>>) {
        let address = incoming.remote_address();
        if self.quinn.open_connections() >= LINKS_MAX {
            incoming.refuse();
            self.shared.doorman.refused(Refused {
                address,
                peer: None,
                reason: format!("{LINKS_MAX} links are open, which is the limit"),
            });
        } else if opening.len() >= HANDSHAKES_BEFORE_VALIDATION && incoming.may_retry() {
            // It can retry, so this can't fail.
            let _ = incoming.retry();
        } else {
            let shared = self.shared.clone();
            opening.spawn(async move {
                let mut peer = None;
                let mut given_up = shared.doorman.begin(address);
                let opened = open_incoming(incoming, &shared, &mut peer);
                let result = tokio::select! {
                    opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, opened) => opened.unwrap_or_else(|_| {
                        Err(format!("the handshake took longer than {} s", HANDSHAKE_TIMEOUT.as_secs()))
                    }),
                    _ = &mut given_up => Err("its handshake gave way to those of many others".to_owned()),
                };
                result.map_err(|reason| Refused { address, peer, reason })
            });
        }
    }

    async fn open_outgoing(&self, address: SocketAddr) -> Result<Link, LinkError> {
        let connection = self
            .quinn
            .connect(address, SERVER_NAME)
            .map_err(|error| not_tried(address, &error))?
            .await
            .map_err(|error| not_made(address, &error))?;
        let lost = |error| not_made(address, &error);
        let refuse = |reason: String| {
            close(&connection, CloseCode::Refused, &reason);
            LinkError::Refused { address, reason }
        };
        let peer = grant_of(&connection, &self.shared.cluster).map_err(refuse)?;
        let (mut send, mut receive) = connection.open_bi().await.map_err(lost)?;
        // That this can be written does not mean that the peer accepts the certificate: its answer does.
        let _ = send.write_all(&encode_opening(PROTOCOL_VERSION)).await;
        match read_opening(&mut receive).await {
            Ok(Some(PROTOCOL_VERSION)) => Ok(Link::new(connection, peer, (send, receive))),
            Ok(other) => Err(refuse(other_version(other))),
            Err(()) => Err(lost(connection.closed().await)),
        }
    }
}

/// Does the handshake and the opening with somebody who knocks. `peer` is filled in as soon as it is known.
async fn open_incoming(
    incoming: quinn::Incoming,
    shared: &Shared,
    peer: &mut Option<Grant>,
) -> Result<Link, String> {
    let in_words = |error| format!("{}{}", in_words(&error), advice(&error));
    let connection = incoming.accept().map_err(in_words)?.await.map_err(in_words)?;
    let refuse = |reason: String| {
        close(&connection, CloseCode::Refused, &reason);
        reason
    };
    let grant = grant_of(&connection, &shared.cluster).map_err(refuse)?;
    *peer = Some(grant.clone());
    let (mut send, mut receive): (SendStream, RecvStream) = connection.accept_bi().await.map_err(in_words)?;
    match read_opening(&mut receive).await {
        Ok(Some(PROTOCOL_VERSION)) => {
            let welcomed = send.write_all(&encode_opening(PROTOCOL_VERSION)).await;
            welcomed.map_err(|error| format!("it left during the opening: {error}"))?;
            let link = Link::new(connection, grant, (send, receive));
            shared.doorman.let_in(&link);
            Ok(link)
        }
        Ok(other) => Err(refuse(other_version(other))),
        Err(()) => Err(refuse("it ended its stream before the opening was done".to_owned())),
    }
}

/// The version the peer speaks, if it speaks palib; an error if the stream ended before it said so.
async fn read_opening(receive: &mut RecvStream) -> Result<Option<u16>, ()> {
    let mut bytes = [0; OPENING_BYTES];
    match receive.read_exact(&mut bytes).await {
        Ok(()) => Ok(decode_opening(bytes)),
        Err(ReadExactError::FinishedEarly(_) | ReadExactError::ReadError(_)) => Err(()),
    }
}

fn other_version(theirs: Option<u16>) -> String {
    match theirs {
        Some(theirs) => format!(
            "the two sides speak different versions of palib's protocol, {PROTOCOL_VERSION} and {theirs}; \
             start both from the same palib"
        ),
        None => "the other side does not speak palib's protocol".to_owned(),
    }
}

/// Who the peer is, from the certificate it has shown in the handshake.
fn grant_of(connection: &Connection, cluster: &str) -> Result<Grant, String> {
    let chain = connection
        .peer_identity()
        .and_then(|identity| identity.downcast::<Vec<CertificateDer<'static>>>().ok());
    peer_grant(cluster, chain.as_deref().map_or(&[], Vec::as_slice)).map_err(|error| error.to_string())
}
