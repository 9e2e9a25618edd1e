//! Calls between processes that share nothing but QUIC and stable areas, with an FTM of the test's own.

mod relays;
mod support;

use bytes::Bytes;
use palib::control::{ToFtm, What};
use palib::{Area, Call, Error, InDoubt, Recovery, RedProcess, Reply, Service};
use support::Ftm;

const COUNTER: (&str, u32, u32) = ("counter", 1, 11);
const CALLER: (&str, u32, u32) = ("caller", 2, 21);

/// Adds one to a counter in atomic mode.
async fn count(call: Call) -> palib::Result<Reply> {
    call.commit(|area| {
        let count = area.get::<u64>("count")?.unwrap_or(0) + 1;
        area.put("count", &count)?;
        Ok(Reply::from(count.to_string()))
    })
    .await
}

async fn pair(service: impl Service) -> (Ftm, palib::Process, palib::Client) {
    let ftm = Ftm::start().await;
    let server = ftm.join(ftm.ticket("counter-1", 1, &[COUNTER])).await;
    let caller = ftm.join(ftm.ticket("caller-1", 2, &[CALLER])).await;
    let serving = server.clone();
    tokio::spawn(async move { serving.serve("counter", service).await });
    ftm.promote("counter", 1).await;
    let waiting = caller.clone();
    let client = tokio::spawn(async move { waiting.client("caller").await });
    ftm.promote("caller", 2).await;
    (ftm, server, client.await.expect("no panic").expect("in service"))
}

#[tokio::test]
async fn calls_are_executed_once_each_and_in_atomic_mode() {
    let (_ftm, _server, client) = pair(count).await;
    for expected in 1..=20u32 {
        let done = client.call("counter", "up").await.expect("an outcome");
        assert_eq!(done.result().expect("a reply").text().expect("text"), expected.to_string());
    }
}

#[tokio::test]
async fn many_calls_at_once_all_get_their_own_answer() {
    let (_ftm, _server, client) = pair(count).await;
    let calls = (0..300).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            let reply =
                client.call("counter", "up").await.expect("an outcome").into_reply().expect("a reply");
            reply.text().expect("text").parse::<u32>().expect("a number")
        })
    });
    let mut answers = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        answers.push(call.await.expect("no panic"));
    }
    answers.sort_unstable();
    assert_eq!(answers, (1..=300).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_failure_of_the_service_changes_nothing_and_is_the_answer() {
    async fn refuse(call: Call) -> palib::Result<Reply> {
        call.commit(|area| {
            area.put("count", &99u64)?;
            Err(Error::failed("not today"))
        })
        .await
    }
    let (_ftm, _server, client) = pair(refuse).await;
    let done = client.call("counter", "up").await.expect("an outcome");
    assert_eq!(done.result().expect_err("a failure"), "not today");
}

#[tokio::test]
async fn a_panic_of_the_service_is_answered_as_a_failure_and_the_process_goes_on() {
    async fn panics(call: Call) -> palib::Result<Reply> {
        assert_ne!(call.text()?, "bad", "a bad request");
        Ok(Reply::from("fine"))
    }
    let (_ftm, _server, client) = pair(panics).await;
    let bad = client.call("counter", "bad").await.expect("an outcome");
    assert!(bad.result().expect_err("a failure").contains("panicked"));
    let good = client.call("counter", "good").await.expect("an outcome");
    assert_eq!(good.result().expect("a reply").text().expect("text"), "fine");
}

/// Has its effect outside the stable area, and answers redundant requests by a handler.
struct Outside;

impl Service for Outside {
    async fn handle(&self, call: Call) -> palib::Result<Reply> {
        call.block_request().await?;
        call.set_red_process(RedProcess::Handler { index: 0, arg: Bytes::from_static(b"stored") }).await?;
        Ok(Reply::from("first"))
    }

    async fn recover(&self, _call: InDoubt, _area: Area) -> Recovery {
        Recovery::Unknown
    }
}

#[tokio::test]
async fn a_blocked_request_with_a_handler_is_answered_with_what_the_service_returned() {
    let (_ftm, _server, client) = pair(Outside).await;
    let done = client.call("counter", "go").await.expect("an outcome");
    assert_eq!(done.result().expect("a reply").text().expect("text"), "first");
}

#[tokio::test]
async fn a_process_is_refused_under_an_alias_that_its_certificate_does_not_name() {
    let ftm = Ftm::start().await;
    let server = ftm.join(ftm.ticket("counter-1", 1, &[COUNTER])).await;
    tokio::spawn(async move { server.serve("counter", count).await });
    ftm.promote("counter", 1).await;
    // The ticket is forged: its certificate speaks for `honest`, its calls for `caller`.
    let mut ticket = ftm.ticket("liar-1", 2, &[("honest", 3, 31)]);
    ticket.aliases[0].alias_id = CALLER.1;
    ticket.aliases[0].alias = "caller".to_owned();
    let liar = ftm.join(ticket).await;
    let client = tokio::spawn(async move { liar.client("caller").await });
    ftm.promote("caller", 2).await;
    let client = client.await.expect("no panic").expect("in service");
    let refused = client.call("counter", "up").await.err().expect("a refusal");
    assert!(matches!(refused, Error::Refused { .. }), "{refused}");
    ftm.until_heard(|said| match said {
        ToFtm::Events { events } => events.iter().any(|event| matches!(event.what, What::Refused { .. })),
        _ => false,
    })
    .await;
}
