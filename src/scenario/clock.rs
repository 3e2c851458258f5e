//! Times as scenario files write them, and as their failures say them.

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;

use crate::model::{Duration, Instant};

/// Reads the time of an entry: `10:05`, `10:05:30`, `2026-03-09 12:00`, RFC 3339, `+5m`, or a date, which
/// means its first moment. `before` is the time of the entry before, whose day a bare time is on; without
/// one there must be a date.
///
/// # Errors
/// What is wrong, for people.
pub(super) fn read(
    text: &str,
    zone: &TimeZone,
    before: Option<Instant>,
) -> Result<Instant, String> {
    let text = text.trim();
    if let Some(rest) = text.strip_prefix('+') {
        let before = before.ok_or("`start` has no entry before it: write a date and a time")?;
        let span = rest.parse::<Duration>().map_err(|error| error.to_string())?;
        let span = span.elapsed().ok_or("only elapsed time counts here: `+5m`, `+2h`, `+3d`")?;
        return Ok(before + span);
    }
    if let Ok(at) = text.parse::<Instant>() {
        return Ok(at);
    }
    // jiff would read a time out of a whole date and time.
    let civil = if text.contains('-') {
        text.parse::<DateTime>().ok()
    } else {
        let time = text.parse::<Time>().ok();
        let before = before.ok_or("a date is missing: write `2026-03-02 09:55`")?;
        time.map(|time| before.to_timestamp().to_zoned(zone.clone()).date().to_datetime(time))
    };
    let Some(civil) = civil else {
        return Err(format!(
            "`{text}` is no time: write `10:05`, `2026-03-09 12:00`, or `+5m` from the entry before"
        ));
    };
    match zone.to_ambiguous_zoned(civil).compatible() {
        Ok(zoned) => Ok(Instant::from_timestamp(zoned.timestamp())),
        Err(error) => Err(format!("`{text}` cannot be on a calendar: {error}")),
    }
}

/// A time for people: `2026-03-02 10:05`, with seconds and their parts if there are any.
pub(super) fn say(at: Instant, zone: &TimeZone) -> String {
    let local = at.to_timestamp().to_zoned(zone.clone());
    let micros = at.as_micros().rem_euclid(60_000_000);
    let format = match micros {
        0 => "%Y-%m-%d %H:%M",
        whole if whole % 1_000_000 == 0 => "%Y-%m-%d %H:%M:%S",
        _ => "%Y-%m-%d %H:%M:%S%.f",
    };
    local.strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn berlin() -> TimeZone {
        TimeZone::get("Europe/Berlin").unwrap()
    }

    fn at(text: &str) -> Instant {
        text.parse().unwrap()
    }

    #[test]
    fn times_are_read_in_the_scenario_s_zone() {
        let before = at("2026-03-02T08:55:00Z");
        for (text, meant) in [
            ("10:05", "2026-03-02T09:05:00Z"),
            ("10:05:30", "2026-03-02T09:05:30Z"),
            ("2026-03-09 12:00", "2026-03-09T11:00:00Z"),
            ("2026-04-01 12:00", "2026-04-01T10:00:00Z"),
            ("2026-04-01", "2026-03-31T22:00:00Z"),
            ("2026-03-09T12:00:00+05:00", "2026-03-09T07:00:00Z"),
            ("+90s", "2026-03-02T08:56:30Z"),
            ("+3d", "2026-03-05T08:55:00Z"),
            // In the gap of the night to summer time: the first moment after it.
            ("2026-03-29 02:30", "2026-03-29T01:30:00Z"),
        ] {
            assert_eq!(read(text, &berlin(), Some(before)), Ok(at(meant)), "{text}");
        }
        for (text, why) in
            [("25:00", "no time"), ("+5", "no unit"), ("+2bd", "elapsed"), ("", "no time")]
        {
            let error = read(text, &berlin(), Some(before)).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(read("10:00", &berlin(), None).unwrap_err().contains("a date is missing"));
    }

    #[test]
    fn times_are_said_as_short_as_they_are() {
        assert_eq!(say(at("2026-03-02T09:05:00Z"), &berlin()), "2026-03-02 10:05");
        assert_eq!(say(at("2026-03-02T09:05:07Z"), &berlin()), "2026-03-02 10:05:07");
        assert_eq!(say(at("2026-03-02T09:05:07.25Z"), &berlin()), "2026-03-02 10:05:07.25");
    }
}
