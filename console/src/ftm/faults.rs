//! Faults of links and disks: which last, and who enforces what.
//!
//! They are durable, as the state of a network or a disk does not depend on an FTM. Each process gets all that it
//! enforces whenever that changes and when it joins, so whoever the FTM speaks with is never wrong about them for long.
//! A fault of the link to the FTM is enforced in the FTM's own socket, both ways, since the process could not be told
//! that it is over. Of a link between two others nothing is lost that a cut-off end would have to know: what cuts it is
//! enforced at both ends, what only disturbs it at the sender.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use palib::control::{ArmedRow, FromFtm, Refused, What};
use palib::defect::{DiskRule, Faults, LinkFault, LinkRule, Way};
use palib::tls::Role;
use palib::transport::Link;
use palib_core::ids::ProcessId;
use palib_core::manager::Seat;

use super::boot::count_on;
use super::effects::next_defect;
use super::store::{FaultState, Write};
use super::{Death, Ftm, Message, now_ns, unix_ms};
use crate::defect::{Defect, Injury, Target};

/// The FTM's own name.
const FTM: &str = "ftm";
/// The kinds of faults in ids of the ledger.
const LINK: char = 'L';
const DISK: char = 'D';

/// A fault that lasts. Its ends are processes, not aliases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StandingFault {
    id: String,
    injury: Injury,
}

impl StandingFault {
    /// Whether it does nothing before it strikes, once.
    fn waits_to_strike(&self) -> bool {
        matches!(&self.injury, Injury::Disk { fault, .. } if fault.strikes_once())
    }

    /// What the log is told of it. One that strikes at a sync may find none: it is no defect before it has.
    pub(super) fn words(&self) -> What {
        let (id, spec) = (self.id.clone(), self.injury.to_string());
        match self.waits_to_strike() {
            true => What::Armed { id, spec },
            false => What::Defect { id, spec },
        }
    }
}

/// Whether an id of the ledger is that of a fault of a link or a disk.
pub(super) fn is_fault(id: &str) -> bool {
    id.starts_with([LINK, DISK])
}

impl Ftm {
    /// The fault of this id, if it lasts.
    pub(super) fn fault(&self, id: &str) -> Option<&StandingFault> {
        self.faults.iter().find(|fault| fault.id == id)
    }

    /// The faults that last, oldest first.
    pub(super) fn fault_rows(&self) -> Vec<ArmedRow> {
        let row = |fault: &StandingFault| ArmedRow { id: fault.id.clone(), spec: fault.injury.to_string() };
        self.faults.iter().map(row).collect()
    }

