//! Where a stable area tells what became durable, and what ends the process.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::last_words;
use crate::membership::Membership;
use crate::stable::{AreaError, Committed, Sink, Token};
use crate::turns::let_messages_leave;

/// The exit code of a process that was fenced: another member is in service.
pub const EXIT_FENCED: i32 = 70;
/// The exit code of a process whose stable area failed.
pub const EXIT_STABLE_AREA: i32 = 74;

/// Durable jobs that are handed over in one step.
const JOBS_AT_ONCE: usize = 64;

/// Hands what became durable to the side that asked for it.
///
/// Not on the writer's own thread: it goes on with the next commit at once. And all jobs of a commit in one hand
/// over, because each waking of the runtime from another thread costs a system call, and there may be hundreds of
/// jobs in a commit.
pub(crate) struct AreaSink {
    alias: String,
    durable: Mutex<Vec<Committed>>,
    more: Notify,
}

impl AreaSink {
    /// A sink that hands over to a membership. Must be called on the runtime.
    pub(crate) fn start(membership: Arc<Membership>) -> Arc<Self> {
        let alias = membership.ticket.alias.clone();
        let sink = Arc::new(Self { alias, durable: Mutex::default(), more: Notify::new() });
        let source = sink.clone();
        tokio::spawn(async move {
            loop {
                source.more.notified().await;
                let mut jobs = std::mem::take(&mut *source.durable.lock()).into_iter();
                while jobs.len() > 0 {
                    hand_over(&membership, jobs.by_ref().take(JOBS_AT_ONCE)).await;
                }
            }
        });
        sink
    }
}

impl Sink for AreaSink {
    fn committed(&self, jobs: Vec<Committed>) {
        let mut durable = self.durable.lock();
        if durable.is_empty() {
            *durable = jobs;
        } else {
            durable.extend(jobs);
        }
        drop(durable);
        self.more.notify_one();
    }

    fn fatal(&self, error: AreaError) {
        end_process(&self.alias, &error);
    }
}

/// Hands over some jobs, and goes on when what followed is on its way: so the first answers leave while those behind them
/// are made, and before the hands that made them take their turns.
async fn hand_over(membership: &Membership, jobs: impl Iterator<Item = Committed>) {
    let Some(active) = membership.active() else { return };
    let mut calling = Vec::new();
    let mut serving = Vec::with_capacity(JOBS_AT_ONCE);
    for job in jobs {
        match job.token {
            Token::Row(_)
            | Token::Block(_)
            | Token::CallOn(_)
            | Token::Course(_)
            | Token::Undoing(_)
            | Token::Cancelled(_)
            | Token::Closed { .. } => serving.push(job),
            Token::Outbox(_) => calling.push(job),
            Token::Other(number) => membership.done(number, job.outcome),
        }
    }
    let side = active.serving.as_ref().filter(|_| !serving.is_empty());
    if let Some(side) = side {
        side.committed(serving);
    }
    if !calling.is_empty() {
        active.calling.committed(calling);
    }
    let_messages_leave().await;
    if let Some(side) = side {
        side.resume();
    }
}

/// Ends the process because its stable area can't be trusted to it any more. Nothing is committed or answered
/// after this; the backup reads what is durable. The FTM learns the reason from a file and the exit code: there is no
/// time to tell it over a link.
pub(crate) fn end_process(alias: &str, error: &AreaError) -> ! {
    let code = if matches!(error, AreaError::Fenced { .. }) { EXIT_FENCED } else { EXIT_STABLE_AREA };
    tracing::error!(%alias, %error, code, "this process ends itself");
    last_words::say(&error.to_string());
    std::process::exit(code)
}
