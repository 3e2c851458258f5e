//! Instants out of durations, with the calendar in force.

use crate::model::{Cause, Duration, Instant, Span, Value};
use crate::rules::Calendar;

use super::stage::Stage;

/// When `duration`, begun now, ends. With a calendar the end moves to its next opening; open time
/// needs one.
pub(super) fn end(
    stage: &Stage<'_>,
    duration: Duration,
    hours: Option<&str>,
) -> Result<Instant, Cause> {
    end_from(stage, stage.now, duration, hours)
}

/// When `duration`, begun at `from`, ends.
pub(super) fn end_from(
    stage: &Stage<'_>,
    from: Instant,
    duration: Duration,
    hours: Option<&str>,
) -> Result<Instant, Cause> {
    match (hours, duration) {
        (Some(name), _) => Ok(calendar(stage, name)?.end(from, duration).min(Instant::MAX)),
        (None, Duration::Elapsed(span)) => Ok((from + span).min(Instant::MAX)),
        (None, Duration::Open(_) | Duration::OpenDays(_)) => Err(Cause::new(
            "calendar",
            format!("`{duration}` counts open time and needs `hours:` with a calendar"),
        )),
    }
}

/// How long a calendar is open between two instants.
pub(super) fn open_between(
    stage: &Stage<'_>,
    hours: &str,
    from: Instant,
    to: Instant,
) -> Result<Span, Cause> {
    Ok(calendar(stage, hours)?.open_between(from, to))
}

/// The calendar in force.
fn calendar<'s>(stage: &Stage<'s>, name: &str) -> Result<&'s Calendar, Cause> {
    let gone = || Cause::new("calendar", format!("there is no calendar `{name}` any more"));
    stage.rules.calendars.get(name).ok_or_else(gone)
}

/// The instant at which a part of the time between two has passed, by the calendar if there is one.
pub(super) fn mark(
    stage: &Stage<'_>,
    (from, to): (Instant, Instant),
    percent: u8,
    hours: Option<&str>,
) -> Result<Instant, Cause> {
    let part = |span: Span| {
        let micros = i128::from(span.as_micros()) * i128::from(percent) / 100;
        Span::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    };
    let Some(name) = hours else { return Ok((from + part(to.since(from))).min(Instant::MAX)) };
    let calendar =
        stage.rules.calendars.get(name).ok_or_else(|| {
            Cause::new("calendar", format!("there is no calendar `{name}` any more"))
        })?;
    let open = calendar.open_between(from, to);
    Ok(calendar.end(from, Duration::Open(part(open))).min(Instant::MAX))
}

/// When a wait ends that a rule gives as a value: an instant, a span, or the text of a duration.
pub(super) fn end_of(
    stage: &Stage<'_>,
    value: &Value,
    hours: Option<&str>,
) -> Result<Instant, Cause> {
    let wrong = |message: String| Cause::new("duration", message);
    match value {
        Value::Instant(at) => Ok((*at).min(Instant::MAX)),
        Value::Span(span) => end(stage, Duration::Elapsed(*span), hours),
        Value::Text(text) => {
            if let Ok(at) = text.parse::<Instant>() {
                return Ok(at.min(Instant::MAX));
            }
            let duration = text.parse::<Duration>().map_err(|error| wrong(error.to_string()))?;
            end(stage, duration, hours)
        }
        other => Err(wrong(format!(
            "a wait needs a duration such as `90s` or an instant, not {}",
            other.type_name()
        ))),
    }
}
