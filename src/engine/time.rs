//! Instants out of durations, with the calendar in force.

use crate::model::{Cause, Duration, Instant, Value};

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
        (Some(name), _) => {
            let calendar = stage.rules.calendars.get(name).ok_or_else(|| {
                Cause::new("calendar", format!("there is no calendar `{name}` any more"))
            })?;
            Ok(calendar.end(from, duration).min(Instant::MAX))
        }
        (None, Duration::Elapsed(span)) => Ok((from + span).min(Instant::MAX)),
        (None, Duration::Open(_) | Duration::OpenDays(_)) => Err(Cause::new(
            "calendar",
            format!("`{duration}` counts open time and needs `hours:` with a calendar"),
        )),
    }
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
