//! What a response means: the step's result, another attempt, or a failure for good.

use std::fmt;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::StatusCode;
use reqwest::header::{
    CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE,
};
use url::Url;

use super::super::excerpt::excerpt;
use super::super::secrets::UsedSecrets;
use super::request::Target;
use crate::model::{Cause, Command, Instant, Map, Outcome, Span, Text, Value, limits};

/// The longest wait a receiver may ask for: after a day a person should know.
const RETRY_AFTER_LIMIT: Span = Span::from_days(1);
/// Headers that become part of the result: enough for every real API.
const HEADERS: usize = 64;
/// Bytes of their names and values: with the body they stay below `limits::RESULT_BYTES`.
const HEADER_BYTES: usize = 8 * 1024;

/// A response as read.
pub(crate) struct Received {
    /// The status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// At most `limits::RESPONSE_BYTES`.
    pub(crate) body: Vec<u8>,
    /// Whether there was more.
    pub(crate) truncated: bool,
    /// Whether the body broke off or came too late.
    pub(crate) broken: Option<String>,
}

/// The receiver as messages name it: free of paths and queries, which may hold secrets. Written out
/// only when there is something to say.
#[derive(Clone, Copy)]
pub(crate) enum Who<'a> {
    /// By its origin.
    Url(&'a Url),
    /// By its name in the settings.
    Endpoint(&'a str),
}

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(&url.origin().ascii_serialization()),
            Self::Endpoint(name) => write!(f, "`{name}`"),
        }
    }
}

/// How much of an answer is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    /// Bytes of its body; what follows is not read.
    pub(crate) bytes: usize,
    /// What it may weigh as data, its headers included.
    pub(crate) weight: usize,
}

impl Room {
    /// Of what becomes the result of a step.
    pub(crate) const OF_RESULTS: Self =
        Self { bytes: limits::RESPONSE_BYTES, weight: limits::RESULT_BYTES };
    /// Of what a function reads and forgets: a page of any listing.
    pub(crate) const OF_FETCHES: Self =
        Self { bytes: limits::EVENT_BYTES, weight: 4 * limits::EVENT_BYTES };
}

/// What an attempt's answer is judged by.
pub(crate) struct Judge<'a> {
    /// Who answered.
    pub(crate) who: Who<'a>,
    /// Statuses taken as success; empty: every 2xx.
    pub(crate) expect: &'a [u16],
    /// For a `Retry-After` that is a date.
    pub(crate) now: Instant,
    /// What the answer must not repeat.
    pub(crate) used: &'a UsedSecrets,
    /// How much of it is kept.
    pub(crate) room: Room,
}

impl Judge<'_> {
    /// The outcome of an attempt that was answered.
    pub(crate) fn outcome(&self, received: &Received) -> Outcome {
        let status = received.status;
        let success = match self.expect {
            [] => status.is_success(),
            expect => expect.contains(&status.as_u16()),
        };
        if success {
            return match &received.broken {
                None => Outcome::Done(self.result(received)),
                Some(why) => Outcome::Uncertain(Cause::new(
                    "answer_lost",
                    format!(
                        "{} answered {} and its answer broke off: {why}",
                        self.who,
                        status.as_u16()
                    ),
                )),
            };
        }
        let why = self.why(received);
        if is_passing(status) {
            return Outcome::Retry { after: retry_after(&received.headers, self.now), why };
        }
        Outcome::Failed(why)
    }

    /// The step's result: `{ status, headers, body }`, and `truncated: true` if the body was cut.
    fn result(&self, received: &Received) -> Value {
        let headers = self.headers(&received.headers);
        let body = self.body(received);
        let mut result = Map::from([
            ("status".into(), Value::Int(received.status.as_u16().into())),
            ("headers".into(), Value::Map(headers)),
            ("body".into(), body),
        ]);
        if received.truncated {
            result.insert("truncated".into(), Value::Bool(true));
        }
        Value::Map(result)
    }

    /// Names in lower case, repeated ones joined. Cookies are credentials and are left out.
    fn headers(&self, headers: &HeaderMap) -> Map {
        let mut map = Map::new();
        let mut bytes = 0;
        for name in headers.keys().filter(|name| **name != SET_COOKIE).take(HEADERS) {
            let values: Vec<_> = headers
                .get_all(name)
                .iter()
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            let value = values.join(", ");
            bytes += name.as_str().len() + value.len();
            if bytes > HEADER_BYTES {
                break;
            }
            map.insert(name.as_str().into(), Value::text(&*self.used.scrub(&value)));
        }
        map
    }

    /// JSON as data when the type says so and it fits a result, else text; nothing for no body.
    fn body(&self, received: &Received) -> Value {
        if received.body.is_empty() {
            return Value::Null;
        }
        let text = text_of(&received.body, received.truncated);
        let text = self.used.scrub(&text);
        if !received.truncated && is_json(&received.headers) {
            // serde_json's own limit of nesting keeps this from running out of stack.
            if let Ok(json) = serde_json::from_str::<serde_json::Value>(&text) {
                // JSON may write a secret in other characters than it has.
                let value = self.used.scrub_value(Value::from_json(json));
                let fits = value.weight() + HEADER_BYTES <= self.room.weight;
                if fits && value.depth() <= limits::NESTING {
                    return value;
                }
            }
        }
        Value::text(&*text)
    }

    /// Why an answer is no success, in the receiver's own words as far as they help.
    fn why(&self, received: &Received) -> Cause {
        let status = received.status.as_u16();
        let who = self.who;
        let code: Text = match status {
            410 => "gone".into(),
            _ => format!("http_{status}").into(),
        };
        let mut message = format!("{who} answered {status}");
        match status {
            200..=299 => {
                message.push_str(" and the rule expects ");
                let expected: Vec<_> = self.expect.iter().map(u16::to_string).collect();
                message.push_str(&expected.join(", "));
            }
            300..=399 => {
                if let Some(location) = received.headers.get(LOCATION) {
                    let location = String::from_utf8_lossy(location.as_bytes());
                    message.push_str(" to ");
                    message.push_str(&excerpt(&self.used.scrub(&location)));
                }
                message
                    .push_str(": redirects are not followed, name the final address in the rule");
            }
            410 => message.push_str(": it does not want these requests any more"),
            _ => {}
        }
        let said = text_of(&received.body, true);
        let said = excerpt(&self.used.scrub(&said));
        if !said.is_empty() && !(300..=399).contains(&status) {
            message.push_str(": ");
            message.push_str(&said);
        }
        Cause::new(code, message)
    }
}

