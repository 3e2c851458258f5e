//! The three modes of CloudEvents: by example, and for arbitrary input.

use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use serde_json::json;

use super::{EventError, Parsed, Plain, parse, parse_plain};
use crate::model::{Draft, Instant, Map, Value, limits};

const SIZE: usize = limits::EVENT_BYTES;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        })
        .collect()
}

fn one(pairs: &[(&str, &str)], body: &str) -> Draft {
    match parse(&headers(pairs), body.as_bytes(), SIZE).unwrap() {
        Parsed::One(draft) => *draft,
        Parsed::Batch(_) => panic!("a batch"),
    }
}

fn refusal(pairs: &[(&str, &str)], body: &str) -> String {
    parse(&headers(pairs), body.as_bytes(), SIZE).unwrap_err().to_string()
}

const STRUCTURED: &[(&str, &str)] = &[("content-type", "application/cloudevents+json")];
const BATCH: &[(&str, &str)] = &[("content-type", "application/cloudevents-batch+json")];
const BINARY: [(&str, &str); 5] = [
    ("ce-specversion", "1.0"),
    ("ce-id", "e-1"),
    ("ce-source", "crm"),
    ("ce-type", "lead.created"),
    ("content-type", "application/json"),
];

fn binary_with(pair: (&'static str, &'static str)) -> Vec<(&'static str, &'static str)> {
    let mut pairs: Vec<_> = BINARY.iter().copied().filter(|(name, _)| *name != pair.0).collect();
    pairs.push(pair);
    pairs
}

