//! Defects that were asked for by name: when each is due.

use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::inject::{between, request};
use crate::defect::{Defect, Injury};
use crate::operator::OperatorClient;

/// The defects still to come.
#[derive(Debug)]
pub(super) struct Schedule {
    random: StdRng,
    /// What comes when.
    coming: Vec<(Instant, Defect)>,
}

impl Schedule {
    /// A schedule that begins now.
    #[must_use]
    pub(super) fn new(defects: &[Defect], seed: u64, began: Instant) -> Self {
        // Another stream of chance than the storm's, so that adding a defect does not change the storm.
        let mut random = StdRng::seed_from_u64(seed ^ 0x5eed_5c4e_d01e);
        let coming = defects
            .iter()
            .map(|defect| {
                let first = defect.when.every.map(|(least, most)| between(&mut random, least, most));
                (began + defect.when.after.unwrap_or_default() + first.unwrap_or_default(), defect.clone())
            })
            .collect();
        Self { random, coming }
    }

    /// When the next one is due.
    #[must_use]
    pub(super) fn next(&self) -> Option<Instant> {
        self.coming.iter().map(|(at, _)| *at).min()
    }

    /// Those that are due; one that comes again and again is put back for its next time.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Injury> {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.coming).into_iter().partition(|(at, _)| *at <= now);
        self.coming = later;
        due.into_iter()
            .map(|(at, defect)| {
                let injury = defect.injury.clone();
                if let Some((least, most)) = defect.when.every {
                    self.coming.push((at.max(now) + between(&mut self.random, least, most), defect));
                }
                injury
            })
            .collect()
    }
}

/// Asks the FTM for an injury without waiting: the FTM itself may be the one that is dying.
pub(super) fn inject(client: &OperatorClient, injury: &Injury) {
    let (client, injury) = (client.clone(), injury.clone());
    tokio::spawn(async move {
        if let Err(refused) = client.request(request(&injury)).await {
            tracing::info!("{injury}: {refused}");
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn defects_come_once_after_a_while_or_again_and_again() {
        let began = Instant::now();
        let defects = ["kill a", "after 2s kill b", "every 1s..2s kill c", "after 5s every 1s kill d"];
        let defects: Vec<Defect> = defects.iter().map(|text| text.parse().expect(text)).collect();
        let mut schedule = Schedule::new(&defects, 1, began);
        let mut seen = std::collections::BTreeMap::<String, Vec<u64>>::new();
        for step in 0..1000 {
            let at = Duration::from_millis(step * 10);
            for injury in schedule.due(began + at) {
                seen.entry(injury.to_string()).or_default().push(at.as_millis() as u64);
            }
        }
        assert_eq!(seen["kill a"], [0]);
        assert_eq!(seen["kill b"], [2000]);
        assert!((5..=10).contains(&seen["kill c"].len()), "{:?}", seen["kill c"]);
        assert_eq!(seen["kill d"], [6000, 7000, 8000, 9000]);
    }
}
