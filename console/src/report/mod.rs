//! A run as one page: verdict, charts of the calls worth looking at, blackouts, latency, tables, log.

mod choose;
mod page;
mod picture;

#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};

use palib::control::Event;

use crate::history::{self, HistoryError};
use crate::run::Summary;
use crate::sequence::{Chart, Wish};
use crate::world::World;

/// Steps of one chart: a call that was asked for a hundred times needs no more to be understood.
const STEPS_MAX: usize = 120;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file of the run can't be read.
    #[error("{}: {source}; `palib run FILE --out DIR` makes a folder with summary.json, events.jsonl and history.jsonl", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// The summary is of another version, or no summary.
    #[error("{}: {source}; is it of another version of palib?", path.display())]
    Summary {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The history.
    #[error(transparent)]
    History(#[from] HistoryError),
}

/// What a run left behind.
struct Remains {
    summary: Summary,
    events: Vec<Event>,
    /// Lines of the events' file that could not be read.
    unreadable: usize,
    history: history::History,
    world: World,
}

/// The folder of a run as one HTML page, without scripts and without anything from elsewhere.
///
/// # Errors
/// If the folder lacks a file of a run, or one can't be read.
pub fn report(folder: &Path) -> Result<String, ReportError> {
    let remains = Remains::read(folder)?;
    let charts: Vec<Chart> = choose::calls(&remains.events)
        .into_iter()
        .map(|call| {
            let wish = Wish { follow: Some(call), steps_max: STEPS_MAX, ..Wish::default() };
            Chart::of(remains.events.iter(), &World::default(), &remains.world, &wish)
        })
        .collect();
    Ok(page::page(&remains, &charts).into_string())
}

impl Remains {
    fn read(folder: &Path) -> Result<Remains, ReportError> {
        let text = |name: &str| {
            let path = folder.join(name);
            fs::read_to_string(&path).map_err(|source| ReportError::Unreadable { path, source })
        };
        let summary = serde_json::from_str(&text("summary.json")?)
            .map_err(|source| ReportError::Summary { path: folder.join("summary.json"), source })?;
        let mut world = World::default();
        let mut events: Vec<Event> = Vec::new();
        let mut unreadable = 0;
        for line in text("events.jsonl")?.lines() {
            match serde_json::from_str(line) {
                Ok(event) => {
                    world.apply(&event);
                    events.push(event);
                }
                // A kill of the FTM may cut a line short; the rest is as good.
                Err(_) => unreadable += 1,
            }
        }
        let history = history::read(&[folder.join("history.jsonl")])?;
        Ok(Remains { summary, events, unreadable, history, world })
    }
}
