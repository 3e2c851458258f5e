//! The only place where time comes in.
#![allow(
    clippy::disallowed_methods,
    reason = "this is the front door the other rooms are kept from"
)]

#[cfg(feature = "test-clock")]
pub(super) mod outside;

use crate::model::{Instant, Span};

/// The system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// Counting from now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// The time of day.
    #[must_use]
    pub fn wall(self) -> Instant {
        #[cfg(feature = "test-clock")]
        if let Some(now) = outside::now() {
            return now;
        }
        Instant::from_timestamp(jiff::Timestamp::now())
    }

    /// Since this clock was started; never goes back.
    #[must_use]
    pub fn mono(self) -> Span {
        let micros = self.origin.elapsed().as_micros();
        Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}
