//! [`Names`] an expression may use, and the [`Scope`] that gives them values.

use crate::model::{Instant, Value};

/// The variables in scope where an expression stands, beside `now`, which always is.
#[derive(Clone, Debug, Default)]
pub struct Names(pub(crate) Vec<&'static str>);

impl Names {
    /// These names.
    #[must_use]
    pub fn of(names: &[&'static str]) -> Self {
        Self(names.to_vec())
    }

    /// These and one more.
    #[must_use]
    pub fn and(mut self, name: &'static str) -> Self {
        self.0.push(name);
        self
    }
}

/// Values for the names of an evaluation. Build it once and evaluate many expressions on it.
#[derive(Clone)]
pub struct Scope {
    pub(crate) inner: rhai::Scope<'static>,
}

impl Scope {
    /// With `now` only.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let _ = now;
        unimplemented!()
    }

    /// Gives `name` a value, or another one.
    pub fn set(&mut self, name: &'static str, value: &Value) {
        let _ = (name, value);
        unimplemented!()
    }
}
