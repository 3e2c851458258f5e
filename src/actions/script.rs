//! `script`, and the first half of `action`: a function of a plugin, called off the loop.
//!
//! It computes and reads and performs nothing, so an attempt of it is never uncertain. What it does
//! wrong is wrong the next time as well, and fails for good; only what it reads may be better later.

use crate::model::{Cause, Command, Map, Outcome, Text, Value};
use crate::script::{EvalError, Host, Sandbox, Shared, Stop, only_secrets};

use super::asked;

/// Calls the function that a command names, with the plugins its run is pinned to: its value, or the
/// requests that an action asks for, as `{ rest, list }`.
pub fn call(command: &Command, sandbox: &Sandbox, host: &dyn Host, is_late: &Stop<'_>) -> Outcome {
    let function = command.params.get("function").and_then(Value::as_text).unwrap_or_default();
    let none = Value::List(Vec::new());
    let args = command.params.get("args").unwrap_or(&none);
    let Value::List(list) = args else {
        return Outcome::Failed(Cause::new("plugin", "the arguments of the function are damaged"));
    };
    let named = named(command);
    let shared: Vec<Shared> =
        list.iter().map(|arg| Shared::trusted(only_secrets(arg, &named))).collect();
    let value = match sandbox.call(function, &shared, command.armed, host, is_late) {
        Ok(value) => value,
        Err(EvalError::Read(error)) => {
            return Outcome::Retry { after: None, why: Cause::new("store", error.to_string()) };
        }
        Err(error) => return Outcome::Failed(error.to_cause()),
    };
    if command.params.get("asks") != Some(&Value::Bool(true)) {
        return Outcome::Done(value);
    }
    let grant = sandbox.grant(function, list.len()).cloned().unwrap_or_default();
    match asked::requests(&value, &grant, &named) {
        Ok(asked) => {
            let rest = asked.requests.into_iter().map(Value::Map).collect();
            let list = Value::Bool(asked.list);
            let asked: Map = [("rest".into(), Value::List(rest)), ("list".into(), list)].into();
            Outcome::Done(Value::Map(asked))
        }
        Err(cause) => {
            let message: Text = format!("`{function}`: {cause}").into();
            Outcome::Failed(Cause::new(cause.code, message))
        }
    }
}

/// The secrets that the rule itself names in the arguments: what else its data may hold is none.
fn named(command: &Command) -> Vec<Text> {
    match command.params.get("secrets") {
        Some(Value::List(names)) => {
            names.iter().filter_map(Value::as_text).map(Text::from).collect()
        }
        _ => Vec::new(),
    }
}
