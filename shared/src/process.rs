//! A process of a cluster: joins, serves aliases, calls others.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use palib_core::ids::{AliasId, Mark, PortId, TRANS_GRANT};
use palib_core::message::{Message, Refusal, Request};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::watch;

use crate::control::{JoinTicket, NodeStats, TICKET_VARIABLE, TableChange, TicketAlias};
use crate::defect::{DiskFaults, Faults, Points};
use crate::directory::Directory;
use crate::large::LargeBodies;
use crate::links::{self, Links};
use crate::membership::Membership;
use crate::service::Service;
use crate::serving::{ServeSide, Serving};
use crate::stable::area_path;
use crate::tls::Identity;
use crate::trace::Trace;
use crate::transport::{Endpoint, Link, LinkError};
use crate::wire::Frame;
use crate::{Client, Error, Reply, Result, agent, clock, last_words};

/// How long a process waits for its FTM at the start before it gives up.
const JOIN_TIMEOUT: Duration = Duration::from_secs(30);

/// A process that has joined its cluster. Clone it freely.
#[derive(Clone)]
pub struct Process {
    shared: Arc<Shared>,
}

/// What all parts of the library in this process share.
pub(crate) struct Shared {
    pub(crate) ticket: JoinTicket,
    pub(crate) endpoint: Endpoint,
    pub(crate) directory: Directory,
    pub(crate) links: Links,
    pub(crate) large: LargeBodies,
    pub(crate) trace: Trace,
    pub(crate) points: Points,
    pub(crate) memberships: Vec<Arc<Membership>>,
    pub(crate) ftm: Mutex<Option<Link>>,
    pub(crate) told: watch::Sender<bool>,
    pub(crate) ended: watch::Sender<bool>,
    process_grants: AtomicU64,
}

impl Process {
    /// Joins the cluster that started this process.
    ///
    /// # Errors
    /// If the process was not started by an FTM, or the FTM can't be reached.
    pub async fn join() -> Result<Self> {
        let file = std::env::var_os(TICKET_VARIABLE)
            .ok_or_else(|| Error::Ticket(format!("the environment has no {TICKET_VARIABLE}")))?;
        let file = Path::new(&file);
        let problem = |reason: String| Error::Ticket(format!("{}: {reason}", file.display()));
        let text = std::fs::read_to_string(file).map_err(|error| problem(error.to_string()))?;
        let ticket = serde_json::from_str(&text).map_err(|error| problem(error.to_string()))?;
        Self::join_with(ticket).await
    }

    /// Joins the cluster of a ticket.
    ///
    /// # Errors
    /// If the ticket's certificate can't be used, or the FTM can't be reached.
    pub async fn join_with(ticket: JoinTicket) -> Result<Self> {
        log_to_standard_error();
        let identity = Identity::load(&ticket.certificate, &ticket.key, &ticket.authority)
            .map_err(|error| Error::Ticket(error.to_string()))?;
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = Endpoint::bind(&identity, anywhere).map_err(|error| Error::Link(error.to_string()))?;
        last_words::keep_in(&ticket.fired);
        let membership = |alias: &TicketAlias| {
            let disk = DiskFaults::new(area_path(&ticket.areas, &alias.alias), ticket.fired.clone());
            Arc::new(Membership::new(alias.clone(), disk))
        };
        let memberships = ticket.aliases.iter().map(membership).collect();
        let shared = Arc::new(Shared {
            endpoint,
            directory: Directory::default(),
            links: Links::default(),
            large: LargeBodies::default(),
            trace: Trace::new(ticket.process.clone()),
            points: Points::new(ticket.fired.clone()),
            memberships,
            ftm: Mutex::new(None),
            told: watch::Sender::new(false),
            ended: watch::Sender::new(false),
            process_grants: AtomicU64::new(0),
            ticket,
        });
        let refusals = Arc::downgrade(&shared);
        shared.endpoint.set_on_refused(move |refused| {
            if let Some(shared) = refusals.upgrade() {
                let peer = refused
                    .peer
                    .as_ref()
                    .map_or_else(|| refused.address.to_string(), |peer| peer.name.clone());
                shared.refused(peer, &refused.reason);
            }
        });
        tokio::spawn(links::accept(shared.clone()));
        tokio::spawn(agent::run(shared.clone()));
        let mut told = shared.told.subscribe();
        let joined = tokio::time::timeout(JOIN_TIMEOUT, told.wait_for(|told| *told)).await;
        if joined.is_err() {
            let file = shared.ticket.ftm_address_file.display();
            return Err(Error::Link(format!("no FTM answers at the address in {file}; is the cluster up?")));
        }
        Ok(Self { shared })
    }

