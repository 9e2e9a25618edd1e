//! Hangs that were ordered: who is stopped, by which defect, and until when.
//!
//! They are durable as faults of links are: a process that was stopped stays so whatever becomes of the FTM, and only an
//! FTM that knows of it lets it go on.

use std::time::Duration;

use palib::control::{Refused, What};
use palib_core::ids::ProcessId;
use palib_core::manager::Seat;
use rustix::process::Signal;

use super::boot::count_on;
use super::store::{FaultState, HangState, Write};
use super::{Death, Ftm, Message, now_ns, unix_ms};

impl Ftm {
    /// The hang of the process in a seat, if it was stopped by order.
    pub(super) fn hang_of(&self, seat: Seat) -> Option<&HangState> {
        self.seats.get(&seat)?.state.hang.as_ref()
    }

    /// Stops a process, for so many milliseconds or until it is told to go on.
    pub(super) fn hang(&mut self, name: &str, for_ms: Option<u64>) -> Result<String, Refused> {
        let seat = self.seat(name)?;
        let process = self.living(seat)?;
        let name = self.name(seat);
        if let Some(HangState { id, .. }) = self.hang_of(seat) {
            return Err(Refused::Mistake(format!("{name} hangs already ({id}); `resume` lets it go on")));
        }
        let at_ns = now_ns();
        self.signal(process, Signal::STOP)?;
        let time = for_ms.map(|ms| format!(" {ms}ms")).unwrap_or_default();
        let spec = format!("hang {name}{time}");
        let id = self.injure(seat, process, 'H', spec.clone(), at_ns);
        if let Some(run) = self.runs.get_mut(&process) {
            // It may well live on; then its end is another's doing.
            run.ordered = false;
        }
        let until_unix_ms = for_ms.map(|ms| unix_ms().saturating_add(ms));
        let hang = HangState { id: id.clone(), fault: FaultState { spec, until_unix_ms } };
        self.remember_hang(seat, Some(hang.clone()));
        self.set_why(seat, format!("stopped by {id}"));
        self.end_hang_in_time(process, &hang);
        Ok(format!("{name} hangs ({id})"))
    }

    /// Lets a process go on that hangs by this defect.
    pub(super) fn hang_over(&mut self, process: ProcessId, defect: &str) {
        let Some(run) = self.runs.get(&process) else { return };
        let seat = run.seat;
        if self.hang_of(seat).is_none_or(|hang| hang.id != defect) {
            return;
        }
        if let Some(handle) = &run.handle {
            let _ = handle.signal(Signal::CONT);
        }
        self.remember_hang(seat, None);
        if let Some(info) = self.seats.get_mut(&seat) {
            info.death = Death::default();
        }
        self.set_why(seat, format!("goes on after {defect}"));
        self.emit(What::Healed { id: defect.to_owned() });
    }

    /// Goes on with what a former FTM had stopped.
    pub(super) fn go_on_with_hangs(&mut self) {
        let hangs = self
            .runs
            .iter()
            .filter_map(|(process, run)| Some((*process, run.seat, self.hang_of(run.seat)?.clone())));
        for (process, seat, hang) in hangs.collect::<Vec<_>>() {
            count_on(&mut self.defects, &hang.id);
            self.set_why(seat, format!("stopped by {}", hang.id));
            self.end_hang_in_time(process, &hang);
        }
    }

    fn remember_hang(&mut self, seat: Seat, hang: Option<HangState>) {
        let Some(info) = self.seats.get_mut(&seat) else { return };
        info.state.hang = hang;
        let write = Write::Process(info.name.clone(), info.state.clone());
        self.commit(&[write]);
    }

    fn end_hang_in_time(&self, process: ProcessId, hang: &HangState) {
        let Some(until) = hang.fault.until_unix_ms else { return };
        let left = Duration::from_millis(until.saturating_sub(unix_ms()));
        let (sender, defect) = (self.sender.clone(), hang.id.clone());
        tokio::spawn(async move {
            tokio::time::sleep(left).await;
            let _ = sender.send(Message::HangOver { process, defect });
        });
    }
}
