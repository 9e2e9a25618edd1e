//! Floods at the door: of strangers, and of peers that knock and then say nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use palib::tls::SERVER_NAME;
use palib::transport::Endpoint;

use crate::attacker::{ANY, Attacker, identity};
use crate::victim::{Told, Victim};

const MIB: usize = 1 << 20;
/// So many at once hold the door, or knock at it.
const AT_ONCE: usize = 100;
/// Each waits so long before it knocks again: the door is to be tried, not the processor.
const PAUSE: Duration = Duration::from_millis(20);

/// A client without a certificate of its own.
fn stranger(told: &Told) -> quinn::Endpoint {
    let pem = std::fs::read(&told.attacker.authority).expect("the authority is no secret");
    let mut roots = rustls::RootCertStore::empty();
    let authority = rustls::pki_types::pem::PemObject::from_pem_slice(&pem).expect("PEM");
    roots.add(authority).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("supported")
        .with_root_certificates(roots)
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"palib".to_vec()];
    let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).expect("TLS 1.3");
    let mut endpoint = quinn::Endpoint::client(ANY).expect("bound");
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(crypto)));
    endpoint
}

/// Honest callers come anew and are let in, and those that are in are served, while `attack` goes on.
async fn are_served_meanwhile(
    victim: &Victim,
    attacks: Vec<tokio::task::JoinHandle<()>>,
    knocked: Arc<AtomicUsize>,
) {
    let served = served_meanwhile(victim, attacks, knocked);
    tokio::time::timeout(Duration::from_secs(120), served).await.expect("within two minutes");
}

async fn served_meanwhile(
    victim: &Victim,
    attacks: Vec<tokio::task::JoinHandle<()>>,
    knocked: Arc<AtomicUsize>,
) {
    let mut honest = victim.honest().await;
    while knocked.load(Ordering::Relaxed) < 2 * AT_ONCE {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for _ in 0..3 {
        let newcomer = Endpoint::bind(&identity(&victim.told), ANY).expect("bound");
        newcomer.connect(victim.told.address).await.expect("let in");
        honest.calls().await;
    }
    println!(
        "{} knocked, the victim held {} MiB at most",
        knocked.load(Ordering::Relaxed),
        victim.peak_bytes() / MIB
    );
    assert!(attacks.iter().all(|attack| !attack.is_finished()), "the attack has ended before");
    for attack in attacks {
        attack.abort();
    }
    assert!(victim.peak_bytes() < 192 * MIB, "{} MiB", victim.peak_bytes() / MIB);
}

/// With a good certificate, and without the first word.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_that_knock_and_say_nothing_keep_nobody_out() {
    let victim = Victim::start().await;
    let attacker = Arc::new(Attacker::new(&victim.told));
    let knocked = Arc::new(AtomicUsize::new(0));
    let attack = |_| {
        let (attacker, knocked) = (Arc::clone(&attacker), Arc::clone(&knocked));
        tokio::spawn(async move {
            loop {
                if let Some(connection) = attacker.knock().await {
                    knocked.fetch_add(1, Ordering::Relaxed);
                    // Until it is turned away; then again.
                    connection.closed().await;
                }
                tokio::time::sleep(PAUSE).await;
            }
        })
    };
    let attacks = (0..AT_ONCE).map(attack).collect();
    are_served_meanwhile(&victim, attacks, knocked).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_without_a_certificate_keep_nobody_out() {
    let victim = Victim::start().await;
    let endpoint = stranger(&victim.told);
    let knocked = Arc::new(AtomicUsize::new(0));
    let attack = |_| {
        let (endpoint, knocked, address) = (endpoint.clone(), Arc::clone(&knocked), victim.told.address);
        tokio::spawn(async move {
            loop {
                if let Ok(connection) = endpoint.connect(address, SERVER_NAME).expect("tried").await {
                    connection.closed().await;
                }
                knocked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(PAUSE).await;
            }
        })
    };
    let attacks = (0..AT_ONCE).map(attack).collect();
    are_served_meanwhile(&victim, attacks, knocked).await;
}
