//! A peer with a good certificate that keeps to no rule. It speaks QUIC by itself, and palib as it likes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use palib::core::ids::{AliasId, CallId, Incarnation, Mark, Origin, TransId};
use palib::core::message::{Message, Refusal, Request};
use palib::tls::{Identity, SERVER_NAME};
use palib::transport::QuicConfigs;
use palib::wire::{Decoder, Frame, PROTOCOL_VERSION, encode_message, encode_opening};
use quinn::{Connection, RecvStream, SendStream};

use crate::victim::{ATTACKER, COUNTER, Told};

pub(crate) const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

pub(crate) struct Attacker {
    endpoint: quinn::Endpoint,
    victim: SocketAddr,
}

/// A link it has made.
pub(crate) struct Attack {
    pub(crate) connection: Connection,
    pub(crate) send: SendStream,
    pub(crate) receive: RecvStream,
}

impl Attacker {
    pub(crate) fn new(told: &Told) -> Self {
        let mut endpoint = quinn::Endpoint::client(ANY).expect("bound");
        endpoint.set_default_client_config(QuicConfigs::new(&identity(told)).expect("usable").client);
        Self { endpoint, victim: told.address }
    }

    /// A connection that says nothing, if the victim lets it.
    pub(crate) async fn knock(&self) -> Option<Connection> {
        self.endpoint.connect(self.victim, SERVER_NAME).expect("tried").await.ok()
    }

    pub(crate) async fn link(&self) -> Attack {
        let connection = self.knock().await.expect("connected");
        let (mut send, mut receive) = connection.open_bi().await.expect("opened");
        send.write_all(&encode_opening(PROTOCOL_VERSION)).await.expect("written");
        let mut welcome = [0; 7];
        receive.read_exact(&mut welcome).await.expect("welcomed");
        Attack { connection, send, receive }
    }
}

pub(crate) fn identity(told: &Told) -> Identity {
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a readable file");
    let ticket = &told.attacker;
    let issued = palib::tls::IssuedPem { certificate: read(&ticket.certificate), key: read(&ticket.key) };
    Identity::from_pem(&issued, &read(&ticket.authority)).expect("usable")
}

/// A request of the attacker's, framed.
pub(crate) fn request(born: u64, trans: u64, body: Bytes) -> Bytes {
    let born = Incarnation(born);
    let id = CallId { source: AliasId(ATTACKER.1), origin: Origin::Incarnation(born), trans: TransId(trans) };
    let mark = Mark { born: Incarnation(1), trans: TransId(0) };
    let target = AliasId(COUNTER.1);
    let request = Request { id, born, target, mark, attempt: 0, cancellable: false, body };
    let mut frame = BytesMut::new();
    encode_message(&mut frame, &Message::Request(request)).expect("within the limits");
    frame.freeze()
}

/// Reads refusals until there is one of this kind; none if the link ends before.
pub(crate) async fn until_refused(receive: &mut RecvStream, wanted: Refusal) -> Option<()> {
    let (mut decoder, mut frames) = (Decoder::default(), Vec::new());
    loop {
        let chunk = receive.read_chunk(1 << 16, true).await.ok()??;
        decoder.feed(chunk.bytes, &mut frames).expect("the victim keeps to the rules");
        for frame in frames.drain(..) {
            if matches!(frame, Frame::Message(Message::Refused { refusal, .. }) if refusal == wanted) {
                return Some(());
            }
        }
    }
}
