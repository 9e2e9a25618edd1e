//! The event log: numbers events, keeps the newest in memory, writes them to a file, and feeds who follows.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;

use palib::control::{Event, FromFtmToOperator, What};
use palib::transport::Link;

use crate::world::is_step;

/// Events kept in memory, measurements apart.
const KEPT_MAX: usize = 100_000;
/// Measurements kept in memory: they come several times a second from each process and age fast.
const STATS_KEPT_MAX: usize = 4_000;
/// Steps of sampled calls kept in memory.
const STEPS_KEPT_MAX: usize = 20_000;
/// Events in one frame to an operator.
const BATCH_MAX: usize = 200;
/// Events in one answer: more would not fit into a frame.
const NEWEST_MAX: usize = 8_000;
/// How much of the end of the file a restarted FTM reads back.
const READ_BACK_BYTES: u64 = 8 * 1024 * 1024;

/// The event log of one FTM.
pub(crate) struct EventLog {
    next: u64,
    kept: VecDeque<Arc<Event>>,
    stats: VecDeque<Arc<Event>>,
    steps: VecDeque<Arc<Event>>,
    file: mpsc::Sender<Arc<Event>>,
    followers: BTreeMap<u64, Link>,
    fresh: Vec<Arc<Event>>,
}

impl EventLog {
    /// Opens the log on a file, reads back the end of what is there, and numbers on from `floor` or from what the
    /// file has, whichever is higher.
    pub(crate) fn open(path: &Path, floor: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
        let events = read_back(&mut file)?;
        let next = events.back().map_or(0, |event| event.seq + 1).max(floor);
        let (mut steps, kept): (VecDeque<_>, _) =
            events.into_iter().partition(|event: &Arc<Event>| is_step(&event.what));
        steps.drain(..steps.len().saturating_sub(STEPS_KEPT_MAX));
        let (send, receive) = mpsc::channel();
        thread::Builder::new().name("events".into()).spawn(move || write_lines(&receive, file))?;
        Ok(Self {
            next,
            kept,
            stats: VecDeque::new(),
            steps,
            file: send,
            followers: BTreeMap::new(),
            fresh: Vec::new(),
        })
    }

    /// The number the next event gets.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// Events that are kept, measurements and steps apart, oldest first.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &Event> {
        self.kept.iter().map(AsRef::as_ref)
    }

    /// Adds an event under the next number. Followers get it at the next [`Self::flush`].
    pub(crate) fn add(&mut self, mut event: Event) {
        event.seq = self.next;
        self.next += 1;
        let event = Arc::new(event);
        let is_stats = matches!(event.what, What::Stats(_));
        // Each has room of its own: what comes by the hundred must not push out what comes once.
        let (kept, most) = match &event.what {
            What::Stats(_) => (&mut self.stats, STATS_KEPT_MAX),
            what if is_step(what) => (&mut self.steps, STEPS_KEPT_MAX),
            _ => (&mut self.kept, KEPT_MAX),
        };
        kept.push_back(event.clone());
        if kept.len() > most {
            kept.pop_front();
        }
        if !is_stats {
            // The thread ends only with the FTM.
            let _ = self.file.send(event.clone());
        }
        if !self.followers.is_empty() {
            self.fresh.push(event);
        }
    }

    /// Sends followers what was added since the last time. Kept apart from adding, so that it never lies in the
    /// way of a takeover.
    pub(crate) fn flush(&mut self) {
        let fresh = std::mem::take(&mut self.fresh);
        for batch in fresh.chunks(BATCH_MAX) {
            let events = batch.iter().map(|event| (**event).clone()).collect();
            let frame = FromFtmToOperator::Events { events };
            self.followers.retain(|_, link| sent(link, &frame));
        }
    }

    /// Sends an operator what is kept from a number on, and from now on everything.
    pub(crate) fn follow(&mut self, link: Link, from_seq: u64) {
        self.flush();
        for batch in self.since(from_seq).chunks(BATCH_MAX) {
            if !sent(&link, &FromFtmToOperator::Events { events: batch.to_vec() }) {
                return;
            }
        }
        self.followers.insert(link.number(), link);
    }

    /// The operator's link is gone.
    pub(crate) fn unfollow(&mut self, link: u64) {
        self.followers.remove(&link);
    }

    /// What is kept from a number on, in order.
    pub(crate) fn since(&self, from_seq: u64) -> Vec<Event> {
        let after = |kept: &VecDeque<Arc<Event>>| {
            let start = kept.partition_point(|event| event.seq < from_seq);
            kept.iter().skip(start).map(|event| (**event).clone()).collect::<Vec<_>>()
        };
        let mut events = after(&self.kept);
        events.append(&mut after(&self.stats));
        events.append(&mut after(&self.steps));
        events.sort_by_key(|event| event.seq);
        events
    }

    /// So many of the newest, and the measurements and steps that came since the first of them.
    pub(crate) fn newest(&self, from_seq: u64, limit: usize) -> Vec<Event> {
        let kept_from = self.kept.len().saturating_sub(limit);
        let first = self.kept.get(kept_from).map_or(from_seq, |event| event.seq.max(from_seq));
        let mut events = self.since(first);
        events.drain(..events.len().saturating_sub(NEWEST_MAX));
        events
    }
}

