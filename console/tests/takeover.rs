//! Takeovers as they really happen: hangs, fences that do not reach, FTMs and keepers that die, strangers.

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use palib::control::{FromFtm, OperatorRequest, ToFtm, ToFtmFromOperator};
use palib::tls::{Authority, Grant, Identity};
use palib::transport::{Endpoint, Link, LinkError};
use palib::wire::Frame;
use rustix::process::Signal;
use support::eventually;
use support::pair::{Counter, signal, state_of};

#[test]
fn a_hang_is_taken_over_only_when_it_lasts() {
    let counter = Counter::up(&[]);
    counter.json(&["hang", "counter", "200ms"]);
    eventually("the hang is over", || match counter.events("healed").len() {
        1 => Ok(()),
        other => Err(format!("{other} healed")),
    });
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "1");
    assert_eq!(counter.events("takeover_started").len(), 1, "the first start is all there was");

    counter.json(&["hang", "counter"]);
    counter.until("the backup has taken over", |rows| state_of(rows, "counter-2") == "in_service");
    let hung = &counter.events("hung")[0];
    let silent_ms = hung["silent_ms"].as_u64().expect("a number");
    assert!((600..1_000).contains(&silent_ms), "{hung}");
    let taken = &counter.events("takeover_started")[1];
    assert_eq!((&taken["cause"], &taken["from"]), (&"hung".into(), &"counter-1".into()));
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "2");
    counter.until("it is started again as a backup", |rows| state_of(rows, "counter-1") == "backup");
    counter.down();
}

#[test]
fn a_zombie_that_no_kill_reaches_ends_itself_before_its_backup_serves() {
    let counter = Counter::up(&[("PALIB_TEST_LOSE_FENCING_KILL", "1")]);
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "1");
    let zombie = counter.pid_of("counter-1");
    signal(zombie, Signal::STOP);
    eventually("it is suspected", || match counter.events("hung").len() {
        0 => Err("not yet".to_owned()),
        _ => Ok(()),
    });
    // Longer than any takeover takes: as long as the old active may still live, nobody is promoted.
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(counter.events("takeover_started").len(), 1);
    signal(zombie, Signal::CONT);
    counter.until("the backup has taken over", |rows| state_of(rows, "counter-2") == "in_service");
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "2");
    let log = std::fs::read_to_string(counter.folder("logs/counter-1.log")).expect("a log");
    assert!(log.contains("fenced"), "{log}");
    counter.down();
}

#[test]
fn an_idle_service_has_no_blackout_when_somebody_asks_long_after_its_takeover() {
    let counter = Counter::up(&[]);
    counter.json(&["kill", "counter"]);
    counter.until("the backup has taken over", |rows| state_of(rows, "counter-2") == "in_service");
    let unix_ms = |event: &serde_json::Value| event["unix_ms"].as_u64().expect("a time");
    let marked_ms = unix_ms(counter.events("in_service").last().expect("it was told"));
    eventually("who is told of the mark would have asked", || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
        if now.as_millis() > u128::from(marked_ms) + 500 { Ok(()) } else { Err("not yet".to_owned()) }
    });
    counter.json(&["call", "counter", "inc k 1"]);
    let reply = eventually("the first reply is told", || {
        counter.events("first_reply").pop().ok_or_else(|| "not yet".to_owned())
    });
    assert_eq!(reply["timing"]["blackout_us"], serde_json::Value::Null, "{reply}");
    assert!(reply["timing"]["open_us"].is_u64(), "{reply}");
    counter.down();
}

#[test]
fn a_restarted_ftm_takes_over_for_who_died_meanwhile() {
    let counter = Counter::up(&[]);
    let (keeper, ftm, active) =
        (counter.pid_in("keeper.pid"), counter.pid_in("ftm.pid"), counter.pid_of("counter-1"));
    let backup = counter.pid_of("counter-2");
    // The keeper must not start the next FTM before the active is dead.
    signal(keeper, Signal::STOP);
    signal(ftm, Signal::KILL);
    signal(active, Signal::KILL);
    signal(keeper, Signal::CONT);
    // On a busy machine the successor of the dead may join before the living one has joined again.
    counter.until("somebody has taken over, and there are two again", |rows| {
        let states = [state_of(rows, "counter-1"), state_of(rows, "counter-2")];
        states.contains(&"in_service") && states.contains(&"backup")
    });
    assert_ne!(counter.pid_of("counter-1"), active);
    assert_eq!(counter.pid_of("counter-2"), backup, "the living one was found, not started again");
    assert_eq!(counter.events("adopted").len(), 1);
    let rows = counter.json(&["aliases", "counter"]);
    assert_eq!(rows[0]["incarnation"], 2, "{rows}");
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "1");
    counter.down();
}

