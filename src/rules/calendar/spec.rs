//! [`CalendarSpec`]: the pieces of a `calendar:` document, each read from one scalar of the file.
//!
//! The YAML decoder parses piece by piece, so that it can point at the scalar that is wrong. What
//! only shows when the pieces meet (spans that overlap, a calendar that never opens) is found by
//! [`super::Calendar::compile`].

use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use jiff::tz::TimeZone;

/// Seconds of a civil day.
pub(super) const DAY_SECS: u32 = 86_400;
/// Years that a closed date may lie in: one whole cycle of the Gregorian calendar, so that what is
/// checked for these years holds for ever.
pub(super) const YEARS: std::ops::Range<i16> = 1970..2370;

/// A `calendar:` document without its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CalendarSpec {
    /// Name of a time zone: `Europe/Berlin`, `UTC`.
    pub timezone: String,
    /// `open:` entry by entry.
    pub open: Vec<OpenRule>,
    /// `closed:` entry by entry.
    pub closed: Vec<ClosedDay>,
}

/// One entry of `open:`: `mon-fri: "09:00-17:00"`, or a list of spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRule {
    /// The key.
    pub days: Weekdays,
    /// The spans; none means that the entry opens nothing.
    pub hours: Vec<Hours>,
}

/// A weekday or a range of them, as written: `sat`, `mon-fri`, `sat-mon`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays {
    /// 0 is Monday.
    first: u8,
    /// 0 is Monday; may lie before `first`, then the range runs over Sunday.
    last: u8,
}

/// A span of civil time within a day: `09:00-17:00`; the end may be `24:00` and is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hours {
    /// Seconds since midnight.
    pub(super) start: u32,
    /// Seconds since midnight, above `start`.
    pub(super) end: u32,
}

/// One entry of `closed:`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedDay {
    /// `2026-04-03`: that day only.
    Date(Date),
    /// `12-25`: every year.
    Yearly {
        /// 1 to 12.
        month: i8,
        /// 1 to 31; a 29 February closes leap years only.
        day: i8,
    },
}

/// What is wrong with one scalar.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PieceError {
    /// Lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl PieceError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }
}

/// The weekdays, Monday first.
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Weekdays {
    /// Its days, 0 is Monday.
    pub(super) fn days(self) -> impl Iterator<Item = usize> {
        let count = (self.last + 7 - self.first) % 7 + 1;
        (0..count).map(move |step| usize::from((self.first + step) % 7))
    }
}

impl FromStr for Weekdays {
    type Err = PieceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Ok(Self { first: weekday(first)?, last: weekday(last)? })
    }
}

fn weekday(text: &str) -> Result<u8, PieceError> {
    if let Some(at) = WEEKDAYS.iter().position(|name| *name == text) {
        return Ok(at as u8);
    }
    let message = format!("`{text}` is not a weekday");
    let lower = text.to_lowercase();
    // a full name, a German or a mistyped one: the first letters usually tell
    let near = WEEKDAYS.iter().find(|name| lower.starts_with(**name)).or_else(|| {
        let near = WEEKDAYS.iter().max_by(|a, b| {
            strsim::jaro_winkler(a, &lower).total_cmp(&strsim::jaro_winkler(b, &lower))
        })?;
        (strsim::jaro_winkler(near, &lower) > 0.75).then_some(near)
    });
    Err(match near {
        Some(near) => PieceError::new(message, format!("did you mean `{near}`?")),
        None => PieceError::new(
            message,
            "write mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri",
        ),
    })
}

/// As in a rule file: `mon-fri`.
impl fmt::Display for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(WEEKDAYS[usize::from(self.first)])?;
        if self.first == self.last {
            return Ok(());
        }
        write!(f, "-{}", WEEKDAYS[usize::from(self.last)])
    }
}

/// The name of a weekday, 0 is Monday.
pub(super) fn weekday_name(day: usize) -> &'static str {
    WEEKDAYS[day % 7]
}

