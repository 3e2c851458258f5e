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

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(
        code: &'static str,
        file: &Text,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into(),
            primary: Label { file: file.clone(), span, text: String::new() },
            secondary: Vec::new(),
            help: None,
        }
    }

    /// A warning at a place.
    #[must_use]
    pub fn warning(
        code: &'static str,
        file: &Text,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, file, span, message) }
    }

    /// What is said beside the caret.
    pub fn said(&mut self, text: impl Into<String>) -> &mut Self {
        self.primary.text = text.into();
        self
    }

    /// What to write instead.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = Some(help.into());
        self
    }

    /// What to write instead, if anything is known.
    pub fn maybe_help(&mut self, help: Option<String>) -> &mut Self {
        if help.is_some() {
            self.help = help;
        }
        self
    }

    /// Another place that matters.
    pub fn also(&mut self, file: &Text, span: Range<usize>, text: impl Into<String>) -> &mut Self {
        self.secondary.push(Label { file: file.clone(), span, text: text.into() });
        self
    }

    /// Whether it refuses the rule set.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// A file's text with the name shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct SourceFile {
    /// The path as shown to people.
    pub name: Text,
    /// The text.
    pub text: Text,
}

impl SourceFile {
    /// From its parts.
    pub fn new(name: impl Into<Text>, text: impl Into<Text>) -> Self {
        Self { name: name.into(), text: text.into() }
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    #[must_use]
    pub fn position(&self, at: usize) -> (u32, u32) {
        let at = floor(&self.text, at);
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        (Lines::of(&self.text).line(at), 1 + self.text[start..at].chars().count() as u32)
    }
}

/// Where the lines of a text end, to find the line of a byte quickly.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines(Vec<usize>);

impl Lines {
    /// Of a text.
    pub(super) fn of(text: &str) -> Self {
        Self(text.match_indices('\n').map(|(at, _)| at).collect())
    }

    /// Line of a byte, from 1.
    pub(super) fn line(&self, at: usize) -> u32 {
        1 + self.0.partition_point(|end| *end < at) as u32
    }
}

/// The nearest boundary of a character at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
