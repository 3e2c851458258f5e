//! Texts. Where Rhai changes a text in place, ours gives a new one.

use rhai::{Array, Dynamic, Engine, FLOAT, ImmutableString, Map};

use crate::model::{Digest, Value};

use super::super::convert::to_value;
use super::super::limits;
use super::Answer;

/// How many buckets `bucket` knows: a ten-thousandth is fine enough for any experiment.
const BUCKETS: u64 = 10_000;

/// Nothing (`()`) inside of a longer text is a mistake, however the text is put together.
pub(super) const NOTHING: &str = "() cannot be part of a text; give it a value with `??`";

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("trim", |text: &str| text.trim().to_owned());
    engine.register_fn("replace", replace);
    engine.register_fn("join", join);
    engine.register_fn("domain", |email: &str| {
        email
            .rsplit_once('@')
            .filter(|(_, domain)| !domain.is_empty())
            .map_or(Dynamic::UNIT, |(_, domain)| domain.trim().to_lowercase().into())
    });
    engine.register_fn("json", |value: Dynamic| -> Answer<String> {
        Ok(to_value(&value)?.to_json().to_string())
    });
    engine.register_fn("bucket", |experiment: &str, subject: &str| {
        (Digest::of(&[b"bucket", experiment.as_bytes(), subject.as_bytes()]).short() % BUCKETS)
            as i64
    });
    // Rhai prints lists, objects and floats in its own way; these read like JSON.
    engine.register_fn("to_string", |value: FLOAT| printed(&value.into()));
    engine.register_fn("to_string", |value: Array| printed(&value.into()));
    engine.register_fn("to_string", |value: Map| printed(&value.into()));
    engine.register_fn("to_string", |(): ()| nothing_in_text());
    engine.register_fn("+", |_: ImmutableString, (): ()| nothing_in_text());
    engine.register_fn("+", |(): (), _: ImmutableString| nothing_in_text());
}

fn printed(value: &Dynamic) -> Answer<String> {
    Ok(to_value(value)?.to_string())
}

fn nothing_in_text() -> Answer<String> {
    Err(NOTHING.into())
}

/// Counts before it builds, so that a long text in every place of a long text stays within bounds.
fn replace(text: &str, old: &str, new: &str) -> Answer<String> {
    let size = text.len() + text.matches(old).count() * new.len();
    if size > limits::TEXT_BYTES {
        return Err(format!("the text would be longer than {} bytes", limits::TEXT_BYTES).into());
    }
    Ok(text.replace(old, new))
}

fn join(list: &mut Array, separator: &str) -> Answer<String> {
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        match to_value(item)? {
            Value::Null => return nothing_in_text(),
            value => joined.push_str(&value.to_string()),
        }
        if joined.len() > limits::TEXT_BYTES {
            return Err(
                format!("the text would be longer than {} bytes", limits::TEXT_BYTES).into()
            );
        }
    }
    Ok(joined)
}
