//! A small FTM inside the test's own process: it promotes whom the test names, over real QUIC and real areas.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use palib::Process;
use palib::control::{
    AliasRow, Answer, FromFtm, JoinTicket, MemberRow, MemberState, Policy, Query, TableChange, TicketAlias,
    ToFtm, What,
};
use palib::tls::{Authority, Grant, Identity};
use palib::transport::{Endpoint, Link};
use palib::wire::Frame;
use parking_lot::Mutex;
use tokio::sync::Notify;

pub(crate) struct Ftm {
    pub(crate) folder: tempfile::TempDir,
    authority: Authority,
    state: Arc<Mutex<State>>,
    changed: Arc<Notify>,
}

#[derive(Default)]
struct State {
    version: u64,
    rows: BTreeMap<String, AliasRow>,
    links: BTreeMap<u32, Link>,
    promoted: Vec<(u32, u64)>,
    heard: Vec<ToFtm>,
    asked: u64,
}

impl Ftm {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let authority = Authority::create("test").expect("an authority");
        let state = Arc::new(Mutex::new(State::default()));
        let changed = Arc::new(Notify::new());
        std::fs::create_dir_all(folder.path().join("areas")).expect("a folder for areas");
        let issued = authority.issue(&Grant::ftm()).expect("a certificate");
        let identity = Identity::from_pem(&issued, authority.certificate_pem()).expect("an identity");
        let endpoint = Endpoint::bind(&identity, SocketAddr::from(([127, 0, 0, 1], 0))).expect("an endpoint");
        let address = endpoint.local_address().expect("an address");
        std::fs::write(folder.path().join("ftm.addr"), address.to_string()).expect("the address file");
        std::fs::write(folder.path().join("authority.pem"), authority.certificate_pem())
            .expect("the authority");
        let (links, told) = (state.clone(), changed.clone());
        tokio::spawn(async move {
            while let Some(link) = endpoint.accept().await {
                tokio::spawn(listen(links.clone(), told.clone(), link));
            }
        });
        Self { folder, authority, state, changed }
    }

    /// A ticket for a process that is a member of these aliases, given as `(name, number, port)`.
    pub(crate) fn ticket(&self, process: &str, process_id: u32, aliases: &[(&str, u32, u32)]) -> JoinTicket {
        let path = |name: String| -> PathBuf { self.folder.path().join(name) };
        let names: Vec<String> = aliases.iter().map(|(alias, ..)| (*alias).to_owned()).collect();
        let issued = self.authority.issue(&Grant::process(process, names)).expect("a certificate");
        let (certificate, key) = (path(format!("{process}.pem")), path(format!("{process}.key")));
        let _ = std::fs::remove_file(&certificate);
        let _ = std::fs::remove_file(&key);
        issued.save(&certificate, &key).expect("the certificate is saved");
        JoinTicket {
            cluster: "test".to_owned(),
            site: 1,
            process: process.to_owned(),
            process_id,
            ftm_address_file: path("ftm.addr".to_owned()),
            certificate,
            key,
            authority: path("authority.pem".to_owned()),
            areas: path("areas".to_owned()),
            fired: path(format!("{process}.fired")),
            aliases: aliases
                .iter()
                .map(|(alias, alias_id, port)| TicketAlias {
                    alias: (*alias).to_owned(),
                    alias_id: *alias_id,
                    port: *port,
                    kind: None,
                    id_by_port: false,
                    trans_scope: "alias".to_owned(),
                    outbox: true,
                    on_takeover: Policy::RollForward,
                    options: BTreeMap::new(),
                })
                .collect(),
            heartbeat_ms: 50,
        }
    }

    pub(crate) async fn join(&self, ticket: JoinTicket) -> Process {
        self.expect(&ticket);
        Process::join_with(ticket).await.expect("the process joins")
    }

    /// Puts a process into the table. There must be a row for each alias before a process may look it up.
    pub(crate) fn expect(&self, ticket: &JoinTicket) {
        let mut state = self.state.lock();
        for alias in &ticket.aliases {
            state.rows.entry(alias.alias.clone()).or_insert_with(|| AliasRow {
                alias: alias.alias.clone(),
                alias_id: alias.alias_id,
                kind: "test".to_owned(),
                incarnation: 0,
                site: 1,
                members: Vec::new(),
            });
            let member = MemberRow {
                port: alias.port,
                process: ticket.process.clone(),
                process_id: ticket.process_id,
                pid: None,
                address: None,
                in_service: false,
                state: MemberState::Starting,
                since_unix_ms: 0,
                why: String::new(),
            };
            state.rows.get_mut(&alias.alias).expect("just put").members.push(member);
        }
    }

    /// Where a process that has joined takes calls.
    #[allow(dead_code, reason = "the tests of hostile peers share this file and need it")]
    pub(crate) fn address_of(&self, process_id: u32) -> Option<SocketAddr> {
        let state = self.state.lock();
        let mut members = state.rows.values().flat_map(|row| &row.members);
        members.find(|member| member.process_id == process_id)?.address
    }

    /// Promotes a process for an alias and moves the mark of service when it has recovered.
    pub(crate) async fn promote(&self, alias: &str, process_id: u32) {
        let (id, incarnation) = self.order_promotion(alias, process_id);
        self.until(|state| state.promoted.contains(&(id, incarnation))).await;
        let mut state = self.state.lock();
        let row = state.rows.get_mut(alias).expect("a known alias");
        for member in &mut row.members {
            member.in_service = member.process_id == process_id;
        }
        state.push();
    }

    /// Orders a process to take over; the alias and the incarnation.
    pub(crate) fn order_promotion(&self, alias: &str, process_id: u32) -> (u32, u64) {
        let (link, id, incarnation) = {
            let mut state = self.state.lock();
            let row = state.rows.get_mut(alias).expect("a known alias");
            row.incarnation += 1;
            for member in &mut row.members {
                member.in_service = false;
            }
            let (id, incarnation) = (row.alias_id, row.incarnation);
            (state.links.get(&process_id).expect("a joined process").clone(), id, incarnation)
        };
        let areas = self.folder.path().join("areas");
        palib::stable::raise_fence(&areas, alias, palib::core::ids::Incarnation(incarnation))
            .expect("the fence");
        let order = FromFtm::Promote {
            alias: id,
            incarnation,
            trans_base: incarnation * palib::core::ids::TRANS_GRANT,
        };
        link.send_control(&order).expect("the order is sent");
        (id, incarnation)
    }

    /// Has a process end in good order and forgets it; a member that was in service is so no more.
    pub(crate) async fn exit(&self, process: &Process) {
        let process_id = process.ticket().process_id;
        let link = self.state.lock().links.get(&process_id).expect("a joined process").clone();
        link.send_control(&FromFtm::Exit { reason: "a test".to_owned() }).expect("the order is sent");
        process.ended().await;
        let mut state = self.state.lock();
        for row in state.rows.values_mut() {
            row.members.retain(|member| member.process_id != process_id);
        }
        state.push();
    }

    /// Asks a process as an operator does.
    pub(crate) async fn ask(&self, process: &Process, query: Query) -> Result<Answer, String> {
        let (link, number) = {
            let mut state = self.state.lock();
            state.asked += 1;
            let link = state.links.get(&process.ticket().process_id).expect("a joined process");
            (link.clone(), state.asked)
        };
        link.send_control(&FromFtm::Query { query: number, body: query }).expect("the question is sent");
        let answer = |said: &ToFtm| match said {
            ToFtm::Answer { query, answer } if *query == number => Some(answer.clone()),
            _ => None,
        };
        self.until_heard(|said| answer(said).is_some()).await;
        self.state.lock().heard.iter().find_map(answer).expect("it was just heard")
    }

    /// Waits until a process tells of this.
    pub(crate) async fn until_told(&self, wanted: impl Fn(&What) -> bool) {
        let told = |said: &ToFtm| match said {
            ToFtm::Events { events } => events.iter().any(|event| wanted(&event.what)),
            _ => false,
        };
        self.until_heard(told).await;
    }

    /// Waits until the process has said this to its FTM.
    pub(crate) async fn until_heard(&self, wanted: impl Fn(&ToFtm) -> bool) {
        self.until(|state| state.heard.iter().any(&wanted)).await;
    }

    async fn until(&self, holds: impl Fn(&State) -> bool) {
        let wait = async {
            loop {
                let told = self.changed.notified();
                if holds(&self.state.lock()) {
                    return;
                }
                told.await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("it happens within 20 s");
    }
}

impl State {
    fn push(&mut self) {
        self.version += 1;
        let change = TableChange {
            unsure: Vec::new(),
            version: self.version,
            aliases: self.rows.values().cloned().collect(),
            gone: Vec::new(),
        };
        for link in self.links.values() {
            let _ = link.send_control(&FromFtm::Table(change.clone()));
        }
    }
}

async fn listen(state: Arc<Mutex<State>>, changed: Arc<Notify>, link: Link) {
    let mut frames = Vec::new();
    while link.receive(&mut frames).await.is_ok() {
        for frame in frames.drain(..) {
            let Frame::Control(bytes) = frame else { continue };
            let said: ToFtm = serde_json::from_slice(&bytes).expect("a message of this version");
            let mut state = state.lock();
            match &said {
                ToFtm::Join { process_id, address, .. } => {
                    state.links.insert(*process_id, link.clone());
                    for member in state.rows.values_mut().flat_map(|row| &mut row.members) {
                        if member.process_id == *process_id {
                            member.address = Some(*address);
                        }
                    }
                    state.push();
                }
                ToFtm::Promoted { alias, incarnation, .. } => state.promoted.push((*alias, *incarnation)),
                _ => {}
            }
            state.heard.push(said);
        }
        changed.notify_waiters();
    }
}
