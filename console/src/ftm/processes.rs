//! The operating system's side of processes: starting them, watching them die, sending them signals.
//!
//! Two threads that live as long as the FTM: one starts processes (so that a slow start delays nothing else), one
//! sleeps in `poll` on a pidfd for each process, adopted ones too, and tells of a death within a fraction of a
//! millisecond.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use palib::control::TICKET_VARIABLE;
use palib_core::ids::ProcessId;
use palib_core::manager::Cause;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::process::{PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};

use super::clock::now_ns;
use crate::keeper::command;
use crate::state::ProcessMark;

/// What happened to a process.
#[derive(Debug)]
pub(crate) enum ProcessEvent {
    /// It was started, and is watched.
    Started { process: ProcessId, mark: ProcessMark, handle: Handle },
    /// It could not be started.
    NotStarted { process: ProcessId, reason: String },
    /// It is dead.
    Exited { process: ProcessId, at_ns: u64, how: How },
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// It was nobody's child here.
    Unknown,
}

impl How {
    /// In words, such as `SIGKILL` or `exit 1`.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Status(status) => format!("exit {status}"),
            Self::Signal(number) => signal_name(number),
            Self::Unknown => "unknown".to_owned(),
        }
    }

    /// As the manager takes it.
    pub(crate) fn cause(self) -> Cause {
        match self {
            Self::Status(_) => Cause::Exited,
            Self::Signal(_) => Cause::Killed,
            Self::Unknown => Cause::Gone,
        }
    }
}

/// What is to be started.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) process: ProcessId,
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
    /// Where it runs; none means where the FTM does.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) ticket: PathBuf,
    pub(crate) log: PathBuf,
}

/// A hold on a process that can't become one on another process with the same number.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    pidfd: Arc<OwnedFd>,
}

