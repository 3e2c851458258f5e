//! The one clock of a run: sending and receiving are measured in nanoseconds since the process began.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

static BEGAN: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the first call, never 0, which stands for "not yet".
pub(crate) fn now() -> u64 {
    BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1
}

/// A span as nanoseconds.
pub(crate) const fn nanos(span: Duration) -> u64 {
    span.as_nanos() as u64
}

/// Seconds between two moments; never 0, so that rates have a divisor.
pub(crate) fn seconds_between(from: u64, to: u64) -> f64 {
    to.saturating_sub(from).max(1) as f64 / 1e9
}

/// The time of day, as time since 1970.
pub(crate) fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
