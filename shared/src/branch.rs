//! Calls on behalf of a call, and the positions they are made at.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use palib_core::ids::CallId;
use palib_core::relay::{BRANCH_DEPTH_MAX, Given, Position};
use palib_core::resend::Rejection;

use crate::call::CallHome;
use crate::error::rejection_text;
use crate::limits::{BODY_BYTES_MAX, RELAY_WAIT_MAX};
use crate::service::result_of;
use crate::{Error, Reply, Result, refusal_text};

/// While all places for calls are taken, one is asked for again after so long.
const ASK_AGAIN_AFTER: Duration = Duration::from_millis(20);

/// A part of a handler that calls on by itself. Several that run at once may each make several calls: each numbers its
/// own, so that every run of the handler makes the same call at the same position, however they interleave.
pub struct Branch {
    pub(crate) home: Arc<dyn CallHome>,
    pub(crate) run: Run,
    /// Where it lies.
    at: Vec<u16>,
    /// The last place that was taken in it.
    last: AtomicU16,
}

/// One execution of a call. A transaction of a relay that is decided about from outside (it was rolled back, or an operator
/// has it run again) may see the next one begin while this one has not noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// The call.
    pub(crate) id: CallId,
    /// Counts the executions of all calls in this process.
    pub(crate) number: u64,
}

impl Branch {
    /// The handler itself.
    pub(crate) fn root(home: Arc<dyn CallHome>, run: Run) -> Self {
        Self { home, run, at: Vec::new(), last: AtomicU16::new(0) }
    }

    /// Calls on, on behalf of the call that is served; as [`Call::relay`](crate::Call::relay) does, numbered in this
    /// branch.
    ///
    /// # Errors
    /// As those of [`Call::relay`](crate::Call::relay).
    pub fn relay<B: Into<Bytes>>(
        &self,
        target: &str,
        body: B,
    ) -> impl Future<Output = Result<Reply>> + Send + use<B> {
        let (home, run, target, body) = (self.home.clone(), self.run, target.to_owned(), body.into());
        let position = self.next();
        async move { call_on(home.as_ref(), run, position?, &target, body).await }
    }

    /// A branch below this one. It takes one position here.
    #[must_use]
    pub fn branch(&self) -> Self {
        let at = self.place();
        Self { home: self.home.clone(), run: self.run, at, last: AtomicU16::new(0) }
    }

    /// The next place here. Places are counted from 1, and one past the last stays there: no call is made at it.
    fn place(&self) -> Vec<u16> {
        let step = |last: u16| Some(last.saturating_add(1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step);
        let mut at = self.at.clone();
        at.push(last.unwrap_or(u16::MAX).saturating_add(1));
        at
    }

    fn next(&self) -> Result<Position> {
        let at = self.place();
        if at.len() > BRANCH_DEPTH_MAX {
            return Err(Error::failed(format!(
                "branches lie at most {BRANCH_DEPTH_MAX} deep in one another"
            )));
        }
        if at.contains(&u16::MAX) {
            return Err(Error::failed("a handler or branch makes at most 65534 calls"));
        }
        Ok(Position(at))
    }
}

/// Calls on. While all places for calls are taken, this waits for one.
async fn called_on(
    home: &dyn CallHome,
    run: Run,
    position: &Position,
    target: &str,
    body: &Bytes,
) -> Result<Given<Bytes>> {
    let waited = Instant::now();
    loop {
        let given = home.call_on(run, position, target, body.clone())?.await.unwrap_or(Given::Over);
        let full = matches!(given, Given::Rejected(Rejection::WindowFull));
        if !full || waited.elapsed() >= RELAY_WAIT_MAX {
            return Ok(given);
        }
        tokio::time::sleep(ASK_AGAIN_AFTER).await;
    }
}

/// A body, if it is not too long.
pub(crate) fn within_limit(body: Bytes) -> Result<Bytes> {
    if body.len() > BODY_BYTES_MAX {
        return Err(Error::BodyTooLarge { bytes: body.len(), max: BODY_BYTES_MAX });
    }
    Ok(body)
}

async fn call_on(
    home: &dyn CallHome,
    run: Run,
    position: Position,
    target: &str,
    body: Bytes,
) -> Result<Reply> {
    let body = within_limit(body)?;
    let given = called_on(home, run, &position, target, &body).await?;
    let here = || format!("{}, call {position} to {target}", home.id_text(run.id));
    match given {
        Given::Answer { outcome, .. } => result_of(outcome).map_err(Error::Failed),
        Given::Refused(refusal) => {
            Err(Error::failed(format!("{}: refused: {}", here(), refusal_text(refusal))))
        }
        Given::Rejected(reason) => {
            Err(Error::failed(format!("{}: not made: {}", here(), rejection_text(reason))))
        }
        Given::Diverged { position, journal, asked } => {
            let held = home.message_text(&journal);
            let asked =
                asked.map_or("nothing".to_owned(), |asked| format!("`{}`", home.message_text(&asked)));
            Err(Error::failed(format!(
                "{}: this run asked {asked} at position {position}, where its journal holds `{held}`; the call is held \
                 until an operator decides",
                here()
            )))
        }
        Given::Over => {
            Err(Error::failed(format!("{}: the call that is served is over, or is being undone", here())))
        }
    }
}
