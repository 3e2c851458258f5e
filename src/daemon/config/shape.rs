//! Text → [`RawConfig`]: every unknown key and every value of the wrong shape, with its place.
//!
//! serde stops at its first error, so what it refuses is reported, taken out, and the rest is read
//! again.

use std::ops::Range;

use serde_path_to_error::{Path, Segment};
use serde_yaml::Value;

use super::places::{Misplaced, Places};
use super::raw::RawConfig;
use super::{Bad, nearest};

/// Mistakes reported at most: each costs one more reading.
const MISTAKES: usize = 100;

/// Reads the shape; what was wrong is missing from the result.
pub(super) fn read(text: &str, places: &Places) -> (RawConfig, Vec<Misplaced>) {
    let mut errors = Vec::new();
    let mut value: Value = match serde_yaml::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let at = error.location().map_or(0, |location| location.index()).min(text.len());
            let bad = Bad { message: error.to_string(), help: None };
            return (
                RawConfig::default(),
                vec![Misplaced { code: "yaml-syntax", span: at..at, other: None, bad }],
            );
        }
    };
    if value.is_null() {
        return (RawConfig::default(), errors);
    }
    while errors.len() < MISTAKES {
        let error = match serde_path_to_error::deserialize::<_, RawConfig>(value.clone()) {
            Ok(raw) => return (raw, errors),
            Err(error) => error,
        };
        errors.push(explain(&error.inner().to_string(), error.path(), places));
        let steps: Vec<&Segment> = error.path().iter().collect();
        if steps.is_empty() || !remove(&mut value, &steps) {
            break;
        }
    }
    (RawConfig::default(), errors)
}

fn explain(message: &str, path: &Path, places: &Places) -> Misplaced {
    let full = path.to_string();
    let place = places.get(&full);
    let key = || place.map_or(0..0, |place| place.key.clone());
    let mut quoted = message.split('`').skip(1).step_by(2);
    if message.starts_with("unknown field") {
        let unknown = quoted.next().unwrap_or_default().to_owned();
        let known: Vec<&str> = quoted.collect();
        let within =
            full.rsplit_once('.').map_or(String::new(), |(parent, _)| format!(" in `{parent}`"));
        let help = match nearest(&unknown, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        let bad =
            Bad { message: format!("there is no setting `{unknown}`{within}"), help: Some(help) };
        return Misplaced { code: "unknown-key", span: key(), other: None, bad };
    }
    let value: Range<usize> = place.map_or(0..0, |place| place.value.clone());
    let bad = match message
        .strip_prefix("invalid type: ")
        .and_then(|rest| rest.split_once(", expected "))
    {
        Some((found, wanted)) => {
            let wanted = if wanted == "a sequence" { "a list: [a, b]" } else { wanted };
            let wanted = if wanted == "a map" { "names, each with its settings" } else { wanted };
            Bad {
                message: format!("`{full}` cannot be {}", plainly(found)),
                help: Some(format!("write {wanted}")),
            }
        }
        None => Bad { message: message.to_owned(), help: None },
    };
    Misplaced {
        code: "wrong-type",
        span: if value.is_empty() { key() } else { value },
        other: None,
        bad,
    }
}

/// serde's words for what it found, for people.
fn plainly(found: &str) -> &str {
    match found.split(' ').next() {
        Some("string") => "text",
        Some("integer" | "floating") => "a number",
        Some("boolean") => "true or false",
        Some("sequence") => "a list",
        Some("map") => "settings of its own",
        _ => found,
    }
}

/// Takes out what a path leads to: a key of an object, or a value of a list, which leaves a gap.
fn remove(value: &mut Value, steps: &[&Segment]) -> bool {
    match steps {
        [Segment::Map { key }] => {
            value.as_mapping_mut().is_some_and(|mapping| mapping.remove(key.as_str()).is_some())
        }
        [Segment::Seq { index }] => match value.get_mut(*index) {
            Some(item) if !item.is_null() => {
                *item = Value::Null;
                true
            }
            _ => false,
        },
        [Segment::Map { key }, rest @ ..] => {
            value.get_mut(key.as_str()).is_some_and(|inner| remove(inner, rest))
        }
        [Segment::Seq { index }, rest @ ..] => {
            value.get_mut(*index).is_some_and(|inner| remove(inner, rest))
        }
        _ => false,
    }
}