    /// Makes a fault of a link or a disk.
    pub(super) fn make_fault(&mut self, spec: &str) -> Result<String, Refused> {
        let defect: Defect = spec.parse()?;
        if defect.when.after.is_some() || defect.when.every.is_some() {
            let words = format!("`{spec}`: whoever asks for it waits until its time, not the FTM");
            return Err(Refused::Mistake(words));
        }
        let injury = self.with_processes(defect.injury)?;
        Defect::now(injury.clone()).check_possible()?;
        if let Some(other) = self.faults.iter().find(|other| same_place(&other.injury, &injury)) {
            return Err(Refused::Mistake(format!("{} is there already ({})", other.injury, other.id)));
        }
        let id =
            next_defect(&mut self.defects, if matches!(injury, Injury::Disk { .. }) { DISK } else { LINK });
        let spec = injury.to_string();
        let span = span_of(&injury);
        let until_unix_ms = span.map(|span| unix_ms() + u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        self.commit(&[Write::Fault(id.clone(), FaultState { spec: spec.clone(), until_unix_ms })]);
        if let Some(seat) = self.cut_from_ftm(&injury).and_then(|name| self.seat(&name).ok())
            && let Some(info) = self.seats.get_mut(&seat)
        {
            info.death = Death { defect_ns: Some(now_ns()), ..Death::default() };
        }
        let fault = StandingFault { id: id.clone(), injury };
        self.emit(fault.words());
        self.faults.push(fault);
        self.enforce_faults();
        if let Some(span) = span {
            self.end_fault_after(&id, span);
        }
        Ok(format!("{spec} ({id})"))
    }

    /// Heals a fault, and says so; none if there is no such fault.
    pub(super) fn heal_fault(&mut self, id: &str) -> Option<String> {
        let fault = self.forget_fault(id)?;
        if let Some(seat) = self.cut_from_ftm(&fault.injury).and_then(|name| self.seat(&name).ok())
            && let Some(info) = self.seats.get_mut(&seat)
            && info.death.detected_ns.is_none()
        {
            // It lives on: its next death has another cause.
            info.death = Death::default();
        }
        let over = id.to_owned();
        self.emit(match fault.waits_to_strike() {
            true => What::Disarmed { id: over },
            false => What::Healed { id: over },
        });
        let deaf = self.deaf_ends(&fault.injury);
        let later = match deaf.is_empty() {
            true => String::new(),
            false => format!("; {} can't be reached now and is told when it can be", deaf.join(" and ")),
        };
        Some(format!("{} is over ({id}){later}", fault.injury))
    }

    /// A fault of a disk that strikes once has struck, at this time: what follows is its doing.
    pub(super) fn disk_struck(&mut self, process: ProcessId, seat: Seat, id: &str, at_ns: u64) {
        let fault = self.forget_fault(id);
        if let Some(StandingFault { injury, .. }) = fault {
            self.emit_at(at_ns, What::Defect { id: id.to_owned(), spec: injury.to_string() });
        }
        if let Some(info) = self.seats.get_mut(&seat) {
            info.death.defect_ns = Some(at_ns);
            // Healed when the process is back, as after a kill.
            info.injured.push(id.to_owned());
        }
        if let Some(run) = self.runs.get_mut(&process) {
            run.ordered = true;
        }
    }

    /// Goes on with what a former FTM remembered.
    pub(super) fn go_on_with_faults(&mut self, remembered: &BTreeMap<String, FaultState>) {
        for (id, FaultState { spec, until_unix_ms }) in remembered {
            // The line of the log that tells of it may not have been written any more.
            count_on(&mut self.defects, id);
            let Ok(Defect { injury, .. }) = spec.parse() else { continue };
            self.faults.push(StandingFault { id: id.clone(), injury });
            if let Some(until) = until_unix_ms {
                self.end_fault_after(id, Duration::from_millis(until.saturating_sub(unix_ms())));
            }
        }
        self.faults.sort_by_key(|fault| fault.id[1..].parse::<u32>().unwrap_or(u32::MAX));
    }

    /// Whether nothing passes between a process and the FTM one way or the other: the id of the fault.
    pub(super) fn cut_off(&self, name: &str) -> Option<&str> {
        let cuts = |fault: &&StandingFault| self.cut_from_ftm(&fault.injury).as_deref() == Some(name);
        self.faults.iter().find(cuts).map(|fault| fault.id.as_str())
    }

    /// Somebody connected. Who is cut off could connect because its address was not known before it showed its name; it
    /// is now, so not even this closing reaches it.
    pub(super) fn opened(&mut self, link: Link) {
        if link.peer().role == Role::Process {
            let name = link.peer().name.clone();
            let moved =
                self.knocked.insert(name.clone(), link.remote_address()) != Some(link.remote_address());
            if moved && !self.faults.is_empty() {
                self.enforce_faults();
            }
            if let Some(id) = self.cut_off(&name) {
                link.close(&format!("cut off by {id}"));
                return;
            }
        }
        self.links.insert(link.number(), link);
    }

    /// A process is dead, and what speaks from its address from now on is another.
    pub(super) fn moved_away(&mut self, name: &str) {
        self.knocked.remove(name);
        if !self.faults.is_empty() {
            self.enforce_faults();
        }
    }

    /// Enforces all faults here, and tells everybody what to enforce.
    pub(super) fn enforce_faults(&self) {
        let own = self.faults_of(FTM);
        self.endpoint.set_faults(own.links, own.seed);
        for (process, run) in &self.runs {
            self.order(*process, &FromFtm::Faults(self.faults_of(&self.name(run.seat))));
        }
    }

    /// What one process, or the FTM, enforces.
    fn faults_of(&self, name: &str) -> Faults {
        let mut faults = Faults { seed: u64::from(crc32fast::hash(name.as_bytes())), ..Faults::default() };
        for StandingFault { id, injury } in &self.faults {
            match injury {
                Injury::Link { fault, from, to, .. } => {
                    for (peer, way) in enforced_by(name, *fault, &from.0, &to.0) {
                        let rule = |peer| LinkRule { peer, way, fault: *fault };
                        faults.links.extend(self.addresses(peer).into_iter().map(rule));
                    }
                }
                Injury::Disk { alias, fault, .. } => {
                    let number = self.aliases.iter().find(|(_, info)| info.spec.name == alias.0);
                    let rule = |alias: u32| DiskRule { id: id.clone(), alias, fault: *fault };
                    faults.disks.extend(number.map(|(number, _)| rule(number.0)));
                }
                _ => {}
            }
        }
        faults
    }

    /// Where a process is: where its run takes calls, and where the last one that used its name has connected from.
    fn addresses(&self, name: &str) -> Vec<SocketAddr> {
        let runs = self.runs.values().filter(|run| run.handle.is_some() && self.name(run.seat) == name);
        let mut addresses: Vec<_> = runs.filter_map(|run| run.address).collect();
        addresses.extend(self.knocked.get(name).filter(|knocked| !addresses.contains(knocked)));
        addresses
    }

    /// The same injury with the processes that its aliases stand for at this moment.
    fn with_processes(&self, injury: Injury) -> Result<Injury, Refused> {
        let process = |target: Target| match target.0.as_str() {
            FTM => Ok(target),
            name => Ok::<_, Refused>(Target(self.name(self.seat(name)?))),
        };
        match injury {
            Injury::Link { fault, from, to, span } => {
                Ok(Injury::Link { fault, from: process(from)?, to: process(to)?, span })
            }
            Injury::Disk { alias, fault, span } => {
                self.alias_named(&alias.0)?;
                Ok(Injury::Disk { alias, fault, span })
            }
            other => Err(Refused::Mistake(format!("`{other}` is no fault of a link or a disk"))),
        }
    }

    /// The process that a cut keeps from speaking with the FTM.
    fn cut_from_ftm(&self, injury: &Injury) -> Option<String> {
        let Injury::Link { fault: LinkFault::Cut | LinkFault::OneWay, from, to, .. } = injury else {
            return None;
        };
        match (from.0.as_str(), to.0.as_str()) {
            (FTM, name) | (name, FTM) => Some(name.to_owned()),
            _ => None,
        }
    }

    /// The ends of a link that enforce its fault and can't be told now.
    fn deaf_ends(&self, injury: &Injury) -> Vec<String> {
        let Injury::Link { from, to, .. } = injury else { return Vec::new() };
        if from.0 == FTM || to.0 == FTM {
            return Vec::new();
        }
        let lives =
            |name: &str| self.runs.values().any(|run| run.handle.is_some() && self.name(run.seat) == name);
        let deaf = |name: &&str| lives(name) && self.cut_off(name).is_some();
        [from.0.as_str(), to.0.as_str()].into_iter().filter(deaf).map(str::to_owned).collect()
    }

    fn forget_fault(&mut self, id: &str) -> Option<StandingFault> {
        let place = self.faults.iter().position(|fault| fault.id == id)?;
        self.commit(&[Write::Healed(id.to_owned())]);
        let fault = self.faults.remove(place);
        self.enforce_faults();
        Some(fault)
    }

    fn end_fault_after(&self, id: &str, span: Duration) {
        let (sender, id) = (self.sender.clone(), id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(span).await;
            let _ = sender.send(Message::FaultOver { id });
        });
    }
}

