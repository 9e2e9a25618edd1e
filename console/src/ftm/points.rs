//! Defect points: which are armed, who died at one, and who waits at one.
//!
//! All members of an alias are told of its armed points, because nobody knows who will be in service when one is passed.
//! Who passes it writes that down and dies or stops by itself: a signal from here would come too late. So the FTM learns
//! of it afterwards, from the file, with the time at which it was.

use palib::control::{ArmedRow, Event, FromFtm, Refused, What};
use palib::defect::{Fired, Point};
use palib_core::ids::{AliasId, ProcessId};
use palib_core::manager::{Input, Seat};
use rustix::process::Signal;

use super::effects::next_defect;
use super::own_points::{FTM, NOBODY, point_of};
use super::{Ftm, faults, now_ns, unix_ms};
use crate::defect::{Defect, Injury, Target};
use crate::units::closest;

/// A process that was not heard for so long is looked at: it may wait at a point that is not known to be armed any more.
const SILENT_NS: u64 = 250_000_000;

/// A defect point that is armed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ArmedPoint {
    row: ArmedRow,
    alias: AliasId,
    point: Point,
    nth: u32,
    pause: bool,
}

/// Where a process waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// The id of the defect in the ledger.
    pub(super) id: String,
    /// The name of the point.
    point: String,
}

impl Ftm {
    /// Arms a point of an alias in all its members.
    pub(super) fn arm(&mut self, target: &str, point: &str, nth: u32, pause: bool) -> Result<String, String> {
        let point = Point::find(point).ok_or_else(|| {
            let meant = closest(point, Point::ALL.iter().map(|point| point.name()));
            let hint = meant
                .map_or_else(|| "`palib points` lists them".to_owned(), |it| format!("did you mean {it}?"));
            format!("{point:?} is no defect point; {hint}")
        })?;
        let nth = nth.max(1);
        let defect = Defect::now(Injury::At { target: Target(target.to_owned()), point, nth, pause });
        defect.check_possible()?;
        let alias = if target == FTM { NOBODY } else { self.alias_named(target)? };
        let spec = defect.to_string();
        if let Some(armed) = self.armed.iter().find(|armed| armed.row.spec == spec) {
            return Err(format!("{spec} is armed already ({})", armed.row.id));
        }
        let id = next_defect(&mut self.defects, 'P');
        let armed =
            ArmedPoint { row: ArmedRow { id: id.clone(), spec: spec.clone() }, alias, point, nth, pause };
        if alias == NOBODY {
            self.own.arm(armed.row.clone());
        } else {
            self.tell_members(alias, &armed.order());
        }
        self.armed.push(armed);
        self.emit(What::Armed { id: id.clone(), spec: spec.clone() });
        Ok(format!("{spec} is armed ({id})"))
    }

    /// The alias of this name.
    pub(super) fn alias_named(&self, name: &str) -> Result<AliasId, String> {
        if let Some((id, _)) = self.aliases.iter().find(|(_, info)| info.spec.name == name) {
            return Ok(*id);
        }
        let known: Vec<_> = self.aliases.values().map(|info| info.spec.name.as_str()).collect();
        Err(format!(
            "defect points and faults of disks are those of an alias, and {name:?} is none; there are: {}",
            known.join(", ")
        ))
    }

    /// Takes a defect back: a point is disarmed, whoever hangs or waits by it goes on, a link or a disk is whole again.
    pub(super) fn take_back(&mut self, id: &str) -> Result<String, Refused> {
        if let Some(words) = self.heal_fault(id) {
            return Ok(words);
        }
        if let Some(armed) = self.unarm(id) {
            self.taken_back.insert(id.to_owned());
            self.emit(What::Disarmed { id: id.to_owned() });
            return Ok(format!("{} is disarmed ({id})", armed.row.spec));
        }
        let by = |run: &super::RunInfo| {
            self.hang_of(run.seat).is_some_and(|hang| hang.id == id)
                || run.paused.as_ref().is_some_and(|waiting| waiting.id == id)
        };
        let seat = self.runs.values().find(|run| by(run)).map(|run| run.seat);
        match seat.map(|seat| self.name(seat)) {
            Some(name) => self.resume(&name),
            None => Err(Refused::Mistake(format!(
                "nothing is armed or broken and nobody hangs or waits by {id:?}; `palib heal` takes all back there is"
            ))),
        }
    }

