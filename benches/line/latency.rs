//! [`Latencies`]: every single one is kept and sorted, so percentiles are exact.

use std::sync::atomic::Ordering::Relaxed;

use super::ledger::Ledger;

/// Nanoseconds, in no order until asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<u64>);

impl Latencies {
    /// From when an event should have been sent until its webhook came: a generator that is held up
    /// counts against the subject (corrected for coordinated omission).
    pub(crate) fn end_to_end(ledger: &Ledger) -> Self {
        let came = ledger.matching().filter(|row| row.received.load(Relaxed) > 0);
        Self(
            came.map(|row| row.received.load(Relaxed).saturating_sub(row.intended.load(Relaxed)))
                .collect(),
        )
    }

    /// From when an event was really sent until its webhook came.
    pub(crate) fn since_sent(ledger: &Ledger) -> Self {
        let came = ledger.matching().filter(|row| row.received.load(Relaxed) > 0 && row.accepted());
        Self(
            came.map(|row| row.received.load(Relaxed).saturating_sub(row.sent.load(Relaxed)))
                .collect(),
        )
    }

    /// From when an event was sent until it was answered, of those accepted.
    pub(crate) fn of_answers(ledger: &Ledger) -> Self {
        let rows = ledger.rows().map(|(_, row)| row).filter(|row| row.accepted());
        Self(
            rows.map(|row| row.answered.load(Relaxed).saturating_sub(row.sent.load(Relaxed)))
                .collect(),
        )
    }

    /// Of spans in nanoseconds.
    pub(crate) const fn of(nanos: Vec<u64>) -> Self {
        Self(nanos)
    }

    /// With those of another.
    pub(crate) fn add(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// Milliseconds at a share such as 0.99; `None` of nothing.
    pub(crate) fn at(&mut self, share: f64) -> Option<f64> {
        self.0.sort_unstable();
        let rank = (self.0.len() as f64 * share).ceil() as usize;
        let index = rank.saturating_sub(1).min(self.0.len().saturating_sub(1));
        self.0.get(index).map(|nanos| *nanos as f64 / 1e6)
    }
}
