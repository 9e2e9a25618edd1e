//! The one table of commands. Keys, footer, `?` help, `:` palette and the key reference in `docs/` are made of it.

use super::app::Screen;

pub(crate) use super::available::{available, can_do_to, footer, may_act, may_ask};

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Id {
    Down,
    Up,
    Top,
    Bottom,
    HalfDown,
    HalfUp,
    Left,
    Right,
    NextPane,
    PreviousPane,
    Enter,
    Back,
    Go(Screen),
    Filter,
    Sort,
    Follow,
    Pause,
    StepBack,
    StepForward,
    MarkBack,
    MarkForward,
    NextAlias,
    PreviousAlias,
    Act,
    Defects,
    Sweep,
    Kill,
    Hang,
    HangFor,
    Resume,
    Exit,
    Restart,
    AddBackup,
    Undo,
    HealAll,
    Resolve,
    ResolveReply,
    ResolveRerun,
    ResolveRollBack,
    ResolveFail,
    Policy,
    PolicyForward,
    PolicySubstitute,
    PolicyBack,
    Chart,
    Fold,
    Finer,
    Coarser,
    BusyLanes,
    Check,
    TourStep,
    StepEach,
    TourEnd,
    CopyCell,
    CopyRow,
    Screenshot,
    ScreenshotText,
    ScreenshotSvg,
    Export,
    ExportJson,
    ExportCsv,
    ExportSvg,
    ExportMermaid,
    ExportShiviz,
    Mouse,
    Palette,
    Help,
    Repaint,
    Suspend,
    Quit,
    QuitNow,
}

/// A chapter of the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Chapter {
    /// Moving about.
    Moving,
    /// The screens.
    Screens,
    /// Looking closer.
    Looking,
    /// Time.
    Time,
    /// Acting on the cluster.
    Acting,
    /// The console itself.
    Console,
}

impl Chapter {
    /// Its title.
    #[must_use]
    pub(crate) fn title(self) -> &'static str {
        match self {
            Chapter::Moving => "Moving",
            Chapter::Screens => "Screens",
            Chapter::Looking => "Looking",
            Chapter::Time => "Time",
            Chapter::Acting => "Acting on the cluster",
            Chapter::Console => "The console",
        }
    }
}

/// A command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Command {
    /// What it does.
    pub id: Id,
    /// Its keys; two words are two keys, the second one in the menu that the first one opens.
    pub keys: &'static [&'static str],
    /// One or two words, for the footer and the palette.
    pub name: &'static str,
    /// A sentence, for the help.
    pub help: &'static str,
    /// Where in the help it stands.
    pub chapter: Chapter,
    /// The screens it is for; none means all.
    pub screens: &'static [Screen],
    /// Its place in the footer, the smallest first; 0 is not there.
    pub footer: u8,
}

const fn command(id: Id, keys: &'static [&'static str], name: &'static str, help: &'static str) -> Command {
    Command { id, keys, name, help, chapter: Chapter::Moving, screens: &[], footer: 0 }
}

impl Command {
    const fn chapter(self, chapter: Chapter) -> Command {
        Command { chapter, ..self }
    }

    const fn on(self, screens: &'static [Screen]) -> Command {
        Command { screens, ..self }
    }

    const fn footer(self, footer: u8) -> Command {
        Command { footer, ..self }
    }

    /// Whether it is for this screen.
    #[must_use]
    pub(crate) fn is_on(&self, screen: Screen) -> bool {
        self.screens.is_empty() || self.screens.contains(&screen)
    }
}

use Chapter::{Acting, Console, Looking, Screens, Time};
use Screen::{Cluster, Demos, Log, Metrics, Redundancy, Relay, Sequence, Stable};

