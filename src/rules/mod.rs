//! Text becomes a rule set: YAML with positions, compiled and checked, every error at once.

mod diagnostic;
mod program;

pub use diagnostic::{Diagnostic, Label, Severity, SourceFile};
pub use program::*;
