//! Every limit of the system, in one place (over a limit the sender gets a clear error).

use std::time::Duration;

/// The longest body of a request, a reply or a handler's argument, in bytes.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The longest frame on a link: a body and its header, or a control message.
pub const FRAME_BYTES_MAX: usize = BODY_BYTES_MAX + 64 * 1024;
/// The longest name of an alias, a process or a cluster, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Calls of one session that may be open at once.
pub const WINDOW: u32 = palib_core::redundancy::WINDOW;
/// How long a handler that calls on waits for a free place in the window of its alias before it gets an error.
pub const RELAY_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long a service's `recover` may take; then its call is held in doubt. Shorter than a promotion may take, so that a
/// `recover` that hangs does not keep everybody out of service.
pub const RECOVER_WAIT_MAX: Duration = Duration::from_secs(20);
/// Requests that one server process has in hand (executing, held or waiting for a commit) before it answers `Busy`.
pub const REQUESTS_IN_HAND_MAX: usize = 16 * 1024;
/// Bodies with more bytes than this are large: requests that have one are bounded by the next limit, too.
pub const LARGE_BODY_BYTES: usize = 4 * 1024;
/// Bytes of large bodies of requests that one process has in hand before it answers `Busy`.
pub const LARGE_BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Sessions whose rings one server process remembers; of more, those not used lately are loaded again.
pub const SESSIONS_REMEMBERED_MAX: usize = 512;
/// Bytes that wait to be sent on one link. A message for which there is no room comes again.
pub const LINK_QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A large message has room only while no more than this waits: small ones find room beside it.
pub const LINK_QUEUE_LARGE_BYTES_MAX: usize = LINK_QUEUE_BYTES_MAX / 4 * 3;
/// A link whose peer takes nothing for so long, while there is no room for more, is closed as too slow. And a link that
/// was closed here goes on no longer than this with what waits.
pub const LINK_STALLED_MAX: Duration = Duration::from_secs(4);
/// Connections one process accepts at once.
pub const LINKS_MAX: usize = 1024;
/// Links that one process may have to another at once. With one more, the oldest is closed.
pub const LINKS_PER_PEER_MAX: usize = 8;
/// Events a process keeps for the FTM; older ones are dropped and counted.
pub const EVENTS_QUEUED_MAX: usize = 4096;
/// Rows in one page of an inspection.
pub const PAGE_ROWS_MAX: usize = 1000;
/// A connection that does not finish its handshake within this time is closed.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection on which nothing at all is heard for so long is dead. QUIC says what was lost again ever more seldom, so
/// after a cut that lasted longer a new connection is there sooner than the old one comes back to life.
pub const LINK_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
