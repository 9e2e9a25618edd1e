//! Who is refused a link, and what both sides are told.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use palib::tls::{Authority, Grant, Identity, SERVER_NAME};
use palib::transport::{Endpoint, LinkError, QuicConfigs, Refused};
use palib::wire::PROTOCOL_VERSION;
use tokio::sync::mpsc;

const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Fails a test that would otherwise hang.
async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("within 20 seconds")
}

fn authority() -> Authority {
    Authority::create("test").expect("created")
}

fn identity(authority: &Authority, grant: &Grant) -> Identity {
    let issued = authority.issue(grant).expect("issued");
    Identity::from_pem(&issued, authority.certificate_pem()).expect("usable")
}

fn endpoint(authority: &Authority, grant: &Grant) -> Endpoint {
    Endpoint::bind(&identity(authority, grant), ANY).expect("bound")
}

/// An endpoint that tells whom it refuses, and its address.
fn server(authority: &Authority) -> (Endpoint, SocketAddr, mpsc::UnboundedReceiver<Refused>) {
    let server = endpoint(authority, &Grant::process("counter-1", ["counter"]));
    let (tell, refused) = mpsc::unbounded_channel();
    server.set_on_refused(move |who| drop(tell.send(who)));
    let address = server.local_address().expect("it has one");
    (server, address, refused)
}

/// A peer that speaks QUIC with this identity and no palib.
fn bare(identity: &Identity) -> quinn::Endpoint {
    let configs = QuicConfigs::new(identity).expect("usable");
    let mut endpoint = quinn::Endpoint::client(ANY).expect("bound");
    endpoint.set_default_client_config(configs.client);
    endpoint
}

/// What a peer of this version says first.
fn opening(version: u16) -> Vec<u8> {
    [&b"palib"[..], &version.to_le_bytes()].concat()
}

fn versions(theirs: u16) -> String {
    format!("different versions of palib's protocol, {PROTOCOL_VERSION} and {theirs}")
}

