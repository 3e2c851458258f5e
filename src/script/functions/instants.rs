//! Instants and spans: how they are written, added and shown in a zone.

use jiff::Zoned;
use jiff::tz::TimeZone;
use rhai::{Engine, INT};

use crate::model::{Duration, Instant, Span};

use super::Answer;

/// Bytes of a pattern for `format`: far above any date, far below a nuisance.
const PATTERN_BYTES: usize = 200;

pub(super) fn register(engine: &mut Engine) {
    engine.register_type_with_name::<Instant>("instant");
    engine.register_type_with_name::<Span>("span");
    arithmetic(engine);
    engine.register_fn("time", |text: &str| -> Answer<Instant> {
        text.parse().map_err(|_| {
            format!("\"{text}\" is not an instant: write RFC 3339 with an offset, such as \"2026-03-02T10:00Z\"").into()
        })
    });
    // Whether an event came from outside or from a rule, `time` gives the instant in it.
    engine.register_fn("time", |instant: Instant| instant);
    engine.register_fn("span", |text: &str| -> Answer<Span> {
        let duration: Duration = text.parse().map_err(|error| format!("{error}"))?;
        duration.elapsed().ok_or_else(|| {
            format!(
                "\"{text}\" counts open time and has no fixed length; only elapsed time is a span"
            )
            .into()
        })
    });
    engine.register_fn("to_seconds", |span: Span| -> rhai::Dynamic {
        let micros = span.as_micros();
        if micros % 1_000_000 == 0 {
            (micros / 1_000_000).into()
        } else {
            (micros as f64 / 1e6).into()
        }
    });
    engine.register_fn("to_string", |instant: Instant| instant.to_string());
    engine.register_fn("to_string", |span: Span| span.to_string());
    part(engine, "date", |zoned| zoned.date().to_string());
    part(engine, "year", |zoned| INT::from(zoned.year()));
    part(engine, "month", |zoned| INT::from(zoned.month()));
    part(engine, "day", |zoned| INT::from(zoned.day()));
    part(engine, "hour", |zoned| INT::from(zoned.hour()));
    part(engine, "minute", |zoned| INT::from(zoned.minute()));
    part(engine, "weekday", |zoned| {
        let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        days[usize::try_from(zoned.weekday().to_monday_zero_offset()).unwrap_or(0) % 7].to_owned()
    });
    engine.register_fn("format", |instant: Instant, pattern: &str| {
        formatted(instant, pattern, "UTC")
    });
    engine.register_fn("format", formatted);
}

fn arithmetic(engine: &mut Engine) {
    engine.register_fn("+", |instant: Instant, span: Span| instant + span);
    engine.register_fn("+", |span: Span, instant: Instant| instant + span);
    engine.register_fn("-", |instant: Instant, span: Span| instant - span);
    engine.register_fn("-", |later: Instant, earlier: Instant| later.since(earlier));
    engine.register_fn("+", |a: Span, b: Span| a + b);
    engine.register_fn("-", |a: Span, b: Span| a - b);
    engine.register_fn("-", |span: Span| span.times(-1));
    engine.register_fn("*", |span: Span, factor: INT| span.times(factor));
    engine.register_fn("*", |factor: INT, span: Span| span.times(factor));
}

/// Registers a getter of a part of an instant, in UTC and in a named zone.
fn part<T: rhai::Variant + Clone>(engine: &mut Engine, name: &str, get: fn(&Zoned) -> T) {
    engine.register_fn(name, move |instant: Instant| -> Answer<T> {
        Ok(get(&zoned(instant, "UTC")?))
    });
    engine.register_fn(name, move |instant: Instant, zone: &str| -> Answer<T> {
        Ok(get(&zoned(instant, zone)?))
    });
}

fn formatted(instant: Instant, pattern: &str, zone: &str) -> Answer<String> {
    if pattern.len() > PATTERN_BYTES {
        return Err(format!("a pattern of `format` has at most {PATTERN_BYTES} bytes").into());
    }
    jiff::fmt::strtime::format(pattern, &zoned(instant, zone)?)
        .map_err(|error| format!("\"{pattern}\" cannot be printed: {error}").into())
}

fn zoned(instant: Instant, zone: &str) -> Answer<Zoned> {
    let zone = if zone == "UTC" {
        TimeZone::UTC
    } else {
        TimeZone::get(zone).map_err(|_| {
            format!("\"{zone}\" is not a time zone: write a name such as \"Europe/Berlin\"")
        })?
    };
    Ok(instant.to_timestamp().to_zoned(zone))
}
