//! [`Instant`] and [`Span`]: microseconds, signed, in 64 bits (292,000 years either way).
//!
//! Calendars and zones live in `rules/`; here time is only a number and its text.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time: microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Instant(i64);

/// An elapsed length of time in microseconds; a day is always 24 hours.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span(i64);

impl Instant {
    /// The earliest instant.
    pub const MIN: Self = Self(i64::MIN);
    /// Later than anything that can be written: 9999-12-30T22:00:00Z is the last instant jiff prints.
    pub const MAX: Self = Self(253_402_207_200_000_000);

    /// From microseconds since the epoch.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// From jiff; anything finer than a microsecond is cut off.
    #[must_use]
    pub fn from_timestamp(timestamp: jiff::Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }

    /// To jiff; an instant outside jiff's range of years -9999 to 9999 is moved to its end.
    #[must_use]
    pub fn to_timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(if self.0 < 0 {
            jiff::Timestamp::MIN
        } else {
            jiff::Timestamp::MAX
        })
    }

    /// The span from `earlier` to this instant, negative if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From microseconds.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// From milliseconds.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// From seconds.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000))
    }

    /// From days of 24 hours.
    #[must_use]
    pub const fn from_days(days: i64) -> Self {
        Self::from_secs(days.saturating_mul(86_400))
    }

    /// Microseconds.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// As the standard library has it; a negative span is zero.
    #[must_use]
    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }

    /// This span `factor` times, saturating.
    #[must_use]
    pub const fn times(self, factor: i64) -> Self {
        Self(self.0.saturating_mul(factor))
    }
}

impl Add<Span> for Instant {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Instant {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Span {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

/// RFC 3339 in UTC, with as many decimals as needed.
impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_timestamp().fmt(f)
    }
}

/// Reads RFC 3339 with an offset; the offset is dropped, the instant stays.
impl FromStr for Instant {
    type Err = jiff::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<jiff::Timestamp>().map(Self::from_timestamp)
    }
}

/// Seconds in ISO 8601, `PT90S`; whole days as `P3D`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 86_400_000_000;
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        if micros > 0 && micros.is_multiple_of(DAY) {
            return write!(f, "{sign}P{}D", micros / DAY);
        }
        let (secs, fraction) = (micros / 1_000_000, micros % 1_000_000);
        if fraction == 0 {
            write!(f, "{sign}PT{secs}S")
        } else {
            let decimals = format!("{fraction:06}");
            write!(f, "{sign}PT{secs}.{}S", decimals.trim_end_matches('0'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_print_and_parse_in_utc() {
        let instant: Instant = "2026-03-02T10:00:00+01:00".parse().unwrap();
        assert_eq!(instant.to_string(), "2026-03-02T09:00:00Z");
        assert_eq!(instant.to_string().parse::<Instant>().unwrap(), instant);
    }

    #[test]
    fn spans_print_as_iso_8601() {
        assert_eq!(Span::from_secs(90).to_string(), "PT90S");
        assert_eq!(Span::from_days(3).to_string(), "P3D");
        assert_eq!(Span::from_millis(200).to_string(), "PT0.2S");
        assert_eq!(Span::ZERO.to_string(), "PT0S");
        assert_eq!(Span::from_secs(-5).to_string(), "-PT5S");
    }

    #[test]
    fn the_far_future_still_prints() {
        assert!(Instant::MAX.to_string().starts_with("9999-12-30"));
    }
}
