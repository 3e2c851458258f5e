//! `record`, `records`, `secret` and `settings`.

use rhai::{Array, Dynamic, Engine, INT, NativeCallContext};

use crate::model::{Address, Value, is_name};

use super::super::convert::{to_dynamic, to_value, type_name};
use super::super::host;
use super::super::secret::{is_secret_name, secret_marker, without_secrets};
use super::Answer;

pub(super) fn register(engine: &mut Engine) {
    engine.register_fn("record", |who: NativeCallContext<'_>, address: &str| -> Answer<Dynamic> {
        let address: Address = address.parse().map_err(|error| format!("{error}"))?;
        Ok(read(&host::record(caller(&who), &address.kind, &address.id)?))
    });
    engine.register_fn("record", |who: NativeCallContext<'_>, kind: &str, id: &str| {
        one(&who, kind, id)
    });
    engine.register_fn("record", |who: NativeCallContext<'_>, kind: &str, id: INT| {
        one(&who, kind, &id.to_string())
    });
    engine.register_fn("record", |other: Dynamic| -> Answer<Dynamic> {
        Err(format!("`record` needs an address such as \"lead/42\", not {}", type_name(&other))
            .into())
    });
    engine.register_fn("record", |_: Dynamic, id: Dynamic| -> Answer<Dynamic> {
        Err(format!("`record` needs a kind and an id, both text, not {}", type_name(&id)).into())
    });
    engine.register_fn("records", |who: NativeCallContext<'_>, kind: &str| -> Answer<Array> {
        many(&who, kind, None)
    });
    let indexed =
        |who: NativeCallContext<'_>, kind: &str, index: &str, value: Dynamic| -> Answer<Array> {
            let key = to_value(&value)?;
            match &key {
                Value::Null => return empty_key(kind, index, "()"),
                Value::Text(text) if text.is_empty() => {
                    return empty_key(kind, index, "an empty text");
                }
                Value::List(_) | Value::Map(_) => return empty_key(kind, index, key.type_name()),
                _ => {}
            }
            many(&who, kind, Some((index, &key)))
        };
    engine.register_fn("records", indexed);
    engine.register_fn("settings", |who: NativeCallContext<'_>| -> Answer<Dynamic> {
        Ok(to_dynamic(&Value::Map(host::settings(caller(&who))?)))
    });
    engine.register_fn("secret", |name: &str| -> Answer<String> {
        if is_secret_name(name) {
            Ok(secret_marker(name))
        } else {
            Err(format!("\"{name}\" cannot name a secret: letters, digits, `_` and `-`").into())
        }
    });
}

fn one(who: &NativeCallContext<'_>, kind: &str, id: &str) -> Answer<Dynamic> {
    let address = Address::new(kind, id).map_err(|error| format!("{error}"))?;
    Ok(read(&host::record(caller(who), &address.kind, &address.id)?))
}

fn many(who: &NativeCallContext<'_>, kind: &str, filter: Option<(&str, &Value)>) -> Answer<Array> {
    if !is_name(kind) {
        return Err(format!("\"{kind}\" is not a kind of record").into());
    }
    Ok(host::records(caller(who), kind, filter)?.iter().map(read).collect())
}

/// A record's texts come from outside.
fn read(value: &Value) -> Dynamic {
    to_dynamic(&without_secrets(value))
}

fn empty_key(kind: &str, index: &str, what: &str) -> Answer<Array> {
    Err(format!("`records(\"{kind}\", \"{index}\", …)` looks for {what}, which is no key").into())
}

/// The file of the plugin whose code calls; `None` for an expression of a rule.
fn caller<'c>(who: &'c NativeCallContext<'_>) -> Option<&'c str> {
    who.call_source()
}
