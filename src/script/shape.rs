//! [`Shape`]: a piece of YAML with `${…}` in it, compiled.

use crate::model::{Text, Value};

use super::error::{EvalError, ScriptError};
use super::host::Host;
use super::sandbox::{Expr, Sandbox};
use super::scope::{Names, Scope};

/// A value with holes.
#[derive(Clone, Debug)]
pub enum Shape {
    /// No holes.
    Literal(Value),
    /// One `${…}` and nothing else: keeps its value's type.
    Expr(Expr),
    /// Text with holes.
    Text(Vec<Part>),
    /// A list of shapes.
    List(Vec<Shape>),
    /// An object of shapes, in the order of the file.
    Map(Vec<(Text, Shape)>),
}

/// A part of a text with holes.
#[derive(Clone, Debug)]
pub enum Part {
    /// As written.
    Literal(Text),
    /// Filled in; `()` here is an error.
    Value(Expr),
}

impl Shape {
    /// From one scalar text, with its `${…}` compiled and `$${` unescaped. Offsets of errors count
    /// from the start of `text`.
    ///
    /// # Errors
    /// As [`Sandbox::expr`], and for a `${` that is not closed.
    pub fn text(sandbox: &Sandbox, text: &str, names: &Names) -> Result<Self, ScriptError> {
        let _ = (sandbox, text, names);
        unimplemented!()
    }

    /// The value, holes filled in.
    ///
    /// # Errors
    /// [`EvalError`].
    pub fn eval(&self, scope: &Scope, host: &dyn Host) -> Result<Value, EvalError> {
        let _ = (scope, host);
        unimplemented!()
    }

    /// The literal, if there are no holes anywhere in it.
    #[must_use]
    pub fn literal(&self) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::Expr(_) | Self::Text(_) => None,
            Self::List(items) => {
                items.iter().map(Self::literal).collect::<Option<_>>().map(Value::List)
            }
            Self::Map(entries) => entries
                .iter()
                .map(|(key, shape)| shape.literal().map(|value| (key.clone(), value)))
                .collect::<Option<_>>()
                .map(Value::Map),
        }
    }
}
