//! `record`, `records`, `secret` and `settings`.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::OnceLock;

use rhai::{Array, Dynamic, Engine, INT};

use crate::model::{Address, Duration, Instant, Value, is_name};

use super::super::convert::{to_dynamic, to_value, type_name};
use super::super::host;
use super::super::secret::{is_secret_name, secret_marker, without_secrets};
use super::Answer;

/// Whose code calls: an expression of a rule, or the plugin with this index.
pub(in crate::script) type Caller = Option<usize>;

/// What each caller has of its own, so that what it may do is known by the function it calls.
pub(in crate::script) const OWNED: [&str; 8] =
    ["record", "records", "secret", "settings", "suppressed", "ledger", "metric", "open_after"];

/// The name of such a function for a caller. It cannot be guessed, so no plugin can call another's, not
/// even by a name that it makes at run time.
pub(in crate::script) fn owned(name: &str, caller: Caller) -> String {
    let caller = caller.map_or_else(|| "rule".to_owned(), |index| index.to_string());
    format!("{name}{}{caller}", separator())
}

/// A name as people write it.
pub(in crate::script) fn plain(name: &str) -> &str {
    name.split_once(separator()).map_or(name, |(name, _)| name)
}

fn separator() -> &'static str {
    static SEPARATOR: OnceLock<String> = OnceLock::new();
    SEPARATOR.get_or_init(|| format!("__{:016x}_", RandomState::new().hash_one(0)))
}

/// Registers what `caller` has of its own.
pub(in crate::script) fn register(engine: &mut Engine, caller: Caller) {
    let name = |name| owned(name, caller);
    engine.register_fn(name("record"), move |address: &str| -> Answer<Dynamic> {
        let address: Address = address.parse().map_err(|error| format!("{error}"))?;
        Ok(read(&host::record(caller, &address.kind, &address.id)?))
    });
    engine.register_fn(name("record"), move |kind: &str, id: &str| one(caller, kind, id));
    engine
        .register_fn(name("record"), move |kind: &str, id: INT| one(caller, kind, &id.to_string()));
    engine.register_fn(name("record"), |other: Dynamic| -> Answer<Dynamic> {
        Err(format!("`record` needs an address such as \"lead/42\", not {}", type_name(&other))
            .into())
    });
    engine.register_fn(name("record"), |_: Dynamic, id: Dynamic| -> Answer<Dynamic> {
        Err(format!("`record` needs a kind and an id, both text, not {}", type_name(&id)).into())
    });
    engine.register_fn(name("records"), move |kind: &str| many(caller, kind, None));
    let indexed = move |kind: &str, index: &str, value: Dynamic| -> Answer<Array> {
        let key = to_value(&value)?;
        match &key {
            Value::Null => return empty_key(kind, index, "()"),
            Value::Text(text) if text.is_empty() => {
                return empty_key(kind, index, "an empty text");
            }
            Value::List(_) | Value::Map(_) => return empty_key(kind, index, key.type_name()),
            _ => {}
        }
        many(caller, kind, Some((index, &key)))
    };
    engine.register_fn(name("records"), indexed);
    engine.register_fn(name("suppressed"), move |address: &str, purpose: &str| -> Answer<bool> {
        host::suppressed(caller, address, purpose)
    });
    engine.register_fn(name("ledger"), move |kind: &str| -> Answer<Dynamic> {
        Ok(to_dynamic(&host::ledger(caller, kind)?))
    });
    engine.register_fn(name("metric"), move |name: &str, since: Instant| -> Answer<Dynamic> {
        // Of what nobody has counted yet there was nothing.
        let found = host::metric(caller, name, since)?.unwrap_or(Value::Int(0));
        Ok(to_dynamic(&found))
    });
    let open_after = |from: Instant, duration: &str, calendar: &str| -> Answer<Instant> {
        let duration: Duration = duration.parse().map_err(|error| format!("{error}"))?;
        host::open_after(from, duration, calendar)
    };
    engine.register_fn(name("open_after"), open_after);
    engine.register_fn(name("settings"), move || -> Answer<Dynamic> {
        Ok(to_dynamic(&Value::Map(host::settings(caller)?)))
    });
    engine.register_fn(name("secret"), move |name: &str| -> Answer<String> {
        host::may_use_secret(caller, name)?;
        if is_secret_name(name) {
            Ok(secret_marker(name))
        } else {
            Err(format!("\"{name}\" cannot name a secret: letters, digits, `_` and `-`").into())
        }
    });
}

fn one(caller: Caller, kind: &str, id: &str) -> Answer<Dynamic> {
    let address = Address::new(kind, id).map_err(|error| format!("{error}"))?;
    Ok(read(&host::record(caller, &address.kind, &address.id)?))
}

fn many(caller: Caller, kind: &str, filter: Option<(&str, &Value)>) -> Answer<Array> {
    if !is_name(kind) {
        return Err(format!("\"{kind}\" is not a kind of record").into());
    }
    Ok(host::records(caller, kind, filter)?.iter().map(read).collect())
}

/// A record's texts come from outside.
fn read(value: &Value) -> Dynamic {
    to_dynamic(&without_secrets(value))
}

fn empty_key(kind: &str, index: &str, what: &str) -> Answer<Array> {
    Err(format!("`records(\"{kind}\", \"{index}\", …)` looks for {what}, which is no key").into())
}
