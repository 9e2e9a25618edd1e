//! An FTM that goes on where a former one ended: what it remembers, tells and shows. No process is started here.

use palib::control::{Event, ProcessRow};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::processes::How;
use super::store::{FaultState, HangState};
use super::*;

/// Nobody is started again, and nobody could be.
const FILE: &str = r#"
name = "pair"
[settings]
respawn = false
[aliases.counter]
command = ["/nowhere/at-all"]
members = 2
"#;

const COUNTER: AliasId = AliasId(1);
const FIRST: Seat = Seat(1);

/// The state folder that a former FTM left.
struct Left {
    _parent: TempDir,
    folder: StateFolder,
}

impl Left {
    /// With `counter-1` in service, for which the process of this test stands.
    fn behind(writes: &[Write]) -> Self {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = StateFolder::of(parent.path(), "pair").expect("a name");
        folder.create().expect("a state folder");
        std::fs::write(folder.cluster_file(), FILE).expect("a file");
        let store = Store::open(&folder.ftm_store()).expect("a store");
        let alias = AliasState { id: COUNTER.0, incarnation: 1, holder: Some(1), ..AliasState::default() };
        let first = [
            Write::Number("next_alias", COUNTER.0.into()),
            Write::Number("process", 2),
            Write::Alias("counter".to_owned(), alias),
            Write::Process("counter-1".to_owned(), living()),
        ];
        store.commit(&first).expect("a commit");
        store.commit(writes).expect("a commit");
        Self { _parent: parent, folder }
    }

    /// The next FTM. The receiver keeps its threads quiet.
    fn boot(&self) -> (Ftm, UnboundedReceiver<Message>) {
        let (sender, inbox) = unbounded_channel();
        (Ftm::boot(&self.folder, sender).expect("an FTM"), inbox)
    }

    /// Waits until the file of the log has what an FTM told.
    fn until_written(&self, ftm: &Ftm) {
        let start = std::time::Instant::now();
        let lines = || std::fs::read_to_string(self.folder.events()).expect("a log").lines().count();
        while lines() < ftm.log.kept().count() {
            assert!(start.elapsed().as_secs() < 20, "the log is written");
            std::thread::yield_now();
        }
    }

    /// What the store has of a process.
    fn remembered(&self, process: &str) -> ProcessState {
        let store = Store::open(&self.folder.ftm_store()).expect("a store");
        store.load().expect("what was written").processes[process].clone()
    }
}

/// A run that lives.
fn living() -> ProcessState {
    let ProcessMark { pid, start_time } = ProcessMark::own();
    let ports = vec![(COUNTER.0, 1)];
    ProcessState { process_id: 1, pid: Some(pid), start_time, ports, starts: 1, ..ProcessState::default() }
}

/// It dies.
fn die(ftm: &mut Ftm) {
    let (process, at_ns) = (ProcessId(1), now_ns());
    ftm.process_event(ProcessEvent::Exited { process, at_ns, how: How::Signal(9) });
}

fn row(ftm: &Ftm, process: &str) -> ProcessRow {
    ftm.process_rows().into_iter().find(|row| row.process == process).expect("a row")
}

fn count(ftm: &Ftm, is: impl Fn(&What) -> bool) -> usize {
    ftm.log.kept().filter(|Event { what, .. }| is(what)).count()
}

#[tokio::test]
async fn what_an_inquiry_is_told_before_the_holder_has_joined_is_not_sure() {
    let left = Left::behind(&[]);
    let (ftm, _inbox) = left.boot();
    let told = ftm.table_of([COUNTER]);
    assert_eq!((told.aliases.len(), told.unsure.len()), (0, 1), "{told:?}");
    assert_eq!(told.unsure[0].in_service(), None, "a row without a mark takes nobody's address away");
}

#[tokio::test]
async fn a_dead_process_has_neither_a_number_nor_measurements() {
    let left = Left::behind(&[]);
    let (mut ftm, _inbox) = left.boot();
    let run = ftm.runs.get_mut(&ProcessId(1)).expect("it was found");
    run.stats = NodeStats { rss_bytes: 7, cpu_ms: 7, ..NodeStats::default() };
    run.heard_ns = Some(now_ns());
    let before = row(&ftm, "counter-1");
    assert_eq!((before.pid, before.rss_bytes), (Some(std::process::id()), 7));

    die(&mut ftm);
    let after = row(&ftm, "counter-1");
    assert_eq!((after.pid, after.rss_bytes, after.cpu_ms, after.heard_ms_ago), (None, 0, 0, None));
    assert_eq!(after.state, "dead");
    let members = ftm.alias_row(COUNTER).expect("rows").members;
    assert!(members.iter().all(|member| member.pid.is_none()), "{members:?}");
}