/// What an answer would make of an attempt, without anybody's having been asked: for trying rules out. A
/// body that is no text is JSON.
#[must_use]
pub fn answer(command: &Command, status: u16, headers: &Map, body: &Value) -> Outcome {
    let content = match super::request::render(command) {
        Ok(content) => content,
        Err(cause) => return Outcome::Failed(cause),
    };
    let who = match &content.target {
        Target::Url(url) => Who::Url(url),
        Target::Endpoint(name) => Who::Endpoint(name),
    };
    let (body, json) = match body {
        Value::Null => (Vec::new(), false),
        Value::Text(text) => (text.as_bytes().to_vec(), false),
        data => (data.to_json().to_string().into_bytes(), true),
    };
    let mut fields = HeaderMap::new();
    if json {
        fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value.to_string())) {
            fields.append(name, value);
        }
    }
    let Ok(status) = StatusCode::from_u16(status) else {
        return Outcome::Failed(Cause::new("params", format!("{status} is no status")));
    };
    let received = Received { status, headers: fields, body, truncated: false, broken: None };
    let (used, room) = (UsedSecrets::default(), Room::OF_RESULTS);
    Judge { who, expect: &content.expect, now: command.armed, used: &used, room }.outcome(&received)
}

/// Statuses that may be another at the next attempt.
fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429) || status.is_server_error()
}

/// `Retry-After` (RFC 9110 §10.2.3): seconds or a date.
fn retry_after(headers: &HeaderMap, now: Instant) -> Option<Span> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit is more than a day.
        Span::from_secs(text.parse().unwrap_or(i64::from(u32::MAX)))
    } else {
        let date = DateTimeParser::new().parse_timestamp(text).ok()?;
        Instant::from_timestamp(date).since(now)
    };
    Some(wait.clamp(Span::ZERO, RETRY_AFTER_LIMIT))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || essence.ends_with("+json")
}

