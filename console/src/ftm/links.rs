//! Links into the FTM: who may speak as what, and where its words go.

use palib::control::{ToFtm, ToFtmFromOperator};
use palib::tls::Role;
use palib::transport::{Endpoint, Link};
use palib::wire::Frame;
use palib_core::ids::ProcessId;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::ProcessEvent;

/// What comes into the loop.
#[derive(Debug)]
pub(super) enum Message {
    /// Something happened to a process.
    Process(ProcessEvent),
    /// Somebody connected.
    Opened(Link),
    /// A link is gone.
    Closed {
        /// Which.
        link: u64,
    },
    /// A process says something.
    Node {
        /// On which link.
        link: u64,
        /// What.
        message: ToFtm,
    },
    /// An operator asks something.
    Operator {
        /// On which link.
        link: u64,
        /// What.
        message: ToFtmFromOperator,
    },
    /// Somebody was turned away.
    Refused {
        /// Who, as far as it is known.
        peer: String,
        /// Why.
        reason: String,
    },
    /// The time of an injected hang is over.
    HangOver {
        /// Of which run.
        process: ProcessId,
        /// Its id in the ledger.
        defect: String,
    },
    /// The time of a fault of a link or a disk is over.
    FaultOver {
        /// Its id in the ledger.
        id: String,
    },
    /// All that a link has said so far was looked at.
    Heard(oneshot::Sender<()>),
    /// The FTM was told to kill itself, and the answer is on its way.
    EndSelf,
}

/// Takes links for as long as the FTM works.
pub(super) async fn accept(endpoint: Endpoint, to: UnboundedSender<Message>) {
    let refused = to.clone();
    endpoint.set_on_refused(move |who| {
        let peer = who
            .peer
            .map_or_else(|| who.address.to_string(), |peer| format!("{} at {}", peer.name, who.address));
        let _ = refused.send(Message::Refused { peer, reason: who.reason });
    });
    while let Some(link) = endpoint.accept().await {
        match link.peer().role {
            Role::Process => {
                drop(tokio::spawn(listen(link, to.clone(), |link, message| Message::Node { link, message })))
            }
            Role::Operator => {
                drop(tokio::spawn(listen(link, to.clone(), |link, message| Message::Operator {
                    link,
                    message,
                })));
            }
            Role::Ftm => {
                let reason = "this is the FTM of the site; another one has no business here".to_owned();
                link.close(&reason);
                let peer = format!("ftm at {}", link.remote_address());
                let _ = to.send(Message::Refused { peer, reason });
            }
        }
    }
}

async fn listen<T: DeserializeOwned>(link: Link, to: UnboundedSender<Message>, wrap: fn(u64, T) -> Message) {
    let number = link.number();
    let _ = to.send(Message::Opened(link.clone()));
    let mut frames = Vec::new();
    while link.receive(&mut frames).await.is_ok() {
        for frame in frames.drain(..) {
            let read = match &frame {
                Frame::Control(bytes) => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
                Frame::Message(_) => Err("calls go to processes, not to the FTM".to_owned()),
            };
            match read {
                Ok(message) => drop(to.send(wrap(number, message))),
                Err(error) => {
                    // A peer of another version, or a defect: the rest of what it says can't be trusted.
                    let reason = format!("a message that can't be understood: {error}");
                    link.close(&reason);
                    let peer = format!("{} at {}", link.peer().name, link.remote_address());
                    let _ = to.send(Message::Refused { peer, reason });
                }
            }
        }
        // No faster than the loop takes it: or a peer that never stops talking would fill the memory.
        let (heard, is_heard) = oneshot::channel();
        if to.send(Message::Heard(heard)).is_err() || is_heard.await.is_err() {
            break;
        }
    }
    let _ = to.send(Message::Closed { link: number });
}
