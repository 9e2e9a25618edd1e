//! What stands around the machines: writers, the service, the users. The guards are taken away here, so that
//! the machines carry no switches.

use palib_core::ids::CallId;
use palib_core::message::Outcome;
use palib_core::redundancy::RedProcess;
use palib_core::resend;
use palib_core::server::{self, Asker, Note, OnFailure, Recovery, Resolution, Then, Write};

use crate::areas::{Body, ClientJob, Effects, ServerJob, Writer};
use crate::world::{Envelope, Mode, Place, Setup, Without, World, kill_server, server_of};
use palib_core::ids::Nanos;

impl World {
    pub(crate) fn feed_server(&mut self, setup: &Setup, index: usize, input: server::Input<Body>) {
        let mut inputs = vec![input];
        let mut effects = Vec::new();
        while let Some(input) = inputs.pop() {
            let straggler = match &input {
                server::Input::Request { request, .. } => Some(request.id.trans),
                _ => None,
            };
            self.servers[index].machine.handle(Nanos(0), input, &mut effects);
            let mut next = Vec::new();
            for effect in effects.drain(..) {
                if let server::Effect::Load { key } = effect
                    && !setup.slow_reads
                {
                    let (mut row, mark) = self.look_up(key);
                    if setup.lacks(Without::LaterCallInSlot) {
                        row = row.filter(|row| straggler.is_none_or(|trans| row.id.trans <= trans));
                    }
                    next.push(server::Input::Loaded { key, row, mark });
                } else {
                    self.server_effect(setup, index, effect, &mut next);
                }
            }
            inputs.extend(next.into_iter().rev());
        }
    }

    fn look_up(
        &self,
        key: palib_core::ids::SlotKey,
    ) -> (Option<palib_core::redundancy::Row<Body>>, Option<palib_core::ids::Mark>) {
        (self.area.rows.get(&key).cloned(), self.area.marks.get(&key.session.source).copied())
    }

    pub(crate) fn read(&mut self, setup: &Setup, index: usize) {
        let key = self.servers[index].reads.remove(0);
        let (row, mark) = self.look_up(key);
        self.feed_server(setup, index, server::Input::Loaded { key, row, mark });
    }

    fn server_effect(
        &mut self,
        setup: &Setup,
        index: usize,
        effect: server::Effect<Body>,
        next: &mut Vec<server::Input<Body>>,
    ) {
        use server::{Effect, Input};
        match effect {
            Effect::Commit { incarnation, writes, then } => {
                self.server_submit(
                    setup,
                    index,
                    ServerJob { incarnation, writes, then, operation: None },
                    next,
                );
            }
            Effect::Load { key } => self.servers[index].reads.push(key),
            Effect::Execute { id, body } => {
                self.servers[index].resumed.remove(&id);
                next.push(match setup.mode(body) {
                    Mode::Atomic => Input::Atomic { id },
                    Mode::Failing => Input::Returned { id, outcome: Outcome::Failed(body * 1000) },
                    Mode::Outside | Mode::OutsideHandler | Mode::InDoubt => Input::BlockRequest { id },
                });
            }
            Effect::Resume { id } => self.resume(setup, index, id, next),
            Effect::CallHandler { id, index: handler, arg, request } => {
                assert_eq!(
                    (handler, arg / 1000),
                    (3, request),
                    "the handler and argument that were registered"
                );
                next.push(Input::HandlerAnswered { id, outcome: Outcome::Reply(arg) });
            }
            Effect::Recover { id, request } => {
                next.push(Input::Recovered { id, recovery: self.recover(setup, request) });
            }
            Effect::Answer { asker, id, outcome, redundant } => {
                self.ghost.replayed |= redundant && self.server_seat.takeovers > 0;
                self.net.insert(Envelope::Answer { to: place_of(asker), id, outcome });
            }
            Effect::Refuse { asker, id, refusal } => {
                self.net.insert(Envelope::Refused { from: index, to: place_of(asker), id, refusal });
            }
            Effect::Ready => {
                self.server_seat.active = Some(index);
            }
            Effect::Note(Note::InDoubt { id }) => {
                self.servers[index].in_doubt.insert(id);
            }
            Effect::Note(Note::Held { id }) if setup.lacks(Without::Hold) => self.execute_again(index, id),
            Effect::Note(_) => {}
            _ => unreachable!("nothing is called on here"),
        }
    }

