//! The screens and the tables on them.

/// A screen. The numbers are the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Screen {
    /// Topology and port alias table.
    Cluster,
    /// The redundancy table of an alias.
    Redundancy,
    /// The transactions of a relay.
    Relay,
    /// The message sequence chart.
    Sequence,
    /// The stable areas.
    Stable,
    /// Takeovers, load and processes in numbers.
    Metrics,
    /// The merged log.
    Log,
    /// The demos and their tours.
    #[default]
    Demos,
}

impl Screen {
    /// All screens, in the order of their numbers.
    pub(crate) const ALL: [Screen; 8] = [
        Screen::Cluster,
        Screen::Redundancy,
        Screen::Relay,
        Screen::Sequence,
        Screen::Stable,
        Screen::Metrics,
        Screen::Log,
        Screen::Demos,
    ];

    /// Its key.
    #[must_use]
    pub(crate) fn number(self) -> char {
        match self {
            Screen::Cluster => '1',
            Screen::Redundancy => '2',
            Screen::Relay => '3',
            Screen::Sequence => '4',
            Screen::Stable => '5',
            Screen::Metrics => '6',
            Screen::Log => '7',
            Screen::Demos => '8',
        }
    }

    /// Its name.
    #[must_use]
    pub(crate) fn name(self) -> &'static str {
        match self {
            Screen::Cluster => "Cluster",
            Screen::Redundancy => "Redundancy",
            Screen::Relay => "Relay",
            Screen::Sequence => "Sequence",
            Screen::Stable => "Stable",
            Screen::Metrics => "Metrics",
            Screen::Log => "Log",
            Screen::Demos => "Demos",
        }
    }

    /// Its panes, in the order in which `Tab` goes through them.
    #[must_use]
    pub(crate) fn panes(self) -> &'static [Pane] {
        match self {
            Screen::Cluster => &[Pane::Aliases, Pane::LastEvents],
            Screen::Redundancy => &[Pane::Redundancy],
            Screen::Relay => &[Pane::Relays, Pane::Journal],
            Screen::Sequence => &[Pane::Sequence],
            Screen::Stable => &[Pane::Areas, Pane::Records],
            Screen::Metrics => &[Pane::Takeovers, Pane::Gauges],
            Screen::Log => &[Pane::Log],
            Screen::Demos => &[Pane::Demos, Pane::Steps],
        }
    }
}

/// A table on a screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Pane {
    /// The port alias table.
    Aliases,
    /// The newest events on the first screen.
    LastEvents,
    /// The redundancy table.
    Redundancy,
    /// The transactions of a relay.
    Relays,
    /// The calls made on behalf of the chosen transaction.
    Journal,
    /// The steps of the sequence chart.
    Sequence,
    /// The stable areas and their tables.
    Areas,
    /// The rows of a table of a stable area.
    Records,
    /// The log.
    Log,
    /// The takeovers with their parts.
    Takeovers,
    /// What processes measure of themselves.
    Gauges,
    /// The ledger of defects, in their palette.
    Ledger,
    /// The demos.
    Demos,
    /// The steps of the chosen demo's tour.
    Steps,
}