/// As UTF-8; a character cut in half at the end of a truncated body is left out.
fn text_of(body: &[u8], truncated: bool) -> String {
    match std::str::from_utf8(body) {
        Ok(text) => text.to_owned(),
        Err(error) if truncated && error.error_len().is_none() => {
            String::from_utf8_lossy(&body[..error.valid_up_to()]).into_owned()
        }
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

/// Words for a time limit that passed.
pub(crate) fn too_late(limit: Duration) -> String {
    format!("no answer in {} s", limit.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> Received {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        Received {
            status: StatusCode::from_u16(status).unwrap(),
            headers: map,
            body: body.into(),
            truncated: false,
            broken: None,
        }
    }

    fn judge(expect: &[u16], received: &Received) -> Outcome {
        let now = "2026-03-02T09:00:00Z".parse().unwrap();
        let used = UsedSecrets::default();
        let room = Room::OF_RESULTS;
        Judge { who: Who::Endpoint("crm"), expect, now, used: &used, room }.outcome(received)
    }

    #[test]
    fn each_status_has_its_meaning() {
        let of = |status, expect: &[u16]| match judge(expect, &received(status, &[], "")) {
            Outcome::Done(_) => "done",
            Outcome::Retry { .. } => "retry",
            Outcome::Failed(_) => "failed",
            Outcome::Uncertain(_) => "uncertain",
        };
        for status in [200, 201, 204, 299] {
            assert_eq!(of(status, &[]), "done", "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504, 599] {
            assert_eq!(of(status, &[]), "retry", "{status}");
        }
        for status in [301, 302, 304, 400, 401, 404, 409, 410, 422] {
            assert_eq!(of(status, &[]), "failed", "{status}");
        }
        assert_eq!(of(404, &[404]), "done");
        assert_eq!(of(503, &[503]), "done");
        assert_eq!(of(302, &[302]), "done");
        assert_eq!(of(200, &[404]), "failed");
        assert_eq!(of(500, &[404]), "retry");
    }

    #[test]
    fn retry_after_is_read_in_both_forms_and_bounded() {
        let after =
            |text: &'static str| match judge(&[], &received(503, &[("retry-after", text)], "")) {
                Outcome::Retry { after, .. } => after,
                other => panic!("{other:?}"),
            };
        assert_eq!(after("120"), Some(Span::from_secs(120)));
        assert_eq!(after("Mon, 02 Mar 2026 09:01:30 GMT"), Some(Span::from_secs(90)));
        assert_eq!(after("Mon, 02 Mar 2026 08:00:00 GMT"), Some(Span::ZERO));
        assert_eq!(after("9999999"), Some(Span::from_days(1)));
        assert_eq!(after("99999999999999999999999"), Some(Span::from_days(1)));
        assert_eq!(after("soon"), None);
        assert_eq!(after("-5"), None);
    }

    #[test]
    fn json_becomes_data_and_the_rest_text() {
        let body = |kind: &'static str, text: &str| {
            let Outcome::Done(value) = judge(&[], &received(200, &[("content-type", kind)], text))
            else {
                panic!("not done");
            };
            value.get("body").unwrap().clone()
        };
        let data = Value::from([("id", Value::Int(7))]);
        assert_eq!(body("application/json; charset=utf-8", "{\"id\":7}"), data);
        assert_eq!(body("application/problem+json", "{\"id\":7}"), data);
        assert_eq!(body("text/plain", "{\"id\":7}"), Value::from("{\"id\":7}"));
        assert_eq!(body("application/json", "{"), Value::from("{"));
        assert_eq!(body("application/json", ""), Value::Null);
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert_eq!(body("application/json", &deep), Value::from(deep.clone()));
        let wide = format!("[{}1]", "1,".repeat(20_000));
        assert!(matches!(body("application/json", &wide), Value::Text(_)));
    }

    #[test]
    fn failures_say_what_the_receiver_said() {
        let message = |received: &Received| match judge(&[], received) {
            Outcome::Failed(cause) => (cause.code.to_string(), cause.message.to_string()),
            other => panic!("{other:?}"),
        };
        let (code, text) = message(&received(422, &[], "email is\r\ntaken"));
        assert_eq!((&*code, &*text), ("http_422", "`crm` answered 422: email is taken"));
        let (code, text) = message(&received(302, &[("location", "https://x.example/")], ""));
        assert_eq!(code, "http_302");
        assert!(text.contains("https://x.example/") && text.contains("not followed"), "{text}");
        assert_eq!(message(&received(410, &[], "")).0, "gone");
    }

    #[test]
    fn an_answer_that_broke_off_is_uncertain_only_if_it_was_good() {
        let mut cut = received(200, &[], "{");
        cut.broken = Some("connection reset".to_owned());
        assert!(matches!(judge(&[], &cut), Outcome::Uncertain(_)));
        cut.status = StatusCode::BAD_GATEWAY;
        assert!(matches!(judge(&[], &cut), Outcome::Retry { .. }));
    }

    #[test]
    fn cookies_stay_out_and_secrets_are_scrubbed() {
        let mut used = UsedSecrets::default();
        used.add("hunter2!".into());
        let answer = received(
            200,
            &[("set-cookie", "s=1"), ("x-a", "1"), ("x-a", "2"), ("x-echo", "hunter2!")],
            "you sent hunter2!",
        );
        let now = Instant::default();
        let (who, room) = (Who::Endpoint("crm"), Room::OF_RESULTS);
        let judge = Judge { who, expect: &[], now, used: &used, room };
        let Outcome::Done(value) = judge.outcome(&answer) else {
            panic!("not done");
        };
        let shown = format!("{value:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("cookie"), "{shown}");
        assert_eq!(value.get("headers").unwrap().get("x-a"), Some(&Value::from("1, 2")));
    }
}
