//! [`Value`]: JSON plus the two types rules need and JSON lacks, instants and spans.
//!
//! Objects are ordered by key, so the same value always encodes, hashes and prints the same way.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

use super::limits;
use super::time::{Instant, Span};

/// Shared immutable text; cloning it copies a pointer.
pub type Text = Arc<str>;

/// An object: keys in ascending byte order.
pub type Map = BTreeMap<Text, Value>;

/// A piece of data as rules see it: what JSON can say, plus an instant and a span.
///
/// The derived order of variants is part of the format on disk: append, never reorder.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// JSON `null`, Rhai `()`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number of 64 bits.
    Int(i64),
    /// Any other finite number.
    Float(f64),
    /// Text.
    Text(Text),
    /// A list.
    List(#[serde(deserialize_with = "nested")] Vec<Value>),
    /// An object.
    Map(#[serde(deserialize_with = "nested")] Map),
    /// A point in time. In JSON: RFC 3339 text in UTC.
    Instant(Instant),
    /// An elapsed length of time. In JSON: ISO 8601 text such as `PT90S`.
    Span(Span),
}

thread_local! {
    /// Lists and objects around the value that is being read.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Reads what is in a list or an object, at most [`limits::STORED_NESTING`] deep: damaged bytes can
/// say anything, and reading them must end in an error and not at the end of the stack.
fn nested<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<T, D::Error> {
    struct Level;

    impl Drop for Level {
        fn drop(&mut self) {
            DEPTH.set(DEPTH.get() - 1);
        }
    }

    DEPTH.set(DEPTH.get() + 1);
    let _level = Level;
    if DEPTH.get() > limits::STORED_NESTING {
        return Err(serde::de::Error::custom("nested deeper than anything written"));
    }
    T::deserialize(source)
}

impl Value {
    /// Text from anything that becomes shared text.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// The text, if this is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The object, if this is one.
    #[must_use]
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Self::Map(map) => Some(map),
            _ => None,
        }
    }

    /// Whether this is `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The member `key` of an object; `None` for a missing key and for anything but an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// What a person calls this type in an error message.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "nothing (`()`)",
            Self::Bool(_) => "a boolean",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "an object",
            Self::Instant(_) => "an instant",
            Self::Span(_) => "a span of time",
        }
    }

    /// The JSON form: instants and spans become text, a number that is not finite becomes `null`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Int(number) => Json::from(*number),
            Self::Float(number) => Json::from(*number),
            Self::Text(text) => Json::String(text.to_string()),
            Self::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Self::Map(map) => Json::Object(
                map.iter().map(|(key, value)| (key.to_string(), value.to_json())).collect(),
            ),
            Self::Instant(instant) => Json::String(instant.to_string()),
            Self::Span(span) => Json::String(span.to_string()),
        }
    }

    /// From JSON. Text stays text; a whole number beyond 64 bits becomes a float, as in JavaScript.
    #[must_use]
    pub fn from_json(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(flag),
            Json::Number(number) => number
                .as_i64()
                .map_or_else(|| Self::Float(number.as_f64().unwrap_or(0.0)), Self::Int),
            Json::String(text) => Self::Text(text.into()),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            Json::Object(map) => Self::Map(
                map.into_iter().map(|(key, value)| (key.into(), Self::from_json(value))).collect(),
            ),
        }
    }

    /// How deep lists and objects nest: 0 for a scalar, 1 for `[]`.
    #[must_use]
    pub fn depth(&self) -> usize {
        match self {
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Map(map) => 1 + map.values().map(Self::depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    /// A close estimate of the encoded size in bytes, used for bounds.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => 1,
            Self::Int(_) | Self::Float(_) | Self::Instant(_) | Self::Span(_) => 9,
            Self::Text(text) => 2 + text.len(),
            Self::List(items) => 2 + items.iter().map(Self::weight).sum::<usize>(),
            Self::Map(map) => {
                2 + map.iter().map(|(key, value)| 2 + key.len() + value.weight()).sum::<usize>()
            }
        }
    }
}

/// How a value reads inside a longer text: bare for scalars, JSON for the rest.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Int(number) => write!(f, "{number}"),
            Self::Instant(instant) => write!(f, "{instant}"),
            Self::Span(span) => write!(f, "{span}"),
            other => write!(f, "{}", other.to_json()),
        }
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Text(text)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<Instant> for Value {
    fn from(instant: Instant) -> Self {
        Self::Instant(instant)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(pairs: [(&str, Value); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}
