//! Who stands at the door of an endpoint: how many handshakes go on, how many links a peer has, and whom the operator
//! is told of. Whoever knocks too often takes the place of its own kind, and of nobody else.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::endpoint::Refused;
use super::error::CloseCode;
use super::link::{Link, WeakLink};
use crate::limits::LINKS_PER_PEER_MAX;
use crate::tls::Role;

/// Handshakes that are done at once. Of more, the oldest gives way, of those who come from the address with the most:
/// who is honest comes once and is through within milliseconds.
const HANDSHAKES_MAX: usize = 64;
/// So many are told of each second one by one; of more, how many they were.
const TOLD_MAX: u32 = 16;
const TOLD_WITHIN: Duration = Duration::from_secs(1);

/// Is told of everybody who was turned away.
pub(super) type OnRefused = Box<dyn Fn(Refused) + Send + Sync>;

#[derive(Default)]
pub(super) struct Doorman {
    /// A handshake goes on for as long as its sender is here, the oldest first.
    handshakes: Mutex<VecDeque<(SocketAddr, oneshot::Sender<()>)>>,
    /// The links that processes have made to here, by the name in their certificates, the oldest first.
    peers: Mutex<HashMap<String, Vec<WeakLink>>>,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    on_refused: Option<OnRefused>,
    since: Option<Instant>,
    count: u32,
    untold: u64,
}

impl Doorman {
    /// Begins a handshake. If the receiver hears of its end it is to be given up.
    pub(super) fn begin(&self, from: SocketAddr) -> oneshot::Receiver<()> {
        let (goes_on, end) = oneshot::channel();
        let mut handshakes = self.handshakes.lock();
        if handshakes.len() >= HANDSHAKES_MAX {
            handshakes.retain(|(_, goes_on)| !goes_on.is_closed());
        }
        if handshakes.len() >= HANDSHAKES_MAX {
            let of = |from: SocketAddr| handshakes.iter().filter(|(other, _)| *other == from).count();
            // The first of several with the most: the oldest.
            let most = (0..handshakes.len()).rev().max_by_key(|at| of(handshakes[*at].0));
            most.map(|at| handshakes.remove(at));
        }
        handshakes.push_back((from, goes_on));
        end
    }

    /// A handshake is done: counts the link. A process that has too many has most likely lost the oldest one, or means
    /// no good. Operators share one certificate, and are not counted.
    pub(super) fn let_in(&self, link: &Link) {
        let peer = link.peer();
        if peer.role != Role::Process {
            return;
        }
        let mut peers = self.peers.lock();
        let links = peers.entry(peer.name.clone()).or_default();
        links.retain(|link| link.upgrade().is_some_and(|link| !link.is_closed()));
        links.push(link.downgrade());
        if links.len() > LINKS_PER_PEER_MAX
            && let Some(oldest) = links.remove(0).upgrade()
        {
            let reason =
                format!("{} has made {LINKS_PER_PEER_MAX} newer links, which is the limit", peer.name);
            oldest.abort(CloseCode::Refused, &reason);
        }
    }

    /// Sets who is told.
    pub(super) fn set_on_refused(&self, tell: OnRefused) {
        self.told.lock().on_refused = Some(tell);
    }

    /// Tells of somebody who was turned away; not of each in a flood, which would fill the log of events.
    pub(super) fn refused(&self, mut refused: Refused) {
        let mut told = self.told.lock();
        let now = Instant::now();
        if told.since.is_none_or(|since| now - since >= TOLD_WITHIN) {
            told.since = Some(now);
            told.count = 0;
        }
        if told.count >= TOLD_MAX {
            told.untold += 1;
            return;
        }
        told.count += 1;
        let untold = std::mem::take(&mut told.untold);
        if untold > 0 {
            refused.reason = format!("{} (and {untold} others before)", refused.reason);
        }
        if let Some(tell) = &told.on_refused {
            tell(refused);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn from(port: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port as u16))
    }

    fn goes_on(handshake: &mut oneshot::Receiver<()>) -> bool {
        matches!(handshake.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }

    #[test]
    fn the_oldest_of_too_many_handshakes_gives_way_and_those_that_are_done_do_not_count() {
        let doorman = Doorman::default();
        let mut first = doorman.begin(from(1));
        for _ in 0..1000 {
            drop(doorman.begin(from(2)));
        }
        assert!(goes_on(&mut first));
        let mut held: Vec<_> = (0..HANDSHAKES_MAX).map(|at| doorman.begin(from(10 + at))).collect();
        assert!(!goes_on(&mut first));
        assert!(held.iter_mut().all(goes_on));
    }

    #[test]
    fn who_holds_the_door_most_gives_way_first() {
        let doorman = Doorman::default();
        let mut honest = doorman.begin(from(1));
        let mut greedy: Vec<_> = (0..2 * HANDSHAKES_MAX).map(|_| doorman.begin(from(2))).collect();
        assert!(goes_on(&mut honest), "it came first, and only once");
        assert_eq!(
            greedy.iter_mut().filter_map(|one| goes_on(one).then_some(())).count(),
            HANDSHAKES_MAX - 1
        );
        assert!(goes_on(greedy.last_mut().expect("there are many")));
    }

    #[test]
    fn a_flood_is_told_of_in_a_few_words() {
        let doorman = Doorman::default();
        let told = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&told);
        doorman.set_on_refused(Box::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
        }));
        for _ in 0..1000 {
            doorman.refused(Refused { address: from(1), peer: None, reason: "no".to_owned() });
        }
        // The second may have come to its end on the way.
        let told = told.load(Ordering::Relaxed);
        assert!((TOLD_MAX..TOLD_MAX * 10).contains(&told), "{told}");
    }
}
