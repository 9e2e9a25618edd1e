//! What operators ask and order.

use std::time::Duration;

use palib::control::{
    Answer, FromFtm, FromFtmToOperator, OperatorAnswer, OperatorRequest, Query, Refused, ToFtmFromOperator,
    What,
};
use palib::tls::Grant;
use palib::transport::Link;
use palib_core::ids::{AliasId, ProcessId};
use palib_core::manager::{Input, Seat};
use rustix::process::{Signal, getpid, kill_process};

use super::effects::next_defect;
use super::store::{ProcessState, Write};
use super::{AliasInfo, Asked, Death, Ftm, Message, QUERY_WITHIN, SeatInfo, certificates, now_ns, unix_ms};

/// An answer now, or none if a process must be asked first.
type Obeyed = Result<Option<OperatorAnswer>, Refused>;

impl Ftm {
    pub(super) fn operator_asks(&mut self, link: u64, message: ToFtmFromOperator) {
        let Some(link) = self.links.get(&link).cloned() else { return };
        let ToFtmFromOperator { number, request } = message;
        let answer = match self.obey(&link, number, request) {
            Ok(None) => return,
            Ok(Some(answer)) => Ok(answer),
            Err(reason) => Err(reason),
        };
        let _ = link.send_control(&FromFtmToOperator::Answer { number, answer });
    }

    fn obey(&mut self, link: &Link, number: u64, request: OperatorRequest) -> Obeyed {
        let done = |text: String| Ok(Some(OperatorAnswer::Done(text)));
        match request {
            OperatorRequest::Subscribe { from_seq } => {
                self.log.follow(link.clone(), from_seq);
                done(format!("events from {from_seq} on follow"))
            }
            OperatorRequest::Events { from_seq, limit } => {
                Ok(Some(OperatorAnswer::Events(self.log.newest(from_seq, limit))))
            }
            OperatorRequest::Aliases => {
                let rows = self.aliases.keys().filter_map(|alias| self.alias_row(*alias)).collect();
                Ok(Some(OperatorAnswer::Aliases(rows)))
            }
            OperatorRequest::Processes => Ok(Some(OperatorAnswer::Processes(self.process_rows()))),
            OperatorRequest::Kill { process } if process == "ftm" => done(self.kill_self()),
            OperatorRequest::Kill { process } => done(self.kill(&process)?),
            OperatorRequest::Hang { process, for_ms } => done(self.hang(&process, for_ms)?),
            OperatorRequest::Resume { process } => done(self.resume(&process)?),
            OperatorRequest::Arm { target, point, nth, pause } => {
                done(self.arm(&target, &point, nth, pause)?)
            }
            OperatorRequest::Disarm { id } => done(self.take_back(&id)?),
            OperatorRequest::Fault { spec } => done(self.make_fault(&spec)?),
            OperatorRequest::Faults => Ok(Some(OperatorAnswer::Armed(self.fault_rows()))),
            OperatorRequest::Armed => Ok(Some(OperatorAnswer::Armed(self.armed_rows()))),
            OperatorRequest::StepOn { process } => done(self.step_on(&process)?),
            OperatorRequest::Exit { process } => done(self.exit(&process)?),
            OperatorRequest::Restart { process } => done(self.restart(&process)?),
            OperatorRequest::AddBackup { alias } => done(self.add_backup(&alias)?),
            OperatorRequest::Query { alias, query } => {
                let seat = self.serving(&alias)?;
                self.ask(link, number, seat, query)
            }
            OperatorRequest::QueryProcess { process, query } => {
                let seat = self.seat(&process)?;
                self.ask(link, number, seat, query)
            }
            OperatorRequest::OpenPort => Ok(Some(self.open_port())),
            OperatorRequest::Down => {
                self.emit(What::Stopping { by: "an operator".to_owned() });
                self.stopping = true;
                self.give(Input::Stop);
                done("all processes are told to end; the FTM ends after them".to_owned())
            }
        }
    }

    /// The seat an operator means: a process, or an alias for its member in service.
    pub(super) fn seat(&self, name: &str) -> Result<Seat, Refused> {
        if let Some((seat, _)) = self.seats.iter().find(|(_, info)| info.name == name) {
            return Ok(*seat);
        }
        if self.aliases.values().any(|info| info.spec.name == name) {
            return self.serving(name);
        }
        let processes: Vec<_> = self.seats.values().map(|info| info.name.as_str()).collect();
        let aliases: Vec<_> = self.aliases.values().map(|info| info.spec.name.as_str()).collect();
        Err(Refused::Mistake(format!(
            "there is no process or alias {name:?}; processes: {}; aliases: {}",
            processes.join(", "),
            aliases.join(", ")
        )))
    }