    /// The points that are armed, oldest first.
    pub(super) fn armed_rows(&self) -> Vec<ArmedRow> {
        self.armed.iter().map(|armed| armed.row.clone()).collect()
    }

    /// A process joined: it hears what is armed, and what a former FTM armed and is forgotten.
    pub(super) fn tell_armed(&self, seat: Seat, process: ProcessId) {
        for id in &self.forgotten {
            self.order(process, &FromFtm::Disarm { id: id.clone() });
        }
        let aliases = self.seats.get(&seat).map(|info| info.aliases.as_slice()).unwrap_or_default();
        for armed in self.armed.iter().filter(|armed| aliases.contains(&armed.alias)) {
            self.order(process, &armed.order());
        }
    }

    /// Looks whether somebody stopped at a point, or goes on although nobody here let it.
    pub(super) fn look_for_paused(&mut self) {
        let now = now_ns();
        let suspicious = |run: &super::RunInfo| {
            let silent = run.heard_ns.is_none_or(|heard| now.saturating_sub(heard) > SILENT_NS);
            self.hang_of(run.seat).is_none() && (silent || run.paused.is_some() || self.may_pause(run.seat))
        };
        let looked_at: Vec<_> = self
            .runs
            .iter()
            .filter(|(_, run)| run.handle.is_some() && suspicious(run))
            .filter_map(|(process, run)| Some((*process, run.seat, run.mark?.pid, run.paused.is_some())))
            .collect();
        for (process, seat, pid, waits) in looked_at {
            match (waits, is_stopped(pid)) {
                (true, false) => self.let_go(process),
                (false, true) => {
                    if let Some(fired) = Fired::read(&self.folder.fired(&self.name(seat))) {
                        self.waits(process, seat, fired);
                    }
                }
                _ => {}
            }
        }
    }

    fn may_pause(&self, seat: Seat) -> bool {
        let member = |alias| self.seats.get(&seat).is_some_and(|info| info.aliases.contains(alias));
        self.armed.iter().any(|armed| armed.pause && member(&armed.alias))
    }

    /// A process stopped at a point.
    fn waits(&mut self, process: ProcessId, seat: Seat, fired: Fired) {
        let Fired { id, point, at_ns } = fired;
        let known = self.unarm(&id).is_some();
        if !known && self.taken_back.contains(&id) {
            // It came by before it could hear of that: while it waits at another point it hears nothing.
            return self.go_on(process, seat);
        }
        if let Some(run) = self.runs.get_mut(&process) {
            run.paused = Some(Waiting { id: id.clone(), point: point.clone() });
        }
        self.set_why(seat, format!("paused at {point} ({id})"));
        let name = self.name(seat);
        self.emit_at(at_ns, What::Paused { name, point, id });
        self.show(seat);
        self.give(Input::Paused { process });
    }

    /// Lets a process go on that waits at a point.
    pub(super) fn step_on(&mut self, name: &str) -> Result<String, String> {
        let found = self.runs.iter().find(|(_, run)| run.paused.is_some() && self.is_meant(run.seat, name));
        let Some((process, run)) = found.map(|(process, run)| (*process, run)) else {
            return Err(format!("{name} waits at no defect point"));
        };
        let (name, point) = (self.name(run.seat), run.paused.as_ref().map(|it| it.point.clone()));
        self.let_go(process);
        Ok(format!("{name} goes on from {}", point.unwrap_or_default()))
    }

    /// Whether a name is that of a process or of an alias it is a member of.
    fn is_meant(&self, seat: Seat, name: &str) -> bool {
        let Some(info) = self.seats.get(&seat) else { return false };
        info.name == name || info.aliases.iter().any(|alias| self.alias_name(*alias) == name)
    }

    fn let_go(&mut self, process: ProcessId) {
        let Some(run) = self.runs.get_mut(&process) else { return };
        let Some(waiting) = run.paused.take() else { return };
        let seat = run.seat;
        self.go_on(process, seat);
        self.set_why(seat, format!("goes on after {}", waiting.id));
        self.emit(What::Healed { id: waiting.id });
        self.show(seat);
        self.give(Input::WentOn { process });
    }

