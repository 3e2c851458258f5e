//! YAML 1.2 as a tree in which every node knows its bytes in the file.
//!
//! [`parse`] reads all documents of a file and reports every mistake it can; the tree it gives has
//! no duplicate keys, no tags, no unresolved aliases and no empty values: where one stood there is
//! [`Kind::Broken`], which readers pass over in silence because it is reported already.

use std::ops::Range;

use crate::model::Value;

pub use super::yaml_build::{Document, Parsed, parse};

/// Bytes of one rule file: a larger one is data in the wrong place.
pub const FILE_BYTES: usize = 1024 * 1024;
/// Values in one file, those that aliases repeat included: 6 KB of aliases can mean millions.
pub const FILE_NODES: usize = 100_000;
/// Nesting of lists and objects: deeper is an attack on recursive code, never a rule.
pub const NESTING: usize = 64;

/// A node of the tree.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its bytes in the file; quotes and brackets included, of a block scalar only the content.
    /// What an alias repeats has the bytes of the original.
    pub span: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Text, a number, a boolean, or `null`.
    Scalar(Scalar),
    /// A list.
    List(Vec<Node>),
    /// An object; no key stands twice.
    Map(Vec<Entry>),
    /// Something that is wrong and reported.
    Broken,
}

/// A scalar as written.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// Its text, with quotes, escapes and folding resolved.
    pub text: String,
    /// How it was written.
    pub style: Style,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: may be a number, a boolean or `null`.
    Plain,
    /// In `'…'`.
    Single,
    /// In `"…"`.
    Double,
    /// After `|`.
    Literal,
    /// After `>`.
    Folded,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its bytes.
    pub key_span: Range<usize>,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A small piece that a caret can point at: a scalar, or the first key or item of the rest.
    #[must_use]
    pub fn head(&self) -> Range<usize> {
        match &self.kind {
            Kind::Map(entries) => {
                entries.first().map_or_else(|| self.span.clone(), |entry| entry.key_span.clone())
            }
            Kind::List(items) => items.first().map_or_else(|| self.span.clone(), Self::head),
            Kind::Scalar(_) | Kind::Broken => self.span.clone(),
        }
    }

    /// The entries, if this is an object.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// Its items, if it is a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Node]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            _ => None,
        }
    }

    /// The value of a key, if this is an object that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entries()?.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// As plain data, `${…}` and all; what is broken is null.
    #[must_use]
    pub fn value(&self) -> Value {
        match &self.kind {
            Kind::Broken => Value::Null,
            Kind::Scalar(scalar) => scalar.value(),
            Kind::List(items) => Value::List(items.iter().map(Self::value).collect()),
            Kind::Map(entries) => Value::Map(
                entries
                    .iter()
                    .map(|entry| (entry.key.as_str().into(), entry.value.value()))
                    .collect(),
            ),
        }
    }

    /// The scalar, if this is one.
    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Whether this was reported already.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        matches!(self.kind, Kind::Broken)
    }

    /// What a person calls this kind of node.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match &self.kind {
            Kind::Scalar(scalar) => match scalar.value() {
                Value::Null => "nothing (`null`)",
                other => other.type_name(),
            },
            Kind::List(_) => "a list",
            Kind::Map(_) => "an object",
            Kind::Broken => "a mistake",
        }
    }

    /// Where the bytes `part` of a scalar's text stand in the file. Exact for plain text on one
    /// line, for quoted text and for block scalars; where folding makes that impossible, the
    /// nearest place before.
    #[must_use]
    pub fn place(&self, file: &str, part: Range<usize>) -> Range<usize> {
        let Kind::Scalar(scalar) = &self.kind else { return self.span.clone() };
        let start = scalar.locate(file, &self.span, part.start);
        let end = scalar.locate(file, &self.span, part.end.max(part.start));
        start..end.max(start)
    }
}

impl Scalar {
    /// The value: text, unless it is plain and reads as something else in the core schema of
    /// YAML 1.2 (<https://yaml.org/spec/1.2.2/#103-core-schema>). `no`, `on`, `12:30`, dates and
    /// numbers with a leading zero are text. A whole number beyond 64 bits becomes a float.
    #[must_use]
    pub fn value(&self) -> Value {
        if self.style == Style::Plain { plain(&self.text) } else { Value::text(self.text.as_str()) }
    }

