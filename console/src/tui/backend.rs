//! What the console needs from outside: a running cluster, files of dead areas, a way to start a demo.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use palib::control::OperatorAnswer;
use tokio::sync::mpsc::UnboundedSender;

use crate::cluster::Demo;
use crate::keeper::{self, Cluster, Start};
use crate::operator::OperatorClient;
use crate::run::action;
use crate::state::StateFolder;
use crate::sweep::{self, Matrix};
use crate::world::Tone;

use super::msg::{Cmd, Msg, Quit};

/// How long attaching waits for an FTM.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// Takes commands; answers with messages, in its own time.
pub(crate) trait Backend {
    /// Does a command that reaches beyond the terminal.
    fn perform(&mut self, command: Cmd);
    /// Ends: leaves the cluster up, or takes it down and waits until it is.
    fn close(self, quit: Quit) -> impl Future<Output = Result<Option<String>, String>>;
}

/// A cluster on this machine.
pub(crate) struct Live {
    parent: PathBuf,
    out: UnboundedSender<Msg>,
    client: Option<OperatorClient>,
    owned: Arc<parking_lot::Mutex<Option<Cluster>>>,
    /// Ends what listens to the cluster that is left.
    listening: Option<tokio::task::JoinHandle<()>>,
    /// Hands over a cluster once it was started.
    started: (UnboundedSender<OperatorClient>, tokio::sync::mpsc::UnboundedReceiver<OperatorClient>),
}

impl std::fmt::Debug for Live {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Live").field("parent", &self.parent).finish_non_exhaustive()
    }
}

impl Live {
    pub(crate) fn new(parent: PathBuf, out: UnboundedSender<Msg>) -> Live {
        let owned = Arc::default();
        let started = tokio::sync::mpsc::unbounded_channel();
        Live { parent, out, client: None, owned, listening: None, started }
    }

    /// Attaches to a running cluster.
    pub(crate) async fn attach(&mut self, folder: &StateFolder) -> Result<(), String> {
        let client =
            OperatorClient::connect(folder, CONNECT_WITHIN).await.map_err(|error| error.to_string())?;
        self.listen(client, false);
        Ok(())
    }

    /// Takes over a cluster that was just started.
    pub(crate) fn own(&mut self, cluster: Cluster) {
        let client = cluster.client().clone();
        *self.owned.lock() = Some(cluster);
        self.listen(client, true);
    }

    fn listen(&mut self, client: OperatorClient, owned: bool) {
        if let Some(before) = self.listening.take() {
            before.abort();
        }
        let cluster = client.folder().cluster();
        self.client = Some(client.clone());
        let out = self.out.clone();
        // Errors of sending mean that the console has ended; so does the task then.
        let _ = out.send(Msg::Attached { cluster, owned });
        self.listening = Some(tokio::spawn(async move {
            let mut events = client.subscribe(0);
            let mut reached = true;
            let mut look = tokio::time::interval(Duration::from_millis(200));
            loop {
                let msg = tokio::select! {
                    events = events.next() => match events {
                        Some(events) => Msg::Events(events),
                        None => {
                            let _ = out.send(Msg::Gone("it was stopped".into()));
                            return;
                        }
                    },
                    _ = look.tick() => {
                        if client.is_connected() == reached {
                            continue;
                        }
                        reached = !reached;
                        Msg::Reached(reached)
                    }
                };
                if out.send(msg).is_err() {
                    return;
                }
            }
        }));
    }

    fn spawn(&mut self, name: String) {
        let before = self.owned.lock().take();
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
        self.client = None;
        let (parent, out, owned) = (self.parent.clone(), self.out.clone(), self.owned.clone());
        let started = self.started.0.clone();
        tokio::spawn(async move {
            if let Some(before) = before
                && let Err(error) = before.shutdown().await
            {
                let _ = out.send(Msg::Note(Tone::Bad, error.to_string()));
                return;
            }
            match start(&parent, &name).await {
                Ok(cluster) => {
                    let client = cluster.client().clone();
                    *owned.lock() = Some(cluster);
                    let _ = started.send(client);
                }
                Err(error) => {
                    let _ = out.send(Msg::Note(Tone::Bad, error));
                }
            }
        });
    }

