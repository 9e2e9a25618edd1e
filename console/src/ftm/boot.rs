//! Starting, for the first time or after a former FTM: reading what is remembered and finding who still lives.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use palib::control::{ArmedRow, What};
use palib::defect::Point;
use palib::tls::{Authority, Grant, Identity};
use palib::transport::Endpoint;
use palib_core::ids::{AliasId, Incarnation, PortId, ProcessId, TransId, TransScope};
use palib_core::manager::{AliasConfig, AliasRecord, Counters, Manager, Seat, SeatConfig, Settings};
use rustix::process::Signal;
use tokio::sync::mpsc::UnboundedSender;

use super::links::Message;
use super::store::{AliasState, ProcessState, Remembered, Write};
use super::{
    AliasInfo, ArmedPoint, Death, EventLog, Fences, Ftm, FtmError, Handle, LOSE_FENCING_KILL, OwnPoints,
    Processes, RunInfo, SeatInfo, StandingFault, Store, Takeovers, certificates, clock, faults, unix_ms,
};
use crate::cluster::{self, ClusterFile};
use crate::keeper::OWN_PROGRAM;
use crate::state::{ProcessMark, StateError, StateFolder, write_whole};

/// Event numbers are taken from the store so many at a time.
const EVENT_BLOCK: u64 = 100_000;
/// The alias under whose name operators call.
const OPERATOR: &str = "operator";

impl Ftm {
    /// Reads everything, finds who lives, and listens. Nothing is started yet.
    pub(super) fn boot(folder: &StateFolder, sender: UnboundedSender<Message>) -> Result<Self, FtmError> {
        let store = Store::open(&folder.ftm_store())?;
        let cluster = read_cluster(folder)?;
        let remembered = store.load()?;
        let own = OwnPoints::read(folder);
        own.pass(Point::AfterLoad);
        let mut writes = Vec::new();
        let starts = remembered.number("starts") + 1;
        writes.push(Write::Number("starts", starts));

        let mut next_alias = u32::try_from(remembered.number("next_alias")).unwrap_or(u32::MAX);
        let (aliases, gone) = name_aliases(&cluster, &remembered, &mut next_alias, &mut writes);
        let operator = operator_alias(&remembered, &mut writes);
        writes.push(Write::Number("next_alias", next_alias.into()));
        let anew = folder.started_anew().exists();
        let (seats, runs) = find_processes(&cluster, &remembered, &aliases, anew, &mut writes);

        let authority = issue(folder, &seats, &aliases)?;
        let fences = Fences::new(folder.clone());
        for info in aliases.values() {
            let raised = fences.raise(&info.spec.name, Incarnation(info.state.incarnation));
            raised.map_err(|source| io(&folder.incarnation(&info.spec.name), source))?;
        }
        let log = EventLog::open(&folder.events(), remembered.number("events_reserved"));
        let log = log.map_err(|source| io(&folder.events(), source))?;
        let events_reserved = log.next() + EVENT_BLOCK;
        writes.push(Write::Number("events_reserved", events_reserved));
        let endpoint = listen(folder, &remembered, &mut writes)?;
        store.commit(&writes)?;
        // From here on what died is remembered as dead; an FTM that ends before this finds the file again.
        let _ = fs::remove_file(folder.started_anew());
        own.pass(Point::AfterStart);

        let tell = sender.clone();
        let processes = Processes::new(move |event| drop(tell.send(Message::Process(event))));
        let mut ftm = Self {
            folder: folder.clone(),
            base: fs::read_to_string(folder.origin())
                .map_or_else(|_| folder.path().to_owned(), PathBuf::from),
            program: OWN_PROGRAM.into(),
            authority,
            store,
            fences,
            processes: processes.map_err(|source| FtmError::Io { what: "threads".into(), source })?,
            endpoint,
            manager: manager(&cluster, &remembered, &aliases, &seats, &runs),
            log,
            events_reserved,
            table_version: starts << 32,
            operator,
            gone: gone_aliases(&cluster, &remembered),
            aliases,
            seats,
            runs,
            joined: BTreeMap::new(),
            links: BTreeMap::new(),
            takeovers: Takeovers::default(),
            changed: BTreeSet::new(),
            asked: BTreeMap::new(),
            next_query: 1,
            defects: BTreeMap::new(),
            armed: Vec::new(),
            forgotten: Vec::new(),
            taken_back: BTreeSet::new(),
            faults: Vec::new(),
            knocked: BTreeMap::new(),
            own,
            lose_fencing_kill: std::env::var_os(LOSE_FENCING_KILL).is_some(),
            sender,
            marked: Vec::new(),
            stopping: false,
            ended: false,
            cluster,
        };
        ftm.introduce(starts, &remembered, gone);
        ftm.announce()?;
        ftm.pass(Point::AfterAnnounce);
        Ok(ftm)
    }

