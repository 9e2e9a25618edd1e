//! Doing what the manager decided, in its order: durable first, orders next, words last.

use std::collections::BTreeMap;
use std::ffi::OsString;

use palib::control::{FromFtm, JoinTicket, TicketAlias, What};
use palib::defect::Point;
use palib_core::ids::{AliasId, Incarnation, ProcessId};
use palib_core::manager::{Cause, Change, Effect, Input, Note, Seat};
use rustix::process::Signal;

use super::processes::Order;
use super::store::Write;
use super::{Death, Ftm, RunInfo, clock, now_ns};
use crate::state::{StateError, write_whole};

impl Ftm {
    /// Gives the manager an input and does what follows from it.
    pub(super) fn give(&mut self, input: Input) {
        let mut effects = Vec::new();
        self.manager.handle(clock::now(), input, &mut effects);
        if effects.iter().any(|effect| matches!(effect, Effect::Note(Note::InService { .. }))) {
            self.pass(Point::AfterMark);
        }
        self.perform(effects);
        self.push_table();
    }

    fn perform(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Persist { changes, then } => {
                    let writes: Vec<_> = changes.iter().flat_map(|change| self.remember(change)).collect();
                    self.pass_changes(&changes, [Point::BeforeIncarnation, Point::BeforeRun]);
                    self.commit(&writes);
                    self.pass_changes(&changes, [Point::AfterIncarnation, Point::AfterRun]);
                    self.perform(then);
                }
                Effect::WriteFence { alias, incarnation, fences } => {
                    self.pass(Point::BeforeFence);
                    self.write_fence(alias, incarnation, fences);
                    self.pass(Point::AfterFence);
                }
                Effect::Kill { process } => {
                    self.pass(Point::BeforeFencingKill);
                    self.fencing_kill(process);
                    self.pass(Point::AfterFencingKill);
                }
                Effect::Promote { process, alias, incarnation, trans_base } => {
                    let (alias, incarnation) = (alias.0, incarnation.0);
                    self.pass(Point::BeforePromote);
                    self.order(process, &FromFtm::Promote { alias, incarnation, trans_base: trans_base.0 });
                    self.pass(Point::AfterPromote);
                }
                Effect::End { process } => {
                    self.order(process, &FromFtm::Exit { reason: "the FTM ends this process".to_owned() });
                }
                Effect::Spawn { seat, process } => self.spawn(seat, process),
                Effect::Push { alias } => drop(self.changed.insert(alias)),
                Effect::Note(note) => self.note(note),
            }
        }
    }

    /// The FTM passes the defect points of what is remembered: of incarnations, and of new runs.
    fn pass_changes(&self, changes: &[Change], [incarnation, run]: [Point; 2]) {
        if changes.iter().any(|change| matches!(change, Change::Alias { .. })) {
            self.pass(incarnation);
        }
        if changes.iter().any(|change| matches!(change, Change::Run { .. })) {
            self.pass(run);
        }
    }

    /// Makes writes durable. An FTM that can't remember must not decide: it ends, and the keeper starts another that
    /// reads what is there.
    pub(super) fn commit(&self, writes: &[Write]) {
        if let Err(error) = self.store.commit(writes) {
            tracing::error!(%error, "the FTM ends because it can't remember what it decides");
            std::process::abort();
        }
    }

    fn remember(&mut self, change: &Change) -> Vec<Write> {
        match change {
            Change::Alias { alias, record } => {
                let Some(info) = self.aliases.get_mut(alias) else { return Vec::new() };
                info.state.incarnation = record.incarnation.0;
                info.state.holder = record.holder.map(|holder| holder.0);
                info.state.fenced = record.fenced;
                info.state.trans_base = record.trans_base.0;
                vec![Write::Alias(info.spec.name.clone(), info.state.clone())]
            }
            Change::Counters(counters) => vec![
                Write::Number("process", counters.process.0.into()),
                Write::Number("port_alias", counters.port.0.into()),
                Write::Number("site_grant", counters.site_grant),
            ],
            Change::Run { seat, process } => {
                let ports = self.manager.run(*seat).map(|run| run.ports.clone()).unwrap_or_default();
                let Some(info) = self.seats.get_mut(seat) else { return Vec::new() };
                info.state.process_id = process.0;
                (info.state.pid, info.state.died) = (None, false);
                info.state.ports = ports.iter().map(|(alias, port)| (alias.0, port.0)).collect();
                info.state.starts += 1;
                vec![Write::Process(info.name.clone(), info.state.clone())]
            }
            Change::Down { seat, down } => {
                let Some(info) = self.seats.get_mut(seat) else { return Vec::new() };
                info.state.down = *down;
                vec![Write::Process(info.name.clone(), info.state.clone())]
            }
        }
    }

    /// The new incarnation stands in the file before an order that was given meanwhile leaves this thread: who is
    /// promoted refuses an area whose fence is below its own incarnation. Only the sync of a file that has nobody to
    /// fence off is left to another thread.
    fn write_fence(&mut self, alias: AliasId, incarnation: Incarnation, fences: bool) {
        let name = self.alias_name(alias);
        let failed = move |error: std::io::Error| {
            // The kill and the file lock of the area still fence; this file is the third fence.
            tracing::error!(%error, alias = name, "the incarnation can't be written beside the stable area");
        };
        match self.fences.show(&self.alias_name(alias), incarnation) {
            Ok(None) => {}
            Ok(Some(file)) if fences => file.sync_data().unwrap_or_else(failed),
            Ok(Some(file)) => {
                drop(tokio::task::spawn_blocking(move || file.sync_data().unwrap_or_else(failed)))
            }
            Err(error) => failed(error),
        }
    }

    fn fencing_kill(&mut self, process: ProcessId) {
        let Some(run) = self.runs.get_mut(&process) else { return };
        let Some(handle) = &run.handle else {
            run.kill_at_start = true;
            return;
        };
        if self.lose_fencing_kill && !self.stopping {
            tracing::warn!(%process, "the SIGKILL of fencing is lost, as this test wants it");
            return;
        }
        if let Err(error) = handle.signal(Signal::KILL) {
            tracing::error!(%process, %error, "a process could not be killed; it is tried again");
        }
    }

    /// Sends an order to a run, if it is connected. Orders that are lost are given again when it joins.
    pub(super) fn order(&self, process: ProcessId, order: &FromFtm) {
        if let Some(link) = self.runs.get(&process).and_then(|run| run.link.as_ref()) {
            let _ = link.send_control(order);
        }
    }

    fn spawn(&mut self, seat: Seat, process: ProcessId) {
        // The last run was kept for its rows; now the seat is taken again.
        self.runs.retain(|_, run| run.seat != seat);
        self.runs.insert(process, RunInfo::new(seat));
        if let Some(info) = self.seats.get_mut(&seat) {
            info.death = Death::default();
        }
        // Else the next death would be taken for one at the point where the last process died.
        let _ = std::fs::remove_file(self.folder.fired(&self.name(seat)));
        self.set_why(seat, "started".to_owned());
        if let Err(error) = self.write_ticket(seat, process) {
            let reason = error.to_string();
            let told = super::ProcessEvent::NotStarted { process, reason };
            // Not handled here: the manager is in the middle of its effects.
            let _ = self.sender.send(super::Message::Process(told));
            return;
        }
        let Some(info) = self.seats.get(&seat) else { return };
        let (program, arguments, folder) = match info.command.as_deref() {
            Some([program, arguments @ ..]) => {
                let arguments = arguments.iter().map(OsString::from).collect();
                (self.program_of(program), arguments, Some(self.base.clone()))
            }
            _ => (self.program.clone(), vec![OsString::from("node")], None),
        };
        let (ticket, log) = (self.folder.ticket(&info.name), self.folder.log(&info.name));
        self.processes.start(Order { process, program, arguments, folder, ticket, log });
    }

    /// A program with a path is looked for where its cluster file lies, one without a path as usual.
    fn program_of(&self, program: &str) -> OsString {
        if program.contains('/') { self.base.join(program).into() } else { program.into() }
    }

    fn write_ticket(&self, seat: Seat, process: ProcessId) -> Result<(), StateError> {
        let Some(info) = self.seats.get(&seat) else { return Ok(()) };
        let ports = self.manager.run(seat).map(|run| run.ports.clone()).unwrap_or_default();
        let aliases = ports.iter().filter_map(|(alias, port)| {
            let spec = &self.aliases.get(alias)?.spec;
            Some(TicketAlias {
                alias: spec.name.clone(),
                alias_id: alias.0,
                port: port.0,
                kind: spec.kind.clone(),
                id_by_port: spec.id_by_port,
                trans_scope: spec.trans_scope.word().to_owned(),
                outbox: spec.outbox,
                on_takeover: spec.on_takeover,
                options: spec.options.clone(),
            })
        });
        let ticket = JoinTicket {
            cluster: self.cluster.name.clone(),
            site: super::rows::SITE,
            process: info.name.clone(),
            process_id: process.0,
            ftm_address_file: self.folder.ftm_address(),
            certificate: self.folder.certificate(&info.name),
            key: self.folder.key(&info.name),
            authority: self.folder.authority(),
            areas: self.folder.areas(),
            fired: self.folder.fired(&info.name),
            aliases: aliases.collect(),
            heartbeat_ms: u64::try_from(self.cluster.settings.heartbeat.as_millis()).unwrap_or(u64::MAX),
        };
        let json = serde_json::to_vec_pretty(&ticket).expect("a ticket has text keys only");
        write_whole(&self.folder.ticket(&info.name), &json)
    }

    /// Tells all processes the rows that changed, and the log.
    fn push_table(&mut self) {
        let mut changed = std::mem::take(&mut self.changed);
        changed.retain(|alias| self.manager.is_settled(*alias));
        if changed.is_empty() {
            return;
        }
        self.pass(Point::BeforePush);
        self.table_version += 1;
        let change = self.table_of(changed);
        let order = FromFtm::Table(change);
        for link in self.runs.values().filter_map(|run| run.link.as_ref()) {
            let _ = link.send_control(&order);
        }
        self.pass(Point::AfterPush);
        if let FromFtm::Table(change) = order {
            change.aliases.into_iter().for_each(|row| self.emit(What::Alias { row }));
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Hung { seat, silent } => self.note_hung(seat, silent),
            Note::Heard { seat } => {
                self.set_why(seat, "heard again".to_owned());
                let name = self.name(seat);
                self.emit(What::Heard { name });
            }
            Note::TakeoverStarted { alias, incarnation, from, to, cause } => {
                self.note_takeover(alias, incarnation, from, to, cause);
            }
            // Told with its measurements by whoever gave the input.
            Note::InService { alias, incarnation, seat } => self.marked.push((alias, incarnation, seat)),
            Note::Outage { alias, last, cause, retry_after } => {
                self.note_outage(alias, last, cause, retry_after)
            }
            Note::CrashLoop { seat, delay } => {
                let name = self.name(seat);
                let log = self.folder.log(&name);
                let text = format!(
                    "{name} keeps dying soon after its start; it is started again in {} ms. Its log: {}",
                    delay / 1_000_000,
                    log.display()
                );
                self.say("warn", text);
            }
            Note::Impostor { seat, alias } => {
                let text = format!(
                    "{} says that it has {} in service, which it has not; it is fenced",
                    self.name(seat),
                    self.alias_name(alias)
                );
                self.say("error", text);
            }
            Note::AllEnded => self.ended = true,
        }
    }

    fn note_hung(&mut self, seat: Seat, silent: u64) {
        let silent_ms = silent / 1_000_000;
        if let Some(info) = self.seats.get_mut(&seat) {
            info.death.detected_ns = Some(now_ns());
        }
        let name = self.name(seat);
        let cut = self.cut_off(&name).map(|id| format!(", cut off by {id}")).unwrap_or_default();
        self.set_why(seat, format!("not heard for {silent_ms} ms{cut}"));
        self.emit(What::Hung { name, silent_ms });
    }

    fn note_takeover(
        &mut self,
        alias: AliasId,
        incarnation: Incarnation,
        from: Option<Seat>,
        to: Seat,
        cause: Cause,
    ) {
        let death = match cause {
            Cause::FirstStart | Cause::PromotionFailed => None,
            Cause::Returned => self.aliases.get(&alias).map(|info| info.death),
            _ => from.and_then(|from| self.seats.get(&from)).map(|info| info.death),
        };
        let death = death.unwrap_or_default();
        self.takeovers.begin(alias, incarnation.0, death, now_ns());
        let (from, to) = (from.map(|from| self.name(from)), self.name(to));
        let words = cause_words(cause);
        if let Some(info) = self.aliases.get_mut(&alias) {
            info.why = match &from {
                Some(from) if cause != Cause::FirstStart => format!("took over from {from} ({words})"),
                _ => words.to_owned(),
            };
        }
        let (alias, incarnation, cause) = (self.alias_name(alias), incarnation.0, words.to_owned());
        self.emit(What::TakeoverStarted { alias, incarnation, from, to, cause });
    }

    fn note_outage(&mut self, alias: AliasId, last: Option<Seat>, cause: Cause, retry_after: Option<u64>) {
        let words = cause_words(cause);
        let death = last.and_then(|last| self.seats.get(&last)).map(|info| info.death).unwrap_or_default();
        let refusal = self.aliases.get(&alias).and_then(|info| info.refusal.clone());
        let next = match retry_after {
            Some(after) => format!(
                "the stable area could not be taken over by any member: {}; it is tried again and again, first in {} ms",
                refusal.unwrap_or_else(|| self.folder.area(&self.alias_name(alias)).display().to_string()),
                after / 1_000_000
            ),
            None if self.cluster.settings.respawn => "the next member that joins takes over".to_owned(),
            None => {
                "processes are not started again in this cluster (respawn = false): use `restart`".to_owned()
            }
        };
        let reason = format!("no member is left ({words}); {next}");
        if let Some(info) = self.aliases.get_mut(&alias) {
            info.why.clone_from(&reason);
            info.death = death;
        }
        let alias = self.alias_name(alias);
        self.emit(What::Outage { alias, reason });
    }
}

/// A cause in the words of events.
pub(super) fn cause_words(cause: Cause) -> &'static str {
    match cause {
        Cause::FirstStart => "first start",
        Cause::Killed => "killed",
        Cause::Exited => "exited",
        Cause::Gone => "gone",
        Cause::NotStarted => "not started",
        Cause::Hung => "hung",
        Cause::PromotionFailed => "promotion failed",
        Cause::NotRejoined => "did not join the restarted FTM",
        Cause::Returned => "a member is back",
    }
}

/// How often each kind of defect was injected; the next id of a kind.
pub(super) fn next_defect(defects: &mut BTreeMap<char, u32>, kind: char) -> String {
    let number = defects.entry(kind).or_insert(0);
    *number += 1;
    format!("{kind}{number}")
}
