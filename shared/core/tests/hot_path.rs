//! What a call costs in the machines alone.
//!
//! `cargo test -p palib-core --test hot_path --release -- --ignored --nocapture`

use std::time::Instant;

use palib_core::ids::{AliasId, IdForm, Incarnation, Nanos, PortId, TransId};
use palib_core::message::Outcome;
use palib_core::redundancy::WINDOW;
use palib_core::relay::Policy;
use palib_core::{resend, server};

const CALLER: AliasId = AliasId(2);
const COUNTER: AliasId = AliasId(1);
const ROUNDS: u64 = 20_000;

/// Both sides of calls in atomic mode, `flight` of them at a time.
fn measure(flight: u64) {
    let mut caller = resend::Caller::new(resend::Settings {
        source: CALLER,
        form: IdForm::Incarnation,
        outbox: true,
        window: WINDOW,
        resend_after: Nanos(u64::MAX),
        inquire_after: Nanos(1),
        mark_after: Nanos(1),
    });
    let on_takeover = Policy::RollForward;
    let settings = server::Settings {
        alias: COUNTER,
        window: WINDOW,
        sessions_max: 512,
        calls_max: 16_384,
        on_takeover,
    };
    let mut server = server::Server::new(settings);
    let (mut sent, mut done) = (Vec::new(), Vec::new());
    let now = Nanos(0);
    server.handle(
        now,
        server::Input::Promoted { incarnation: Incarnation(1), blocked: vec![], journal: vec![] },
        &mut done,
    );
    let (incarnation, port) = (Incarnation(1), PortId(1));
    let trans_base = TransId(1_000_000_000);
    caller.handle(
        now,
        resend::Input::Promoted { incarnation, port, trans_base, pending: vec![], held: vec![] },
        &mut sent,
    );
    let route = resend::Route { incarnation, port: Some(port) };
    caller.handle(now, resend::Input::Route { target: COUNTER, route }, &mut sent);

    let rounds = ROUNDS / flight;
    let (mut callings, mut servings) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        sent.clear();
        for token in 0..flight {
            let call = resend::Input::Call { token, target: COUNTER, body: 7_u32, deadline: None };
            caller.handle(now, call, &mut sent);
        }
        let started = |effect: &resend::Effect<u32>| match effect {
            resend::Effect::Started { id, .. } => Some(*id),
            _ => None,
        };
        let ids: Vec<_> = sent.iter().filter_map(started).collect();
        sent.clear();
        for &id in &ids {
            caller.handle(now, resend::Input::Stable { id }, &mut sent);
        }
        let mut calling = start.elapsed().as_nanos();

        let start = Instant::now();
        done.clear();
        for effect in sent.drain(..) {
            let resend::Effect::Send { request, .. } = effect else { continue };
            let asker = server::Asker(1);
            server.handle(now, server::Input::Request { asker, request, digest: 7 }, &mut done);
        }
        for effect in std::mem::take(&mut done) {
            if let server::Effect::Load { key } = effect {
                server.handle(now, server::Input::Loaded { key, row: None, mark: None }, &mut done);
            }
        }
        done.clear();
        for &id in &ids {
            server.handle(now, server::Input::Atomic { id }, &mut done);
        }
        done.clear();
        for &id in &ids {
            let outcome = Some(Outcome::Reply(8));
            server.handle(now, server::Input::Stable { id, outcome }, &mut done);
        }
        servings.push(start.elapsed().as_nanos() / u128::from(flight));

        let start = Instant::now();
        sent.clear();
        for &id in &ids {
            caller.handle(now, resend::Input::Answer { id, outcome: Outcome::Reply(8) }, &mut sent);
            caller.handle(now, resend::Input::Consumed { id }, &mut sent);
        }
        for &id in &ids {
            caller.handle(now, resend::Input::Stable { id }, &mut sent);
        }
        calling += start.elapsed().as_nanos();
        callings.push(calling / u128::from(flight));
    }
    // The median: this runs beside whatever else the machine does.
    let [calling, serving] = [callings, servings].map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    println!("{flight} in flight: caller {calling} ns a call, server {serving} ns a call");
}

#[test]
#[ignore = "a measurement"]
fn a_call_costs_about_a_microsecond_on_each_side() {
    for flight in [1, 64, 256, 1000] {
        measure(flight);
    }
}
