//! A socket below QUIC that loses, delays, doubles and reorders packets of single peers, when it is told to.
//!
//! With no fault set it costs one relaxed load per batch of packets. With one, batches that the kernel would cut into
//! packets, or has put together of packets, are looked at packet by packet; a packet that the kernel can't take at
//! once is lost then.

use std::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker, ready};
use std::time::Instant;

use parking_lot::Mutex;
use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tokio::sync::Notify;

use super::held::{Held, Packet};
use crate::defect::{Fate, LinkRule, Way, fate};

/// A socket whose links can have faults.
pub(super) struct FaultySocket {
    inner: Arc<dyn AsyncUdpSocket>,
    /// Whether a fault is set, or a packet is held: all that is looked at where nothing is.
    armed: AtomicBool,
    state: Mutex<State>,
    /// Tells the pump that something is due earlier than it knew.
    earlier: Notify,
}

#[derive(Default)]
struct State {
    rules: Vec<LinkRule>,
    random: Option<SmallRng>,
    outbound: Held,
    inbound: Held,
    /// Who reads from the socket and waits.
    reader: Option<Waker>,
    /// Whether a task sends on what is held.
    pumping: bool,
}

impl FaultySocket {
    /// A socket without faults.
    pub(super) fn over(inner: Arc<dyn AsyncUdpSocket>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            armed: AtomicBool::new(false),
            state: Mutex::default(),
            earlier: Notify::new(),
        })
    }

    /// Sets the faults, in the place of those that were set before. What is held already is still late.
    pub(super) fn set(self: &Arc<Self>, rules: Vec<LinkRule>, seed: u64) {
        let mut state = self.state.lock();
        if state.random.is_none() {
            state.random = Some(SmallRng::seed_from_u64(seed));
        }
        state.rules = rules;
        let begin = !state.rules.is_empty() && !std::mem::replace(&mut state.pumping, true);
        if begin {
            self.armed.store(true, Ordering::Relaxed);
            tokio::spawn(pump(self.clone()));
        }
        drop(state);
        self.earlier.notify_one();
    }

    /// Sends each packet of a batch as its fate is.
    fn send_each(&self, transmit: &Transmit<'_>, packets: &[Fate], held: &mut Held) {
        let now = Instant::now();
        for (contents, fate) in transmit.contents.chunks(packet_bytes(transmit)).zip(packets) {
            for _ in 0..fate.copies {
                if fate.late.is_zero() {
                    let one = Transmit { contents, segment_size: None, ..*transmit };
                    // What can't be sent now is lost: nobody would try this packet again.
                    let _ = self.inner.try_send(&one);
                } else {
                    held.hold(
                        now + fate.late,
                        Packet {
                            peer: transmit.destination,
                            own: transmit.src_ip,
                            ecn: transmit.ecn,
                            bytes: contents.to_vec(),
                        },
                    );
                }
            }
        }
    }

    fn send_due(&self, held: &mut Held) {
        let now = Instant::now();
        while let Some(packet) = held.take(now) {
            let _ = self.inner.try_send(&Transmit {
                destination: packet.peer,
                ecn: packet.ecn,
                contents: &packet.bytes,
                segment_size: None,
                src_ip: packet.own,
            });
        }
    }
}

impl State {
    /// What becomes of so many packets; none if nothing happens to any of them.
    fn fates(&mut self, peer: SocketAddr, way: Way, packets: usize) -> Option<Vec<Fate>> {
        let random = self.random.as_mut()?;
        let passed = |rule: &&LinkRule| rule.peer == peer && rule.way == way;
        let passed: Vec<_> = self.rules.iter().filter(passed).map(|rule| rule.fault).collect();
        if passed.is_empty() {
            return None;
        }
        let fates: Vec<_> = (0..packets).map(|_| fate(passed.iter(), random)).collect();
        fates.iter().any(|fate| *fate != Fate::SPARED).then_some(fates)
    }