/// All commands.
pub(crate) const COMMANDS: &[Command] = &[
    command(Id::Down, &["j", "down"], "down", "One row down."),
    command(Id::Up, &["k", "up"], "up", "One row up."),
    command(Id::Top, &["g", "home"], "top", "To the first row."),
    command(Id::Bottom, &["G", "end"], "bottom", "To the last row."),
    command(Id::HalfDown, &["ctrl-d", "pagedown"], "half a page down", "Half a page down."),
    command(Id::HalfUp, &["ctrl-u", "pageup"], "half a page up", "Half a page up."),
    command(Id::Left, &["h", "left"], "cell to the left", "Chooses the cell to the left, for y."),
    command(Id::Right, &["l", "right"], "cell to the right", "Chooses the cell to the right, for y."),
    command(Id::NextPane, &["tab"], "next pane", "Gives the focus to the next pane."),
    command(Id::PreviousPane, &["backtab"], "previous pane", "Gives the focus to the previous pane."),
    command(Id::Enter, &["enter"], "open", "Opens what is chosen: an alias, a row, a table, a demo.")
        .footer(1),
    command(Id::Back, &["esc"], "back", "Closes the popup, then the filter, then goes back. Never quits."),
    command(Id::Go(Cluster), &["1"], "Cluster", "Topology and port alias table.").chapter(Screens),
    command(
        Id::Go(Redundancy),
        &["2"],
        "Redundancy",
        "The redundancy table of an alias: which calls are known.",
    )
    .chapter(Screens),
    command(
        Id::Go(Relay),
        &["3"],
        "Relay",
        "The transactions of a relay: what was called on behalf of which call, and why it waits.",
    )
    .chapter(Screens),
    command(
        Id::Go(Sequence),
        &["4"],
        "Sequence",
        "The message sequence chart: who told whom what, one call or everything.",
    )
    .chapter(Screens),
    command(Id::Go(Stable), &["5"], "Stable", "The stable areas, decoded and in hexadecimal digits.")
        .chapter(Screens),
    command(
        Id::Go(Metrics),
        &["6"],
        "Metrics",
        "Takeovers with their parts, calls a second, how long calls took, and each process in numbers.",
    )
    .chapter(Screens),
    command(Id::Go(Log), &["7"], "Log", "Everything that happened, from all processes.").chapter(Screens),
    command(Id::Go(Demos), &["8"], "Demos", "Clusters to spawn, and their guided tours.").chapter(Screens),
    command(
        Id::Filter,
        &["/"],
        "filter",
        "Shows only rows that match a regular expression; ! inverts it, COLUMN: asks one column.",
    )
    .chapter(Looking)
    .footer(6),
    command(Id::Sort, &["s"], "sort", "Sorts by the next column, upwards, then downwards.")
        .chapter(Looking)
        .on(&[Cluster, Redundancy, Relay, Stable, Metrics, Log, Demos])
        .footer(7),
    command(Id::Follow, &["f"], "follow", "Stays at the newest line, or stops to.")
        .chapter(Looking)
        .on(&[Log, Sequence])
        .footer(5),
    command(Id::Chart, &["c"], "chart", "Follows the call of the chosen row through all processes.")
        .chapter(Looking)
        .on(&[Cluster, Redundancy, Relay, Log, Sequence])
        .footer(3),
    command(
        Id::Fold,
        &["z"],
        "fold",
        "Folds longer times in which nothing happens, then shorter ones again.",
    )
    .chapter(Looking)
    .on(&[Sequence])
    .footer(4),
    command(Id::Finer, &["z"], "finer", "Makes the strips of takeovers finer.")
        .chapter(Looking)
        .on(&[Metrics])
        .footer(5),
    command(Id::Coarser, &["Z"], "coarser", "Makes the strips of takeovers coarser.")
        .chapter(Looking)
        .on(&[Metrics])
        .footer(5),
    command(
        Id::BusyLanes,
        &["Z"],
        "busy lanes",
        "Hides the lanes of processes with which nothing happens, or shows them again.",
    )
    .chapter(Looking)
    .on(&[Sequence])
    .footer(5),
    command(Id::NextAlias, &["]"], "next alias", "Shows the next alias.")
        .chapter(Looking)
        .on(&[Redundancy, Relay])
        .footer(4),
    command(Id::PreviousAlias, &["["], "previous alias", "Shows the previous alias.")
        .chapter(Looking)
        .on(&[Redundancy, Relay]),
    command(
        Id::Check,
        &["i"],
        "check integrity",
        "Reads every record of the chosen area and counts the damaged ones.",
    )
    .chapter(Looking)
    .on(&[Stable])
    .footer(4),
    command(Id::CopyCell, &["y"], "copy cell", "Copies the chosen cell through the terminal (OSC 52).")
        .chapter(Looking),
    command(Id::CopyRow, &["Y"], "copy row", "Copies the chosen row as JSON through the terminal (OSC 52).")
        .chapter(Looking),
    command(Id::Export, &["e"], "export", "Writes the table as it is filtered and sorted to a file.")
        .chapter(Looking)
        .footer(9),
    command(Id::ExportJson, &["e j"], "export JSON", "The table to a file, as JSON.").chapter(Looking),
    command(Id::ExportCsv, &["e c"], "export CSV", "The table to a file, as CSV.").chapter(Looking),
    command(Id::ExportSvg, &["e s"], "export SVG", "The chart to a file, as an SVG picture.")
        .chapter(Looking)
        .on(&[Sequence]),
    command(Id::ExportMermaid, &["e m"], "export Mermaid", "The chart to a file, in Mermaid's language.")
        .chapter(Looking)
        .on(&[Sequence]),
    command(
        Id::ExportShiviz,
        &["e v"],
        "export ShiViz",
        "The chart to a file, as a log with vector clocks for ShiViz.",
    )
    .chapter(Looking)
    .on(&[Sequence]),
    command(Id::Screenshot, &["S"], "screenshot", "Writes this screen to a file.").chapter(Looking),
    command(Id::ScreenshotText, &["S t"], "screenshot as text", "This screen to a file, as text.")
        .chapter(Looking),
    command(Id::ScreenshotSvg, &["S s"], "screenshot as SVG", "This screen to a file, as an SVG picture.")
        .chapter(Looking),
    command(Id::Pause, &["space"], "pause", "Stops the picture at this moment, or goes back to live.")
        .chapter(Time)
        .footer(8),
    command(
        Id::StepBack,
        &[","],
        "event back",
        "One event back: every screen shows the tables as they were.",
    )
    .chapter(Time)
    .footer(8),
    command(Id::StepForward, &["."], "event on", "One event on.").chapter(Time).footer(8),
    command(Id::MarkBack, &["<"], "previous defect", "Back to the defect or takeover before.").chapter(Time),
    command(Id::MarkForward, &[">"], "next defect", "On to the next defect or takeover.").chapter(Time),
    command(Id::Act, &["x"], "act", "What can be done to the chosen process.")
        .chapter(Acting)
        .on(&[Cluster, Redundancy, Relay, Stable, Metrics])
        .footer(2),
    command(
        Id::Defects,
        &["d"],
        "defects",
        "Every defect there is, what it would do, and the ledger of what was done and came of it.",
    )
    .chapter(Acting)
    .footer(4),
    command(
        Id::Sweep,
        &["m"],
        "sweep",
        "The results of `palib sweep`: every defect at every place, and what came of it.",
    )
    .chapter(Looking)
    .on(&[Metrics, Demos])
    .footer(5),
    command(Id::Kill, &["x k"], "kill", "Kills the chosen process with SIGKILL. Its backup takes over.")
        .chapter(Acting),
    command(Id::Hang, &["x h"], "hang", "Stops the chosen process with SIGSTOP until it is resumed.")
        .chapter(Acting),
    command(Id::HangFor, &["x s"], "hang for…", "Stops the chosen process for some time.").chapter(Acting),
    command(Id::Resume, &["x r"], "resume", "Lets a hung process go on.").chapter(Acting),
    command(Id::Exit, &["x e"], "exit", "Lets the chosen process end in good order. Its backup takes over.")
        .chapter(Acting),
    command(Id::Restart, &["x t"], "restart", "Ends the chosen process in good order and starts it again.")
        .chapter(Acting),
    command(Id::AddBackup, &["x b"], "add a backup", "Adds a member to the alias.").chapter(Acting),
    command(
        Id::Undo,
        &["u"],
        "undo",
        "Takes back the last thing that can be: a hang, a cut, an armed point, a change of policy.",
    )
    .chapter(Acting),
    command(
        Id::HealAll,
        &["U"],
        "heal all",
        "Takes back every defect that lasts: who hangs or waits goes on, what is armed is not any more.",
    )
    .chapter(Acting),
    command(
        Id::Resolve,
        &["r"],
        "resolve",
        "Decides about the chosen call in doubt, or about a transaction.",
    )
    .chapter(Acting)
    .on(&[Redundancy, Relay])
    .footer(3),
    command(Id::ResolveReply, &["r r"], "resolve: reply", "Registers a reply for the call.")
        .chapter(Acting)
        .on(&[Redundancy, Relay]),
    command(
        Id::ResolveRerun,
        &["r e"],
        "resolve: rerun",
        "Executes the request again; a relay, over its journal.",
    )
    .chapter(Acting)
    .on(&[Redundancy, Relay]),
    command(
        Id::ResolveRollBack,
        &["r b"],
        "resolve: roll back",
        "Cancels a transaction: what a relay called is undone.",
    )
    .chapter(Acting)
    .on(&[Redundancy, Relay]),
    command(Id::ResolveFail, &["r f"], "resolve: fail", "Registers a failure for the call.")
        .chapter(Acting)
        .on(&[Redundancy, Relay]),
    command(Id::Policy, &["p"], "policy", "Changes what a takeover does with the chosen transaction.")
        .chapter(Acting)
        .on(&[Relay])
        .footer(3),
    command(
        Id::PolicyForward,
        &["p f"],
        "policy: roll forward",
        "At a takeover, unanswered calls are sent again.",
    )
    .chapter(Acting)
    .on(&[Relay]),
    command(
        Id::PolicySubstitute,
        &["p s"],
        "policy: substitute",
        "At a takeover, the service may replace unanswered calls.",
    )
    .chapter(Acting)
    .on(&[Relay]),
    command(Id::PolicyBack, &["p b"], "policy: roll back", "At a takeover, all that was called is undone.")
        .chapter(Acting)
        .on(&[Relay]),
    command(
        Id::TourStep,
        &["n"],
        "next step",
        "Lets who waits at a defect point go on; if nobody waits, does the next step of the tour.",
    )
    .chapter(Acting)
    .footer(2),
    command(
        Id::StepEach,
        &["N"],
        "to the next point",
        "Lets who waits at a defect point go on to the next one, and has every point of its alias waited at.",
    )
    .chapter(Acting)
    .footer(2),
    command(Id::TourEnd, &["T"], "end the tour", "Ends the tour and takes the wheel; the cluster stays.")
        .chapter(Acting),
    command(Id::Palette, &[":"], "palette", "Finds any command by a few letters of its name.")
        .chapter(Console)
        .footer(10),
    command(Id::Help, &["?"], "help", "All keys; what is typed searches, Enter runs.")
        .chapter(Console)
        .footer(11),
    command(Id::Mouse, &["%"], "mouse", "Takes the mouse, or leaves it to the terminal.").chapter(Console),
    command(Id::Repaint, &["ctrl-l"], "repaint", "Paints the screen anew.").chapter(Console),
    command(Id::Suspend, &["ctrl-z"], "suspend", "Back to the shell; fg returns.").chapter(Console),
    command(Id::Quit, &["q"], "quit", "Backs out, then quits and asks whether the cluster stays up.")
        .chapter(Console)
        .footer(12),
    command(
        Id::QuitNow,
        &["ctrl-c"],
        "quit at once",
        "Quits at once. A cluster this console started goes down.",
    )
    .chapter(Console),
];