/// Which directions of a link with a fault one process enforces: with whom, and which way.
fn enforced_by<'n>(name: &str, fault: LinkFault, from: &'n str, to: &'n str) -> Vec<(&'n str, Way)> {
    let one_way = matches!(fault, LinkFault::OneWay);
    let cuts = one_way || matches!(fault, LinkFault::Cut);
    let with_ftm = from == FTM || to == FTM;
    let mut enforced = Vec::new();
    // Each direction has a sender and a receiver.
    for (sender, receiver) in [(from, to), (to, from)] {
        let (at_sender, at_receiver) = match with_ftm {
            true => (sender == FTM, receiver == FTM),
            false => (true, cuts),
        };
        if name == sender && at_sender {
            enforced.push((receiver, Way::To));
        }
        if name == receiver && at_receiver {
            enforced.push((sender, Way::From));
        }
        if one_way {
            break;
        }
    }
    enforced
}

/// Whether two faults are the same but for how long they last.
fn same_place(one: &Injury, other: &Injury) -> bool {
    let whole = |injury: &Injury| match injury.clone() {
        Injury::Link { fault, from, to, .. } => Injury::Link { fault, from, to, span: None },
        Injury::Disk { alias, fault, .. } => Injury::Disk { alias, fault, span: None },
        injury => injury,
    };
    whole(one) == whole(other)
}