    fn server_submit(
        &mut self,
        setup: &Setup,
        index: usize,
        mut job: ServerJob,
        next: &mut Vec<server::Input<Body>>,
    ) {
        let atomic = |write: &Write<Body>| match write {
            Write::Atomic { id, .. } => self.ghost.issued.get(id).copied(),
            _ => None,
        };
        job.operation = job.writes.iter().find_map(atomic);
        let blocks = job.then.iter().any(|then| matches!(then, Then::StableBlock { .. }));
        let early = if blocks { Without::StableBeforeResume } else { Without::StableBeforeReply };
        if setup.lacks(early) {
            let outcome = self.area.clone().apply(&job, true);
            next.extend(told(&job, outcome));
            job.then = None;
        }
        self.servers[index].writer.queue.push_back(job);
    }

    pub(crate) fn server_commit(&mut self, setup: &Setup, index: usize) {
        let Some(job) = self.servers[index].writer.queue.pop_front() else { return };
        let fenced = job.incarnation < self.area.fence;
        if fenced && !setup.lacks(Without::IncarnationCheck) {
            self.feed_server(setup, index, server::Input::Fenced);
            return kill_server(&mut self.servers[index]);
        }
        self.ghost.fenced_commit |= fenced;
        // With the guard this changes nothing: the fence was raised before anybody was promoted.
        self.area.fence = self.area.fence.max(job.incarnation);
        let outcome = self.area.apply(&job, !setup.lacks(Without::StoredMark));
        self.servers[index].writer.committed.push_back((job, outcome));
    }

    pub(crate) fn server_tell(&mut self, setup: &Setup, index: usize) {
        let Some((job, outcome)) = self.servers[index].writer.committed.pop_front() else { return };
        for input in told(&job, outcome) {
            self.feed_server(setup, index, input);
        }
    }

    /// The service goes on: its effect, and what it registers. The second time it only returns.
    fn resume(&mut self, setup: &Setup, index: usize, id: CallId, next: &mut Vec<server::Input<Body>>) {
        use server::Input;
        if !self.servers[index].resumed.insert(id) {
            return;
        }
        let Some(&operation) = self.ghost.issued.get(&id) else { return };
        let outcome = self.outside.perform(operation);
        let Outcome::Reply(reply) = outcome.clone() else { return };
        if setup.mode(operation) == Mode::OutsideHandler {
            next.push(Input::SetRedProcess { id, red: RedProcess::Handler { index: 3, arg: reply } });
            next.push(Input::Returned { id, outcome });
        } else {
            next.push(Input::SetRedProcess { id, red: RedProcess::AutoReply(outcome) });
        }
    }

    /// What the service finds when it looks outside. The reply is the one that was, or would have been, given.
    fn recover(&self, setup: &Setup, operation: Body) -> Recovery<Body> {
        if setup.lacks(Without::Recover) {
            return Recovery::NotExecuted;
        }
        match (setup.mode(operation), self.outside.of(operation)) {
            (Mode::InDoubt, _) => Recovery::Unknown,
            (_, 0) => Recovery::NotExecuted,
            _ => Recovery::Completed(found(&self.outside, operation)),
        }
    }

    pub(crate) fn resolve(&mut self, setup: &Setup, index: usize, id: CallId) {
        self.servers[index].in_doubt.remove(&id);
        let Some(&operation) = self.ghost.issued.get(&id) else { return };
        let resolution = match self.outside.of(operation) {
            0 => Resolution::Rerun,
            _ => Resolution::Outcome(found(&self.outside, operation)),
        };
        self.feed_server(setup, index, server::Input::Resolve { id, resolution });
    }

    /// What a server without the guard would do with a request for a call that is being executed.
    fn execute_again(&mut self, index: usize, id: CallId) {
        let server = &mut self.servers[index];
        let Some(view) = server.machine.call(id) else { return };
        let writes =
            vec![Write::Atomic { key: view.key, id, digest: view.digest, failure: OnFailure::Register }];
        let incarnation = server.machine.incarnation();
        let operation = self.ghost.issued.get(&id).copied();
        server.writer.queue.push_back(ServerJob { incarnation, writes, then: None, operation });
    }

