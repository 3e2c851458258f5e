//! Values as templates see them: plain data, and the filters `json`, `date` and `number`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use minijinja::value::{DynObject, Object, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, Output, State, Value as Jinja, escape_formatter};

use crate::model::{Instant, Map, Span, Value};
use crate::rules::calendar;

/// Decimals that `number` prints at most: what a 64-bit float holds.
const DECIMALS: u32 = 15;

/// What [`print`] says about nothing; [`super::describe`] puts the expression before it.
pub(super) const NOTHING: &str = "is nothing (`()`): give it a default, `{{ x or \"-\" }}`";

/// An instant in a template: prints as RFC 3339 in UTC, compares with other instants.
#[derive(Debug)]
struct Moment(Instant);

/// A span in a template: prints as ISO 8601, compares with other spans.
#[derive(Debug)]
struct Length(Span);

macro_rules! scalar_object {
    ($name:ident) => {
        impl Object for $name {
            fn repr(self: &Arc<Self>) -> ObjectRepr {
                ObjectRepr::Plain
            }

            fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<Ordering> {
                Some(self.0.cmp(&other.downcast_ref::<Self>()?.0))
            }

            fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

scalar_object!(Moment);
scalar_object!(Length);

/// The scope of a template.
pub(super) fn scope(map: &Map) -> Jinja {
    Jinja::from_pairs(map.iter().map(|(key, value)| (key.clone(), data(value))))
}

fn data(value: &Value) -> Jinja {
    match value {
        Value::Null => Jinja::from(()),
        Value::Bool(flag) => Jinja::from(*flag),
        Value::Int(number) => Jinja::from(*number),
        Value::Float(number) => Jinja::from(*number),
        Value::Text(text) => Jinja::from(text.clone()),
        Value::List(items) => Jinja::from(items.iter().map(data).collect::<Vec<_>>()),
        Value::Map(map) => scope(map),
        Value::Instant(instant) => Jinja::from_object(Moment(*instant)),
        Value::Span(span) => Jinja::from_object(Length(*span)),
    }
}

/// Prints a value: bare for scalars, JSON for the rest; nothing at all is an error, as it is inside
/// a text of a rule.
pub(super) fn print(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Jinja,
) -> Result<(), Error> {
    match value.kind() {
        ValueKind::None => Err(failed(NOTHING)),
        ValueKind::Bool => escape_formatter(
            out,
            state,
            &Jinja::from(if value.is_true() { "true" } else { "false" }),
        ),
        ValueKind::Seq | ValueKind::Map | ValueKind::Iterable => {
            let text = json(value)?;
            escape_formatter(out, state, &Jinja::from(text))
        }
        _ => escape_formatter(out, state, value),
    }
}

/// `x|json`: as JSON on one line.
pub(super) fn json(value: &Jinja) -> Result<String, Error> {
    serde_json::to_string(value)
        .map_err(|error| failed(format!("this cannot be written as JSON: {error}")))
}

/// `x|date("%d.%m.%Y %H:%M", "Europe/Berlin")`: an instant, or text in RFC 3339, in the notation of
/// strftime; in UTC where no zone is named.
pub(super) fn date(value: &Jinja, format: &str, zone: Option<&str>) -> Result<String, Error> {
    let instant = match value.downcast_object_ref::<Moment>() {
        Some(moment) => moment.0,
        None => value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| {
            failed(format!(
                "`date` needs an instant or text such as 2026-03-02T10:00:00Z, not {}",
                describe(value)
            ))
        })?,
    };
    let zone = calendar::zone(zone.unwrap_or("UTC")).map_err(|error| {
        failed(
            error.help.map_or(error.message.clone(), |help| format!("{}: {help}", error.message)),
        )
    })?;
    jiff::fmt::strtime::format(format, &instant.to_timestamp().to_zoned(zone))
        .map_err(|error| failed(format!("`date` cannot print `{format}`: {error}")))
}

/// `x|number(2)`: a number with so many decimals, rounded, without grouping.
pub(super) fn number(value: &Jinja, decimals: Option<u32>) -> Result<String, Error> {
    let decimals = decimals.unwrap_or(0);
    if decimals > DECIMALS {
        return Err(failed(format!("`number` prints at most {DECIMALS} decimals")));
    }
    if value.kind() != ValueKind::Number {
        return Err(failed(format!("`number` needs a number, not {}", describe(value))));
    }
    if let (0, Some(whole)) = (decimals, value.as_i64()) {
        return Ok(whole.to_string());
    }
    let number = f64::try_from(value.clone()).map_err(|_| failed("the number is too large"))?;
    Ok(format!("{number:.*}", decimals as usize))
}

fn describe(value: &Jinja) -> String {
    match value.as_str() {
        Some(text) => format!("{text:?}"),
        None => format!("a value of type {}", value.kind()),
    }
}

fn failed(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}
