//! Processes: joining, being heard, falling silent, ending, and being started again.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::{Cause, Change, Effect, Manager, Note, Phase, Run, Seat, respawn_delay};
use crate::alias::{Member, MemberState};
use crate::ids::{AliasId, Incarnation, Nanos, PortId, ProcessId};

impl Manager {
    pub(super) fn joined(
        &mut self,
        now: Nanos,
        process: ProcessId,
        claims: &[(AliasId, Incarnation)],
        out: &mut Vec<Effect>,
    ) {
        let Some(seat) = self.seat_of(process) else { return };
        if self.stopping {
            out.push(Effect::End { process });
            return;
        }
        let Some(run) = self.run_mut(seat) else { return };
        run.heard = now;
        match run.phase {
            Phase::Fenced => return,
            Phase::Starting | Phase::Adopted | Phase::Hung => {
                run.phase = Phase::Up;
                run.since = now;
                self.set_rows(now, seat, MemberState::Backup, out);
            }
            Phase::Up => {}
        }
        self.claims(now, seat, claims, out);
    }

    pub(super) fn heard(&mut self, now: Nanos, process: ProcessId, out: &mut Vec<Effect>) {
        let Some(seat) = self.seat_of(process) else { return };
        let Some(run) = self.run_mut(seat) else { return };
        run.heard = now;
        if run.phase == Phase::Hung {
            run.phase = Phase::Up;
            run.since = now;
            self.set_rows(now, seat, MemberState::Backup, out);
            out.push(Effect::Note(Note::Heard { seat }));
        }
    }

    pub(super) fn paused(&mut self, now: Nanos, process: ProcessId) {
        let Some(seat) = self.seat_of(process) else { return };
        if let Some(run) = self.run_mut(seat) {
            run.paused.get_or_insert(now);
        }
    }

    /// The time it waited counts for nothing: neither as its silence nor against what it has to be through with.
    pub(super) fn went_on(&mut self, now: Nanos, process: ProcessId) {
        let Some(seat) = self.seat_of(process) else { return };
        let Some(run) = self.run_mut(seat) else { return };
        let Some(since) = run.paused.take() else { return };
        run.heard = now;
        let waited = now.0.saturating_sub(since.0);
        run.since.0 += waited;
        self.extend_promotions(process, waited);
    }

    pub(super) fn tick(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        self.forgive_standstill(now);
        let seats: Vec<Seat> = self.places.keys().copied().collect();
        for seat in seats {
            self.kill_when_due(now, seat, out);
            if !self.stopping {
                self.watch(now, seat, out);
            }
        }
        if self.stopping {
            return;
        }
        for (id, process) in self.overdue_promotions(now) {
            if let Some(seat) = self.seat_of(process) {
                self.remember_failure(now, id, seat);
                self.fence(now, seat, Cause::PromotionFailed, out);
            }
        }
    }

    /// Runs that a former FTM fenced, and ended before it had killed them or knew them dead.
    pub(super) fn kill_whom_the_last_one_fenced(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let fenced = |place: &super::Place| place.run.as_ref().is_some_and(|run| run.phase == Phase::Fenced);
        let seats: Vec<Seat> =
            self.places.iter().filter(|(_, place)| fenced(place)).map(|(seat, _)| *seat).collect();
        for seat in seats {
            self.kill_when_due(now, seat, out);
            self.set_rows(now, seat, MemberState::Hung, out);
        }
    }

    /// Frees the seat of a dead run and plans the next one.
    pub(super) fn vacate(&mut self, now: Nanos, seat: Seat, ordered: bool) {
        let others_live = self.others_live(seat);
        let settings = &self.settings;
        let Some(place) = self.places.get_mut(&seat) else { return };
        let Some(run) = place.run.take() else { return };
        let asked = ordered || run.kill_at.is_some();
        if asked || now.0.saturating_sub(run.started.0) >= settings.stable_after {
            place.failures = 0;
        }
        let mut delay = respawn_delay(place.failures);
        if !asked {
            place.failures += 1;
        }
        if others_live {
            delay = delay.max(settings.respawn_pause);
        }
        let wanted = place.again || (settings.respawn && !place.down);
        place.again = false;
        place.respawn_at = (wanted && !self.stopping).then_some(Nanos(now.0 + delay));
    }

    /// What else follows from a death, after the takeover is on its way.
    pub(super) fn after_exit(&self, now: Nanos, seat: Seat, out: &mut Vec<Effect>) {
        if self.stopping && self.places.values().all(|place| place.run.is_none()) {
            out.push(Effect::Note(Note::AllEnded));
        }
        let Some(place) = self.places.get(&seat) else { return };
        if let Some(at) = place.respawn_at
            && place.failures > 2
        {
            out.push(Effect::Note(Note::CrashLoop { seat, delay: at.0.saturating_sub(now.0) }));
        }
    }

    pub(super) fn end(&mut self, now: Nanos, seat: Seat, restart: bool, out: &mut Vec<Effect>) {
        let exit_within = self.settings.exit_within;
        let Some(place) = self.places.get_mut(&seat) else { return };
        let down = !restart;
        if place.down != down {
            place.down = down;
            out.push(Effect::Persist { changes: vec![Change::Down { seat, down }], then: Vec::new() });
        }
        match &mut place.run {
            Some(run) => {
                place.again = restart;
                place.failures = 0;
                ask_to_end(run, now, exit_within, out);
            }
            None => place.respawn_at = restart.then_some(now),
        }
    }

