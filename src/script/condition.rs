//! [`Condition`]: an expression that must give a boolean and can say why it was false.

use crate::model::Text;

use super::error::{EvalError, ScriptError};
use super::host::Host;
use super::sandbox::{Expr, Sandbox};
use super::scope::{Names, Scope};

/// A compiled condition, split at its top-level `&&` into clauses.
#[derive(Debug)]
pub struct Condition {
    clauses: Vec<Expr>,
    /// A missing property makes it false (`where`, `allow`) instead of an error.
    lenient: bool,
}

/// What a condition came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// It holds.
    True,
    /// It does not: the failing clause and its operands, such as
    /// `event.data.score >= 80 was false: event.data.score = 49`.
    False(Text),
}

impl Condition {
    /// Compiles a condition; `lenient` for `where` and `allow`.
    ///
    /// # Errors
    /// As [`Sandbox::expr`].
    pub fn compile(
        sandbox: &Sandbox,
        source: &str,
        names: &Names,
        lenient: bool,
    ) -> Result<Self, ScriptError> {
        let _ = (sandbox, source, names, lenient);
        unimplemented!()
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// [`EvalError`]; anything but a boolean is one.
    pub fn test(&self, scope: &Scope, host: &dyn Host) -> Result<Test, EvalError> {
        let _ = (scope, host, &self.clauses, self.lenient);
        unimplemented!()
    }
}