    fn serving(&self, alias: &str) -> Result<Seat, Refused> {
        let (id, _) = self.alias(alias)?;
        let member = self.manager.table().rows(id).and_then(|rows| rows.in_service());
        let nobody = || format!("nobody is in service of {alias} now; try again after the takeover");
        Ok(member.ok_or_else(|| Refused::NotNow(nobody()))?.seat)
    }

    fn alias(&self, name: &str) -> Result<(AliasId, &AliasInfo), String> {
        let found = self.aliases.iter().find(|(_, info)| info.spec.name == name);
        found.map(|(id, info)| (*id, info)).ok_or_else(|| {
            let known: Vec<_> = self.aliases.values().map(|info| info.spec.name.as_str()).collect();
            format!("there is no alias {name:?}; there are: {}", known.join(", "))
        })
    }

    /// The living run in a seat.
    pub(super) fn living(&self, seat: Seat) -> Result<ProcessId, Refused> {
        let name = self.name(seat);
        match self.manager.run(seat) {
            None if self.manager.respawn_at(seat).is_none() => {
                Err(Refused::Mistake(format!("{name} is not running; `restart` starts it")))
            }
            Some(run) if self.runs.get(&run.process).is_some_and(|info| info.handle.is_some()) => {
                Ok(run.process)
            }
            _ => Err(Refused::NotNow(format!("{name} is just being started; try again"))),
        }
    }

    pub(super) fn signal(&self, process: ProcessId, signal: Signal) -> Result<(), String> {
        let handle = self.runs.get(&process).and_then(|run| run.handle.as_ref());
        handle
            .map_or(Ok(()), |handle| handle.signal(signal))
            .map_err(|error| format!("the signal failed: {error}"))
    }

    /// Writes a defect into the ledger; what the FTM measures from is the instant before it was done.
    pub(super) fn injure(
        &mut self,
        seat: Seat,
        process: ProcessId,
        kind: char,
        spec: String,
        at_ns: u64,
    ) -> String {
        let id = next_defect(&mut self.defects, kind);
        if let Some(info) = self.seats.get_mut(&seat) {
            info.death = Death { defect_ns: Some(at_ns), ..Death::default() };
            if kind != 'H' {
                info.injured.push(id.clone());
            }
        }
        if let Some(run) = self.runs.get_mut(&process) {
            run.ordered = true;
        }
        self.log.add(palib::control::Event {
            seq: 0,
            at_ns,
            unix_ms: unix_ms(),
            process: "ftm".to_owned(),
            what: What::Defect { id: id.clone(), spec },
        });
        id
    }

    fn kill(&mut self, name: &str) -> Result<String, Refused> {
        let seat = self.seat(name)?;
        let process = self.living(seat)?;
        let name = self.name(seat);
        let at_ns = now_ns();
        self.signal(process, Signal::KILL)?;
        let id = self.injure(seat, process, 'K', format!("kill {name}"), at_ns);
        Ok(format!("{name} is killed ({id})"))
    }

    pub(super) fn resume(&mut self, name: &str) -> Result<String, Refused> {
        let seat = self.seat(name)?;
        let process = self.living(seat)?;
        let name = self.name(seat);
        let paused = self.runs.get(&process).is_some_and(|run| run.paused.is_some());
        match self.hang_of(seat).map(|hang| hang.id.clone()) {
            Some(id) => self.hang_over(process, &id),
            None if paused => return Ok(self.step_on(&name)?),
            // Stopped by somebody else, perhaps from a shell.
            None => self.signal(process, Signal::CONT)?,
        }
        Ok(format!("{name} goes on"))
    }

    fn exit(&mut self, name: &str) -> Result<String, Refused> {
        let seat = self.seat(name)?;
        let process = self.living(seat)?;
        let name = self.name(seat);
        let id = self.injure(seat, process, 'E', format!("exit {name}"), now_ns());
        self.set_why(seat, format!("told to end ({id})"));
        self.give(Input::End { seat, restart: false });
        Ok(format!("{name} is told to end ({id}) and stays down until `restart`"))
    }

    fn restart(&mut self, name: &str) -> Result<String, Refused> {
        let seat = self.seat(name)?;
        let name = self.name(seat);
        if let Some(run) =
            self.manager.run(seat).map(|run| run.process).and_then(|run| self.runs.get_mut(&run))
        {
            run.ordered = true;
        }
        self.set_why(seat, "restarted by an operator".to_owned());
        self.give(Input::End { seat, restart: true });
        Ok(format!("{name} ends and is started again"))
    }

