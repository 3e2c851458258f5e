//! [`Diagnostic`]: a mistake in a rule file, a plugin, a template or the configuration, with its place.

use std::ops::Range;

use crate::model::Text;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rule set is refused.
    Error,
    /// Probably not what was meant.
    Warning,
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Stable code, such as `unknown-key`.
    pub code: &'static str,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Where.
    pub primary: Label,
    /// Other places that matter, such as the first definition.
    pub secondary: Vec<Label>,
    /// What to write instead.
    pub help: Option<String>,
}

/// A place in a file, with what is to be said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The file as shown to people.
    pub file: Text,
    /// Bytes of the file's text.
    pub span: Range<usize>,
    /// Said beside the caret; may be empty.
    pub text: String,
}

/// A file's text with the name shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SourceFile {
    /// The path as shown to people.
    pub name: Text,
    /// The text.
    pub text: Text,
}
