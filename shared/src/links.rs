//! Links to other processes: opened once, kept warm, and reported when they are gone.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use palib_core::ids::{AliasId, CallId};
use palib_core::message::{Message, Refusal, Request};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::announced::CONNECT_WITHIN;
use crate::control::{OPERATOR_ALIAS, What};
use crate::hashing::NumberMap;
use crate::process::Shared;
use crate::tls::Role;
use crate::transport::{Link, LinkError};
use crate::wire::Frame;

/// The links this process has opened, by address.
#[derive(Default)]
pub(crate) struct Links {
    slots: Mutex<HashMap<SocketAddr, Slot>>,
}

enum Slot {
    /// Being opened; what is to be sent waits.
    Connecting(Vec<Message<Bytes>>),
    Open(Link),
}

impl Links {
    /// Sends a message, opening the link first if need be.
    pub(crate) fn send(
        &self,
        shared: &Arc<Shared>,
        address: SocketAddr,
        message: &Message<Bytes>,
    ) -> Result<(), LinkError> {
        let mut slots = self.slots.lock();
        match slots.get_mut(&address) {
            Some(Slot::Open(link)) => return link.send_message(message),
            Some(Slot::Connecting(waiting)) => waiting.push(message.clone()),
            None => {
                slots.insert(address, Slot::Connecting(vec![message.clone()]));
                tokio::spawn(open(shared.clone(), address));
            }
        }
        Ok(())
    }

    /// The link to an address, if it is open.
    pub(crate) fn open_link(&self, address: SocketAddr) -> Option<Link> {
        match self.slots.lock().get(&address) {
            Some(Slot::Open(link)) => Some(link.clone()),
            _ => None,
        }
    }

