//! Keeps the link to the FTM, and hands out what comes over it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use palib::control::{Event, FromFtmToOperator, OperatorAnswer, OperatorRequest, Refused, ToFtmFromOperator};
use palib::tls::Identity;
use palib::transport::{Endpoint, Link};
use palib::wire::Frame;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, interval, sleep, timeout};

use super::OperatorError;
use crate::state::StateFolder;

/// How long the driver waits before it tries to reach the FTM again.
const RETRY: Duration = Duration::from_millis(50);
/// How often the driver looks whether the FTM it is linked to still lives: QUIC notices its death only at its idle
/// time-out, seconds later.
const LOOK: Duration = Duration::from_millis(200);
/// The number under which subscriptions are asked for; their answers interest nobody.
const SUBSCRIPTION: u64 = 0;

/// What the clones of one client share.
#[derive(Debug)]
pub(super) struct Shared {
    folder: StateFolder,
    state: Mutex<State>,
    linked: watch::Sender<Linked>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Linked {
    No,
    Yes,
    /// The cluster is down for good, or the client was dropped.
    Never,
}

#[derive(Debug, Default)]
struct State {
    link: Option<LinkSlot>,
    number: u64,
    waiting: HashMap<u64, oneshot::Sender<Result<OperatorAnswer, Refused>>>,
    subscribers: Vec<Subscriber>,
    /// Why there is no link.
    reason: String,
}

/// A link, which has no `Debug` of its own.
struct LinkSlot(Link);

impl std::fmt::Debug for LinkSlot {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "link to {}", self.0.remote_address())
    }
}

#[derive(Debug)]
struct Subscriber {
    next_seq: u64,
    events: mpsc::UnboundedSender<Vec<Event>>,
}

impl Shared {
    pub(super) fn start(folder: StateFolder) -> Arc<Self> {
        let state = State { number: SUBSCRIPTION, ..State::default() };
        let shared =
            Arc::new(Self { folder, state: Mutex::new(state), linked: watch::Sender::new(Linked::No) });
        tokio::spawn(drive(shared.clone()));
        shared
    }

    pub(super) fn folder(&self) -> &StateFolder {
        &self.folder
    }

    pub(super) fn is_linked(&self) -> bool {
        *self.linked.borrow() == Linked::Yes
    }

    pub(super) async fn until_linked(&self, within: Duration) -> Result<(), OperatorError> {
        let mut linked = self.linked.subscribe();
        let start = Instant::now();
        let waited = timeout(within, linked.wait_for(|linked| *linked != Linked::No)).await;
        let state = waited.map(|state| state.map(|state| *state));
        let (cluster, reason) = (self.folder.cluster(), self.state.lock().reason.clone());
        match state {
            Ok(Ok(Linked::Yes)) => Ok(()),
            Err(_) => Err(OperatorError::NoAnswer { cluster, waited: start.elapsed(), reason }),
            Ok(_) => Err(OperatorError::NotRunning { cluster, reason }),
        }
    }

    /// Sends a request; none if there is no link.
    pub(super) fn send(
        &self,
        request: &OperatorRequest,
    ) -> Option<oneshot::Receiver<Result<OperatorAnswer, Refused>>> {
        let mut state = self.state.lock();
        state.number += 1;
        let number = state.number;
        let link = state.link.as_ref()?.0.clone();
        link.send_control(&ToFtmFromOperator { number, request: request.clone() }).ok()?;
        let (tell, told) = oneshot::channel();
        state.waiting.insert(number, tell);
        Some(told)
    }

    pub(super) fn subscribe(&self, from_seq: u64) -> mpsc::UnboundedReceiver<Vec<Event>> {
        let (events, stream) = mpsc::unbounded_channel();
        let mut state = self.state.lock();
        if *self.linked.borrow() != Linked::Never {
            state.subscribers.push(Subscriber { next_seq: from_seq, events });
            state.ask_for_events(from_seq);
        }
        stream
    }

    /// Ends it: the link, the requests that wait, the streams.
    pub(super) fn stop(&self) {
        self.linked.send_replace(Linked::Never);
        let mut state = self.state.lock();
        state.waiting.clear();
        state.subscribers.clear();
        if let Some(link) = state.link.take() {
            link.0.close("the operator leaves");
        }
    }
}

