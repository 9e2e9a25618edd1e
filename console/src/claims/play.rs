//! Plays scenes on a cluster, and writes down what was seen.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::script::{Deed, Scene, Step, Watched, What};
use super::sight::{Bound, Sight, Source, look};
use super::sources;
use crate::run::one_call::{self, CallError, CallReport};
use crate::run::{RunError, Stage, action};

/// How long it may take until all that a step must show is seen.
const STEP_WITHIN: Duration = Duration::from_secs(20);
/// What is not told by an event is looked at so often.
const LOOK: Duration = Duration::from_millis(25);
/// How long a call of the script may take.
const CALL_WITHIN: Duration = Duration::from_secs(15);

/// What came of something that had to be seen.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// The number of the scene.
    pub(super) scene: usize,
    /// What was done just before.
    pub(super) done: String,
    /// What had to be seen, and for which claims it speaks.
    pub(super) watched: Watched,
    /// What was seen, or what was there instead.
    pub(super) found: Result<String, String>,
}

/// A cluster on which scenes are played.
pub(super) struct Player {
    pub(super) stage: Stage,
    /// Events since the scene began.
    events: Vec<Value>,
    calls: BTreeMap<String, MadeCall>,
    bound: Bound,
}

/// A call of the script.
struct MadeCall {
    alias: String,
    payload: String,
    /// Its row, once it has ended.
    row: Option<Value>,
    /// Its task, while it is under way.
    task: Option<JoinHandle<Result<CallReport, CallError>>>,
}

impl Player {
    pub(super) fn new(stage: Stage) -> Self {
        Self { stage, events: Vec::new(), calls: BTreeMap::new(), bound: Bound::new() }
    }

    /// Plays a scene. After a step that went wrong the rest of it would only repeat that.
    pub(super) async fn scene(&mut self, number: usize, scene: &Scene) -> Result<Vec<Seen>, RunError> {
        self.events.clear();
        self.bound.clear();
        self.calls.clear();
        let mut seen = Vec::new();
        let mut wrong = None;
        for step in &scene.steps {
            let did = step.does.as_ref().map_or("nothing".to_owned(), |deed| deed.text.clone());
            let found = match &wrong {
                None => self.step(step).await?,
                Some(before) => vec![Err(format!("not played: {before} went wrong")); step.see.len()],
            };
            if wrong.is_none() && found.iter().any(Result::is_err) {
                wrong = Some(format!("`{did}`"));
            }
            seen.extend(step.see.iter().zip(found).map(|(watched, found)| Seen {
                scene: number,
                done: did.clone(),
                watched: watched.clone(),
                found,
            }));
        }
        Ok(seen)
    }

    async fn step(&mut self, step: &Step) -> Result<Vec<Result<String, String>>, RunError> {
        let before = |watched: &Watched| match &watched.sight {
            Sight::Expected(expected) => expected.before(&self.stage.world),
            Sight::Rows { .. } => None,
        };
        let before: Vec<Option<u64>> = step.see.iter().map(before).collect();
        if let Some(deed) = &step.does
            && let Err(refused) = self.perform(deed).await?
        {
            return Ok(vec![Err(format!("`{}` failed: {refused}", deed.text)); step.see.len().max(1)]);
        }
        let acted_ns = palib::clock::monotonic_ns();
        let until = Instant::now() + STEP_WITHIN;
        loop {
            let (found, bound) = self.look(step, &before, acted_ns).await?;
            let all = found.iter().all(Result::is_ok);
            if all || Instant::now() >= until {
                self.bound = bound;
                return Ok(found);
            }
            self.watch(LOOK).await?;
        }
    }

    /// Takes in what happens, for a while.
    async fn watch(&mut self, span: Duration) -> Result<(), RunError> {
        if let Ok(events) = timeout(span, self.stage.next()).await {
            self.events.extend(events?.iter().filter_map(|event| serde_json::to_value(event).ok()));
        }
        Ok(())
    }

