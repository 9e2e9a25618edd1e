//! The claims of the patent (GB 9617654.0), each played against real processes: what was done, what was seen, whether it
//! held.
//!
//! A script (`claims.toml`) has scenes, played one after another on one cluster (`cluster.toml`). Each thing that must
//! be seen says for which claims and figures it speaks. So a claim holds if everything that speaks for it was seen, and
//! whatever it says no more than.

mod play;
mod script;
mod sight;
mod sources;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;

use crate::cluster::ClusterFile;
use crate::run::{Interrupts, RunError, Stage};

use play::{Player, Seen};
use script::{Script, Subject};

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// `clean`, or `not clean`.
    pub verdict: &'static str,
    /// How long it took, in milliseconds.
    pub elapsed_ms: u64,
    /// The claims, 1 to 33.
    pub claims: Vec<Row>,
    /// The figures, 1 to 19.
    pub figures: Vec<Row>,
}

/// A claim or a figure.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Its number.
    pub number: u32,
    /// What it says, in short.
    pub text: String,
    /// `held`, `not held`, or `nothing to play`.
    pub verdict: &'static str,
    /// What was done.
    pub done: Vec<String>,
    /// What was seen.
    pub seen: Vec<Sighting>,
    /// The claims that together say all that it says.
    pub same_as: Vec<u32>,
    /// What is to be known about it.
    pub note: String,
}

/// Something that had to be seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sighting {
    /// What.
    pub expected: String,
    /// What was there.
    pub found: String,
    /// Whether that is it.
    pub held: bool,
}

const HELD: &str = "held";
const NOT_HELD: &str = "not held";
const NOTHING: &str = "nothing to play";

/// Plays everything on a cluster of its own. `tell` is told the progress; `program` is the binary with the subcommands
/// `keep`, `ftm` and `node`, none means this one.
///
/// # Errors
/// If the cluster can't be started or stopped. A claim that does not hold is no error: it stands in the report.
pub async fn play(program: Option<PathBuf>, tell: &mut dyn FnMut(&str)) -> Result<Report, RunError> {
    let began = Instant::now();
    let script = Script::built_in();
    let file = ClusterFile::parse("claims/cluster.toml", include_str!("cluster.toml"))
        .expect("the cluster file that is built in is in order");
    let mut interrupted = Interrupts::listen()?;
    let folder = tempfile::Builder::new().prefix("palib-claims-").tempdir();
    let folder = folder.map_err(RunError::io(&std::env::temp_dir()))?;
    tell("starting a cluster of all services");
    let stage = tokio::select! {
        stage = Stage::start(&file, folder.path(), folder.path(), program) => stage?,
        () = interrupted.next() => return Err(RunError::Interrupted),
    };
    let mut player = Player::new(stage);
    let played = tokio::select! {
        played = scenes(&mut player, &script, tell) => played,
        () = interrupted.next() => Err(RunError::Interrupted),
    };
    player.stage.shutdown().await?;
    let seen = played?;
    let claims = rows(&script, &script.claims, &seen, |seen| &seen.watched.claims);
    let figures = rows(&script, &script.figures, &seen, |seen| &seen.watched.figures);
    let held = claims.iter().chain(&figures).all(|row| row.verdict != NOT_HELD);
    Ok(Report {
        verdict: if held { "clean" } else { "not clean" },
        elapsed_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        claims,
        figures,
    })
}

async fn scenes(
    player: &mut Player,
    script: &Script,
    tell: &mut dyn FnMut(&str),
) -> Result<Vec<Seen>, RunError> {
    let mut all = Vec::new();
    for (number, scene) in script.scenes.iter().enumerate() {
        tell(&format!("{}/{}  {}", number + 1, script.scenes.len(), scene.title));
        let seen = player.scene(number, scene).await?;
        for wrong in &seen {
            if let Err(found) = &wrong.found {
                tell(&format!(
                    "     not seen after `{}`: {}; instead: {found}",
                    wrong.done, wrong.watched.text
                ));
            }
        }
        all.extend(seen);
    }
    Ok(all)
}

/// The rows of claims or of figures. `speaks_for` tells for which of them something speaks that was seen.
fn rows(
    script: &Script,
    subjects: &[Subject],
    seen: &[Seen],
    speaks_for: impl Fn(&Seen) -> &Vec<u32>,
) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for subject in subjects {
        let mine: Vec<&Seen> =
            seen.iter().filter(|seen| speaks_for(seen).contains(&subject.number)).collect();
        let scenes: BTreeSet<usize> = mine.iter().map(|seen| seen.scene).collect();
        let sighting = |seen: &&Seen| {
            let (Ok(found) | Err(found)) = &seen.found;
            let expected = format!("after `{}`: {}", seen.done, seen.watched.text);
            Sighting { expected, found: found.clone(), held: seen.found.is_ok() }
        };
        rows.push(Row {
            number: subject.number,
            text: subject.text.clone(),
            verdict: NOTHING,
            done: scenes.into_iter().map(|scene| script.scenes[scene].title.clone()).collect(),
            seen: mine.iter().map(sighting).collect(),
            same_as: subject.same_as.clone(),
            note: subject.note.clone(),
        });
    }
    judge(&mut rows);
    rows
}

/// A row holds if all that speaks for it was seen, and those hold that it says no more than.
fn judge(rows: &mut [Row]) {
    for row in rows.iter_mut().filter(|row| !row.seen.is_empty()) {
        row.verdict = if row.seen.iter().all(|seen| seen.held) { HELD } else { NOT_HELD };
    }
    // Those that refer to others refer to earlier ones only, so one walk in their order is enough.
    let mut verdicts: BTreeMap<u32, &'static str> = BTreeMap::new();
    for row in rows.iter_mut() {
        if !row.same_as.is_empty() && row.verdict != NOT_HELD {
            let all = row.same_as.iter().all(|number| verdicts.get(number) == Some(&HELD));
            row.verdict = if all { HELD } else { NOT_HELD };
        }
        verdicts.insert(row.number, row.verdict);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u32, held: &[bool], same_as: &[u32]) -> Row {
        let sighting = |held: &bool| Sighting { expected: String::new(), found: String::new(), held: *held };
        Row {
            number,
            text: String::new(),
            verdict: NOTHING,
            done: Vec::new(),
            seen: held.iter().map(sighting).collect(),
            same_as: same_as.to_vec(),
            note: String::new(),
        }
    }

    #[test]
    fn a_claim_holds_if_all_that_speaks_for_it_was_seen_and_those_hold_that_it_repeats() {
        let mut rows = [
            row(1, &[true, true], &[]),
            row(2, &[true, false], &[]),
            row(3, &[], &[]),
            row(4, &[], &[1]),
            row(5, &[true], &[1, 2]),
            row(6, &[], &[3]),
        ];
        judge(&mut rows);
        let verdicts: Vec<&str> = rows.iter().map(|row| row.verdict).collect();
        assert_eq!(verdicts, [HELD, NOT_HELD, NOTHING, HELD, NOT_HELD, NOT_HELD]);
    }
}
