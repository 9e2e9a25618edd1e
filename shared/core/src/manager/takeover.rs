//! Who is in service: fencing, promotion, and what is done when nobody is left.

use alloc::vec::Vec;

use super::{AliasRecord, Cause, Change, Effect, Manager, Note, Phase, Seat, Service, retry_delay};
use crate::alias::MemberState;
use crate::ids::{AliasId, Incarnation, Nanos, PortId, ProcessId, TRANS_GRANT, TransId, TransScope};

impl Manager {
    /// The aliases that this run serves, is being promoted in, or is being fenced out of.
    pub(super) fn held_by(&self, process: ProcessId) -> Vec<AliasId> {
        let held = self.aliases.iter().filter(|(_, alias)| alias.service.process() == Some(process));
        held.map(|(alias, _)| *alias).collect()
    }

    /// Fences a run: its incarnations rise, durably, then it is killed. Takeover goes on when it is known dead.
    pub(super) fn fence(&mut self, now: Nanos, seat: Seat, cause: Cause, out: &mut Vec<Effect>) {
        let exit_within = self.settings.exit_within;
        let Some(run) = self.run_mut(seat) else { return };
        run.phase = Phase::Fenced;
        run.kill_at = Some(Nanos(now.0 + exit_within));
        let process = run.process;
        let mut changes = Vec::new();
        let mut then = Vec::new();
        for id in self.held_by(process) {
            let incarnation = self.table.raise(id, now);
            let Some(alias) = self.aliases.get_mut(&id) else { continue };
            alias.service = Service::Fencing { process, cause };
            // It stays the holder until it is dead: an FTM that ends before the kill leaves it to the next one.
            alias.record.incarnation = incarnation;
            alias.record.fenced = true;
            alias.unused = true;
            changes.push(Change::Alias { alias: id, record: alias.record });
            then.push(Effect::WriteFence { alias: id, incarnation, fences: true });
        }
        then.push(Effect::Kill { process });
        if changes.is_empty() {
            out.append(&mut then);
        } else {
            out.push(Effect::Persist { changes, then });
        }
        self.set_rows(now, seat, MemberState::Hung, out);
    }

    /// A run is dead: whoever can takes over all it had, in one durable step; the slower rest comes after.
    pub(super) fn exited(
        &mut self,
        now: Nanos,
        process: ProcessId,
        cause: Cause,
        ordered: bool,
        out: &mut Vec<Effect>,
    ) {
        let Some(seat) = self.seat_of(process) else { return };
        let orphaned = self.held_by(process);
        for id in &orphaned {
            let Some(alias) = self.aliases.get_mut(id) else { continue };
            alias.last = Some(seat);
            alias.service = match alias.service {
                Service::Fencing { cause, .. } => Service::Vacant(cause),
                _ => Service::Vacant(cause),
            };
        }
        let mut pushes = Vec::new();
        self.set_rows(now, seat, MemberState::Dead, &mut pushes);
        self.vacate(now, seat, ordered);
        if !self.stopping {
            self.take_over(now, &orphaned, out);
        }
        out.append(&mut pushes);
        self.after_exit(now, seat, out);
    }

    /// Promotes a member of each vacant alias for which there is one. One commit for all of them.
    pub(super) fn take_over(&mut self, now: Nanos, vacant: &[AliasId], out: &mut Vec<Effect>) {
        let mut changes = Vec::new();
        let mut orders = Vec::new();
        let mut fences = Vec::new();
        let mut notes = Vec::new();
        let grant = self.counters.site_grant;
        for id in vacant {
            let Some(Service::Vacant(cause)) = self.aliases.get(id).map(|alias| alias.service.clone()) else {
                continue;
            };
            let Some((seat, process, port)) = self.candidate(now, *id) else {
                self.note_outage(now, *id, cause, &mut notes);
                continue;
            };
            let record = self.give(now, *id, process);
            self.table.set_state(*id, port, MemberState::Promoting, now);
            changes.push(Change::Alias { alias: *id, record });
            let AliasRecord { incarnation, trans_base, .. } = record;
            orders.push(Effect::Promote { process, alias: *id, incarnation, trans_base });
            // The old owner is dead, so the file fences nobody now; it is kept up for who looks at it later.
            fences.push(Effect::WriteFence { alias: *id, incarnation, fences: false });
            fences.push(Effect::Push { alias: *id });
            let from = self.aliases.get(id).and_then(|alias| alias.last);
            notes.push(Effect::Note(Note::TakeoverStarted {
                alias: *id,
                incarnation,
                from,
                to: seat,
                cause,
            }));
        }
        if self.counters.site_grant != grant {
            changes.push(Change::Counters(self.counters));
        }
        if !changes.is_empty() {
            orders.append(&mut fences);
            out.push(Effect::Persist { changes, then: orders });
        }
        out.append(&mut notes);
    }