impl Handle {
    /// A hold on a process that lives.
    pub(crate) fn open(mark: ProcessMark) -> io::Result<Self> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let pidfd = pidfd_open(mark.id().ok_or_else(gone)?, PidfdFlags::empty())?;
        // The number may have been given anew between reading the mark and opening; not after opening.
        if mark.lives() { Ok(Self { pidfd: Arc::new(pidfd) }) } else { Err(gone()) }
    }

    /// Sends a signal. A process that is gone already is no error.
    pub(crate) fn signal(&self, signal: Signal) -> io::Result<()> {
        match pidfd_send_signal(&*self.pidfd, signal) {
            Err(rustix::io::Errno::SRCH) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// The two threads.
pub(crate) struct Processes {
    start: mpsc::Sender<Order>,
    watch: Watch,
}

/// How the thread that watches is given more to watch.
#[derive(Clone)]
struct Watch {
    add: mpsc::Sender<(ProcessId, Handle)>,
    wake: Arc<OwnedFd>,
}

impl Watch {
    fn add(&self, process: ProcessId, handle: Handle) {
        let _ = self.add.send((process, handle));
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

impl Processes {
    /// Starts the threads; `tell` is called on them.
    pub(crate) fn new(tell: impl Fn(ProcessEvent) + Clone + Send + 'static) -> io::Result<Self> {
        let (add, added) = mpsc::channel();
        let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let watch = Watch { add, wake: wake.clone() };
        let (start, orders) = mpsc::channel();
        let (tell_exit, given) = (tell.clone(), watch.clone());
        thread::Builder::new().name("watch".into()).spawn(move || watch_exits(&added, &wake, tell_exit))?;
        thread::Builder::new().name("start".into()).spawn(move || start_processes(&orders, &given, tell))?;
        Ok(Self { start, watch })
    }

    /// Starts a process; what became of it is told.
    pub(crate) fn start(&self, order: Order) {
        // The thread ends only with the FTM.
        let _ = self.start.send(order);
    }

    /// Watches a process that was not started here.
    pub(crate) fn adopt(&self, process: ProcessId, handle: Handle) {
        self.watch.add(process, handle);
    }
}

fn start_processes(orders: &mpsc::Receiver<Order>, watch: &Watch, tell: impl Fn(ProcessEvent)) {
    while let Ok(order) = orders.recv() {
        let process = order.process;
        match spawn(&order) {
            Ok((mark, handle)) => {
                tell(ProcessEvent::Started { process, mark, handle: handle.clone() });
                watch.add(process, handle);
            }
            Err(reason) => tell(ProcessEvent::NotStarted { process, reason }),
        }
    }
}

fn spawn(order: &Order) -> Result<(ProcessMark, Handle), String> {
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(&order.log);
    let log = log.map_err(|error| format!("{}: {error}", order.log.display()))?;
    let both = log.try_clone().map_err(|error| error.to_string())?;
    let mut command = command(&order.program);
    command
        .args(&order.arguments)
        .env(TICKET_VARIABLE, &order.ticket)
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(both)
        // A terminal's Ctrl-C and Ctrl-Z go to its group of processes: this one is not in it.
        .process_group(0);
    if let Some(folder) = &order.folder {
        command.current_dir(folder);
    }
    let child = command.spawn().map_err(|error| {
        let place =
            order.folder.as_ref().map(|folder| format!(" in {}", folder.display())).unwrap_or_default();
        format!("can't run {:?}{place}: {error}", order.program)
    })?;
    // Nobody else reaps it, so its number is its own until the watching thread has seen it dead.
    let pid = child.id();
    let mark = ProcessMark::of(pid).ok_or_else(|| format!("process {pid} has no entry in /proc"))?;
    let id = mark.id().ok_or_else(|| format!("{pid} is no process id"))?;
    let pidfd = pidfd_open(id, PidfdFlags::empty()).map_err(|error| format!("pidfd_open {pid}: {error}"))?;
    Ok((mark, Handle { pidfd: Arc::new(pidfd) }))
}

fn watch_exits(added: &mpsc::Receiver<(ProcessId, Handle)>, wake: &OwnedFd, tell: impl Fn(ProcessEvent)) {
    let mut watched: Vec<(ProcessId, Handle)> = Vec::new();
    loop {
        let mut fds = vec![PollFd::new(wake, PollFlags::IN)];
        fds.extend(
            watched.iter().map(|(_, handle)| PollFd::from_borrowed_fd(handle.pidfd.as_fd(), PollFlags::IN)),
        );
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => {
                // Without this thread no death is seen; the keeper starts the FTM again.
                tracing::error!(%error, "poll on pidfds failed");
                std::process::abort();
            }
        }
        let at_ns = now_ns();
        let over: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        let mut over = over.into_iter();
        if over.next() == Some(true) {
            let _ = rustix::io::read(wake, &mut [0u8; 8]);
        }
        watched.retain(|(process, handle)| {
            let dead = over.next() == Some(true);
            if dead {
                tell(ProcessEvent::Exited { process: *process, at_ns, how: reap(handle) });
            }
            !dead
        });
        watched.extend(added.try_iter());
    }
}

/// Reaps a child and says how it ended; one that is not a child is left to its parent.
fn reap(handle: &Handle) -> How {
    match waitid(WaitId::PidFd(handle.pidfd.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG) {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => How::Status(status),
            (_, Some(signal)) => How::Signal(signal),
            _ => How::Unknown,
        },
        Ok(None) | Err(_) => How::Unknown,
    }
}

fn signal_name(number: i32) -> String {
    let names = [
        (Signal::KILL, "SIGKILL"),
        (Signal::TERM, "SIGTERM"),
        (Signal::ABORT, "SIGABRT"),
        (Signal::SEGV, "SIGSEGV"),
        (Signal::INT, "SIGINT"),
        (Signal::HUP, "SIGHUP"),
        (Signal::BUS, "SIGBUS"),
        (Signal::QUIT, "SIGQUIT"),
    ];
    let known = names.iter().find(|(signal, _)| signal.as_raw() == number);
    known.map_or_else(|| format!("signal {number}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::*;

    fn order(folder: &std::path::Path, process: u32, script: &str) -> Order {
        Order {
            process: ProcessId(process),
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            folder: None,
            ticket: folder.join("ticket.json"),
            log: folder.join("log"),
        }
    }

    fn threads() -> (Processes, mpsc::Receiver<ProcessEvent>) {
        let (tell, told) = mpsc::channel();
        (Processes::new(move |event| drop(tell.send(event))).unwrap(), told)
    }

    fn next(told: &mpsc::Receiver<ProcessEvent>) -> ProcessEvent {
        told.recv_timeout(Duration::from_secs(20)).expect("something happens")
    }

    #[test]
    fn a_process_is_started_with_its_ticket_and_its_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (processes, told) = threads();
        processes.start(order(folder.path(), 1, "echo $PALIB_TICKET; exit 3"));
        assert!(matches!(next(&told), ProcessEvent::Started { process: ProcessId(1), .. }));
        assert!(matches!(
            next(&told),
            ProcessEvent::Exited { process: ProcessId(1), how: How::Status(3), .. }
        ));
        let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
        assert!(log.trim().ends_with("ticket.json"), "{log}");
    }

    #[test]
    fn a_kill_is_told_of_each_process_that_is_watched() {
        let folder = tempfile::tempdir().unwrap();
        let (processes, told) = threads();
        let mut handles = Vec::new();
        for process in 1..=3 {
            processes.start(order(folder.path(), process, "exec sleep 600"));
            let ProcessEvent::Started { handle, mark, .. } = next(&told) else { panic!("it starts") };
            assert!(mark.lives());
            handles.push(handle);
        }
        for (process, handle) in [1, 2, 3].into_iter().zip(&handles).rev() {
            handle.signal(Signal::KILL).unwrap();
            let ProcessEvent::Exited { process: died, how, .. } = next(&told) else { panic!("it dies") };
            assert_eq!((died, how.words().as_str()), (ProcessId(process), "SIGKILL"));
            handle.signal(Signal::KILL).unwrap();
        }
    }

    #[test]
    fn what_can_not_be_started_is_told_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (processes, told) = threads();
        processes.start(Order { program: "/nowhere/at-all".into(), ..order(folder.path(), 1, "") });
        let ProcessEvent::NotStarted { reason, .. } = next(&told) else { panic!("there is no such program") };
        assert!(reason.contains("/nowhere/at-all"), "{reason}");
    }

    #[test]
    fn a_process_that_is_nobodys_child_is_watched_too() {
        let folder = tempfile::tempdir().unwrap();
        let (processes, told) = threads();
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let mark = ProcessMark::of(child.id()).unwrap();
        processes.adopt(ProcessId(9), Handle::open(mark).unwrap());
        child.kill().unwrap();
        assert!(matches!(next(&told), ProcessEvent::Exited { process: ProcessId(9), .. }));
        let _ = child.wait();
        assert!(Handle::open(mark).is_err());
        drop(folder);
    }
}
