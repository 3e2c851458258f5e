//! [`Sandbox`]: one configured Rhai engine with the plugins of a rule set; [`Expr`] its compiled expressions.

use std::sync::Arc;

use crate::model::{Text, Value};

use super::error::{EvalError, ScriptError};
use super::host::Host;
use super::scope::{Names, Scope};

/// A plugin's source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginSource {
    /// Its name: the file name without `.rhai`.
    pub name: Text,
    /// Where it came from, for messages.
    pub file: Text,
    /// The text.
    pub source: Text,
}

/// A Rhai engine with every limit set and the functions of its plugins registered. Cheap to clone.
#[derive(Clone)]
pub struct Sandbox {
    engine: Arc<rhai::Engine>,
}

/// A compiled expression.
#[derive(Clone)]
pub struct Expr {
    pub(crate) source: Text,
    ast: Arc<rhai::AST>,
    sandbox: Sandbox,
}

impl Sandbox {
    /// With the functions of `plugins`.
    ///
    /// # Errors
    /// Every mistake of every plugin: (index into `plugins`, error).
    pub fn new(plugins: &[PluginSource]) -> Result<Self, Vec<(usize, ScriptError)>> {
        let _ = plugins;
        unimplemented!()
    }

    /// Compiles one expression that may use `names`.
    ///
    /// # Errors
    /// Unknown names and functions, statements, `'x'`, and whatever Rhai refuses.
    pub fn expr(&self, source: &str, names: &Names) -> Result<Expr, ScriptError> {
        let _ = (source, names, &self.engine);
        unimplemented!()
    }
}

impl Expr {
    /// The expression as written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its value.
    ///
    /// # Errors
    /// [`EvalError`].
    pub fn eval(&self, scope: &Scope, host: &dyn Host) -> Result<Value, EvalError> {
        let _ = (scope, host, &self.ast, &self.sandbox);
        unimplemented!()
    }
}

impl std::fmt::Debug for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Expr({})", self.source)
    }
}

impl std::fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sandbox")
    }
}
