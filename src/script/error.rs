//! What can go wrong with an expression: when it is compiled, and when it is evaluated.

use crate::model::{Cause, ReadError, Text};

/// A mistake found when an expression or a plugin was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScriptError {
    /// Byte offset of the mistake in the source that was given.
    pub offset: usize,
    /// How many bytes it covers, at least 1 unless the source is empty.
    pub len: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl ScriptError {
    /// The same mistake, in a text of which the compiled one is a part that begins at `start`.
    pub(super) fn shifted(mut self, start: usize) -> Self {
        self.offset += start;
        self
    }
}

/// A failed evaluation.
#[derive(Clone, Debug, thiserror::Error)]
pub enum EvalError {
    /// A property that is not there: its path as written, `event.data.score`.
    #[error("`{0}` is missing")]
    Missing(Text),
    /// Anything else the expression did wrong: types, limits, `()` inside a text, a plugin's throw.
    #[error("{0}")]
    Failed(Text),
    /// The same inside of a plugin; begins with its place, `plugins/x.rhai:3:5: `.
    #[error("{0}")]
    InPlugin(Text),
    /// The state could not be read; not the expression's fault.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl EvalError {
    /// As the cause of a failed step.
    #[must_use]
    pub fn to_cause(&self) -> Cause {
        let code = match self {
            Self::Missing(_) => "missing",
            Self::Failed(_) => "expression",
            Self::InPlugin(_) => "plugin",
            Self::Read(_) => "store",
        };
        Cause::new(code, self.to_string())
    }
}