#[test]
fn all_three_modes_give_the_same_event() {
    let event = json!({
        "specversion": "1.0", "id": "e-1", "source": "crm", "type": "lead.created",
        "subject": "lead/ü", "time": "2026-03-02T10:00:00+01:00", "tenant": "a\"b",
        "datacontenttype": "application/json", "data": { "score": 80 },
    });
    let structured = one(STRUCTURED, &event.to_string());
    let mut pairs = BINARY.to_vec();
    pairs.push(("ce-subject", "lead/%C3%BC"));
    pairs.push(("ce-time", "2026-03-02T09:00:00Z"));
    pairs.push(("ce-tenant", r#""a\"b""#));
    let binary = one(&pairs, r#"{"score":80}"#);
    assert_eq!(structured, binary);
    assert_eq!(structured.fingerprint(), binary.fingerprint());
    assert_eq!(structured.subject.as_deref(), Some("lead/ü"));
    assert_eq!(structured.extensions, Map::from([("tenant".into(), Value::from("a\"b"))]));
    let batch = parse(&headers(BATCH), json!([event]).to_string().as_bytes(), SIZE).unwrap();
    assert_eq!(batch, Parsed::Batch(vec![Ok(structured)]));
}

#[test]
fn one_bad_event_does_not_spoil_the_others() {
    let good =
        |id: &str| json!({"specversion": "1.0", "id": id, "source": "s", "type": "t"}).to_string();
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(500), "]".repeat(500));
    let long = good(&"x".repeat(2_000));
    let body = format!("[{}, 7, {deep}, {{\"a\":1,\"a\":2}}, {long}, {}]", good("1"), good("2"));
    let Parsed::Batch(events) = parse(&headers(BATCH), body.as_bytes(), SIZE).unwrap() else {
        panic!("not a batch")
    };
    let told: Vec<_> = events
        .iter()
        .map(|event| event.as_ref().map_or_else(ToString::to_string, |draft| draft.id.to_string()))
        .collect();
    assert_eq!(told[0], "1");
    assert!(
        told[1].starts_with("event 2 of the batch cannot be read: invalid type: integer `7`"),
        "{}",
        told[1]
    );
    assert!(told[2].contains("nested deeper than 64"), "{}", told[2]);
    assert!(told[3].contains("`a` is given twice"), "{}", told[3]);
    assert_eq!(told[4], "`id` must not be longer than 1024 bytes");
    assert_eq!(told[5], "2");
}

#[test]
fn bounds_are_kept() {
    let too_long = format!("[{}]", vec!["{}"; limits::EVENTS_PER_REQUEST + 1].join(","));
    assert!(matches!(
        parse(&headers(BATCH), too_long.as_bytes(), SIZE),
        Err(EventError::TooLarge(_))
    ));
    let full = format!("[{}]", vec!["{}"; limits::EVENTS_PER_REQUEST].join(","));
    let Ok(Parsed::Batch(events)) = parse(&headers(BATCH), full.as_bytes(), SIZE) else {
        panic!("not a batch")
    };
    assert_eq!(events.len(), limits::EVENTS_PER_REQUEST);
    let body = json!({ "data": "x".repeat(100) }).to_string();
    let result = parse(&headers(STRUCTURED), body.as_bytes(), 50);
    assert!(matches!(result, Err(EventError::TooLarge(_))));
    let result = parse(&headers(BATCH), format!("[{body}]").as_bytes(), 50);
    assert!(
        matches!(result, Ok(Parsed::Batch(events)) if matches!(events[..], [Err(EventError::TooLarge(_))]))
    );
}

#[test]
fn payloads_follow_their_content_type() {
    let text = one(&binary_with(("content-type", "text/plain")), "hello");
    assert_eq!(text.data, Value::from("hello"));
    assert_eq!(text.extensions["datacontenttype"], Value::from("text/plain"));
    let image = one(&binary_with(("content-type", "image/png")), "\u{1}");
    assert_eq!((image.data, &image.extensions["data_base64"]), (Value::Null, &Value::from("AQ==")));
    let json =
        r#"{"specversion":"1.0","id":"1","source":"s","type":"t","data_base64":"eyJhIjoxfQ=="}"#;
    assert_eq!(one(STRUCTURED, json).data, Value::from([("a", Value::Int(1))]));
    assert_eq!(one(&BINARY, "").data, Value::Null);
}

#[test]
fn refusals_say_what_and_where() {
    for (pairs, body, told) in [
        (
            STRUCTURED.to_vec(),
            "{\n\"id\": }",
            "the body is not valid JSON: expected value at line 2 column 7",
        ),
        (
            STRUCTURED.to_vec(),
            "[]",
            "the body cannot be read: invalid type: sequence, expected an event as a JSON object",
        ),
        (
            STRUCTURED.to_vec(),
            r#"{"data":1,"data_base64":"AA=="}"#,
            "`data` and `data_base64` exclude each other",
        ),
        (
            STRUCTURED.to_vec(),
            r#"{"specversion":"0.3"}"#,
            "`specversion` is `0.3`: only `1.0` is known; `id` is missing; `source` is missing; `type` is missing",
        ),
        (STRUCTURED.to_vec(), r#"{"id":5}"#, "`id` must be text, not a number"),
        (STRUCTURED.to_vec(), r#"{"traceParent":"x"}"#, "`traceParent` cannot be an attribute"),
        (BATCH.to_vec(), "{}", "expected a list of events"),
        (vec![("content-type", "application/cloudevents+avro")], "", "only JSON is taken"),
        (vec![("content-type", "application/json")], "{}", "this is no CloudEvent"),
        (binary_with(("ce-id", "")), "{}", "`id` must not be empty"),
        (binary_with(("ce-id", "%FF")), "{}", "`id` is not UTF-8"),
        (binary_with(("ce-data", "x")), "{}", "`ce-data` is no header of CloudEvents"),
        (binary_with(("ce-type", "run.failed")), "{}", "made by the daemon alone"),
        (
            BINARY.to_vec(),
            "{",
            "the payload is not valid JSON: EOF while parsing an object at line 1 column 1",
        ),
    ] {
        let message = refusal(&pairs, body);
        assert!(message.contains(told), "{told}\n  in {message}");
    }
    let mut twice = headers(&BINARY);
    twice.append("ce-id", HeaderValue::from_static("e-2"));
    let message = parse(&twice, b"{}", SIZE).unwrap_err().to_string();
    assert_eq!(message, "`id` is given twice");
}

#[test]
fn plain_json_needs_no_envelope() {
    let plain =
        Plain { kind: "lead.created", subject: Some("lead/42"), id: "k-1", source: "crm".into() };
    let draft = parse_plain(plain.clone(), br#"{"id":42}"#, SIZE).unwrap();
    assert_eq!((&*draft.id, &*draft.source, &*draft.kind), ("k-1", "crm", "lead.created"));
    assert_eq!(draft.data, Value::from([("id", Value::Int(42))]));
    assert_eq!(parse_plain(plain.clone(), b"", SIZE).unwrap().data, Value::Null);
    let bad = Plain { kind: "x y", subject: Some(""), ..plain };
    let message = parse_plain(bad, b"{", SIZE).unwrap_err().to_string();
    for part in ["`type` is `x y`", "`subject` must not be empty", "the body is not valid JSON"] {
        assert!(message.contains(part), "{message}");
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_filter("finite", |number| number.is_finite()).prop_map(Into::into),
        "\\PC{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::btree_map("\\PC{0,6}", inner, 0..4)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

prop_compose! {
    fn draft()(
        id in "\\PC{1,20}",
        source in "\\PC{1,20}",
        kind in "[a-zA-Z0-9_-]{1,8}x(\\.[a-zA-Z0-9_-]{1,8}){0,2}",
        subject in prop::option::of("\\PC{1,20}"),
        micros in prop::option::of(0..4_000_000_000_000_000i64),
        data in json_value(),
        extensions in prop::collection::btree_map("x[a-z0-9]{0,8}", "\\PC{0,10}", 0..3),
    ) -> Draft {
        Draft {
            id: id.into(),
            source: source.into(),
            kind: kind.into(),
            subject: subject.map(Into::into),
            time: micros.map(Instant::from_micros),
            data: Value::from_json(data),
            extensions: extensions
                .into_iter()
                .map(|(name, value)| (name.into(), Value::from(value)))
                .collect(),
        }
    }
}

/// The attributes of a draft as a sender writes them.
fn attributes(draft: &Draft) -> Vec<(String, String)> {
    let mut all = vec![
        ("specversion".to_owned(), "1.0".to_owned()),
        ("id".to_owned(), draft.id.to_string()),
        ("source".to_owned(), draft.source.to_string()),
        ("type".to_owned(), draft.kind.to_string()),
    ];
    all.extend(draft.subject.iter().map(|subject| ("subject".to_owned(), subject.to_string())));
    all.extend(draft.time.iter().map(|time| ("time".to_owned(), time.to_string())));
    let extensions = draft.extensions.iter();
    all.extend(extensions.map(|(name, value)| (name.to_string(), value.to_string())));
    all
}

fn as_json(draft: &Draft) -> serde_json::Value {
    let mut event: serde_json::Map<_, _> =
        attributes(draft).into_iter().map(|(name, value)| (name, value.into())).collect();
    event.insert("data".to_owned(), draft.data.to_json());
    event.into()
}

proptest! {
    #[test]
    fn events_survive_every_mode(drafts in prop::collection::vec(draft(), 1..4)) {
        for draft in &drafts {
            let text = as_json(draft).to_string();
            prop_assert_eq!(
                parse(&headers(STRUCTURED), text.as_bytes(), SIZE),
                Ok(Parsed::One(Box::new(draft.clone())))
            );
            let mut head = headers(&[("content-type", "application/json")]);
            for (name, value) in attributes(draft) {
                let set = percent_encoding::NON_ALPHANUMERIC;
                let value = percent_encoding::utf8_percent_encode(&value, set).to_string();
                let name: HeaderName = format!("ce-{name}").parse().unwrap();
                head.insert(name, value.parse().unwrap());
            }
            prop_assert_eq!(
                parse(&head, draft.data.to_json().to_string().as_bytes(), SIZE),
                Ok(Parsed::One(Box::new(draft.clone())))
            );
        }
        let batch: serde_json::Value = drafts.iter().map(as_json).collect();
        prop_assert_eq!(
            parse(&headers(BATCH), batch.to_string().as_bytes(), SIZE),
            Ok(Parsed::Batch(drafts.into_iter().map(Ok).collect()))
        );
    }

    #[test]
    fn nothing_panics(
        mode in prop_oneof![
            Just(None),
            "\\PC{0,30}".prop_map(Some),
            Just(Some("application/cloudevents+json".to_owned())),
            Just(Some("application/cloudevents-batch+json".to_owned())),
            Just(Some("text/plain; charset=x".to_owned())),
        ],
        pairs in prop::collection::vec(("ce-[a-z0-9]{1,6}|ce-id|ce-type|ce-time", prop::collection::vec(any::<u8>(), 0..20)), 0..6),
        body in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[\\[\\]{}\",:a-z0-9.e\\\\ -]{0,80}".prop_map(String::into_bytes),
            json_value().prop_map(|value| value.to_string().into_bytes()),
        ],
    ) {
        let mut head = HeaderMap::new();
        if let Some(Ok(mode)) = mode.map(|mode| HeaderValue::from_bytes(mode.as_bytes())) {
            head.insert("content-type", mode);
        }
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                head.append(name.parse::<HeaderName>().unwrap(), value);
            }
        }
        let _ = parse(&head, &body, SIZE);
        let text = String::from_utf8_lossy(&body);
        let plain = Plain { kind: &text, subject: Some(&text), id: &text, source: "s".into() };
        let _ = parse_plain(plain, &body, SIZE);
    }
}