    /// Opens a link if there is none, so that it is warm when it is needed.
    pub(crate) fn warm(&self, shared: &Arc<Shared>, address: SocketAddr) {
        let mut slots = self.slots.lock();
        if let std::collections::hash_map::Entry::Vacant(slot) = slots.entry(address) {
            slot.insert(Slot::Connecting(Vec::new()));
            tokio::spawn(open(shared.clone(), address));
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.lock().values().filter(|slot| matches!(slot, Slot::Open(_))).count()
    }

    /// Closes the links to processes that are gone from the table.
    pub(crate) fn keep_only(&self, wanted: impl Fn(SocketAddr) -> bool) {
        let mut gone = Vec::new();
        self.slots.lock().retain(|address, slot| match slot {
            Slot::Open(link) if !wanted(*address) => {
                gone.push(link.clone());
                false
            }
            _ => true,
        });
        for link in gone {
            link.close("the process is gone from the port alias table");
        }
    }
}

/// Opens a link and reads it until it is gone.
async fn open(shared: Arc<Shared>, address: SocketAddr) {
    let link = match timeout(CONNECT_WITHIN, shared.endpoint.connect(address)).await {
        Ok(Ok(link)) => link,
        failed => {
            tracing::debug!(%address, ?failed, "no link");
            shared.links.slots.lock().remove(&address);
            shared.ports_gone(address);
            return;
        }
    };
    let mut frames = Vec::new();
    {
        let mut slots = shared.links.slots.lock();
        if let Some(Slot::Connecting(waiting)) = slots.insert(address, Slot::Open(link.clone())) {
            frames.extend(waiting.iter().filter_map(|message| not_sent_now(&link, message)));
        }
    }
    shared.answers(address, &mut frames);
    while link.receive(&mut frames).await.is_ok() {
        shared.answers(address, &mut frames);
    }
    {
        let mut slots = shared.links.slots.lock();
        if matches!(slots.get(&address), Some(Slot::Open(open)) if open.number() == link.number()) {
            slots.remove(&address);
        }
    }
    shared.ports_gone(address);
}

/// Sends what has waited for the link. If there is no room for it: what its caller is told.
fn not_sent_now(link: &Link, message: &Message<Bytes>) -> Option<Frame> {
    match link.send_message(message) {
        Err(LinkError::NoRoom { .. }) => {
            let refusal = Refusal::Busy;
            message.id().map(|id| Frame::Message(Message::Refused { id, refusal }))
        }
        _ => None,
    }
}

/// Takes links of other processes until the process ends.
pub(crate) async fn accept(shared: Arc<Shared>) {
    while let Some(link) = shared.endpoint.accept().await {
        tokio::spawn(serve_link(shared.clone(), link));
    }
}

async fn serve_link(shared: Arc<Shared>, link: Link) {
    let mut rights = Rights { sources: NumberMap::default() };
    let mut frames = Vec::new();
    let mut requests: Vec<Request<Bytes>> = Vec::new();
    while link.receive(&mut frames).await.is_ok() {
        for frame in frames.drain(..) {
            let Frame::Message(Message::Request(mut request)) = frame else {
                // What came before it is looked at before it.
                shared.requests(&link, &mut requests);
                other_than_request(&shared, &link, &mut rights, frame);
                continue;
            };
            if !rights.may_send(&shared, &link, request.id) || !has_room(&shared, &link, &mut request) {
                continue;
            }
            if requests.last().is_some_and(|last| last.target != request.target) {
                shared.requests(&link, &mut requests);
            }
            requests.push(request);
        }
        shared.requests(&link, &mut requests);
    }
    shared.link_gone(link.number());
}

/// Whether there is room for the body of a request. If not, its caller is told to come again.
fn has_room(shared: &Shared, link: &Link, request: &mut Request<Bytes>) -> bool {
    let has_room = shared.large.admit(&mut request.body);
    if !has_room {
        let _ = link.send_message(&Message::Refused { id: request.id, refusal: Refusal::Busy });
    }
    has_room
}

/// Takes what else a caller may send: cancellations, and its mark.
fn other_than_request(shared: &Shared, link: &Link, rights: &mut Rights, frame: Frame) {
    match frame {
        Frame::Message(Message::Cancel(mut request)) => {
            if rights.may_send(shared, link, request.id) && has_room(shared, link, &mut request) {
                shared.cancels(link, request);
            }
        }
        Frame::Message(Message::Mark { source, target, mark }) => {
            if rights.may_speak_for(shared, link, source) {
                shared.mark(source, target, mark);
            }
        }
        Frame::Message(_) | Frame::Control(_) => {
            let peer = link.peer().name.clone();
            shared.refused(peer, "it sent something else than a caller does on a link of calls");
            link.close("only what a caller sends is taken on this link");
        }
    }
}

/// For which source aliases the holder of a link's certificate may speak (R42), remembered per link.
struct Rights {
    sources: NumberMap<AliasId, bool>,
}

impl Rights {
    /// Whether a message about this call may come on this link. If not, it is refused.
    fn may_send(&mut self, shared: &Shared, link: &Link, id: CallId) -> bool {
        let may = self.may_speak_for(shared, link, id.source);
        if !may {
            let _ = link.send_message(&Message::Refused { id, refusal: Refusal::NotYourAlias });
        }
        may
    }

    fn may_speak_for(&mut self, shared: &Shared, link: &Link, source: AliasId) -> bool {
        if let Some(may) = self.sources.get(&source) {
            return *may;
        }
        let name =
            if source == AliasId(0) { OPERATOR_ALIAS.to_owned() } else { shared.directory.name(source) };
        let peer = link.peer();
        let may = match peer.role {
            Role::Operator => name == OPERATOR_ALIAS,
            Role::Process => source != AliasId(0) && peer.aliases.contains(&name),
            Role::Ftm => false,
        };
        if may {
            self.sources.insert(source, true);
        } else {
            // Not remembered: the table that names this alias may still be on its way.
            shared.refused(
                peer.name.clone(),
                &format!("its certificate does not name the source alias {name}"),
            );
        }
        may
    }
}

impl Shared {
    /// Tells the operator that somebody was turned away.
    pub(crate) fn refused(&self, peer: String, reason: &str) {
        tracing::warn!(%peer, reason, "refused");
        self.trace.push(What::Refused { peer, reason: reason.to_owned() });
    }
}
