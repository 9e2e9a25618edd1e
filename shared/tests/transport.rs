//! Links between endpoints: what they carry, and how they end. Who is refused one: `transport_refusals.rs`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use palib::core::ids::{AliasId, CallId, Origin, PortId, TransId};
use palib::core::message::{Message, Outcome, Refusal};
use palib::limits::{BODY_BYTES_MAX, LINK_QUEUE_BYTES_MAX, LINK_QUEUE_LARGE_BYTES_MAX};
use palib::tls::{Authority, Grant, Identity, Role};
use palib::transport::{Endpoint, Link, LinkError};
use palib::wire::Frame;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Fails a test that would otherwise hang.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("within 20 seconds")
}

fn endpoint(authority: &Authority, grant: &Grant) -> Endpoint {
    let issued = authority.issue(grant).expect("issued");
    let identity = Identity::from_pem(&issued, authority.certificate_pem()).expect("usable");
    Endpoint::bind(&identity, ANY).expect("bound")
}

/// Two ends of one link.
async fn pair() -> (Endpoint, Link, Endpoint, Link) {
    let authority = Authority::create("test").expect("created");
    let server = endpoint(&authority, &Grant::process("counter-1", ["counter"]));
    let client = endpoint(&authority, &Grant::process("caller-1", ["caller", "other"]));
    let address = server.local_address().expect("it has one");
    let (made, taken) = soon(async { tokio::join!(client.connect(address), server.accept()) }).await;
    (client, made.expect("connected"), server, taken.expect("accepted"))
}

fn call_id(trans: u64) -> CallId {
    CallId { source: AliasId(1), origin: Origin::Port(PortId(2)), trans: TransId(trans) }
}

fn reply(trans: u64, body: impl Into<Bytes>) -> Message<Bytes> {
    Message::Answer { id: call_id(trans), outcome: Outcome::Reply(body.into()), redundant: false }
}

async fn receive(link: &Link, count: usize) -> Vec<Frame> {
    let mut frames = Vec::new();
    while frames.len() < count {
        soon(link.receive(&mut frames)).await.expect("the link is open");
    }
    frames
}

#[tokio::test]
async fn each_side_knows_the_other_from_its_certificate() {
    let (_client, made, _server, taken) = pair().await;
    assert_eq!(made.peer(), &Grant::process("counter-1", ["counter"]));
    assert_eq!(taken.peer(), &Grant::process("caller-1", ["caller", "other"]));
    assert_eq!(taken.peer().role, Role::Process);
    assert!(taken.peer().speaks_for("other") && !taken.peer().speaks_for("counter"));
    assert_ne!(made.number(), taken.number());
}