/// The command of this id.
#[must_use]
pub(crate) fn find(id: Id) -> &'static Command {
    COMMANDS.iter().find(|command| command.id == id).expect("every id stands in the table, as a test proves")
}

/// The command of this key on this screen.
#[must_use]
pub(crate) fn by_key(key: &str, screen: Screen) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.is_on(screen) && command.keys.contains(&key))
}

/// The key reference of the documentation.
#[must_use]
pub fn reference() -> String {
    let mut out = String::from(
        "# Keys\n\nMade from the console's table of commands; `:` finds each by name, `?` searches these sentences.\n",
    );
    for chapter in [Chapter::Moving, Screens, Looking, Time, Acting, Console] {
        out.push_str(&format!("\n## {}\n\n| keys | command | does |\n|---|---|---|\n", chapter.title()));
        for command in COMMANDS.iter().filter(|command| command.chapter == chapter) {
            let keys: Vec<String> = command.keys.iter().map(|key| format!("`{}`", key_label(key))).collect();
            let screens: Vec<&str> = command.screens.iter().map(|screen| screen.name()).collect();
            let only = if screens.is_empty() { String::new() } else { format!(" ({})", screens.join(", ")) };
            out.push_str(&format!("| {} | {} | {}{only} |\n", keys.join(" "), command.name, command.help));
        }
    }
    out
}

/// A key as it is shown.
#[must_use]
pub(crate) fn key_label(key: &str) -> String {
    let mut words = key.split(' ').map(|word| match word {
        "enter" => "Enter".to_owned(),
        "esc" => "Esc".to_owned(),
        "tab" => "Tab".to_owned(),
        "backtab" => "S-Tab".to_owned(),
        "space" => "Space".to_owned(),
        "pagedown" => "PgDn".to_owned(),
        "pageup" => "PgUp".to_owned(),
        _ => match word.strip_prefix("ctrl-") {
            Some(letter) => format!("^{letter}"),
            None => word.to_owned(),
        },
    });
    let first = words.next().unwrap_or_default();
    words.fold(first, |all, word| format!("{all} {word}"))
}
