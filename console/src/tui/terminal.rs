//! The terminal: taken with everything that must be given back, and written to only when a cell changes.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::{cursor, event, execute, queue, style, terminal};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::export::base64;

/// Whether the terminal is ours now. A panic hook has no other way to know.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Begin and end of an update that the terminal shows at once (DEC mode 2026).
const BEGIN_UPDATE: &[u8] = b"\x1b[?2026h";
const END_UPDATE: &[u8] = b"\x1b[?2026l";
/// The title on xterm's stack: put there at the beginning, taken back at the end.
const PUSH_TITLE: &[u8] = b"\x1b[22;2t";
const POP_TITLE: &[u8] = b"\x1b[23;2t";

/// The terminal while it is ours. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Terminal {
    shown: Buffer,
    title: String,
    mouse: bool,
}

impl Terminal {
    /// Takes the terminal, and makes sure that a panic gives it back before it prints its message.
    pub(crate) fn take(mouse: bool) -> io::Result<Terminal> {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            give_back();
            before(panic);
        }));
        let mut terminal = Terminal { shown: Buffer::default(), title: String::new(), mouse };
        terminal.enter()?;
        Ok(terminal)
    }

    fn enter(&mut self) -> io::Result<()> {
        TAKEN.store(true, Ordering::SeqCst);
        terminal::enable_raw_mode()?;
        let mut out = io::stdout();
        out.write_all(PUSH_TITLE)?;
        execute!(out, terminal::EnterAlternateScreen, event::EnableBracketedPaste, cursor::Hide)?;
        self.mouse(self.mouse)?;
        self.repaint();
        Ok(())
    }

    /// Takes the mouse, or leaves it to the terminal.
    pub(crate) fn mouse(&mut self, take: bool) -> io::Result<()> {
        self.mouse = take;
        match take {
            true => execute!(io::stdout(), event::EnableMouseCapture),
            false => execute!(io::stdout(), event::DisableMouseCapture),
        }
    }

    /// Stops this process as Ctrl-Z does, and takes the terminal again once it goes on.
    pub(crate) fn suspend(&mut self) -> io::Result<()> {
        give_back();
        // SIGSTOP, because SIGTSTP is handled by us: it would come back to where this call came from.
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::STOP)?;
        self.enter()
    }

    /// Columns and lines.
    pub(crate) fn size() -> (u16, u16) {
        terminal::size().unwrap_or((80, 24))
    }

    /// Forgets what is shown: the next picture is painted whole.
    pub(crate) fn repaint(&mut self) {
        self.shown = Buffer::default();
        self.title.clear();
    }

    /// Shows a picture. Writes what differs from the one before, and not a byte if nothing does.
    pub(crate) fn show(&mut self, picture: Buffer, title: &str) -> io::Result<()> {
        let mut bytes = Vec::new();
        if self.shown.area != picture.area {
            self.shown = Buffer::empty(picture.area);
            queue!(bytes, style::ResetColor, terminal::Clear(terminal::ClearType::All))?;
        }
        let changes = self.shown.diff(&picture);
        if !changes.is_empty() {
            CrosstermBackend::new(&mut bytes).draw(changes.into_iter())?;
        }
        if self.title != title {
            queue!(bytes, terminal::SetTitle(title))?;
            title.clone_into(&mut self.title);
        }
        self.shown = picture;
        if bytes.is_empty() {
            return Ok(());
        }
        let mut whole = Vec::with_capacity(bytes.len() + 16);
        whole.extend_from_slice(BEGIN_UPDATE);
        whole.append(&mut bytes);
        whole.extend_from_slice(END_UPDATE);
        let mut out = io::stdout().lock();
        out.write_all(&whole)?;
        out.flush()
    }

    /// Puts a text on the clipboard of the terminal's owner, also over ssh (OSC 52).
    pub(crate) fn copy(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        write!(out, "\x1b]52;c;{}\x07", base64(text.as_bytes()))?;
        out.flush()
    }

    /// An empty picture of the terminal's size.
    pub(crate) fn canvas((columns, lines): (u16, u16)) -> Buffer {
        Buffer::empty(Rect::new(0, 0, columns, lines))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        give_back();
    }
}

/// Gives the terminal back, once. Errors have nobody to be told to: the terminal may be gone.
pub(crate) fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = out.write_all(END_UPDATE);
    let _ = execute!(
        out,
        event::DisableMouseCapture,
        event::DisableBracketedPaste,
        style::ResetColor,
        terminal::LeaveAlternateScreen,
        cursor::Show
    );
    let _ = out.write_all(POP_TITLE);
    let _ = out.flush();
    let _ = terminal::disable_raw_mode();
}
