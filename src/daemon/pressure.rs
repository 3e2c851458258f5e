//! [`Pressure`]: whether more is accepted than this machine carries out.
//!
//! What waits for a slow or dead receiver waits on disk and holds up nobody else. But where a receiver
//! takes all we send, fast, and yet ever more waits for it, it is we who are too slow for what we
//! accept. Then new events are refused until what was accepted is nearly through: better a clear answer
//! now than a promise that is kept later and later.

use std::collections::HashMap;

use crate::model::{Span, Text};
use crate::store::Backlog;

/// Time between two looks: enough attempts end in it to tell a rate.
pub(super) const LOOK: Span = Span::from_millis(100);
/// Attempts a second at which it is not the receiver that is slow: with
/// `limits::HOST_REQUESTS` under way at a time each takes at most 64 ms.
const FAST: f64 = 1_000.0;
/// Seconds of work waiting at which new events are refused, and at which they are taken again.
const TOO_MUCH: f64 = 0.5;
const ENOUGH: f64 = 0.25;
/// How much of a rate is believed a look later: one slow sync is no slow receiver.
const FADING: f64 = 0.8;

/// Watches the backlogs of all lanes.
#[derive(Debug, Default)]
pub(super) struct Pressure {
    lanes: HashMap<Text, Lane>,
    high: bool,
}

#[derive(Debug)]
struct Lane {
    settled: u64,
    /// Attempts that end in a second.
    rate: f64,
}

impl Pressure {
    /// Looks at what waits, `since` the last look. Whether it is too much.
    pub(super) fn look<'a>(
        &mut self,
        since: Span,
        backlogs: impl Iterator<Item = Backlog<'a>>,
    ) -> bool {
        let seconds = since.as_micros() as f64 / 1e6;
        let most = if self.high { ENOUGH } else { TOO_MUCH };
        let mut high = false;
        let mut lanes = HashMap::new();
        for backlog in backlogs {
            let before = self.lanes.get(backlog.lane);
            let rate = before.map_or(0.0, |before| {
                let now = backlog.settled.saturating_sub(before.settled) as f64 / seconds;
                now.max(before.rate * FADING)
            });
            high |= rate >= FAST && backlog.waiting as f64 > rate * most;
            lanes.insert(backlog.lane.clone(), Lane { settled: backlog.settled, rate });
        }
        self.lanes = lanes;
        if high != self.high {
            tracing::debug!(refusing = high, "pressure");
        }
        self.high = high;
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every 100 ms at one lane: (waiting, settled in all).
    fn looks(looks: &[(usize, u64)]) -> Vec<bool> {
        let mut pressure = Pressure::default();
        let lane = Text::from("host");
        let look = |(waiting, settled)| {
            let backlog = Backlog { lane: &lane, waiting, settled };
            pressure.look(Span::from_millis(100), std::iter::once(backlog))
        };
        looks.iter().copied().map(look).collect()
    }

    #[test]
    fn a_fast_receiver_with_a_backlog_means_that_we_are_slow() {
        // 5,000 a second: half a second of it are 2,500
        let seen =
            looks(&[(9_000, 0), (2_400, 500), (2_600, 1_000), (1_300, 1_500), (1_200, 2_000)]);
        assert_eq!(seen, [false, false, true, true, false]);
    }

    #[test]
    fn a_slow_or_dead_receiver_may_have_any_backlog() {
        assert_eq!(looks(&[(1_000_000, 0), (1_000_000, 90), (1_000_000, 180)]), [false; 3]);
        assert_eq!(looks(&[(1_000_000, 7), (1_000_000, 7)]), [false; 2]);
    }

    #[test]
    fn one_slow_sync_changes_nothing() {
        assert_eq!(
            looks(&[(0, 0), (4_000, 500), (4_000, 500), (4_000, 900)]),
            [false, true, true, true]
        );
    }

    #[test]
    fn a_lane_that_was_idle_begins_anew() {
        assert_eq!(looks(&[(10, 9_000), (4_000, 100)]), [false; 2]);
    }
}