/// Sends a follower something. One whose link can't take it would miss it and not know: its link is closed. An operator that
/// connects again asks from where it was.
fn sent(link: &Link, frame: &FromFtmToOperator) -> bool {
    let sent = link.send_control(frame);
    if let Err(error) = &sent {
        link.close(&format!("events could not be sent: {error}"));
    }
    sent.is_ok()
}

/// The events at the end of the file. A last line that a crash cut off is left out, and ended, so that the next one
/// starts on a line of its own.
fn read_back(file: &mut File) -> io::Result<VecDeque<Arc<Event>>> {
    let length = file.seek(SeekFrom::End(0))?;
    let start = length.saturating_sub(READ_BACK_BYTES);
    file.seek(SeekFrom::Start(start))?;
    let mut events = VecDeque::new();
    let mut whole = true;
    for line in BufReader::new(&mut *file).split(b'\n').skip(usize::from(start > 0)) {
        let parsed = serde_json::from_slice(&line?);
        whole = parsed.is_ok();
        events.extend(parsed.ok().map(Arc::new));
    }
    file.seek(SeekFrom::End(0))?;
    if !whole {
        file.write_all(b"\n")?;
    }
    Ok(events)
}

fn write_lines(events: &mpsc::Receiver<Arc<Event>>, file: File) {
    let mut out = BufWriter::new(file);
    let mut failed = false;
    while let Ok(first) = events.recv() {
        let written = std::iter::once(first).chain(events.try_iter()).try_for_each(|event| {
            serde_json::to_writer(&mut out, &*event)?;
            out.write_all(b"\n")
        });
        if let Err(error) = written.and_then(|()| out.flush())
            && !failed
        {
            // The log is for people; service goes on without it.
            failed = true;
            tracing::error!(%error, "events can't be written to their file; they are kept in memory only");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(text: &str) -> Event {
        let what = What::Log { level: "info".into(), text: text.into() };
        Event { seq: 0, at_ns: 1, unix_ms: 1, process: "ftm".into(), what }
    }

    fn wait_for_lines(path: &Path, lines: usize) {
        let start = std::time::Instant::now();
        while std::fs::read_to_string(path).unwrap().lines().count() < lines {
            assert!(start.elapsed().as_secs() < 20, "the lines are written");
            thread::yield_now();
        }
    }

    #[test]
    fn a_reopened_log_has_the_old_events_and_numbers_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::open(&path, 5).unwrap();
        log.add(event("a"));
        log.add(event("b"));
        log.add(Event { what: What::Stats(palib::control::NodeStats::default()), ..event("") });
        assert_eq!(log.since(6).iter().map(|event| event.seq).collect::<Vec<_>>(), [6, 7]);
        wait_for_lines(&path, 2);
        drop(log);
        let log = EventLog::open(&path, 0).unwrap();
        assert_eq!(log.kept().map(|event| event.seq).collect::<Vec<_>>(), [5, 6]);
        assert_eq!(log.next(), 7);
        assert_eq!(log.newest(0, 1)[0].seq, 6);
    }

    #[test]
    fn steps_of_calls_push_out_nothing_and_number_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let mut log = EventLog::open(&path, 0).unwrap();
        let step =
            || Event { what: What::Executing { call: "a/i1/1".into(), alias: "b".into() }, ..event("") };
        log.add(event("a"));
        (0..STEPS_KEPT_MAX + 5).for_each(|_| log.add(step()));
        log.add(event("b"));
        assert_eq!(log.kept().count(), 2);
        assert_eq!(log.newest(0, 1).len(), 1, "steps before the newest are not asked for");
        let next = log.next();
        log.add(step());
        wait_for_lines(&path, STEPS_KEPT_MAX + 8);
        drop(log);
        let log = EventLog::open(&path, 0).unwrap();
        assert_eq!((log.kept().count(), log.next()), (2, next + 1), "a step was last");
    }

    #[test]
    fn a_line_that_a_crash_cut_off_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let whole = serde_json::to_string(&event("a")).unwrap();
        std::fs::write(&path, format!("{whole}\n{}", &whole[..20])).unwrap();
        let mut log = EventLog::open(&path, 0).unwrap();
        log.add(event("b"));
        wait_for_lines(&path, 3);
        drop(log);
        assert_eq!(EventLog::open(&path, 0).unwrap().kept().count(), 2);
    }
}
