//! The process that is attacked: a real one, so that its memory can be measured from outside.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use palib::control::{JoinTicket, ToFtm};
use palib::{Call, Client, Reply};
use serde::{Deserialize, Serialize};

use crate::support::Ftm;

/// Says to the test below that it was started to be attacked.
const VARIABLE: &str = "PALIB_TEST_VICTIM";
/// The length of an answer to `large`.
pub(crate) const LARGE_ANSWER_BYTES: usize = 1 << 20;

pub(crate) const COUNTER: (&str, u32, u32) = ("counter", 1, 11);
const CALLER: (&str, u32, u32) = ("caller", 2, 21);
pub(crate) const ATTACKER: (&str, u32, u32) = ("attacker", 3, 31);

/// What the victim tells of itself when it serves.
#[derive(Serialize, Deserialize)]
pub(crate) struct Told {
    pub(crate) address: SocketAddr,
    /// For an honest caller, that knows nothing of the attack.
    pub(crate) caller: JoinTicket,
    /// What the attacker has got hold of: a good certificate of a process of the cluster.
    pub(crate) attacker: JoinTicket,
}

/// Attacks take a whole processor, so they come one after another.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A running victim, killed when it is dropped.
pub(crate) struct Victim {
    _turn: tokio::sync::MutexGuard<'static, ()>,
    child: Child,
    /// It ends by itself when this is closed.
    _stdin: ChildStdin,
    /// It would end as well if it could write no more.
    _stdout: BufReader<ChildStdout>,
    pub(crate) told: Told,
}

impl Victim {
    pub(crate) async fn start() -> Self {
        let turn = TURN.lock().await;
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "victim::a_victim", "--ignored", "--nocapture"])
            .env(VARIABLE, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        let told = stdout
            .by_ref()
            .lines()
            .map_while(Result::ok)
            .find_map(|line| serde_json::from_str(line.strip_prefix("told ")?).ok())
            .expect("it tells where it is");
        Self { _turn: turn, _stdin: child.stdin.take().expect("piped"), _stdout: stdout, child, told }
    }

    /// The most memory it has ever held, in bytes.
    pub(crate) fn peak_bytes(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it lives");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
        let kib: usize = peak.trim().trim_end_matches(" kB").parse().expect("a number");
        kib * 1024
    }

    /// Joins as the honest caller.
    pub(crate) async fn honest(&self) -> Honest {
        let process = palib::Process::join_with(self.told.caller.clone()).await.expect("it joins");
        Honest { client: process.client("caller").await.expect("in service"), done: 0 }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // It was killed and could not do this itself.
        let _ = self.told.caller.areas.parent().map(std::fs::remove_dir_all);
    }
}

/// A caller that goes about its business.
pub(crate) struct Honest {
    client: Client,
    done: u32,
}

impl Honest {
    /// A call, which is executed exactly once.
    pub(crate) async fn calls(&mut self) {
        let done = self.client.call("counter", "up").await.expect("an outcome");
        self.done += 1;
        assert_eq!(done.result().expect("a reply").text().expect("text"), self.done.to_string());
    }
}

async fn serve(call: Call) -> palib::Result<Reply> {
    match call.body().first() {
        // A request that never ends is in hand for good.
        Some(b'w') => std::future::pending().await,
        Some(b'l') => Ok(Reply::from(vec![7; LARGE_ANSWER_BYTES])),
        _ => {
            call.commit(|area| {
                let count = area.get::<u64>("count")?.unwrap_or(0) + 1;
                area.put("count", &count)?;
                Ok(Reply::from(count.to_string()))
            })
            .await
        }
    }
}

/// Not a test of its own: what the tests here start.
#[tokio::test]
#[ignore = "started by other tests"]
async fn a_victim() {
    if std::env::var_os(VARIABLE).is_none() {
        return;
    }
    std::thread::spawn(|| {
        // It must not outlive who started it.
        let _ = std::io::stdin().read_line(&mut String::new());
        std::process::exit(0);
    });
    let ftm = Ftm::start().await;
    let caller = ftm.ticket("caller-1", 2, &[CALLER]);
    let attacker = ftm.ticket("attacker-1", 3, &[ATTACKER]);
    ftm.expect(&caller);
    ftm.expect(&attacker);
    let server = ftm.join(ftm.ticket("counter-1", 1, &[COUNTER])).await;
    tokio::spawn(async move { server.serve("counter", serve).await });
    ftm.promote("counter", 1).await;
    let address = ftm.address_of(1).expect("it has joined");
    let told = Told { address, caller, attacker };
    println!("told {}", serde_json::to_string(&told).expect("it is JSON"));
    ftm.until_heard(|said| matches!(said, ToFtm::Join { process_id: 2, .. })).await;
    ftm.promote("caller", 2).await;
    std::future::pending::<()>().await;
}