impl State {
    /// The FTM sends one stream of events per link; whoever has seen a part of it already passes over that part.
    fn ask_for_events(&self, from_seq: u64) {
        if let Some(link) = &self.link {
            let request = OperatorRequest::Subscribe { from_seq };
            let _ = link.0.send_control(&ToFtmFromOperator { number: SUBSCRIPTION, request });
        }
    }

    fn hand_out(&mut self, events: &[Event]) {
        self.subscribers.retain_mut(|subscriber| {
            let new: Vec<Event> =
                events.iter().filter(|event| event.seq >= subscriber.next_seq).cloned().collect();
            let Some(last) = new.last() else { return !subscriber.events.is_closed() };
            subscriber.next_seq = last.seq + 1;
            subscriber.events.send(new).is_ok()
        });
    }
}

/// Makes the link, reads it until it is gone, and makes it again; ends when nothing of the cluster lives.
async fn drive(shared: Arc<Shared>) {
    let mut endpoint = None;
    while *shared.linked.borrow() != Linked::Never {
        match connect(&shared.folder, &mut endpoint).await {
            Ok(link) => {
                opened(&shared, &link);
                read(&shared, &link).await;
                let mut state = shared.state.lock();
                state.link = None;
                state.reason = "its link was lost".to_owned();
                // Their senders are dropped: whoever waits learns that no answer comes.
                state.waiting.clear();
                shared.linked.send_if_modified(|linked| {
                    let was = *linked == Linked::Yes;
                    if was {
                        *linked = Linked::No;
                    }
                    was
                });
            }
            Err(reason) => shared.state.lock().reason = reason,
        }
        if shared.folder.living_ftm().is_none() && shared.folder.living_keeper().is_none() {
            shared.stop();
        }
        sleep(RETRY).await;
    }
}

fn opened(shared: &Shared, link: &Link) {
    let mut state = shared.state.lock();
    state.link = Some(LinkSlot(link.clone()));
    if let Some(first) = state.subscribers.iter().map(|subscriber| subscriber.next_seq).min() {
        state.ask_for_events(first);
    }
    drop(state);
    shared.linked.send_if_modified(|linked| {
        let wait = *linked == Linked::No;
        if wait {
            *linked = Linked::Yes;
        }
        wait
    });
}

async fn connect(folder: &StateFolder, endpoint: &mut Option<Endpoint>) -> Result<Link, String> {
    let open = match endpoint {
        Some(open) => open,
        None => {
            let (certificate, key) = (folder.certificate("operator"), folder.key("operator"));
            let identity = Identity::load(&certificate, &key, &folder.authority());
            let identity = identity.map_err(|error| error.to_string())?;
            let bound = Endpoint::bind(&identity, SocketAddr::from(([127, 0, 0, 1], 0)));
            endpoint.insert(bound.map_err(|error| error.to_string())?)
        }
    };
    palib::connect_ftm(open, &folder.ftm_address()).await
}

async fn read(shared: &Shared, link: &Link) {
    let ftm = shared.folder.living_ftm();
    let mut look = interval(LOOK);
    let mut frames = Vec::new();
    loop {
        tokio::select! {
            received = link.receive(&mut frames) => {
                if received.is_err() {
                    return;
                }
            }
            _ = look.tick() => {
                if ftm.is_some_and(|ftm| !ftm.lives()) {
                    link.close("the FTM is dead");
                    return;
                }
            }
        }
        let mut state = shared.state.lock();
        for frame in frames.drain(..) {
            let Frame::Control(bytes) = frame else { continue };
            match serde_json::from_slice(&bytes) {
                Ok(FromFtmToOperator::Answer { number, answer }) => {
                    if let Some(tell) = state.waiting.remove(&number) {
                        let _ = tell.send(answer);
                    }
                }
                Ok(FromFtmToOperator::Events { events }) => state.hand_out(&events),
                Err(error) => tracing::warn!(%error, "a message of the FTM can't be read"),
            }
        }
    }
}
