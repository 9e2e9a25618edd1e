//! The loop around the model: events in, commands out, pictures onto the terminal.

use std::path::PathBuf;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream, KeyEventKind};
use futures_util::StreamExt as _;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::cluster::{ClusterFile, DEMOS};
use crate::keeper::Cluster;
use crate::state::StateFolder;
use crate::world::Tone;

use super::app::{App, DemoCard, Screen};
use super::backend::{Backend, Live};
use super::msg::{Cmd, Msg, Quit};
use super::terminal::{Terminal, give_back};
use super::theme::Theme;
use super::update::{update, wants_ticks};
use super::view::view;

/// The least time between two pictures: 30 a second.
const FRAME: Duration = Duration::from_millis(33);
/// How often time is told to the model while something waits for it.
const TICK: Duration = Duration::from_millis(250);
/// Messages taken in before a picture is drawn: a flood of events must not starve the keys.
const BATCH_MAX: usize = 256;

/// A test sets this in the console's environment: the first key then ends it with a panic. What must hold all the same is
/// that the terminal is given back before the message is printed.
const PANIC_AT_KEY: &str = "PALIB_TEST_PANIC_AT_KEY";

/// What the console is started with.
#[derive(Default)]
pub struct TuiOptions {
    /// Where the state folders of all clusters lie.
    pub parent: PathBuf,
    /// The cluster to attach to; none, and no `started` either, opens the demos.
    pub attach: Option<StateFolder>,
    /// A cluster that was just started, and that the console decides about from now on.
    pub started: Option<Cluster>,
    /// Whether orders are refused.
    pub read_only: bool,
    /// Whether glyphs and lines stay within ASCII.
    pub ascii: bool,
}

impl std::fmt::Debug for TuiOptions {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TuiOptions")
            .field("parent", &self.parent)
            .field("attach", &self.attach)
            .finish_non_exhaustive()
    }
}

/// Why there is no console, or how it ended badly.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Standard output is no terminal.
    #[error("the console needs a terminal; `palib run`, `palib ps` and the other commands do without one")]
    NoTerminal,
    /// The terminal does not do what it is told.
    #[error("the terminal: {0}")]
    Terminal(#[from] std::io::Error),
    /// The cluster can't be attached to or taken down.
    #[error("{0}")]
    Cluster(String),
}

/// Opens the console and returns when the operator leaves it. The terminal is as before then, and the cluster is
/// up or down as the operator said.
///
/// # Errors
/// If there is no terminal, or no cluster where one should be.
pub async fn run(options: TuiOptions) -> Result<Quit, TuiError> {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(TuiError::NoTerminal);
    }
    let theme = Theme::of_environment(options.ascii, |name| std::env::var(name).ok());
    let (out, messages) = unbounded_channel();
    let mut backend = Live::new(options.parent, out);
    let mut app = App::new(theme, options.read_only, demo_cards());
    if let Some(cluster) = options.started {
        backend.own(cluster);
    } else if let Some(folder) = &options.attach {
        backend.attach(folder).await.map_err(TuiError::Cluster)?;
    }
    let quit = Console { app: &mut app, backend: &mut backend, messages, quit: None }.run().await?;
    // The terminal is given back before the cluster goes down, which takes a moment.
    if quit == Quit::Down {
        eprintln!("taking {} down", app.cluster().unwrap_or("the cluster"));
    }
    if let Some(last) = backend.close(quit).await.map_err(TuiError::Cluster)? {
        eprintln!("{last}");
    }
    Ok(quit)
}

fn demo_cards() -> Vec<DemoCard> {
    let cards = DEMOS.iter().filter_map(|demo| {
        let file = ClusterFile::parse(demo.name, demo.text).ok()?;
        Some(DemoCard { name: demo.name.to_owned(), file })
    });
    cards.collect()
}

struct Console<'a> {
    app: &'a mut App,
    backend: &'a mut Live,
    messages: UnboundedReceiver<Msg>,
    quit: Option<Quit>,
}

/// The signals that end the console, and the one that stops it.
struct Signals {
    terminate: Signal,
    hang_up: Signal,
    interrupt: Signal,
    stop: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            stop: signal(SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw()))?,
        })
    }

    async fn next(&mut self) -> Cmd {
        tokio::select! {
            _ = self.terminate.recv() => Cmd::Quit(Quit::AtOnce),
            _ = self.hang_up.recv() => Cmd::Quit(Quit::AtOnce),
            _ = self.interrupt.recv() => Cmd::Quit(Quit::AtOnce),
            _ = self.stop.recv() => Cmd::Suspend,
        }
    }
}

