//! [`Names`] an expression may use, and the [`Scope`] that gives them values.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use rhai::Dynamic;

use crate::model::{Instant, Value};

use super::convert::to_dynamic;
use super::error::EvalError;
use super::host::Evaluation;
use super::secret::{may_stand_for_secret, without_secrets};

/// The variables in scope where an expression stands, beside `now`, which always is.
#[derive(Clone, Debug, Default)]
pub struct Names(pub(crate) Vec<Name>);

/// Nearly every name is one of the language's own; a rule gives a few.
type Name = Cow<'static, str>;

impl Names {
    /// These names.
    #[must_use]
    pub fn of(names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| Cow::Borrowed(*name)).collect())
    }

    /// These and one more.
    #[must_use]
    pub fn and(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(name.into());
        self
    }

    /// All of them and `now`.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|name| &**name).chain(std::iter::once("now"))
    }
}

/// Values for the names of an evaluation. Build it once and evaluate many expressions on it.
///
/// A value is converted for Rhai once, when an expression first needs it there; evaluating borrows it.
/// Rhai wants its scope for itself while it evaluates, hence the lock: two threads take turns.
pub struct Scope {
    values: Values,
    /// Those of the values that Rhai has needed so far, as constants.
    converted: Mutex<rhai::Scope<'static>>,
}

/// A value that several scopes hold, and hold under several names, without a copy each.
#[derive(Clone, Debug, PartialEq)]
pub struct Shared(Arc<Value>);

impl Shared {
    /// Of a value, in which no text from outside can stand for a secret afterwards.
    #[must_use]
    pub fn new(value: Value) -> Self {
        Self(Arc::new(if may_stand_for_secret(&value) { without_secrets(&value) } else { value }))
    }

    /// Of a value that may stand for secrets, because a rule made it and not the outside.
    #[must_use]
    pub fn trusted(value: Value) -> Self {
        Self(Arc::new(value))
    }

    /// As expressions see it.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.0
    }
}

/// The values by name: so few that looking through them is the fastest way.
#[derive(Clone, Debug, Default)]
pub(super) struct Values(Vec<(Name, Shared)>);

impl Values {
    /// The value of a variable.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| &*value.0)
    }
}

impl Scope {
    /// With `now` only.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            values: Values(vec![(Cow::Borrowed("now"), Shared(Arc::new(Value::Instant(now))))]),
            converted: Mutex::new(rhai::Scope::new()),
        }
    }

    /// Gives `name` a value, or another one.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: &Value) {
        self.share(name, &Shared::new(value.clone()));
    }

    /// As [`Scope::set`], without a copy.
    pub fn share(&mut self, name: impl Into<Cow<'static, str>>, value: &Shared) {
        let (name, value) = (name.into(), value.clone());
        match self.values.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => {
                *old = value;
                let converted = self.converted.get_mut().unwrap_or_else(PoisonError::into_inner);
                let _: Option<Dynamic> = converted.remove(&name);
            }
            None => self.values.0.push((name, value)),
        }
    }

    /// The values.
    pub(super) fn values(&self) -> &Values {
        &self.values
    }

    /// Lends what Rhai sees, these names at least, to one evaluation.
    pub(super) fn with<T>(
        &self,
        names: &BTreeSet<String>,
        work: impl FnOnce(&mut rhai::Scope<'static>) -> T,
    ) -> Result<T, EvalError> {
        let mut converted = self.lock()?;
        for (name, value) in self.named(names) {
            if !converted.contains(name) {
                converted.push_constant_dynamic(name, to_dynamic(value));
            }
        }
        let size = converted.len();
        let result = work(&mut converted);
        converted.rewind(size);
        Ok(result)
    }

    /// Another one for Rhai, with only these variables.
    pub(super) fn copy_of(&self, names: &BTreeSet<String>) -> rhai::Scope<'static> {
        let mut copy = rhai::Scope::new();
        for (name, value) in self.named(names) {
            copy.push_constant_dynamic(name, to_dynamic(value));
        }
        copy
    }

    fn named(&self, names: &BTreeSet<String>) -> impl Iterator<Item = (&str, &Value)> {
        self.values
            .0
            .iter()
            .filter(|(name, _)| names.contains(&**name))
            .map(|(name, value)| (&**name, &*value.0))
    }

    fn lock(&self) -> Result<MutexGuard<'_, rhai::Scope<'static>>, EvalError> {
        match self.converted.try_lock() {
            Ok(converted) => Ok(converted),
            Err(TryLockError::Poisoned(poisoned)) => Ok(poisoned.into_inner()),
            // Waiting for ourselves would be for ever.
            Err(TryLockError::WouldBlock) if Evaluation::is_running() => Err(EvalError::Failed(
                "an evaluation cannot begin another one on the same scope".into(),
            )),
            Err(TryLockError::WouldBlock) => {
                Ok(self.converted.lock().unwrap_or_else(PoisonError::into_inner))
            }
        }
    }
}

impl Clone for Scope {
    fn clone(&self) -> Self {
        Self { values: self.values.clone(), converted: Mutex::new(rhai::Scope::new()) }
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.0.iter().map(|(name, _)| name)).finish()
    }
}
