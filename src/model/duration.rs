//! [`Duration`]: how long a rule says to wait, elapsed or in open time.
//!
//! Elapsed: `200ms 90s 5m 2h 3d 2w 1y` and ISO 8601 (`P1DT2H`); a day is 24 h, a year 365 d.
//! Open time of a calendar: `5bm 4bh 2bd`. A bare number has no unit and is an error.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::time::Span;

/// A length of time as written in a rule. Never negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Duration {
    /// Elapses through nights, weekends and holidays.
    Elapsed(Span),
    /// `bm` and `bh`: counts only while the calendar is open.
    Open(Span),
    /// `bd`: the same wall time that many open days on.
    OpenDays(u32),
}

/// Why a text is not a duration, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// A number without a unit.
    #[error("`{0}` has no unit: write `{0}s`, `{0}m`, `{0}h` or `{0}d`")]
    NoUnit(String),
    /// Letters that are not a unit.
    #[error("`{0}` is not a unit of time: use ms, s, m, h, d, w, y, or bm, bh, bd for open time")]
    Unit(String),
    /// Not a number where one must stand.
    #[error("`{0}` is not a duration: write a whole number and a unit, such as `90s`, `5m`, `2bd`")]
    Malformed(String),
    /// Could be read in two ways, or in a way that has no fixed length: the text, and what is wrong.
    #[error("`{0}` {1}")]
    Ambiguous(String, String),
    /// Longer than 1,000 years.
    #[error("`{0}` is too long: at most 1000y")]
    TooLong(String),
}

/// The longest duration: 1,000 years, so that sums stay far from the end of [`Span`].
const LONGEST_SECS: i64 = 1_000 * 365 * 86_400;

impl Duration {
    /// Whether a calendar is needed to compute its end.
    #[must_use]
    pub const fn needs_calendar(self) -> bool {
        matches!(self, Self::Open(_) | Self::OpenDays(_))
    }

    /// Whether it is no time at all.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        match self {
            Self::Elapsed(span) | Self::Open(span) => span.as_micros() == 0,
            Self::OpenDays(days) => days == 0,
        }
    }

    /// The elapsed span, if it needs no calendar.
    #[must_use]
    pub const fn elapsed(self) -> Option<Span> {
        match self {
            Self::Elapsed(span) => Some(span),
            Self::Open(_) | Self::OpenDays(_) => None,
        }
    }
}

impl FromStr for Duration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with('P') {
            return iso8601(text);
        }
        if let Some(error) = ambiguous(text) {
            return Err(error);
        }
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        if number.is_empty() {
            return Err(DurationError::Malformed(text.to_owned()));
        }
        let number: i64 = number.parse().map_err(|_| DurationError::TooLong(text.to_owned()))?;
        let seconds_each = match unit {
            "" => return Err(DurationError::NoUnit(text.to_owned())),
            "ms" => {
                return bounded(number / 1_000, text)
                    .map(|_| Self::Elapsed(Span::from_millis(number)));
            }
            "s" => 1,
            "m" | "bm" => 60,
            "h" | "bh" => 3_600,
            "d" | "bd" => 86_400,
            "w" => 7 * 86_400,
            "y" => 365 * 86_400,
            other => {
                return Err(if other.chars().all(char::is_alphabetic) {
                    DurationError::Unit(other.to_owned())
                } else {
                    DurationError::Malformed(text.to_owned())
                });
            }
        };
        let span = bounded(number.saturating_mul(seconds_each), text)?;
        Ok(match unit {
            "bd" => Self::OpenDays(
                u32::try_from(number).map_err(|_| DurationError::TooLong(text.to_owned()))?,
            ),
            "bm" | "bh" => Self::Open(span),
            _ => Self::Elapsed(span),
        })
    }
}

