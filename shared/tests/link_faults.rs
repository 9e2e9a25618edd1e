//! Links over a network with faults, below QUIC: everything that is sent arrives once and in its order, sooner or later.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use palib::core::ids::{AliasId, CallId, Origin, PortId, TransId};
use palib::core::message::{Message, Outcome};
use palib::defect::{LinkFault, LinkRule, Percent, Way};
use palib::tls::{Authority, Grant, Identity};
use palib::transport::{Endpoint, Link};
use palib::wire::Frame;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

fn endpoint(authority: &Authority, name: &str) -> Endpoint {
    let issued = authority.issue(&Grant::process(name, ["a"])).expect("issued");
    let identity = Identity::from_pem(&issued, authority.certificate_pem()).expect("usable");
    Endpoint::bind(&identity, ANY).expect("bound")
}

/// Two ends of a link.
struct Pair {
    client: Endpoint,
    server: Endpoint,
    made: Link,
    taken: Link,
}

impl Pair {
    async fn new() -> Self {
        let authority = Authority::create("test").expect("created");
        let (client, server) = (endpoint(&authority, "client"), endpoint(&authority, "server"));
        let address = server.local_address().expect("it has one");
        let (made, taken) = tokio::join!(client.connect(address), server.accept());
        Self { client, server, made: made.expect("connected"), taken: taken.expect("accepted") }
    }

    /// Sets faults at the client, of what it sends to the server and of what comes from there.
    fn break_client(&self, faults: &[(Way, LinkFault)]) {
        let peer = self.server.local_address().expect("it has one");
        self.client.set_faults(
            faults.iter().map(|(way, fault)| LinkRule { peer, way: *way, fault: *fault }).collect(),
            7,
        );
    }
}

fn message(trans: u64) -> Message<Bytes> {
    let id = CallId { source: AliasId(1), origin: Origin::Port(PortId(2)), trans: TransId(trans) };
    // Long enough that the kernel gets and gives several packets at a time.
    Message::Answer { id, outcome: Outcome::Reply(vec![trans as u8; 700].into()), redundant: false }
}

async fn receive(link: &Link, numbers: std::ops::Range<u64>) {
    let mut frames = Vec::new();
    while (frames.len() as u64) < numbers.end - numbers.start {
        let received = tokio::time::timeout(Duration::from_secs(60), link.receive(&mut frames)).await;
        received.expect("within a minute").expect("the link is open");
    }
    let wanted: Vec<_> = numbers.map(|trans| Frame::Message(message(trans))).collect();
    assert!(frames == wanted, "each once and in its order");
}

fn send(link: &Link, numbers: std::ops::Range<u64>) {
    numbers.for_each(|trans| link.send_message(&message(trans)).expect("sent"));
}

/// Sends both ways over these faults, heals them, and sends once more.
async fn carries_all(faults: &[LinkFault]) -> Duration {
    let pair = Pair::new().await;
    let both: Vec<_> = faults.iter().flat_map(|fault| [(Way::To, *fault), (Way::From, *fault)]).collect();
    pair.break_client(&both);
    let began = Instant::now();
    send(&pair.made, 0..300);
    send(&pair.taken, 0..300);
    tokio::join!(receive(&pair.taken, 0..300), receive(&pair.made, 0..300));
    let took = began.elapsed();
    pair.break_client(&[]);
    send(&pair.made, 300..400);
    receive(&pair.taken, 300..400).await;
    took
}

#[tokio::test]
async fn lossy_links_carry_everything_once() {
    carries_all(&[LinkFault::Drop(Percent(2_000))]).await;
}

#[tokio::test]
async fn doubling_and_reordering_links_carry_everything_once() {
    carries_all(&[LinkFault::Duplicate(Percent(5_000)), LinkFault::Reorder]).await;
}

#[tokio::test]
async fn late_links_carry_everything_late() {
    let (by, jitter) = (Duration::from_millis(40), Duration::from_millis(10));
    assert!(carries_all(&[LinkFault::Delay { by, jitter }]).await >= by - jitter);
}

#[tokio::test]
async fn nothing_passes_a_cut_and_all_of_it_after() {
    for cut in [[(Way::To, LinkFault::Cut)].as_slice(), &[(Way::From, LinkFault::OneWay)]] {
        let pair = Pair::new().await;
        pair.break_client(cut);
        let (from, to) = match cut[0].0 {
            Way::To => (&pair.made, &pair.taken),
            Way::From => (&pair.taken, &pair.made),
        };
        send(from, 0..50);
        let mut frames = Vec::new();
        let during = tokio::time::timeout(Duration::from_millis(300), to.receive(&mut frames)).await;
        assert!(during.is_err(), "{frames:?}");
        pair.break_client(&[]);
        receive(to, 0..50).await;
    }
}

#[tokio::test]
async fn a_fault_concerns_one_peer_only() {
    let pair = Pair::new().await;
    let peer = SocketAddr::from(([127, 0, 0, 1], 9));
    let rule = |way| LinkRule { peer, way, fault: LinkFault::Cut };
    pair.client.set_faults(vec![rule(Way::To), rule(Way::From)], 7);
    send(&pair.made, 0..50);
    receive(&pair.taken, 0..50).await;
}

/// What the socket costs where nothing is broken, against one with a fault that concerns somebody else. Run by hand.
#[tokio::test]
#[ignore = "a measurement"]
async fn what_an_unbroken_link_costs() {
    for round in 0..6 {
        let pair = Pair::new().await;
        if round % 2 == 1 {
            let peer = SocketAddr::from(([127, 0, 0, 1], 9));
            pair.client.set_faults(vec![LinkRule { peer, way: Way::To, fault: LinkFault::Cut }], 7);
        }
        let began = Instant::now();
        for turn in 0..100 {
            send(&pair.made, turn * 500..(turn + 1) * 500);
            receive(&pair.taken, turn * 500..(turn + 1) * 500).await;
        }
        let armed = if round % 2 == 1 { "another link is broken" } else { "nothing is broken" };
        println!("{armed}: 50,000 messages of 700 B in {:?}", began.elapsed());
    }
}
