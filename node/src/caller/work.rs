//! The loops that call, and what is done with an outcome.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use palib::core::ids::CallId;
use palib::core::resend::Rejection;
use palib::{CallOptions, Client, Done, EXIT_STABLE_AREA, Error};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::counts::{Count, Counts, Names};
use super::history::{Entry, History};
use super::load::{Load, Plan};
use super::request::{Answer, Request, Service};
use crate::NodeError;

/// Where the order for load is kept.
pub(super) const LOAD: &str = "load";
/// After a call that could not be made.
const RETRY: Duration = Duration::from_millis(50);
/// Calls that were not made in time, because nobody answered, are not made up for beyond this.
const LAG_MAX: Duration = Duration::from_millis(50);

/// A caller in service.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) targets: Vec<(String, Service)>,
    history: Mutex<Option<History>>,
    pub(super) load: watch::Sender<Load>,
    /// An operator has the calls of the predecessor collected.
    pub(super) collect_now: Notify,
    /// How many calls were made so far, those of predecessors too: the number of the next one.
    made: AtomicU64,
    /// When the next call is due.
    due: Mutex<Instant>,
}

impl Caller {
    pub(super) fn new(client: Client, plan: Plan, history: Option<History>) -> Result<Self, NodeError> {
        let counts = Counts::read(client.area())?;
        let load = client.area().get::<Load>(LOAD)?.unwrap_or(plan.load);
        let names = Names::of(plan.targets.iter().map(|(name, _)| name.as_str()));
        let area = client.area().clone();
        client.counters(move || names.read(&area));
        Ok(Self {
            client,
            targets: plan.targets,
            history: Mutex::new(history),
            load: watch::Sender::new(load),
            collect_now: Notify::new(),
            made: AtomicU64::new(counts.issued),
            due: Mutex::new(Instant::now()),
        })
    }

    /// How many calls were made so far.
    pub(super) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }

    /// Makes the load that is ordered, whatever that is at the time.
    pub(super) async fn make_load(self: &Arc<Self>) -> Infallible {
        let mut orders = self.load.subscribe();
        let mut loops = 0;
        loop {
            let wanted = orders.borrow_and_update().callers;
            while loops < wanted {
                tokio::spawn(self.clone().call_again_and_again(loops));
                loops += 1;
            }
            if orders.changed().await.is_err() {
                return pending().await;
            }
        }
    }

    /// One call after another, as long as the order wants this many loops.
    async fn call_again_and_again(self: Arc<Self>, index: u64) {
        let mut orders = self.load.subscribe();
        loop {
            let load = orders.borrow_and_update().clone();
            let wanted = load.running && index < load.callers && load.left(self.made()) != Some(0);
            if !wanted {
                if orders.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if let Some(interval) = load.interval() {
                tokio::select! {
                    () = sleep_until(self.next_slot(interval)) => {}
                    _ = orders.changed() => continue,
                }
            }
            let Some(number) = self.reserve(&load) else { continue };
            if let Err(error) = self.call(number, &load).await {
                self.made.fetch_sub(1, Ordering::Relaxed);
                match error {
                    // A backup calls from now on; this process is told to end.
                    Error::Ended | Error::Rejected(Rejection::NotInService) => return,
                    error => tracing::warn!(%error, "a call could not be made; it is tried again"),
                }
                sleep(RETRY).await;
            }
        }
    }

    /// The next moment at which a call is due.
    fn next_slot(&self, interval: Duration) -> Instant {
        let now = Instant::now();
        let mut due = self.due.lock();
        let slot = (*due).max(now.checked_sub(LAG_MAX).unwrap_or(now));
        *due = slot + interval;
        slot
    }

    fn reserve(&self, load: &Load) -> Option<u64> {
        let next = |made| (load.left(made) != Some(0)).then_some(made + 1);
        self.made.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()
    }

    /// Makes a call and sees it to its end. An error means that it was not made.
    async fn call(self: &Arc<Self>, number: u64, load: &Load) -> Result<(), Error> {
        let (target, service) = &self.targets[(number % self.targets.len() as u64) as usize];
        let body = Request::chosen(*service, load.seed, number, load.keys).text();
        let mut options = CallOptions::default().also(Count::Issued.add(target));
        if let Some(deadline) = load.deadline() {
            options = options.deadline(deadline);
        }
        match self.client.call_with(target, body.clone(), options).await {
            Ok(done) => self.finish(target, &body, done).await,
            Err(Error::DeadlinePassed { id }) => {
                let (me, target) = (self.clone(), target.clone());
                tokio::spawn(async move { me.collect_late(&id, &target, &body).await });
            }
            Err(Error::Refused { id, refusal }) => {
                let error = Error::Refused { id: id.clone(), refusal };
                tracing::error!(%error, "a call of this load was refused for good");
                self.client.commit(Count::Failed.add(target)).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Waits for the outcome of a call that a predecessor made, or that was given up at its deadline.
    pub(super) async fn collect(&self, id: CallId, target: &str, body: &str) {
        match self.client.outcome(id, None).await {
            Ok(done) => self.finish(target, body, done).await,
            // This process ends, and its backup collects.
            Err(Error::Ended) => {}
            Err(error) => tracing::error!(%error, "a call of this caller can't be collected"),
        }
    }

    /// Its outcome is unknown, the history says so for now; then it is asked for again by its id (R29).
    async fn collect_late(&self, id: &str, target: &str, body: &str) {
        let known = self.client.pending().into_iter().find(|call| call.id_text == id);
        let Some(call) = known else {
            tracing::error!(id, "a call whose deadline has passed is not pending");
            return;
        };
        self.write(&Entry { id, target, body, invoke_ns: call.invoked_ns, ended: None });
        self.collect(call.id, target, body).await;
    }

    /// Writes the outcome down, and only then lets go of the call.
    async fn finish(&self, target: &str, body: &str, done: Done) {
        let result = done.result().map(|reply| Answer::of(&reply));
        let count = if result.is_ok() { Count::Acked } else { Count::Failed };
        let ended = Some((done.returned_ns(), result));
        self.write(&Entry { id: &done.id_text(), target, body, invoke_ns: done.invoked_ns(), ended });
        match done.consume(count.add(target)).await {
            // What is not durable now is collected again by the backup.
            Ok(()) | Err(Error::Ended) => {}
            Err(error) => tracing::error!(%error, "a call was not counted"),
        }
    }

    fn write(&self, entry: &Entry<'_>) {
        let written = self.history.lock().as_mut().map_or(Ok(()), |history| history.write(entry));
        if let Err(error) = written {
            // A call that is in no history must stay in the outbox, so nothing may run on here.
            tracing::error!(%error, "the history can't be written; this process ends, its backup asks again");
            std::process::exit(EXIT_STABLE_AREA);
        }
    }
}
