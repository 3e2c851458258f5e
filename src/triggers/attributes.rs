//! The attributes of an event, gathered one by one and checked together.
//!
//! Source of the rules: CloudEvents 1.0.2 §3 "Context Attributes"
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>).

use std::borrow::Cow;
use std::fmt::Display;

use super::error::EventError;
use super::payload::{self, Payload};
use crate::model::{Draft, Instant, Map, Text, Value, limits, own_event};

/// Problems told about one event; more of them help nobody.
const PROBLEMS: usize = 8;

/// The attributes seen so far, and what is wrong with them.
#[derive(Default)]
pub(super) struct Attributes {
    id: Option<Text>,
    source: Option<Text>,
    kind: Option<Text>,
    subject: Option<Text>,
    time: Option<Instant>,
    specversion: bool,
    content_type: Option<Text>,
    extensions: Map,
    problems: Vec<String>,
}

impl Attributes {
    /// Of an event that does not come as a CloudEvent and so states no version.
    pub(super) fn plain() -> Self {
        Self { specversion: true, ..Self::default() }
    }

    /// Remembers a problem.
    pub(super) fn wrong(&mut self, problem: impl Display) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(problem.to_string());
        }
    }

    /// Takes one attribute; `null` is an attribute that is not there.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        if value.is_null() {
            return;
        }
        match name {
            "specversion" => self.set_version(&value),
            "id" | "source" | "type" | "subject" => {
                let Some(text) = self.text(name, value) else { return };
                if !self.check_key(name, &text) {
                    return;
                }
                if name == "type" {
                    self.check_type(&text);
                }
                let field = match name {
                    "id" => &mut self.id,
                    "source" => &mut self.source,
                    "type" => &mut self.kind,
                    _ => &mut self.subject,
                };
                if field.replace(text).is_some() {
                    self.wrong(format_args!("`{name}` is given twice"));
                }
            }
            "time" => self.set_time(value),
            "datacontenttype" => {
                let Some(text) = self.text(name, value) else { return };
                if self.content_type.replace(text).is_some() {
                    self.wrong("`datacontenttype` is given twice");
                }
            }
            _ => self.set_extension(name, value),
        }
    }

    /// The content type of the payload, if one was given.
    pub(super) fn content_type(&self) -> Option<Text> {
        self.content_type.clone()
    }

    /// The event, if every rule is kept; else all that is wrong with it.
    pub(super) fn finish(mut self, payload: Payload) -> Result<Draft, EventError> {
        if !self.specversion {
            self.wrong("`specversion` is missing: it must be `1.0`");
        }
        for (name, missing) in [
            ("id", self.id.is_none()),
            ("source", self.source.is_none()),
            ("type", self.kind.is_none()),
        ] {
            // A value that was there and wrong has been told already.
            if missing && !self.problems.iter().any(|told| told.starts_with(&format!("`{name}`"))) {
                self.wrong(format_args!("`{name}` is missing"));
            }
        }
        match (self.id, self.source, self.kind) {
            (Some(id), Some(source), Some(kind)) if self.problems.is_empty() => {
                let mut extensions = self.extensions;
                if let Some(content_type) = self.content_type
                    && !payload::is_plain_json(&content_type)
                {
                    extensions.insert("datacontenttype".into(), Value::Text(content_type));
                }
                if let Some(base64) = payload.base64 {
                    extensions.insert(payload::BASE64.into(), Value::Text(base64));
                }
                let (subject, time, data) = (self.subject, self.time, payload.data);
                Ok(Draft { id, source, kind, subject, time, data, extensions })
            }
            _ => Err(EventError::Invalid(self.problems.join("; "))),
        }
    }

    fn text(&mut self, name: &str, value: Value) -> Option<Text> {
        if let Value::Text(text) = value {
            return Some(text);
        }
        self.wrong(format_args!("`{name}` must be text, not {}", value.type_name()));
        None
    }

    /// Whether `text` may become a key: not empty, not too long, no control characters.
    fn check_key(&mut self, name: &str, text: &str) -> bool {
        let problem = if text.is_empty() {
            Cow::Borrowed("must not be empty")
        } else if text.len() > limits::SUBJECT_BYTES {
            Cow::Owned(format!("must not be longer than {} bytes", limits::SUBJECT_BYTES))
        } else if has_control(text) {
            Cow::Borrowed("must not have control characters")
        } else {
            return true;
        };
        self.wrong(format_args!("`{name}` {problem}"));
        false
    }

    fn check_type(&mut self, kind: &str) {
        let sound = kind.split('.').all(|part| {
            !part.is_empty()
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
        });
        if !sound {
            self.wrong(format_args!(
                "`type` is `{kind}`: write parts of letters, digits, `_` and `-` with dots between them, \
                 such as `lead.created`"
            ));
        } else if let Some(head) = own_event(kind) {
            // From outside they would be lies.
            self.wrong(format_args!(
                "`type` is `{kind}`: types that begin with `{head}.` are made by the daemon alone"
            ));
        }
    }

    fn set_version(&mut self, value: &Value) {
        self.specversion = true;
        if value.as_text() != Some("1.0") {
            self.wrong(format_args!("`specversion` is `{value}`: only `1.0` is known"));
        }
    }

    fn set_time(&mut self, value: Value) {
        let Some(text) = self.text("time", value) else { return };
        match is_rfc3339(&text).then(|| text.parse::<Instant>()) {
            Some(Ok(instant)) => {
                if self.time.replace(instant).is_some() {
                    self.wrong("`time` is given twice");
                }
            }
            _ => self.wrong(format_args!(
                "`time` is `{text}`: write RFC 3339 with an offset, such as `2026-03-02T10:00:00Z`"
            )),
        }
    }

    fn set_extension(&mut self, name: &str, value: Value) {
        if name.is_empty()
            || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
        {
            return self.wrong(format_args!(
                "`{name}` cannot be an attribute: their names are lower-case letters and digits"
            ));
        }
        match &value {
            Value::Text(text) if has_control(text) => {
                return self.wrong(format_args!("`{name}` must not have control characters"));
            }
            Value::Bool(_) | Value::Int(_) | Value::Text(_) => {}
            other => {
                return self.wrong(format_args!(
                    "`{name}` is {}: an attribute is text, a whole number or a boolean, the rest \
                     belongs into `data`",
                    other.type_name()
                ));
            }
        }
        if self.extensions.insert(name.into(), value).is_some() {
            self.wrong(format_args!("`{name}` is given twice"));
        }
    }
}