/// What people write who mean a length of time, and which is none or more than one.
fn ambiguous(text: &str) -> Option<DurationError> {
    let said = |why: String| Some(DurationError::Ambiguous(text.to_owned(), why));
    if let Some((first, second)) = text.split_once(':')
        && let (Ok(first), Ok(second)) = (first.parse::<u32>(), second.parse::<u32>())
    {
        let (short, long) = (u64::from(first) * 60 + u64::from(second), u64::from(first));
        let minutes = long * 60 + u64::from(second);
        return said(format!(
            "could be minutes and seconds, or hours and minutes: write `{short}s` or `{minutes}m`"
        ));
    }
    let number = |c: char| c.is_ascii_digit() || c == '.';
    let unit = text.trim_start_matches(number);
    let (digits, unit) = (&text[..text.len() - unit.len()], unit.trim());
    if digits.is_empty() || unit.is_empty() {
        return None;
    }
    let whole = digits.parse::<u32>().is_ok();
    match unit {
        "M" if whole => {
            let days = digits.parse::<u64>().unwrap_or(1) * 30;
            said(format!(
                "could be minutes or months: write `{digits}m` for minutes, or days, such as `{days}d`"
            ))
        }
        "mo" | "mon" | "month" | "months" if whole => {
            let days = digits.parse::<u64>().unwrap_or(1) * 30;
            said(format!(
                "has no fixed length, since months have none: write days, such as `{days}d`"
            ))
        }
        _ => {
            let canonical = match unit.to_ascii_lowercase().as_str() {
                "ms" | "millis" | "milliseconds" => "ms",
                "s" | "sec" | "secs" | "second" | "seconds" => "s",
                "m" | "min" | "mins" | "minute" | "minutes" => "m",
                "h" | "hr" | "hrs" | "hour" | "hours" => "h",
                "d" | "day" | "days" => "d",
                "w" | "wk" | "week" | "weeks" => "w",
                "y" | "yr" | "year" | "years" => "y",
                "bm" => "bm",
                "bh" => "bh",
                "bd" => "bd",
                _ => return composed(text),
            };
            if whole {
                let meant = format!("{digits}{canonical}");
                return (meant != text).then(|| {
                    let why = format!("is not written as a duration here: write `{meant}`");
                    DurationError::Ambiguous(text.to_owned(), why)
                });
            }
            fraction(text, digits, canonical)
        }
    }
}

/// `1h30m`: one number in the smaller unit says it.
fn composed(text: &str) -> Option<DurationError> {
    let mut rest = text;
    let (mut secs, mut parts, mut smallest) = (0_u64, 0, ("d", 86_400));
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number: u64 = rest[..digits].parse().ok().filter(|number| *number < 1_000_000)?;
        rest = rest[digits..].trim_start();
        let unit = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)]
            .into_iter()
            .find(|(unit, _)| rest.starts_with(unit))?;
        rest = rest[1..].trim_start();
        secs += number * unit.1;
        (parts, smallest) = (parts + 1, unit);
    }
    (parts > 1).then(|| {
        let meant = format!("{}{}", secs / smallest.1, smallest.0);
        let why = format!("names more than one unit: write `{meant}`");
        DurationError::Ambiguous(text.to_owned(), why)
    })
}

/// `1.5h`: a whole number of a smaller unit says it.
fn fraction(text: &str, digits: &str, unit: &str) -> Option<DurationError> {
    let (size, below) = match unit {
        "s" => (1_000.0, "ms"),
        "m" => (60.0, "s"),
        "h" => (60.0, "m"),
        "d" => (24.0, "h"),
        "w" => (7.0, "d"),
        _ => return None,
    };
    let number: f64 = digits.parse().ok().filter(|number| *number < 1e6)?;
    let meant = format!("{}{below}", (number * size).round());
    let why = format!("has a fraction: write a whole number, such as `{meant}`");
    Some(DurationError::Ambiguous(text.to_owned(), why))
}

fn bounded(secs: i64, text: &str) -> Result<Span, DurationError> {
    if secs > LONGEST_SECS {
        return Err(DurationError::TooLong(text.to_owned()));
    }
    Ok(Span::from_secs(secs))
}