    /// Takes the next block of event numbers before the last one is used up.
    pub(super) fn reserve_event_numbers(&mut self) {
        if self.log.next() + EVENT_BLOCK / 2 > self.events_reserved {
            self.events_reserved = self.log.next() + EVENT_BLOCK;
            self.commit(&[Write::Number("events_reserved", self.events_reserved)]);
        }
    }

    /// The first events, and the watch over who was found alive.
    fn introduce(&mut self, starts: u64, remembered: &Remembered, gone: Vec<String>) {
        let adopted = u32::try_from(self.runs.len()).unwrap_or(u32::MAX);
        let (pid, cluster) = (std::process::id(), self.cluster.name.clone());
        let processes: Vec<String> = self.seats.values().map(|info| info.name.clone()).collect();
        self.emit(What::FtmStarted { pid, cluster, adopted, starts, processes: processes.clone() });
        gone.into_iter().for_each(|alias| self.emit(What::AliasGone { alias }));
        let found: Vec<_> = self.runs.iter().map(|(process, run)| (*process, run.seat)).collect();
        self.pass(Point::BeforeAdopt);
        for (process, seat) in found {
            let Some(run) = self.runs.get(&process) else { continue };
            let (mark, handle) = (run.mark, run.handle.clone());
            if let (Some(mark), Some(handle)) = (mark, handle) {
                self.processes.adopt(process, handle);
                let name = self.name(seat);
                self.emit(What::Adopted { name, pid: mark.pid });
            }
        }
        self.pass(Point::AfterAdopt);
        for (name, state) in remembered.processes.iter().filter(|(name, _)| processes.contains(name)) {
            let lives = self.runs.contains_key(&ProcessId(state.process_id));
            if let (false, Some(pid)) = (lives, state.pid) {
                let (how, ordered) = ("unknown".to_owned(), state.hang.is_some());
                self.emit(What::Exited { name: name.clone(), pid, how, ordered });
            }
        }
        self.go_on_with_faults(&remembered.faults);
        self.go_on_with_hangs();
        self.close_the_ledger();
    }

