//! The defect points that the FTM itself passes.
//!
//! Whoever is armed at one dies of it, so what is armed and what has fired is kept in a file beside the state: some points
//! are passed only when an FTM starts, and the one that starts next has to tell what became of the last. What has fired
//! stays in the file until the log of events is known to have it.

use std::path::PathBuf;

use palib::control::{ArmedRow, What};
use palib::defect::{Armed, Fired, Part, Point, Points};
use palib_core::ids::AliasId;
use serde::{Deserialize, Serialize};

use super::Ftm;
use super::boot::count_on;
use crate::defect::{Defect, Injury};
use crate::state::{StateFolder, write_whole};

/// How the language of defects names the FTM.
pub(super) const FTM: &str = "ftm";
/// What its points are armed for: no process is a member of it.
pub(super) const NOBODY: AliasId = AliasId(0);

/// The FTM's own defect points.
pub(super) struct OwnPoints {
    points: Points,
    file: PathBuf,
    memory: Memory,
}

/// What outlives an FTM.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    armed: Vec<ArmedRow>,
    fired: Vec<Spent>,
}

/// A point that has fired.
#[derive(Debug, Serialize, Deserialize)]
struct Spent {
    row: ArmedRow,
    at_ns: u64,
}

impl OwnPoints {
    /// What a former FTM left. What it died of is armed no more, all else is, counted from now on.
    pub(super) fn read(folder: &StateFolder) -> Self {
        let (file, fired_file) = (folder.armed_in_ftm(), folder.fired(FTM));
        let memory = std::fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let mut own =
            Self { points: Points::new(fired_file.clone()), file, memory: memory.unwrap_or_default() };
        if let Some(fired) = Fired::read(&fired_file) {
            let armed = own.memory.armed.extract_if(.., |row| row.id == fired.id).next();
            let spent = armed.map(|row| Spent { row, at_ns: fired.at_ns });
            own.memory.fired.extend(spent);
            own.write();
            let _ = std::fs::remove_file(fired_file);
        }
        own.memory.armed.iter().for_each(|row| own.points.arm_row(row));
        own
    }

    /// The FTM passes a point. If it is armed and this is the time, the FTM ends here.
    pub(super) fn pass(&self, point: Point) {
        self.points.pass(NOBODY, point);
    }

    /// What is armed.
    pub(super) fn armed(&self) -> &[ArmedRow] {
        &self.memory.armed
    }

    pub(super) fn arm(&mut self, row: ArmedRow) {
        self.points.arm_row(&row);
        self.memory.armed.push(row);
        self.write();
    }

    pub(super) fn disarm(&mut self, id: &str) {
        self.points.disarm(id);
        let before = self.memory.armed.len();
        self.memory.armed.retain(|row| row.id != id);
        if self.memory.armed.len() != before {
            self.write();
        }
    }

    fn write(&self) {
        let text = serde_json::to_vec(&self.memory).unwrap_or_default();
        if let Err(error) = write_whole(&self.file, &text) {
            tracing::error!(%error, "the next FTM will not know which of its defect points are armed");
        }
    }
}

/// Arming what a row says.
trait ArmRow {
    fn arm_row(&self, row: &ArmedRow);
}

impl ArmRow for Points {
    fn arm_row(&self, row: &ArmedRow) {
        if let Some((point, nth)) = point_of(row) {
            self.arm(Armed { id: row.id.clone(), alias: NOBODY, point, nth, pause: false });
        }
    }
}

/// The point that a row arms, and at which time of passing it.
pub(super) fn point_of(row: &ArmedRow) -> Option<(Point, u32)> {
    match row.spec.parse::<Defect>().ok()?.injury {
        Injury::At { point, nth, .. } if point.part() == Part::Ftm => Some((point, nth)),
        _ => None,
    }
}

impl Ftm {
    /// The FTM passes one of its own defect points.
    pub(super) fn pass(&self, point: Point) {
        self.own.pass(point);
    }

    /// Tells of the points at which former FTMs died, but for those that the log has. None of them counts as armed.
    pub(super) fn tell_fired(&mut self, told: &[String], armed: &mut Vec<String>) {
        let before = self.own.memory.fired.len();
        self.own.memory.fired.retain(|spent| !told.contains(&spent.row.id));
        if self.own.memory.fired.len() != before {
            self.own.write();
        }
        let fired: Vec<_> =
            self.own.memory.fired.iter().map(|spent| (spent.row.clone(), spent.at_ns)).collect();
        for (ArmedRow { id, spec }, at_ns) in fired {
            armed.retain(|other| *other != id);
            count_on(&mut self.defects, &id);
            self.emit_at(at_ns, What::Defect { id: id.clone(), spec });
            self.emit(What::Healed { id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, spec: &str) -> ArmedRow {
        ArmedRow { id: id.to_owned(), spec: spec.to_owned() }
    }

    #[test]
    fn what_an_ftm_died_of_is_armed_no_more_and_all_else_is() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = StateFolder::of(parent.path(), "c").expect("a name");
        folder.create().expect("a state folder");
        let mut own = OwnPoints::read(&folder);
        own.arm(row("P1", "kill ftm@before-push#3"));
        own.arm(row("P2", "kill ftm@after-adopt"));
        own.arm(row("P3", "kill ftm@after-mark"));
        own.disarm("P3");
        let fired = Fired { id: "P1".to_owned(), point: "before-push".to_owned(), at_ns: 5 };
        fired.write(&folder.fired(FTM)).expect("a file");
        for _ in 0..2 {
            // Also if that one dies before it has told anybody.
            let next = OwnPoints::read(&folder);
            assert_eq!(next.armed(), [row("P2", "kill ftm@after-adopt")]);
            let fired: Vec<_> =
                next.memory.fired.iter().map(|spent| (spent.row.id.as_str(), spent.at_ns)).collect();
            assert_eq!(fired, [("P1", 5)]);
            assert!(next.points.any());
        }
    }
}