    /// Takes out what was received and does not just arrive: it is lost, or comes from among what is held.
    fn take_in(&mut self, buffer: &[u8], meta: &mut RecvMeta) {
        let bytes = meta.stride.max(1);
        let Some(fates) = self.fates(meta.addr, Way::From, meta.len.div_ceil(bytes)) else { return };
        let now = Instant::now();
        for (contents, fate) in buffer[..meta.len].chunks(bytes).zip(fates) {
            for _ in 0..fate.copies {
                self.inbound.hold(
                    now + fate.late,
                    Packet { peer: meta.addr, own: meta.dst_ip, ecn: meta.ecn, bytes: contents.to_vec() },
                );
            }
        }
        // So QUIC finds nothing in this buffer.
        meta.len = 0;
    }

    /// Fills buffers with what was held and has arrived now; gives how many.
    fn give(&mut self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let now = Instant::now();
        let mut given = 0;
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            let Some(packet) = self.inbound.take(now) else { break };
            let len = packet.bytes.len().min(buffer.len());
            buffer[..len].copy_from_slice(&packet.bytes[..len]);
            *meta = RecvMeta::default();
            (meta.addr, meta.len, meta.stride) = (packet.peer, len, len);
            (meta.ecn, meta.dst_ip) = (packet.ecn, packet.own);
            given += 1;
        }
        given
    }

    fn next(&self) -> Option<Instant> {
        self.outbound.next().into_iter().chain(self.inbound.next()).min()
    }
}

fn packet_bytes(transmit: &Transmit<'_>) -> usize {
    transmit.segment_size.unwrap_or(transmit.contents.len()).max(1)
}

/// Sends on and lets arrive what is held, each packet at its time, as long as there may be any.
async fn pump(socket: Arc<FaultySocket>) {
    loop {
        let next = {
            let mut state = socket.state.lock();
            let State { outbound, .. } = &mut *state;
            socket.send_due(outbound);
            if state.inbound.next().is_some_and(|due| due <= Instant::now())
                && let Some(reader) = state.reader.take()
            {
                reader.wake();
            }
            if state.rules.is_empty() && state.outbound.is_empty() && state.inbound.is_empty() {
                state.pumping = false;
                socket.armed.store(false, Ordering::Relaxed);
                return;
            }
            // What has arrived and was not read yet wakes nobody again.
            state
                .outbound
                .next()
                .into_iter()
                .chain(state.inbound.next().filter(|_| state.reader.is_some()))
                .min()
        };
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = socket.earlier.notified() => {}
        }
    }
}

impl AsyncUdpSocket for FaultySocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.inner.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if !self.armed.load(Ordering::Relaxed) {
            return self.inner.try_send(transmit);
        }
        let mut state = self.state.lock();
        let packets = transmit.contents.len().div_ceil(packet_bytes(transmit));
        let Some(fates) = state.fates(transmit.destination, Way::To, packets) else {
            drop(state);
            return self.inner.try_send(transmit);
        };
        let before = state.next();
        self.send_each(transmit, &fates, &mut state.outbound);
        let earlier = state.next() != before;
        drop(state);
        if earlier {
            self.earlier.notify_one();
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if !self.armed.load(Ordering::Relaxed) {
            return self.inner.poll_recv(context, buffers, metas);
        }
        let mut state = self.state.lock();
        let given = state.give(buffers, metas);
        if given > 0 {
            return Poll::Ready(Ok(given));
        }
        state.reader = Some(context.waker().clone());
        // The pump must know that somebody waits for what is held.
        self.earlier.notify_one();
        let received = ready!(self.inner.poll_recv(context, buffers, metas))?;
        for (buffer, meta) in buffers.iter().zip(metas.iter_mut()).take(received) {
            state.take_in(buffer, meta);
        }
        Poll::Ready(Ok(received))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}

impl fmt::Debug for FaultySocket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(out)
    }
}
