//! What is heard of processes: from the operating system, and from themselves.

use palib::control::{Event, FromFtm, TakeoverTiming, ToFtm, What};
use palib::defect::Point;
use palib::transport::Link;
use palib_core::ids::{AliasId, Incarnation, ProcessId};
use palib_core::manager::{Cause, Input, Phase, Seat};
use rustix::process::Signal;

use super::processes::How;
use super::store::Write;
use super::{Ftm, Handle, ProcessEvent, STATS_EVENT_NS, faults, now_ns, unix_ms};
use crate::state::ProcessMark;

impl Ftm {
    pub(super) fn process_event(&mut self, event: ProcessEvent) {
        match event {
            ProcessEvent::Started { process, mark, handle } => self.started(process, mark, handle),
            ProcessEvent::NotStarted { process, reason } => {
                let Some(seat) = self.runs.get(&process).map(|run| run.seat) else { return };
                self.set_why(seat, reason.clone());
                let text = format!("{} could not be started: {reason}", self.name(seat));
                self.say("error", text);
                self.give(Input::Exited { process, cause: Cause::NotStarted, ordered: false });
            }
            ProcessEvent::Exited { process, at_ns, how } => self.exited(process, at_ns, how),
        }
    }

    fn started(&mut self, process: ProcessId, mark: ProcessMark, handle: Handle) {
        self.pass(Point::AfterSpawn);
        let Some(run) = self.runs.get_mut(&process) else { return };
        let (seat, kill) = (run.seat, run.kill_at_start);
        run.mark = Some(mark);
        if kill {
            let _ = handle.signal(Signal::KILL);
        }
        run.handle = Some(handle);
        let Some(info) = self.seats.get_mut(&seat) else { return };
        info.state.pid = Some(mark.pid);
        info.state.start_time = mark.start_time;
        let name = info.name.clone();
        let write = Write::Process(name.clone(), info.state.clone());
        self.commit(&[write]);
        self.pass(Point::AfterPid);
        self.emit(What::Spawned { name, process_id: process.0, pid: mark.pid });
        self.changed.extend(self.seats.get(&seat).map(|info| info.aliases.clone()).unwrap_or_default());
    }

    fn exited(&mut self, process: ProcessId, at_ns: u64, how: How) {
        let Some(run) = self.runs.get(&process) else { return };
        let seat = run.seat;
        self.pass(Point::AfterDeath);
        let waited = self.died_at_point(process, seat);
        let Some(run) = self.runs.get_mut(&process) else { return };
        let (link, mark) = (run.link.take(), run.mark);
        run.handle = None;
        let ordered = run.ordered;
        let fenced = self.manager.run(seat).is_some_and(|run| run.phase == Phase::Fenced);
        let Some(info) = self.seats.get_mut(&seat) else { return };
        let hang = info.state.hang.take().map(|hang| hang.id).or(waited);
        let ordered = ordered || hang.is_some();
        info.death.detected_ns = info.death.detected_ns.filter(|_| fenced).or(Some(at_ns));
        info.death.dead_ns = Some(at_ns);
        let (name, injured, before) = (info.name.clone(), info.injured.join(" "), info.why.clone());
        self.moved_away(&name);
        let last_words = palib::take_last_words(&self.folder.fired(&name));
        let words = how.words();
        if let Some(last) = &last_words {
            self.emit_as(seat, What::Log { level: "error".to_owned(), text: format!("ends: {last}") });
        }
        let why = match () {
            () if !injured.is_empty() => format!("{words}, injected ({injured})"),
            () if last_words.is_some() => format!("{words}: {}", last_words.unwrap_or_default()),
            () if hang.is_some() || fenced => format!("{words} after it was {before}"),
            () => words.clone(),
        };
        self.set_why(seat, why);
        let pid = mark.map_or(0, |mark| mark.pid);
        self.emit(What::Exited { name, pid, how: words, ordered });
        self.give(Input::Exited { process, cause: how.cause(), ordered });
        if let Some(id) = hang {
            self.emit(What::Healed { id });
        }
        if let Some(link) = link {
            link.close("the process is dead");
            self.drop_queries_over(link.number());
        }
    }

