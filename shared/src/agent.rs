//! The part of the library that talks to the FTM: heartbeats, orders, the table, inspection, events.

use std::os::unix::fs::MetadataExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use palib_core::ids::AliasId;
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::announced::connect_ftm;
use crate::control::{FromFtm, TakeoverTiming, ToFtm};
use crate::defect::{Armed, Point};
use crate::inspect;
use crate::process::Shared;
use crate::transport::Link;
use crate::wire::Frame;

/// How long the agent waits before it tries to reach the FTM again.
const RETRY: Duration = Duration::from_millis(50);
/// An FTM that is reached answers a process that joins at once. Else what was said was lost, with the way to the FTM, and
/// QUIC would say it again ever more seldom.
const WELCOME_WITHIN: Duration = Duration::from_secs(2);

/// Keeps the process in touch with its FTM until it is told to end. While no FTM can be reached, calls go on over
/// the hints (R40).
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut silent = false;
    while !*shared.ended.borrow() {
        match connect(&shared).await {
            Ok((link, announced)) => {
                silent = false;
                *shared.ftm.lock() = Some(link.clone());
                session(&shared, &link, announced).await;
                *shared.ftm.lock() = None;
            }
            Err(reason) if !silent => {
                tracing::warn!(reason, "the FTM can't be reached; calls go on, and it is tried again");
                silent = true;
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}

/// Which announcement of an FTM lies in the address file: each FTM that starts writes a new one.
fn announcement(shared: &Shared) -> Option<(u64, i64)> {
    let file = std::fs::metadata(&shared.ticket.ftm_address_file).ok()?;
    Some((file.ino(), file.mtime_nsec()))
}

async fn connect(shared: &Shared) -> Result<(Link, Option<(u64, i64)>), String> {
    let announced = announcement(shared);
    let link = connect_ftm(&shared.endpoint, &shared.ticket.ftm_address_file).await?;
    // Not before recovery is done: who says that it is in service gets the mark (R10).
    let in_service = shared.memberships.iter().filter_map(|membership| {
        membership.in_service().map(|active| (membership.alias.0, active.incarnation.0))
    });
    let join = ToFtm::Join {
        process_id: shared.ticket.process_id,
        pid: std::process::id(),
        address: shared.endpoint.local_address().map_err(|error| error.to_string())?,
        in_service: in_service.collect(),
    };
    link.send_control(&join).map_err(|error| error.to_string())?;
    Ok((link, announced))
}

async fn session(shared: &Arc<Shared>, link: &Link, announced: Option<(u64, i64)>) {
    let heart = Arc::new(Heart { beating: AtomicBool::new(false), seq: AtomicU64::new(0) });
    let mut beat = interval(Duration::from_millis(shared.ticket.heartbeat_ms.max(10)));
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut frames = Vec::new();
    let welcome = sleep(WELCOME_WITHIN);
    tokio::pin!(welcome);
    let mut welcomed = false;
    loop {
        tokio::select! {
            () = &mut welcome, if !welcomed => {
                link.close("the FTM does not answer");
                return;
            }
            received = link.receive(&mut frames) => {
                if received.is_err() {
                    return;
                }
                welcomed = true;
                for frame in frames.drain(..) {
                    if let Frame::Control(bytes) = frame {
                        match serde_json::from_slice(&bytes) {
                            Ok(order) => take(shared, link, order),
                            Err(error) => tracing::error!(%error, "an order of the FTM can't be read"),
                        }
                    }
                }
            }
            _ = beat.tick() => {
                // QUIC notices the death of an FTM only at its idle time-out; the next FTM wants to know sooner who lives.
                if announcement(shared) != announced {
                    link.close("another FTM has announced itself");
                    return;
                }
                shared.trace.sampler.relax(crate::clock::monotonic_ns());
                heart.clone().beat(shared, link);
            }
            () = shared.trace.more.notified() => send_events(shared, link),
        }
    }
}

fn send_events(shared: &Shared, link: &Link) {
    let events = shared.trace.take();
    if !events.is_empty() && link.send_control(&ToFtm::Events { events: events.clone() }).is_err() {
        shared.trace.put_back(events);
    }
}

/// One heartbeat at a time: the next waits until this one has passed through the core loop and all writers.
struct Heart {
    beating: AtomicBool,
    seq: AtomicU64,
}

impl Heart {
    fn beat(self: Arc<Self>, shared: &Arc<Shared>, link: &Link) {
        if self.beating.swap(true, Ordering::Relaxed) {
            return;
        }
        let (shared, link) = (shared.clone(), link.clone());
        tokio::spawn(async move {
            for membership in &shared.memberships {
                membership.ping().await;
            }
            let seq = self.seq.fetch_add(1, Ordering::Relaxed);
            let _ = link.send_control(&ToFtm::Heartbeat { seq, stats: shared.stats() });
            self.beating.store(false, Ordering::Relaxed);
        });
    }
}

fn take(shared: &Arc<Shared>, link: &Link, order: FromFtm) {
    match order {
        FromFtm::Table(change) => shared.table_changed(&change),
        FromFtm::Promote { alias, incarnation, trans_base } => {
            tokio::spawn(promote(shared.clone(), link.clone(), alias, incarnation, trans_base));
        }
        FromFtm::Query { query, body } => {
            let (shared, link) = (shared.clone(), link.clone());
            tokio::spawn(async move {
                let answer = inspect::answer(&shared, body).await.map_err(|error| error.to_string());
                let _ = link.send_control(&ToFtm::Answer { query, answer });
            });
        }
        FromFtm::Arm { id, alias, point, nth, pause } => match Point::find(&point) {
            Some(point) => shared.points.arm(Armed { id, alias: AliasId(alias), point, nth, pause }),
            None => tracing::error!(point, "this version of the library has no such defect point"),
        },
        FromFtm::Disarm { id } => shared.points.disarm(&id),
        FromFtm::Faults(faults) => shared.set_faults(faults),
        FromFtm::Exit { reason } => {
            tracing::info!(reason, "told to end");
            let (shared, link) = (shared.clone(), link.clone());
            tokio::spawn(async move {
                let _ = link.send_control(&ToFtm::Leaving { reason });
                shared.shut_down().await;
            });
        }
    }
}

async fn promote(shared: Arc<Shared>, link: Link, alias: u32, incarnation: u64, trans_base: u64) {
    let membership = shared.memberships.iter().find(|membership| membership.alias.0 == alias);
    let Some(membership) = membership.cloned() else {
        let reason = "this process is no member of the alias".to_owned();
        let _ = link.send_control(&ToFtm::PromotionFailed { alias, incarnation, reason });
        return;
    };
    // The order comes again when the FTM can't know that it was heard, and then means the same.
    if !membership.begin_promotion(incarnation) {
        if membership.in_service().is_some_and(|active| active.incarnation.0 == incarnation) {
            let timing = TakeoverTiming::default();
            let _ = link.send_control(&ToFtm::Promoted { alias, incarnation, timing });
        }
        return;
    }
    let promoted = membership.promote(&shared, palib_core::ids::Incarnation(incarnation), trans_base).await;
    let answer = match promoted {
        Ok(timing) => {
            shared.points.pass(membership.alias, Point::BeforePromoted);
            tracing::info!(alias = %membership.ticket.alias, incarnation, "in service");
            ToFtm::Promoted { alias, incarnation, timing }
        }
        Err(error) => {
            tracing::error!(alias = %membership.ticket.alias, incarnation, %error, "the promotion failed");
            ToFtm::PromotionFailed { alias, incarnation, reason: error.to_string() }
        }
    };
    // The link may have been opened anew meanwhile.
    if link.send_control(&answer).is_err() {
        shared.tell_ftm(&answer);
    }
    if matches!(answer, ToFtm::Promoted { .. }) {
        shared.points.pass(membership.alias, Point::AfterPromoted);
    }
    if matches!(answer, ToFtm::PromotionFailed { .. }) && membership.active().is_some() {
        // It holds the stable area open, so nobody else could take over: let go of it, and start anew.
        shared.shut_down().await;
    }
}
