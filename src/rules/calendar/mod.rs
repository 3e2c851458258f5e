//! [`Calendar`]: when a business is open, and where durations end.
//!
//! An instant is open when its civil date and time in the calendar's zone lie in a span of `open`
//! on a day that is not `closed`. Everything else follows from that: an hour skipped when clocks go
//! forward is never open, an hour that comes twice is open twice, and open time is counted in real
//! elapsed time. Nothing here reads a clock.
//!
//! Invariant: a compiled calendar opens at least once within any [`LONGEST_CLOSED_DAYS`] days, so
//! every search ends.

mod spec;
mod walk;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::{Duration, Instant, Span};

pub use spec::{CalendarSpec, ClosedDay, Hours, OpenRule, PieceError, Weekdays, zone};
use spec::{DAY_SECS, YEARS, weekday_name};
use walk::{FIRST, Segment, Walk};

/// A calendar closed for longer than five years in a row is refused: nobody means that.
pub const LONGEST_CLOSED_DAYS: i64 = 5 * 366;
/// Days that one computation looks ahead: an end more than a hundred years on is [`Instant::MAX`],
/// so that no duration keeps the engine busy for long.
pub const HORIZON_DAYS: i64 = 36_525;

/// Microseconds of a civil day.
const DAY: i64 = DAY_SECS as i64 * 1_000_000;

/// Opening hours in a time zone, ready to compute with. Immutable; share it behind an `Arc`.
#[derive(Clone, Debug)]
pub struct Calendar {
    zone: TimeZone,
    /// For each weekday, Monday first: its spans in microseconds since midnight, in order, apart.
    week: [Vec<(i64, i64)>; 7],
    /// Days since 1970-01-01 that are closed, in order.
    closed: Vec<i64>,
    /// For each month from 1: a bit for each day that is closed every year.
    yearly: [u32; 13],
    /// Never closed at all.
    always: bool,
}

/// What is wrong with a calendar as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error}")]
pub struct CalendarError {
    /// Which piece of the spec it is about.
    pub place: Place,
    /// What is wrong.
    pub error: PieceError,
}

/// A piece of a [`CalendarSpec`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `timezone:`
    Zone,
    /// The whole of `open:`.
    Open,
    /// `open[rule]`, and the span of it with this index.
    Hours(usize, usize),
    /// The whole of `closed:`.
    Closed,
}

impl Calendar {
    /// Puts the pieces together.
    ///
    /// # Errors
    /// Every mistake: an unknown zone, spans that overlap on a day, a calendar that never opens or
    /// stays closed for more than [`LONGEST_CLOSED_DAYS`].
    pub fn compile(spec: &CalendarSpec) -> Result<Self, Vec<CalendarError>> {
        let mut errors = Vec::new();
        let zone = zone(&spec.timezone)
            .map_err(|error| errors.push(CalendarError { place: Place::Zone, error }))
            .unwrap_or(TimeZone::UTC);
        let week = week(&spec.open, &mut errors);
        let mut calendar = Self { zone, week, closed: Vec::new(), yearly: [0; 13], always: false };
        for day in &spec.closed {
            match *day {
                ClosedDay::Date(date) => calendar.closed.push(day_number(date)),
                ClosedDay::Yearly { month, day } => {
                    calendar.yearly[month as usize] |= 1 << u32::from(day.unsigned_abs());
                }
            }
        }
        calendar.closed.sort_unstable();
        calendar.closed.dedup();
        calendar.always =
            spec.closed.is_empty() && calendar.week.iter().all(|spans| spans[..] == [(0, DAY)]);
        if errors.is_empty() {
            calendar.check_opens(&mut errors);
        }
        if errors.is_empty() { Ok(calendar) } else { Err(errors) }
    }

    /// The time zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// Whether it is open at `at`. The closing instant itself is closed.
    #[must_use]
    pub fn is_open(&self, at: Instant) -> bool {
        if self.always {
            return true;
        }
        let at = clamp(at);
        let local = at + Segment::offset(&self.zone, at);
        let (day, time) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        self.hours(day).iter().any(|&(start, end)| start <= time && time < end)
    }

