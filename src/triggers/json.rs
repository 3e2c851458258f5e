//! JSON text straight to [`Value`], in one pass.
//!
//! Stricter than RFC 8259 where two readers could differ: a key that appears twice in one object is
//! refused, and so is nesting deeper than [`limits::NESTING`], long before recursion could hurt.
//! A whole number beyond 64 bits becomes a float, as in JavaScript.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::error::EventError;
use crate::model::{Map, Text, Value, limits};

/// Reads one JSON value; `what` names the text in messages, such as `the body`.
///
/// # Errors
/// [`EventError::Invalid`] with line and column, both from 1.
pub fn parse(what: &str, bytes: &[u8]) -> Result<Value, EventError> {
    read(what, bytes, ValueSeed::top())
}

/// Reads one JSON value with `seed`; nothing but white space may follow it.
pub(super) fn read<'de, S: DeserializeSeed<'de>>(
    what: &str,
    bytes: &'de [u8],
    seed: S,
) -> Result<S::Value, EventError> {
    let text = utf8(what, bytes)?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = seed.deserialize(&mut reader);
    value.and_then(|value| reader.end().map(|()| value)).map_err(|error| {
        let wrong = if error.is_data() { "cannot be read" } else { "is not valid JSON" };
        EventError::Invalid(format!("{what} {wrong}: {error}"))
    })
}

/// `bytes` as text, without a byte order mark.
pub(super) fn utf8<'a>(what: &str, bytes: &'a [u8]) -> Result<&'a str, EventError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let line = 1 + good.matches('\n').count();
            let column = 1 + good.len() - good.rfind('\n').map_or(0, |at| at + 1);
            Err(EventError::Invalid(format!(
                "{what} is not UTF-8: a wrong byte at line {line} column {column}"
            )))
        }
    }
}

/// Reads a [`Value`] in which so many more levels of lists and objects may open.
#[derive(Clone, Copy)]
pub(super) struct ValueSeed {
    room: usize,
}

impl ValueSeed {
    /// With the whole of [`limits::NESTING`].
    pub(super) const fn top() -> Self {
        Self { room: limits::NESTING }
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.room.checked_sub(1) {
            Some(room) => Ok(Self { room }),
            None => Err(E::custom(format_args!("nested deeper than {} levels", limits::NESTING))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Float(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut map = Map::new();
        while let Some(key) = members.next_key_seed(TextSeed)? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format_args!("the key `{key}` appears twice")));
            }
            let value = members.next_value_seed(seed)?;
            map.insert(key, value);
        }
        Ok(Value::Map(map))
    }
}

/// Reads shared text with one allocation.
pub(super) struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Text;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Text, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for TextSeed {
    type Value = Text;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }
    fn visit_str<E>(self, text: &str) -> Result<Text, E> {
        Ok(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse("the body", text.as_bytes()).unwrap()
    }

    fn error(bytes: &[u8]) -> String {
        parse("the body", bytes).unwrap_err().to_string()
    }

    #[test]
    fn numbers_keep_what_they_can() {
        assert_eq!(value("9223372036854775807"), Value::Int(i64::MAX));
        assert_eq!(value("9223372036854775808"), Value::Float(9_223_372_036_854_775_808.0));
        assert_eq!(value("-9223372036854775808"), Value::Int(i64::MIN));
        assert_eq!(value("1.5"), Value::Float(1.5));
        assert!(error(b"1e999").contains("out of range"), "{}", error(b"1e999"));
    }

    #[test]
    fn nesting_has_an_end() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(value(&nested(limits::NESTING)).depth(), limits::NESTING);
        let message = error(nested(limits::NESTING + 1).as_bytes());
        assert!(message.contains("nested deeper than 64 levels at line 1 column"), "{message}");
        assert!(error("[".repeat(100_000).as_bytes()).contains("nested deeper"));
        assert!(error("{\"a\":".repeat(100_000).as_bytes()).contains("nested deeper"));
    }

    #[test]
    fn messages_name_the_place() {
        assert_eq!(
            error(b"{\n  \"a\": 1,\n  \"a\": 2 }"),
            "the body cannot be read: the key `a` appears twice at line 3 column 5"
        );
        assert_eq!(
            error(b"{\n \"a\": \xff\"}"),
            "the body is not UTF-8: a wrong byte at line 2 column 7"
        );
        assert_eq!(
            error(b"{} x"),
            "the body is not valid JSON: trailing characters at line 1 column 4"
        );
        assert!(error(b"").contains("EOF while parsing a value at line 1 column 0"));
    }

    #[test]
    fn a_byte_order_mark_is_no_matter() {
        assert_eq!(value("\u{feff}{}"), Value::Map(Map::new()));
    }
}