#[tokio::test]
async fn a_stranger_without_a_certificate_is_refused() {
    let authority = authority();
    let (server, address, mut refused) = server(&authority);
    let accepting = tokio::spawn(async move { server.accept().await });

    let mut roots = rustls::RootCertStore::empty();
    let pem = authority.certificate_pem().as_bytes();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(pem).expect("PEM")).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("supported")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"palib".to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let stranger = quinn::Endpoint::client(ANY).expect("bound");
    let config = quinn::ClientConfig::new(Arc::new(crypto));
    let connection = soon(stranger.connect_with(config, address, SERVER_NAME).expect("tried")).await;
    if let Ok(connection) = connection {
        soon(connection.closed()).await;
    }

    let who = soon(refused.recv()).await.expect("it was told");
    assert_eq!(who.peer, None);
    assert_eq!(who.address.port(), stranger.local_addr().expect("bound").port());
    assert!(who.reason.contains("certificate"), "{}", who.reason);
    assert!(!accepting.is_finished(), "a stranger must not become a link");
    accepting.abort();
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_on_both_sides() {
    let (ours, theirs) = (authority(), authority());
    let (server, address, mut refused) = server(&ours);
    let accepting = tokio::spawn(async move { server.accept().await });

    // It does not believe the server.
    let stranger = endpoint(&theirs, &Grant::ftm());
    let error = soon(stranger.connect(address)).await.expect_err("refused");
    assert!(matches!(error, LinkError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate of this cluster's authority"), "{error}");
    soon(refused.recv()).await.expect("it was told");

    // It does believe the server, but the server must not believe it.
    let issued = theirs.issue(&Grant::ftm()).expect("issued");
    let stranger =
        Endpoint::bind(&Identity::from_pem(&issued, ours.certificate_pem()).expect("readable"), ANY);
    let error = soon(stranger.expect("bound").connect(address)).await.expect_err("refused");
    assert!(matches!(error, LinkError::Refused { .. }), "{error:?}");
    assert!(error.to_string().contains("certificate of this cluster's authority"), "{error}");
    let who = soon(refused.recv()).await.expect("it was told");
    assert!(who.reason.contains("certificate"), "{}", who.reason);
    accepting.abort();
}

#[tokio::test]
async fn a_peer_of_another_version_is_told_both_versions() {
    let authority = authority();
    let (server, address, mut refused) = server(&authority);
    let accepting = tokio::spawn(async move { server.accept().await });
    let other = bare(&identity(&authority, &Grant::operator()));
    let connection = soon(other.connect(address, SERVER_NAME).expect("tried")).await.expect("connected");
    let (mut send, _receive) = soon(connection.open_bi()).await.expect("opened");
    send.write_all(&opening(258)).await.expect("written");
    let error = soon(connection.closed()).await.to_string();
    assert!(error.contains(&versions(258)), "{error}");
    let who = soon(refused.recv()).await.expect("it was told");
    assert_eq!(who.peer, Some(Grant::operator()));
    assert!(who.reason.contains(&versions(258)), "{}", who.reason);
    accepting.abort();
}

#[tokio::test]
async fn a_server_of_another_version_is_refused_with_both_versions() {
    let authority = authority();
    let configs = QuicConfigs::new(&identity(&authority, &Grant::ftm())).expect("usable");
    let server = quinn::Endpoint::server(configs.server, ANY).expect("bound");
    let address = server.local_addr().expect("bound");
    tokio::spawn(async move {
        let connection = server.accept().await.expect("open").await.expect("connected");
        let (mut send, _receive) = connection.accept_bi().await.expect("opened");
        send.write_all(&opening(PROTOCOL_VERSION + 1)).await.expect("written");
        connection.closed().await;
    });
    let error = soon(endpoint(&authority, &Grant::operator()).connect(address)).await.expect_err("refused");
    assert!(error.to_string().contains(&versions(PROTOCOL_VERSION + 1)), "{error}");
}

/// What a link says that got these bytes from a peer with a good certificate, and what the peer is told.
async fn after(bytes: &[u8]) -> (String, String) {
    let authority = authority();
    let (server, address, _) = server(&authority);
    let accepting = tokio::spawn(async move { (server.accept().await.expect("accepted"), server) });
    let peer = bare(&identity(&authority, &Grant::process("caller-1", ["caller"])));
    let connection = soon(peer.connect(address, SERVER_NAME).expect("tried")).await.expect("connected");
    let (mut send, _receive) = soon(connection.open_bi()).await.expect("opened");
    send.write_all(&opening(PROTOCOL_VERSION)).await.expect("written");
    let (link, _server) = soon(accepting).await.expect("no panic");
    send.write_all(bytes).await.expect("written");
    send.finish().expect("open");
    let error = soon(link.receive(&mut Vec::new())).await.expect_err("it is malformed");
    // A peer that only ends its stream is not told anything as long as the link is held here.
    drop(link);
    (error.to_string(), soon(connection.closed()).await.to_string())
}

#[tokio::test]
async fn an_oversized_frame_closes_the_link_and_the_peer_is_told() {
    let (error, told) = after(&[&u32::MAX.to_le_bytes()[..], b"\x05whatever"].concat()).await;
    assert!(error.contains("4294967295 bytes is longer than the limit"), "{error}");
    assert!(told.contains("4294967295 bytes is longer than the limit"), "{told}");
}

#[tokio::test]
async fn garbage_closes_the_link_and_the_peer_is_told() {
    let (error, told) = after(b"\x03\0\0\0GET / HTTP/1.1").await;
    assert!(error.contains("unknown frame kind 71"), "{error}");
    assert!(told.contains("unknown frame kind 71"), "{told}");
}

#[tokio::test]
async fn an_end_in_the_middle_of_a_frame_is_an_error() {
    let (error, _) = after(b"\x09\0\0\0\x05half").await;
    assert!(error.contains("in the middle of a frame"), "{error}");
}

#[tokio::test]
async fn half_open_handshakes_delay_nobody() {
    let authority = authority();
    let (server, address, _) = server(&authority);
    let accepting = tokio::spawn(async move { (server.accept().await.expect("accepted"), server) });
    // Each of them knocks and then says nothing.
    let half_open = bare(&identity(&authority, &Grant::operator()));
    let mut silent = Vec::new();
    for _ in 0..30 {
        silent.push(soon(half_open.connect(address, SERVER_NAME).expect("tried")).await.expect("connected"));
    }
    let client = endpoint(&authority, &Grant::process("caller-1", ["caller"]));
    let made = tokio::time::timeout(Duration::from_secs(3), client.connect(address)).await;
    made.expect("nobody waits for the silent ones").expect("connected");
    soon(accepting).await.expect("no panic");
}

#[tokio::test]
async fn connecting_to_nobody_fails_in_words() {
    let client = endpoint(&authority(), &Grant::operator());
    let nobody = std::net::UdpSocket::bind(ANY).expect("bound");
    let error = soon(client.connect(nobody.local_addr().expect("bound"))).await.expect_err("nobody is there");
    assert!(matches!(error, LinkError::Connect { .. }), "{error:?}");
    assert!(error.to_string().contains("nothing was heard of the peer for 4 s"), "{error}");
}
