//! [`Expected`]: what a scenario says must have happened, and how that is compared with what did.

use std::fmt::Write as _;
use std::ops::Range;

use crate::model::{Instant, Map, Text, Value};
use crate::rules::decode::Sink;
use crate::rules::yaml::Node;

use super::effect::Happening;
use super::file::by_main_key;
use super::keys;

/// An item of `expect`.
#[derive(Clone, Debug)]
pub struct Expected {
    /// `email`, `webhook`, `action`, `event` or `failed`.
    pub kind: &'static str,
    /// What it names; the main key among them.
    pub fields: Map,
    /// It must not have happened.
    pub never: bool,
    /// Its bytes, to point at.
    pub(super) place: Range<usize>,
}

impl Expected {
    /// Reads an item.
    pub(super) fn read(sink: &mut Sink<'_>, node: &Node) -> Option<Self> {
        let (kind, fields) = by_main_key(sink, node, &keys::EXPECTED, "what is expected")?;
        let never = fields.get("never").and_then(|node| sink.boolean(node, "never"));
        let fields = fields
            .entries()
            .iter()
            .filter(|entry| entry.key != "never")
            .map(|entry| (Text::from(entry.key.as_str()), entry.value.value()))
            .collect();
        Some(Self { kind, fields, never: never.unwrap_or(false), place: node.head() })
    }

    /// The fields in which something that happened differs from this; `None`: it is of another kind.
    pub(super) fn differs(&self, happened: &Happening) -> Option<Vec<Difference>> {
        if !happened.is(self.kind) {
            return None;
        }
        let mut differences = Vec::new();
        for (name, wanted) in &self.fields {
            let found = happened.fields.get(name).unwrap_or(&Value::Null);
            if !agrees(wanted, found) {
                let (wanted, found) = (wanted.clone(), found.clone());
                differences.push(Difference { field: name.clone(), wanted, found });
            }
        }
        Some(differences)
    }

    /// As it stands in a file.
    pub(super) fn say(&self) -> String {
        let mut text = String::from("{ ");
        let main = self.fields.get(self.kind).into_iter().map(|value| (self.kind, value));
        let others = self.fields.iter().filter(|(name, _)| &***name != self.kind);
        let others = others.map(|(name, value)| (&**name, value));
        for (index, (name, value)) in main.chain(others).enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            // Writing to a text cannot fail.
            let _ = write!(text, "{comma}{name}: {}", flow(value));
        }
        text.push_str(" }");
        text
    }
}

/// A field that is not as expected.
#[derive(Clone, Debug)]
pub(super) struct Difference {
    pub(super) field: Text,
    pub(super) wanted: Value,
    pub(super) found: Value,
}

/// Whether what was found is what was wanted: texts with `*` for anything, of an object every named field,
/// one for a list of one. Numbers are equal as numbers, and an instant equals its text.
pub(super) fn agrees(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Text(pattern), Value::Text(text)) => matches(pattern, text),
        (Value::Text(pattern), Value::Instant(at)) => {
            matches(pattern, &at.to_string())
                || pattern.parse().is_ok_and(|wanted: Instant| wanted == *at)
        }
        (Value::Text(pattern), Value::Int(_) | Value::Float(_) | Value::Bool(_)) => {
            matches(pattern, &found.to_string()) && pattern.contains('*')
        }
        (Value::Text(_), Value::List(items)) if items.len() == 1 => agrees(wanted, &items[0]),
        (Value::Text(pattern), Value::Null | Value::List(_) | Value::Map(_)) => &**pattern == "*",
        (Value::List(wanted), Value::List(found)) => {
            wanted.len() == found.len()
                && wanted.iter().zip(found).all(|(wanted, found)| agrees(wanted, found))
        }
        (Value::List(wanted), found) if wanted.len() == 1 => agrees(&wanted[0], found),
        (Value::Map(wanted), Value::Map(found)) => wanted
            .iter()
            .all(|(name, wanted)| agrees(wanted, found.get(name).unwrap_or(&Value::Null))),
        #[allow(clippy::float_cmp, reason = "equal means equal")]
        (Value::Int(a), Value::Float(b)) | (Value::Float(b), Value::Int(a)) => *a as f64 == *b,
        _ => wanted == found,
    }
}