    /// A cluster that was asked for runs now. Cancelling this loses nothing.
    pub(crate) async fn started(&mut self) {
        if let Some(client) = self.started.1.recv().await {
            self.listen(client, true);
        }
    }

    fn ask(&self, ticket: u64, work: impl Future<Output = Result<OperatorAnswer, String>> + Send + 'static) {
        let out = self.out.clone();
        tokio::spawn(async move {
            let answer = work.await;
            let _ = out.send(Msg::Answered { ticket, answer });
        });
    }
}

/// Starts a demo. One that runs already, started by somebody else, is said so by name.
async fn start(parent: &Path, name: &str) -> Result<Cluster, String> {
    let demo = Demo::find(name).ok_or_else(|| format!("there is no demo {name}"))?;
    // A demo's services are stock ones; nothing of it is looked for in a folder.
    let base = std::env::current_dir().map_err(|error| format!("no current folder: {error}"))?;
    let start = Start { parent, name, text: demo.text, base: &base, program: None };
    Cluster::start(start).await.map_err(|error| error.to_string())
}

impl Backend for Live {
    fn perform(&mut self, command: Cmd) {
        match (command, self.client.clone()) {
            (Cmd::Spawn(name), _) => self.spawn(name),
            (Cmd::ReadSweep(cluster), _) => {
                let (folder, out) = (sweep::default_folder(&self.parent, &cluster), self.out.clone());
                tokio::task::spawn_blocking(move || {
                    let matrix = Matrix::load(&folder).map_err(|error| match error.kind() {
                        std::io::ErrorKind::NotFound => format!("{cluster} was not swept yet"),
                        _ => format!("the sweep in {} can't be read: {error}", folder.display()),
                    });
                    let _ = out.send(Msg::Swept { cluster, matrix });
                });
            }
            (Cmd::Ask { ticket, request }, Some(client)) => self
                .ask(ticket, async move { client.request(request).await.map_err(|error| error.to_string()) }),
            (Cmd::Perform { ticket, action: wanted }, Some(client)) => {
                self.ask(
                    ticket,
                    async move { action::perform(&client, &wanted).await.map(OperatorAnswer::Done) },
                )
            }
            (Cmd::ReadAtRest { ticket, alias, query, names }, Some(client)) => {
                let file = client.folder().area(&alias);
                self.ask(ticket, async move {
                    let work =
                        tokio::task::spawn_blocking(move || super::at_rest::read(&file, names, &query));
                    work.await.map_err(|error| error.to_string())?.map(OperatorAnswer::Query)
                });
            }
            (
                Cmd::Ask { ticket, .. } | Cmd::Perform { ticket, .. } | Cmd::ReadAtRest { ticket, .. },
                None,
            ) => {
                self.ask(ticket, async { Err("no cluster is attached".to_owned()) });
            }
            // The rest is the terminal's, and never comes here.
            _ => {}
        }
    }

    async fn close(mut self, quit: Quit) -> Result<Option<String>, String> {
        if let Some(listening) = self.listening.take() {
            listening.abort();
        }
        let owned = self.owned.lock().take();
        match (quit, owned, self.client.take()) {
            (Quit::LeaveUp, Some(cluster), _) => {
                let name = cluster.folder().cluster();
                cluster.leave_up();
                Ok(Some(format!(
                    "{name} stays up; palib attach {name} comes back, palib down {name} stops it"
                )))
            }
            (Quit::Down | Quit::AtOnce, Some(cluster), _) => {
                let name = cluster.folder().cluster();
                cluster.shutdown().await.map_err(|error| error.to_string())?;
                Ok(Some(format!("{name} is down")))
            }
            (Quit::Down, None, Some(client)) => {
                let folder = client.folder().clone();
                drop(client);
                keeper::down(&folder).await.map_err(|error| error.to_string())?;
                Ok(Some(format!("{} is down", folder.cluster())))
            }
            (Quit::LeaveUp | Quit::AtOnce, None, Some(client)) => {
                let name = client.folder().cluster();
                Ok(Some(format!("{name} stays up")))
            }
            (_, None, None) => Ok(None),
        }
    }
}