    /// Counts on from the defects a former FTM injected; a kill of the FTM itself is healed now, points that were armed
    /// are not any more, but for those of the FTM itself, and a fault that the former one had just healed is over.
    fn close_the_ledger(&mut self) {
        let (mut over, mut armed, mut at_points) = (Vec::new(), Vec::new(), Vec::new());
        let mut told = BTreeSet::new();
        for event in self.log.kept() {
            match &event.what {
                What::Defect { id, spec } => {
                    count_on(&mut self.defects, id);
                    told.insert(id.clone());
                    armed.retain(|other| other != id);
                    if spec == "kill ftm" || (faults::is_fault(id) && self.fault(id).is_none()) {
                        over.push(id.clone());
                    } else if spec.starts_with("kill ftm@") {
                        at_points.push(id.clone());
                    }
                }
                What::Armed { id, .. } => {
                    count_on(&mut self.defects, id);
                    told.insert(id.clone());
                    armed.push(id.clone());
                }
                What::Paused { id, .. } | What::Disarmed { id } => armed.retain(|other| other != id),
                What::Healed { id } => over.retain(|open| open != id),
                _ => {}
            }
        }
        over.into_iter().for_each(|id| self.emit(What::Healed { id }));
        let own: Vec<ArmedRow> = self.own.armed().to_vec();
        for row in &own {
            count_on(&mut self.defects, &row.id);
        }
        self.tell_fired(&at_points, &mut armed);
        // A fault of a disk that waits to strike outlives the FTM that made it, as all faults of disks do.
        armed.retain(|id| own.iter().all(|row| &row.id != id) && self.fault(id).is_none());
        // What lasts for long is no longer at the end of the log, which is all that is read back.
        let points = own.iter().cloned().map(|ArmedRow { id, spec }| What::Armed { id, spec });
        let hangs = self.seats.values().filter_map(|info| info.state.hang.clone());
        let hangs = hangs.map(|hang| What::Defect { id: hang.id, spec: hang.fault.spec });
        let lasting: Vec<What> =
            self.faults.iter().map(StandingFault::words).chain(hangs).chain(points).collect();
        for what in lasting {
            if let What::Defect { id, .. } | What::Armed { id, .. } = &what
                && !told.contains(id)
            {
                self.emit(what);
            }
        }
        self.armed.extend(own.into_iter().filter_map(ArmedPoint::of_ftm));
        self.forgotten.clone_from(&armed);
        armed.into_iter().for_each(|id| self.emit(What::Disarmed { id }));
    }

    /// Says where it is: from now on it can be found.
    fn announce(&self) -> Result<(), FtmError> {
        ProcessMark::own().write(&self.folder.ftm_pid())?;
        let address = self.endpoint.local_address()?;
        write_whole(&self.folder.ftm_address(), address.to_string().as_bytes())?;
        Ok(())
    }
}

/// No id of the ledger is given twice.
pub(super) fn count_on(defects: &mut BTreeMap<char, u32>, id: &str) {
    let mut letters = id.chars();
    if let (Some(kind), Ok(number)) = (letters.next(), letters.as_str().parse::<u32>()) {
        let last = defects.entry(kind).or_insert(0);
        *last = number.max(*last);
    }
}

/// The scope of an alias's transIds, as the machines take it.
pub(super) fn scope_of(scope: cluster::TransScope) -> TransScope {
    match scope {
        cluster::TransScope::Site => TransScope::Site,
        cluster::TransScope::Alias => TransScope::Alias,
        cluster::TransScope::Process => TransScope::Process,
    }
}

fn io(path: &Path, source: std::io::Error) -> FtmError {
    FtmError::State(StateError::Io { path: path.to_owned(), source })
}

fn read_cluster(folder: &StateFolder) -> Result<ClusterFile, FtmError> {
    let path = folder.cluster_file();
    let text = fs::read_to_string(&path).map_err(|source| io(&path, source))?;
    Ok(ClusterFile::parse(&path, &text)?)
}

/// Gives each alias its number: the one it had, or a new one. Returns also the aliases that exist no longer.
fn name_aliases(
    cluster: &ClusterFile,
    remembered: &Remembered,
    next: &mut u32,
    writes: &mut Vec<Write>,
) -> (BTreeMap<AliasId, AliasInfo>, Vec<String>) {
    let mut aliases = BTreeMap::new();
    for spec in &cluster.aliases {
        let mut state = remembered.aliases.get(&spec.name).cloned().unwrap_or_else(|| {
            *next += 1;
            AliasState { id: *next, ..AliasState::default() }
        });
        state.gone = false;
        writes.push(Write::Alias(spec.name.clone(), state.clone()));
        let served = state.holder.is_some();
        let why = if served { "in service before this FTM started" } else { "not in service yet" }.to_owned();
        let (refusal, death) = (None, Death::default());
        aliases.insert(AliasId(state.id), AliasInfo { spec: spec.clone(), state, why, refusal, death });
    }
    let mut gone = Vec::new();
    let newly = |(name, state): &(&String, &AliasState)| !exists(cluster, name) && !state.gone;
    for (name, state) in remembered.aliases.iter().filter(newly) {
        writes.push(Write::Alias(name.clone(), AliasState { gone: true, holder: None, ..state.clone() }));
        gone.push(name.clone());
    }
    (aliases, gone)
}