    pub(super) fn closed(&mut self, link: u64) {
        self.links.remove(&link);
        self.log.unfollow(link);
        self.drop_queries_over(link);
        if let Some(run) = self.joined.remove(&link).and_then(|process| self.runs.get_mut(&process))
            && run.link.as_ref().is_some_and(|current| current.number() == link)
        {
            // Not a sign of death: heartbeats and the pidfd tell of that. The process connects again.
            run.link = None;
        }
    }

    pub(super) fn node_says(&mut self, link: u64, message: ToFtm) {
        if let ToFtm::Join { process_id, pid, address, in_service } = message {
            let Some(link) = self.links.get(&link).cloned() else { return };
            self.pass(Point::BeforeJoin);
            let process = ProcessId(process_id);
            match self.admit(&link, process, pid) {
                Ok(seat) => {
                    if let Some(run) = self.runs.get_mut(&process) {
                        run.address = Some(address);
                    }
                    self.join(seat, process, link, &in_service);
                    self.pass(Point::AfterJoin);
                }
                Err(reason) => self.turn_away(&link, reason),
            }
            return;
        }
        let Some(process) = self.joined.get(&link).copied() else { return };
        let Some(seat) = self.manager.seat_of(process) else { return };
        match message {
            ToFtm::Join { .. } => {}
            ToFtm::Heartbeat { stats, .. } => self.heartbeat(process, seat, stats),
            ToFtm::Inquire { alias } => {
                let change = self.table_of([AliasId(alias)]);
                self.order(process, &FromFtm::Table(change));
            }
            ToFtm::Promoted { alias, incarnation, timing } => {
                let (alias, incarnation) = (AliasId(alias), Incarnation(incarnation));
                self.pass(Point::BeforeMark);
                self.give_and_time(Input::Promoted { process, alias, incarnation }, timing);
            }
            ToFtm::PromotionFailed { alias, incarnation, reason } => {
                let (alias, incarnation) = (AliasId(alias), Incarnation(incarnation));
                self.promotion_failed(process, seat, alias, incarnation, reason);
            }
            ToFtm::Events { events } => events.into_iter().for_each(|event| self.event_of(seat, event)),
            ToFtm::Answer { query, answer } => self.answered(query, answer),
            ToFtm::Leaving { reason } => {
                self.set_why(seat, reason.clone());
                let text = format!("ends: {reason}");
                self.emit_as(seat, What::Log { level: "info".to_owned(), text });
            }
        }
    }

    /// Whether this is the current run of the process that the certificate names.
    fn admit(&mut self, link: &Link, process: ProcessId, pid: u32) -> Result<Seat, String> {
        let name = &link.peer().name;
        let found = self.seats.iter().find(|(_, info)| &info.name == name).map(|(seat, _)| *seat);
        let seat = found.ok_or_else(|| format!("there is no process {name} in this cluster"))?;
        if self.manager.run(seat).is_none_or(|run| run.process != process) {
            return Err(format!("run {process} of {name} is over"));
        }
        let run = self.runs.get_mut(&process).ok_or_else(|| format!("run {process} of {name} is over"))?;
        match run.mark {
            Some(mark) if mark.pid == pid => Ok(seat),
            Some(mark) => Err(format!(
                "{name} joins from process {pid}, but was started as {}: a command that wraps it can't be watched; \
                 let it `exec` the service",
                mark.pid
            )),
            // It joined before the thread that starts processes could say so.
            None => Ok(seat),
        }
    }

    fn turn_away(&mut self, link: &Link, reason: String) {
        let _ = link.send_control(&FromFtm::Exit { reason: reason.clone() });
        link.close(&reason);
        self.emit(What::Refused { peer: link.peer().name.clone(), reason });
    }

