//! One membership of this process: its alias, whether it is in service, and what happens at its promotion.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use bytes::Bytes;
use palib_core::ids::{AliasId, IdForm, Incarnation, PortId};
use palib_core::message::Outcome;
use palib_core::resend::Pending;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};

use crate::calling::CallSide;
use crate::control::{AliasStats, TakeoverTiming, TicketAlias};
use crate::defect::{DiskFaults, Point};
use crate::latency::Latency;
use crate::process::Shared;
use crate::serving::{Found, Promotion, Serving};
use crate::sink::AreaSink;
use crate::stable::{AreaWrite, AtomicClosure, Job, Token, open_area};
use crate::{Area, Error, Result};

/// Makes the server side at the promotion, when its area is open.
pub(crate) type Factory = Box<dyn FnOnce(Promotion) -> Arc<dyn Serving> + Send>;

/// Answers the commands to an alias that only calls.
#[derive(Clone)]
pub(crate) struct Commands {
    #[allow(clippy::type_complexity)]
    pub(crate) run: Arc<dyn Fn(String) -> Pin<Box<dyn Future<Output = Result<String>> + Send>> + Send + Sync>,
}

type Counters = Arc<dyn Fn() -> Vec<(&'static str, u64)> + Send + Sync>;

/// One membership.
pub(crate) struct Membership {
    pub(crate) ticket: TicketAlias,
    pub(crate) alias: AliasId,
    /// The disk below its stable area.
    pub(crate) disk: Arc<DiskFaults>,
    port: PortId,
    factory: Mutex<Option<Factory>>,
    /// Whether the user has said what this process does for the alias; the promotion waits for that.
    declared: watch::Sender<bool>,
    active: OnceLock<Active>,
    /// The highest incarnation this process was told to take over in.
    promoting: AtomicU64,
    in_service: watch::Sender<bool>,
    commands: Mutex<Option<Commands>>,
    counters: RwLock<Option<Counters>>,
    /// How long calls took that were made here.
    pub(crate) latency: Latency,
    waiting: Mutex<HashMap<u64, oneshot::Sender<Option<Outcome<Bytes>>>>>,
    numbers: AtomicU64,
}

/// What a membership has once this process is in service for it.
pub(crate) struct Active {
    pub(crate) incarnation: Incarnation,
    pub(crate) area: Area,
    pub(crate) calling: Arc<CallSide>,
    pub(crate) serving: Option<Arc<dyn Serving>>,
}

impl Membership {
    pub(crate) fn new(ticket: TicketAlias, disk: DiskFaults) -> Self {
        Self {
            disk: Arc::new(disk),
            alias: AliasId(ticket.alias_id),
            port: PortId(ticket.port),
            ticket,
            factory: Mutex::new(None),
            declared: watch::Sender::new(false),
            active: OnceLock::new(),
            promoting: AtomicU64::new(0),
            in_service: watch::Sender::new(false),
            commands: Mutex::new(None),
            counters: RwLock::new(None),
            latency: Latency::default(),
            waiting: Mutex::new(HashMap::new()),
            numbers: AtomicU64::new(1),
        }
    }

    pub(crate) fn active(&self) -> Option<&Active> {
        self.active.get()
    }

    /// What this process has if it is in service, its recovery done.
    pub(crate) fn in_service(&self) -> Option<&Active> {
        self.active().filter(|_| *self.in_service.borrow())
    }

    /// Whether an order to take over in this incarnation is new.
    pub(crate) fn begin_promotion(&self, incarnation: u64) -> bool {
        self.promoting.fetch_max(incarnation, Ordering::Relaxed) < incarnation
    }

    /// This process serves the alias with what the factory makes.
    pub(crate) fn declare_service(&self, factory: Factory) {
        *self.factory.lock() = Some(factory);
        self.declared.send_replace(true);
    }

    /// This process calls for the alias; it may serve it, too, if that was said before.
    pub(crate) fn declare_client(&self) {
        self.declared.send_replace(true);
    }

    /// Waits until this process is in service for the alias.
    pub(crate) async fn until_in_service(&self) {
        // The sender lives in `self`, so the wait can't fail.
        let _ = self.in_service.subscribe().wait_for(|in_service| *in_service).await;
    }

    /// Opens the stable area and recovers. When this returns, the mark of service may move here (R10).
    pub(crate) async fn promote(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        incarnation: Incarnation,
        trans_base: u64,
    ) -> Result<TakeoverTiming> {
        let _ = self.declared.subscribe().wait_for(|declared| *declared).await;
        let start = Instant::now();
        let sink = AreaSink::start(self.clone());
        let (folder, alias, id) = (shared.ticket.areas.clone(), self.ticket.alias.clone(), self.alias);
        let disk = self.disk.clone();
        shared.points.pass(self.alias, Point::BeforeOpen);
        let opening = tokio::task::spawn_blocking(move || {
            let store = open_area(&folder, &alias, id, incarnation, sink, Some(disk))?;
            let found = Found { blocked: store.blocked()?, journal: store.journal()? };
            let outbox = store.outbox()?;
            Ok::<_, Error>((store, found, outbox))
        });
        let (store, found, outbox) = opening.await.map_err(|_| Error::Ended)??;
        shared.points.pass(self.alias, Point::AfterOpen);
        let opened = Instant::now();
        let area = Area { store };
        let form = if self.ticket.id_by_port { IdForm::SourcePort } else { IdForm::Incarnation };
        let name = self.ticket.alias.clone();
        let calling = CallSide::new(
            self.alias,
            name,
            form,
            self.ticket.outbox,
            incarnation,
            area.clone(),
            shared.clone(),
        );
        let promotion = Promotion {
            shared: shared.clone(),
            incarnation,
            area: area.clone(),
            calling: calling.clone(),
            on_takeover: self.ticket.on_takeover,
        };
        let serving = self.factory.lock().take().map(|make| make(promotion));
        let active = Active { incarnation, area, calling, serving };
        if self.active.set(active).is_err() {
            return Err(Error::failed("this process is in service for the alias already"));
        }
        let active = self.active.get().ok_or(Error::Ended)?;
        shared.points.pass(self.alias, Point::BeforeRecover);
        self.begin(shared, active, self.trans_base(shared, trans_base), outbox, found).await?;
        shared.points.pass(self.alias, Point::AfterRecover);
        self.in_service.send_replace(true);
        Ok(TakeoverTiming {
            open_us: Some((opened - start).as_micros() as u64),
            recover_us: Some(opened.elapsed().as_micros() as u64),
            ..TakeoverTiming::default()
        })
    }

    /// Feeds both machines what was found, the caller first: the server lets it send what the journal holds. Neither
    /// sends anything before both know.
    async fn begin(
        &self,
        shared: &Shared,
        active: &Active,
        trans_base: u64,
        outbox: Vec<Pending<Bytes>>,
        found: Found,
    ) -> Result<()> {
        let held = found.journal.iter().map(|row| row.call.clone()).collect();
        active.calling.promote(self.port, trans_base, outbox, held);
        let Some(serving) = &active.serving else {
            active.calling.begin();
            return Ok(());
        };
        active.calling.serve_with(Arc::downgrade(serving));
        // What comes from now on is told by the table as it changes: this membership is active already.
        serving.aliases_gone(shared.directory.gone());
        let ready = serving.promote(found);
        active.calling.begin();
        ready.await.map_err(|_| Error::failed("the service refused its promotion"))
    }

    /// Where transIds start. With the scope of a process, the aliases of one process share its numbers, each
    /// taking a grant of its own, as two promotions never happen under one number.
    fn trans_base(&self, shared: &Shared, granted: u64) -> u64 {
        if self.ticket.trans_scope == "process" { shared.next_process_grant() } else { granted }
    }

    /// Passes through the writer of the stable area, if there is one.
    pub(crate) async fn ping(&self) {
        if let Some(active) = self.active() {
            let _ = self.submit(active, Vec::new()).await;
        }
    }

    /// Changes the service's own state in a transaction of its own.
    pub(crate) async fn commit(&self, run: AtomicClosure) -> Result<()> {
        let active = self.active().ok_or(Error::Ended)?;
        match self.submit(active, vec![AreaWrite::App(run)]).await {
            Ok(Some(Outcome::Failed(text))) => Err(Error::failed(String::from_utf8_lossy(&text))),
            Ok(_) => Ok(()),
            Err(_) => Err(Error::Ended),
        }
    }

    fn submit(&self, active: &Active, writes: Vec<AreaWrite>) -> oneshot::Receiver<Option<Outcome<Bytes>>> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        self.waiting.lock().insert(number, tell);
        let incarnation = active.incarnation;
        active.area.store.submit(Job { incarnation, writes, token: Token::Other(number) });
        told
    }

    /// A job of [`Self::submit`] is durable.
    pub(crate) fn done(&self, number: u64, outcome: Option<Outcome<Bytes>>) {
        if let Some(tell) = self.waiting.lock().remove(&number) {
            let _ = tell.send(outcome);
        }
    }

    pub(crate) fn set_commands(&self, commands: Commands) {
        *self.commands.lock() = Some(commands);
    }

    pub(crate) fn set_counters(&self, counters: Counters) {
        *self.counters.write() = Some(counters);
    }

    /// Runs a command of an operator: by the service, or by the client's handler.
    pub(crate) async fn command(&self, command: String) -> Result<String> {
        let active = self.active().ok_or_else(|| Error::failed("this member is not in service"))?;
        let handler = self.commands.lock().clone();
        match (handler, &active.serving) {
            (Some(handler), _) => (handler.run)(command).await,
            (None, Some(serving)) => {
                let serving = serving.clone();
                tokio::task::spawn_blocking(move || serving.command(&command))
                    .await
                    .map_err(|_| Error::Ended)?
            }
            (None, None) => Err(Error::failed("this process answers no commands for the alias")),
        }
    }

    /// What this membership measured.
    pub(crate) fn stats(&self) -> AliasStats {
        let latency_us = self.latency.read();
        let mut stats = AliasStats { alias: self.ticket.alias.clone(), latency_us, ..AliasStats::default() };
        if let Some(active) = self.active() {
            stats.in_service = *self.in_service.borrow();
            let area = active.area.store.commit_stats();
            stats.commits = area.commits;
            stats.commit_us_p50 = area.us_p50;
            stats.commit_us_p99 = area.us_p99;
            active.calling.stats(&mut stats);
            if let Some(serving) = &active.serving {
                serving.stats(&mut stats);
            }
        }
        let counters = self.counters.read().clone();
        for (name, value) in counters.map(|read| read()).unwrap_or_default() {
            stats.counters.insert(name.to_owned(), value);
        }
        stats
    }
}