#[tokio::test]
async fn a_death_is_told_once_whatever_becomes_of_the_ftm() {
    let left = Left::behind(&[]);
    let (mut ftm, _inbox) = left.boot();
    die(&mut ftm);
    ftm.tick();
    assert_eq!(count(&ftm, |what| matches!(what, What::Exited { .. })), 1);
    drop(ftm);
    assert_eq!(left.remembered("counter-1").pid, None);
    let (ftm, _inbox) = left.boot();
    assert_eq!(count(&ftm, |what| matches!(what, What::Exited { how, .. } if how == "unknown")), 0);
}

#[tokio::test]
async fn a_death_while_there_was_no_ftm_is_told_by_the_next_one_alone() {
    // The number of this process, but not its time: it is somebody else.
    let dead = ProcessState { start_time: 1, ..living() };
    let left = Left::behind(&[Write::Process("counter-1".to_owned(), dead)]);
    let (ftm, _inbox) = left.boot();
    assert_eq!(count(&ftm, |what| matches!(what, What::Exited { .. })), 1);
    left.until_written(&ftm);
    drop(ftm);
    std::fs::remove_file(left.folder.events()).expect("a log");
    let (ftm, _inbox) = left.boot();
    assert_eq!(count(&ftm, |what| matches!(what, What::Exited { .. })), 0);
}

#[tokio::test]
async fn who_died_is_started_again_by_a_new_start_and_by_no_restart_of_the_ftm() {
    let dead = ProcessState { start_time: 1, ..living() };
    let left = Left::behind(&[Write::Process("counter-1".to_owned(), dead)]);
    for _ in 0..2 {
        let (ftm, _inbox) = left.boot();
        assert_eq!(ftm.manager.respawn_at(FIRST), None);
        assert!(ftm.manager.respawn_at(Seat(2)).is_some(), "one that was never started is");
    }
    std::fs::write(left.folder.started_anew(), "").expect("a file");
    let (ftm, _inbox) = left.boot();
    assert!(ftm.manager.respawn_at(FIRST).is_some());
}

#[tokio::test]
async fn a_hang_goes_on_and_ends_under_the_next_ftm() {
    let fault = FaultState { spec: "hang counter-1 3000ms".to_owned(), until_unix_ms: Some(unix_ms()) };
    let hang = HangState { id: "H4".to_owned(), fault };
    let hangs = ProcessState { hang: Some(hang), ..living() };
    let left = Left::behind(&[Write::Process("counter-1".to_owned(), hangs)]);
    let (mut ftm, mut inbox) = left.boot();
    assert_eq!(row(&ftm, "counter-1").state, "stopped");
    let message = inbox.recv().await.expect("its time is over");
    assert!(matches!(&message, Message::HangOver { defect, .. } if defect == "H4"), "{message:?}");
    ftm.take(message);
    assert_eq!(count(&ftm, |what| matches!(what, What::Healed { id } if id == "H4")), 1);
    assert_ne!(row(&ftm, "counter-1").state, "stopped");
    drop(ftm);
    assert_eq!(left.remembered("counter-1").hang, None);
}

#[tokio::test]
async fn what_lasts_is_told_again_if_the_log_has_lost_it() {
    let cut = FaultState { spec: "cut counter-1 counter-2".to_owned(), until_unix_ms: None };
    let hang = HangState {
        id: "H1".to_owned(),
        fault: FaultState { spec: "hang counter-1".to_owned(), ..FaultState::default() },
    };
    let left = Left::behind(&[
        Write::Fault("L1".to_owned(), cut),
        Write::Process("counter-1".to_owned(), ProcessState { hang: Some(hang), ..living() }),
    ]);
    let (mut ftm, _inbox) = left.boot();
    ftm.arm("ftm", "before-push", 90, false).expect("armed");
    drop(ftm);
    for lost in [true, false] {
        if lost {
            std::fs::remove_file(left.folder.events()).expect("a log");
        }
        let (ftm, _inbox) = left.boot();
        let told = |wanted: &str| {
            count(
                &ftm,
                |what| matches!(what, What::Defect { id, .. } | What::Armed { id, .. } if id == wanted),
            )
        };
        assert_eq!((told("L1"), told("H1"), told("P1")), (1, 1, 1), "lost: {lost}");
        left.until_written(&ftm);
    }
}

#[tokio::test]
async fn whoever_joins_is_told_which_aliases_exist_no_longer() {
    let state = |gone| AliasState { id: 7, incarnation: 4, gone, ..AliasState::default() };
    for was_gone in [false, true] {
        let left = Left::behind(&[Write::Alias("caller".to_owned(), state(was_gone))]);
        let (ftm, _inbox) = left.boot();
        assert_eq!(ftm.whole_table().gone, [(7, 4)]);
    }
    let left = Left::behind(&[Write::Alias("caller".to_owned(), state(true))]);
    let back = format!("{FILE}[aliases.caller]\ncommand = [\"/nowhere/at-all\"]\n");
    std::fs::write(left.folder.cluster_file(), back).expect("a file");
    let (ftm, _inbox) = left.boot();
    assert_eq!(ftm.whole_table().gone, []);
    let row = ftm.alias_row(AliasId(7)).expect("it is back under its number");
    assert_eq!(row.incarnation, 4, "its next calls come in a later one");
}
