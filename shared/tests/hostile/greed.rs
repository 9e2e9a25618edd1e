//! Peers with a good certificate that want more than their share.

use std::time::Duration;

use bytes::Bytes;
use palib::core::message::Refusal;
use palib::limits::{
    BODY_BYTES_MAX, LARGE_BODIES_BYTES_MAX, LINK_QUEUE_BYTES_MAX, LINK_QUEUE_LARGE_BYTES_MAX,
    LINKS_PER_PEER_MAX, REQUESTS_IN_HAND_MAX,
};

use crate::attacker::{Attacker, request, until_refused};
use crate::victim::{LARGE_ANSWER_BYTES, Victim};

const MIB: usize = 1 << 20;
/// What a victim holds besides what is measured: its program, its area's pages, buffers of QUIC. Wide.
const BESIDES_BYTES: usize = 192 * MIB;

/// Fails a test that would otherwise hang.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(120), what).await.expect("within two minutes")
}

fn holds_at_most(victim: &Victim, bytes: usize) {
    let peak = victim.peak_bytes();
    println!("the victim held {} MiB at most, {} are allowed", peak / MIB, (bytes + BESIDES_BYTES) / MIB);
    assert!(peak < bytes + BESIDES_BYTES, "{} MiB", peak / MIB);
}

/// Twice as much as may be in hand, in requests that never end.
#[tokio::test]
async fn large_requests_beyond_the_limit_are_told_to_wait() {
    let victim = Victim::start().await;
    let mut honest = victim.honest().await;
    honest.calls().await;
    let mut attack = Attacker::new(&victim.told).link().await;
    let body = Bytes::from(vec![b'w'; BODY_BYTES_MAX]);
    let refused = tokio::spawn(async move { until_refused(&mut attack.receive, Refusal::Busy).await });
    for trans in 1..=2 * (LARGE_BODIES_BYTES_MAX / BODY_BYTES_MAX) as u64 {
        soon(attack.send.write_all(&request(1, trans, body.clone()))).await.expect("the link is open");
        if trans % 16 == 0 {
            soon(honest.calls()).await;
        }
    }
    soon(refused).await.expect("no panic").expect("it was told to wait");
    soon(honest.calls()).await;
    // What was freed in between need not be given back by the allocator.
    holds_at_most(&victim, LARGE_BODIES_BYTES_MAX + LARGE_BODIES_BYTES_MAX / 4);
}

/// More requests than may be in hand, each in a session of few, so that no window ends them.
#[tokio::test]
async fn requests_beyond_the_limit_are_told_to_wait() {
    let victim = Victim::start().await;
    let mut honest = victim.honest().await;
    let mut attack = Attacker::new(&victim.told).link().await;
    let refused = tokio::spawn(async move { until_refused(&mut attack.receive, Refusal::Busy).await });
    for number in 0..2 * REQUESTS_IN_HAND_MAX as u64 {
        let frame = request(1 + number / 1000, 1 + number % 1000, Bytes::from(vec![b'w'; 100]));
        soon(attack.send.write_all(&frame)).await.expect("the link is open");
    }
    soon(refused).await.expect("no panic").expect("it was told to wait");
    soon(honest.calls()).await;
    holds_at_most(&victim, 64 * MIB);
}

/// Small requests whose answers are large, more than wait on a link, and then no end of what is refused; neither answers
/// nor refusals are ever read.
#[tokio::test]
async fn a_peer_that_reads_no_answer_loses_its_link() {
    let victim = Victim::start().await;
    let mut honest = victim.honest().await;
    let mut attack = Attacker::new(&victim.told).link().await;
    let ask = |trans| request(1, trans, Bytes::from_static(b"l"));
    let refused = request(1, 1, Bytes::from_static(b"the same id with another body"));
    let answers = (LINK_QUEUE_LARGE_BYTES_MAX / LARGE_ANSWER_BYTES + 4) as u64;
    for trans in 1..=answers {
        soon(attack.send.write_all(&ask(trans))).await.expect("the link is open");
        if trans % 16 == 0 {
            soon(honest.calls()).await;
        }
    }
    // Now and then an answer is asked for again for which there was no room.
    let mut sent = 0;
    while soon(attack.send.write_all(&refused)).await.is_ok() {
        sent += 1;
        if sent % 1000 == 0 {
            let _ = soon(attack.send.write_all(&ask(answers))).await;
            soon(honest.calls()).await;
        }
    }
    let told = soon(attack.connection.closed()).await.to_string();
    assert!(told.contains("too slow"), "{told}");
    soon(honest.calls()).await;
    // They were put into its area as well, which keeps what it wrote last at hand.
    holds_at_most(&victim, LINK_QUEUE_BYTES_MAX + answers as usize * LARGE_ANSWER_BYTES);
}

/// On each of many links nearly all of a large frame comes, and then nothing more.
#[tokio::test]
async fn frames_that_never_end_are_held_for_few_links_of_a_peer() {
    let victim = Victim::start().await;
    let mut honest = victim.honest().await;
    let attacker = Attacker::new(&victim.told);
    let frame = request(1, 1, Bytes::from(vec![b'w'; BODY_BYTES_MAX]));
    let mut attacks = Vec::new();
    for _ in 0..64 {
        let mut attack = soon(attacker.link()).await;
        soon(attack.send.write_all(&frame[..frame.len() - 1])).await.expect("the link is open");
        attacks.push(attack);
        soon(honest.calls()).await;
    }
    let open = || attacks.iter().filter(|attack| attack.connection.close_reason().is_none()).count();
    soon(async {
        while open() > LINKS_PER_PEER_MAX {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    holds_at_most(&victim, LINKS_PER_PEER_MAX * 2 * BODY_BYTES_MAX);
}

/// A control message of the greatest length, nested as deep as it can be, to one that takes none.
#[tokio::test]
async fn a_huge_control_message_costs_its_sender_the_link() {
    let victim = Victim::start().await;
    let mut honest = victim.honest().await;
    let mut attack = Attacker::new(&victim.told).link().await;
    let length = BODY_BYTES_MAX as u32;
    let frame = [&length.to_le_bytes()[..], &[5], &vec![b'['; BODY_BYTES_MAX - 1]].concat();
    let _ = soon(attack.send.write_all(&frame)).await;
    let told = soon(attack.connection.closed()).await.to_string();
    assert!(told.contains("only what a caller sends is taken on this link"), "{told}");
    soon(honest.calls()).await;
    holds_at_most(&victim, 2 * BODY_BYTES_MAX);
}