/// Whether a text is as a pattern says, in which `*` is any number of characters.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A value as YAML in one line.
pub(super) fn flow(value: &Value) -> String {
    match value {
        Value::Text(text) => scalar(text),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(map) if map.is_empty() => "{}".to_owned(),
        Value::Map(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{}: {}", scalar(key), flow(value)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Null => "null".to_owned(),
        Value::Instant(at) => at.to_string(),
        other => other.to_string(),
    }
}

/// A text as YAML writes it in one line, quoted only where it must be.
fn scalar(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || " @._-+/*".contains(c))
        && !text.ends_with(' ')
        && !matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "yes" | "no");
    if plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

/// Which of what was expected is which of what happened, as many as can be: `(expected, happened)`.
/// Kuhn's algorithm for maximum matchings in bipartite graphs, after what agrees at once.
pub(super) fn pair(expected: &[Expected], happened: &[Happening]) -> Vec<(usize, usize)> {
    let fits: Vec<Vec<usize>> = expected
        .iter()
        .map(|expected| {
            let agrees = |happened: &Happening| {
                expected.differs(happened).is_some_and(|differences| differences.is_empty())
            };
            (0..happened.len()).filter(|at| agrees(&happened[*at])).collect()
        })
        .collect();
    let mut taken: Vec<Option<usize>> = vec![None; happened.len()];
    for at in 0..expected.len() {
        let mut seen = vec![false; happened.len()];
        place(at, &fits, &mut taken, &mut seen);
    }
    taken.iter().enumerate().filter_map(|(at, by)| Some(((*by)?, at))).collect()
}

fn place(at: usize, fits: &[Vec<usize>], taken: &mut [Option<usize>], seen: &mut [bool]) -> bool {
    for &candidate in &fits[at] {
        if std::mem::replace(&mut seen[candidate], true) {
            continue;
        }
        if taken[candidate].is_none_or(|other| place(other, fits, taken, seen)) {
            taken[candidate] = Some(at);
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: serde_json::Value) -> Value {
        Value::from_json(json)
    }

    #[test]
    fn a_star_is_anything() {
        for (pattern, text, held) in [
            ("a", "a", true),
            ("a", "ab", false),
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("*@x.example", "ana@x.example", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "acb", false),
            ("a*a", "a", false),
            ("**", "", true),
            ("", "", true),
            ("*ä*", "bär", true),
        ] {
            assert_eq!(matches(pattern, text), held, "{pattern} {text}");
        }
    }

    #[test]
    fn only_what_is_named_is_compared() {
        use serde_json::json;
        let found = value(json!({ "a": 1, "b": { "c": "text", "d": [1, 2] } }));
        assert!(agrees(&value(json!({ "b": { "c": "t*" } })), &found));
        assert!(agrees(&value(json!({ "a": 1.0 })), &found));
        assert!(!agrees(&value(json!({ "b": { "d": [1] } })), &found));
        assert!(!agrees(&value(json!({ "x": 1 })), &found));
        assert!(agrees(&value(json!("max@x.example")), &value(json!(["max@x.example"]))));
        assert!(agrees(&value(json!(["max@x.example"])), &value(json!("max@x.example"))));
        let at = Value::Instant("2026-03-02T09:00:00Z".parse().unwrap());
        assert!(agrees(&value(json!("2026-03-02T10:00:00+01:00")), &at));
    }

    #[test]
    fn what_is_said_can_be_written_into_a_file() {
        use serde_json::json;
        for json in [
            json!("ana@x.example"),
            json!("a: b"),
            json!("yes"),
            json!("12"),
            json!(""),
            json!("x # y"),
            json!([1, "two", null, { "a b": true }]),
        ] {
            let file = crate::rules::SourceFile::new(
                "t.yaml",
                format!("a: {}\n", flow(&value(json.clone()))),
            );
            let mut found = Vec::new();
            let parsed = crate::rules::yaml::parse(&file, &mut found);
            let again = parsed.documents[0].root.get("a").map(Node::value);
            let wanted = value(json);
            assert!(again == Some(wanted.clone()) || wanted.is_null(), "{} {found:?}", file.text);
        }
    }
}
