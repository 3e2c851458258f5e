//! [`Names`] an expression may use, and the [`Scope`] that gives them values.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use rhai::Dynamic;

use crate::model::{Instant, Value};

use super::convert::to_dynamic;
use super::error::EvalError;
use super::host::Evaluation;

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

    /// All of them and `now`.
    pub(super) fn all(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().copied().chain(std::iter::once("now"))
    }
}

/// Values for the names of an evaluation. Build it once and evaluate many expressions on it.
///
/// A value is converted once, when it is set; evaluating borrows it. Rhai wants the scope for itself
/// while it evaluates, hence the lock: two threads on one scope take turns.
pub struct Scope(Mutex<rhai::Scope<'static>>);

impl Scope {
    /// With `now` only.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let mut scope = Self(Mutex::new(rhai::Scope::new()));
        scope.set("now", &Value::Instant(now));
        scope
    }

    /// Gives `name` a value, or another one.
    pub fn set(&mut self, name: &'static str, value: &Value) {
        let inner = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _: Option<Dynamic> = inner.remove(name);
        inner.push_constant_dynamic(name, to_dynamic(value));
    }

    /// Lends it to one evaluation.
    pub(super) fn with<T>(
        &self,
        work: impl FnOnce(&mut rhai::Scope<'static>) -> T,
    ) -> Result<T, EvalError> {
        let mut inner = self.lock()?;
        let size = inner.len();
        let result = work(&mut inner);
        inner.rewind(size);
        Ok(result)
    }

    /// Another one with only these variables.
    pub(super) fn copy_of(
        &self,
        names: &BTreeSet<String>,
    ) -> Result<rhai::Scope<'static>, EvalError> {
        let inner = self.lock()?;
        let mut copy = rhai::Scope::new();
        for (name, _, value) in inner.iter_raw().filter(|(name, ..)| names.contains(*name)) {
            copy.push_constant_dynamic(name, value.clone());
        }
        Ok(copy)
    }

    fn lock(&self) -> Result<MutexGuard<'_, rhai::Scope<'static>>, EvalError> {
        match self.0.try_lock() {
            Ok(inner) => Ok(inner),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            // Waiting for ourselves would be for ever.
            Err(TryLockError::WouldBlock) if Evaluation::is_running() => Err(EvalError::Failed(
                "an evaluation cannot begin another one on the same scope".into(),
            )),
            Err(TryLockError::WouldBlock) => {
                Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
}

impl Clone for Scope {
    fn clone(&self) -> Self {
        Self(Mutex::new(self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()))
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_set().entries(inner.iter_raw().map(|(name, ..)| name)).finish()
    }
}