    pub(crate) fn feed_client(&mut self, setup: &Setup, place: Place, input: resend::Input<Body>) {
        let mut inputs = vec![input];
        let mut effects = Vec::new();
        while let Some(input) = inputs.pop() {
            self.clients[place.0].processes[place.1].machine.handle(Nanos(0), input, &mut effects);
            let mut next = Vec::new();
            for effect in effects.drain(..) {
                self.client_effect(setup, place, effect, &mut next);
            }
            inputs.extend(next.into_iter().rev());
        }
    }

    fn client_effect(
        &mut self,
        setup: &Setup,
        place: Place,
        effect: resend::Effect<Body>,
        next: &mut Vec<resend::Input<Body>>,
    ) {
        use resend::{Effect, Input};
        match effect {
            Effect::Started { id, .. } => {
                self.ghost.id_given_twice |= self.ghost.issued.insert(id, self.started).is_some();
                self.started += 1;
            }
            Effect::Commit { incarnation, write } => {
                let early = match write {
                    resend::Write::Put(_) => Without::OutboxBeforeSend,
                    resend::Write::Drop(_) => Without::DropBeforeMark,
                };
                let job = ClientJob { incarnation, write };
                if setup.lacks(early) {
                    next.push(Input::Stable { id: job.id() });
                }
                self.clients[place.0].processes[place.1].writer.queue.push_back(job);
            }
            Effect::Send { port, mut request } => {
                // A count for people: two sendings that differ only in it are one message.
                request.attempt = 0;
                let to = (!setup.roaming).then(|| server_of(port));
                self.net.insert(Envelope::Request { from: place, to, request });
            }
            Effect::Deliver { id, outcome } => {
                let operation = self.ghost.issued[&id];
                self.ghost.outcomes.entry(operation).or_default().insert(outcome);
                next.push(Input::Consumed { id });
            }
            Effect::Refused { id, refusal } => {
                // The user of a fenced client asks again through its successor.
                if self.clients[place.0].seat.active == Some(place.1) {
                    self.ghost.refused.insert((self.ghost.issued[&id], refusal));
                }
            }
            Effect::Rejected { .. }
            | Effect::Inquire { .. }
            | Effect::DeadlinePassed { .. }
            | Effect::NotPending { .. }
            | Effect::SendCancel { .. }
            | Effect::SendMark { .. }
            | Effect::Relay { .. } => {}
        }
    }

    pub(crate) fn client_commit(&mut self, setup: &Setup, place: Place) {
        let client = &mut self.clients[place.0];
        let process = &mut client.processes[place.1];
        let Some(job) = process.writer.queue.pop_front() else { return };
        if job.incarnation < client.area.fence {
            process.alive = false;
            process.writer = Writer::default();
            return self.feed_client(setup, place, resend::Input::Fenced);
        }
        client.area.apply(&job);
        process.writer.committed.push_back(job);
    }

    pub(crate) fn client_tell(&mut self, setup: &Setup, place: Place) {
        let process = &mut self.clients[place.0].processes[place.1];
        let Some(job) = process.writer.committed.pop_front() else { return };
        self.feed_client(setup, place, resend::Input::Stable { id: job.id() });
    }
}

fn told(job: &ServerJob, outcome: Option<Outcome<Body>>) -> Vec<server::Input<Body>> {
    let input = |then: &Then| match *then {
        Then::StableBlock { id } => server::Input::StableBlock { id },
        Then::Stable { id } => server::Input::Stable { id, outcome: outcome.clone() },
        _ => unreachable!("nothing is called on here"),
    };
    job.then.iter().map(input).collect()
}

/// The reply to an operation that was found done: the world has no other record of when it was done.
fn found(effects: &Effects, operation: Body) -> Outcome<Body> {
    Outcome::Reply(operation * 1000 + effects.of(operation))
}

fn place_of(asker: Asker) -> Place {
    Place((asker.0 / 100) as usize, (asker.0 % 100) as usize)
}
