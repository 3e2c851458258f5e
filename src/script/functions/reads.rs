//! `record`, `records` and `secret`.

use rhai::{Array, Dynamic, Engine, INT};

use crate::model::{Address, Value, is_name};

use super::super::convert::{to_dynamic, to_value, type_name};
use super::super::host;
use super::super::secret::{is_secret_name, secret_marker, without_secrets};
use super::Answer;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("record", |address: &str| -> Answer<Dynamic> {
        let address: Address = address.parse().map_err(|error| format!("{error}"))?;
        Ok(read(&host::record(&address.kind, &address.id)?))
    });
    engine.register_fn("record", |kind: &str, id: &str| one(kind, id));
    engine.register_fn("record", |kind: &str, id: INT| one(kind, &id.to_string()));
    engine.register_fn("record", |other: Dynamic| -> Answer<Dynamic> {
        Err(format!("`record` needs an address such as \"lead/42\", not {}", type_name(&other))
            .into())
    });
    engine.register_fn("record", |_: Dynamic, id: Dynamic| -> Answer<Dynamic> {
        Err(format!("`record` needs a kind and an id, both text, not {}", type_name(&id)).into())
    });
    engine.register_fn("records", |kind: &str| -> Answer<Array> { many(kind, None) });
    engine.register_fn("records", |kind: &str, index: &str, value: Dynamic| -> Answer<Array> {
        let key = to_value(&value)?;
        match &key {
            Value::Null => return empty_key(kind, index, "()"),
            Value::Text(text) if text.is_empty() => {
                return empty_key(kind, index, "an empty text");
            }
            Value::List(_) | Value::Map(_) => return empty_key(kind, index, key.type_name()),
            _ => {}
        }
        many(kind, Some((index, &key)))
    });
    engine.register_fn("secret", |name: &str| -> Answer<String> {
        if is_secret_name(name) {
            Ok(secret_marker(name))
        } else {
            Err(format!("\"{name}\" cannot name a secret: letters, digits, `_` and `-`").into())
        }
    });
}

fn one(kind: &str, id: &str) -> Answer<Dynamic> {
    let address = Address::new(kind, id).map_err(|error| format!("{error}"))?;
    Ok(read(&host::record(&address.kind, &address.id)?))
}

fn many(kind: &str, filter: Option<(&str, &Value)>) -> Answer<Array> {
    if !is_name(kind) {
        return Err(format!("\"{kind}\" is not a kind of record").into());
    }
    Ok(host::records(kind, filter)?.iter().map(read).collect())
}

/// A record's texts come from outside.
fn read(value: &Value) -> Dynamic {
    to_dynamic(&without_secrets(value))
}

fn empty_key(kind: &str, index: &str, what: &str) -> Answer<Array> {
    Err(format!("`records(\"{kind}\", \"{index}\", …)` looks for {what}, which is no key").into())
}
