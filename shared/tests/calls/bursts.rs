//! More at once than waits on a link: a sender that is faster than its link for a moment is no sign of a slow peer.

use std::time::Duration;

use palib::limits::{BODY_BYTES_MAX, LINK_QUEUE_BYTES_MAX};
use palib::{Call, Client, Reply};

use super::support::Ftm;
use super::{CALLER, COUNTER, pair};

const MIB: usize = 1 << 20;
/// So many calls with the largest body are more than waits on a link.
const LARGEST_CALLS: usize = LINK_QUEUE_BYTES_MAX / BODY_BYTES_MAX + 4;

async fn length(call: Call) -> palib::Result<Reply> {
    Ok(Reply::from(call.body().len().to_string()))
}

/// Makes calls all at once, and gives the answers.
async fn at_once(client: &Client, count: usize, body: Vec<u8>) -> Vec<Reply> {
    let body = bytes::Bytes::from(body);
    let calls = (0..count).map(|_| client.call("counter", body.clone()));
    let answers = tokio::time::timeout(Duration::from_secs(60), futures_util::future::join_all(calls));
    let answers = answers.await.expect("all end within a minute").into_iter();
    answers.map(|done| done.expect("an outcome").into_reply().expect("a reply")).collect()
}

async fn largest_calls_at_once(client: &Client) {
    for answer in at_once(client, LARGEST_CALLS, vec![7; BODY_BYTES_MAX]).await {
        assert_eq!(answer.text().expect("text"), BODY_BYTES_MAX.to_string());
    }
}

#[tokio::test]
async fn more_large_calls_at_once_than_wait_on_a_link_all_end() {
    let (_ftm, _server, client) = pair(length).await;
    largest_calls_at_once(&client).await;
}

#[tokio::test]
async fn large_calls_that_waited_for_somebody_in_service_all_end() {
    let ftm = Ftm::start().await;
    let server = ftm.join(ftm.ticket("counter-1", 1, &[COUNTER])).await;
    let caller = ftm.join(ftm.ticket("caller-1", 2, &[CALLER])).await;
    tokio::spawn(async move { server.serve("counter", length).await });
    let client = tokio::spawn(async move { caller.client("caller").await });
    ftm.promote("caller", 2).await;
    let client = client.await.expect("no panic").expect("in service");
    let waiting = client.clone();
    let calls = tokio::spawn(async move { largest_calls_at_once(&waiting).await });
    while client.pending().len() < LARGEST_CALLS {
        tokio::task::yield_now().await;
    }
    ftm.promote("counter", 1).await;
    calls.await.expect("no panic");
}

#[tokio::test]
async fn many_calls_of_middling_size_at_once_all_end() {
    let (_ftm, _server, client) = pair(length).await;
    let count = 1000;
    let body = vec![7; LINK_QUEUE_BYTES_MAX / count + 1];
    let length = body.len().to_string();
    for answer in at_once(&client, count, body).await {
        assert_eq!(answer.text().expect("text"), length);
    }
}

#[tokio::test]
async fn more_large_answers_at_once_than_wait_on_a_link_all_come() {
    async fn large(_call: Call) -> palib::Result<Reply> {
        Ok(Reply::from(vec![7; 2 * MIB]))
    }
    let (_ftm, _server, client) = pair(large).await;
    for answer in at_once(&client, 40, vec![]).await {
        assert_eq!(answer.bytes().len(), 2 * MIB);
    }
}
