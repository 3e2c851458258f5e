//! [`Quiet`]: hours of the night in which nothing is sent, and where a recipient's day ends.

use std::str::FromStr;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

use crate::model::Instant;

/// `21:00-08:00`, from the first time of day until just before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    from: Time,
    until: Time,
}

impl Quiet {
    /// When the quiet hours end in which `at` lies by the clocks of `zone`; `None` if it lies in none.
    ///
    /// Where clocks are set forward over the end, that is the first moment after it; where they are set
    /// back over it, the first time it comes (RFC 5545 §3.3.5).
    #[must_use]
    pub fn end(self, at: Instant, zone: &TimeZone) -> Option<Instant> {
        let local = zone.to_datetime(at.to_timestamp());
        let time = local.time();
        let within = if self.from < self.until {
            self.from <= time && time < self.until
        } else {
            self.from <= time || time < self.until
        };
        if !within {
            return None;
        }
        let day = if time < self.until { local.date() } else { local.date().tomorrow().ok()? };
        let end = instant(day.to_datetime(self.until), zone)?;
        // Set back within: the end came already, and comes once more.
        (end > at).then_some(end).or_else(|| {
            let later = zone.to_ambiguous_zoned(day.to_datetime(self.until)).later().ok()?;
            Some(Instant::from_timestamp(later.timestamp())).filter(|end| *end > at)
        })
    }
}

/// When the day of `at` began and when it ends by the clocks of `zone`.
#[must_use]
pub fn day(at: Instant, zone: &TimeZone) -> Option<(Instant, Instant)> {
    let today = zone.to_datetime(at.to_timestamp()).date();
    let begin = |date: jiff::civil::Date| {
        let zoned = date.to_zoned(zone.clone()).ok()?.start_of_day().ok()?;
        Some(Instant::from_timestamp(zoned.timestamp()))
    };
    Some((begin(today)?, begin(today.checked_add(1.day()).ok()?)?))
}

fn instant(local: DateTime, zone: &TimeZone) -> Option<Instant> {
    let found: Timestamp = zone.to_ambiguous_zoned(local).compatible().ok()?.timestamp();
    Some(Instant::from_timestamp(found))
}

impl FromStr for Quiet {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "write two times of day, such as `21:00-08:00`";
        let (from, until) = text.split_once(['-', '–']).ok_or(form)?;
        let time = |text: &str| -> Option<Time> {
            let (hour, minute) = text.trim().split_once(':')?;
            let two = |text: &str| {
                let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
                digits.then(|| text.parse::<i8>().ok()).flatten()
            };
            Time::new(two(hour)?, two(minute)?, 0, 0).ok()
        };
        let quiet = Self { from: time(from).ok_or(form)?, until: time(until).ok_or(form)? };
        if quiet.from == quiet.until {
            return Err("they begin when they end: that would be the whole day, or none of it");
        }
        Ok(quiet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(quiet: &str, at: &str, zone: &str) -> Option<String> {
        let quiet: Quiet = quiet.parse().unwrap();
        let at: Instant = at.parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        quiet.end(at, &zone).map(|end| end.to_string())
    }

    #[test]
    fn they_end_in_the_morning_of_the_recipient() {
        let night = "21:00-08:00";
        for (at, zone, until) in [
            ("2026-03-02T22:40:00Z", "Europe/Berlin", Some("2026-03-03T07:00:00Z")),
            ("2026-03-02T19:59:59Z", "Europe/Berlin", None),
            ("2026-03-02T20:00:00Z", "Europe/Berlin", Some("2026-03-03T07:00:00Z")),
            ("2026-03-03T06:59:59Z", "Europe/Berlin", Some("2026-03-03T07:00:00Z")),
            ("2026-03-03T07:00:00Z", "Europe/Berlin", None),
            ("2026-03-02T22:40:00Z", "America/New_York", None),
            // Clocks are set forward in the night of the 29th: the night is an hour shorter.
            ("2026-03-28T22:00:00Z", "Europe/Berlin", Some("2026-03-29T06:00:00Z")),
            ("2026-10-24T22:00:00Z", "Europe/Berlin", Some("2026-10-25T07:00:00Z")),
        ] {
            assert_eq!(end(night, at, zone).as_deref(), until, "{at} in {zone}");
        }
        assert_eq!(
            end("12:00-13:00", "2026-03-02T12:30:00Z", "UTC").unwrap(),
            "2026-03-02T13:00:00Z"
        );
        assert_eq!(end("12:00-13:00", "2026-03-02T13:00:00Z", "UTC"), None);
    }

    #[test]
    fn an_end_that_clocks_leave_out_or_show_twice_is_still_one() {
        // 02:30 does not exist on 29 March: the first moment after the gap, 03:30 in summer time.
        assert_eq!(
            end("21:00-02:30", "2026-03-28T23:00:00Z", "Europe/Berlin").unwrap(),
            "2026-03-29T01:30:00Z"
        );
        // It comes twice on 25 October: before the first it ends with the first, between them with the second.
        let twice = |at| end("21:00-02:30", at, "Europe/Berlin").unwrap();
        assert_eq!(twice("2026-10-24T23:00:00Z"), "2026-10-25T00:30:00Z");
        assert_eq!(twice("2026-10-25T01:10:00Z"), "2026-10-25T01:30:00Z");
    }

    #[test]
    fn days_are_those_of_the_zone() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let at = |text: &str| text.parse::<Instant>().unwrap();
        let (begin, end) = day(at("2026-03-29T12:00:00Z"), &zone).unwrap();
        assert_eq!((begin, end), (at("2026-03-28T23:00:00Z"), at("2026-03-29T22:00:00Z")));
    }

    #[test]
    fn what_is_no_night_is_refused() {
        for bad in ["", "21:00", "21-8", "25:00-08:00", "21:00-21:00", "9:00-17:00"] {
            assert!(bad.parse::<Quiet>().is_err(), "{bad}");
        }
    }
}
