//! Filters: which events a wait, an exit, a resolution and most triggers take.

use crate::model::{Pattern, Text, own_event};
use crate::script::{Condition, Shape};

use super::compile::{Cx, Place, Reported};
use super::decode::Fields;
use super::keys;
use super::program::{Filter, FilterSubject};
use super::suggest;
use super::trigger;
use super::yaml::{Kind, Node};

/// Event types a filter may list: each is an entry in an index for every waiting run.
const TYPES: usize = 100;

/// A filter in a running workflow, as a map; `what` is the key it stands under.
pub(super) fn running(cx: &mut Cx<'_>, node: &Node, place: Place) -> Option<Filter> {
    let record = node.get("record").is_some();
    let fields = fields_of(cx, node, if record { &keys::RECORD_FILTER } else { &keys::FILTER })?;
    filter(cx, fields, place)
}

/// Checks the keys of a filter.
pub(super) fn fields_of<'n>(
    cx: &mut Cx<'_>,
    node: &'n Node,
    table: &super::decode::Table,
) -> Option<Fields<'n>> {
    if let Some(scalar) = node.scalar() {
        let message = format!("{} is an object, not text", table.what);
        cx.sink
            .error("wrong-type", node.head(), message)
            .help(format!("write `event: {}`", scalar.text));
        return None;
    }
    cx.sink.fields(node, table)
}

/// The common part of all filters.
pub(super) fn filter(cx: &mut Cx<'_>, fields: Fields<'_>, place: Place) -> Option<Filter> {
    if fields.get("record").is_some() {
        return trigger::becomes(cx, fields, place);
    }
    let patterns = fields.get("event").and_then(|node| patterns(cx, node, "event"));
    let (condition, subject) = qualifiers(cx, fields, place);
    Some(Filter {
        patterns: patterns?,
        condition: condition.ok()?,
        subject: subject?,
        becomes: None,
    })
}

/// `where` and `subject`.
pub(super) fn qualifiers(
    cx: &mut Cx<'_>,
    fields: Fields<'_>,
    place: Place,
) -> (Result<Option<Condition>, Reported>, Option<FilterSubject>) {
    let condition = match fields.get("where") {
        Some(node) => cx.condition(node, "where", place, true).map(Some).ok_or(Reported),
        None => Ok(None),
    };
    let subject = match fields.get("subject") {
        Some(node) => subject(cx, node, place),
        None => Some(FilterSubject::Own),
    };
    (condition, subject)
}

fn subject(cx: &mut Cx<'_>, node: &Node, place: Place) -> Option<FilterSubject> {
    match cx.text_shape(node, "subject", place)? {
        Shape::Literal(value) if value.as_text() == Some("any") => Some(FilterSubject::Any),
        Shape::Literal(value)
            if cx.directory.is_some()
                && value
                    .as_text()
                    .is_some_and(|text| text.contains('*') || text.eq_ignore_ascii_case("any")) =>
        {
            let written = value.as_text().unwrap_or_default();
            cx.sink
                .error("own-subject", node.head(), format!("no event has the subject `{written}`"))
                .help("a subject is compared as it stands: write `any`, and choose among them with `where`");
            None
        }
        shape => Some(FilterSubject::Is(shape)),
    }
}

/// One event type or a list of them.
pub(super) fn patterns(cx: &mut Cx<'_>, node: &Node, what: &str) -> Option<Vec<Pattern>> {
    match &node.kind {
        Kind::List(items) if items.is_empty() || items.len() > TYPES => {
            let message = format!("`{what}` must list between 1 and {TYPES} types");
            cx.sink.error("out-of-range", node.head(), message);
            None
        }
        Kind::List(items) => {
            let patterns: Vec<_> = items.iter().map(|item| pattern(cx, item, what)).collect();
            patterns.into_iter().collect()
        }
        _ => pattern(cx, node, what).map(|pattern| vec![pattern]),
    }
}

fn pattern(cx: &mut Cx<'_>, node: &Node, what: &str) -> Option<Pattern> {
    let text = cx.sink.raw(node, what)?;
    let pattern = Pattern::parse(text);
    if pattern.is_none() {
        let help = if text.contains("${") {
            "types are literal, so that an event wakes only what waits for its type; choose with `where`"
        } else if text.contains('*') {
            "`*` stands only at the end, after a dot: `lead.*`"
        } else {
            "a type is words of letters, digits, `_` and `-` with dots between: `lead.created`"
        };
        let message = format!("`{text}` is not a type of event");
        cx.sink.error("event-type", node.head(), message).help(help);
    }
    pattern
}

/// A literal event type that a step makes: no prefix.
pub(super) fn check_emitted(cx: &mut Cx<'_>, node: &Node, kind: &Text) -> Option<()> {
    match Pattern::parse(kind) {
        Some(Pattern::Exact(_)) if cx.directory.is_some() && own_event(kind).is_some() => {
            cx.sink
                .error("event-type", node.head(), format!("`{kind}` is made by the daemon alone"))
                .help("choose another first word, such as that of what it is about");
            None
        }
        Some(Pattern::Exact(_)) => Some(()),
        Some(Pattern::Prefix(_)) => {
            cx.sink
                .error("event-type", node.head(), format!("`{kind}` is not one type of event"))
                .help("an event has one exact type: no `*`");
            None
        }
        None => pattern(cx, node, "emit").map(|_| ()),
    }
}

/// Whether a text may be an id or the name of a variable.
pub(super) fn is_variable(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

/// Suggests the field of a filter that was written beside a filter given as a map.
pub(super) fn inside(cx: &mut Cx<'_>, fields: Fields<'_>, keys: &[&str], outer: &str) {
    for key in keys {
        if let Some(entry) = fields.entry(key) {
            let message = format!("`{key}` stands beside a filter that is written out");
            cx.sink
                .error("misplaced-key", entry.key_span.clone(), message)
                .help(format!("put {} into the map under `{outer}`", suggest::list(&[key])));
        }
    }
}