fn span_of(injury: &Injury) -> Option<Duration> {
    match injury {
        Injury::Link { span, .. } | Injury::Disk { span, .. } => *span,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enforced(
        name: &str,
        fault: LinkFault,
        from: &'static str,
        to: &'static str,
    ) -> Vec<(&'static str, Way)> {
        enforced_by(name, fault, from, to)
    }

    #[test]
    fn a_cut_between_two_processes_is_enforced_at_both_ends() {
        let at_a = enforced("a", LinkFault::Cut, "a", "b");
        assert_eq!(at_a, [("b", Way::To), ("b", Way::From)]);
        assert_eq!(enforced("b", LinkFault::Cut, "a", "b"), [("a", Way::From), ("a", Way::To)]);
        assert_eq!(enforced("c", LinkFault::Cut, "a", "b"), []);
        assert_eq!(enforced("ftm", LinkFault::Cut, "a", "b"), []);
        assert_eq!(enforced("a", LinkFault::OneWay, "a", "b"), [("b", Way::To)]);
        assert_eq!(enforced("b", LinkFault::OneWay, "a", "b"), [("a", Way::From)]);
    }

    #[test]
    fn what_only_disturbs_a_link_is_enforced_once_in_each_direction() {
        let reorder = |name| enforced(name, LinkFault::Reorder, "a", "b");
        assert_eq!((reorder("a"), reorder("b")), (vec![("b", Way::To)], vec![("a", Way::To)]));
    }

    #[test]
    fn what_concerns_the_ftm_is_enforced_by_the_ftm_alone() {
        for fault in [LinkFault::Cut, LinkFault::Reorder] {
            assert_eq!(enforced("ftm", fault, "a", "ftm"), [("a", Way::From), ("a", Way::To)]);
            assert_eq!(enforced("ftm", fault, "ftm", "a"), [("a", Way::To), ("a", Way::From)]);
            assert_eq!(enforced("a", fault, "a", "ftm"), []);
        }
        assert_eq!(enforced("ftm", LinkFault::OneWay, "a", "ftm"), [("a", Way::From)]);
        assert_eq!(enforced("ftm", LinkFault::OneWay, "ftm", "a"), [("a", Way::To)]);
    }
}
