//! Where a stable area tells what became durable, and what ends the process.

use std::sync::Arc;

use crate::membership::Membership;
use crate::stable::{AreaError, Committed, Sink, Token};

/// The exit code of a process that was fenced: another member is in service.
pub const EXIT_FENCED: i32 = 70;
/// The exit code of a process whose stable area failed.
pub const EXIT_STABLE_AREA: i32 = 74;

/// Hands what became durable to the side that asked for it.
pub(crate) struct AreaSink {
    pub(crate) membership: Arc<Membership>,
}

impl Sink for AreaSink {
    fn committed(&self, jobs: Vec<Committed>) {
        let Some(active) = self.membership.active() else { return };
        let mut calling = Vec::new();
        let mut serving = Vec::with_capacity(jobs.len());
        for job in jobs {
            match job.token {
                Token::Row(_) | Token::Block(_) => serving.push(job),
                Token::Outbox(_) => calling.push(job),
                Token::Other(number) => self.membership.done(number, job.outcome),
            }
        }
        if let (false, Some(side)) = (serving.is_empty(), &active.serving) {
            side.committed(serving);
        }
        if !calling.is_empty() {
            active.calling.committed(calling);
        }
    }

    fn fatal(&self, error: AreaError) {
        end_process(&self.membership.ticket.alias, &error);
    }
}

/// Ends the process because its stable area can't be trusted to it any more. Nothing is committed or answered
/// after this; the backup reads what is durable. The FTM learns the reason from the log and the exit code: there
/// is no time to tell it over a link.
pub(crate) fn end_process(alias: &str, error: &AreaError) -> ! {
    let code = if matches!(error, AreaError::Fenced { .. }) { EXIT_FENCED } else { EXIT_STABLE_AREA };
    tracing::error!(%alias, %error, code, "this process ends itself");
    std::process::exit(code)
}
