//! CloudEvents 1.0 over HTTP: binary, structured and batched content modes, JSON format.
//!
//! Sources: the HTTP protocol binding and the JSON event format of CloudEvents 1.0.2
//! (<https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents/bindings>). Stricter than these in
//! what would be read in two ways: a member or header given twice is refused. Looser in one point:
//! without a content type the payload of a binary event is JSON.

use std::borrow::Cow;
use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::attributes::Attributes;
use super::error::EventError;
use super::json::{self, TextSeed, ValueSeed};
use super::payload::{self, Media, Payload, media_of};
use crate::model::{Draft, Value, limits};

/// What a request holds.
#[derive(Debug, PartialEq)]
pub enum Parsed {
    /// One event.
    One(Box<Draft>),
    /// A batch, in its order: one bad event does not spoil the others.
    Batch(Vec<Result<Draft, EventError>>),
}

/// Reads the events of a request to `POST /v1/events`. `event_bytes` bounds one event.
///
/// # Errors
/// [`EventError`] when the request as a whole cannot be read: then none of its events was.
pub fn parse(headers: &HeaderMap, body: &[u8], event_bytes: usize) -> Result<Parsed, EventError> {
    let content_type = content_type(headers)?;
    match content_type.map(media_of) {
        Some(Media::Batch) => batch(body, event_bytes).map(Parsed::Batch),
        Some(Media::OtherEvent) => Err(EventError::Media(
            "of the forms of CloudEvents only JSON is taken: `application/cloudevents+json` or \
             `application/cloudevents-batch+json`"
                .to_owned(),
        )),
        mode => {
            check_size(body, event_bytes)?;
            let draft = if mode == Some(Media::Event) {
                structured("the body", body)?
            } else {
                binary(headers, content_type, body)?
            };
            Ok(Parsed::One(Box::new(draft)))
        }
    }
}

/// The content type of a request.
pub(super) fn content_type(headers: &HeaderMap) -> Result<Option<&str>, EventError> {
    headers
        .get(CONTENT_TYPE)
        .map(|value| value.to_str())
        .transpose()
        .map_err(|_| EventError::Invalid("the content type is not ASCII".to_owned()))
}

/// Refuses a body over the bound.
pub(super) fn check_size(body: &[u8], event_bytes: usize) -> Result<(), EventError> {
    if body.len() <= event_bytes {
        return Ok(());
    }
    Err(EventError::TooLarge(format!(
        "the event has {} bytes and may have {event_bytes}: put what is large elsewhere and send \
         where it is",
        body.len()
    )))
}

fn structured(what: &str, body: &[u8]) -> Result<Draft, EventError> {
    json::read(what, body, EnvelopeSeed)?.finish()
}

fn batch(body: &[u8], event_bytes: usize) -> Result<Vec<Result<Draft, EventError>>, EventError> {
    let events = json::read("the body", body, BatchSeed)?;
    if events.len() > limits::EVENTS_PER_REQUEST {
        return Err(EventError::TooLarge(format!(
            "a batch may have {} events at most: send several batches",
            limits::EVENTS_PER_REQUEST
        )));
    }
    let read = |(index, event): (usize, &RawValue)| {
        let bytes = event.get().as_bytes();
        check_size(bytes, event_bytes)?;
        structured(&format!("event {} of the batch", index + 1), bytes)
    };
    Ok(events.into_iter().enumerate().map(read).collect())
}