    /// The name of this process, such as `counter-1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.ticket.process
    }

    /// What the process was told at its start.
    #[must_use]
    pub fn ticket(&self) -> &JoinTicket {
        &self.shared.ticket
    }

    /// Serves an alias: as a backup until the FTM promotes this process, then in service. Returns when the process
    /// is told to end.
    ///
    /// # Errors
    /// If this process is no member of the alias.
    pub async fn serve<S: Service>(&self, alias: &str, service: S) -> Result<()> {
        let membership = self.membership(alias)?;
        let (id, name) = (membership.alias, alias.to_owned());
        let service = Arc::new(service);
        membership.declare_service(Box::new(move |promotion| {
            let side: Arc<dyn Serving> = ServeSide::new(id, name, service, promotion);
            side
        }));
        self.ended().await;
        Ok(())
    }

    /// Waits until this process has a source alias in service, and calls from it. If this process also serves the
    /// alias, call [`Self::serve`] first.
    ///
    /// # Errors
    /// If this process is no member of the alias, or is told to end before it is in service.
    pub async fn client(&self, alias: &str) -> Result<Client> {
        let membership = self.membership(alias)?.clone();
        membership.declare_client();
        tokio::select! {
            () = membership.until_in_service() => {}
            () = self.ended() => return Err(Error::Ended),
        }
        let side = membership.active().ok_or(Error::Ended)?.calling.clone();
        Ok(Client { side, membership, shared: self.shared.clone() })
    }

    /// Calls an alias on behalf of this process's first alias, exactly once, whoever dies on the way.
    ///
    /// # Errors
    /// [`Error::Failed`] with the service's own error, or what kept the call from being made.
    pub async fn call(&self, target: &str, body: impl Into<Bytes>) -> Result<Reply> {
        let source = self.shared.ticket.aliases.first();
        let source = source.ok_or_else(|| Error::NotMember("any".to_owned()))?.alias.clone();
        self.client(&source).await?.call(target, body).await?.into_reply()
    }

    /// Waits until the process is told to end.
    pub async fn ended(&self) {
        // The sender lives in `self`, so the wait can't fail.
        let _ = self.shared.ended.subscribe().wait_for(|ended| *ended).await;
    }

    fn membership(&self, alias: &str) -> Result<&Arc<Membership>> {
        let found = self.shared.memberships.iter().find(|member| member.ticket.alias == alias);
        found.ok_or_else(|| Error::NotMember(alias.to_owned()))
    }
}

impl Shared {
    /// Takes a change of the port alias table over, and tells the callers of this process.
    pub(crate) fn table_changed(self: &Arc<Self>, change: &TableChange) {
        let routes = self.directory.apply(change);
        for membership in &self.memberships {
            let Some(active) = membership.active() else { continue };
            for (target, route) in &routes {
                active.calling.route(*target, *route);
            }
            if let (false, Some(serving)) = (change.gone.is_empty(), &active.serving) {
                serving.aliases_gone(self.directory.gone());
            }
        }
        self.links.keep_only(|address| !self.directory.ports_at(address).is_empty());
        self.told.send_replace(true);
    }

    /// Enforces these faults from now on, and no others.
    pub(crate) fn set_faults(&self, faults: Faults) {
        let Faults { seed, links, disks } = faults;
        self.endpoint.set_faults(links, seed);
        for membership in &self.memberships {
            let of_alias = disks.iter().filter(|rule| rule.alias == membership.alias.0);
            membership.disk.set(of_alias.cloned().collect(), seed);
        }
    }

    /// Sends a message to a port.
    pub(crate) fn send(self: &Arc<Self>, port: PortId, message: &Message<Bytes>) -> Result<(), LinkError> {
        let unknown = || LinkError::Closed { reason: "nobody has this port any more".to_owned() };
        self.links.send(self, self.directory.address(port).ok_or_else(unknown)?, message)
    }

    /// Keeps warm links to all members of an alias, so that a takeover waits for no handshake.
    pub(crate) fn warm(self: &Arc<Self>, alias: AliasId) {
        for address in self.directory.addresses(alias) {
            self.links.warm(self, address);
        }
    }

    /// Nothing is reached at this address any more.
    pub(crate) fn ports_gone(&self, address: SocketAddr) {
        for port in self.directory.ports_at(address) {
            for membership in &self.memberships {
                if let Some(active) = membership.active() {
                    active.calling.port_gone(port);
                }
            }
        }
    }