    fn add_backup(&mut self, alias: &str) -> Result<String, String> {
        let (id, info) = self.alias(alias)?;
        let spec = info.spec.clone();
        let free = |name: &String| self.seats.values().all(|info| &info.name != name);
        let name = (1..).map(|number| format!("{alias}-{number}")).find(free).unwrap_or_default();
        certificates::ensure(&self.authority, &self.folder, &Grant::process(&name, [alias]))
            .map_err(|error| error.to_string())?;
        let state = ProcessState { added_to: Some(alias.to_owned()), ..ProcessState::default() };
        self.commit(&[Write::Process(name.clone(), state.clone())]);
        let seat = Seat(self.seats.keys().next_back().map_or(1, |last| last.0 + 1));
        let info = SeatInfo {
            name: name.clone(),
            aliases: vec![id],
            command: spec.command,
            state,
            why: "added by an operator".to_owned(),
            since_unix_ms: unix_ms(),
            injured: Vec::new(),
            death: Death::default(),
        };
        self.seats.insert(seat, info);
        self.give(Input::Add { seat, aliases: vec![id] });
        Ok(format!("{name} is started as one more backup of {alias}"))
    }

    /// A port and an incarnation of the operators' alias that nobody had before.
    fn open_port(&mut self) -> OperatorAnswer {
        let (port, counters) = self.manager.draw_port();
        self.operator.incarnation += 1;
        self.commit(&[
            Write::Number("port_alias", counters.port.0.into()),
            Write::Alias("operator".to_owned(), self.operator.clone()),
        ]);
        OperatorAnswer::Port {
            alias_id: self.operator.id,
            port: port.0,
            incarnation: self.operator.incarnation,
        }
    }

    fn kill_self(&mut self) -> String {
        let id = next_defect(&mut self.defects, 'K');
        self.emit(What::Defect { id: id.clone(), spec: "kill ftm".to_owned() });
        let sender = self.sender.clone();
        tokio::spawn(async move {
            // Long enough for the answer and the line in the log to get out.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let _ = sender.send(Message::EndSelf);
        });
        format!("the FTM kills itself ({id}); its keeper starts it again")
    }

    pub(super) fn end_self(&self) {
        let _ = kill_process(getpid(), Signal::KILL);
    }

    fn ask(&mut self, operator: &Link, number: u64, seat: Seat, body: Query) -> Obeyed {
        let process = self.living(seat)?;
        let name = self.name(seat);
        let link = self.runs.get(&process).and_then(|run| run.link.clone());
        let away = || Refused::NotNow(format!("{name} is not connected to the FTM now; try again"));
        let link = link.ok_or_else(away)?;
        let query = self.next_query;
        self.next_query += 1;
        link.send_control(&FromFtm::Query { query, body })
            .map_err(|error| Refused::NotNow(format!("{name}: {error}")))?;
        let until_ns = now_ns() + u64::try_from(QUERY_WITHIN.as_nanos()).unwrap_or(u64::MAX);
        self.asked.insert(
            query,
            Asked { operator: operator.clone(), number, process: name, over: link.number(), until_ns },
        );
        Ok(None)
    }

    pub(super) fn answered(&mut self, query: u64, answer: Result<Answer, String>) {
        // Too late, or asked by a former FTM: nobody waits for it.
        let Some(asked) = self.asked.remove(&query) else { return };
        let answer = answer.map(OperatorAnswer::Query).map_err(Refused::Mistake);
        let _ = asked.operator.send_control(&FromFtmToOperator::Answer { number: asked.number, answer });
    }

    pub(super) fn drop_unanswered(&mut self) {
        let (now, within) = (now_ns(), QUERY_WITHIN.as_secs());
        let why = format!("did not answer within {within} s; it may hang, see `palib ps`");
        self.drop_queries(|asked| asked.until_ns < now, &why);
    }

    /// The link to a process is gone: what it was asked over it gets no answer any more.
    pub(super) fn drop_queries_over(&mut self, link: u64) {
        self.drop_queries(
            |asked| asked.over == link,
            "died, or lost its link, before it answered; ask again",
        );
    }

    fn drop_queries(&mut self, lost: impl Fn(&Asked) -> bool, why: &str) {
        for (_, asked) in self.asked.extract_if(.., |_, asked| lost(asked)) {
            let answer = Err(Refused::NotNow(format!("{} {why}", asked.process)));
            let _ = asked.operator.send_control(&FromFtmToOperator::Answer { number: asked.number, answer });
        }
    }
}