/// All that exist no longer, whenever they went: a server may be promoted only now that still has what they left behind.
/// An alias that comes back keeps its number, because its stable area bears it, and goes on above its last incarnation.
fn gone_aliases(cluster: &ClusterFile, remembered: &Remembered) -> Vec<(u32, u64)> {
    let gone = remembered.aliases.iter().filter(|(name, _)| !exists(cluster, name));
    gone.map(|(_, state)| (state.id, state.incarnation)).collect()
}

fn exists(cluster: &ClusterFile, alias: &str) -> bool {
    alias == OPERATOR || cluster.alias(alias).is_some()
}

/// The operators' alias has the same number in every cluster, so that the text of an operator's call id names one
/// call wherever it is read: a second number would be a second identity, and the call would be executed again.
fn operator_alias(remembered: &Remembered, writes: &mut Vec<Write>) -> AliasState {
    let state = AliasState { id: 0, ..remembered.aliases.get(OPERATOR).cloned().unwrap_or_default() };
    writes.push(Write::Alias(OPERATOR.to_owned(), state.clone()));
    state
}

/// The seats of the cluster file and those an operator added, with the runs that still live.
fn find_processes(
    cluster: &ClusterFile,
    remembered: &Remembered,
    aliases: &BTreeMap<AliasId, AliasInfo>,
    anew: bool,
    writes: &mut Vec<Write>,
) -> (BTreeMap<Seat, SeatInfo>, BTreeMap<ProcessId, RunInfo>) {
    let number = |name: &String| aliases.iter().find(|(_, info)| &info.spec.name == name).map(|(id, _)| *id);
    let mut wanted: Vec<(String, Vec<AliasId>, Option<Vec<String>>)> = cluster
        .processes
        .iter()
        .map(|process| {
            (
                process.name.clone(),
                process.aliases.iter().filter_map(number).collect(),
                process.command.clone(),
            )
        })
        .collect();
    for (name, state) in &remembered.processes {
        let added = state.added_to.as_ref().and_then(|alias| Some((number(alias)?, cluster.alias(alias)?)));
        if let Some((id, spec)) = added
            && wanted.iter().all(|(other, ..)| other != name)
        {
            wanted.push((name.clone(), vec![id], spec.command.clone()));
        }
    }
    let (mut seats, mut runs) = (BTreeMap::new(), BTreeMap::new());
    for (seat, (name, aliases, command)) in (1..).map(Seat).zip(wanted) {
        let mut state = remembered.processes.get(&name).cloned().unwrap_or_default();
        if let Some((mark, handle)) = living(&state) {
            let run = RunInfo { mark: Some(mark), handle: Some(handle), ..RunInfo::new(seat) };
            runs.insert(ProcessId(state.process_id), run);
        } else if state.pid.is_some() {
            state.bury();
        }
        state.died &= !anew;
        if remembered.processes.get(&name).is_some_and(|known| *known != state) {
            writes.push(Write::Process(name.clone(), state.clone()));
        }
        let why = match &state {
            state if state.down => "ended by an operator",
            state if state.died => "died under a former FTM",
            _ => "not started yet",
        };
        let info = SeatInfo {
            name,
            aliases,
            command,
            state,
            why: why.to_owned(),
            since_unix_ms: unix_ms(),
            injured: Vec::new(),
            death: Death::default(),
        };
        seats.insert(seat, info);
    }
    for (name, state) in &remembered.processes {
        if seats.values().all(|info: &SeatInfo| &info.name != name) {
            // No seat for it any more. It can't have anything in service under this FTM.
            if let Some((_, handle)) = living(state) {
                let _ = handle.signal(Signal::KILL);
            }
            writes.push(Write::Forget(name.clone()));
        }
    }
    (seats, runs)
}