impl Console<'_> {
    async fn run(mut self) -> Result<Quit, TuiError> {
        let mut signals = Signals::listen()?;
        let mut terminal = Terminal::take(self.app.mouse)?;
        let mut keys = EventStream::new();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.app.size = Terminal::size();
        let panic_at_key = std::env::var_os(PANIC_AT_KEY).is_some();
        let mut dirty = true;
        let mut last_frame = Instant::now() - FRAME;
        loop {
            if let Some(quit) = self.quit {
                give_back();
                return Ok(quit);
            }
            let due = last_frame + FRAME;
            if dirty && Instant::now() >= due {
                self.draw(&mut terminal)?;
                last_frame = Instant::now();
                dirty = false;
            }
            tokio::select! {
                key = keys.next() => {
                    // A terminal that is gone can't be read; it ends the console as SIGHUP does.
                    let Some(Ok(event)) = key else { return Ok(Quit::AtOnce) };
                    assert!(!panic_at_key, "{PANIC_AT_KEY} is set, and a key was pressed");
                    let wanted = terminal_message(event);
                    if let Some(msg) = wanted {
                        self.take(msg, &mut terminal)?;
                        dirty = true;
                    }
                }
                msg = self.messages.recv() => {
                    if let Some(msg) = msg {
                        self.take(msg, &mut terminal)?;
                    }
                    for _ in 0..BATCH_MAX {
                        let Ok(msg) = self.messages.try_recv() else { break };
                        self.take(msg, &mut terminal)?;
                    }
                    dirty = true;
                }
                () = self.backend.started() => {}
                command = signals.next() => self.perform(command, &mut terminal)?,
                _ = ticks.tick(), if wants_ticks(self.app) => {
                    self.take(Msg::Tick, &mut terminal)?;
                    dirty = true;
                }
                () = sleep_until(due), if dirty => {}
            }
        }
    }

    fn draw(&mut self, terminal: &mut Terminal) -> std::io::Result<()> {
        let mut canvas = Terminal::canvas(self.app.size);
        let shown = view(self.app, &mut canvas);
        self.app.remember(shown);
        terminal.show(canvas, &title(self.app))
    }

    fn take(&mut self, msg: Msg, terminal: &mut Terminal) -> std::io::Result<()> {
        for command in update(self.app, msg) {
            self.perform(command, terminal)?;
        }
        Ok(())
    }

    fn perform(&mut self, command: Cmd, terminal: &mut Terminal) -> std::io::Result<()> {
        match command {
            Cmd::Quit(quit) => self.quit = Some(quit),
            Cmd::Suspend => {
                terminal.suspend()?;
                self.app.size = Terminal::size();
            }
            Cmd::Repaint => terminal.repaint(),
            Cmd::Mouse(take) => terminal.mouse(take)?,
            Cmd::Copy(text) => terminal.copy(&text)?,
            Cmd::Save { stem, extension, content } => {
                let (tone, text) = match save(&stem, extension, &content) {
                    Ok(name) => (Tone::Good, format!("written to {name}")),
                    Err(error) => (Tone::Bad, format!("not written: {error}")),
                };
                self.app.tell(tone, text);
            }
            other => self.backend.perform(other),
        }
        Ok(())
    }
}

fn terminal_message(event: TerminalEvent) -> Option<Msg> {
    match event {
        TerminalEvent::Key(key) if key.kind != KeyEventKind::Release => Some(Msg::Key(key)),
        TerminalEvent::Mouse(mouse) => Some(Msg::Mouse(mouse)),
        TerminalEvent::Paste(text) => Some(Msg::Paste(text)),
        TerminalEvent::Resize(columns, lines) => Some(Msg::Resize(columns, lines)),
        _ => None,
    }
}

/// Writes a file under the first name that is free, and never over another one.
fn save(stem: &str, extension: &str, content: &str) -> std::io::Result<String> {
    use std::io::Write as _;
    for number in 1..=999 {
        let name = format!("{stem}-{number}.{extension}");
        match std::fs::File::create_new(&name) {
            Ok(mut file) => {
                file.write_all(content.as_bytes())?;
                return Ok(name);
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Err(std::io::Error::other(format!("{stem}-1 to {stem}-999 exist; remove some")))
}

/// Where the console is, for the terminal's title and for tests: screen, selection, time, revision of the world.
pub(crate) fn title(app: &App) -> String {
    let screen = app.screen.name().to_lowercase();
    let pane = app.pane();
    let table = app.table(pane);
    let chosen = app.place(pane, &table).map(|place| table.rows[place].key.clone()).unwrap_or_default();
    let time = match &app.past {
        Some(past) => crate::world::clock(past.world.last_unix_ms, past.world.zero_unix_ms),
        None => "live".into(),
    };
    let alias = match app.screen {
        Screen::Redundancy => app.shown_alias().map_or_else(String::new, |alias| format!("/{alias}")),
        Screen::Relay => super::relay::shown_alias(app).map_or_else(String::new, |alias| format!("/{alias}")),
        Screen::Sequence => app.chart.follow.as_ref().map_or_else(String::new, |call| format!("/{call}")),
        _ => String::new(),
    };
    // Control characters of a row's key must not end the title early.
    let chosen: String = chosen.chars().filter(|c| !c.is_control()).take(60).collect();
    format!("palib:/{screen}{alias}?sel={chosen}&t={time}#{}", app.world().events)
}
