//! [`Value`] to Rhai's [`Dynamic`] and back.
//!
//! Instants and spans are custom types. A character of Rhai becomes a text. What has no form of ours
//! (a function, a range, a number that is not finite) is an error, never a guess.

use rhai::{Array, Dynamic, ImmutableString, Map as RhaiMap};

use crate::model::{Instant, Map, Span, Value, limits};

/// For Rhai.
pub(super) fn to_dynamic(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Text(text) => ImmutableString::from(&**text).into(),
        Value::List(items) => Dynamic::from_array(items.iter().map(to_dynamic).collect::<Array>()),
        Value::Map(map) => Dynamic::from_map(
            map.iter()
                .map(|(key, value)| ((&**key).into(), to_dynamic(value)))
                .collect::<RhaiMap>(),
        ),
        Value::Instant(instant) => Dynamic::from(*instant),
        Value::Span(span) => Dynamic::from(*span),
    }
}

/// From Rhai.
///
/// # Errors
/// What cannot be a value, in words.
pub(super) fn to_value(dynamic: &Dynamic) -> Result<Value, String> {
    nested(dynamic, 0)
}

fn nested(dynamic: &Dynamic, depth: usize) -> Result<Value, String> {
    if depth > limits::NESTING {
        return Err(format!("a value nests deeper than {} levels", limits::NESTING));
    }
    if dynamic.is_shared() {
        return nested(&dynamic.flatten_clone(), depth);
    }
    if dynamic.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(flag) = dynamic.as_bool() {
        return Ok(Value::Bool(flag));
    }
    if let Ok(number) = dynamic.as_int() {
        return Ok(Value::Int(number));
    }
    if let Ok(number) = dynamic.as_float() {
        return if number.is_finite() {
            Ok(Value::Float(number))
        } else {
            Err(format!("{number} is not a number that can be kept"))
        };
    }
    if let Ok(text) = dynamic.as_immutable_string_ref() {
        return Ok(Value::text(text.as_str()));
    }
    if let Ok(c) = dynamic.as_char() {
        return Ok(Value::text(c.to_string()));
    }
    if let Ok(items) = dynamic.as_array_ref() {
        return items
            .iter()
            .map(|item| nested(item, depth + 1))
            .collect::<Result<_, _>>()
            .map(Value::List);
    }
    if let Ok(map) = dynamic.as_map_ref() {
        return map
            .iter()
            .map(|(key, value)| nested(value, depth + 1).map(|value| (key.as_str().into(), value)))
            .collect::<Result<Map, _>>()
            .map(Value::Map);
    }
    if let Some(instant) = dynamic.read_lock::<Instant>() {
        return Ok(Value::Instant(*instant));
    }
    if let Some(span) = dynamic.read_lock::<Span>() {
        return Ok(Value::Span(*span));
    }
    Err(format!("{} is not a value", type_name(dynamic)))
}

/// What a person calls the type of `dynamic`.
pub(super) fn type_name(dynamic: &Dynamic) -> &'static str {
    human_type(if dynamic.is::<Instant>() {
        "instant"
    } else if dynamic.is::<Span>() {
        "span"
    } else if dynamic.is_fnptr() {
        "Fn"
    } else {
        dynamic.type_name()
    })
}

/// What a person calls a type that Rhai names so.
pub(super) fn human_type(name: &str) -> &'static str {
    match name.trim() {
        "()" => "nothing (`()`)",
        "bool" => "a boolean",
        "i64" | "f64" | "int" | "float" => "a number",
        "string" | "&str | ImmutableString | String" | "char" => "text",
        "array" => "a list",
        "map" => "an object",
        "instant" => "an instant",
        "span" => "a span of time",
        "Fn" => "a function",
        other if other.contains("Instant") => "an instant",
        other if other.contains("Span") => "a span of time",
        other if other.contains("bool") => "a boolean",
        other if other.contains("String") || other.contains("string") => "text",
        other if other.contains("Range") || other.contains("range") => "a range",
        _ => "something else",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_filter("finite", |f| f.is_finite()).prop_map(Value::Float),
            ".*".prop_map(Value::from),
            any::<i64>().prop_map(|micros| Value::Instant(Instant::from_micros(micros))),
            any::<i64>().prop_map(|micros| Value::Span(Span::from_micros(micros))),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::List),
                prop::collection::btree_map(".*", inner, 0..8).prop_map(|map| {
                    Value::Map(map.into_iter().map(|(k, v)| (k.into(), v)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_come_back(value in values()) {
            prop_assert_eq!(to_value(&to_dynamic(&value)), Ok(value.clone()));
            prop_assert_eq!(to_value(&to_dynamic(&value).into_shared()), Ok(value));
        }
    }

    #[test]
    fn what_is_not_a_value_is_an_error() {
        for odd in [
            Dynamic::from(f64::NAN),
            Dynamic::from(f64::INFINITY),
            Dynamic::from(rhai::FnPtr::new("f").unwrap()),
            Dynamic::from(0..3_i64),
            Dynamic::from_array(vec![Dynamic::from(f64::NAN)]),
        ] {
            assert!(to_value(&odd).is_err(), "{odd:?}");
        }
        assert_eq!(to_value(&Dynamic::from('ü')), Ok(Value::from("ü")));
        let deep = (0..100).fold(Dynamic::UNIT, |inner, _| Dynamic::from_array(vec![inner]));
        assert!(to_value(&deep).unwrap_err().contains("64"));
    }
}
