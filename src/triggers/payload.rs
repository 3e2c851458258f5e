//! The payload of an event: bytes with a content type become [`Value`].
//!
//! JSON becomes data, text in UTF-8 becomes text, and anything else is kept as base64 in the
//! extension `data_base64` (a name no attribute of CloudEvents can have), with `data` null.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::error::EventError;
use super::json;
use crate::model::{Text, Value};

/// The extension that holds a payload which is neither JSON nor text.
pub(super) const BASE64: &str = "data_base64";

/// What a content type says about the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json`, `text/json` or a suffix `+json`.
    Json,
    /// A CloudEvent as JSON: `application/cloudevents+json`.
    Event,
    /// Several of them: `application/cloudevents-batch+json`.
    Batch,
    /// CloudEvents in a form that is not JSON.
    OtherEvent,
    /// Text in UTF-8.
    Text,
    /// What a web page can send without being asked: forms.
    Form,
    /// Anything else.
    Binary,
}

/// What a `Content-Type` says. Parameters matter only where they name a charset other than UTF-8.
#[must_use]
pub fn media_of(content_type: &str) -> Media {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let essence = essence.trim();
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    let begins = |head: &str| {
        essence.get(..head.len()).is_some_and(|start| start.eq_ignore_ascii_case(head))
    };
    let ends = |tail: &str| {
        essence
            .len()
            .checked_sub(tail.len())
            .and_then(|at| essence.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(tail))
    };
    if is("application/json") {
        return Media::Json;
    }
    if is("application/cloudevents+json") {
        return Media::Event;
    }
    if is("application/cloudevents-batch+json") {
        return Media::Batch;
    }
    if is("application/cloudevents")
        || begins("application/cloudevents+")
        || begins("application/cloudevents-batch")
    {
        return Media::OtherEvent;
    }
    if ends("+json") || is("text/json") {
        return Media::Json;
    }
    if is("application/x-www-form-urlencoded") || is("multipart/form-data") {
        return Media::Form;
    }
    let readable = begins("text/") || ends("+xml") || is("application/xml");
    if readable && is_utf8(parameters) { Media::Text } else { Media::Binary }
}

/// Whether the parameters of a content type name no charset, or one that is UTF-8.
fn is_utf8(parameters: &str) -> bool {
    parameters.split(';').filter_map(|parameter| parameter.split_once('=')).all(|(name, value)| {
        let value = value.trim().trim_matches('"');
        !name.trim().eq_ignore_ascii_case("charset")
            || value.eq_ignore_ascii_case("utf-8")
            || value.eq_ignore_ascii_case("us-ascii")
    })
}

/// Whether a content type says no more than "JSON", so that it need not be kept.
pub(super) fn is_plain_json(content_type: &str) -> bool {
    let (essence, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    essence.trim().eq_ignore_ascii_case("application/json") && is_utf8(parameters)
}

/// A payload as an event keeps it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Payload {
    /// `data`.
    pub(super) data: Value,
    /// What goes to the extension [`BASE64`].
    pub(super) base64: Option<Text>,
}

/// Reads a payload; without a content type it is JSON, as the JSON format of CloudEvents has it.
pub(super) fn read(content_type: Option<&str>, bytes: &[u8]) -> Result<Payload, EventError> {
    if bytes.is_empty() {
        return Ok(Payload::default());
    }
    let data = match content_type.map_or(Media::Json, media_of) {
        Media::Json | Media::Event | Media::Batch => json::parse("the payload", bytes)?,
        Media::Text | Media::Form => match std::str::from_utf8(bytes) {
            Ok(text) => Value::from(text),
            Err(_) => return Ok(keep(bytes)),
        },
        Media::Binary | Media::OtherEvent => return Ok(keep(bytes)),
    };
    Ok(Payload { data, base64: None })
}

/// Reads a payload that stands as base64 in a JSON event.
pub(super) fn read_base64(content_type: Option<&str>, text: &str) -> Result<Payload, EventError> {
    match STANDARD.decode(text) {
        Ok(bytes) => read(content_type, &bytes),
        Err(error) => Err(EventError::Invalid(format!("`data_base64` is not base64: {error}"))),
    }
}

fn keep(bytes: &[u8]) -> Payload {
    Payload { data: Value::Null, base64: Some(STANDARD.encode(bytes).into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_types_are_told_apart() {
        for (content_type, media) in [
            ("application/json", Media::Json),
            ("Application/JSON; charset=UTF-8", Media::Json),
            ("application/vnd.crm.lead+json", Media::Json),
            ("application/cloudevents+json; charset=utf-8", Media::Event),
            ("application/cloudevents-batch+json", Media::Batch),
            ("application/cloudevents+avro", Media::OtherEvent),
            ("application/cloudevents-batch+protobuf", Media::OtherEvent),
            ("text/plain", Media::Text),
            ("text/csv; charset=\"utf-8\"", Media::Text),
            ("text/plain; charset=latin1", Media::Binary),
            ("application/soap+xml", Media::Text),
            ("application/x-www-form-urlencoded", Media::Form),
            ("image/png", Media::Binary),
            ("", Media::Binary),
            ("é", Media::Binary),
        ] {
            assert_eq!(media_of(content_type), media, "{content_type}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_kept_as_base64() {
        let payload = read(Some("image/png"), &[0, 255, 1]).unwrap();
        assert_eq!(payload, Payload { data: Value::Null, base64: Some("AP8B".into()) });
        assert_eq!(read_base64(Some("image/png"), "AP8B").unwrap(), payload);
        assert_eq!(read(Some("text/plain"), &[255]).unwrap().base64.as_deref(), Some("/w=="));
    }

    #[test]
    fn json_in_base64_is_json() {
        let payload = read_base64(None, "eyJhIjoxfQ==").unwrap();
        assert_eq!(payload.data, Value::from([("a", Value::Int(1))]));
        assert!(read_base64(None, "%").is_err());
    }
}
