//! How meaning looks: a glyph, a word and a colour, so that any one of them may be missing.

use ratatui::style::{Color, Modifier, Style};

use crate::world::Tone;

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Colours {
    /// None: `NO_COLOR`, or a dumb terminal.
    None,
    /// The sixteen that the user chose for the terminal.
    #[default]
    Sixteen,
    /// As many as there are (`COLORTERM`).
    True,
}

/// What the terminal can show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Theme {
    /// Colours.
    pub colours: Colours,
    /// Whether glyphs and lines stay within ASCII.
    pub ascii: bool,
}

impl Theme {
    /// Reads `NO_COLOR`, `COLORTERM`, `TERM` and the locale; `ascii` forces the ASCII set.
    #[must_use]
    pub(crate) fn of_environment(ascii: bool, variable: impl Fn(&str) -> Option<String>) -> Theme {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let colours = if set("NO_COLOR").is_some() || set("TERM").as_deref() == Some("dumb") {
            Colours::None
        } else if set("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit") {
            Colours::True
        } else {
            Colours::Sixteen
        };
        // The first of these that is set decides, as it does for the C library.
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
        let utf8 = locale.is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        Theme { colours, ascii: ascii || !utf8 }
    }

    /// The style of a meaning.
    #[must_use]
    pub(crate) fn style(&self, tone: Tone) -> Style {
        let plain = Style::default();
        let (sixteen, true_colour) = match tone {
            Tone::Good => (Color::Green, Color::Rgb(120, 200, 120)),
            Tone::Standby => (Color::Cyan, Color::Rgb(110, 195, 205)),
            Tone::Warn => (Color::Yellow, Color::Rgb(230, 190, 95)),
            Tone::Bad => (Color::Red, Color::Rgb(235, 105, 100)),
            Tone::Injected => (Color::Magenta, Color::Rgb(205, 130, 215)),
            Tone::Past => return self.dim(),
            Tone::Plain => return plain,
        };
        match self.colours {
            // Without colours, what is wrong still stands out.
            Colours::None if matches!(tone, Tone::Bad | Tone::Injected) => plain.add_modifier(Modifier::BOLD),
            Colours::None => plain,
            Colours::Sixteen => plain.fg(sixteen),
            Colours::True => plain.fg(true_colour),
        }
    }

    /// For lines, hints and what is over.
    #[must_use]
    pub(crate) fn dim(&self) -> Style {
        match self.colours {
            Colours::True => Style::default().fg(Color::Rgb(130, 135, 140)),
            _ => Style::default().add_modifier(Modifier::DIM),
        }
    }

    /// For keys and headings.
    #[must_use]
    pub(crate) fn strong(&self) -> Style {
        Style::default().add_modifier(Modifier::BOLD)
    }

    /// For what is chosen. Reverse video survives the loss of every colour.
    #[must_use]
    pub(crate) fn chosen(&self) -> Style {
        Style::default().add_modifier(Modifier::REVERSED)
    }

    /// The glyph of a meaning.
    #[must_use]
    pub(crate) fn glyph(&self, tone: Tone) -> &'static str {
        let (unicode, ascii) = match tone {
            Tone::Good => ("●", "*"),
            Tone::Standby => ("○", "o"),
            Tone::Warn => ("▲", "!"),
            Tone::Bad => ("✖", "x"),
            Tone::Injected => ("↯", "%"),
            Tone::Past | Tone::Plain => ("·", "."),
        };
        self.pick(unicode, ascii)
    }

    /// One of two texts.
    #[must_use]
    pub(crate) fn pick(&self, unicode: &'static str, ascii: &'static str) -> &'static str {
        if self.ascii { ascii } else { unicode }
    }

    /// What stands for text that was cut off.
    #[must_use]
    pub(crate) fn ellipsis(&self) -> &'static str {
        self.pick("…", "~")
    }

    /// Text in the terminal's character set: the few glyphs that sentences contain have spelled-out forms.
    #[must_use]
    pub(crate) fn text(&self, text: &str) -> String {
        text.chars().map(|c| self.character(c)).collect()
    }

    fn character(&self, c: char) -> char {
        match c {
            _ if c.is_control() => ' ',
            _ if c.is_ascii() || !self.ascii => c,
            'µ' => 'u',
            '…' => '~',
            '·' => '.',
            '─' | '→' | '–' => '-',
            '✔' => '+',
            '▲' => '^',
            '▼' => 'v',
            _ => '?',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn theme(variables: &[(&str, &str)]) -> Theme {
        let find =
            |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        Theme::of_environment(false, find)
    }

    #[test]
    fn the_environment_decides_over_colours_and_characters() {
        type Case = (&'static [(&'static str, &'static str)], Colours, bool);
        let cases: &[Case] = &[
            (&[("LANG", "de_DE.UTF-8")], Colours::Sixteen, false),
            (&[("LANG", "C.utf8"), ("COLORTERM", "truecolor")], Colours::True, false),
            (&[("LANG", "C.utf8"), ("COLORTERM", "truecolor"), ("NO_COLOR", "1")], Colours::None, false),
            (&[("LANG", "C.utf8"), ("NO_COLOR", "")], Colours::Sixteen, false),
            (&[("LANG", "C.utf8"), ("LC_ALL", "C")], Colours::Sixteen, true),
            (&[("TERM", "dumb")], Colours::None, true),
            (&[], Colours::Sixteen, true),
        ];
        for (variables, colours, ascii) in cases {
            assert_eq!(theme(variables), Theme { colours: *colours, ascii: *ascii }, "{variables:?}");
        }
    }
}