async fn ten_thousand_both_ways() {
    const COUNT: u64 = 10_000;
    let (_client, made, _server, taken) = pair().await;
    let both = [made, taken].map(|link| {
        tokio::spawn(async move {
            let sender = link.clone();
            let sending = tokio::spawn(async move {
                for trans in 0..COUNT {
                    sender
                        .send_message(&reply(trans, vec![trans as u8; (trans % 300) as usize]))
                        .expect("sent");
                    if trans % 64 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            });
            let frames = receive(&link, COUNT as usize).await;
            sending.await.expect("no panic");
            for (trans, frame) in frames.into_iter().enumerate() {
                assert_eq!(frame, Frame::Message(reply(trans as u64, vec![trans as u8; trans % 300])));
            }
            link
        })
    });
    for link in both {
        soon(link).await.expect("no panic");
    }
}

#[tokio::test]
async fn ten_thousand_frames_arrive_in_order_in_both_directions() {
    ten_thousand_both_ways().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_arrive_in_order_on_several_threads_as_well() {
    ten_thousand_both_ways().await;
}

#[tokio::test]
async fn frames_can_be_sent_from_a_thread_outside_the_runtime() {
    let (_client, made, _server, taken) = pair().await;
    let sending = std::thread::spawn(move || {
        made.send_message(&reply(1, "small")).expect("sent");
        made.send_message(&reply(2, vec![1; 100_000])).expect("sent");
        made
    });
    assert_eq!(receive(&taken, 2).await.len(), 2);
    sending.join().expect("no panic");
}

#[tokio::test]
async fn control_messages_arrive() {
    let (_client, made, _server, taken) = pair().await;
    made.send_control(&vec!["a", "b"]).expect("sent");
    assert_eq!(receive(&taken, 1).await, [Frame::Control(Bytes::from_static(br#"["a","b"]"#))]);
}

#[tokio::test]
async fn the_largest_bodies_pass_and_small_frames_overtake_them() {
    let (_client, made, _server, taken) = pair().await;
    for trans in 0..4 {
        made.send_message(&reply(trans, vec![trans as u8; BODY_BYTES_MAX])).expect("sent");
    }
    made.send_message(&Message::Refused { id: call_id(9), refusal: Refusal::Busy }).expect("sent");
    let frames = receive(&taken, 5).await;
    let small = frames.iter().position(|frame| matches!(frame, Frame::Message(Message::Refused { .. })));
    assert!(small.expect("it has come") < 4, "a small frame must not wait for all that was sent before it");
    for trans in 0..4 {
        assert!(frames.contains(&Frame::Message(reply(trans, vec![trans as u8; BODY_BYTES_MAX]))));
    }
    let error = made.send_message(&reply(5, vec![0; BODY_BYTES_MAX + 1])).expect_err("over the limit");
    assert!(error.to_string().contains("longer than the limit"), "{error}");
    assert!(!made.is_closed(), "the sender's mistake must not cost it the link");
}

#[tokio::test]
async fn a_closed_link_is_seen_by_both_sides_and_what_was_sent_before_arrives() {
    let (_client, made, _server, taken) = pair().await;
    for trans in 0..1000 {
        made.send_message(&reply(trans, "last words")).expect("sent");
    }
    made.close("we are done here");
    let error = made.send_message(&reply(1, "")).expect_err("it is closed");
    assert!(error.to_string().contains("we are done here"), "{error}");
    receive(&taken, 1000).await;
    let error = soon(taken.receive(&mut Vec::new())).await.expect_err("it is closed");
    assert!(error.to_string().contains("we are done here"), "{error}");
    assert_eq!(soon(taken.closed()).await, "we are done here");
    assert_eq!(soon(made.closed()).await, "we are done here");
    let error = soon(made.receive(&mut Vec::new())).await.expect_err("it is closed");
    assert!(error.to_string().contains("we are done here"), "{error}");
    assert!(taken.send_message(&reply(1, "")).is_err());
}

#[tokio::test]
async fn dropping_the_last_clone_closes_the_link() {
    let (_client, made, _server, taken) = pair().await;
    let clone = made.clone();
    drop(made);
    clone.send_message(&reply(1, "still open")).expect("sent");
    assert_eq!(receive(&taken, 1).await.len(), 1);
    drop(clone);
    soon(taken.closed()).await;
}

#[tokio::test]
async fn closing_an_endpoint_closes_its_links_and_ends_accept() {
    let (client, made, _server, taken) = pair().await;
    soon(client.close()).await;
    assert_eq!(soon(taken.closed()).await, "the peer's process ends");
    soon(made.closed()).await;
    assert!(soon(client.accept()).await.is_none());
}

#[tokio::test]
async fn a_burst_that_finds_no_room_costs_what_is_over_and_not_the_link() {
    let (_client, made, _server, taken) = pair().await;
    let body = Bytes::from(vec![1; BODY_BYTES_MAX]);
    let large = |trans| reply(trans, body.clone());
    // No other task gets a turn meanwhile, so nothing is written.
    let sent = (0..1000).take_while(|trans| made.send_message(&large(*trans)).is_ok()).count();
    assert_eq!(sent, LINK_QUEUE_LARGE_BYTES_MAX / (BODY_BYTES_MAX + 1));
    let error = made.send_message(&large(1000)).expect_err("there is no room");
    assert!(matches!(error, LinkError::NoRoom { bytes } if bytes <= LINK_QUEUE_LARGE_BYTES_MAX), "{error:?}");
    made.send_message(&large(0)).expect("it waits already, and is not sent twice");
    made.send_message(&reply(1001, "small")).expect("a small one finds room");
    assert_eq!(receive(&taken, sent + 1).await.len(), sent + 1);
    made.send_message(&large(1000)).expect("there is room again");
    assert_eq!(receive(&taken, 1).await, [Frame::Message(large(1000))]);
}

#[tokio::test]
async fn a_peer_that_takes_nothing_costs_bounded_memory_and_then_its_link() {
    let (_client, made, _server, taken) = pair().await;
    let body = Bytes::from(vec![1; BODY_BYTES_MAX]);
    let mut trans = 0;
    let error = loop {
        trans += 1;
        match made.send_message(&reply(trans, body.clone())) {
            Err(LinkError::NoRoom { bytes }) => assert!(bytes <= LINK_QUEUE_BYTES_MAX),
            Err(error) => break error,
            Ok(()) => {}
        }
        // The writer gets its turns, and the peer reads nothing.
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    assert!(matches!(error, LinkError::TooSlow { bytes } if bytes <= LINK_QUEUE_BYTES_MAX), "{error:?}");
    assert!(soon(taken.closed()).await.contains("too slow"));
    assert!(made.is_closed());
}

#[tokio::test]
async fn a_link_that_is_closed_does_not_wait_for_ever_for_a_peer_that_takes_nothing() {
    let (_client, made, _server, taken) = pair().await;
    made.send_message(&reply(1, vec![1; BODY_BYTES_MAX])).expect("sent");
    made.close("we are done here");
    assert_eq!(soon(taken.closed()).await, "we are done here");
}
