//! Defects as requests to the FTM.

use std::time::Duration;

use palib::control::OperatorRequest;
use rand::Rng;

use crate::defect::Injury;

/// What the FTM is asked, for an injury that happens at once.
#[must_use]
pub fn request(injury: &Injury) -> OperatorRequest {
    match injury {
        Injury::Kill(target) => OperatorRequest::Kill { process: target.0.clone() },
        Injury::Exit(target) => OperatorRequest::Exit { process: target.0.clone() },
        Injury::Hang { target, span } => OperatorRequest::Hang {
            process: target.0.clone(),
            for_ms: span.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
        },
        Injury::At { target, point, nth, pause } => OperatorRequest::Arm {
            target: target.0.clone(),
            point: point.name().to_owned(),
            nth: *nth,
            pause: *pause,
        },
        Injury::Link { .. } | Injury::Disk { .. } => OperatorRequest::Fault { spec: injury.to_string() },
    }
}

/// A pause between two, by chance.
pub fn between(random: &mut impl Rng, least: Duration, most: Duration) -> Duration {
    if least >= most {
        return least;
    }
    let us = random.random_range(least.as_micros() as u64..=most.as_micros() as u64);
    Duration::from_micros(us)
}
