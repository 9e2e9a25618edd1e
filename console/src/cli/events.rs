//! `palib events`.

use palib::control::{Event, OperatorAnswer, OperatorRequest, What};

use super::ps::unexpected;
use super::{Context, Failure, output};
use crate::world;

/// So many of the newest events are searched for a text. Not all that are kept: the FTM copies what it is asked for, and has
/// takeovers to make meanwhile.
const SEARCHED: usize = 5_000;

/// What happened.
#[derive(Debug, clap::Args)]
pub(super) struct Events {
    /// Go on with each event as it happens
    #[arg(long, short)]
    follow: bool,
    /// Show at most so many: the newest of those that are wanted
    #[arg(long, default_value_t = 200)]
    limit: usize,
    /// From this number on
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Measurements too
    #[arg(long)]
    stats: bool,
    /// The steps of sampled calls too: sent, received, executed, durable, answered
    #[arg(long)]
    steps: bool,
    /// Only events in whose line this text occurs; the newest 5000 or `--limit` are searched
    #[arg(long, default_value = "", hide_default_value = true)]
    grep: String,
}

impl Events {
    pub(super) async fn run(self, context: &Context) -> Result<(), Failure> {
        let client = context.connect().await?;
        // One more than is shown tells whether something is left out.
        let more = self.limit.saturating_add(1);
        let limit = if self.grep.is_empty() { more } else { more.max(SEARCHED) };
        let request = OperatorRequest::Events { from_seq: self.from, limit };
        let kept = match client.request(request).await? {
            OperatorAnswer::Events(events) => events,
            other => return Err(unexpected(&other)),
        };
        let mut next = kept.last().map_or(self.from, |event| event.seq + 1);
        let mut shown: Vec<&Event> = kept.iter().filter(|event| self.wanted(event)).collect();
        let left_out = shown.len().saturating_sub(self.limit);
        shown.drain(..left_out);
        if !self.follow {
            if context.json {
                output::json_rows(&shown)?;
            } else {
                shown.into_iter().try_for_each(print)?;
            }
            if left_out > 0 {
                output::hint("… and older ones: --limit N shows so many, --grep TEXT those that contain it");
            }
            return Ok(());
        }
        // Followed events have no end, so they are JSON lines and no array.
        let print = |event: &Event| if context.json { output::json(event) } else { print(event) };
        shown.into_iter().try_for_each(print)?;
        let mut stream = client.subscribe(next);
        while let Some(events) = stream.next().await {
            for event in events.iter().filter(|event| event.seq >= next && self.wanted(event)) {
                print(event)?;
            }
            next = events.last().map_or(next, |event| event.seq + 1);
        }
        Ok(())
    }

    fn wanted(&self, event: &Event) -> bool {
        (self.stats || !matches!(event.what, What::Stats(_)))
            && (self.steps || !world::is_step(&event.what))
            && (self.grep.is_empty() || text(event).contains(&self.grep))
    }
}

fn print(event: &Event) -> Result<(), Failure> {
    output::line(text(event))
}

fn text(event: &Event) -> String {
    let words = world::describe(&event.process, &event.what);
    let (process, subject, text) = (&event.process, &words.subject, &words.text);
    output::visible(&format!("{}  {process:<12} {:<9} {subject}  {text}", clock(event.unix_ms), words.kind))
}

/// The time of day in UTC, to the millisecond.
fn clock(unix_ms: u64) -> String {
    let (ms, seconds) = (unix_ms % 1000, unix_ms / 1000 % 86_400);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