    /// Takes in what happens while something is done.
    async fn meanwhile<T>(&mut self, work: impl Future<Output = T>) -> Result<T, RunError> {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                watched = self.watch(LOOK) => watched?,
            }
        }
    }

    async fn look(
        &self,
        step: &Step,
        before: &[Option<u64>],
        acted_ns: u64,
    ) -> Result<(Vec<Result<String, String>>, Bound), RunError> {
        let mut bound = self.bound.clone();
        let mut found = Vec::new();
        for (watched, before) in step.see.iter().zip(before) {
            found.push(match &watched.sight {
                Sight::Expected(expected) => {
                    let world = &self.stage.world;
                    let now = format!("{} (expected {expected})", expected.found(world, acted_ns));
                    if expected.holds(world, *before, acted_ns) { Ok(now) } else { Err(now) }
                }
                Sight::Rows { source, of, none, conditions } => {
                    let rows = self.rows(*source, of).await?;
                    look(conditions, *none, &rows, &mut bound)
                }
            });
        }
        Ok((found, bound))
    }

    async fn rows(&self, source: Source, of: &str) -> Result<Vec<Value>, RunError> {
        match source {
            Source::Call => Ok(self.calls.values().filter_map(|call| call.row.clone()).collect()),
            Source::Event => Ok(self.events.clone()),
            _ => sources::rows(&self.stage, source, of).await,
        }
    }

    /// Does what a step says. The inner error is a refusal, in words.
    async fn perform(&mut self, deed: &Deed) -> Result<Result<(), String>, RunError> {
        match &deed.what {
            What::Call { alias, payload, name } => {
                self.start(name, alias, payload, None);
                self.finish(name).await
            }
            What::Start { alias, payload, name } => {
                self.start(name, alias, payload, None);
                Ok(Ok(()))
            }
            What::Finish(name) => self.finish(name).await,
            What::LetGo(name) => {
                let task = self.calls.get_mut(name).and_then(|call| call.task.take());
                task.inspect(JoinHandle::abort);
                Ok(Ok(()))
            }
            What::Again { name, new } => {
                let Some(first) = self.calls.get(name) else { return Ok(Err(format!("no call {name}"))) };
                let (alias, payload) = (first.alias.clone(), first.payload.clone());
                // Of a call that nobody waited for, a sight has bound the id.
                let known = first.row.as_ref().and_then(|row| row["id"].as_str()).map(str::to_owned);
                let Some(id) = known.or_else(|| self.bound.get(name).cloned()) else {
                    return Ok(Err(format!("the id of {name} is not known")));
                };
                self.start(new, &alias, &payload, Some(id));
                self.finish(new).await
            }
            What::Tour(action) => {
                let client = self.stage.client().clone();
                Ok(self.meanwhile(action::perform(&client, action)).await?.map(|_| ()))
            }
        }
    }

    fn start(&mut self, name: &str, alias: &str, payload: &str, id: Option<String>) {
        let (client, of, body) = (self.stage.client().clone(), alias.to_owned(), payload.to_owned());
        let task = tokio::spawn(async move {
            one_call::call(&client, &of, Bytes::from(body), id.as_deref(), CALL_WITHIN).await
        });
        let (alias, payload) = (alias.to_owned(), payload.to_owned());
        self.calls.insert(name.to_owned(), MadeCall { alias, payload, row: None, task: Some(task) });
    }

    /// Waits for a call, and takes in what happens meanwhile.
    async fn finish(&mut self, name: &str) -> Result<Result<(), String>, RunError> {
        let Some(task) = self.calls.get_mut(name).and_then(|call| call.task.take()) else {
            return Ok(Err(format!("no call {name} is under way")));
        };
        let report = match self.meanwhile(task).await? {
            Ok(Ok(report)) => report,
            Ok(Err(error)) => return Ok(Err(error.to_string())),
            Err(error) => return Ok(Err(error.to_string())),
        };
        let (Ok(body) | Err(body)) = &report.outcome;
        let row = json!({
            "name": name, "id": report.id, "answer": String::from_utf8_lossy(body), "failed": report.outcome.is_err(),
            "redundant": report.redundant, "sent": report.sent, "us": report.took.as_micros() as u64,
        });
        self.bound.insert(format!("{name}.id"), report.id.clone());
        self.bound.insert(format!("{name}.answer"), String::from_utf8_lossy(body).into_owned());
        self.calls.entry(name.to_owned()).and_modify(|call| call.row = Some(row));
        Ok(Ok(()))
    }
}
