//! The room's behaviour through its public face, one table per subject.

mod language;
mod mistakes;
mod permissions;
mod plugins;
mod safety;

use serde_json::json;

use super::{
    EvalError, Expr, Grant, Host, Names, NoRecords, Permissions, PluginSource, Sandbox, Scope,
    ScriptError, Shared, secret_marker, secrets_in,
};
use crate::model::{Instant, ReadError, Value};

/// The names every test may use.
fn names() -> Names {
    Names::of(&["event", "vars", "old"])
}

/// Without plugins.
fn sandbox() -> Sandbox {
    Sandbox::new(&[]).unwrap()
}

/// With the one plugin `scoring`.
fn with_plugin(source: &str) -> Sandbox {
    Sandbox::new(&[plugin("scoring", source)]).unwrap()
}

fn plugin(name: &str, source: &str) -> PluginSource {
    PluginSource {
        name: name.into(),
        file: format!("plugins/{name}.rhai").into(),
        source: source.into(),
        grant: Grant::from_before_manifests(),
    }
}

/// An event and a few variables.
fn scope() -> Scope {
    let mut scope = Scope::new("2026-03-02T10:00:00Z".parse().unwrap());
    scope.set("event", &event());
    scope.set("vars", &Value::from_json(json!({ "twin": [], "limit": 50, "half": true })));
    scope.set("old", &Value::Null);
    scope
}

fn event() -> Value {
    let mut event = Value::from_json(json!({
        "id": "e-1",
        "subject": "lead/42",
        "data": {
            "score": 49, "ratio": 0.5, "email": "ANA@x.example", "name": " Äna ", "none": null,
            "new": 7, "größe": "L", "in": "x", "type": "t", "default": 1.0,
            "tags": ["hot", "emea"], "items": [{ "sku": "a", "n": 2 }, { "sku": "b", "n": 3 }],
        },
    }));
    if let Value::Map(map) = &mut event {
        map.insert("time".into(), Value::Instant("2026-03-02T09:00:00Z".parse().unwrap()));
    }
    event
}

fn compiled(source: &str) -> Expr {
    sandbox().expr(source, &names()).unwrap_or_else(|error| panic!("{source}: {error:?}"))
}

fn refused(source: &str) -> ScriptError {
    sandbox().expr(source, &names()).map(|_| source.to_owned()).expect_err("it compiles")
}

fn value(source: &str) -> Value {
    compiled(source).eval(&scope(), &NoRecords).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn failure(source: &str) -> EvalError {
    compiled(source).eval(&scope(), &Book).map(|value| format!("{source} = {value}")).unwrap_err()
}

/// A host with one lead, and a kind that cannot be read.
struct Book;

impl Host for Book {
    fn record(&self, kind: &str, id: &str) -> Result<Value, ReadError> {
        match (kind, id) {
            ("lead", "42") => Ok(Value::from_json(json!({ "owner": "ana", "score": 80 }))),
            ("broken", _) => Err(ReadError::Store("disk on fire".into())),
            _ => Ok(Value::Null),
        }
    }

    fn records(
        &self,
        kind: &str,
        filter: Option<(&str, &Value)>,
    ) -> Result<Option<Vec<Value>>, ReadError> {
        match (kind, filter) {
            ("broken", _) => Err(ReadError::Store("disk on fire".into())),
            ("many", _) => Ok(None),
            ("some", _) => Ok(Some(vec![Value::Int(1); 600])),
            ("lead", Some(("owner", Value::Text(owner)))) if &**owner == "ana" => {
                Ok(Some(vec![Value::from_json(json!({ "id": "42" }))]))
            }
            _ => Ok(Some(Vec::new())),
        }
    }
}

fn at(text: &str) -> Value {
    Value::Instant(text.parse::<Instant>().unwrap())
}
