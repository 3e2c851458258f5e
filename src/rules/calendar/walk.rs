//! [`Walk`]: the real open windows of a calendar, one after the other.
//!
//! Time is cut into [`Segment`]s of one offset from UTC. Within a segment civil time is real time
//! plus that offset, so days and spans are plain arithmetic; at its end the clocks change, and what
//! lies across is cut there. That makes gaps and overlaps exact without a special case.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::Instant;

use super::{Calendar, DAY};

/// The first microsecond of jiff's range, -009999-01-02T01:59:59Z.
pub(super) const FIRST: i64 = -377_705_023_201_000_000;

/// A stretch of time with one offset from UTC, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    /// Civil time minus real time.
    pub(super) offset: i64,
    /// Where it ends.
    pub(super) until: i64,
}

impl Segment {
    /// The one that `at` lies in.
    pub(super) fn at(zone: &TimeZone, at: i64) -> Self {
        let timestamp = Instant::from_micros(at).to_timestamp();
        let until = zone
            .following(timestamp)
            .next()
            .map_or(Instant::MAX.as_micros(), |transition| transition.timestamp().as_microsecond());
        Self { offset: micros_of(zone, timestamp), until }
    }

    /// The offset alone, which is cheaper.
    pub(super) fn offset(zone: &TimeZone, at: i64) -> i64 {
        micros_of(zone, Instant::from_micros(at).to_timestamp())
    }
}

fn micros_of(zone: &TimeZone, timestamp: Timestamp) -> i64 {
    i64::from(zone.to_offset(timestamp).seconds()) * 1_000_000
}

/// An open stretch of real time, `from <= t < to`, within one civil day and one segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// Its civil day, counted from 1970-01-01.
    pub(super) day: i64,
    /// Microseconds since the epoch.
    pub(super) from: i64,
    /// Microseconds since the epoch.
    pub(super) to: i64,
    /// Civil time minus real time.
    pub(super) offset: i64,
}

/// The windows of a calendar in order, from an instant on; the first is cut to begin there.
pub(super) struct Walk<'a> {
    calendar: &'a Calendar,
    segment: Segment,
    /// Where the segment, or the walk, begins.
    start: i64,
    day: i64,
    /// Which span of the day comes next.
    span: usize,
    days_left: i64,
}

impl<'a> Walk<'a> {
    /// From `start` on, for at most so many days.
    pub(super) fn new(calendar: &'a Calendar, start: i64, days: i64) -> Self {
        let segment = Segment::at(&calendar.zone, start);
        let day = (start + segment.offset).div_euclid(DAY);
        Self { calendar, segment, start, day, span: 0, days_left: days }
    }
}

impl Iterator for Walk<'_> {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        while self.days_left > 0 {
            let midnight = self.day * DAY - self.segment.offset;
            if midnight >= self.segment.until {
                if self.segment.until >= Instant::MAX.as_micros() {
                    return None;
                }
                *self = Self::new(self.calendar, self.segment.until, self.days_left);
                continue;
            }
            let Some(&(start, end)) = self.calendar.hours(self.day).get(self.span) else {
                self.day += 1;
                self.span = 0;
                self.days_left -= 1;
                continue;
            };
            self.span += 1;
            let from = (midnight + start).max(self.start);
            let to = (midnight + end).min(self.segment.until);
            if from < to {
                return Some(Window { day: self.day, from, to, offset: self.segment.offset });
            }
        }
        None
    }
}
