//! [`Places`]: where each setting stands in the file, since serde knows only its path.
//!
//! One pass over the YAML events. It also refuses what serde would accept in silence or lose the
//! place of: keys that stand twice, aliases, tags, values that were forgotten.

use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle};

use super::Bad;

/// Values in a configuration: far more than anybody writes by hand.
const NODES: usize = 20_000;

/// The bytes of a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Of its key; of the value itself in a list.
    pub(super) key: Range<usize>,
    /// Of its value.
    pub(super) value: Range<usize>,
}

/// Places by path, written as in `http.tokens[0].name`.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Place>);

/// A mistake with its place.
pub(super) struct Misplaced {
    pub(super) code: &'static str,
    pub(super) span: Range<usize>,
    /// The first of two.
    pub(super) other: Option<Range<usize>>,
    pub(super) bad: Bad,
}

/// An object or list that is open.
enum Frame {
    Map {
        path: String,
        key: Option<(String, Range<usize>)>,
        /// The last part of each key so far.
        seen: BTreeMap<String, Range<usize>>,
        start: usize,
    },
    List {
        path: String,
        next: usize,
        start: usize,
    },
}

impl Places {
    /// The place of a setting.
    pub(super) fn get(&self, path: &str) -> Option<&Place> {
        self.0.get(path)
    }

    /// Reads a whole file.
    pub(super) fn read(text: &str) -> Result<Self, Vec<Misplaced>> {
        let mut reader = Reader {
            places: Self::default(),
            frames: Vec::new(),
            errors: Vec::new(),
            documents: 0,
        };
        let mut nodes = 0;
        for event in Parser::new_from_str(text) {
            let (event, span) = match event {
                Ok((event, span)) => (event, span.byte_range().unwrap_or(0..0)),
                Err(error) => {
                    let at = error.marker().byte_offset().unwrap_or(0).min(text.len());
                    reader.error("yaml-syntax", at..at, error.info(), None);
                    break;
                }
            };
            nodes += usize::from(event.is_node());
            if nodes > NODES {
                reader.error(
                    "too-large",
                    span,
                    format!("the file has more than {NODES} values"),
                    None,
                );
                break;
            }
            reader.event(&event, span);
        }
        if reader.errors.is_empty() { Ok(reader.places) } else { Err(reader.errors) }
    }
}

struct Reader {
    places: Places,
    frames: Vec<Frame>,
    errors: Vec<Misplaced>,
    documents: usize,
}

impl Reader {
    fn error(
        &mut self,
        code: &'static str,
        span: Range<usize>,
        message: impl Into<String>,
        help: Option<&str>,
    ) {
        let bad = Bad { message: message.into(), help: help.map(str::to_owned) };
        self.errors.push(Misplaced { code, span, other: None, bad });
    }