    /// The byte of the file that byte `target` of the text came from.
    ///
    /// Walks text and source side by side: what the source has more of is indentation, line
    /// breaks that were folded, and escapes.
    fn locate(&self, file: &str, span: &Range<usize>, target: usize) -> usize {
        let quote = usize::from(matches!(self.style, Style::Single | Style::Double));
        let start = span.start + quote;
        let Some(source) = file.get(start..span.end.saturating_sub(quote).max(start)) else {
            return span.start;
        };
        let leading = self.text.len() - self.text.trim_start_matches('\n').len();
        if matches!(self.style, Style::Literal | Style::Folded) && target < leading {
            return start;
        }
        let text = if quote == 1 { self.text.as_str() } else { &self.text[leading..] };
        let mut left = target.saturating_sub(self.text.len() - text.len());
        let mut at = 0;
        for c in text.chars() {
            if left == 0 {
                // The next character may stand behind a fold: point at itself, not at the gap.
                return start + at + gap(&source[at..], c);
            }
            at += gap(&source[at..], c);
            at += self.width(&source[at..], c);
            left = left.saturating_sub(c.len_utf8());
        }
        start + at.min(source.len())
    }

    /// How many bytes of source the character `c` was written with.
    fn width(&self, source: &str, c: char) -> usize {
        if self.style == Style::Single && source.starts_with("''") {
            return 2;
        }
        if self.style == Style::Double && source.starts_with('\\') {
            let mut rest = source.chars().skip(1);
            let kind = rest.next().unwrap_or('\\');
            let digits = match kind {
                'x' => 2,
                'u' if c.len_utf16() == 2 => 4 + 6,
                'u' => 4,
                'U' => 8,
                _ => 0,
            };
            return (1 + kind.len_utf8() + digits).min(source.len());
        }
        source.chars().next().map_or(0, char::len_utf8)
    }
}

/// How much white space of the source was folded away before the character `c`.
fn gap(source: &str, c: char) -> usize {
    let blank = |set: &[char]| source.len() - source.trim_start_matches(set).len();
    if source.starts_with(c) || source.starts_with('\\') {
        return 0;
    }
    match c {
        // A line break, or the space it was folded into, may stand after blanks.
        ' ' | '\n' => {
            let blanks = blank(&[' ', '\t', '\r']);
            if source[blanks..].starts_with('\n') { blanks } else { 0 }
        }
        _ => {
            let blanks = blank(&[' ', '\t', '\r', '\n']);
            if source[blanks..].starts_with([c, '\\']) { blanks } else { 0 }
        }
    }
}

/// A plain scalar by the core schema.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Value::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Value::Float(f64::NEG_INFINITY),
        ".nan" | ".NaN" | ".NAN" => return Value::Float(f64::NAN),
        _ => {}
    }
    let radix = |digits: &str, radix| i64::from_str_radix(digits, radix).ok().map(Value::Int);
    let prefixed = if let Some(digits) = text.strip_prefix("0x") {
        digits.bytes().all(|b| b.is_ascii_hexdigit()).then(|| radix(digits, 16)).flatten()
    } else if let Some(digits) = text.strip_prefix("0o") {
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| radix(digits, 8)).flatten()
    } else {
        None
    };
    if let Some(value) = prefixed {
        return value;
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let number = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '-' | '+'));
    if !number {
        return Value::text(text);
    }
    // A leading zero is a code or a phone number: as a number it would lose it. So does serde_yaml.
    if unsigned.len() > 1 && unsigned.starts_with('0') && !unsigned.starts_with("0.") {
        return Value::text(text);
    }
    if unsigned.bytes().all(|b| b.is_ascii_digit())
        && let Ok(whole) = text.parse()
    {
        return Value::Int(whole);
    }
    text.parse().map_or_else(|_| Value::text(text), Value::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        for text in ["no", "on", "yes", "off", "12:30", "2026-03-02", "1.2.3", "1e", "0x", "-", "."]
        {
            assert_eq!(plain(text), Value::text(text), "{text}");
        }
        assert_eq!(plain("-12"), Value::Int(-12));
        assert_eq!(plain("012"), Value::text("012"));
        assert_eq!(plain("0x1F"), Value::Int(31));
        assert_eq!(plain("0o17"), Value::Int(15));
        assert_eq!(plain("1.5e3"), Value::Float(1500.0));
        assert_eq!(plain("99999999999999999999"), Value::Float(1e20));
        assert_eq!(plain("True"), Value::Bool(true));
        assert_eq!(plain("~"), Value::Null);
    }
}