    /// Tries every alias that nobody serves. The first start waits a while for the preferred member.
    pub(super) fn fill_vacancies(&mut self, now: Nanos, out: &mut Vec<Effect>) {
        let vacant: Vec<_> = self
            .aliases
            .iter()
            .filter(|(id, alias)| {
                matches!(alias.service, Service::Vacant(_))
                    && self.candidate(now, **id).is_some()
                    && !self.awaits_preferred(now, **id)
            })
            .map(|(id, _)| *id)
            .collect();
        if !vacant.is_empty() {
            self.take_over(now, &vacant, out);
        }
    }

    /// The member recovered: the mark moves, last of all.
    pub(super) fn promoted(
        &mut self,
        now: Nanos,
        process: ProcessId,
        id: AliasId,
        incarnation: Incarnation,
        out: &mut Vec<Effect>,
    ) {
        let Some((seat, port)) = self.promoting(process, id, incarnation) else { return };
        let Some(alias) = self.aliases.get_mut(&id) else { return };
        alias.service = Service::Serving { process };
        alias.last = Some(seat);
        alias.failed.clear();
        alias.retries = 0;
        alias.outage_noted = false;
        self.table.mark(id, port, incarnation, now);
        out.push(Effect::Push { alias: id });
        out.push(Effect::Note(Note::InService { alias: id, incarnation, seat }));
    }

    /// The member could not: each other one is tried once, then a pause is made, longer each time.
    pub(super) fn promotion_failed(
        &mut self,
        now: Nanos,
        process: ProcessId,
        id: AliasId,
        incarnation: Incarnation,
        out: &mut Vec<Effect>,
    ) {
        let Some((seat, port)) = self.promoting(process, id, incarnation) else { return };
        let Some(alias) = self.aliases.get_mut(&id) else { return };
        alias.service = Service::Vacant(Cause::PromotionFailed);
        alias.last = Some(seat);
        self.table.set_state(id, port, MemberState::Backup, now);
        self.remember_failure(now, id, seat);
        self.take_over(now, &[id], out);
        out.push(Effect::Push { alias: id });
    }

    /// A run joined: take its word for what it has in service, if it is what this FTM knows or remembers.
    pub(super) fn claims(
        &mut self,
        now: Nanos,
        seat: Seat,
        claims: &[(AliasId, Incarnation)],
        out: &mut Vec<Effect>,
    ) {
        let Some(process) = self.run(seat).map(|run| run.process) else { return };
        for (id, incarnation) in claims {
            let known = self.aliases.get(id).is_some_and(|alias| match alias.service {
                Service::Promoting { process: holder, .. } | Service::Serving { process: holder } => {
                    holder == process && alias.record.incarnation == *incarnation
                }
                _ => false,
            });
            if !known {
                out.push(Effect::Note(Note::Impostor { seat, alias: *id }));
                self.fence(now, seat, Cause::Hung, out);
                return;
            }
            self.promoted(now, process, *id, *incarnation, out);
        }
        for id in self.held_by(process) {
            let claimed = claims.iter().any(|(alias, _)| *alias == id);
            let Some(alias) = self.aliases.get_mut(&id) else { continue };
            if let Service::Promoting { told, .. } = &mut alias.service
                && !claimed
            {
                // The order may have been lost with the link or the former FTM; it means the same when it comes twice.
                *told = true;
                let AliasRecord { incarnation, trans_base, .. } = alias.record;
                out.push(Effect::Promote { process, alias: id, incarnation, trans_base });
                let port = self.run(seat).and_then(|run| run.ports.get(&id).copied());
                if let Some(port) = port {
                    self.table.set_state(id, port, MemberState::Promoting, now);
                }
                out.push(Effect::Push { alias: id });
            }
        }
    }

    /// A member whose promotion took too long, if there is one.
    pub(super) fn overdue_promotions(&self, now: Nanos) -> Vec<(AliasId, ProcessId)> {
        let limit = self.settings.promote_within;
        let paused = |process: ProcessId| {
            self.seat_of(process).and_then(|seat| self.run(seat)).is_some_and(|run| run.paused.is_some())
        };
        let overdue = |id: &AliasId, service: &Service| match service {
            Service::Promoting { process, since, told: true }
                if now.0.saturating_sub(since.0) > limit && !paused(*process) =>
            {
                Some((*id, *process))
            }
            _ => None,
        };
        self.aliases.iter().filter_map(|(id, alias)| overdue(id, &alias.service)).collect()
    }

