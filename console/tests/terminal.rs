//! The real binary on a real (pseudo) terminal: it gives back what it takes, and is silent when nothing happens.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};
use rustix::process::{Pid, Signal, kill_process};

/// A console on a terminal of its own.
struct Console {
    master: Box<dyn MasterPty + Send>,
    child: Box<dyn Child + Send + Sync>,
    keys: Box<dyn std::io::Write + Send>,
    seen: Arc<Mutex<Seen>>,
    modes_before: String,
    _state: tempfile::TempDir,
}

struct Seen {
    screen: vt100::Parser,
    bytes: usize,
    all: Vec<u8>,
}

impl Console {
    fn open(arguments: &[&str]) -> Console {
        Self::open_with(arguments, &[])
    }

    fn open_with(arguments: &[&str], environment: &[(&str, &str)]) -> Console {
        let state = tempfile::tempdir().unwrap();
        let size = PtySize { rows: 30, cols: 100, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let modes_before = modes(&*pair.master);
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_palib"));
        command.args(arguments);
        command.env("PALIB_STATE", state.path());
        command.env("LANG", "C.UTF-8");
        command.env("TERM", "xterm-256color");
        environment.iter().for_each(|(name, value)| command.env(name, value));
        command.cwd(state.path());
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let seen = Seen { screen: parser(), bytes: 0, all: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        let mut reader = pair.master.try_clone_reader().unwrap();
        let written = seen.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let mut seen = written.lock().unwrap();
                seen.screen.process(&buffer[..count]);
                seen.bytes += count;
                seen.all.extend_from_slice(&buffer[..count]);
            }
        });
        let keys = pair.master.take_writer().unwrap();
        Console { master: pair.master, child, keys, seen, modes_before, _state: state }
    }

    fn text(&self) -> String {
        self.seen.lock().unwrap().screen.screen().contents()
    }

    fn wait_for(&self, text: &str) {
        self.wait_until(&format!("the screen to show {text:?}"), || self.text().contains(text));
    }

    fn wait_until(&self, what: &str, done: impl Fn() -> bool) {
        let end = Instant::now() + Duration::from_secs(60);
        while !done() {
            assert!(Instant::now() < end, "waited in vain for {what}; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.process_id().unwrap() as i32).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Bytes written in so much time, once what was under way has been written.
    fn bytes_within(&self, span: Duration) -> usize {
        let bytes = || self.seen.lock().unwrap().bytes;
        let (mut before, mut since) = (bytes(), Instant::now());
        let end = Instant::now() + Duration::from_secs(30);
        while since.elapsed() < Duration::from_millis(700) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
            if bytes() != before {
                (before, since) = (bytes(), Instant::now());
            }
        }
        let start = bytes();
        std::thread::sleep(span);
        bytes() - start
    }

    fn assert_given_back(&mut self, how: &str) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "{how}: it did not end; the screen:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(modes(&*self.master), self.modes_before, "{how}: the terminal's modes");
        self.assert_screen_given_back(how);
    }

    fn assert_screen_given_back(&self, how: &str) {
        self.wait_until(&format!("{how}: the screen to be given back"), || {
            let seen = self.seen.lock().unwrap();
            let screen = seen.screen.screen();
            !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
                && screen.mouse_protocol_mode() == vt100::MouseProtocolMode::None
        });
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if self.child.try_wait().ok().flatten().is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn modes(master: &dyn MasterPty) -> String {
    format!("{:?}", master.get_termios())
}

fn process_state(pid: Pid) -> char {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).unwrap_or('?')
}

#[test]
fn without_a_cluster_it_opens_on_its_demos_and_q_gives_the_terminal_back() {
    let mut console = Console::open(&[]);
    console.wait_for("demos");
    console.wait_for("counter");
    assert_ne!(modes(&*console.master), console.modes_before, "raw mode is on");
    console.press("q");
    console.assert_given_back("q");
}

#[test]
fn every_signal_that_ends_it_gives_the_terminal_back() {
    for signal in [Signal::TERM, Signal::HUP, Signal::INT] {
        let mut console = Console::open(&[]);
        console.wait_for("demos");
        console.signal(signal);
        console.assert_given_back(&format!("{signal:?}"));
    }
    let mut console = Console::open(&[]);
    console.wait_for("demos");
    console.press("\u{3}");
    console.assert_given_back("^c");
}

#[test]
fn a_panic_gives_the_terminal_back_and_its_message_stays_to_be_read() {
    let mut console = Console::open_with(&[], &[("PALIB_TEST_PANIC_AT_KEY", "1"), ("RUST_BACKTRACE", "0")]);
    console.wait_for("demos");
    console.press("j");
    console.assert_given_back("a panic");
    console.wait_for("a key was pressed");
    assert!(!console.child.wait().unwrap().success());
}

#[test]
fn control_z_gives_the_terminal_back_and_going_on_takes_it_again() {
    let mut console = Console::open(&[]);
    console.wait_for("demos");
    console.press("\u{1a}");
    let pid = console.pid();
    console.wait_until("the process to stop", || process_state(pid) == 'T');
    console.assert_screen_given_back("^z");
    assert_eq!(modes(&*console.master), console.modes_before);
    console.signal(Signal::CONT);
    console.wait_for("demos");
    console.wait_until("the alternate screen", || {
        console.seen.lock().unwrap().screen.screen().alternate_screen()
    });
    console.press("q");
    console.assert_given_back("q after fg");
}

#[test]
fn every_picture_stands_between_update_marks_and_an_idle_console_writes_nothing() {
    let mut console = Console::open(&[]);
    console.wait_for("demos");
    assert_eq!(console.bytes_within(Duration::from_secs(2)), 0);
    console.press("?");
    console.wait_for("search:");
    let all = console.seen.lock().unwrap().all.clone();
    let count = |mark: &[u8]| all.windows(mark.len()).filter(|window| window == &mark).count();
    assert!(count(b"\x1b[?2026h") >= 2);
    assert_eq!(count(b"\x1b[?2026h"), count(b"\x1b[?2026l"));
    console.press("\u{1b}");
    assert_eq!(console.bytes_within(Duration::from_secs(1)), 0);
    console.press("q");
    console.assert_given_back("q");
}

/// A cluster without callers: heartbeats come ten times a second, and nothing of them may reach the terminal.
#[test]
fn an_idle_cluster_writes_nothing_and_goes_down_with_its_console() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("idle.toml");
    let text =
        "name = \"idle\"\ntitle = \"Nobody calls\"\n\n[aliases.counter]\nkind = \"counter\"\nmembers = 2\n";
    std::fs::write(&file, text).unwrap();
    let mut console = Console::open(&["up", file.to_str().unwrap()]);
    console.wait_for("in service");
    console.wait_for("backup");
    assert_eq!(console.bytes_within(Duration::from_secs(3)), 0, "the screen:\n{}", console.text());
    let ftm = ftm_pid(console._state.path());
    // Quit, take it down.
    console.press("q");
    console.wait_for("Take it down");
    console.press("t\r");
    console.assert_given_back("q, take it down");
    let gone = || !Path::new(&format!("/proc/{ftm}")).exists();
    console.wait_until("the FTM to be gone", gone);
}

fn ftm_pid(state: &Path) -> u32 {
    let text = std::fs::read_to_string(state.join("idle/ftm.pid")).unwrap();
    text.split_whitespace().next().unwrap().parse().unwrap()
}

fn parser() -> vt100::Parser {
    let lines = std::num::NonZero::new(30).unwrap();
    let columns = std::num::NonZero::new(100).unwrap();
    vt100::Parser::new(lines, columns, 0)
}