    /// The first open instant at or after `at`: `at` itself when open.
    #[must_use]
    pub fn next_open(&self, at: Instant) -> Instant {
        if self.always {
            return at;
        }
        self.walk(at).next().map_or(Instant::MAX, |window| Instant::from_micros(window.from))
    }

    /// Where `duration` ends when it begins at `from`. Never before `from`; [`Instant::MAX`] when
    /// it lies beyond [`HORIZON_DAYS`] of searching or the end of time.
    ///
    /// - Elapsed (`4h`): `from` plus the span, then moved to the next opening.
    /// - Open time (`4bh`): counts only while open, from the next opening if `from` is closed. An
    ///   end that meets closing time stays there: 16:30 + `30bm` is 17:00, not tomorrow's 09:00.
    /// - Open days (`2bd`): the same wall time that many open days on, cut to that day's hours:
    ///   before opening or in a break it moves to the next opening of that day, after closing it
    ///   becomes the closing instant. From a day that is closed altogether it counts from the next
    ///   opening, so Saturday 11:00 + `1bd` is Tuesday 09:00. From an open day it is always that
    ///   day that counts as begun, also before and after its hours: Friday 18:00 + `1bd` is Monday
    ///   17:00. A wall time that the clocks skip becomes the instant they jump; of one that comes
    ///   twice it is the first.
    /// - Nothing at all (`0m`, `0bh`, `0bd`): the next opening.
    #[must_use]
    pub fn end(&self, from: Instant, duration: Duration) -> Instant {
        let end = match duration {
            Duration::Elapsed(span) => self.next_open((from + span).min(Instant::MAX)),
            Duration::Open(span) => self.end_open(from, span),
            Duration::OpenDays(days) => self.end_days(from, days),
        };
        end.min(Instant::MAX)
    }

    /// How much open time lies between `from` and `to`; nothing when `to` is not later.
    #[must_use]
    pub fn open_between(&self, from: Instant, to: Instant) -> Span {
        if to <= from {
            return Span::ZERO;
        }
        if self.always {
            return to.since(from);
        }
        let to = clamp(to);
        let micros = Walk::new(self, clamp(from), i64::MAX)
            .take_while(|window| window.from < to)
            .map(|window| window.to.min(to) - window.from)
            .sum();
        Span::from_micros(micros)
    }

    fn end_open(&self, from: Instant, span: Span) -> Instant {
        let mut left = span.as_micros();
        if left <= 0 {
            return self.next_open(from);
        }
        if self.always {
            return from + span;
        }
        for window in self.walk(from) {
            let length = window.to - window.from;
            if left <= length {
                return Instant::from_micros(window.from + left);
            }
            left -= length;
        }
        Instant::MAX
    }

    fn end_days(&self, from: Instant, days: u32) -> Instant {
        if days == 0 {
            return self.next_open(from);
        }
        let mut start = clamp(from);
        let mut local = start + Segment::offset(&self.zone, start);
        if !self.opens_on(local.div_euclid(DAY), start) {
            start = self.next_open(from).as_micros();
            local = start + Segment::offset(&self.zone, start);
        }
        let (mut day, wall) = (local.div_euclid(DAY), local.rem_euclid(DAY));
        let mut left = i64::from(days);
        let mut closing = None;
        for window in Walk::new(self, start, HORIZON_DAYS) {
            if window.day > day {
                if left == 0 {
                    break;
                }
                day = window.day;
                left -= 1;
            }
            if left > 0 || window.day < day {
                continue;
            }
            let at = day * DAY + wall - window.offset;
            if at < window.to {
                return Instant::from_micros(at.max(window.from));
            }
            closing = Some(window.to);
        }
        closing.map_or(Instant::MAX, Instant::from_micros)
    }

    /// Whether the civil day `day`, on which `at` lies, has any open time. Its spans may all fall
    /// into an hour that the clocks skip.
    fn opens_on(&self, day: i64, at: i64) -> bool {
        // clocks are never put back by more than a day, so the day began within the last two
        !self.hours(day).is_empty()
            && Walk::new(self, at.saturating_sub(2 * DAY).max(FIRST), HORIZON_DAYS)
                .take_while(|window| window.day <= day)
                .any(|window| window.day == day)
    }