impl FromStr for Hours {
    type Err = PieceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((start, end)) = text.split_once('-') else {
            return Err(PieceError::new(
                format!("`{text}` is not a span of hours"),
                "write the opening and the closing time: \"09:00-17:00\"",
            ));
        };
        let (start, end) = (clock(start.trim())?, clock(end.trim())?);
        if start == DAY_SECS {
            return Err(PieceError::new(
                "a span cannot open at 24:00",
                "24:00 is an end; the next day begins at 00:00",
            ));
        }
        if end == start {
            return Err(PieceError::new(
                format!("`{text}` is empty"),
                "the whole day is \"00:00-24:00\"; leave out a day that is closed",
            ));
        }
        if end < start {
            return Err(PieceError::new(
                format!("`{text}` ends before it begins"),
                format!(
                    "hours over midnight are two spans: \"{}-24:00\" that day and \"00:00-{}\" the next",
                    Clock(start),
                    Clock(end)
                ),
            ));
        }
        Ok(Self { start, end })
    }
}

/// `HH:MM`, `24:00` included, as seconds since midnight.
fn clock(text: &str) -> Result<u32, PieceError> {
    let wrong = || {
        PieceError::new(
            format!("`{text}` is not a time of day"),
            "write hours and minutes: 09:00, up to 24:00",
        )
    };
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) {
        return Err(wrong());
    }
    let hour: u32 = hour.parse().map_err(|_| wrong())?;
    let minute: u32 = minute.parse().map_err(|_| wrong())?;
    let secs = hour * 3_600 + minute * 60;
    if minute > 59 || secs > DAY_SECS { Err(wrong()) } else { Ok(secs) }
}

/// Seconds since midnight as `HH:MM`.
struct Clock(u32);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 3_600, self.0 % 3_600 / 60)
    }
}

/// As in a rule file: `09:00-17:00`.
impl fmt::Display for Hours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", Clock(self.start), Clock(self.end))
    }
}

impl FromStr for ClosedDay {
    type Err = PieceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parts: Vec<&str> = text.split('-').collect();
        let number = |part: &str, digits: usize| -> Option<i16> {
            (part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| part.parse().ok())
                .flatten()
        };
        let shape = || {
            PieceError::new(
                format!("`{text}` is not a day"),
                "write a date such as 2026-04-03, or \"12-25\" for every year",
            )
        };
        let absent = || {
            PieceError::new(
                format!("there is no day `{text}`"),
                "months have at most 31 days, a year has 12 months",
            )
        };
        match parts[..] {
            [year, month, day] => {
                let (Some(year), Some(month), Some(day)) =
                    (number(year, 4), number(month, 2), number(day, 2))
                else {
                    return Err(shape());
                };
                if !YEARS.contains(&year) {
                    return Err(PieceError::new(
                        format!(
                            "`{text}` lies outside the years {} to {}",
                            YEARS.start,
                            YEARS.end - 1
                        ),
                        "is the year mistyped?",
                    ));
                }
                Date::new(year, month as i8, day as i8).map(Self::Date).map_err(|_| absent())
            }
            [month, day] => {
                let (Some(month), Some(day)) = (number(month, 2), number(day, 2)) else {
                    return Err(shape());
                };
                // 2024 is a leap year: 02-29 is a day of some years
                Date::new(2024, month as i8, day as i8)
                    .map(|date| Self::Yearly { month: date.month(), day: date.day() })
                    .map_err(|_| absent())
            }
            _ => Err(shape()),
        }
    }
}

/// As in a rule file.
impl fmt::Display for ClosedDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date(date) => date.fmt(f),
            Self::Yearly { month, day } => write!(f, "{month:02}-{day:02}"),
        }
    }
}