    /// Wakes a process that stopped at a point.
    fn go_on(&mut self, process: ProcessId, seat: Seat) {
        // Gone before the process goes on: the next time it stops it is for another reason.
        let _ = std::fs::remove_file(self.folder.fired(&self.name(seat)));
        let Some(run) = self.runs.get_mut(&process) else { return };
        run.heard_ns = Some(now_ns());
        if let Some(handle) = &run.handle {
            let _ = handle.signal(Signal::CONT);
        }
    }

    /// A process is dead. If it died at a point, the death is one that was ordered, at the time that the process wrote
    /// down. Gives the id of the point it waited at.
    pub(super) fn died_at_point(&mut self, process: ProcessId, seat: Seat) -> Option<String> {
        let waited = self.runs.get_mut(&process).and_then(|run| run.paused.take()).map(|waiting| waiting.id);
        let fired = self.take_fired(seat);
        let Some(Fired { id, point, at_ns }) = fired.filter(|fired| waited.as_ref() != Some(&fired.id))
        else {
            return waited;
        };
        if faults::is_fault(&id) {
            self.disk_struck(process, seat, &id, at_ns);
            return waited;
        }
        let armed = self.unarm(&id);
        if armed.as_ref().is_some_and(|armed| armed.pause) {
            // Killed while it waited, before anybody here had looked.
            let name = self.name(seat);
            self.emit_at(at_ns, What::Paused { name, point, id: id.clone() });
            return Some(id);
        }
        // What is not known any more was disarmed too late, or by the death of a former FTM.
        let spec = armed.map_or_else(|| format!("kill {}@{point}", self.name(seat)), |armed| armed.row.spec);
        if let Some(info) = self.seats.get_mut(&seat) {
            info.death.defect_ns = Some(at_ns);
            info.injured.push(id.clone());
        }
        if let Some(run) = self.runs.get_mut(&process) {
            run.ordered = true;
        }
        self.emit_at(at_ns, What::Defect { id, spec });
        waited
    }

    /// What a process has told that it passed; nothing is left of it then.
    pub(super) fn take_fired(&self, seat: Seat) -> Option<Fired> {
        let file = self.folder.fired(&self.name(seat));
        let fired = Fired::read(&file);
        let _ = std::fs::remove_file(file);
        fired
    }

    /// Takes a point out of those that are armed, here and in all members.
    fn unarm(&mut self, id: &str) -> Option<ArmedPoint> {
        let place = self.armed.iter().position(|armed| armed.row.id == id)?;
        let armed = self.armed.remove(place);
        self.own.disarm(id);
        self.tell_members(armed.alias, &FromFtm::Disarm { id: id.to_owned() });
        Some(armed)
    }

    fn tell_members(&self, alias: AliasId, order: &FromFtm) {
        let member = |seat| self.seats.get(&seat).is_some_and(|info| info.aliases.contains(&alias));
        for (process, _) in self.runs.iter().filter(|(_, run)| member(run.seat)) {
            self.order(*process, order);
        }
    }

    /// The rows of a process have changed in words only.
    fn show(&mut self, seat: Seat) {
        self.changed.extend(self.seats.get(&seat).map(|info| info.aliases.clone()).unwrap_or_default());
    }

    pub(super) fn emit_at(&mut self, at_ns: u64, what: What) {
        self.log.add(Event { seq: 0, at_ns, unix_ms: unix_ms(), process: "ftm".to_owned(), what });
    }
}

impl ArmedPoint {
    /// A point of the FTM itself.
    pub(super) fn of_ftm(row: ArmedRow) -> Option<Self> {
        let (point, nth) = point_of(&row)?;
        Some(Self { row, alias: NOBODY, point, nth, pause: false })
    }

    fn order(&self) -> FromFtm {
        FromFtm::Arm {
            id: self.row.id.clone(),
            alias: self.alias.0,
            point: self.point.name().to_owned(),
            nth: self.nth,
            pause: self.pause,
        }
    }
}

/// Whether a process is stopped by a signal.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before it may have spaces and brackets of its own.
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'))
}
