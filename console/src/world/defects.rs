//! The ledger of defects: what is armed, has fired, is active, and is over.

use std::collections::VecDeque;

use palib::control::{OperatorRequest, What};

use super::{Deeds, push_bounded};
use crate::defect::{Defect, Injury};

/// A line of the ledger of defects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefectView {
    /// Its id, such as `K1`.
    pub id: String,
    /// What, in the language of defects.
    pub spec: String,
    /// When it was injected, or armed as long as it is armed, in milliseconds of Unix time.
    pub at_unix_ms: u64,
    /// When it was over, in milliseconds of Unix time; none while it lasts, or if it is of a kind that does not.
    pub healed_unix_ms: Option<u64>,
    /// Whether it waits for somebody to pass its defect point.
    armed: bool,
    /// Who waits at its defect point, and where.
    waits: Option<(String, String)>,
    /// What it does to a link or a disk: such a fault lasts until it is healed.
    fault: Option<Injury>,
    /// What it did.
    pub deeds: Deeds,
}

/// Where a defect stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefectState {
    /// It waits for somebody to pass its defect point.
    Armed,
    /// It has happened, and does not last: a kill.
    Fired,
    /// It lasts: somebody hangs, or waits at a defect point; a link or a disk is disturbed.
    Active,
    /// It was taken back, or is over.
    Healed,
}

impl DefectView {
    fn new(id: &str, spec: &str, at_unix_ms: u64) -> Self {
        let injury = spec.parse().map(|defect: Defect| defect.injury);
        let fault = injury.ok().filter(|injury| matches!(injury, Injury::Link { .. } | Injury::Disk { .. }));
        let (id, spec) = (id.to_owned(), spec.to_owned());
        Self {
            id,
            spec,
            at_unix_ms,
            healed_unix_ms: None,
            armed: false,
            waits: None,
            fault,
            deeds: Deeds::default(),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> DefectState {
        match () {
            () if self.healed_unix_ms.is_some() => DefectState::Healed,
            () if self.armed => DefectState::Armed,
            () if self.hung_process().is_some() || self.fault.is_some() => DefectState::Active,
            () => DefectState::Fired,
        }
    }

    /// What it does to a link, while it does.
    #[must_use]
    pub fn link(&self) -> Option<&Injury> {
        let fault = self.fault.as_ref().filter(|_| self.state() == DefectState::Active);
        fault.filter(|fault| matches!(fault, Injury::Link { .. }))
    }

    /// The process that waits at its defect point, and the name of the point.
    #[must_use]
    pub fn waiting(&self) -> Option<(&str, &str)> {
        let lasts = self.state() == DefectState::Active;
        self.waits.as_ref().filter(|_| lasts).map(|(process, point)| (process.as_str(), point.as_str()))
    }

    /// Whether it can still be taken back: it is armed, or it lasts.
    #[must_use]
    pub fn lasts(&self) -> bool {
        matches!(self.state(), DefectState::Armed | DefectState::Active)
    }

    /// The process that hangs by this defect, or waits at its defect point.
    #[must_use]
    pub fn hung_process(&self) -> Option<&str> {
        let mut words = self.spec.split_whitespace();
        let hung = (words.next() == Some("hang")).then(|| words.next()).flatten();
        self.waits.as_ref().map(|(process, _)| process.as_str()).or(hung)
    }

    /// What takes it back, if it lasts.
    #[must_use]
    pub fn remedy(&self) -> Option<OperatorRequest> {
        match self.state() {
            DefectState::Armed => Some(OperatorRequest::Disarm { id: self.id.clone() }),
            DefectState::Active => Some(match self.hung_process() {
                Some(process) => OperatorRequest::Resume { process: process.to_owned() },
                None => OperatorRequest::Disarm { id: self.id.clone() },
            }),
            DefectState::Fired | DefectState::Healed => None,
        }
    }
}

/// Folds an event in. Gives the process that waited at a defect point and goes on.
pub(super) fn apply(ledger: &mut VecDeque<DefectView>, at_unix_ms: u64, what: &What) -> Option<String> {
    match what {
        What::Armed { id, spec } => {
            push_bounded(ledger, DefectView { armed: true, ..DefectView::new(id, spec, at_unix_ms) });
        }
        What::Defect { id, spec } => {
            *entry(ledger, id, spec, at_unix_ms) = DefectView::new(id, spec, at_unix_ms);
        }
        What::Paused { name, point, id } => {
            let spec = format!("pause {name}@{point}");
            let defect = entry(ledger, id, &spec, at_unix_ms);
            defect.at_unix_ms = at_unix_ms;
            defect.healed_unix_ms = None;
            defect.armed = false;
            defect.waits = Some((name.clone(), point.clone()));
        }
        What::Healed { id } | What::Disarmed { id } => {
            let defect = ledger.iter_mut().rev().find(|defect| defect.id == *id)?;
            defect.healed_unix_ms = Some(at_unix_ms);
            return defect.waits.as_ref().map(|(process, _)| process.clone());
        }
        _ => {}
    }
    None
}

/// A hang ends with its process: there is nothing left to resume.
pub(super) fn heal_hangs_of(ledger: &mut VecDeque<DefectView>, process: &str, at_unix_ms: u64) {
    for defect in ledger {
        if defect.healed_unix_ms.is_none() && defect.hung_process() == Some(process) {
            defect.healed_unix_ms = Some(at_unix_ms);
        }
    }
}

/// The line of this id, or a new one.
fn entry<'l>(
    ledger: &'l mut VecDeque<DefectView>,
    id: &str,
    spec: &str,
    at_unix_ms: u64,
) -> &'l mut DefectView {
    let place = ledger.iter().rposition(|defect| defect.id == id);
    let place = place.unwrap_or_else(|| {
        push_bounded(ledger, DefectView::new(id, spec, at_unix_ms));
        ledger.len() - 1
    });
    &mut ledger[place]
}
