//! How long the parts of a takeover took.

use std::collections::BTreeMap;

use palib::control::TakeoverTiming;
use palib_core::ids::AliasId;

/// A caller that found nobody in service sends for the first time as soon as it is told who is: within this time of the
/// mark. Whoever sends later has not waited.
const TOLD_WITHIN_NS: u64 = 250_000_000;

/// What is known about the end of a process, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Death {
    /// When it was injured, if the FTM did it.
    pub(crate) defect_ns: Option<u64>,
    /// When the FTM noticed.
    pub(crate) detected_ns: Option<u64>,
    /// When it was known dead.
    pub(crate) dead_ns: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    incarnation: u64,
    death: Death,
    begun_ns: u64,
    parts: TakeoverTiming,
    marked_ns: Option<u64>,
}

/// The takeover of each alias that is under way, or waits for its first reply.
#[derive(Debug, Default)]
pub(crate) struct Takeovers {
    open: BTreeMap<AliasId, Open>,
}

impl Takeovers {
    /// A takeover begins; `death` is that of the old active, if one died.
    pub(crate) fn begin(&mut self, alias: AliasId, incarnation: u64, death: Death, now_ns: u64) {
        let parts = TakeoverTiming {
            detect_us: difference_us(death.defect_ns, death.detected_ns),
            fence_us: difference_us(death.detected_ns, death.dead_ns),
            ..TakeoverTiming::default()
        };
        self.open.insert(alias, Open { incarnation, death, begun_ns: now_ns, parts, marked_ns: None });
    }

    /// The mark has moved. `own` is what the new active measured of itself.
    pub(crate) fn marked(
        &mut self,
        alias: AliasId,
        incarnation: u64,
        own: TakeoverTiming,
        now_ns: u64,
    ) -> TakeoverTiming {
        let Some(open) = self.open.get_mut(&alias).filter(|open| open.incarnation == incarnation) else {
            return own;
        };
        open.marked_ns = Some(now_ns);
        open.parts.open_us = own.open_us;
        open.parts.recover_us = own.recover_us;
        // All that is neither opening nor recovery: the durable incarnation and the way there and back. So the
        // parts add up to the blackout.
        let since_dead = now_ns.saturating_sub(open.death.dead_ns.unwrap_or(open.begun_ns)) / 1_000;
        let measured = own.open_us.unwrap_or(0) + own.recover_us.unwrap_or(0);
        open.parts.mark_us = Some(since_dead.saturating_sub(measured));
        open.parts
    }

    /// The first answer left the new active; the whole is known now. `asked_ns` is when it was first asked, unless that was
    /// sent before. Time in which nobody waited is no blackout.
    pub(crate) fn first_reply(
        &mut self,
        alias: AliasId,
        incarnation: u64,
        asked_ns: Option<u64>,
        at_ns: u64,
    ) -> Option<TakeoverTiming> {
        let open = self.open.get(&alias).filter(|open| open.incarnation == incarnation)?;
        let mut parts = open.parts;
        let after_mark = asked_ns.and_then(|asked| asked.checked_sub(open.marked_ns?));
        if after_mark.is_none_or(|after| after <= TOLD_WITHIN_NS) {
            parts.first_reply_us = difference_us(open.marked_ns, Some(at_ns));
            parts.blackout_us = difference_us(open.death.defect_ns.or(open.death.detected_ns), Some(at_ns));
        }
        self.open.remove(&alias);
        Some(parts)
    }
}

fn difference_us(from: Option<u64>, to: Option<u64>) -> Option<u64> {
    Some(to?.saturating_sub(from?) / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_add_up_to_the_blackout() {
        let mut takeovers = Takeovers::default();
        let alias = AliasId(1);
        let us = |us: u64| 1_000_000 + us * 1_000;
        let death = Death { defect_ns: Some(us(0)), detected_ns: Some(us(300)), dead_ns: Some(us(310)) };
        takeovers.begin(alias, 2, death, us(700));
        let own = TakeoverTiming { open_us: Some(800), recover_us: Some(50), ..TakeoverTiming::default() };
        assert_eq!(
            takeovers.marked(alias, 1, own, us(1_700)),
            own,
            "another takeover's mark is not this one's"
        );
        takeovers.marked(alias, 2, own, us(1_700));
        assert_eq!(takeovers.first_reply(alias, 1, None, us(2_000)), None);
        let parts = takeovers.first_reply(alias, 2, None, us(2_000)).unwrap();
        let all = [
            parts.detect_us,
            parts.fence_us,
            parts.open_us,
            parts.recover_us,
            parts.mark_us,
            parts.first_reply_us,
        ];
        assert_eq!(all.iter().flatten().sum::<u64>(), 2_000);
        assert_eq!(parts.blackout_us, Some(2_000));
        assert_eq!(takeovers.first_reply(alias, 2, None, us(2_100)), None, "there is one first reply");
    }

    #[test]
    fn time_in_which_nobody_asked_is_no_blackout() {
        let (alias, second) = (AliasId(1), 1_000_000_000);
        let measured = |asked_ns: Option<u64>| {
            let mut takeovers = Takeovers::default();
            let death = Death { defect_ns: Some(second), detected_ns: Some(second), dead_ns: Some(second) };
            takeovers.begin(alias, 2, death, second);
            takeovers.marked(alias, 2, TakeoverTiming::default(), 2 * second);
            let parts = takeovers.first_reply(alias, 2, asked_ns, 301 * second).unwrap();
            assert_eq!(parts.mark_us, Some(1_000_000), "what was measured before stays");
            (parts.first_reply_us, parts.blackout_us)
        };
        assert_eq!(measured(Some(300 * second)), (None, None));
        let waited = (Some(299_000_000), Some(300_000_000));
        assert_eq!(measured(None), waited, "it was sent again");
        assert_eq!(measured(Some(second)), waited, "it came before the mark had moved");
        assert_eq!(measured(Some(2 * second + 5_000_000)), waited, "it came when the mark was told of");
    }
}