#[test]
fn a_hang_that_its_ftm_did_not_outlive_is_known_and_ended_by_the_next() {
    let counter = Counter::up(&[]);
    let backup = counter.pid_of("counter-2");
    counter.json(&["hang", "counter-2", "2500ms"]);
    signal(counter.pid_in("ftm.pid"), Signal::KILL);
    eventually("the next FTM has ended the hang", || {
        let ran = counter.site.palib(&["events", "--limit", "100000", "--json"]);
        if ran.code == Some(0) && ran.out.contains("\"healed\"") { Ok(()) } else { Err(format!("{ran:?}")) }
    });
    counter.until("it is a backup again", |rows| state_of(rows, "counter-2") == "backup");
    assert_eq!(counter.pid_of("counter-2"), backup, "it was let go on, and not replaced");
    counter.down();
}

#[test]
fn a_cluster_without_its_keeper_can_be_stopped() {
    let counter = Counter::up(&[]);
    signal(counter.pid_in("keeper.pid"), Signal::KILL);
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "1");
    counter.down();
}

#[test]
fn a_cluster_whose_ftm_does_not_answer_is_stopped_by_force() {
    let counter = Counter::up(&[]);
    signal(counter.pid_in("ftm.pid"), Signal::STOP);
    counter.down();
}

#[test]
fn a_second_ftm_on_the_same_state_is_refused() {
    let counter = Counter::up(&[]);
    let folder = counter.folder("").to_string_lossy().into_owned();
    let second = counter.site.palib(&["ftm", &folder]);
    assert_eq!(second.code, Some(3), "{second:?}");
    assert!(second.err.contains("another FTM runs on this state"), "{second:?}");
    assert_eq!(counter.json(&["call", "counter", "inc k 1"])["reply"], "1");
    counter.down();
}

/// A link to the FTM of a cluster with some identity.
async fn link(counter: &Counter, identity: &Identity) -> Result<(Endpoint, Link), LinkError> {
    let text = std::fs::read_to_string(counter.folder("ftm.addr")).expect("an address");
    let address: SocketAddr = text.trim().parse().expect("an address");
    let endpoint = Endpoint::bind(identity, SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let link = endpoint.connect(address).await?;
    Ok((endpoint, link))
}

fn identity_of(counter: &Counter, name: &str) -> Identity {
    let tls = counter.folder("tls");
    let (certificate, key) = (tls.join(format!("{name}.pem")), tls.join(format!("{name}.key")));
    Identity::load(&certificate, &key, &tls.join("authority.pem")).expect("it was issued")
}

#[tokio::test]
async fn who_has_no_right_is_turned_away_and_the_log_says_so() {
    let counter = Counter::up(&[]);
    // A stranger: another authority under the same name.
    let stranger = Authority::create("pair").expect("an authority");
    let issued = stranger.issue(&Grant::operator()).expect("a certificate");
    let identity = Identity::from_pem(&issued, stranger.certificate_pem()).expect("an identity");
    assert!(link(&counter, &identity).await.is_err());

    // A run that is over: right certificate, wrong number.
    let node = identity_of(&counter, "counter-2");
    let (_endpoint, old) = link(&counter, &node).await.expect("the certificate is right");
    let join = ToFtm::Join {
        process_id: 99,
        pid: std::process::id(),
        address: SocketAddr::from(([127, 0, 0, 1], 9)),
        in_service: vec![(1, 99)],
    };
    old.send_control(&join).expect("the link is open");
    let mut frames = Vec::new();
    old.receive(&mut frames).await.expect("it is told to end");
    let Some(Frame::Control(bytes)) = frames.first() else { panic!("{frames:?}") };
    let order: FromFtm = serde_json::from_slice(bytes).expect("an order");
    assert!(matches!(order, FromFtm::Exit { .. }), "{order:?}");
    assert!(old.closed().await.contains("is over"));

    // A node that speaks as an operator.
    let (_endpoint, forger) = link(&counter, &node).await.expect("the certificate is right");
    let request = OperatorRequest::Kill { process: "counter-1".into() };
    forger.send_control(&ToFtmFromOperator { number: 1, request }).expect("the link is open");
    assert!(forger.closed().await.contains("can't be understood"));

    eventually("the log says so", || {
        let refused = counter.events("refused");
        if refused.len() >= 3 { Ok(()) } else { Err(format!("{refused:?}")) }
    });
    assert_eq!(counter.json(&["aliases", "counter"])[0]["incarnation"], 1, "nothing has moved");
    counter.down();
}
