//! How `secret(name)` travels: a marker in the text, put in only when an attempt is performed.
//!
//! So a secret never reaches a run, a trace or the store. Whoever performs an attempt replaces each
//! `SECRET_OPEN secret:NAME SECRET_CLOSE` by the secret's value.

use crate::model::{Text, Value};

/// Begins the marker of a secret: U+E000, of the private use area, which no text from outside keeps.
pub const SECRET_OPEN: char = '\u{E000}';
/// Ends the marker of a secret: U+E001.
pub const SECRET_CLOSE: char = '\u{E001}';

/// The text that stands for the secret `name`: `SECRET_OPEN`, `secret:`, the name, `SECRET_CLOSE`.
#[must_use]
pub fn secret_marker(name: &str) -> String {
    format!("{SECRET_OPEN}secret:{name}{SECRET_CLOSE}")
}

/// The names of the secrets that texts in `value` stand for.
#[must_use]
pub fn secrets_in(value: &Value) -> Vec<Text> {
    match value {
        Value::Text(text) => text
            .split(SECRET_OPEN)
            .skip(1)
            .filter_map(|rest| rest.strip_prefix("secret:")?.split_once(SECRET_CLOSE))
            .map(|(name, _)| name.into())
            .collect(),
        Value::List(items) => items.iter().flat_map(secrets_in).collect(),
        Value::Map(map) => map.values().flat_map(secrets_in).collect(),
        _ => Vec::new(),
    }
}

/// `value`, in which no text can stand for any other secret than these.
#[must_use]
pub fn only_secrets(value: &Value, names: &[Text]) -> Value {
    match value {
        Value::Text(text) if opens(text) => {
            let others = secrets_in(value).iter().any(|name| !names.contains(name));
            if others { without_secrets(value) } else { value.clone() }
        }
        Value::List(items) => {
            Value::List(items.iter().map(|item| only_secrets(item, names)).collect())
        }
        Value::Map(map) => Value::Map(
            map.iter().map(|(key, value)| (key.clone(), only_secrets(value, names))).collect(),
        ),
        other => other.clone(),
    }
}

/// Whether `name` may name a secret: it becomes a file name and an environment variable.
pub(super) fn is_secret_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// Whether a text in `value` could stand for a secret.
pub(super) fn may_stand_for_secret(value: &Value) -> bool {
    match value {
        Value::Text(text) => opens(text),
        Value::List(items) => items.iter().any(may_stand_for_secret),
        Value::Map(map) => map.values().any(may_stand_for_secret),
        _ => false,
    }
}

/// Whether a marker begins in `text`. Its first byte in UTF-8 is rare and looking for one byte is
/// many times faster than for a character: every text of every event passes here.
fn opens(text: &str) -> bool {
    const FIRST: u8 = 0xEE;
    text.as_bytes().contains(&FIRST) && text.contains(SECRET_OPEN)
}

/// `value`, in which no text from outside can stand for a secret.
pub(super) fn without_secrets(value: &Value) -> Value {
    match value {
        Value::Text(text) if opens(text) => Value::text(text.replace(SECRET_OPEN, "\u{FFFD}")),
        Value::List(items) => Value::List(items.iter().map(without_secrets).collect()),
        Value::Map(map) => Value::Map(
            map.iter().map(|(key, value)| (key.clone(), without_secrets(value))).collect(),
        ),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_outside_cannot_stand_for_a_secret() {
        let forged = Value::from([("a", Value::List(vec![secret_marker("db").into()]))]);
        let clean = without_secrets(&forged).to_string();
        assert!(clean.contains("secret:db") && !clean.contains(SECRET_OPEN));
    }

    #[test]
    fn a_marker_carries_the_name() {
        assert_eq!(secret_marker("crm_token"), "\u{E000}secret:crm_token\u{E001}");
        assert!(is_secret_name("crm_token-2"));
        for bad in ["", "a/b", "../x", "a b", "ü"] {
            assert!(!is_secret_name(bad), "{bad}");
        }
    }
}
