//! Reading objects against tables of what they may hold, with every mistake collected.
//!
//! A [`Table`] is the single place where the keys of an object are named: reading, suggestions and
//! the description of the language all come from it.

use std::ops::{Range, RangeInclusive};

use crate::model::{Value, is_name};

use super::diagnostic::{Diagnostic, SourceFile};
use super::suggest;
use super::yaml::{Entry, Kind, Node};

/// What one kind of object may hold.
#[derive(Debug)]
pub struct Table {
    /// The object, as a person calls it with its article: `a workflow`.
    pub what: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
}

/// One key of an object.
#[derive(Debug)]
pub struct Key {
    /// The key.
    pub name: &'static str,
    /// What it is for, in one line.
    pub about: &'static str,
    /// Whether it must be there, may be there, or is not built yet.
    pub state: State,
    /// The shape of its value.
    pub holds: Holds,
}

/// The shape of a value, for editors: what it is made of, not whether it makes sense.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// Anything.
    Anything,
    /// Text, with `${…}` in it or not.
    Text,
    /// Text, a number, `true` or `false`.
    Scalar,
    /// A Rhai expression.
    Expression,
    /// A literal name, `[a-z][a-z0-9-]*`.
    Name,
    /// The name of a result or variable, `[a-z_][a-z0-9_]*`.
    Variable,
    /// `true` or `false`.
    Flag,
    /// A whole number, at least this.
    Whole(i64),
    /// A literal length of time: `90s`, `5m`, `2bd`.
    Duration,
    /// An object with free keys and values.
    Values,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of such values.
    ListOf(&'static Holds),
    /// An object with free keys and such values.
    MapOf(&'static Holds),
    /// Any of these.
    Any(&'static [Holds]),
    /// What a table says.
    Object(&'static Table),
    /// Something that a definition of the language describes.
    Ref(Definition),
}

/// What the language defines beside tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Definition {
    /// A list of steps.
    Steps,
    /// A trigger.
    Trigger,
    /// What selects events in a running workflow.
    Filter,
    /// An item of a scenario's `expect`.
    Expected,
}

/// Whether a key is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Must be there.
    Required,
    /// May be there.
    Optional,
    /// Part of the language, and not supported yet.
    Later,
}

impl Key {
    /// A key that must be there.
    #[must_use]
    pub const fn required(name: &'static str, about: &'static str) -> Self {
        Self { name, about, state: State::Required, holds: Holds::Anything }
    }

    /// A key that may be there.
    #[must_use]
    pub const fn optional(name: &'static str, about: &'static str) -> Self {
        Self { name, about, state: State::Optional, holds: Holds::Anything }
    }

    /// What to do about a missing one.
    #[must_use]
    pub fn how_to_add(&self) -> String {
        format!("add `{}: …`: {}", self.name, self.about)
    }

    /// A key of the language that is not supported yet.
    #[must_use]
    pub const fn later(name: &'static str, about: &'static str) -> Self {
        Self { name, about, state: State::Later, holds: Holds::Anything }
    }

    /// The same, with the shape of its value.
    #[must_use]
    pub const fn holds(mut self, holds: Holds) -> Self {
        self.holds = holds;
        self
    }
}

impl Table {
    /// The key of this name.
    #[must_use]
    pub fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// The names that may be written today.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().filter(|key| key.state != State::Later).map(|key| key.name)
    }
}

/// Collects the mistakes of one file.
#[derive(Debug)]
pub struct Sink<'a> {
    /// The file.
    pub file: &'a SourceFile,
    out: &'a mut Vec<Diagnostic>,
}

/// An object that was checked against its table.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'n> {
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// Entries that were checked by other means.
    #[must_use]
    pub fn of(entries: &'n [Entry]) -> Self {
        Self { entries }
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// A key with its value.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&'n Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// All of them, in the order of the file.
    #[must_use]
    pub fn entries(&self) -> &'n [Entry] {
        self.entries
    }
}

impl<'a> Sink<'a> {
    /// For a file; mistakes go to `out`.
    pub fn new(file: &'a SourceFile, out: &'a mut Vec<Diagnostic>) -> Self {
        Self { file, out }
    }