fn binary(
    headers: &HeaderMap,
    content_type: Option<&str>,
    body: &[u8],
) -> Result<Draft, EventError> {
    if !headers.keys().any(|name| name.as_str().starts_with("ce-")) {
        return Err(EventError::Invalid(
            "this is no CloudEvent: send `ce-` headers, or `application/cloudevents+json`, or plain \
             JSON to /v1/events/TYPE"
                .to_owned(),
        ));
    }
    let mut attributes = Attributes::default();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix("ce-") else { continue };
        match (name, header_text(value.as_bytes())) {
            ("datacontenttype" | "data", _) => attributes.wrong(format_args!(
                "`ce-{name}` is no header of CloudEvents: the content type and the body say it"
            )),
            (_, Some(text)) => attributes.set(name, Value::from(&*text)),
            (_, None) => attributes.wrong(format_args!("`{name}` is not UTF-8")),
        }
    }
    if let Some(content_type) = content_type {
        attributes.set("datacontenttype", Value::from(content_type));
    }
    match payload::read(content_type, body) {
        Ok(payload) => attributes.finish(payload),
        Err(problem) => {
            attributes.wrong(problem);
            attributes.finish(Payload::default())
        }
    }
}

/// The text of a `ce-` header: quotes taken off (HTTP binding §3.1.3.2), then percent-decoded.
/// `None`: what comes out is not UTF-8.
fn header_text(raw: &[u8]) -> Option<Cow<'_, str>> {
    let unquoted: Cow<'_, [u8]> = match raw {
        [b'"', inner @ .., b'"'] => {
            let mut plain = Vec::with_capacity(inner.len());
            let mut rest = inner.iter();
            while let Some(&byte) = rest.next() {
                plain.push(if byte == b'\\' { rest.next().copied().unwrap_or(byte) } else { byte });
            }
            Cow::Owned(plain)
        }
        raw => Cow::Borrowed(raw),
    };
    if !unquoted.contains(&b'%') {
        return match unquoted {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
        };
    }
    let decoded: Vec<u8> = percent_encoding::percent_decode(&unquoted).collect();
    String::from_utf8(decoded).ok().map(Cow::Owned)
}

/// A JSON event as read: not yet checked as a whole.
struct Envelope {
    attributes: Attributes,
    data: Option<Value>,
    base64: Option<Value>,
}

impl Envelope {
    fn finish(self) -> Result<Draft, EventError> {
        let Self { mut attributes, data, base64 } = self;
        let payload = match (data, base64) {
            (Some(_), Some(_)) => {
                attributes.wrong("`data` and `data_base64` exclude each other");
                Payload::default()
            }
            (None, Some(Value::Text(text))) => {
                let content_type = attributes.content_type();
                match payload::read_base64(content_type.as_deref(), &text) {
                    Ok(payload) => payload,
                    Err(problem) => {
                        attributes.wrong(problem);
                        Payload::default()
                    }
                }
            }
            (None, Some(other)) => {
                attributes.wrong(format_args!("`data_base64` is {}, not text", other.type_name()));
                Payload::default()
            }
            (data, None) => Payload { data: data.unwrap_or_default(), base64: None },
        };
        attributes.finish(payload)
    }
}

struct EnvelopeSeed;

impl<'de> DeserializeSeed<'de> for EnvelopeSeed {
    type Value = Envelope;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Envelope, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed {
    type Value = Envelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event as a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Envelope, A::Error> {
        let mut envelope = Envelope { attributes: Attributes::default(), data: None, base64: None };
        while let Some(name) = members.next_key_seed(TextSeed)? {
            let value = members.next_value_seed(ValueSeed::top())?;
            let slot = match &*name {
                "data" => &mut envelope.data,
                "data_base64" if value.is_null() => continue,
                "data_base64" => &mut envelope.base64,
                _ => {
                    envelope.attributes.set(&name, value);
                    continue;
                }
            };
            if slot.replace(value).is_some() {
                return Err(A::Error::custom(format_args!("the key `{name}` appears twice")));
            }
        }
        Ok(envelope)
    }
}

/// Cuts a batch into its events without reading them, and stops where it is too long.
struct BatchSeed;

impl<'de> DeserializeSeed<'de> for BatchSeed {
    type Value = Vec<&'de RawValue>;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for BatchSeed {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = items.next_element::<&'de RawValue>()? {
            // One more than allowed is kept to say so; what follows is only read over.
            if events.len() <= limits::EVENTS_PER_REQUEST {
                events.push(event);
            }
        }
        Ok(events)
    }
}
