//! The keeper's own process.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use palib::control::OperatorRequest;
use rustix::process::{
    Pid, PidfdFlags, WaitOptions, WaitStatus, getpid, pidfd_open, set_child_subreaper, setsid, wait,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::{ClusterError, KeeperOptions, LEAVE_UP, OWN_PROGRAM, command, force};
use crate::operator::OperatorClient;
use crate::state::{ProcessMark, StateFolder};

/// An FTM that lived shorter than this is started again only after a pause.
const STABLE_AFTER: Duration = Duration::from_secs(5);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// So many FTMs in a row that do not even come up are enough.
const FAILURES_MAX: u32 = 3;
/// How long the cluster may take to go down in good order.
const DOWN_WITHIN: Duration = Duration::from_secs(5);

/// What reaches the keeper.
enum News {
    /// The owner is gone, or a signal came.
    End(&'static str),
    /// The owner leaves, and the cluster stays.
    LeaveUp,
    /// A child changed its state.
    Child,
    /// The FTM that a former keeper had started is gone.
    AdoptedFtmGone,
}

/// Runs the keeper of one cluster until the cluster is down. Uses no runtime; must be called outside one.
///
/// # Errors
/// If the FTM can't be started at all.
pub fn run(options: KeeperOptions) -> Result<(), ClusterError> {
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_ansi(false).try_init();
    let folder = StateFolder::at(options.folder);
    // A process that leads its session already (it was started by hand) stays what it is.
    let _ = setsid();
    // Nodes whose FTM died become children of the keeper, which reaps them.
    let _ = set_child_subreaper(Some(getpid()));
    if folder.living_keeper().is_some_and(|other| other != ProcessMark::own()) {
        return Err(ClusterError::RunsAlready(folder.cluster()));
    }
    ProcessMark::own().write(&folder.keeper_pid())?;
    let (tell, news) = channel();
    listen_to_signals(tell.clone());
    listen_to_owner(tell.clone());
    let ended = Keeper { folder, news, tell, leave_up: false }.keep();
    tracing::info!("the keeper ends");
    ended
}

struct Keeper {
    folder: StateFolder,
    news: Receiver<News>,
    tell: Sender<News>,
    leave_up: bool,
}

/// How a time of watching one FTM ended.
enum Ended {
    /// The FTM is gone; in good order or not.
    Ftm { well: bool },
    /// The cluster must go down.
    Told(&'static str),
}

impl Keeper {
    fn keep(&mut self) -> Result<(), ClusterError> {
        let ended = self.keep_ftm();
        // However it ended: nobody may be left whom no FTM watches.
        self.end_what_is_left();
        let _ = std::fs::remove_file(self.folder.keeper_pid());
        ended
    }

    /// Keeps an FTM at work until the cluster is down, or no FTM can be had.
    fn keep_ftm(&mut self) -> Result<(), ClusterError> {
        let mut pause = Duration::from_millis(20);
        let mut failures = 0;
        loop {
            let began = Instant::now();
            let ftm = self.find_or_start_ftm()?;
            let mark = u32::try_from(ftm.as_raw_nonzero().get()).ok().and_then(ProcessMark::of);
            match self.watch(ftm) {
                Ended::Told(why) => {
                    self.take_down(why);
                    // One that has only just been started is in no file yet.
                    force::kill(mark.filter(ProcessMark::lives).as_slice());
                    return Ok(());
                }
                Ended::Ftm { well: true } => return Ok(()),
                Ended::Ftm { well: false } => {
                    // It writes down who it is when everything is in order; before that, trying again helps nothing.
                    let came_up = mark.is_some() && ProcessMark::read(&self.folder.ftm_pid()) == mark;
                    failures = if came_up { 0 } else { failures + 1 };
                    if failures == FAILURES_MAX {
                        return Err(ClusterError::NotUp {
                            cluster: self.folder.cluster(),
                            reason: format!("its FTM can't start; see {}", self.folder.log("ftm").display()),
                        });
                    }
                    tracing::warn!("the FTM died and is started again");
                    pause = if began.elapsed() > STABLE_AFTER {
                        Duration::from_millis(20)
                    } else {
                        (pause * 2).min(PAUSE_MAX)
                    };
                    if let Some(why) = self.pause(pause) {
                        self.take_down(why);
                        return Ok(());
                    }
                }
            }
        }
    }

    fn find_or_start_ftm(&self) -> Result<Pid, ClusterError> {
        if let Some(id) = self.folder.living_ftm().and_then(|mark| mark.id())
            && let Ok(pidfd) = pidfd_open(id, PidfdFlags::empty())
        {
            tracing::info!(pid = id.as_raw_nonzero().get(), "found a living FTM");
            let tell = self.tell.clone();
            std::thread::spawn(move || {
                let mut fds = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
                while rustix::event::poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
                let _ = tell.send(News::AdoptedFtmGone);
            });
            return Ok(id);
        }
        let log = std::fs::File::options().create(true).append(true).open(self.folder.log("ftm"));
        let spawned = log.and_then(|log| {
            command(OWN_PROGRAM)
                .arg("ftm")
                .arg(self.folder.path())
                .stdin(Stdio::null())
                .stdout(Stdio::from(log.try_clone()?))
                .stderr(Stdio::from(log))
                .spawn()
        });
        let child =
            spawned.map_err(|source| ClusterError::Spawn { program: "palib ftm".to_owned(), source })?;
        // It is reaped below with all other children, so the handle is not needed.
        Ok(Pid::from_child(&child))
    }

    fn watch(&mut self, ftm: Pid) -> Ended {
        loop {
            match self.news.recv() {
                Ok(News::Child) => {
                    if let Some(status) = reap(ftm) {
                        return Ended::Ftm { well: status.exit_status() == Some(0) };
                    }
                }
                Ok(News::AdoptedFtmGone) => {
                    let well = !self.folder.ftm_pid().exists();
                    return Ended::Ftm { well };
                }
                Ok(News::LeaveUp) => self.leave_up = true,
                Ok(News::End("its owner is gone")) if self.leave_up => {}
                Ok(News::End(why)) => return Ended::Told(why),
                // `self.tell` lives, so the channel does.
                Err(_) => return Ended::Told("its channel is closed"),
            }
        }
    }

    /// Waits; returns early, with the reason, if the cluster must go down.
    fn pause(&mut self, pause: Duration) -> Option<&'static str> {
        let until = Instant::now() + pause;
        loop {
            match self.news.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(News::End("its owner is gone")) if self.leave_up => {}
                Ok(News::End(why)) => return Some(why),
                Ok(News::LeaveUp) => self.leave_up = true,
                Ok(News::Child) => drop(reap(getpid())),
                Ok(News::AdoptedFtmGone) => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
            }
        }
    }

    fn take_down(&self, why: &str) {
        tracing::info!(why, "the cluster is taken down");
        if self.folder.living_ftm().is_none() {
            return;
        }
        let asked = tokio::runtime::Builder::new_current_thread().enable_all().build().map(|runtime| {
            runtime.block_on(async {
                let asked = async {
                    let client = OperatorClient::connect(&self.folder, DOWN_WITHIN).await.ok()?;
                    client.request(OperatorRequest::Down).await.ok()
                };
                tokio::time::timeout(DOWN_WITHIN, asked).await.ok().flatten().is_some()
            })
        });
        if asked.unwrap_or(false) {
            let until = Instant::now() + DOWN_WITHIN;
            while self.folder.living_ftm().is_some() && Instant::now() < until {
                let _ = self.news.recv_timeout(Duration::from_millis(20));
                let _ = reap(getpid());
            }
        }
    }

    /// Nobody may be left: neither the FTM, nor a node, nor what a node started.
    fn end_what_is_left(&self) {
        let until = Instant::now() + DOWN_WITHIN;
        loop {
            let left: Vec<ProcessMark> =
                self.folder.living_ftm().into_iter().chain(self.folder.living_nodes()).collect();
            if left.is_empty() || Instant::now() > until {
                break;
            }
            force::kill(&left);
            std::thread::sleep(Duration::from_millis(10));
            let _ = reap(getpid());
        }
        let _ = std::fs::remove_file(self.folder.ftm_pid());
    }
}

/// Reaps all children that have ended; returns how the one that is asked for did.
fn reap(wanted: Pid) -> Option<WaitStatus> {
    let mut found = None;
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == wanted {
            found = Some(status);
        }
    }
    found
}

fn listen_to_signals(tell: Sender<News>) {
    // Registering fails only for signals that can't be caught.
    let Ok(mut signals) = Signals::new([SIGTERM, SIGINT, SIGHUP, SIGCHLD]) else { return };
    std::thread::spawn(move || {
        for signal in signals.forever() {
            let news = if signal == SIGCHLD { News::Child } else { News::End("a signal came") };
            if tell.send(news).is_err() {
                return;
            }
        }
    });
}

fn listen_to_owner(tell: Sender<News>) {
    std::thread::spawn(move || {
        let mut byte = [0];
        while let Ok(1) = std::io::stdin().lock().read(&mut byte) {
            if byte[0] == LEAVE_UP && tell.send(News::LeaveUp).is_err() {
                return;
            }
        }
        let _ = tell.send(News::End("its owner is gone"));
    });
}
