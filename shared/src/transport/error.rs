//! Why a link can't be made, or is no more.

use std::net::SocketAddr;

use quinn::{ConnectError, ConnectionError, VarInt};

use crate::limits::LINK_IDLE_TIMEOUT;
use crate::tls::TlsError;
use crate::wire::WireError;

/// What can be wrong with a link or an endpoint.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LinkError {
    /// The endpoint's own address can't be used.
    #[error("can't listen on {address}: {reason}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The operating system's words.
        reason: String,
    },
    /// The endpoint's own certificate can't be used.
    #[error(transparent)]
    Identity(#[from] TlsError),
    /// Nobody could be reached.
    #[error("can't connect to {address}: {reason}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// Somebody was reached, and one side does not want the other.
    #[error("refused at {address}: {reason}")]
    Refused {
        /// The address.
        address: SocketAddr,
        /// Why.
        reason: String,
    },
    /// The link is closed.
    #[error("the link is closed: {reason}")]
    Closed {
        /// Why.
        reason: String,
    },
    /// So much waits to be sent that there is no room for this message. It is not sent, and the link stays open.
    #[error(
        "there is no room for the message: {bytes} bytes wait to be sent to the peer; send it again later"
    )]
    NoRoom {
        /// How many.
        bytes: usize,
    },
    /// There is no room, and the peer has taken nothing for a while. The link is closed.
    #[error("the peer is too slow: {bytes} bytes wait to be sent to it; the link is closed")]
    TooSlow {
        /// How many.
        bytes: usize,
    },
    /// A frame can't be sent, or what the peer has sent is none. In the second case the link is closed.
    #[error(transparent)]
    Wire(#[from] WireError),
}

/// The code under which a connection is closed; the peer is told the reason in words as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseCode {
    /// In good order.
    Done = 0,
    /// The peer is not wanted.
    Refused = 1,
    /// The peer sent something malformed or over a limit.
    Malformed = 2,
    /// The peer is too slow.
    TooSlow = 3,
}

impl From<CloseCode> for VarInt {
    fn from(code: CloseCode) -> Self {
        Self::from_u32(code as u32)
    }
}

/// How much of a reason is told to the peer: it must fit into one packet.
const REASON_BYTES_MAX: usize = 512;

/// Closes a connection at once and tells the peer why.
pub(super) fn close(connection: &quinn::Connection, code: CloseCode, reason: &str) {
    let mut end = reason.len().min(REASON_BYTES_MAX);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    connection.close(code.into(), &reason.as_bytes()[..end]);
}

/// The end of a connection, in words for an operator.
pub(super) fn in_words(error: &ConnectionError) -> String {
    match error {
        ConnectionError::ApplicationClosed(closed) if !closed.reason.is_empty() => {
            String::from_utf8_lossy(&closed.reason).into_owned()
        }
        ConnectionError::ApplicationClosed(_) => "the peer closed it".to_owned(),
        ConnectionError::ConnectionClosed(closed) => format!("the peer closed it: {closed}"),
        ConnectionError::TimedOut => {
            format!("nothing was heard of the peer for {} s", LINK_IDLE_TIMEOUT.as_secs())
        }
        ConnectionError::Reset => {
            "the peer has lost it; its process has ended or was started again".to_owned()
        }
        ConnectionError::LocallyClosed => "it was closed here".to_owned(),
        other => other.to_string(),
    }
}

/// An end of a connection before it became a link.
pub(super) fn not_made(address: SocketAddr, error: &ConnectionError) -> LinkError {
    let reason = in_words(error);
    match error {
        ConnectionError::TimedOut | ConnectionError::LocallyClosed | ConnectionError::Reset => {
            LinkError::Connect { address, reason }
        }
        ConnectionError::ApplicationClosed(_) => LinkError::Refused { address, reason },
        _ => LinkError::Refused { address, reason: format!("{reason}{}", advice(error)) },
    }
}

/// What to do about a handshake that TLS ended.
pub(super) fn advice(error: &ConnectionError) -> &'static str {
    let code = match error {
        ConnectionError::TransportError(error) => error.code,
        ConnectionError::ConnectionClosed(closed) => closed.error_code,
        _ => return "",
    };
    // RFC 9001, 4.8: the TLS alert stands in the last byte of codes 0x100 to 0x1ff.
    if (0x100..0x200).contains(&u64::from(code)) {
        "; both sides need a certificate of this cluster's authority"
    } else {
        ""
    }
}

/// A connection that could not even be tried.
pub(super) fn not_tried(address: SocketAddr, error: &ConnectError) -> LinkError {
    LinkError::Connect { address, reason: error.to_string() }
}
