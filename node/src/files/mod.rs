//! The patent's own example: a service that creates and deletes real files. Its effect lies outside the stable area, so
//! it notifies its roll-forward point before the effect, registers the outcome after it, and says in between what
//! has become of a call whose executor died (patent, Figs 10 and 13).
//!
//! `create NAME` and `delete NAME` answer `true`, or `false` where there was nothing to do.

mod playground;

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use palib::control::{JoinTicket, TicketAlias};
use palib::{
    Area, AreaTxn, Call, EXIT_STABLE_AREA, Error, InDoubt, Recovery, RedProcess, Reply, Result, Service,
};
use serde_json::json;
use tokio::sync::{Mutex, OnceCell};

use crate::NodeError;
use crate::effects::{Effects, add_effect, effects_key_of};
use crate::options::{Options, state_folder, time};

use playground::{Ended, Leftovers, Operation, Playground};

/// The redundant-message handler of `create`: it answers what was stored with the call.
const CREATED: u16 = 0;
/// Calls on files of one name go one after another; so many names may be worked on at once.
const LOCKS: usize = 64;

/// The service.
pub(crate) struct Files {
    playground: Arc<Playground>,
    leftovers: OnceCell<Leftovers>,
    locks: Vec<Mutex<()>>,
    effects: Effects,
    /// How long to wait between effect and outcome, in milliseconds; 0 but for demonstrations and tests.
    pause_ms: AtomicU64,
}

impl Files {
    pub(crate) fn new(ticket: &JoinTicket, alias: &TicketAlias) -> Result<Self, NodeError> {
        let options = Options::of(alias);
        options.only(&["folder", "pause_after_effect"])?;
        let folder = options.text("folder")?.map(Into::into);
        let folder = folder.unwrap_or_else(|| state_folder(ticket).join("files").join(&alias.alias));
        let pause = options.time("pause_after_effect")?.unwrap_or_default();
        Ok(Self {
            playground: Arc::new(Playground::open(folder)?),
            leftovers: OnceCell::new(),
            locks: (0..LOCKS).map(|_| Mutex::new(())).collect(),
            effects: Effects::default(),
            pause_ms: AtomicU64::new(pause.as_millis() as u64),
        })
    }

    fn lock(&self, name: &str) -> &Mutex<()> {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(name);
        &self.locks[(hash % LOCKS as u64) as usize]
    }

    /// Has the effect. Only after the roll-forward point is stable.
    async fn perform(&self, operation: &Operation) -> Result<bool> {
        let stale = self.leftovers.get_or_init(|| self.find_leftovers()).await.take(&operation.name);
        let (playground, operation) = (self.playground.clone(), operation.clone());
        let ended = tokio::task::spawn_blocking(move || {
            playground.discard(&stale);
            playground.perform(&operation)
        });
        match ended.await {
            Ok(Ended::Done(done)) => Ok(done),
            Ok(Ended::Refused(reason)) => Err(Error::failed(reason)),
            Ok(Ended::Unknown(reason)) => give_up(&reason),
            Err(panic) => give_up(&panic.to_string()),
        }
    }

    async fn find_leftovers(&self) -> Leftovers {
        let playground = self.playground.clone();
        tokio::task::spawn_blocking(move || playground.leftovers()).await.unwrap_or_default()
    }

    async fn pause(&self) {
        let pause = self.pause_ms.load(Ordering::Relaxed);
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
}

impl Service for Files {
    async fn handle(&self, call: Call) -> Result<Reply> {
        let operation = Operation::parse(call.text()?, call.id_text())?;
        // Held until the outcome is registered: so of one name at most one call is ever in doubt, and what the
        // folder shows of that name is this call's doing or not at all.
        let _turn = self.lock(&operation.name).lock().await;
        call.block_request().await?;
        let done = self.perform(&operation).await?;
        self.pause().await;
        let reply = Reply::from(if done { "true" } else { "false" });
        if operation.creates {
            let red = RedProcess::Handler { index: CREATED, arg: reply.bytes().clone() };
            call.set_red_process(red).await?;
        } else {
            call.set_red_process(RedProcess::AutoReply(reply.clone())).await?;
            let playground = self.playground.clone();
            tokio::task::spawn_blocking(move || playground.forget(&operation));
        }
        Ok(reply)
    }

    async fn recover(&self, call: InDoubt, _area: Area) -> Recovery {
        let text = std::str::from_utf8(&call.body).ok();
        let Some(operation) = text.and_then(|text| Operation::parse(text, call.id_text.clone()).ok()) else {
            return Recovery::Unknown;
        };
        let playground = self.playground.clone();
        match tokio::task::spawn_blocking(move || playground.was_done(&operation)).await {
            Ok(Ok(true)) => Recovery::Completed(Ok(Reply::from("true"))),
            // Nothing has changed, so it may be run: an answer of false, had there been one, was never sent.
            Ok(Ok(false)) => Recovery::NotExecuted,
            Ok(Err(error)) => {
                tracing::error!(call = %call.id_text, %error, "can't tell whether this call was executed");
                Recovery::Unknown
            }
            Err(_) => Recovery::Unknown,
        }
    }

    async fn redundant(&self, index: u16, arg: Bytes, _call: Call) -> Result<Reply> {
        match index {
            CREATED => Ok(Reply::from(arg)),
            other => Err(Error::failed(format!("this service has no redundant-message handler {other}"))),
        }
    }

    fn registered(&self, area: &mut AreaTxn<'_>, source: &str) -> Result<()> {
        add_effect(area, effects_key_of(source)).map(drop)
    }

    fn promoted(&self, area: &Area) -> Result<()> {
        self.effects.promoted(area);
        Ok(())
    }

    /// `pause 300ms` waits so long between effect and outcome from now on, `pause 0s` no more.
    fn command(&self, _area: &Area, command: &str) -> Result<String> {
        let pause = command.strip_prefix("pause ").and_then(|text| time(&json!(text.trim())));
        let pause = pause.ok_or_else(|| Error::failed("this service knows `pause 300ms` and `pause 0s`"))?;
        self.pause_ms.store(pause.as_millis() as u64, Ordering::Relaxed);
        Ok(format!("waits {} ms between effect and outcome", pause.as_millis()))
    }

    fn counters(&self) -> Vec<(&'static str, u64)> {
        self.effects.read()
    }
}

/// Nobody here can tell what became of the effect: the next member reads it from the folder.
fn give_up(reason: &str) -> ! {
    tracing::error!(
        reason,
        "an effect is in doubt; this process ends so that its backup decides from the folder"
    );
    std::process::exit(EXIT_STABLE_AREA)
}