    fn event(&mut self, event: &Event<'_>, span: Range<usize>) {
        if let Event::Scalar(_, _, _, Some(_))
        | Event::SequenceStart(_, _, Some(_))
        | Event::MappingStart(_, _, Some(_)) = event
        {
            self.error(
                "tag",
                span.clone(),
                "a tag has no meaning here",
                Some("quote a text that begins with `!`"),
            );
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents == 2 {
                    self.error(
                        "second-document",
                        span,
                        "a configuration is one document",
                        Some("remove the `---`"),
                    );
                }
            }
            Event::Scalar(text, style, ..) => {
                if self.awaits_key() {
                    self.key(text, span);
                } else {
                    let nothing = *style == ScalarStyle::Plain
                        && matches!(&**text, "" | "~" | "null" | "Null" | "NULL");
                    if nothing && !self.frames.is_empty() {
                        let place = self.key_span().unwrap_or_else(|| span.clone());
                        self.error(
                            "no-value",
                            place,
                            "there is no value",
                            Some("remove the key to keep the default, or write a value"),
                        );
                    }
                    self.value(span);
                }
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.error(
                    "alias",
                    span.clone(),
                    "aliases are not supported in the configuration",
                    Some("write it out"),
                );
                self.value(span);
            }
            Event::MappingStart(..) => {
                let path = self.path();
                self.frames.push(Frame::Map {
                    path,
                    key: None,
                    seen: BTreeMap::new(),
                    start: span.start,
                });
            }
            Event::SequenceStart(..) => {
                if self.awaits_key() {
                    self.error("key", span.clone(), "a key must be text", None);
                }
                let path = self.path();
                self.frames.push(Frame::List { path, next: 0, start: span.start });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some(Frame::Map { start, .. } | Frame::List { start, .. }) =
                    self.frames.pop()
                {
                    self.value(start..span.end.max(start));
                }
            }
            _ => {}
        }
    }

    fn awaits_key(&self) -> bool {
        matches!(self.frames.last(), Some(Frame::Map { key: None, .. }))
    }

    fn key_span(&self) -> Option<Range<usize>> {
        match self.frames.last() {
            Some(Frame::Map { key: Some((_, span)), .. }) => Some(span.clone()),
            _ => None,
        }
    }

    fn key(&mut self, text: &str, span: Range<usize>) {
        let Some(Frame::Map { path, key, seen, .. }) = self.frames.last_mut() else { return };
        *key = Some((join(path, text), span.clone()));
        if let Some(first) = seen.insert(text.to_owned(), span.clone()) {
            let bad = Bad {
                message: format!("`{text}` stands twice"),
                help: Some("keep one of them".into()),
            };
            let twice = Misplaced { code: "duplicate-key", span, other: Some(first), bad };
            self.errors.push(twice);
        }
    }

    /// The path of the value that begins here.
    fn path(&self) -> String {
        match self.frames.last() {
            Some(Frame::Map { path, key, .. }) => {
                key.as_ref().map_or_else(|| path.clone(), |(key, _)| key.clone())
            }
            Some(Frame::List { path, next, .. }) => format!("{path}[{next}]"),
            None => String::new(),
        }
    }

    /// A value is complete.
    fn value(&mut self, span: Range<usize>) {
        let path = self.path();
        let key = match self.frames.last_mut() {
            Some(Frame::Map { key, .. }) => key.take().map_or_else(|| span.clone(), |(_, key)| key),
            Some(Frame::List { next, .. }) => {
                *next += 1;
                span.clone()
            }
            None => span.clone(),
        };
        self.places.0.entry(path).or_insert(Place { key, value: span });
    }
}

/// The path of a key.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_has_its_place() {
        let text = "# ü\nhttp:\n  listen: \"127.0.0.1:1\"\n  tokens: [{ name: crm, scopes: [a, b] }]\nrules:\n  - x\n  - y\n";
        let places = Places::read(text).unwrap_or_default();
        let value = |path: &str| &text[places.get(path).unwrap().value.clone()];
        let key = |path: &str| &text[places.get(path).unwrap().key.clone()];
        assert_eq!(value("http.listen"), "\"127.0.0.1:1\"");
        assert_eq!(key("http.listen"), "listen");
        assert_eq!(value("http.tokens[0].scopes[1]"), "b");
        assert_eq!(key("http.tokens[0].name"), "name");
        assert_eq!(value("http.tokens[0].scopes"), "[a, b]");
        assert_eq!(value("rules[1]"), "y");
        assert!(value("http").starts_with("listen:"));
    }

    #[test]
    fn what_serde_would_swallow_is_refused() {
        let first = |text: &str| {
            let error = &Places::read(text).err().unwrap()[0];
            (error.code, text[error.span.clone()].to_owned())
        };
        assert_eq!(first("a: 1\nb: 2\na: 3\n"), ("duplicate-key", "a".into()));
        assert_eq!(first("smtp:\n  host:\n  port: 1\n"), ("no-value", "host".into()));
        assert_eq!(first("a: &x 1\nb: *x\n"), ("alias", "*x".into()));
        assert_eq!(first("a: !x 1\n").0, "tag");
        assert_eq!(first("a: 1\n---\nb: 1\n").0, "second-document");
        assert_eq!(first("a: [1, 2\nb: 1\n").0, "yaml-syntax");
        assert!(Places::read("").is_ok());
        assert!(Places::read("# nothing\n").is_ok());
    }
}
