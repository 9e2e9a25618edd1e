//! Calls between processes that share nothing but QUIC and stable areas, with an FTM of the test's own.

mod bursts;
mod relays;
mod support;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use palib::control::{ToFtm, What};
use palib::{Area, Call, Error, InDoubt, Recovery, RedProcess, Reply, Service};
use support::Ftm;
use tokio::sync::Notify;

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

/// Not an `async fn`: it may panic before there is a future.
struct Eager;

impl Service for Eager {
    fn handle(&self, call: Call) -> impl Future<Output = palib::Result<Reply>> + Send {
        let number: u32 = call.text().expect("text").parse().expect("a number");
        async move { Ok(Reply::from((number + 1).to_string())) }
    }
}

/// Panics when it is to take over.
struct Unwilling;

impl Service for Unwilling {
    async fn handle(&self, _: Call) -> palib::Result<Reply> {
        Ok(Reply::default())
    }

    fn promoted(&self, _: &Area) -> palib::Result<()> {
        panic!("not today")
    }
}

#[tokio::test]
async fn a_panic_of_a_service_that_takes_over_makes_the_promotion_fail() {
    let ftm = Ftm::start().await;
    let server = ftm.join(ftm.ticket("counter-1", 1, &[COUNTER])).await;
    tokio::spawn(async move { server.serve("counter", Unwilling).await });
    ftm.order_promotion("counter", 1);
    ftm.until_heard(|said| matches!(said, ToFtm::PromotionFailed { .. })).await;
}

#[tokio::test]
async fn a_panic_before_the_service_gives_a_future_is_a_failure_like_any_other() {
    let (_ftm, _server, client) = pair(Eager).await;
    let bad = client.call("counter", "seven").await.expect("an outcome");
    assert!(bad.result().expect_err("a failure").contains("panicked"));
    let good = client.call("counter", "7").await.expect("an outcome");
    assert_eq!(good.result().expect("a reply").text().expect("text"), "8");
}

#[tokio::test]
async fn a_reply_over_the_limit_is_a_failure_that_changes_nothing() {
    fn too_long() -> Reply {
        Reply::from(vec![b'x'; palib::limits::BODY_BYTES_MAX + 1])
    }
    async fn answer(call: Call) -> palib::Result<Reply> {
        match call.text()? {
            "plain" => Ok(too_long()),
            "fails" => Err(Error::failed("x".repeat(palib::limits::BODY_BYTES_MAX + 1))),
            "registers" => {
                let refused = call.set_red_process(RedProcess::AutoReply(too_long())).await;
                let refused = refused.expect_err("it is over the limit");
                assert!(matches!(refused, Error::BodyTooLarge { .. }), "{refused}");
                Ok(Reply::from("refused"))
            }
            "count" => Ok(Reply::from(call.area().get::<u64>("count")?.unwrap_or(0).to_string())),
            _ => {
                call.commit(|area| {
                    area.put("count", &1u64)?;
                    Ok(too_long())
                })
                .await
            }
        }
    }
    let (_ftm, _server, client) = pair(answer).await;
    for way in ["plain", "atomic"] {
        let done = client.call("counter", way).await.expect("an outcome");
        assert!(done.result().expect_err("a failure").contains("over the limit"), "{way}");
    }
    let done = client.call("counter", "fails").await.expect("an outcome");
    assert_eq!(done.result().expect_err("cut off").len(), palib::limits::BODY_BYTES_MAX);
    for (asked, answered) in [("registers", "refused"), ("count", "0")] {
        let done = client.call("counter", asked).await.expect("an outcome");
        assert_eq!(done.result().expect("a reply").text().expect("text"), answered);
    }
}

#[tokio::test]
async fn a_handler_that_asks_for_what_can_no_longer_be_gets_an_error_and_goes_on() {
    async fn late(call: Call) -> palib::Result<Reply> {
        let over = |asked: palib::Result<()>| assert!(matches!(asked, Err(Error::CallOver(_))), "{asked:?}");
        let handler = || RedProcess::Handler { index: 0, arg: Bytes::new() };
        call.set_red_process(handler()).await?;
        over(call.block_request().await);
        call.set_red_process(RedProcess::AutoReply(Reply::from("registered"))).await?;
        over(call.set_red_process(handler()).await);
        over(call.block_request().await);
        over(call.commit(|_| Ok(Reply::from("again"))).await.map(|_| ()));
        Ok(Reply::from("returned"))
    }
    let (_ftm, _server, client) = pair(late).await;
    for _ in 0..2 {
        let done = client.call("counter", "go").await.expect("an outcome");
        assert_eq!(done.result().expect("a reply").text().expect("text"), "registered");
    }
}

#[tokio::test]
async fn the_outcome_of_a_call_goes_to_who_waits_for_it_and_a_second_one_is_told_so() {
    let (go, gone) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (wait, tell) = (go.clone(), gone.clone());
    let held = move |_: Call| {
        let (wait, tell) = (wait.clone(), tell.clone());
        async move {
            tell.notify_one();
            wait.notified().await;
            Ok(Reply::from("once"))
        }
    };
    let (_ftm, _server, client) = pair(held).await;
    let first = client.clone();
    // A deadline that lies beyond the end of all clocks never passes.
    let options = palib::CallOptions::default().deadline(Duration::MAX);
    let first = tokio::spawn(async move { first.call_with("counter", "go", options).await?.into_reply() });
    gone.notified().await;
    let open = client.pending();
    let second = client.outcome(open[0].id, None).await.err().expect("somebody waits for it");
    assert!(matches!(second, Error::Awaited(_)), "{second}");
    go.notify_one();
    let reply = first.await.expect("no panic").expect("its outcome");
    assert_eq!(reply.text().expect("text"), "once");
    assert!(matches!(client.outcome(open[0].id, None).await, Err(Error::UnknownCall(_))));
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