/// Whether a text has control characters, which the type String of CloudEvents excludes.
fn has_control(text: &str) -> bool {
    if text.is_ascii() {
        text.bytes().any(|byte| byte.is_ascii_control())
    } else {
        text.chars().any(char::is_control)
    }
}

/// Whether `text` has the shape of RFC 3339 §5.6; jiff alone would take more than that.
fn is_rfc3339(text: &str) -> bool {
    fn digits(text: &[u8], shape: &[u8]) -> bool {
        text.len() == shape.len()
            && text.iter().zip(shape).all(|(byte, want)| match want {
                b'0' => byte.is_ascii_digit(),
                want => byte.eq_ignore_ascii_case(want),
            })
    }
    const DATE_TIME: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let Some((head, mut rest)) = bytes.split_at_checked(DATE_TIME.len()) else { return false };
    if !digits(head, DATE_TIME) {
        return false;
    }
    if let [b'.', fraction @ ..] = rest {
        let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return false;
        }
        rest = &fraction[count..];
    }
    match rest {
        [b'z' | b'Z'] => true,
        [b'+' | b'-', offset @ ..] => digits(offset, b"00:00"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_and_nothing_else() {
        for good in [
            "2026-03-02T10:00:00Z",
            "2026-03-02t10:00:00.123456789+01:00",
            "2026-03-02T10:00:00-00:30",
        ] {
            assert!(is_rfc3339(good) && good.parse::<Instant>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "2026-03-02",
            "2026-03-02 10:00:00Z",
            "2026-03-02T10:00:00",
            "2026-03-02T10:00Z",
            "2026-03-02T10:00:00.Z",
            "2026-03-02T10:00:00+01",
            "2026-03-02T10:00:00Z[UTC]",
            "é026-03-02T10:00:00Z",
        ] {
            assert!(!is_rfc3339(bad), "{bad}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let mut attributes = Attributes::default();
        attributes.set("id", Value::from(""));
        attributes.set("type", Value::from("lead created"));
        attributes.set("time", Value::from("yesterday"));
        attributes.set("Foo", Value::from("x"));
        attributes.set("nested", Value::List(vec![]));
        let message = attributes.finish(Payload::default()).unwrap_err().to_string();
        for part in [
            "`id` must not be empty",
            "`type` is `lead created`",
            "`time` is `yesterday`",
            "`Foo` cannot be an attribute",
            "`nested` is a list",
            "`specversion` is missing",
            "`source` is missing",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
        assert!(!message.contains("`id` is missing"), "{message}");
    }

    #[test]
    fn the_daemon_alone_makes_its_types() {
        for kind in ["message.sent", "escalation.acknowledged", "record.changed", "run.failed"] {
            let mut attributes = Attributes::plain();
            attributes.set("type", Value::from(kind));
            let message = attributes.finish(Payload::default()).unwrap_err().to_string();
            assert!(message.contains("made by the daemon alone"), "{message}");
        }
        let mut attributes = Attributes::plain();
        for (name, value) in [("type", "records.imported"), ("id", "1"), ("source", "crm")] {
            attributes.set(name, Value::from(value));
        }
        assert!(attributes.finish(Payload::default()).is_ok());
    }
}
