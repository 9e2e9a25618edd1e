//! What was injected, as a command that does it again.

use crate::tui::app::App;
use crate::tui::msg::Cmd;
use crate::units;
use crate::world::{DefectView, Tone};
use std::time::Duration;

/// How long the run goes on after the last defect, in milliseconds.
const AFTER_MS: u64 = 5_000;

/// Writes the ledger as a `palib run` that injects the same at the same times.
pub(super) fn save(app: &mut App) -> Vec<Cmd> {
    let Some(content) = script(app) else {
        app.tell(Tone::Warn, "nothing was injected yet");
        return Vec::new();
    };
    vec![Cmd::Save { stem: "palib-scenario".to_owned(), extension: "sh", content }]
}

fn script(app: &App) -> Option<String> {
    let world = app.world();
    let first = world.defects.front()?.at_unix_ms;
    let last = world.defects.back()?.at_unix_ms;
    let cluster = world.cluster.as_deref().unwrap_or("FILE");
    let length = units::duration(Duration::from_millis(last - first + 1000 + AFTER_MS));
    let mut out = format!(
        "#!/bin/sh\n# What was injected into {cluster}, as one run. Healing has no words here: what was healed lasts, but for hangs.\n\
         palib run {cluster} --for {length}"
    );
    for defect in &world.defects {
        let after = units::duration(Duration::from_millis(defect.at_unix_ms - first + 1000));
        out.push_str(&format!(" \\\n  --defect 'after {after} {}'", spec(defect)));
    }
    out.push('\n');
    Some(out)
}

/// A defect in words; a hang that was ended lasts as long as it did.
fn spec(defect: &DefectView) -> String {
    let words: Vec<&str> = defect.spec.split_whitespace().collect();
    match (words[..].first(), words.len(), defect.healed_unix_ms) {
        (Some(&"hang"), 2, Some(healed)) => {
            let span = units::duration(Duration::from_millis(healed.saturating_sub(defect.at_unix_ms)));
            format!("{} {span}", defect.spec)
        }
        _ => defect.spec.clone(),
    }
}