    /// A member that is being promoted gets so much more time for it.
    pub(super) fn extend_promotions(&mut self, process: ProcessId, by: u64) {
        for alias in self.aliases.values_mut() {
            if let Service::Promoting { process: holder, since, .. } = &mut alias.service
                && *holder == process
            {
                since.0 += by;
            }
        }
    }

    /// Remembers that a member could not be promoted, and when the failed ones may be tried again.
    pub(super) fn remember_failure(&mut self, now: Nanos, id: AliasId, seat: Seat) {
        let Some(alias) = self.aliases.get_mut(&id) else { return };
        alias.failed.insert(seat);
        alias.retry_at = Nanos(now.0 + retry_delay(alias.retries));
        alias.retries += 1;
    }

    /// The run being promoted in exactly this alias and incarnation: its seat and port.
    fn promoting(&self, process: ProcessId, id: AliasId, incarnation: Incarnation) -> Option<(Seat, PortId)> {
        let alias = self.aliases.get(&id)?;
        let meant = matches!(alias.service, Service::Promoting { process: holder, .. } if holder == process);
        let seat = self.seat_of(process)?;
        let run = self.run(seat)?;
        let port = run.ports.get(&id)?;
        (meant && alias.record.incarnation == incarnation && run.phase != Phase::Fenced)
            .then_some((seat, *port))
    }

    /// Who takes over: the preferred member at a first start, else whoever waits longest.
    fn candidate(&self, now: Nanos, id: AliasId) -> Option<(Seat, ProcessId, PortId)> {
        let alias = self.aliases.get(&id)?;
        let able = |member: &&crate::alias::Member| {
            let up = self.run(member.seat).is_some_and(|run| {
                run.process == member.process && run.phase == Phase::Up && run.kill_at.is_none()
            });
            up && (!alias.failed.contains(&member.seat) || now >= alias.retry_at)
        };
        let first_start = matches!(alias.service, Service::Vacant(Cause::FirstStart));
        let members = self.table.rows(id)?.members().iter().filter(able);
        // Those that failed come last, so that the round goes to somebody else first.
        let best = members.min_by_key(|member| {
            (
                alias.failed.contains(&member.seat),
                !(first_start && alias.preferred == Some(member.seat)),
                member.port,
            )
        })?;
        Some((best.seat, best.process, best.port))
    }

    fn awaits_preferred(&self, now: Nanos, id: AliasId) -> bool {
        let Some(alias) = self.aliases.get(&id) else { return false };
        let Some(preferred) = alias.preferred.and_then(|seat| self.places.get(&seat)) else { return false };
        let on_its_way =
            preferred.run.as_ref().is_some_and(|run| run.phase == Phase::Starting) && preferred.failures == 0;
        matches!(alias.service, Service::Vacant(Cause::FirstStart))
            && on_its_way
            && now.0 < self.started.0 + self.settings.prefer_for
    }

    /// Gives an alias to a run, in an incarnation and with transIds nobody had before.
    fn give(&mut self, now: Nanos, id: AliasId, process: ProcessId) -> AliasRecord {
        let unused = self.aliases.get(&id).is_some_and(|alias| alias.unused);
        let incarnation = if unused { self.table.incarnation(id) } else { self.table.raise(id, now) };
        let scope = self.aliases.get(&id).map(|alias| alias.scope).unwrap_or_default();
        let trans_base = TransId(match scope {
            TransScope::Alias => incarnation.0 * TRANS_GRANT,
            TransScope::Site => {
                self.counters.site_grant += 1;
                self.counters.site_grant * TRANS_GRANT
            }
            TransScope::Process => 0,
        });
        let record = AliasRecord { incarnation, holder: Some(process), fenced: false, trans_base };
        if let Some(alias) = self.aliases.get_mut(&id) {
            alias.record = record;
            alias.unused = false;
            alias.service = Service::Promoting { process, since: now, told: true };
        }
        record
    }

    fn note_outage(&mut self, now: Nanos, id: AliasId, cause: Cause, notes: &mut Vec<Effect>) {
        let Some(alias) = self.aliases.get_mut(&id) else { return };
        let retry_after = (!alias.failed.is_empty()).then(|| alias.retry_at.0.saturating_sub(now.0));
        if cause != Cause::FirstStart && cause != Cause::PromotionFailed {
            alias.service = Service::Vacant(Cause::Returned);
        }
        if !alias.outage_noted {
            alias.outage_noted = true;
            notes.push(Effect::Note(Note::Outage { alias: id, last: alias.last, cause, retry_after }));
        }
    }
}