    fn join(&mut self, seat: Seat, process: ProcessId, link: Link, in_service: &[(u32, u64)]) {
        let rejoined = self.manager.run(seat).is_some_and(|run| run.phase != Phase::Starting);
        let number = link.number();
        let Some(run) = self.runs.get_mut(&process) else { return };
        run.heard_ns = Some(now_ns());
        self.joined.insert(number, process);
        if let Some(old) = run.link.replace(link) {
            old.close("this process has connected anew");
        }
        let name = self.name(seat);
        self.set_why(seat, if rejoined { "joined again" } else { "joined" }.to_owned());
        self.emit(What::Joined { name });
        if !rejoined {
            let healed =
                self.seats.get_mut(&seat).map(|info| std::mem::take(&mut info.injured)).unwrap_or_default();
            healed.into_iter().for_each(|id| self.emit(What::Healed { id }));
        }
        let table = self.whole_table();
        // Before it, or anybody, may send something.
        self.enforce_faults();
        self.order(process, &FromFtm::Table(table));
        // Before it may be told to take over, because that passes points.
        self.tell_armed(seat, process);
        let in_service =
            in_service.iter().map(|(alias, incarnation)| (AliasId(*alias), Incarnation(*incarnation)));
        let input = Input::Joined { process, in_service: in_service.collect() };
        self.give_and_time(input, TakeoverTiming::default());
    }

    /// Gives an input that may move marks; tells of those that moved, with what the new active measured.
    fn give_and_time(&mut self, input: Input, own: TakeoverTiming) {
        self.give(input);
        for (alias, incarnation, seat) in std::mem::take(&mut self.marked) {
            let timing = self.takeovers.marked(alias, incarnation.0, own, now_ns());
            let (alias, member) = (self.alias_name(alias), self.name(seat));
            self.emit(What::InService { alias, incarnation: incarnation.0, member, timing });
        }
    }

    fn heartbeat(&mut self, process: ProcessId, seat: Seat, stats: palib::control::NodeStats) {
        let now = now_ns();
        let Some(run) = self.runs.get_mut(&process) else { return };
        run.heard_ns = Some(now);
        let due = now.saturating_sub(run.stats_event_ns) >= STATS_EVENT_NS;
        run.stats = stats;
        if due {
            run.stats_event_ns = now;
            let what = What::Stats(run.stats.clone());
            self.emit_as(seat, what);
        }
        self.give(Input::Heartbeat { process });
    }

    fn promotion_failed(
        &mut self,
        process: ProcessId,
        seat: Seat,
        alias: AliasId,
        incarnation: Incarnation,
        reason: String,
    ) {
        if let Some(fired) = self.take_fired(seat).filter(|fired| faults::is_fault(&fired.id)) {
            // It has struck, and nobody died of it.
            self.heal_fault(&fired.id);
        }
        self.set_why(seat, format!("promotion failed: {reason}"));
        if let Some(info) = self.aliases.get_mut(&alias) {
            info.refusal = Some(reason.clone());
        }
        let (name, member) = (self.alias_name(alias), self.name(seat));
        self.emit(What::PromotionFailed { alias: name, member, reason });
        self.give(Input::PromotionFailed { process, alias, incarnation });
    }

    fn event_of(&mut self, seat: Seat, mut event: Event) {
        event.process = self.name(seat);
        if let What::FirstReply { alias, incarnation, asked_ns, timing } = &mut event.what {
            let id = self.aliases.iter().find(|(_, info)| &info.spec.name == alias).map(|(id, _)| *id);
            let whole =
                id.and_then(|id| self.takeovers.first_reply(id, *incarnation, *asked_ns, event.at_ns));
            *timing = whole.unwrap_or(*timing);
        }
        self.log.add(event);
    }

    fn emit_as(&mut self, seat: Seat, what: What) {
        let process = self.name(seat);
        self.log.add(Event { seq: 0, at_ns: now_ns(), unix_ms: unix_ms(), process, what });
    }
}
