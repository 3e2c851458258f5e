//! [`Shape`]: a piece of YAML with `${…}` in it, compiled.

use crate::model::{Map, Text, Value, limits};

use super::error::{EvalError, ScriptError};
use super::host::Host;
use super::lexer::hole_end;
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
        Self::parse(sandbox, text, names).map_err(|mut errors| errors.swap_remove(0))
    }

    /// The same, with every mistake; at least one.
    ///
    /// # Errors
    /// As [`Shape::text`].
    pub fn parse(sandbox: &Sandbox, text: &str, names: &Names) -> Result<Self, Vec<ScriptError>> {
        let mut errors = Vec::new();
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(dollar) = text[at..].find('$').map(|found| at + found) {
            literal.push_str(&text[at..dollar]);
            let rest = &text[dollar..];
            if rest.starts_with("$${") {
                literal.push_str("${");
                at = dollar + 3;
            } else if rest.starts_with("${") {
                let start = dollar + 2;
                let Some(end) = hole_end(text, start) else {
                    errors.push(unclosed(dollar));
                    return Err(errors);
                };
                at = end + 1;
                if text[start..end].trim().is_empty() {
                    errors.push(empty(dollar, at - dollar));
                    continue;
                }
                match sandbox.parse(&text[start..end], names) {
                    Ok(expr) => {
                        if !literal.is_empty() {
                            parts.push(Part::Literal(std::mem::take(&mut literal).into()));
                        }
                        parts.push(Part::Value(expr));
                    }
                    Err(found) => {
                        errors.extend(found.into_iter().map(|error| error.shifted(start)));
                    }
                }
            } else {
                literal.push('$');
                at = dollar + 1;
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        literal.push_str(&text[at..]);
        if parts.is_empty() {
            return Ok(Self::Literal(Value::text(literal)));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.into()));
        }
        Ok(match parts.as_slice() {
            [Part::Value(expr)] => Self::Expr(expr.clone()),
            _ => Self::Text(parts),
        })
    }

    /// The value, holes filled in.
    ///
    /// # Errors
    /// [`EvalError`].
    pub fn eval(&self, scope: &Scope, host: &dyn Host) -> Result<Value, EvalError> {
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Expr(expr) => expr.eval(scope, host)?,
            Self::Text(parts) => filled(parts, scope, host)?,
            Self::List(items) => Value::List(
                items.iter().map(|item| item.eval(scope, host)).collect::<Result<_, _>>()?,
            ),
            Self::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|(key, shape)| Ok((key.clone(), shape.eval(scope, host)?)))
                    .collect::<Result<Map, EvalError>>()?,
            ),
        })
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

    /// Every expression in it, in the order of the file.
    #[must_use]
    pub fn exprs(&self) -> Vec<&Expr> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect<'s>(&'s self, found: &mut Vec<&'s Expr>) {
        match self {
            Self::Literal(_) => {}
            Self::Expr(expr) => found.push(expr),
            Self::Text(parts) => found.extend(parts.iter().filter_map(|part| match part {
                Part::Literal(_) => None,
                Part::Value(expr) => Some(expr),
            })),
            Self::List(items) => items.iter().for_each(|item| item.collect(found)),
            Self::Map(entries) => entries.iter().for_each(|(_, shape)| shape.collect(found)),
        }
    }
}

/// The text with its holes filled in: at most what an event may be, for nothing larger can be sent on.
fn filled(parts: &[Part], scope: &Scope, host: &dyn Host) -> Result<Value, EvalError> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Literal(literal) => text.push_str(literal),
            Part::Value(expr) => match expr.eval(scope, host)? {
                Value::Null => {
                    let message = format!("`{}` is () inside a text", expr.source().trim());
                    return Err(EvalError::Failed(message.into()));
                }
                Value::Text(value) => text.push_str(&value),
                value => text.push_str(&value.to_string()),
            },
        }
        if text.len() > limits::EVENT_BYTES {
            let message = format!("a text grew longer than {} bytes", limits::EVENT_BYTES);
            return Err(EvalError::Failed(message.into()));
        }
    }
    Ok(Value::text(text))
}

fn unclosed(offset: usize) -> ScriptError {
    ScriptError {
        offset,
        len: 2,
        message: "`${` is not closed".to_owned(),
        help: Some("add `}`; for the two characters themselves, write `$${`".to_owned()),
    }
}

fn empty(offset: usize, len: usize) -> ScriptError {
    ScriptError { offset, len, message: "nothing stands in `${}`".to_owned(), help: None }
}
