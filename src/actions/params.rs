//! Reads the evaluated fields of a step, with an error that names the field.

use std::borrow::Cow;

use crate::model::{ActionKind, Cause, Command, Map, Text, Value};

/// The fields of one command.
#[derive(Clone, Copy)]
pub(crate) struct Params<'a> {
    action: ActionKind,
    map: &'a Map,
}

impl<'a> Params<'a> {
    pub(crate) fn of(command: &'a Command) -> Result<Self, Cause> {
        match &command.params {
            Value::Map(map) => Ok(Self { action: command.action, map }),
            other => Err(Cause::new(
                "params",
                format!(
                    "`{}` got {} instead of its fields",
                    command.action.as_str(),
                    other.type_name()
                ),
            )),
        }
    }

    /// The field; `()` counts as not given.
    pub(crate) fn get(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field).filter(|value| !value.is_null())
    }

    /// Whether the field is there, even as `()`.
    pub(crate) fn raw(&self, field: &str) -> Option<&'a Value> {
        self.map.get(field)
    }

    pub(crate) fn text(&self, field: &str) -> Result<Option<&'a Text>, Cause> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(field, other, "text")),
        }
    }

    pub(crate) fn needed(&self, field: &str) -> Result<&'a Text, Cause> {
        self.text(field)?.ok_or_else(|| {
            Cause::new("params", format!("`{}` has no `{field}`", self.action.as_str()))
        })
    }

    pub(crate) fn flag(&self, field: &str, default: bool) -> Result<bool, Cause> {
        match self.get(field) {
            None => Ok(default),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(other) => Err(self.wrong(field, other, "true or false")),
        }
    }

    pub(crate) fn map(&self, field: &str) -> Result<Option<&'a Map>, Cause> {
        match self.get(field) {
            None => Ok(None),
            Some(Value::Map(map)) => Ok(Some(map)),
            Some(other) => Err(self.wrong(field, other, "an object")),
        }
    }

    /// One text or a list of them.
    pub(crate) fn texts(&self, field: &str) -> Result<Vec<&'a Text>, Cause> {
        let one = |value: &'a Value| match value {
            Value::Text(text) => Ok(text),
            other => Err(self.wrong(field, other, "text")),
        };
        match self.get(field) {
            None => Ok(Vec::new()),
            Some(Value::List(items)) => items.iter().map(one).collect(),
            Some(value) => one(value).map(|text| vec![text]),
        }
    }

    pub(crate) fn list(&self, field: &str) -> Result<&'a [Value], Cause> {
        match self.get(field) {
            None => Ok(&[]),
            Some(Value::List(items)) => Ok(items),
            Some(other) => Err(self.wrong(field, other, "a list")),
        }
    }

    pub(crate) fn wrong(&self, field: &str, value: &Value, wanted: &str) -> Cause {
        let action = self.action.as_str();
        let got = value.type_name();
        Cause::new("params", format!("`{field}` of `{action}` is {got}, not {wanted}"))
    }
}

/// A scalar as text; `None` for `()`, lists and objects.
pub(crate) fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(Cow::Borrowed(text)),
        Value::Null | Value::List(_) | Value::Map(_) => None,
        other => Some(Cow::Owned(other.to_string())),
    }
}
