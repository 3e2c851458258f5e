//! Events: what happened, as CloudEvents 1.0 has it, and the patterns that select them.
//!
//! Source of the attributes: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{Digest, EventNo, Hasher, Name, RunNo};
use super::time::Instant;
use super::value::{Map, Text, Value};
use super::verdict::Verdict;

/// First words of the types of events that the daemon alone makes, so that whoever hears them can rely on them.
const OWN_EVENTS: [&str; 9] = [
    "message",
    "escalation",
    "approval",
    "sla",
    "obligation",
    "run",
    "effect",
    "record",
    "trigger",
];

/// The first word of a type of events, if the daemon alone makes those that begin so.
#[must_use]
pub fn own_event(kind: &str) -> Option<&str> {
    let (head, _) = kind.split_once('.')?;
    OWN_EVENTS.contains(&head).then_some(head)
}

/// An event as it arrives: checked for shape, not yet accepted.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// Unique within `source`; together they identify the event for ever.
    pub id: Text,
    /// Who says so: a URI reference, or the name of a token.
    pub source: Text,
    /// The type, dot-separated: `lead.created`.
    pub kind: Text,
    /// What it is about: usually a record address, `lead/42`.
    pub subject: Option<Text>,
    /// When it happened, if the sender said so; else the instant of acceptance.
    pub time: Option<Instant>,
    /// The payload.
    pub data: Value,
    /// Further CloudEvents attributes, `dataschema` and extensions among them.
    pub extensions: Map,
}

impl Draft {
    /// What identifies the event: a hash of (source, id).
    #[must_use]
    pub fn identity(&self) -> Digest {
        Digest::of(&[self.source.as_bytes(), self.id.as_bytes()])
    }

    /// Whether an attribute only says from where a row came: the same row in another file says the same.
    fn is_whence(&self, attribute: &str) -> bool {
        self.source.starts_with("files/") && matches!(attribute, "file" | "row")
    }

    /// A hash of everything the sender said besides (source, id): the same identity with another
    /// fingerprint is a conflict, not a duplicate.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        let mut hasher = Hasher::new();
        hasher.part(self.kind.as_bytes());
        hasher.part(self.subject.as_deref().unwrap_or("\0").as_bytes());
        if let Some(time) = self.time {
            hasher.part(&time.as_micros().to_be_bytes());
        }
        hash_value(&self.data, &mut hasher);
        for (name, value) in self.extensions.iter().filter(|(name, _)| !self.is_whence(name)) {
            hasher.part(name.as_bytes());
            hash_value(value, &mut hasher);
        }
        hasher.finish()
    }
}

fn hash_value(value: &Value, hasher: &mut Hasher) {
    let (tag, bytes): (&[u8], &[u8]) = match value {
        Value::Null => (b"n", &[]),
        Value::Bool(flag) => (b"b", &[u8::from(*flag)]),
        Value::Int(number) => (b"i", &number.to_be_bytes()),
        Value::Float(number) => (b"f", &number.to_bits().to_be_bytes()),
        Value::Text(text) => (b"t", text.as_bytes()),
        Value::Instant(instant) => (b"a", &instant.as_micros().to_be_bytes()),
        Value::Span(span) => (b"s", &span.as_micros().to_be_bytes()),
        Value::List(items) => (b"l", &(items.len() as u64).to_be_bytes()),
        Value::Map(map) => (b"m", &(map.len() as u64).to_be_bytes()),
    };
    hasher.part(tag).part(bytes);
    match value {
        Value::List(items) => {
            for item in items {
                hash_value(item, hasher);
            }
        }
        Value::Map(map) => {
            for (key, item) in map {
                hasher.part(key.as_bytes());
                hash_value(item, hasher);
            }
        }
        _ => {}
    }
}

/// An accepted event. What the indexes need comes first: a start reads no more of a row than that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Its place in the order of acceptance.
    pub no: EventNo,
    /// See [`Draft::subject`].
    pub subject: Option<Text>,
    /// See [`Draft::id`].
    pub id: Text,
    /// See [`Draft::source`].
    pub source: Text,
    /// See [`Draft::kind`].
    pub kind: Text,
    /// When it happened.
    pub time: Instant,
    /// When it was accepted, by engine time.
    pub accepted: Instant,
    /// The payload.
    pub data: Value,
    /// Further attributes.
    pub extensions: Map,
    /// What caused it; default for an event from outside.
    pub lineage: Lineage,
}

impl Event {
    /// See [`Draft::identity`].
    #[must_use]
    pub fn identity(&self) -> Digest {
        Digest::of(&[self.source.as_bytes(), self.id.as_bytes()])
    }
}

/// Where an emitted event comes from, so that loops end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The run that emitted it.
    pub run: Option<RunNo>,
    /// How many emits lie between it and an event from outside: at most `limits::CAUSE_DEPTH`.
    pub depth: u8,
    /// The workflows among its causes; it is not offered to them.
    pub workflows: Vec<Name>,
}

/// What the store keeps about an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredEvent {
    /// The event: shared, since the run it starts and the commands of that run hold it too.
    pub event: Arc<Event>,
    /// The runs it started, in order.
    pub runs: Vec<RunNo>,
    /// What each workflow that looked at it decided: at most `limits::VERDICTS`.
    pub verdicts: Vec<Verdict>,
}

/// Selects events by type: `lead.created`, or every type below a prefix, `lead.*`; `*` is all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Pattern {
    /// Exactly this type.
    Exact(Text),
    /// Types that begin with this text, which is empty or ends in a dot.
    Prefix(Text),
}

impl Pattern {
    /// From the text of a rule. `None` if it is not a type or a prefix: dot-separated parts of
    /// letters, digits, `_` and `-`, the last of which may be `*`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (body, prefix) = match text.strip_suffix('*') {
            Some("") => return Some(Self::Prefix("".into())),
            Some(body) => (body.strip_suffix('.')?, true),
            None => (text, false),
        };
        if !is_type(body) {
            return None;
        }
        Some(if prefix {
            Self::Prefix(format!("{body}.").into())
        } else {
            Self::Exact(body.into())
        })
    }

    /// Whether an event of type `kind` is selected.
    #[must_use]
    pub fn matches(&self, kind: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *kind,
            Self::Prefix(prefix) => kind.starts_with(&**prefix),
        }
    }

    /// Every pattern that selects `kind`: itself, and each of its prefixes.
    pub fn all_for(kind: &str) -> impl Iterator<Item = Self> + '_ {
        let prefixes = kind
            .char_indices()
            .filter(|(_, c)| *c == '.')
            .map(|(dot, _)| Self::Prefix(kind[..=dot].into()));
        [Self::Exact(kind.into()), Self::Prefix("".into())].into_iter().chain(prefixes)
    }
}

/// Whether `text` may be the type of an event: dot-separated parts of letters, digits, `_` and `-`.
fn is_type(text: &str) -> bool {
    text.split('.').all(|part| {
        !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    })
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(exact) => f.write_str(exact),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_select_types_and_prefixes() {
        assert!(Pattern::parse("lead.*").unwrap().matches("lead.created"));
        assert!(!Pattern::parse("lead.*").unwrap().matches("leads.created"));
        assert!(Pattern::parse("*").unwrap().matches("anything"));
        for bad in ["", "lead*", ".x", "a..b", "a b", "*.x", "lead.*.x"] {
            assert_eq!(Pattern::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn every_pattern_of_a_type_selects_it() {
        let all: Vec<_> = Pattern::all_for("a.b.c").collect();
        assert_eq!(all.len(), 4);
        assert!(all.iter().all(|pattern| pattern.matches("a.b.c")));
    }
}