fn living(state: &ProcessState) -> Option<(ProcessMark, Handle)> {
    let mark = state.mark()?;
    Some((mark, Handle::open(mark).ok()?))
}

/// The authority, and a certificate for everybody.
fn issue(
    folder: &StateFolder,
    seats: &BTreeMap<Seat, SeatInfo>,
    aliases: &BTreeMap<AliasId, AliasInfo>,
) -> Result<Authority, FtmError> {
    let authority = certificates::authority(folder)?;
    certificates::ensure(&authority, folder, &Grant::ftm())?;
    certificates::ensure(&authority, folder, &Grant::operator())?;
    for seat in seats.values() {
        let names = seat.aliases.iter().filter_map(|alias| Some(aliases.get(alias)?.spec.name.clone()));
        certificates::ensure(&authority, folder, &Grant::process(&seat.name, names))?;
    }
    Ok(authority)
}

/// Listens where the former FTM did if that is free: then nobody has to look for it.
fn listen(
    folder: &StateFolder,
    remembered: &Remembered,
    writes: &mut Vec<Write>,
) -> Result<Endpoint, FtmError> {
    let identity = Identity::load(&folder.certificate("ftm"), &folder.key("ftm"), &folder.authority())?;
    let at = |port: u16| Endpoint::bind(&identity, SocketAddr::from(([127, 0, 0, 1], port)));
    let former = u16::try_from(remembered.number("port")).unwrap_or(0);
    let endpoint = match at(former) {
        Err(_) if former != 0 => at(0)?,
        other => other?,
    };
    writes.push(Write::Number("port", endpoint.local_address()?.port().into()));
    Ok(endpoint)
}

fn manager(
    cluster: &ClusterFile,
    remembered: &Remembered,
    aliases: &BTreeMap<AliasId, AliasInfo>,
    seats: &BTreeMap<Seat, SeatInfo>,
    runs: &BTreeMap<ProcessId, RunInfo>,
) -> Manager {
    let ns = |duration: std::time::Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let settings = Settings {
        suspect_after: ns(cluster.settings.suspect_after),
        respawn: cluster.settings.respawn,
        ..Settings::default()
    };
    let small = |name: &str| u32::try_from(remembered.number(name)).unwrap_or(u32::MAX);
    let counters = Counters {
        process: ProcessId(small("process")),
        port: PortId(small("port_alias")),
        site_grant: remembered.number("site_grant"),
    };
    let configs: Vec<_> = aliases
        .iter()
        .map(|(id, info)| {
            let first = cluster.members(&info.spec.name).first().copied();
            let preferred =
                seats.iter().find(|(_, seat)| Some(seat.name.as_str()) == first).map(|(seat, _)| *seat);
            let record = AliasRecord {
                incarnation: Incarnation(info.state.incarnation),
                holder: info.state.holder.map(ProcessId),
                fenced: info.state.fenced,
                trans_base: TransId(info.state.trans_base),
            };
            AliasConfig { alias: *id, scope: scope_of(info.spec.trans_scope), preferred, record }
        })
        .collect();
    let places: Vec<_> = seats
        .iter()
        .map(|(seat, info)| {
            let process = ProcessId(info.state.process_id);
            let ports = info.state.ports.iter().map(|(alias, port)| (AliasId(*alias), PortId(*port)));
            let adopted = runs.contains_key(&process).then(|| (process, ports.collect()));
            // Who died is started again by this FTM where the former one would have, too.
            let down = info.state.down || (info.state.died && !settings.respawn);
            SeatConfig { seat: *seat, aliases: info.aliases.clone(), down, adopted }
        })
        .collect();
    Manager::new(settings, counters, &configs, &places, clock::now())
}
