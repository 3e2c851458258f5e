//! A [`Value`] written as JSON without a tree of `serde_json` values in between.

use serde::{Serialize, Serializer};

use crate::model::Value;

/// Serializes as [`Value::to_json`] would.
pub(crate) struct AsJson<'a>(pub(crate) &'a Value);

impl Serialize for AsJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(flag) => serializer.serialize_bool(*flag),
            Value::Int(number) => serializer.serialize_i64(*number),
            Value::Float(number) => serializer.serialize_f64(*number),
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(items) => serializer.collect_seq(items.iter().map(AsJson)),
            Value::Map(map) => {
                serializer.collect_map(map.iter().map(|(key, value)| (&**key, AsJson(value))))
            }
            Value::Instant(instant) => serializer.collect_str(instant),
            Value::Span(span) => serializer.collect_str(span),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Instant, Span};

    #[test]
    fn it_writes_what_to_json_says() {
        let value = Value::from([
            ("a", Value::List(vec![Value::Null, Value::Int(-3), Value::Float(1.5)])),
            ("b", Value::from("x\"ü\n")),
            ("c", Value::Instant(Instant::from_micros(1_500_000))),
            ("d", Value::Span(Span::from_secs(90))),
            ("e", Value::Float(f64::NAN)),
            ("f", Value::from(true)),
        ]);
        assert_eq!(serde_json::to_string(&AsJson(&value)).unwrap(), value.to_json().to_string());
    }
}
