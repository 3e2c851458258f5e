//! Events that functions of plugins make: of an inbound webhook, or of the answer to a poll.

use std::collections::BTreeSet;

use super::attributes::Attributes;
use super::error::EventError;
use super::payload::Payload;
use crate::model::{Cause, Draft, Found, Text, Value, limits};

/// What an event may say.
const FIELDS: [&str; 5] = ["type", "id", "subject", "time", "data"];

/// What an event has when it does not say it itself.
#[derive(Clone, Debug)]
pub struct Around<'a> {
    /// Its type.
    pub kind: &'a str,
    /// Whether it may name another type.
    pub may_choose: bool,
    /// Its source.
    pub source: &'a Text,
    /// Its id; `None`: it must name one.
    pub id: Option<String>,
}

/// Reads `#{ id, subject, time, data }`, of which everything may be missing that stands around it.
///
/// # Errors
/// [`EventError`], telling everything that is wrong.
pub fn from_plugin(value: &Value, around: Around<'_>) -> Result<Draft, EventError> {
    let Value::Map(fields) = value else {
        let message = format!(
            "an event is an object, `#{{ subject: …, data: … }}`, not {}",
            value.type_name()
        );
        return Err(EventError::Invalid(message));
    };
    let mut attributes = Attributes::plain();
    for name in fields.keys().filter(|name| !FIELDS.contains(&&***name)) {
        attributes.wrong(format_args!("an event has no `{name}`: there are {}", FIELDS.join(", ")));
    }
    let get = |name: &str| fields.get(name).filter(|value| !value.is_null()).cloned();
    match get("type") {
        Some(kind) if !around.may_choose && kind.as_text() != Some(around.kind) => {
            attributes.wrong(format_args!("its type is always `{}`", around.kind));
        }
        Some(kind) => attributes.set("type", kind),
        None => attributes.set("type", Value::from(around.kind)),
    }
    // Numbers are ids in many systems, and people forget to make them texts.
    let id = get("id").map(|id| match id {
        Value::Int(number) => Value::from(number.to_string()),
        id => id,
    });
    attributes.set("id", id.or(around.id.map(Value::from)).unwrap_or_default());
    attributes.set("source", Value::Text(around.source.clone()));
    attributes.set("subject", get("subject").unwrap_or_default());
    let time = get("time").map(|time| match time {
        Value::Instant(at) => Value::from(at.to_string()),
        time => time,
    });
    attributes.set("time", time.unwrap_or_default());
    let data = get("data").unwrap_or_default();
    let weight = data.weight();
    if weight > limits::EVENT_BYTES {
        let message = format!("its data has {weight} bytes; at most {}", limits::EVENT_BYTES);
        return Err(EventError::TooLarge(message));
    }
    attributes.finish(Payload { data, base64: None })
}

/// Reads what the function of a poll makes of an answer: `#{ cursor, events, more }`.
///
/// # Errors
/// A cause for people: what is wrong with it.
pub fn from_poll(function: &str, meant: &Value) -> Result<Found, Cause> {
    let wrong = |message: String| Cause::new("plugin", format!("`{function}` {message}"));
    let Value::Map(fields) = meant else {
        let message = format!("gave {}, not `#{{ cursor: …, events: […] }}`", meant.type_name());
        return Err(wrong(message));
    };
    if let Some(other) = fields.keys().find(|key| !matches!(&***key, "cursor" | "events" | "more"))
    {
        return Err(wrong(format!("gave `{other}`: there are cursor, events and more")));
    }
    let cursor = fields.get("cursor").cloned().unwrap_or_default();
    if cursor.weight() > limits::CURSOR_BYTES {
        return Err(wrong(format!("gave a cursor of more than {} bytes", limits::CURSOR_BYTES)));
    }
    let none = Vec::new();
    let events = match fields.get("events") {
        None | Some(Value::Null) => &none,
        Some(Value::List(events)) => events,
        Some(other) => return Err(wrong(format!("gave {} as `events`", other.type_name()))),
    };
    if events.len() > limits::POLL_EVENTS {
        let most = limits::POLL_EVENTS;
        let message = format!("gave {} events; at most {most}, and `more: true`", events.len());
        return Err(wrong(message));
    }
    let (kind, source) = (format!("poll.{function}"), Text::from(format!("poll/{function}")));
    let mut ids = BTreeSet::new();
    let mut drafts = Vec::with_capacity(events.len());
    for event in events {
        let around = Around { kind: &kind, may_choose: false, source: &source, id: None };
        let draft = from_plugin(event, around)
            .map_err(|error| wrong(format!("made an event that is none: {error}")))?;
        if ids.insert(draft.id.clone()) {
            drafts.push(draft);
        }
    }
    let more = fields.get("more") == Some(&Value::Bool(true));
    Ok(Found { cursor, events: drafts, more })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(json: serde_json::Value, may_choose: bool) -> Result<Draft, String> {
        let source = Text::from("hooks/crm");
        let around =
            Around { kind: "webhook.crm", may_choose, source: &source, id: Some("d-1".to_owned()) };
        from_plugin(&Value::from_json(json), around).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_missing_stands_around_it() {
        let draft =
            made(serde_json::json!({ "data": { "a": 1 }, "subject": "lead/1" }), true).unwrap();
        assert_eq!((&*draft.kind, &*draft.id, &*draft.source), ("webhook.crm", "d-1", "hooks/crm"));
        let draft = made(serde_json::json!({ "id": 7, "type": "lead.created" }), true).unwrap();
        assert_eq!((&*draft.kind, &*draft.id), ("lead.created", "7"));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (json, message) in [
            (serde_json::json!(5), "an event is an object"),
            (serde_json::json!({ "kind": "x" }), "an event has no `kind`"),
            (serde_json::json!({ "type": "run.failed" }), "made by the daemon alone"),
            (serde_json::json!({ "time": "soon" }), "RFC 3339"),
        ] {
            let why = made(json, true).unwrap_err();
            assert!(why.contains(message), "{why}");
        }
        let why = made(serde_json::json!({ "type": "lead.created" }), false).unwrap_err();
        assert!(why.contains("always `webhook.crm`"), "{why}");
    }
}
