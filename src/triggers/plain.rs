//! Plain JSON to `POST /v1/events/{type}`: the body is `data`, the rest stands around it.

use super::attributes::Attributes;
use super::cloudevents::check_size;
use super::error::EventError;
use super::json;
use super::payload::Payload;
use crate::model::{Draft, Text, Value};

/// What stands around the body.
#[derive(Clone, Debug)]
pub struct Plain<'a> {
    /// The type, from the path.
    pub kind: &'a str,
    /// `?subject=`.
    pub subject: Option<&'a str>,
    /// The `Idempotency-Key`, or a fresh id.
    pub id: &'a str,
    /// The token's name, or `local`.
    pub source: Text,
}

/// Reads an event from plain JSON; an empty body is `null`. `event_bytes` bounds the body.
///
/// # Errors
/// [`EventError`], telling everything that is wrong.
pub fn parse(around: Plain<'_>, body: &[u8], event_bytes: usize) -> Result<Draft, EventError> {
    check_size(body, event_bytes)?;
    let mut attributes = Attributes::plain();
    attributes.set("type", Value::from(around.kind));
    attributes.set("id", Value::from(around.id));
    attributes.set("source", Value::Text(around.source));
    if let Some(subject) = around.subject {
        attributes.set("subject", Value::from(subject));
    }
    let data = if body.is_empty() { Ok(Value::Null) } else { json::parse("the body", body) };
    let data = data.unwrap_or_else(|problem| {
        attributes.wrong(problem);
        Value::Null
    });
    attributes.finish(Payload { data, base64: None })
}
