//! The settings of QUIC, in one place.

use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{
    AckFrequencyConfig, ClientConfig, EndpointConfig, IdleTimeout, ServerConfig, TransportConfig, VarInt,
};

use crate::limits::{HANDSHAKE_TIMEOUT, LINK_IDLE_TIMEOUT};
use crate::tls::{Identity, TlsError};

/// Bytes of all streams of a link that its receiver holds without having read them. A frame may be longer: it
/// is read piece by piece.
const RECEIVE_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of one stream that its receiver holds without having read them: less than those of the link, so that
/// no stream can shut out the other.
const STREAM_RECEIVE_WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes that were sent and not acknowledged yet, kept in case they are lost.
const SEND_WINDOW_BYTES: u64 = 4 * 1024 * 1024;
/// Attempts to connect that wait to be looked at; further ones are refused.
const INCOMING_MAX: usize = 128;
/// Bytes kept for one of these attempts, and for all.
const INCOMING_BYTES: u64 = 16 * 1024;
const INCOMING_BYTES_TOTAL: u64 = 1024 * 1024;
/// The round trip that is assumed until one was measured. The default of a third of a second would make the
/// first lost packet of a handshake cost a second; on one machine a round trip takes 0.1 ms.
const INITIAL_RTT: Duration = Duration::from_millis(20);
/// Packets that may come before their receiver acknowledges them at once. Most are answered within the millisecond, and the
/// acknowledgement goes with the answer: sent alone it costs each side a packet and a wake-up for every batch of calls.
const PACKETS_UNACKNOWLEDGED_MAX: u32 = 8;

/// The settings of an endpoint.
#[doc(hidden)]
pub struct QuicConfigs {
    /// For both sides.
    pub endpoint: EndpointConfig,
    /// For connections that are taken.
    pub server: ServerConfig,
    /// For connections that are made.
    pub client: ClientConfig,
}

impl QuicConfigs {
    /// The settings under which an identity is used.
    ///
    /// # Errors
    /// If certificate and key do not go together.
    pub fn new(identity: &Identity) -> Result<Self, TlsError> {
        let unusable = |error: quinn::crypto::rustls::NoInitialCipherSuite| TlsError::Unusable {
            reason: error.to_string(),
        };
        let transport = Arc::new(transport());

        let crypto = QuicServerConfig::try_from(identity.server_config()?).map_err(unusable)?;
        let mut server = ServerConfig::with_crypto(Arc::new(crypto));
        server
            .transport_config(transport.clone())
            .migration(false)
            .max_incoming(INCOMING_MAX)
            .incoming_buffer_size(INCOMING_BYTES)
            .incoming_buffer_size_total(INCOMING_BYTES_TOTAL)
            .retry_token_lifetime(HANDSHAKE_TIMEOUT);

        let crypto = QuicClientConfig::try_from(identity.client_config()?).map_err(unusable)?;
        let mut client = ClientConfig::new(Arc::new(crypto));
        client.transport_config(transport);

        Ok(Self { endpoint: EndpointConfig::default(), server, client })
    }
}

fn transport() -> TransportConfig {
    let mut config = TransportConfig::default();
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.ack_eliciting_threshold(VarInt::from_u32(PACKETS_UNACKNOWLEDGED_MAX));
    let idle_ms = u32::try_from(LINK_IDLE_TIMEOUT.as_millis()).unwrap_or(u32::MAX);
    config
        // One stream of frames, opened by the side that connects, and each side's own for large bodies.
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        .max_concurrent_uni_streams(VarInt::from_u32(1))
        .receive_window(VarInt::from_u32(RECEIVE_WINDOW_BYTES))
        .stream_receive_window(VarInt::from_u32(STREAM_RECEIVE_WINDOW_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(idle_ms))))
        .keep_alive_interval(Some(LINK_IDLE_TIMEOUT / 4))
        .initial_rtt(INITIAL_RTT)
        .ack_frequency_config(Some(acknowledgements));
    config
}