    fn walk(&self, at: Instant) -> Walk<'_> {
        Walk::new(self, clamp(at), HORIZON_DAYS)
    }

    /// The spans of a civil day, counted from 1970-01-01.
    fn hours(&self, day: i64) -> &[(i64, i64)] {
        // 1970-01-01 was a Thursday
        let spans = &self.week[(day + 3).rem_euclid(7) as usize];
        if spans.is_empty() || self.is_closed(day) { &[] } else { spans }
    }

    fn is_closed(&self, day: i64) -> bool {
        if self.closed.binary_search(&day).is_ok() {
            return true;
        }
        self.yearly != [0; 13]
            && civil(day).is_some_and(|date| {
                self.yearly[date.month() as usize] & (1 << u32::from(date.day().unsigned_abs()))
                    != 0
            })
    }

    fn check_opens(&self, errors: &mut Vec<CalendarError>) {
        let mut refuse = |place, message: String, help: &str| {
            let error = PieceError { message, help: Some(help.to_owned()) };
            errors.push(CalendarError { place, error });
        };
        if self.week.iter().all(Vec::is_empty) {
            refuse(
                Place::Open,
                "the calendar is never open".into(),
                "give at least one weekday hours: mon-fri: \"09:00-17:00\"",
            );
            return;
        }
        // Five years hold 260 of each weekday, and a yearly day closes at most six of them.
        let yearly: u32 = self.yearly.iter().map(|days| days.count_ones()).sum();
        if 6 * yearly as usize + self.closed.len() < 260 {
            return;
        }
        let last = day_number(Date::constant(YEARS.end, 1, 1)) + LONGEST_CLOSED_DAYS;
        let mut opened = 0;
        for day in 0..last {
            if !self.hours(day).is_empty() {
                opened = day;
            } else if day - opened > LONGEST_CLOSED_DAYS {
                let since =
                    civil(opened).map_or_else(String::new, |date| format!(" from {date} on"));
                refuse(
                    Place::Closed,
                    format!("the calendar stays closed for more than five years{since}"),
                    "leave some days open",
                );
                return;
            }
        }
    }
}

/// The week of `open:`, with spans that touch joined.
fn week(rules: &[OpenRule], errors: &mut Vec<CalendarError>) -> [Vec<(i64, i64)>; 7] {
    std::array::from_fn(|weekday| {
        let mut spans: Vec<(Hours, Place)> = Vec::new();
        for (rule_no, rule) in rules.iter().enumerate() {
            if !rule.days.days().any(|day| day == weekday) {
                continue;
            }
            for (hours_no, hours) in rule.hours.iter().enumerate() {
                spans.push((*hours, Place::Hours(rule_no, hours_no)));
            }
        }
        spans.sort_by_key(|(hours, _)| *hours);
        let mut joined: Vec<(i64, i64)> = Vec::new();
        let mut before: Option<Hours> = None;
        for (hours, place) in spans {
            if let Some(other) = before.filter(|other| hours.start < other.end) {
                // a range of days has the same mistake on each: said once
                if !errors.iter().any(|error| error.place == place) {
                    let message =
                        format!("`{hours}` overlaps `{other}` on {}", weekday_name(weekday));
                    let help = Some("spans of one day must lie apart or touch".to_owned());
                    errors.push(CalendarError { place, error: PieceError { message, help } });
                }
            }
            before = Some(
                before.map_or(hours, |other| if other.end > hours.end { other } else { hours }),
            );
            let (start, end) =
                (i64::from(hours.start) * 1_000_000, i64::from(hours.end) * 1_000_000);
            match joined.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => joined.push((start, end)),
            }
        }
        joined
    })
}

/// Days since 1970-01-01.
fn day_number(date: Date) -> i64 {
    let epoch = Date::constant(1970, 1, 1);
    date.duration_since(epoch).as_hours() / 24
}

/// The date of a day number, within jiff's range.
fn civil(day: i64) -> Option<Date> {
    let days = jiff::Span::new().try_days(day).ok()?;
    Date::constant(1970, 1, 1).checked_add(days).ok()
}

/// Microseconds, moved into the range of jiff.
fn clamp(at: Instant) -> i64 {
    at.as_micros().clamp(FIRST, Instant::MAX.as_micros())
}

#[cfg(test)]
mod tests;
