//! What the trace says of commits, decisions and courses.

use palib_core::message::Outcome;
use palib_core::redundancy::{RedProcess, RowState};
use palib_core::relay::Back;
use palib_core::resend;
use palib_core::server::{Recovery, Resolution, Write};

use crate::area::Job;
use crate::body::{self, Body};
use crate::judge::Judge;
use crate::network::{mark_text, outcome_text};

/// What is in a commit.
pub(crate) fn jobs_text(jobs: &[Job], judge: &Judge) -> String {
    let texts: Vec<String> = jobs
        .iter()
        .flat_map(|job| match job {
            Job::Caller { write: resend::Write::Put(pending), .. } => {
                vec![format!("outbox + {}", body::text(pending.body))]
            }
            Job::Caller { write: resend::Write::Drop(id), .. } => {
                vec![format!("outbox - {}", judge.text_of(*id))]
            }
            Job::Server { writes, .. } => writes.iter().map(|write| write_text(write, judge)).collect(),
        })
        .collect();
    texts.join(", ")
}

fn write_text(write: &Write<Body>, judge: &Judge) -> String {
    match write {
        Write::PutRow { row, .. } => format!("{} {}", judge.text_of(row.id), state_text(&row.state)),
        Write::Atomic { id, .. } => format!("{} done", judge.text_of(*id)),
        Write::AtomicUndo { id, .. } => format!("{} undone and cancelled", judge.text_of(*id)),
        Write::DropRow { .. } => "a row forgotten".to_owned(),
        Write::PutJournal { row } => {
            let answered = if row.answer.is_some() { " with its answer" } else { "" };
            let designated = if row.designated.is_some() { " with its substitute" } else { "" };
            format!("journal + {}{answered}{designated}", body::text(row.call.body))
        }
        Write::CloseJournal { served } => format!("journal of {} closed", judge.text_of(served.id)),
        Write::PutMark { source, mark } => format!("mark of {source}: {}", mark_text(*mark)),
    }
}

fn state_text(state: &RowState<Body>) -> String {
    match state {
        RowState::Blocked { .. } => "blocked".to_owned(),
        RowState::Relaying { course, .. } if course.goes_back() => "goes back".to_owned(),
        RowState::Relaying { .. } => "under way".to_owned(),
        RowState::Registered(RedProcess::AutoReply(outcome)) => {
            format!("registered {}", outcome_text(outcome))
        }
        RowState::Registered(RedProcess::Handler { .. }) => "registered with a handler".to_owned(),
        RowState::Undoing(_) => "being undone".to_owned(),
        RowState::Cancelled { undone: true } => "undone and cancelled".to_owned(),
        RowState::Cancelled { undone: false } => "cancelled before it was done".to_owned(),
    }
}

/// What `recover` said.
pub(crate) fn recovery_text(recovery: &Recovery<Body>) -> String {
    match recovery {
        Recovery::Completed(outcome) => format!("it was executed, {}", outcome_text(outcome)),
        Recovery::NotExecuted => "it was not executed".to_owned(),
        Recovery::Unknown => "nobody can tell".to_owned(),
    }
}

/// What an operator decided.
pub(crate) fn resolution_text(resolution: &Resolution<Body>) -> String {
    match resolution {
        Resolution::Outcome(outcome) => format!("it ended with {}", outcome_text(outcome)),
        Resolution::Rerun => "once more".to_owned(),
        Resolution::RollBack => "roll it back".to_owned(),
    }
}

/// Why a transaction goes back.
pub(crate) fn back_text(back: &Back<Body>) -> String {
    match back {
        Back::Takeover => "a takeover found it half done".to_owned(),
        Back::Failed(error) => outcome_text(&Outcome::Failed(*error)),
        Back::Cancelled => "its caller cancels it".to_owned(),
        Back::Ordered => "an operator wants it".to_owned(),
    }
}