    pub(super) fn stop(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        self.stopping = true;
        let exit_within = self.settings.exit_within;
        for place in self.places.values_mut() {
            place.respawn_at = None;
            if let Some(run) = &mut place.run {
                ask_to_end(run, now, exit_within, out);
            }
        }
        if self.places.values().all(|place| place.run.is_none()) {
            out.push(Effect::Note(Note::AllEnded));
        }
    }

    pub(super) fn start_what_is_due(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let due = |place: &super::Place| place.run.is_none() && place.respawn_at.is_some_and(|at| at <= now);
        let due: Vec<Seat> =
            self.places.iter().filter(|(_, place)| due(place)).map(|(seat, _)| *seat).collect();
        for seat in due {
            self.start(now, seat, out);
        }
    }

    fn start(&mut self, now: Nanos, seat: Seat, out: &mut Vec<Effect>) {
        let Some(place) = self.places.get_mut(&seat) else { return };
        place.respawn_at = None;
        self.counters.process = ProcessId(self.counters.process.0 + 1);
        let process = self.counters.process;
        let mut ports = BTreeMap::new();
        let mut then = vec![Effect::Spawn { seat, process }];
        for alias in place.aliases.clone() {
            self.counters.port = PortId(self.counters.port.0 + 1);
            let port = self.counters.port;
            ports.insert(alias, port);
            let member = Member { port, process, seat, state: MemberState::Starting, since: now };
            self.table.register(alias, member);
            then.push(Effect::Push { alias });
        }
        place.run = Some(Run::new(process, ports, Phase::Starting, now));
        // Durable before the start, so that numbers and ports are never given twice.
        let changes = vec![Change::Counters(self.counters), Change::Run { seat, process }];
        out.push(Effect::Persist { changes, then });
    }

    /// If this clock stood still, so may have everybody's: the gap is nobody's silence.
    fn forgive_standstill(&mut self, now: Nanos) {
        let gap = now.0.saturating_sub(self.last_tick.0);
        self.last_tick = now;
        if gap <= self.settings.tick_late {
            return;
        }
        for run in self.places.values_mut().filter_map(|place| place.run.as_mut()) {
            run.heard = Nanos((run.heard.0 + gap).min(now.0));
            run.since = Nanos((run.since.0 + gap).min(now.0));
        }
    }

    /// Looks at one process: is it silent, or late with what is expected of it?
    fn watch(&mut self, now: Nanos, seat: Seat, out: &mut Vec<Effect>) {
        let settings = self.settings.clone();
        let Some(run) = self.run(seat) else { return };
        let (process, phase) = (run.process, run.phase);
        let silent = now.0.saturating_sub(run.heard.0);
        let waited = now.0.saturating_sub(run.since.0);
        // Who was told to end is no longer expected to be heard; its deadline is another. Who waits at a defect point
        // can't be heard.
        if run.kill_at.is_some() || run.paused.is_some() {
            return;
        }
        match phase {
            Phase::Up if silent > settings.suspect_after => {
                out.push(Effect::Note(Note::Hung { seat, silent }));
                if self.held_by(process).is_empty() {
                    if let Some(run) = self.run_mut(seat) {
                        run.phase = Phase::Hung;
                        run.since = now;
                    }
                    self.set_rows(now, seat, MemberState::Hung, out);
                } else {
                    self.fence(now, seat, Cause::Hung, out);
                }
            }
            Phase::Hung if waited > settings.hung_backup_for => self.fence(now, seat, Cause::Hung, out),
            Phase::Starting if waited > settings.join_within => self.fence(now, seat, Cause::Hung, out),
            Phase::Adopted if waited > settings.rejoin_within => {
                self.fence(now, seat, Cause::NotRejoined, out)
            }
            _ => {}
        }
    }

    fn kill_when_due(&mut self, now: Nanos, seat: Seat, out: &mut Vec<Effect>) {
        let exit_within = self.settings.exit_within;
        let Some(run) = self.run_mut(seat) else { return };
        if run.kill_at.is_some_and(|at| at <= now) {
            run.kill_at = Some(Nanos(now.0 + exit_within));
            out.push(Effect::Kill { process: run.process });
        }
    }

    fn others_live(&self, seat: Seat) -> bool {
        let Some(place) = self.places.get(&seat) else { return false };
        let shares = |other: &super::Place| other.aliases.iter().any(|alias| place.aliases.contains(alias));
        let lives = |other: &super::Place| other.run.as_ref().is_some_and(|run| run.phase == Phase::Up);
        self.places.iter().any(|(other, there)| *other != seat && lives(there) && shares(there))
    }
}

/// Asks a run to end, or kills it at once if it can't hear.
fn ask_to_end(run: &mut Run, now: Nanos, exit_within: u64, out: &mut Vec<Effect>) {
    if run.kill_at.is_none() {
        run.kill_at = Some(Nanos(now.0 + exit_within));
    }
    let process = run.process;
    out.push(if run.phase == Phase::Up { Effect::End { process } } else { Effect::Kill { process } });
}