/// The time zone of a name, from the system's zone files or else the ones built in.
///
/// # Errors
/// [`PieceError`] for an unknown name, with the likeliest one meant.
pub fn zone(name: &str) -> Result<TimeZone, PieceError> {
    if let Ok(zone) = TimeZone::get(name) {
        return Ok(zone);
    }
    let message = format!("`{name}` is not a time zone");
    let wanted = name.to_lowercase();
    let near = jiff::tz::db()
        .available()
        .map(|known| {
            let known = known.as_str().to_owned();
            let lower = known.to_lowercase();
            let city = lower.rsplit('/').next().unwrap_or(&lower);
            // people write the city alone, or get the continent wrong
            let asked = wanted.rsplit('/').next().unwrap_or(&wanted);
            let score =
                strsim::jaro_winkler(&lower, &wanted).max(strsim::jaro_winkler(city, asked) - 0.01);
            (score, known)
        })
        .max_by(|a, b| a.0.total_cmp(&b.0).then_with(|| b.1.cmp(&a.1)));
    Err(match near {
        Some((score, near)) if score > 0.85 => {
            PieceError::new(message, format!("did you mean `{near}`?"))
        }
        _ => PieceError::new(
            message,
            "write a name of the IANA database, such as Europe/Berlin or UTC",
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help<T: FromStr<Err = PieceError> + fmt::Debug>(text: &str) -> String {
        let error = text.parse::<T>().unwrap_err();
        format!("{error}; {}", error.help.as_deref().unwrap_or_default())
    }

    #[test]
    fn weekdays_are_single_or_ranges_and_may_run_over_sunday() {
        let days = |text: &str| text.parse::<Weekdays>().unwrap().days().collect::<Vec<_>>();
        assert_eq!(days("mon-fri"), [0, 1, 2, 3, 4]);
        assert_eq!(days("sat"), [5]);
        assert_eq!(days("sat-mon"), [5, 6, 0]);
        assert_eq!(days("mon-sun").len(), 7);
        assert_eq!("sat-mon".parse::<Weekdays>().unwrap().to_string(), "sat-mon");
        assert_eq!(
            help::<Weekdays>("mon-friday"),
            "`friday` is not a weekday; did you mean `fri`?"
        );
        assert_eq!(help::<Weekdays>("tus"), "`tus` is not a weekday; did you mean `tue`?");
        assert!(help::<Weekdays>("x").contains("or a range such as mon-fri"));
        assert!("".parse::<Weekdays>().is_err());
        assert!("mon-".parse::<Weekdays>().is_err());
    }

    #[test]
    fn hours_end_after_they_start_and_may_end_at_24() {
        let hours: Hours = "09:00-17:30".parse().unwrap();
        assert_eq!((hours.start, hours.end), (32_400, 63_000));
        assert_eq!("00:00-24:00".parse::<Hours>().unwrap().end, 86_400);
        assert_eq!("09:00 - 17:30".parse(), Ok(hours));
        assert_eq!(hours.to_string(), "09:00-17:30");
        assert!(
            help::<Hours>("22:00-06:00")
                .contains("\"22:00-24:00\" that day and \"00:00-06:00\" the next")
        );
        for bad in [
            "09:00",
            "9-17",
            "9:00-17:00",
            "09:00-25:00",
            "09:60-17:00",
            "24:00-24:00",
            "09:00-09:00",
            "",
            "-",
            "09:00-24:01",
            "+9:00-17:00",
        ] {
            assert!(bad.parse::<Hours>().is_err(), "{bad}");
        }
    }

    #[test]
    fn closed_days_are_dates_or_come_every_year() {
        assert_eq!("2026-04-03".parse(), Ok(ClosedDay::Date(jiff::civil::date(2026, 4, 3))));
        assert_eq!("12-25".parse(), Ok(ClosedDay::Yearly { month: 12, day: 25 }));
        assert_eq!("02-29".parse(), Ok(ClosedDay::Yearly { month: 2, day: 29 }));
        assert_eq!("12-25".parse::<ClosedDay>().unwrap().to_string(), "12-25");
        assert_eq!(
            help::<ClosedDay>("2026-02-30").split(';').next(),
            Some("there is no day `2026-02-30`")
        );
        assert!(help::<ClosedDay>("0202-12-25").contains("is the year mistyped?"));
        for bad in [
            "25.12.",
            "12-32",
            "13-01",
            "1-1",
            "",
            "2026-4-3",
            "christmas",
            "2026-04-03-01",
            "+1-01",
        ] {
            assert!(bad.parse::<ClosedDay>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_unknown_zone_is_refused_with_the_likeliest_name() {
        assert!(zone("Europe/Berlin").is_ok());
        assert!(zone("UTC").is_ok());
        assert_eq!(zone("Berlin").unwrap_err().help.unwrap(), "did you mean `Europe/Berlin`?");
        assert_eq!(
            zone("Europe/Berlim").unwrap_err().help.unwrap(),
            "did you mean `Europe/Berlin`?"
        );
        assert_eq!(
            zone("America/Kolkata").unwrap_err().help.unwrap(),
            "did you mean `Asia/Kolkata`?"
        );
        assert!(zone("zzzz").unwrap_err().help.unwrap().contains("IANA"));
        assert!(zone("").is_err());
    }
}
