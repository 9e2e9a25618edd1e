//! Charts in Mermaid's language, which many places that show Markdown draw.

use std::fmt::Write as _;

use super::{Carries, Chart, Shape, Shows, Sign, Step};

/// A chart as a Mermaid sequence diagram.
#[must_use]
pub fn mermaid(chart: &Chart) -> String {
    let mut out = String::from("sequenceDiagram\n");
    for (number, lane) in chart.lanes.iter().enumerate() {
        let _ = writeln!(out, "    participant p{number} as {}", plain(&lane.process));
    }
    for line in &chart.lines {
        match &line.shows {
            Shows::Step(step) => out.push_str(&drawn(chart, step)),
            Shows::Gap(gap) => {
                let what = gap
                    .blackout
                    .as_ref()
                    .map_or("nothing happens".to_owned(), |alias| format!("nobody serves {alias}"));
                let text = format!("{}: {what}", crate::world::duration_us(gap.us));
                out.push_str(&across(chart, &text));
            }
        }
    }
    out
}

fn drawn(chart: &Chart, step: &Step) -> String {
    let text = format!("{} {}", chart.clock(step.at_ns), plain(&step.label));
    match &step.shape {
        Shape::Arrow(arrow) => {
            let line = match (arrow.carries, arrow.lost) {
                (_, true) => "-x",
                (Carries::Answer, _) => "-->>",
                (Carries::Request | Carries::Again | Carries::Cancel, _) => "->>",
            };
            format!("    p{}{line}p{}: {text}\n", arrow.from, arrow.to)
        }
        Shape::Mark { lane, sign } => {
            let sign = match sign {
                Sign::Death => "✖ ",
                Sign::Injected => "↯ ",
                Sign::Stable => "▣ ",
                Sign::Service => "● ",
                _ => "",
            };
            format!("    Note over p{lane}: {sign}{text}\n")
        }
        Shape::Across => across(chart, &text),
    }
}

fn across(chart: &Chart, text: &str) -> String {
    match chart.lanes.len() {
        0 => String::new(),
        1 => format!("    Note over p0: {text}\n"),
        lanes => format!("    Note over p0,p{}: {text}\n", lanes - 1),
    }
}

/// A text without what Mermaid takes for its own: an entity stands for each such character.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '#' | ';' | '<' | '>' => {
                let _ = write!(out, "#{};", u32::from(c));
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