    /// Requests of one target came in on a link.
    pub(crate) fn requests(&self, link: &Link, requests: &mut Vec<Request<Bytes>>) {
        let Some(target) = requests.first().map(|request| request.target) else { return };
        match self.serving(target) {
            Ok(serving) => serving.requests(link, requests),
            Err(refusal) => {
                for request in requests.drain(..) {
                    let _ = link.send_message(&Message::Refused { id: request.id, refusal });
                }
            }
        }
    }

    /// A cancellation came in on a link.
    pub(crate) fn cancels(&self, link: &Link, request: Request<Bytes>) {
        match self.serving(request.target) {
            Ok(serving) => serving.cancels(link, request),
            Err(refusal) => _ = link.send_message(&Message::Refused { id: request.id, refusal }),
        }
    }

    /// A source alias told its mark to an alias.
    pub(crate) fn mark(&self, source: AliasId, target: AliasId, mark: Mark) {
        if let Ok(serving) = self.serving(target) {
            serving.mark(source, mark);
        }
    }

    /// The server side of an alias, if it is in service here.
    fn serving(&self, target: AliasId) -> Result<&Arc<dyn Serving>, Refusal> {
        let membership = self.memberships.iter().find(|member| member.alias == target);
        let active = membership.and_then(|member| member.active());
        let known = membership.is_some() && active.is_none();
        let serving = active.and_then(|active| active.serving.as_ref());
        serving.ok_or(if known { Refusal::NotInService } else { Refusal::UnknownAlias })
    }

    /// Frames came in on a link that this process opened: answers to its calls.
    pub(crate) fn answers(&self, address: SocketAddr, frames: &mut Vec<Frame>) {
        let message_of = |frame| match frame {
            Frame::Message(message) => Some(message),
            Frame::Control(_) => None,
        };
        if let [membership] = &self.memberships[..] {
            if let Some(active) = membership.active() {
                active.calling.messages(address, frames.drain(..).filter_map(message_of));
            }
        } else {
            for membership in &self.memberships {
                let Some(active) = membership.active() else { continue };
                let is_mine = |frame: &mut Frame| matches!(frame, Frame::Message(message) if source_of(message) == membership.alias);
                active.calling.messages(address, frames.extract_if(.., is_mine).filter_map(message_of));
            }
        }
        frames.clear();
    }

    /// A link that another process opened is gone.
    pub(crate) fn link_gone(&self, link: u64) {
        for membership in &self.memberships {
            if let Some(serving) = membership.active().and_then(|active| active.serving.as_ref()) {
                serving.link_gone(link);
            }
        }
    }

    /// Tells the FTM something; lost if it can't be reached.
    pub(crate) fn tell_ftm(&self, message: &impl Serialize) {
        if let Some(link) = self.ftm.lock().as_ref() {
            let _ = link.send_control(message);
        }
    }

    /// A grant of transIds of the process's own.
    pub(crate) fn next_process_grant(&self) -> u64 {
        self.process_grants.fetch_add(1, Ordering::Relaxed) * TRANS_GRANT
    }

    /// Closes what is open, in good order, and lets the user's code end.
    pub(crate) async fn shut_down(&self) {
        for membership in &self.memberships {
            let Some(active) = membership.active() else { continue };
            let store = active.area.store.clone();
            let closed = tokio::task::spawn_blocking(move || store.close()).await;
            if let Ok(Err(error)) = closed {
                tracing::error!(alias = %membership.ticket.alias, %error, "the stable area was not closed well");
            }
        }
        self.ended.send_replace(true);
    }

    /// What this process measured.
    pub(crate) fn stats(&self) -> NodeStats {
        let page = rustix::param::page_size() as u64;
        let resident = std::fs::read_to_string("/proc/self/statm").ok();
        let resident = resident.and_then(|text| text.split_whitespace().nth(1)?.parse::<u64>().ok());
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        NodeStats {
            at_ns: clock::monotonic_ns(),
            rss_bytes: resident.unwrap_or(0) * page,
            cpu_ms: cpu.tv_sec as u64 * 1000 + cpu.tv_nsec as u64 / 1_000_000,
            links: self.links.count() as u32,
            events_dropped: self.trace.dropped(),
            traced_one_in: self.trace.sampler.one_in(),
            aliases: self.memberships.iter().map(|membership| membership.stats()).collect(),
        }
    }
}

fn source_of(message: &Message<Bytes>) -> AliasId {
    match message {
        Message::Request(request) | Message::Cancel(request) => request.id.source,
        Message::Answer { id, .. } | Message::Refused { id, .. } | Message::CancelEnded { id, .. } => {
            id.source
        }
        Message::Mark { source, .. } => *source,
    }
}

/// Logs go to standard error, which the FTM keeps in a file per process; unless the program has set up its own.
fn log_to_standard_error() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("PALIB_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .try_init();
}
