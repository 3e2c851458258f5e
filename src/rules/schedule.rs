//! [`Schedule`]: the instants of a cron expression in a time zone.
//!
//! The five fields are those of POSIX `crontab`, with Vixie's ranges, steps and names. Where clocks go
//! forward, a job in the hour that is skipped runs once, at the first valid time after it; where they go
//! back, one at fixed times runs once and one that recurs (`*/5`) runs through both hours. As in Debian's
//! cron, times are fixed where neither minute nor hour has a `*`; the crate has that for one time only, so
//! several (`0 1,2,3`) are taken apart. Nothing here reads a clock.

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::{Digest, Instant, Name, Text};

use super::calendar::zone;

/// Fixed times of day that are told apart; more of them are nearly every time there is.
const TIMES: usize = 240;

/// When a workflow is started without an event.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// One, or one for each of several fixed times of day.
    crons: Vec<Cron>,
    zone: TimeZone,
    /// As it is written: the expression, and the zone.
    pub written: (Text, Text),
    /// Moves an instant to the next opening of this calendar.
    pub hours: Option<Name>,
    /// What becomes of instants that were missed.
    pub catchup: CatchUp,
    /// Tells it from others of its workflow, and from what it was before a change.
    pub id: Text,
}

/// What becomes of instants that fell due while nobody was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// They are left out.
    None,
    /// The last of them is made up for.
    Last,
    /// All of them are, the oldest first; at most [`crate::model::limits::CATCH_UP`].
    All,
}

/// What is wrong with a schedule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// The expression.
    #[error("{0}")]
    Cron(String),
    /// The zone.
    #[error("{0}")]
    Zone(String),
    /// No instant within the next years.
    #[error("it is never due")]
    Never,
}

impl Schedule {
    /// From an expression of five fields and the name of a zone.
    ///
    /// # Errors
    /// [`ScheduleError`].
    pub fn parse(
        cron: &str,
        timezone: &str,
        hours: Option<Name>,
        catchup: CatchUp,
    ) -> Result<Self, ScheduleError> {
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parse =
            |cron: &str| parser.parse(cron).map_err(|error| ScheduleError::Cron(error.to_string()));
        let crons = match fixed_times(cron, &parse(cron)?) {
            Some(each) => each.iter().map(|cron| parse(cron)).collect::<Result<_, _>>()?,
            None => vec![parse(cron)?],
        };
        let zone = zone(timezone).map_err(|error| ScheduleError::Zone(error.to_string()))?;
        let parts =
            [cron.as_bytes(), timezone.as_bytes(), hours.as_deref().unwrap_or("").as_bytes()];
        let id = format!("schedule:{}", Digest::of(&parts)).into();
        let written = (cron.into(), timezone.into());
        let schedule = Self { crons, zone, written, hours, catchup, id };
        // Any instant will do: whether it is ever due does not depend on when one asks.
        match schedule.after(Instant::from_micros(0)) {
            Some(_) => Ok(schedule),
            None => Err(ScheduleError::Never),
        }
    }

    /// The first instant after `at`; `None` when there is none within the next years.
    #[must_use]
    pub fn after(&self, at: Instant) -> Option<Instant> {
        let at = Timestamp::from_microsecond(at.as_micros()).ok()?.to_zoned(self.zone.clone());
        let next = |cron: &Cron| cron.find_next_occurrence(&at, false).ok();
        let next = self.crons.iter().filter_map(next).map(|next| next.timestamp()).min()?;
        Some(Instant::from_micros(next.as_microsecond()))
    }

    /// The last instant at or before `at`.
    #[must_use]
    pub fn latest(&self, at: Instant) -> Option<Instant> {
        let at = Timestamp::from_microsecond(at.as_micros()).ok()?.to_zoned(self.zone.clone());
        let last = |cron: &Cron| cron.find_previous_occurrence(&at, true).ok();
        let last = self.crons.iter().filter_map(last).map(|last| last.timestamp()).max()?;
        Some(Instant::from_micros(last.as_microsecond()))
    }
}

/// An expression with several fixed times of day as one for each of them; `None` where it has one, or
/// recurs.
fn fixed_times(cron: &str, parsed: &Cron) -> Option<Vec<String>> {
    let fields: Vec<&str> = cron.split_whitespace().collect();
    let [minute, hour, rest @ ..] = fields.as_slice() else { return None };
    let (minutes, hours) = (parsed.pattern.minutes.values(), parsed.pattern.hours.values());
    let times = minutes.len() * hours.len();
    if minute.contains('*') || hour.contains('*') || times <= 1 || times > TIMES {
        return None;
    }
    let day = rest.join(" ");
    let of_hour =
        |hour: &u16| minutes.iter().map(|minute| format!("{minute} {hour} {day}")).collect();
    Some(hours.iter().flat_map(|hour| -> Vec<String> { of_hour(hour) }).collect())
}