    /// Reports a mistake.
    pub fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let at = self.out.len();
        self.out.push(Diagnostic::error(code, &self.file.name, span, message));
        &mut self.out[at]
    }

    /// Reports a mistake in another file.
    pub fn error_in(
        &mut self,
        file: &crate::model::Text,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let at = self.out.len();
        self.out.push(Diagnostic::error(code, file, span, message));
        &mut self.out[at]
    }

    /// Reports something that is probably not meant.
    pub fn warning(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let at = self.out.len();
        self.out.push(Diagnostic::warning(code, &self.file.name, span, message));
        &mut self.out[at]
    }

    /// Reports something of the language that is not built yet.
    pub fn later(&mut self, span: Range<usize>, what: &str) -> &mut Diagnostic {
        self.error("not-supported-yet", span, format!("`{what}` is not supported yet"))
    }

    /// How many errors there are by now, to see whether something added one.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.out.iter().filter(|found| found.is_error()).count()
    }

    /// Checks an object against a table: unknown keys, keys not supported yet, missing ones.
    /// `None` if it is not an object at all.
    pub fn fields<'n>(&mut self, node: &'n Node, table: &Table) -> Option<Fields<'n>> {
        let Kind::Map(entries) = &node.kind else {
            if !node.is_broken() {
                let message = format!("{} is an object, not {}", table.what, node.type_name());
                let keys: Vec<&str> = table.names().collect();
                self.error("wrong-type", node.head(), message)
                    .help(format!("write `key: value` pairs with {}", suggest::list(&keys)));
            }
            return None;
        };
        for entry in entries {
            match table.key(&entry.key).map(|key| key.state) {
                Some(State::Required | State::Optional) => {}
                Some(State::Later) => {
                    self.later(entry.key_span.clone(), &entry.key);
                }
                None => self.unknown_key(entry, table),
            }
        }
        for key in table.keys.iter().filter(|key| key.state == State::Required) {
            if !entries.iter().any(|entry| entry.key == key.name) {
                self.missing(node, table.what, key.name).help(key.how_to_add());
            }
        }
        Some(Fields { entries })
    }

    /// Reports a key that is not in the table.
    pub fn unknown_key(&mut self, entry: &Entry, table: &Table) {
        let message = format!("{} has no key `{}`", table.what, entry.key);
        let hint = suggest::hint(&entry.key, table.names());
        self.error("unknown-key", entry.key_span.clone(), message).maybe_help(hint);
    }

    /// Reports a key that must be there and is not.
    pub fn missing(&mut self, node: &Node, what: &str, key: &str) -> &mut Diagnostic {
        self.error("missing-key", node.head(), format!("{what} needs `{key}`"))
    }

    /// Reports a value of the wrong type; nothing for one that is reported already.
    pub fn wrong(&mut self, node: &Node, what: &str, wanted: &str) -> Option<&mut Diagnostic> {
        if node.is_broken() {
            return None;
        }
        let message = format!("`{what}` must be {wanted}, not {}", node.type_name());
        Some(self.error("wrong-type", node.head(), message))
    }

    /// The text of a scalar, whatever it would read as: for conditions, names and codes.
    pub fn raw<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        if let Kind::Scalar(scalar) = &node.kind {
            return Some(&scalar.text);
        }
        self.wrong(node, what, "text");
        None
    }

    /// Text that is not empty and not a number or boolean.
    pub fn text<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        match &node.kind {
            Kind::Scalar(scalar) if matches!(scalar.value(), Value::Text(_)) => Some(&scalar.text),
            _ => {
                let quote = node.scalar().map(|scalar| format!("quote it: `\"{}\"`", scalar.text));
                self.wrong(node, what, "text").map(|error| error.maybe_help(quote));
                None
            }
        }
    }

    /// A literal name, `[a-z][a-z0-9-]*`.
    pub fn name<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n str> {
        let text = self.raw(node, what)?;
        if text.contains("${") {
            self.error("not-literal", node.head(), format!("`{what}` must be a literal name"))
                .help("names are checked when the rules are loaded, so they cannot be computed; use `switch` to choose");
            return None;
        }
        if !is_name(text) {
            let fixed = as_name(text);
            let hint = is_name(&fixed).then(|| format!("write `{fixed}`"));
            self.error("bad-name", node.head(), format!("`{text}` is not a name"))
                .help("names are lower-case letters, digits and `-`, a letter first")
                .maybe_help(hint.map(|hint| {
                    format!("{hint}: names are lower-case letters, digits and `-`, a letter first")
                }));
            return None;
        }
        Some(text)
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match node.scalar().map(super::yaml::Scalar::value) {
            Some(Value::Bool(flag)) => Some(flag),
            value => {
                let word = value.as_ref().and_then(Value::as_text).map(str::to_lowercase);
                let hint = match word.as_deref() {
                    Some("yes" | "on" | "true") => Some("write `true`".to_owned()),
                    Some("no" | "off" | "false") => Some("write `false`".to_owned()),
                    _ => None,
                };
                self.wrong(node, what, "`true` or `false`").map(|error| error.maybe_help(hint));
                None
            }
        }
    }

    /// A whole number within bounds.
    pub fn whole(&mut self, node: &Node, what: &str, bounds: RangeInclusive<i64>) -> Option<i64> {
        match node.scalar().map(super::yaml::Scalar::value) {
            Some(Value::Int(number)) if bounds.contains(&number) => Some(number),
            Some(Value::Int(number)) => {
                let (low, high) = (bounds.start(), bounds.end());
                let message = format!("`{what}: {number}` is not between {low} and {high}");
                self.error("out-of-range", node.head(), message);
                None
            }
            _ => {
                self.wrong(node, what, "a whole number");
                None
            }
        }
    }

    /// The items of a list.
    pub fn list<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Node]> {
        if let Kind::List(items) = &node.kind {
            return Some(items);
        }
        let help = match &node.kind {
            Kind::Map(_) => "begin each item with `- `",
            _ => "write `[…]`, or one item a line beginning with `- `",
        };
        self.wrong(node, what, "a list").map(|error| error.help(help));
        None
    }

    /// The entries of an object with free keys.
    pub fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n [Entry]> {
        if let Kind::Map(entries) = &node.kind {
            return Some(entries);
        }
        self.wrong(node, what, "an object").map(|error| error.help("write `key: value` pairs"));
        None
    }
}

/// A text made to fit the pattern of names, as far as that goes.
fn as_name(text: &str) -> String {
    let lower: String = text
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    lower.trim_matches('-').to_owned()
}