/// ISO 8601 with weeks, days, hours, minutes and seconds. Months and years vary in length and are refused.
fn iso8601(text: &str) -> Result<Duration, DurationError> {
    let malformed = || DurationError::Malformed(text.to_owned());
    // Before the `T`, `M` is a month; behind it, a minute.
    let date = text.split('T').next().unwrap_or_default();
    if date.contains(['M', 'Y']) {
        let why = "has no fixed length, since months and years have none: write days, such as `P30D`, or minutes behind a `T`, such as `PT5M`";
        return Err(DurationError::Ambiguous(text.to_owned(), why.to_owned()));
    }
    let mut micros: i64 = 0;
    let (mut in_time, mut units) = (false, 0);
    let mut number = String::new();
    for c in text.chars().skip(1) {
        if c.is_ascii_digit() || c == '.' {
            number.push(c);
            continue;
        }
        if c == 'T' && number.is_empty() && !in_time {
            in_time = true;
            continue;
        }
        let secs: i64 = match (c, in_time) {
            ('W', false) => 7 * 86_400,
            ('D', false) => 86_400,
            ('H', true) => 3_600,
            ('M', true) => 60,
            ('S', true) => 1,
            _ => return Err(malformed()),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
        if fraction.len() > 6 || (!fraction.is_empty() && c != 'S') {
            return Err(malformed());
        }
        let whole: i64 = whole.parse().map_err(|_| malformed())?;
        bounded(whole.saturating_mul(secs), text)?;
        let fraction: i64 = format!("{fraction:0<6}").parse().map_err(|_| malformed())?;
        micros += whole * secs * 1_000_000 + fraction;
        bounded(micros / 1_000_000, text)?;
        number.clear();
        units += 1;
    }
    if units == 0 || !number.is_empty() {
        return Err(malformed());
    }
    Ok(Duration::Elapsed(Span::from_micros(micros)))
}

/// The shortest form that reads back to the same duration.
impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (micros, prefix) = match self {
            Self::OpenDays(days) => return write!(f, "{days}bd"),
            Self::Open(span) => (span.as_micros(), "b"),
            Self::Elapsed(span) => (span.as_micros(), ""),
        };
        let secs = micros / 1_000_000;
        if prefix.is_empty() && micros % 1_000_000 != 0 {
            return if micros % 1_000 == 0 {
                write!(f, "{}ms", micros / 1_000)
            } else {
                Span::from_micros(micros).fmt(f)
            };
        }
        let day = if prefix.is_empty() { 86_400 } else { i64::MAX };
        for (unit, size) in [("d", day), ("h", 3_600), ("m", 60)] {
            if secs > 0 && secs % size == 0 {
                return write!(f, "{}{prefix}{unit}", secs / size);
            }
        }
        write!(f, "{secs}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(text: &str) -> i64 {
        match text.parse::<Duration>().unwrap() {
            Duration::Elapsed(span) | Duration::Open(span) => span.as_micros() / 1_000_000,
            Duration::OpenDays(_) => panic!("{text} is in open days"),
        }
    }

    #[test]
    fn every_unit_is_read() {
        assert_eq!("200ms".parse(), Ok(Duration::Elapsed(Span::from_millis(200))));
        assert_eq!(secs("90s"), 90);
        assert_eq!(secs("5m"), 300);
        assert_eq!(secs("2h"), 7_200);
        assert_eq!(secs("3d"), 259_200);
        assert_eq!(secs("2w"), 1_209_600);
        assert_eq!(secs("1y"), 31_536_000);
        assert_eq!(secs("P1DT2H"), 93_600);
        assert_eq!(secs("PT1M30S"), 90);
        assert_eq!("4bh".parse(), Ok(Duration::Open(Span::from_secs(14_400))));
        assert_eq!("5bm".parse(), Ok(Duration::Open(Span::from_secs(300))));
        assert_eq!("2bd".parse(), Ok(Duration::OpenDays(2)));
    }

    #[test]
    fn a_bare_number_says_which_units_there_are() {
        assert_eq!("15".parse::<Duration>(), Err(DurationError::NoUnit("15".into())));
        assert_eq!("3x".parse::<Duration>(), Err(DurationError::Unit("x".into())));
        for bad in ["", "h", "-1h", "1.5h", "P", "PT", "P1M", "PT5", "1h30m", "P1H"] {
            assert!(bad.parse::<Duration>().is_err(), "{bad:?}");
        }
        assert!(matches!("99999999999y".parse::<Duration>(), Err(DurationError::TooLong(_))));
        assert!(matches!(
            "99999999999999999999s".parse::<Duration>(),
            Err(DurationError::TooLong(_))
        ));
    }

    #[test]
    fn what_is_ambiguous_says_what_it_could_mean() {
        for (text, said) in [
            ("1M", "minutes or months: write `1m` for minutes, or days, such as `30d`"),
            ("2 months", "write days, such as `60d`"),
            ("1:30", "write `90s` or `90m`"),
            ("5 minutes", "write `5m`"),
            ("5 min", "write `5m`"),
            ("2H", "write `2h`"),
            ("1 d", "write `1d`"),
            ("1h30m", "write `90m`"),
            ("1d 12h", "write `36h`"),
            ("1.5h", "such as `90m`"),
            ("0.5s", "such as `500ms`"),
            ("P1M", "behind a `T`, such as `PT5M`"),
            ("P1Y2D", "months and years have none"),
        ] {
            let error = text.parse::<Duration>().unwrap_err();
            assert!(matches!(error, DurationError::Ambiguous(..)), "{text}: {error:?}");
            assert!(error.to_string().contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn printing_reads_back() {
        for text in ["0s", "200ms", "90s", "5m", "36h", "3d", "5bm", "4bh", "2bd", "PT0.0005S"] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.to_string().parse::<Duration>(), Ok(duration), "{text}");
        }
    }
}
